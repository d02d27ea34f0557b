//! Who is to be told what, now: rules are asked for each member, and each recipient is told of the members that are theirs.

mod group;

use super::storm::{Limits, Storm};
use super::{Entry, Fate, Lane, State, Told};
use crate::incident::{Head, Incident};
use crate::message::{Kind, Links, MEMBERS, Member, Message, Origin, Severity};
use crate::text::number;
use group::{Group, groups};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Seconds between two looks at an incident that goes on.
const IDLE: f64 = 10.0;
/// The same while somebody is still to be told.
const PENDING: f64 = 1.0;
/// Members for whom rules are asked in about a millisecond: a large incident is looked at less often.
const LARGE: f64 = 2_000.0;
/// Ended incidents are remembered for so long at least, seconds: their anomalies may be found again in the journal.
const REMEMBERED: f64 = 3_600.0;
/// What is known of silent metrics is waited for so long after the end, seconds.
const SILENT: f64 = 3.0;

/// A rule that wants a metric told now: not muted, and at this hour.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The rule's name.
    pub rule: String,
    /// Channel.
    pub channel: String,
    /// Recipients of the channel.
    pub recipients: Vec<String>,
    /// How bad it is.
    pub severity: Severity,
    /// It is told again after so long, seconds; 0: never.
    pub repeat_seconds: u32,
    /// It is told once it has lasted so long, seconds.
    pub minimum_seconds: u32,
    /// Whether the end is told.
    pub recovery: bool,
    /// Nobody has acknowledged it after so long (seconds): these are told.
    pub escalate: Option<(u32, Vec<Lane>)>,
}

/// Rules, with mutes and hours.
pub trait Rules: Send + Sync + fmt::Debug {
    /// Who wants to be told of a metric now, in the order of the rules.
    fn apply(&self, metric: &str, now: f64) -> Vec<Match>;

    /// A metric that breaks again within so many seconds of the end of its incident continues it.
    fn repeat(&self, metric: &str, now: f64) -> f64 {
        self.apply(metric, now).iter().map(|m| f64::from(m.repeat_seconds)).fold(0.0, f64::max)
    }

    /// Whether a mute keeps back what a rule tells of a metric now.
    fn is_muted(&self, metric: &str, rule: &str, now: f64) -> bool {
        let _none = (metric, rule, now);
        false
    }

    /// The longest time that [`Rules::repeat`] can say: ended incidents are remembered for so long, seconds.
    fn longest_repeat(&self) -> f64;

    /// Where the reader can go from a message about a metric of an incident.
    fn links(&self, incident: &Head, metric: &str, counter: bool, now: f64) -> Links {
        let _nowhere = (incident, metric, counter, now);
        Links::default()
    }
}

/// What telling goes by.
#[derive(Debug)]
pub struct Context<'a> {
    /// Who is told.
    pub rules: &'a dyn Rules,
    /// How many messages there may be.
    pub limits: &'a Limits,
    /// Seconds between two updates, by channel.
    pub pace: &'a dyn PaceOf,
    /// The node's clock, seconds.
    pub now: f64,
}

/// How often the recipients of a channel are told what is new, seconds.
pub trait PaceOf: fmt::Debug {
    /// Of this channel.
    fn pace(&self, channel: &str) -> f64;
}

impl State {
    /// Makes the messages that are due, and forgets what nobody needs any more.
    pub fn tell(&mut self, context: &Context<'_>) {
        let now = context.now;
        let due: Vec<_> =
            self.looks.iter().filter(|(_, at)| **at <= now).map(|(key, _)| key.clone()).collect();
        for key in due {
            self.looks.remove(&key);
            let Some(incident) = self.incidents.get(&key).cloned() else { continue };
            if incident.is_open() {
                let is_pending = self.tell_open(&incident, context);
                let pause = if is_pending { PENDING } else { IDLE };
                self.look(&key, now + pause + incident.members.len() as f64 / LARGE);
            } else {
                self.tell_end(&incident, context);
            }
        }
        self.calm(context);
        self.made.forget(now, context.limits.window);
    }

    /// What is to be told of an incident that goes on; whether somebody is still to be told of something.
    fn tell_open(&mut self, incident: &Incident, context: &Context<'_>) -> bool {
        let mut is_pending = false;
        let told = self.told.get(&incident.head.key);
        for (lane, group) in
            groups(incident, told, context, &mut is_pending).into_iter().filter(|(_, g)| g.is_open)
        {
            let told = self.told.get(&incident.head.key).and_then(|of| of.get(&lane));
            let is_first = told.is_none();
            let kind = match told {
                None if group.is_escalation_only => Kind::Escalated,
                None => Kind::Opened,
                Some(told) if told.is_refused => continue,
                Some(told) => {
                    let since = context.now - told.last;
                    let is_new =
                        !group.members.is_subset(&told.members) || (told.is_over && told.messages > 0);
                    // Who has acknowledged it need not be reminded.
                    let is_seen = incident.head.acknowledged.is_some();
                    let repeats = group.repeat > 0 && !is_seen && since >= f64::from(group.repeat);
                    let escalates = group.escalates_to(told, incident.head.round(), context.now);
                    if is_new && !repeats && !escalates && since < context.pace.pace(&lane.0) {
                        is_pending = true;
                        continue;
                    }
                    if !is_new && !repeats && !escalates {
                        continue;
                    }
                    match told.messages {
                        _ if escalates => Kind::Escalated,
                        0 => Kind::Opened,
                        _ => Kind::Updated,
                    }
                }
            };
            if self.waits(&incident.head.key, &lane) {
                // Looked at again when that has left.
                continue;
            }
            if !self.has_room(&lane, context) {
                is_pending = true;
                if is_first {
                    self.hold_back(incident, &lane, &group, context);
                }
                continue;
            }
            self.say(incident, &lane, &group, kind, context);
        }
        is_pending
    }

    /// The end, to those who were told of the beginning; forgets the incident once nothing is left to tell.
    fn tell_end(&mut self, incident: &Incident, context: &Context<'_>) {
        let (key, now) = (&incident.head.key, context.now);
        let ended = incident.head.ended.unwrap_or(now);
        if !self.silent.contains_key(key) && now < ended + SILENT {
            self.look(key, ended + SILENT);
            return;
        }
        let lanes: Vec<_> =
            self.told.get(key).into_iter().flatten().map(|(l, t)| (l.clone(), t.clone())).collect();
        let is_left = |t: &Told| t.messages > 0 && !t.is_over && !t.is_refused && t.recovery;
        let mut theirs = match lanes.iter().any(|(_, told)| is_left(told)) {
            true => groups(incident, self.told.get(key), context, &mut false),
            false => BTreeMap::new(),
        };
        let mut is_done = true;
        for (lane, told) in lanes {
            if self.waits(key, &lane) {
                is_done = false;
                continue;
            }
            if !is_left(&told) {
                continue;
            }
            let is_muted = |place: &u32| {
                let member = incident.members.get(*place as usize);
                member.is_some_and(|m| context.rules.is_muted(&m.told.metric, &told.rule, now))
            };
            if told.members.iter().all(is_muted) {
                // Whoever muted it since does not want to hear of its end either.
                if let Some(told) = self.told.get_mut(key).and_then(|of| of.get_mut(&lane)) {
                    told.is_over = true;
                    self.changed.told(told);
                }
                continue;
            }
            is_done = false;
            let group = Group {
                rule: told.rule.clone(),
                severity: told.severity,
                repeat: 0,
                recovery: true,
                is_escalation_only: false,
                escalate: None,
                is_open: false,
                members: &told.members | &theirs.remove(&lane).map(|group| group.members).unwrap_or_default(),
            };
            self.say(incident, &lane, &group, Kind::Ended, context);
        }
        if is_done && now - ended > context.rules.longest_repeat().max(REMEMBERED) {
            self.changed.forgotten.insert(key.clone());
            self.drop_incident(key);
        } else {
            self.look(key, now + IDLE);
        }
    }

    /// Makes a message and remembers who was told.
    fn say(&mut self, incident: &Incident, lane: &Lane, group: &Group, kind: Kind, context: &Context<'_>) {
        let now = context.now;
        let of = self.told.entry(incident.head.key.clone()).or_default();
        let told = of.entry(lane.clone()).or_insert_with(|| first(incident, lane, group, now));
        let number = told.messages;
        if number == 0 || told.severity != group.severity {
            // An incident is as bad as the worst that was told of it: its row changes with that.
            self.changed.incident(&incident.head.key);
        }
        told.messages = told.messages.saturating_add(1);
        told.last = now;
        told.severity = group.severity;
        told.members.extend(&group.members);
        told.is_over = kind == Kind::Ended;
        told.is_escalated |= kind == Kind::Escalated;
        told.recovery = group.recovery;
        let (members, member_count) = members(incident, &told.members);
        let (metric, counter) = members
            .first()
            .map_or((incident.head.first_metric.as_str(), false), |m| (m.metric.as_str(), m.counter));
        let links = context.rules.links(&incident.head, metric, counter, now);
        self.changed.told(told);
        let lines = match kind {
            Kind::Ended => self.silent.get(&incident.head.key).cloned().unwrap_or_default(),
            _ => Vec::new(),
        };
        let message = Message {
            key: format!("{}-{}-{number}", incident.head.key, short(lane)),
            incident: incident.head.key.clone(),
            kind,
            number,
            rule: group.rule.clone(),
            channel: lane.0.clone(),
            recipient: lane.1.clone(),
            origin: Origin::Analyzer,
            severity: group.severity,
            created: now,
            opened: incident.head.since,
            ended: (kind == Kind::Ended).then(|| incident.last()),
            members,
            member_count,
            repeat_seconds: Some(group.repeat).filter(|repeat| *repeat > 0),
            lines,
            links,
        };
        self.put(message, now);
    }

    /// Whether one more message may go to a recipient now.
    fn has_room(&self, lane: &Lane, context: &Context<'_>) -> bool {
        let Some(limit) = context.limits.of(&lane.0) else { return true };
        self.made.since(lane, context.now - context.limits.window) < limit as usize
    }

    /// An opening that is told as one of many.
    fn hold_back(&mut self, incident: &Incident, lane: &Lane, group: &Group, context: &Context<'_>) {
        let now = context.now;
        let of = self.told.entry(incident.head.key.clone()).or_default();
        let told = of.entry(lane.clone()).or_insert_with(|| first(incident, lane, group, now));
        told.last = now;
        told.members.extend(&group.members);
        self.changed.incident(&incident.head.key);
        self.changed.told(told);
        let is_new = !self.storms.contains_key(lane);
        let storm = self.storms.entry(lane.clone()).or_insert_with(|| Storm::new(lane, now));
        storm.hold(&incident.head.key, &incident.head.first_metric, now);
        self.changed.storms.insert(lane.clone());
        if is_new {
            let limit = context.limits.of(&lane.0).unwrap_or(0);
            let within = number::duration(context.limits.window);
            let lines = vec![
                format!(
                    "More than {limit} messages within {within}: further ones are held back, and told as one."
                ),
                "What is wrong until then: skyline alert list --open".to_owned(),
            ];
            let message = self.held_back(lane, now, "begins", lines, now);
            self.put(message, now);
        }
    }

    /// Tells the end of storms that are over.
    fn calm(&mut self, context: &Context<'_>) {
        let now = context.now;
        let quiet = context.limits.window.min(60.0);
        let over: Vec<_> =
            self.storms.iter().filter(|(_, s)| now - s.last >= quiet).map(|(l, _)| l.clone()).collect();
        for lane in over {
            if !self.has_room(&lane, context) {
                continue;
            }
            let Some(storm) = self.storms.remove(&lane) else { continue };
            self.changed.storms.insert(lane.clone());
            let message = self.held_back(&lane, storm.since, "ends", storm.lines(), now);
            self.put(message, now);
        }
    }

    fn held_back(&self, lane: &Lane, since: f64, what: &str, lines: Vec<String>, now: f64) -> Message {
        Message {
            key: format!("held-{}-{:x}-{what}", short(lane), (since * 1e3) as u64),
            incident: String::new(),
            kind: Kind::HeldBack,
            number: 0,
            rule: String::new(),
            channel: lane.0.clone(),
            recipient: lane.1.clone(),
            origin: Origin::Analyzer,
            severity: Severity::Warning,
            created: now,
            opened: since,
            ended: (what == "ends").then_some(now),
            members: Vec::new(),
            member_count: 0,
            repeat_seconds: None,
            lines,
            links: Links::default(),
        }
    }

    /// Messages that wait.
    pub fn waiting(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().filter(|e| e.fate == Fate::Waiting)
    }
}

/// Nobody was told yet.
fn first(incident: &Incident, lane: &Lane, group: &Group, now: f64) -> Told {
    Told {
        incident: incident.head.key.clone(),
        channel: lane.0.clone(),
        recipient: lane.1.clone(),
        rule: group.rule.clone(),
        severity: group.severity,
        messages: 0,
        first: now,
        last: 0.0,
        members: BTreeSet::new(),
        thread: None,
        is_over: false,
        recovery: group.recovery,
        is_refused: false,
        is_escalated: false,
    }
}

/// The members that a message tells of, the furthest from what was expected first, and how many there are in all.
fn members(incident: &Incident, places: &BTreeSet<u32>) -> (Vec<Member>, u64) {
    let of = places.iter().filter_map(|place| incident.members.get(*place as usize));
    let mut all: Vec<&Member> = of.map(|m| &m.told).collect();
    let count = all.len() as u64;
    all.sort_by(|a, b| distance(b).total_cmp(&distance(a)).then_with(|| a.metric.cmp(&b.metric)));
    (all.into_iter().take(MEMBERS).cloned().collect(), count)
}

/// How far the peak is from what was expected, in standard deviations.
fn distance(member: &Member) -> f64 {
    let away = (member.peak.1 - member.mean).abs();
    let far = if member.stddev > 0.0 { away / member.stddev } else { away };
    if far.is_nan() { 0.0 } else { far }
}

/// A recipient in a message's key.
fn short((channel, recipient): &Lane) -> String {
    use md5::Digest as _;
    let mut hash = md5::Md5::new();
    hash.update((channel.len() as u64).to_le_bytes());
    hash.update(channel.as_bytes());
    hash.update(recipient.as_bytes());
    hash.finalize().iter().take(5).map(|byte| format!("{byte:02x}")).collect()
}
