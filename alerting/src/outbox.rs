//! All that alerting remembers: incidents, who was told of them, and messages until they have left. Pure.
//!
//! [`State`] is that memory; [`telling`] decides who is to be told what; [`record`] is how the memory is written down;
//! [`log`] is the file that it is written to first.
//!
//! One message of an incident waits for a recipient at a time: the next is made when the one before has left, and
//! tells what is so by then. So updates never pile up before a channel that is away, and never overtake.

pub mod log;
mod made;
pub mod record;
pub mod storm;
pub mod telling;
#[cfg(test)]
mod tests;

use crate::incident::Incidents;
use crate::message::{Message, Severity};
use made::Made;
use record::{Changed, Record};
use serde::{Deserialize, Serialize};
use skyline_core::anomaly::Anomaly;
pub use skyline_sql::outbox::State as Fate;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use storm::Storm;

/// A channel and a recipient.
pub type Lane = (String, String);

/// Who was told of an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// Key of the incident.
    pub incident: String,
    /// Channel.
    pub channel: String,
    /// Recipient.
    pub recipient: String,
    /// The rule that wanted it told.
    pub rule: String,
    /// How bad the last message said it is.
    pub severity: Severity,
    /// Messages made so far.
    pub messages: u32,
    /// When they were to be told first, seconds.
    #[serde(default)]
    pub first: f64,
    /// When the last one was made, seconds.
    pub last: f64,
    /// Places of the members that it told of.
    pub members: BTreeSet<u32>,
    /// What the channel calls the thread of these messages.
    pub thread: Option<String>,
    /// The end was told.
    pub is_over: bool,
    /// Whether the end is to be told.
    pub recovery: bool,
    /// The channel will not take messages to this recipient.
    pub is_refused: bool,
    /// They were told that nobody has acknowledged it.
    #[serde(default)]
    pub is_escalated: bool,
}

/// A message and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The message.
    pub message: Message,
    /// What became of it.
    #[serde(with = "record::fate")]
    pub fate: Fate,
    /// It was only shown.
    pub is_dry: bool,
    /// Times that sending was tried.
    pub attempts: u32,
    /// Not to be tried before, seconds.
    pub not_before: f64,
    /// Since when it waits, seconds: it is not tried for ever.
    pub since: f64,
    /// When the channel took it, seconds.
    pub sent: Option<f64>,
    /// Why it is not sent.
    pub error: Option<String>,
    /// What the channel said.
    pub answer: Option<String>,
    /// Whether it is being sent now.
    #[serde(skip)]
    pub is_leaving: bool,
    /// Whether the database has it as it is.
    #[serde(skip)]
    pub is_kept: bool,
    /// Whether the database is being given it as it is.
    #[serde(skip)]
    pub is_copying: bool,
    /// Its place among all.
    #[serde(skip)]
    pub order: u64,
}

impl Entry {
    /// A new one.
    #[must_use]
    pub const fn new(message: Message) -> Self {
        let (not_before, since) = (message.created, message.created);
        Self {
            message,
            fate: Fate::Waiting,
            is_dry: false,
            attempts: 0,
            not_before,
            since,
            sent: None,
            error: None,
            answer: None,
            is_leaving: false,
            is_kept: false,
            is_copying: false,
            order: 0,
        }
    }

    /// Channel and recipient.
    #[must_use]
    pub fn lane(&self) -> Lane {
        (self.message.channel.clone(), self.message.recipient.clone())
    }
}

/// All that is remembered.
#[derive(Debug)]
pub struct State {
    /// Incidents that are open, or ended lately.
    pub incidents: Incidents,
    /// Who was told of them: by incident, then channel and recipient.
    pub told: BTreeMap<String, BTreeMap<Lane, Told>>,
    /// Messages by key: those that wait, and those that the database does not have as they are.
    pub entries: BTreeMap<String, Entry>,
    /// Recipients from whom messages are held back.
    pub storms: BTreeMap<Lane, Storm>,
    /// What was changed since it was last written down.
    pub changed: Changed,
    /// Messages that were made lately.
    made: Made,
    /// When to look at an incident next, seconds.
    looks: HashMap<String, f64>,
    /// What there is to say of the end of an incident beside its members.
    silent: HashMap<String, Vec<String>>,
    orders: u64,
}

impl State {
    /// Nothing yet.
    #[must_use]
    pub fn new(incidents: Incidents) -> Self {
        Self {
            incidents,
            told: BTreeMap::new(),
            entries: BTreeMap::new(),
            storms: BTreeMap::new(),
            changed: Changed::default(),
            made: Made::default(),
            looks: HashMap::new(),
            silent: HashMap::new(),
            orders: 0,
        }
    }

    /// Takes an anomaly. `gather`: how long the opening of an incident waits for company, seconds.
    pub fn observe(&mut self, anomaly: &Anomaly, now: f64, gather: f64, repeat: impl FnOnce() -> f64) {
        use crate::incident::Seen;
        let seen = self.incidents.observe(anomaly, now, repeat);
        let Some(key) = seen.key() else { return };
        if let Some((_, place)) = self.incidents.of_metric(&anomaly.metric) {
            self.changed.member(key, u32::try_from(place).unwrap_or(u32::MAX));
        }
        let look = match seen {
            // Somebody may be told of the incident first because of these.
            Seen::Opened(_) | Seen::Joined(_) | Seen::Reopened(_) => now + gather,
            _ => now + 1.0,
        };
        self.look(key, look);
        if matches!(seen, Seen::Reopened(_)) {
            self.silent.remove(key);
            // Nobody was told yet that nobody has seen this round.
            for told in self.told.get_mut(key).into_iter().flat_map(BTreeMap::values_mut) {
                (told.first, told.is_escalated) = (now, false);
                self.changed.told(told);
            }
        }
    }

    /// Looks at an incident then, or earlier.
    fn look(&mut self, key: &str, at: f64) {
        let look = self.looks.entry(key.to_owned()).or_insert(at);
        *look = look.min(at);
    }

    /// Ends what is over; returns the keys of incidents that ended, with the members that were the last.
    pub fn tick(&mut self, now: f64) -> Vec<String> {
        let mut ended = Vec::new();
        for (key, places) in self.incidents.tick(now) {
            for place in places {
                self.changed.member(&key, place);
            }
            if self.incidents.get(&key).is_some_and(|i| !i.is_open()) {
                self.look(&key, now);
                ended.push(key);
            }
        }
        ended
    }

    /// Metrics of an ended incident that send nothing more, in words; the end is told once this is known.
    pub fn silent(&mut self, key: &str, lines: Vec<String>, now: f64) {
        self.silent.insert(key.to_owned(), lines);
        self.look(key, now);
    }

    /// Somebody has seen the incident; false: there is none, or somebody had before.
    pub fn acknowledge(&mut self, key: &str, by: &str, now: f64) -> bool {
        let is_new = self.incidents.acknowledge(key, by, now);
        if is_new {
            self.changed.incident(key);
        }
        is_new
    }

    /// Puts a message among those that wait, unless one with its key was made lately.
    pub fn put(&mut self, message: Message, now: f64) {
        if !self.knows(&message) {
            self.wait(message, now);
        }
    }

    /// Whether a message is there, or was lately.
    #[must_use]
    pub fn knows(&self, message: &Message) -> bool {
        let lane = (message.channel.clone(), message.recipient.clone());
        self.entries.contains_key(&message.key) || self.made.has(&lane, &message.key)
    }

    /// A message that was given up waits again, and others of its incident may follow.
    pub fn again(&mut self, message: Message, now: f64) {
        if self.entries.get(&message.key).is_some_and(|entry| entry.fate != Fate::Dead) {
            return;
        }
        let lane = (message.channel.clone(), message.recipient.clone());
        if let Some(told) = self.told.get_mut(&message.incident).and_then(|of| of.get_mut(&lane)) {
            told.is_refused = false;
            self.changed.told(told);
        }
        self.wait(message, now);
    }

    fn wait(&mut self, message: Message, now: f64) {
        let lane = (message.channel.clone(), message.recipient.clone());
        self.made.add(lane, &message.key, message.created);
        self.changed.message(&message.key);
        self.insert(Entry { since: now, ..Entry::new(message) });
    }

    fn insert(&mut self, mut entry: Entry) {
        self.orders += 1;
        entry.order = self.orders;
        self.entries.insert(entry.message.key.clone(), entry);
    }

    /// A channel has taken a message.
    pub fn sent(&mut self, key: &str, thread: Option<String>, answer: String, is_dry: bool, now: f64) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.is_copying = false;
        entry.attempts = entry.attempts.saturating_add(u32::from(!is_dry));
        (entry.fate, entry.is_dry, entry.sent) = (Fate::Sent, is_dry, Some(now));
        (entry.answer, entry.error, entry.is_kept, entry.is_leaving) = (Some(answer), None, false, false);
        let (incident, lane) = (entry.message.incident.clone(), entry.lane());
        self.changed.message(key);
        if let Some(told) = self.told.get_mut(&incident).and_then(|of| of.get_mut(&lane)) {
            if thread.is_some() {
                told.thread = thread;
            }
            self.changed.told(told);
            self.look(&incident, now);
        }
    }

    /// A message was not taken, and is tried again.
    pub fn failed(&mut self, key: &str, error: String, not_before: f64) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.is_copying = false;
        entry.attempts = entry.attempts.saturating_add(1);
        (entry.not_before, entry.error, entry.is_kept, entry.is_leaving) =
            (not_before, Some(error), false, false);
        self.changed.message(key);
    }

    /// A message is given up. `is_refused`: the channel will not take others of the incident either.
    pub fn dead(&mut self, key: &str, error: String, is_refused: bool, now: f64) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.is_copying = false;
        entry.attempts = entry.attempts.saturating_add(u32::from(entry.is_leaving));
        (entry.fate, entry.error, entry.is_kept, entry.is_leaving) = (Fate::Dead, Some(error), false, false);
        let (incident, lane) = (entry.message.incident.clone(), entry.lane());
        self.changed.message(key);
        if let Some(told) = self.told.get_mut(&incident).and_then(|of| of.get_mut(&lane)) {
            told.is_refused |= is_refused;
            self.changed.told(told);
            self.look(&incident, now);
        }
    }

    /// A message is known to be over elsewhere: it need not be remembered.
    pub fn settled(&mut self, key: &str, now: f64) {
        if let Some(entry) = self.entries.remove(key) {
            self.look(&entry.message.incident, now);
        }
    }

    /// Whether a message of the incident to that recipient has not left yet.
    fn waits(&self, incident: &str, lane: &Lane) -> bool {
        self.entries.values().any(|e| {
            e.fate == Fate::Waiting
                && e.message.incident == incident
                && e.message.channel == lane.0
                && e.message.recipient == lane.1
        })
    }

    /// When there is something to look at next, seconds.
    #[must_use]
    pub fn next_look(&self) -> Option<f64> {
        self.looks.values().copied().min_by(f64::total_cmp)
    }

    /// The clock was set back to `now`, seconds: what was to happen at times ahead of it is due, and not only when the
    /// clock is there again.
    pub fn set_back(&mut self, now: f64) {
        self.incidents.set_back(now);
        let at_most = |at: &mut f64| *at = at.min(now);
        for told in self.told.values_mut().flat_map(BTreeMap::values_mut) {
            at_most(&mut told.last);
        }
        for entry in self.entries.values_mut() {
            at_most(&mut entry.not_before);
            at_most(&mut entry.since);
        }
        for storm in self.storms.values_mut() {
            at_most(&mut storm.since);
            at_most(&mut storm.last);
        }
        self.made.set_back(now);
        self.looks.values_mut().for_each(at_most);
    }

    /// All of it, to be written down anew.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let incidents = self.incidents.iter().map(|i| Record::Incident(i.head.clone(), i.members.clone()));
        let told = self.told.values().flat_map(BTreeMap::values).cloned().map(Record::Told);
        let entries = self.entries.values().cloned().map(|e| Record::Message(Box::new(e)));
        let storms = self.storms.values().cloned().map(Record::Storm);
        let made = self.made.iter().map(|(lane, keys)| {
            Record::Made(lane.clone(), keys.iter().map(|(key, at)| (key.clone(), *at)).collect())
        });
        incidents.chain(told).chain(entries).chain(storms).chain(made).collect()
    }
}
