//! Which anomalies belong together: metrics that break within a short time are one incident, and a metric that goes on
//! being anomalous goes on with it.
//!
//! Pure: no clock, no I/O. Giving the same anomaly again changes nothing, so that anomalies which are found again after
//! a crash are harmless. An incident is known by a key that is made of the node's name, its first metric and
//! the time of its first anomalous point.

mod member;
#[cfg(test)]
mod tests;

pub use member::Member;

use serde::{Deserialize, Serialize};
use skyline_core::anomaly::Anomaly;
use std::collections::{BTreeMap, HashMap};

/// When anomalies belong together, seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// A metric that breaks within so many seconds of an incident's opening joins it; 0: each has an incident of its own.
    pub join: f64,
    /// A metric is over when it was not anomalous for so long; longer for one that came back before.
    pub end: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { join: 120.0, end: 300.0 }
    }
}

/// Somebody has seen it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// When, seconds.
    pub at: f64,
    /// Who, as they say.
    pub by: String,
}

/// An incident without its metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// Known by this for ever.
    pub key: String,
    /// The metric that opened it.
    pub first_metric: String,
    /// Receipt of the anomalous point that opened it, seconds.
    pub opened: f64,
    /// Time of its first anomalous point, seconds.
    pub since: f64,
    /// The node's clock when it learnt of it, seconds: how long company is waited for counts from here.
    pub learnt: f64,
    /// The node's clock when its last metric was over, seconds.
    pub ended: Option<f64>,
    /// Times that it ended and went on.
    pub returns: u32,
    /// The node's clock when anything changed, seconds.
    pub changed: f64,
    /// Who has seen it, since it began or went on last.
    pub acknowledged: Option<Acknowledged>,
    /// The node's clock when it went on after it had ended, the last time, seconds.
    #[serde(default)]
    pub reopened: Option<f64>,
}

impl Head {
    /// Since when somebody may have seen it, by the node's clock, seconds: it began, or went on after it had ended.
    #[must_use]
    pub fn round(&self) -> f64 {
        self.reopened.unwrap_or(self.learnt)
    }
}

/// An incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// What there is to say of it as a whole.
    pub head: Head,
    /// Its metrics by their place; none ever leaves.
    pub members: Vec<Member>,
}

impl Incident {
    /// Whether it goes on.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.head.ended.is_none()
    }

    /// Time of its last anomalous point, seconds.
    #[must_use]
    pub fn last(&self) -> f64 {
        self.members.iter().map(|m| m.told.last).fold(self.head.since, f64::max)
    }

    /// Puts a member in the place of the one that it was, or behind all; its place.
    fn put(&mut self, mut member: Member) -> usize {
        let count = self.members.len();
        match self.members.get_mut(member.place as usize) {
            Some(known) => {
                let place = member.place as usize;
                *known = member;
                place
            }
            None => {
                member.place = u32::try_from(count).unwrap_or(u32::MAX);
                self.members.push(member);
                count
            }
        }
    }
}

/// What an anomaly was to the incidents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It was given before.
    Known,
    /// Its metric goes on with the incident of that key.
    GoesOn(String),
    /// Its metric joins.
    Joined(String),
    /// A new incident.
    Opened(String),
    /// The incident had ended and goes on.
    Reopened(String),
}

impl Seen {
    /// Key of the incident, unless nothing changed.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Known => None,
            Self::GoesOn(key) | Self::Joined(key) | Self::Opened(key) | Self::Reopened(key) => Some(key),
        }
    }
}

/// Incidents that are open, and those that ended lately.
#[derive(Debug)]
pub struct Incidents {
    node: String,
    settings: Settings,
    by_key: BTreeMap<String, Incident>,
    /// The newest incident of each metric, and the metric's place there.
    of_metric: HashMap<String, (String, usize)>,
    /// Nothing is over before this and [`Settings::end`]: what came while the node was down is not known yet.
    floor: f64,
}

impl Incidents {
    /// None yet. `now`: when the node started, seconds.
    #[must_use]
    pub fn new(node: &str, settings: Settings, now: f64) -> Self {
        Self {
            node: node.to_owned(),
            settings,
            by_key: BTreeMap::new(),
            of_metric: HashMap::new(),
            floor: now,
        }
    }

    /// Puts one back that was kept; replaces the one with its key. Its members need not be sorted.
    pub fn put(&mut self, mut incident: Incident) {
        incident.members.sort_by_key(|m| m.place);
        incident.members.dedup_by_key(|m| m.place);
        for (place, member) in (0_u32..).zip(&mut incident.members) {
            member.place = place;
        }
        let (key, count) = (incident.head.key.clone(), incident.members.len());
        self.by_key.insert(key.clone(), incident);
        for place in 0..count {
            self.index(&key, place);
        }
    }

    /// Puts back what is new of an incident: its head, and those of its members that changed.
    pub fn put_part(&mut self, head: Head, members: Vec<Member>) {
        let key = head.key.clone();
        if !self.by_key.contains_key(&key) {
            self.put(Incident { head, members });
            return;
        }
        if let Some(known) = self.by_key.get_mut(&key) {
            known.head = head;
        }
        for member in members {
            let place = self.by_key.get_mut(&key).map_or(0, |known| known.put(member));
            self.index(&key, place);
        }
    }

    /// Remembers where a metric is, unless it is in a newer incident too.
    fn index(&mut self, key: &str, place: usize) {
        let Some(incident) = self.by_key.get(key) else { return };
        let Some(member) = incident.members.get(place) else { return };
        let is_newer = self.of_metric.get(&member.told.metric).is_some_and(|(other, _)| {
            other != key && self.by_key.get(other).is_some_and(|o| o.head.learnt > incident.head.learnt)
        });
        if !is_newer {
            self.of_metric.insert(member.told.metric.clone(), (key.to_owned(), place));
        }
    }

    /// The clock was set back to `now`, seconds: nothing was seen later than that, or nothing would be over before the
    /// clock is there again.
    pub fn set_back(&mut self, now: f64) {
        self.floor = self.floor.min(now);
        for incident in self.by_key.values_mut() {
            incident.head.ended = incident.head.ended.map(|at| at.min(now));
            incident.head.reopened = incident.head.reopened.map(|at| at.min(now));
            for member in &mut incident.members {
                member.seen = member.seen.min(now);
            }
        }
    }

    /// Takes an anomaly. `repeat`: a metric that breaks again within so many seconds of the end of its incident continues
    /// it; asked only where that matters.
    pub fn observe(&mut self, anomaly: &Anomaly, now: f64, repeat: impl FnOnce() -> f64) -> Seen {
        let ts = anomaly.point.ts;
        if let Some((key, place)) = self.of_metric.get(&anomaly.metric)
            && let Some(incident) = self.by_key.get_mut(key)
            && let Some(member) = incident.members.get_mut(*place)
        {
            if ts <= member.told.last {
                return Seen::Known;
            }
            match incident.head.ended {
                None => {
                    member.goes_on(anomaly, now);
                    incident.head.changed = now;
                    return Seen::GoesOn(key.clone());
                }
                Some(ended) if now - ended <= repeat() => {
                    member.goes_on(anomaly, now);
                    incident.head.changed = now;
                    incident.head.ended = None;
                    incident.head.returns = incident.head.returns.saturating_add(1);
                    incident.head.reopened = Some(now);
                    // Whoever had seen it has not seen this.
                    incident.head.acknowledged = None;
                    return Seen::Reopened(key.clone());
                }
                Some(_) => {}
            }
        }
        let received = anomaly.received;
        let join = self.settings.join;
        let near = |i: &&mut Incident| i.is_open() && join > 0.0 && (received - i.head.opened).abs() <= join;
        let newest = |a: &&mut Incident, b: &&mut Incident| a.head.learnt.total_cmp(&b.head.learnt);
        if let Some(incident) = self.by_key.values_mut().filter(near).max_by(newest) {
            let place = incident.members.len();
            incident.members.push(Member::new(u32::try_from(place).unwrap_or(u32::MAX), anomaly, now));
            incident.head.changed = now;
            incident.head.since = incident.head.since.min(ts);
            let key = incident.head.key.clone();
            self.of_metric.insert(anomaly.metric.clone(), (key.clone(), place));
            return Seen::Joined(key);
        }
        let head = Head {
            key: key(&self.node, &anomaly.metric, ts),
            first_metric: anomaly.metric.clone(),
            opened: received,
            since: ts,
            learnt: now,
            ended: None,
            returns: 0,
            changed: now,
            acknowledged: None,
            reopened: None,
        };
        let key = head.key.clone();
        self.of_metric.insert(anomaly.metric.clone(), (key.clone(), 0));
        self.by_key.insert(key.clone(), Incident { head, members: vec![Member::new(0, anomaly, now)] });
        Seen::Opened(key)
    }

    /// Ends what is over; returns the incidents that changed and the places of the members that did.
    pub fn tick(&mut self, now: f64) -> Vec<(String, Vec<u32>)> {
        let mut changed = Vec::new();
        for incident in self.by_key.values_mut().filter(|i| i.is_open()) {
            let mut ended = Vec::new();
            for member in incident.members.iter_mut().filter(|m| m.told.ended.is_none()) {
                let quiet = now - member.seen.max(self.floor);
                if quiet > member.patience(self.settings.end) {
                    member.told.ended = Some(member.told.last);
                    ended.push(member.place);
                }
            }
            if incident.members.iter().all(|m| m.told.ended.is_some()) {
                incident.head.ended = Some(now);
            }
            if !ended.is_empty() || incident.head.ended.is_some() {
                incident.head.changed = now;
                changed.push((incident.head.key.clone(), ended));
            }
        }
        changed
    }

    /// Somebody has seen it; false: there is no such incident, or somebody had before.
    pub fn acknowledge(&mut self, key: &str, by: &str, now: f64) -> bool {
        match self.by_key.get_mut(key) {
            Some(incident) if incident.head.acknowledged.is_none() => {
                incident.head.acknowledged = Some(Acknowledged { at: now, by: by.to_owned() });
                incident.head.changed = now;
                true
            }
            _ => false,
        }
    }

    /// Forgets one.
    pub fn forget(&mut self, key: &str) {
        if let Some(incident) = self.by_key.remove(key) {
            for member in &incident.members {
                if self.of_metric.get(&member.told.metric).is_some_and(|(of, _)| of == key) {
                    self.of_metric.remove(&member.told.metric);
                }
            }
        }
    }

    /// The one with that key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Incident> {
        self.by_key.get(key)
    }

    /// The newest incident of a metric, and the metric's place there.
    #[must_use]
    pub fn of_metric(&self, metric: &str) -> Option<(&Incident, usize)> {
        let (key, place) = self.of_metric.get(metric)?;
        Some((self.by_key.get(key)?, *place))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Incident> {
        self.by_key.values()
    }

    /// Those that are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.by_key.values().filter(|i| i.is_open()).count()
    }
}

/// The key of an incident.
fn key(node: &str, metric: &str, ts: f64) -> String {
    use md5::Digest as _;
    let mut hash = md5::Md5::new();
    for part in [node.as_bytes(), metric.as_bytes()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.update(ts.to_bits().to_le_bytes());
    hash.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}
