//! How the memory is written down: what was changed, whole. Reading the same again changes nothing, and the newest counts.

use super::storm::Storm;
use super::{Entry, Fate, Lane, State, Told};
use crate::incident::{Head, Member};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One thing that is remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// An incident, and those of its members that changed.
    Incident(Head, Vec<Member>),
    /// Who was told.
    Told(Told),
    /// A message.
    Message(Box<Entry>),
    /// A recipient from whom messages are held back.
    Storm(Storm),
    /// That is over.
    Calm(Lane),
    /// An incident that is not remembered any more.
    Forgotten(String),
    /// Keys of messages that were made lately, and when, seconds: those that are not remembered otherwise.
    Made(Lane, Vec<(String, f64)>),
}

/// What was changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// Incidents, and the places of their members.
    pub incidents: BTreeMap<String, BTreeSet<u32>>,
    /// Incident and lane of who was told.
    pub told: BTreeSet<(String, Lane)>,
    /// Keys of messages.
    pub messages: BTreeSet<String>,
    /// Storms.
    pub storms: BTreeSet<Lane>,
    /// Incidents that are forgotten.
    pub forgotten: BTreeSet<String>,
}

impl Changed {
    pub(super) fn incident(&mut self, key: &str) {
        if !self.incidents.contains_key(key) {
            self.incidents.insert(key.to_owned(), BTreeSet::new());
        }
    }

    pub(super) fn member(&mut self, key: &str, place: u32) {
        self.incidents.entry(key.to_owned()).or_default().insert(place);
    }

    pub(super) fn told(&mut self, told: &Told) {
        self.told.insert((told.incident.clone(), (told.channel.clone(), told.recipient.clone())));
    }

    pub(super) fn message(&mut self, key: &str) {
        self.messages.insert(key.to_owned());
    }

    /// Whether nothing was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These too.
    pub fn merge(&mut self, other: Self) {
        for (key, places) in other.incidents {
            self.incidents.entry(key).or_default().extend(places);
        }
        self.told.extend(other.told);
        self.messages.extend(other.messages);
        self.storms.extend(other.storms);
        self.forgotten.extend(other.forgotten);
    }
}

impl State {
    /// What was changed, as it is now. Messages come before who was told of them.
    #[must_use]
    pub fn records_of(&self, changed: &Changed) -> Vec<Record> {
        let mut records = Vec::new();
        for (key, places) in &changed.incidents {
            let Some(incident) = self.incidents.get(key) else { continue };
            let members = places.iter().filter_map(|place| incident.members.get(*place as usize)).cloned();
            records.push(Record::Incident(incident.head.clone(), members.collect()));
        }
        let entries = changed.messages.iter().filter_map(|key| self.entries.get(key));
        records.extend(entries.cloned().map(|entry| Record::Message(Box::new(entry))));
        for (incident, lane) in &changed.told {
            let told = self.told.get(incident).and_then(|of| of.get(lane));
            records.extend(told.cloned().map(Record::Told));
        }
        records.extend(changed.storms.iter().map(|lane| match self.storms.get(lane) {
            Some(storm) => Record::Storm(storm.clone()),
            None => Record::Calm(lane.clone()),
        }));
        records.extend(changed.forgotten.iter().cloned().map(Record::Forgotten));
        records
    }

    /// Puts back what was written down. `now`: when the node started, seconds.
    pub fn restore(&mut self, record: Record, now: f64) {
        match record {
            Record::Incident(head, members) => self.restore_incident(head, members, now),
            Record::Told(told) => {
                let lane = (told.channel.clone(), told.recipient.clone());
                self.told.entry(told.incident.clone()).or_default().insert(lane, told);
            }
            Record::Message(entry) => {
                self.made.add(entry.lane(), &entry.message.key, entry.message.created);
                match self.entries.get_mut(&entry.message.key) {
                    Some(known) => *known = Entry { order: known.order, ..*entry },
                    None => {
                        self.insert(*entry);
                    }
                }
            }
            Record::Storm(storm) => {
                self.storms.insert((storm.channel.clone(), storm.recipient.clone()), storm);
            }
            Record::Calm(lane) => drop(self.storms.remove(&lane)),
            Record::Forgotten(key) => self.drop_incident(&key),
            Record::Made(lane, keys) => {
                for (key, at) in keys {
                    self.made.add(lane.clone(), &key, at);
                }
            }
        }
    }

    fn restore_incident(&mut self, head: Head, members: Vec<Member>, now: f64) {
        let key = head.key.clone();
        self.incidents.put_part(head, members);
        self.look(&key, now);
    }

    /// Forgets an incident, without a trace in what is written down.
    pub(super) fn drop_incident(&mut self, key: &str) {
        self.incidents.forget(key);
        self.told.remove(key);
        self.looks.remove(key);
        self.silent.remove(key);
    }

    /// After all was put back: everything may be missing in the database, and messages that were on their way wait again.
    pub fn restored(&mut self) -> Changed {
        let mut all = Changed::default();
        for incident in self.incidents.iter() {
            let places = incident.members.iter().map(|m| m.place).collect();
            all.incidents.insert(incident.head.key.clone(), places);
        }
        let told = self.told.iter().flat_map(|(key, of)| of.keys().map(|lane| (key.clone(), lane.clone())));
        all.told = told.collect();
        all.messages = self.entries.keys().cloned().collect();
        self.changed = Changed::default();
        all
    }
}

/// A message's fate in JSON.
pub(super) mod fate {
    use super::Fate;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(in crate::outbox) fn serialize<S: Serializer>(fate: &Fate, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(fate.word())
    }

    pub(in crate::outbox) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Fate, D::Error> {
        let word = String::deserialize(from)?;
        Fate::of(&word).ok_or_else(|| de::Error::custom("no fate of a message"))
    }
}
