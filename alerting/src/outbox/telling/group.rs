//! What each recipient has to do with an incident: the rules of all its members, put together.

use super::{Context, Match};
use crate::incident::{Incident, Member};
use crate::message::Severity;
use crate::outbox::{Lane, Told};
use std::collections::{BTreeMap, BTreeSet};

/// What one recipient is to be told of an incident.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    pub(super) rule: String,
    pub(super) severity: Severity,
    pub(super) repeat: u32,
    pub(super) recovery: bool,
    /// Nothing but escalations brings it to them.
    pub(super) is_escalation_only: bool,
    /// An escalation that is due, after so long without an acknowledgement, seconds.
    pub(super) escalate: Option<u32>,
    /// Whether one of them goes on.
    pub(super) is_open: bool,
    /// Places of members that are told: those that are over are news as well, but none for themselves.
    pub(super) members: BTreeSet<u32>,
}

impl Group {
    /// Whether somebody who was told before is told now that nobody has acknowledged it: once, and not before they
    /// had the time to. `round`: since when somebody may have seen the incident, seconds.
    pub(super) fn escalates_to(&self, told: &Told, round: f64, now: f64) -> bool {
        let Some(after) = self.escalate.map(f64::from) else { return false };
        // Who was told when the time was up already has the same time from then on.
        let since = if told.first - round < after { round } else { told.first };
        !told.is_escalated && now - since >= after
    }

    fn add(&mut self, found: &Match, member: &Member, escalate: Option<u32>) {
        self.severity = self.severity.max(found.severity);
        self.recovery |= found.recovery;
        self.is_escalation_only &= escalate.is_some();
        // What is over is nothing that somebody should still look at.
        let escalate = escalate.filter(|_| member.told.ended.is_none());
        self.escalate = self.escalate.into_iter().chain(escalate).min();
        self.repeat = match (self.repeat, found.repeat_seconds) {
            (0, repeat) | (repeat, 0) => repeat,
            (a, b) => a.min(b),
        };
        self.is_open |= member.told.ended.is_none();
        self.members.insert(member.place);
    }
}

/// Who is to be told. One recipient of one channel is told once, whatever number of rules say so.
pub(super) fn groups(
    incident: &Incident,
    context: &Context<'_>,
    is_pending: &mut bool,
) -> BTreeMap<Lane, Group> {
    let now = context.now;
    let mut groups: BTreeMap<Lane, Group> = BTreeMap::new();
    let mut add = |lane: Lane, found: &Match, member: &Member, escalate: Option<u32>| {
        let group = groups.entry(lane).or_insert_with(|| Group {
            rule: found.rule.clone(),
            severity: found.severity,
            repeat: found.repeat_seconds,
            recovery: found.recovery,
            is_escalation_only: true,
            escalate: None,
            is_open: false,
            members: BTreeSet::new(),
        });
        group.add(found, member, escalate);
    };
    for member in &incident.members {
        for found in context.rules.apply(&member.told.metric, now) {
            if member.lasted() < f64::from(found.minimum_seconds) {
                *is_pending |= member.told.ended.is_none();
                continue;
            }
            for recipient in &found.recipients {
                add((found.channel.clone(), recipient.clone()), &found, member, None);
            }
            let Some((after, to)) = &found.escalate else { continue };
            if incident.head.acknowledged.is_none() && now - incident.head.round() >= f64::from(*after) {
                for lane in to {
                    add(lane.clone(), &found, member, Some(*after));
                }
            }
        }
    }
    groups
}
