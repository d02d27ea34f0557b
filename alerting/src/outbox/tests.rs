//! Who is told what and when, on a clock that the tests set.

use super::record::{Changed, Record};
use super::storm::Limits;
use super::telling::{Context, Match, PaceOf, Rules};
use super::{Fate, State};
use crate::incident::{Incidents, Settings};
use crate::message::{Kind, Message, Severity};
use proptest::prelude::*;
use skyline_core::algorithm::{Algorithm, AlgorithmSet};
use skyline_core::anomaly::Anomaly;
use skyline_core::point::Datapoint;
use std::collections::BTreeMap;

const GATHER: f64 = 0.3;

fn anomaly(metric: &str, ts: f64) -> Anomaly {
    Anomaly {
        metric: metric.to_owned(),
        point: Datapoint::new(ts, 950.0),
        judged_value: 950.0,
        received: ts,
        asked: AlgorithmSet::ALL,
        triggered: Algorithm::ALL.into_iter().take(7).collect(),
        mean: 100.0,
        stddev: 12.5,
        window_from: ts - 86_400.0,
        window_points: 1440,
        full_duration: 86_400,
        counter: false,
        seq: 42,
    }
}

/// Email to `ops` for everything; metrics beginning with `web` to Slack as well, twice by two rules.
#[derive(Debug, Clone)]
struct Two {
    repeat: u32,
    minimum: u32,
    escalate: Option<u32>,
    /// Recipients of mail who are told then.
    escalate_to: &'static [&'static str],
    recovery: bool,
    is_muted: bool,
}

impl Default for Two {
    fn default() -> Self {
        Self {
            repeat: 1_800,
            minimum: 0,
            escalate: None,
            escalate_to: &["boss"],
            recovery: true,
            is_muted: false,
        }
    }
}

impl Rules for Two {
    fn apply(&self, metric: &str, _now: f64) -> Vec<Match> {
        let of = |rule: &str, channel: &str, recipient: &str| Match {
            rule: rule.to_owned(),
            channel: channel.to_owned(),
            recipients: vec![recipient.to_owned()],
            severity: if rule == "web" { Severity::Critical } else { Severity::Warning },
            repeat_seconds: self.repeat,
            minimum_seconds: self.minimum,
            recovery: self.recovery,
            escalate: self.escalate.map(|after| {
                (after, self.escalate_to.iter().map(|to| ("email".to_owned(), (*to).to_owned())).collect())
            }),
        };
        let mut all = vec![of("all", "email", "ops")];
        if metric.starts_with("web") {
            all.extend([of("web", "slack", "C1"), of("again", "slack", "C1")]);
        }
        all
    }

    fn is_muted(&self, _metric: &str, _rule: &str, _now: f64) -> bool {
        self.is_muted
    }

    fn longest_repeat(&self) -> f64 {
        self.repeat.into()
    }
}

#[derive(Debug)]
struct Pace;

impl PaceOf for Pace {
    fn pace(&self, channel: &str) -> f64 {
        if channel == "slack" { 5.0 } else { 300.0 }
    }
}

struct Rig {
    state: State,
    rules: Two,
    limits: Limits,
    /// What left, in order.
    left: Vec<Message>,
}

impl Rig {
    fn new(rules: Two) -> Self {
        let incidents = Incidents::new("n1", Settings::default(), 0.0);
        Self { state: State::new(incidents), rules, limits: Limits::none(), left: Vec::new() }
    }

    fn give(&mut self, metric: &str, ts: f64, now: f64) {
        let repeat = self.rules.longest_repeat();
        self.state.observe(&anomaly(metric, ts), now, GATHER, || repeat);
    }

    fn tell(&mut self, now: f64) {
        for key in self.state.tick(now) {
            self.state.silent(&key, Vec::new(), now);
        }
        let context = Context { rules: &self.rules, limits: &self.limits, pace: &Pace, now };
        self.state.tell(&context);
    }

    /// Tells, and every channel takes what there is; the kinds of what left, by recipient.
    fn step(&mut self, now: f64) -> Vec<(String, Kind)> {
        self.tell(now);
        let mut waiting: Vec<_> = self.state.waiting().map(|e| (e.order, e.message.clone())).collect();
        waiting.sort_by_key(|(order, _)| *order);
        for (_, message) in &waiting {
            self.state.sent(&message.key, Some("thread".to_owned()), "ok".to_owned(), false, now);
        }
        let kinds = waiting.iter().map(|(_, m)| (m.recipient.clone(), m.kind)).collect();
        self.left.extend(waiting.into_iter().map(|(_, m)| m));
        kinds
    }

    /// Steps once a second until then; what left.
    fn until(&mut self, from: f64, until: f64) -> Vec<(f64, String, Kind)> {
        let mut all = Vec::new();
        let mut now = from;
        while now <= until {
            all.extend(self.step(now).into_iter().map(|(recipient, kind)| (now, recipient, kind)));
            now += 1.0;
        }
        all
    }

    /// As after a crash: all that was written down, and nothing else.
    fn restart(&mut self, now: f64) {
        let records = self.state.records();
        self.state = State::new(Incidents::new("n1", Settings::default(), now));
        for record in records {
            let text = serde_json::to_string(&record).expect("JSON");
            let again: Record = serde_json::from_str(&text).expect("the same");
            assert_eq!(serde_json::to_string(&again).expect("JSON"), text);
            self.state.restore(again, now);
        }
        self.state.restored();
    }
}

fn told(recipient: &str, kind: Kind) -> (String, Kind) {
    (recipient.to_owned(), kind)
}

#[test]
fn company_is_waited_for_and_each_is_told_once() {
    let mut rig = Rig::new(Two::default());
    rig.give("web.a", 1_000.0, 1_000.0);
    assert_eq!(rig.step(1_000.2), []);
    for n in 0..499 {
        rig.give(&format!("db.{n}"), 1_000.0, 1_000.25);
    }
    rig.state.changed = Changed::default();
    assert_eq!(rig.step(1_000.31), [told("ops", Kind::Opened), told("C1", Kind::Opened)]);
    let email = rig.left.first().expect("email");
    assert!(rig.state.changed.incidents.contains_key(&email.incident), "its severity is known now");
    assert_eq!((email.member_count, email.members.len(), email.severity), (500, 200, Severity::Warning));
    let slack = rig.left.get(1).expect("slack");
    assert_eq!((slack.member_count, slack.rule.as_str(), slack.severity), (1, "web", Severity::Critical));
    assert_eq!(email.incident, slack.incident);
    assert_ne!(email.key, slack.key);
    assert_eq!(rig.until(1_001.0, 1_200.0), []);
}

#[test]
fn later_ones_are_updates_as_often_as_the_channel_wants() {
    let mut rig = Rig::new(Two::default());
    rig.give("web.a", 1_000.0, 1_000.0);
    rig.step(1_000.5);
    rig.give("web.b", 1_001.0, 1_001.0);
    rig.give("web.c", 1_002.0, 1_002.0);
    for n in 1..9 {
        rig.give("web.a", 1_000.0 + 60.0 * f64::from(n), 1_002.0);
    }
    let all = rig.until(1_003.0, 1_304.0);
    let of = |who: &str| {
        all.iter()
            .filter(|(_, r, k)| r == who && *k != Kind::Ended)
            .map(|(at, _, k)| (*at, *k))
            .collect::<Vec<_>>()
    };
    let slack = of("C1");
    assert_eq!(slack.len(), 1, "{slack:?}");
    assert!(slack.iter().all(|(at, kind)| *kind == Kind::Updated && (1_005.5..=1_007.0).contains(at)));
    let email = of("ops");
    assert_eq!(email.len(), 1, "{email:?}");
    assert!(email.iter().all(|(at, kind)| *kind == Kind::Updated && (1_300.5..=1_302.0).contains(at)));
    assert!(rig.left.iter().filter(|m| m.kind == Kind::Updated).all(|m| m.member_count == 3));
}

#[test]
fn while_one_waits_no_other_is_made() {
    let mut rig = Rig::new(Two::default());
    rig.give("a", 1_000.0, 1_000.0);
    rig.tell(1_001.0);
    rig.give("b", 1_002.0, 1_002.0);
    for n in 0..4_000 {
        rig.tell(1_003.0 + f64::from(n));
    }
    assert_eq!(rig.state.waiting().count(), 1, "the channel was away all the time");
    let kinds: Vec<_> = rig.until(6_000.0, 6_100.0).into_iter().map(|(_, _, kind)| kind).collect();
    assert_eq!(kinds, [Kind::Opened, Kind::Ended]);
    let numbers: Vec<_> = rig.left.iter().map(|m| m.number).collect();
    assert_eq!(numbers, [0, 1]);
}

#[test]
fn it_ends_once_and_is_forgotten_later() {
    let mut rig = Rig::new(Two::default());
    rig.give("a", 1_000.0, 1_000.0);
    let kinds: Vec<_> = rig.until(1_000.5, 3_000.0).into_iter().map(|(_, _, kind)| kind).collect();
    assert_eq!(kinds, [Kind::Opened, Kind::Ended]);
    let end = rig.left.last().expect("the end");
    assert_eq!((end.ended, end.members.first().and_then(|m| m.ended)), (Some(1_000.0), Some(1_000.0)));
    assert_eq!(rig.state.incidents.iter().count(), 1, "it may go on");
    rig.until(3_000.0, 5_000.0);
    assert_eq!(rig.state.incidents.iter().count(), 0);
    assert!(rig.state.told.is_empty());
}

#[test]
fn no_word_of_the_end_where_none_is_wanted() {
    let mut rig = Rig::new(Two { recovery: false, ..Two::default() });
    rig.give("a", 1_000.0, 1_000.0);
    let kinds: Vec<_> = rig.until(1_000.5, 5_000.0).into_iter().map(|(_, _, kind)| kind).collect();
    assert_eq!(kinds, [Kind::Opened]);
    assert_eq!(rig.state.incidents.iter().count(), 0);
}

#[test]
fn one_that_breaks_again_is_an_update() {
    let mut rig = Rig::new(Two::default());
    rig.give("a", 1_000.0, 1_000.0);
    rig.until(1_000.5, 1_500.0);
    rig.give("a", 2_000.0, 2_000.0);
    let kinds: Vec<_> = rig.until(2_000.5, 2_100.0).into_iter().map(|(_, _, kind)| kind).collect();
    assert_eq!(kinds, [Kind::Updated]);
    let kinds: Vec<_> = rig.until(2_100.0, 6_000.0).into_iter().map(|(_, _, kind)| kind).collect();
    assert_eq!(kinds.last(), Some(&Kind::Ended));
}

#[test]
fn it_is_told_again_while_it_goes_on() {
    let mut rig = Rig::new(Two { repeat: 600, ..Two::default() });
    let mut reminders = Vec::new();
    for minute in 0..40 {
        let now = 1_000.0 + 60.0 * f64::from(minute);
        rig.give("a", now, now);
        reminders.extend(rig.until(now + 0.5, now + 59.0));
    }
    let kinds: Vec<_> = reminders.iter().map(|(_, _, kind)| *kind).collect();
    assert_eq!(kinds, [Kind::Opened, Kind::Updated, Kind::Updated, Kind::Updated]);
}

#[test]
fn who_has_seen_it_is_not_reminded() {
    let mut rig = Rig::new(Two { repeat: 600, ..Two::default() });
    rig.give("a", 1_000.0, 1_000.0);
    rig.step(1_000.5);
    let key = rig.left.first().expect("one").incident.clone();
    assert!(rig.state.acknowledge(&key, "ann", 1_010.0));
    let mut all = Vec::new();
    for minute in 1..40 {
        let now = 1_000.0 + 60.0 * f64::from(minute);
        rig.give("a", now, now);
        all.extend(rig.until(now + 0.5, now + 59.0));
    }
    assert_eq!(all, []);
    rig.give("b", 1_100.0, 3_400.0);
    let kinds: Vec<_> = rig.until(3_400.0, 3_420.0).into_iter().map(|(_, _, kind)| kind).collect();
    assert_eq!(kinds, [Kind::Updated], "what is new is told");
}

#[test]
fn what_does_not_last_is_not_told() {
    let mut rig = Rig::new(Two { minimum: 120, ..Two::default() });
    rig.give("a", 1_000.0, 1_000.0);
    rig.give("b", 1_000.0, 1_000.0);
    rig.give("a", 1_060.0, 1_060.0);
    assert_eq!(rig.until(1_060.5, 1_119.0), []);
    rig.give("a", 1_120.0, 1_120.0);
    let kinds: Vec<_> = rig.until(1_120.5, 1_130.0).into_iter().map(|(_, _, kind)| kind).collect();
    assert_eq!(kinds, [Kind::Opened]);
    assert_eq!(rig.left.first().expect("one").member_count, 1);
}

#[test]
fn nobody_has_seen_it() {
    for is_seen in [false, true] {
        let mut rig = Rig::new(Two { escalate: Some(900), repeat: 0, ..Two::default() });
        rig.give("a", 1_000.0, 1_000.0);
        rig.step(1_000.5);
        let key = rig.left.first().expect("one").incident.clone();
        if is_seen {
            assert!(rig.state.acknowledge(&key, "ann", 1_010.0));
        }
        let mut all = Vec::new();
        for minute in 1..20 {
            let now = 1_000.0 + 60.0 * f64::from(minute);
            rig.give("a", now, now);
            all.extend(rig.until(now, now + 59.0).into_iter().map(|(_, who, kind)| (who, kind)));
        }
        let expected = if is_seen { vec![] } else { vec![told("boss", Kind::Escalated)] };
        assert_eq!(all, expected, "seen: {is_seen}");
    }
}

/// Metric `a` goes on for forty minutes; what left, and after how many seconds. `restarts`: the node dies every minute.
fn goes_on(rules: Two, restarts: bool) -> Vec<(f64, String, Kind)> {
    let mut rig = Rig::new(rules);
    let mut all = Vec::new();
    for minute in 0..40 {
        let now = 1_000.0 + 60.0 * f64::from(minute);
        rig.give("a", now, now);
        all.extend(rig.until(now + 0.5, now + 59.5));
        if restarts {
            rig.restart(now + 59.75);
        }
    }
    all.into_iter().map(|(at, who, kind)| ((at - 1_000.0).floor(), who, kind)).collect()
}

#[test]
fn who_was_told_is_told_once_that_nobody_has_seen_it() {
    for restarts in [false, true] {
        let rules = Two { escalate: Some(900), escalate_to: &["ops", "boss"], repeat: 0, ..Two::default() };
        let all = goes_on(rules, restarts);
        let kinds: Vec<_> = all.iter().map(|(_, who, kind)| told(who, *kind)).collect();
        let expected =
            [told("ops", Kind::Opened), told("boss", Kind::Escalated), told("ops", Kind::Escalated)];
        assert_eq!(kinds, expected, "{restarts}");
        assert!(all.iter().skip(1).all(|(at, _, _)| (900.0..=911.0).contains(at)), "{all:?}");
    }
}

#[test]
fn who_is_told_late_has_the_time_to_acknowledge() {
    let rules =
        Two { escalate: Some(600), escalate_to: &["ops"], minimum: 1_200, repeat: 0, ..Two::default() };
    let all = goes_on(rules, false);
    let [(opened, _, Kind::Opened), (escalated, _, Kind::Escalated)] = all.as_slice() else {
        panic!("{all:?}");
    };
    assert!(
        (1_200.0..=1_211.0).contains(opened) && (600.0..=611.0).contains(&(escalated - opened)),
        "{all:?}"
    );
}

#[test]
fn what_is_over_does_not_escalate() {
    let mut rig = Rig::new(Two { escalate: Some(900), escalate_to: &["ops"], repeat: 0, ..Two::default() });
    rig.give("a", 1_000.0, 1_000.0);
    let kinds: Vec<_> = rig.until(1_000.5, 3_000.0).into_iter().map(|(_, _, kind)| kind).collect();
    assert_eq!(kinds, [Kind::Opened, Kind::Ended]);
}

#[test]
fn a_recipient_that_is_refused_is_left_alone() {
    let mut rig = Rig::new(Two::default());
    rig.give("a", 1_000.0, 1_000.0);
    rig.tell(1_001.0);
    let key = rig.state.waiting().next().expect("one").message.key.clone();
    rig.state.dead(&key, "no such address".to_owned(), true, 1_002.0);
    assert_eq!(rig.until(1_003.0, 5_000.0), []);
    assert_eq!(rig.state.entries.get(&key).expect("kept").fate, Fate::Dead);
}

#[test]
fn a_storm_is_two_messages_that_name_all() {
    let mut rig = Rig::new(Two::default());
    rig.limits = Limits {
        window: 600.0,
        of: BTreeMap::from([("email".to_owned(), 3)]).into_iter().collect(),
        other: None,
    };
    let mut now = 1_000.0;
    for n in 0..10 {
        rig.give(&format!("m{n}"), now, now);
        rig.until(now + 0.5, now + 20.0);
        // Each is an incident of its own.
        now += 125.0;
        rig.until(now - 100.0, now - 1.0);
    }
    rig.until(now, now + 3_000.0);
    let opened: Vec<_> = rig.left.iter().filter(|m| m.kind == Kind::Opened).collect();
    let notices: Vec<_> = rig.left.iter().filter(|m| m.kind == Kind::HeldBack).collect();
    assert!(opened.len() < 10 && notices.len() >= 2, "{} {}", opened.len(), notices.len());
    assert!(notices.iter().any(|m| m.ended.is_none()) && notices.iter().any(|m| m.ended.is_some()));
    // What ends one is known as what began it.
    let matters = |is_end: bool| -> Vec<&str> {
        notices.iter().filter(|m| m.ended.is_some() == is_end).map(|m| m.matter()).collect()
    };
    assert_eq!(matters(false), matters(true));
    let ends: Vec<_> = notices.iter().flat_map(|m| &m.lines).collect();
    for n in 0..10 {
        let name = format!("m{n}");
        let is_told = opened.iter().any(|m| m.members.iter().any(|m| m.metric == name));
        let is_named = ends.iter().any(|line| line.ends_with(&format!(" {name}")));
        assert!(is_told ^ is_named, "{name}: {is_told} {is_named}");
    }
    assert!(rig.state.storms.is_empty());
}

#[test]
fn a_return_is_a_round_of_its_own() {
    let mut rig = Rig::new(Two { escalate: Some(900), repeat: 3_600, ..Two::default() });
    rig.give("a", 1_000.0, 1_000.0);
    rig.until(1_000.5, 1_010.0);
    let key = rig.left.first().expect("one").incident.clone();
    assert!(rig.state.acknowledge(&key, "ann", 1_010.0));
    rig.until(1_011.0, 1_500.0);
    let mut all = Vec::new();
    for minute in 0..20 {
        let now = 3_000.0 + 60.0 * f64::from(minute);
        rig.give("a", now, now);
        all.extend(rig.until(now + 0.5, now + 59.0));
    }
    let boss: Vec<_> = all.iter().filter(|(_, who, _)| who == "boss").collect();
    assert_eq!(boss.len(), 1, "{all:?}");
    assert!(boss.iter().all(|(at, _, kind)| *kind == Kind::Escalated && (3_900.0..=3_915.0).contains(at)));
}

#[test]
fn silence_is_no_part_of_what_lasts() {
    let mut rig = Rig::new(Two { minimum: 120, ..Two::default() });
    rig.give("a", 1_000.0, 1_000.0);
    rig.until(1_000.5, 1_400.0);
    rig.give("a", 2_000.0, 2_000.0);
    assert_eq!(rig.until(2_000.5, 2_059.0), []);
    rig.give("a", 2_120.0, 2_120.0);
    let kinds: Vec<_> = rig.until(2_120.5, 2_130.0).into_iter().map(|(_, _, kind)| kind).collect();
    assert_eq!(kinds, [Kind::Opened]);
}

#[test]
fn what_was_muted_since_is_not_told_to_have_ended() {
    let mut rig = Rig::new(Two::default());
    rig.give("a", 1_000.0, 1_000.0);
    rig.until(1_000.5, 1_010.0);
    rig.rules.is_muted = true;
    assert_eq!(rig.until(1_011.0, 2_000.0), []);
}

#[test]
fn limits_outlive_a_restart() {
    let mut rig = Rig::new(Two::default());
    rig.give("a", 1_000.0, 1_000.0);
    rig.step(1_000.5);
    let lane = ("email".to_owned(), "ops".to_owned());
    let key = rig.left.first().expect("one").key.clone();
    // The database has it.
    rig.state.entries.remove(&key);
    for n in 0..3 {
        rig.restart(1_001.0 + f64::from(n));
        assert_eq!(rig.state.made.since(&lane, 900.0), 1);
    }
    let again = rig.left.first().expect("one").clone();
    rig.state.put(again.clone(), 1_010.0);
    assert_eq!(rig.state.waiting().count(), 0, "the same key is sent once");
    rig.state.again(again, 1_010.0);
    assert_eq!(rig.state.waiting().count(), 1, "unless somebody wants it");
}

#[test]
fn a_recipient_who_comes_later_is_told_at_once() {
    let mut rig = Rig::new(Two::default());
    rig.give("a", 1_000.0, 1_000.0);
    rig.step(1_000.5);
    rig.give("web.a", 1_005.0, 1_005.0);
    assert_eq!(rig.step(1_005.35), [told("C1", Kind::Opened)]);
}

#[test]
fn a_retry_takes_the_recipient_back() {
    let mut rig = Rig::new(Two::default());
    rig.give("a", 1_000.0, 1_000.0);
    rig.tell(1_001.0);
    let message = rig.state.waiting().next().expect("one").message.clone();
    rig.state.dead(&message.key, "no such address".to_owned(), true, 1_002.0);
    rig.state.again(message, 1_003.0);
    let kinds: Vec<_> = rig.until(1_003.0, 2_000.0).into_iter().map(|(_, _, kind)| kind).collect();
    assert_eq!(kinds, [Kind::Opened, Kind::Ended]);
}

#[test]
fn a_message_that_is_tried_often_counts_once_after_a_crash() {
    let mut rig = Rig::new(Two::default());
    rig.limits = Limits {
        window: 1_800.0,
        of: BTreeMap::from([("email".to_owned(), 3)]).into_iter().collect(),
        other: None,
    };
    let mut written = Vec::new();
    rig.give("m", 1_000.0, 1_000.0);
    rig.tell(1_001.0);
    let key = rig.state.waiting().next().expect("a message").message.key.clone();
    for attempt in 0..5 {
        written.extend(rig.state.records());
        rig.state.failed(&key, "away".to_owned(), 1_002.0 + f64::from(attempt));
    }
    rig.state = State::new(Incidents::new("n1", Settings::default(), 1_010.0));
    for record in written {
        rig.state.restore(record, 1_010.0);
    }
    rig.step(1_010.0);
    rig.give("n", 1_200.0, 1_200.0);
    assert_eq!(
        rig.until(1_201.0, 1_203.0),
        [(1_201.0, "ops".to_owned(), Kind::Opened)],
        "it is not held back"
    );
}

#[test]
fn a_large_incident_is_put_back_in_time() {
    let mut rig = Rig::new(Two::default());
    let start = std::time::Instant::now();
    for round in 0..3 {
        for n in 0..20_000 {
            rig.give(&format!("m{n}"), 1_000.0 + f64::from(round), 1_000.0 + f64::from(round));
            let changed = std::mem::take(&mut rig.state.changed);
            for record in rig.state.records_of(&changed) {
                rig.state.restore(record, 1_000.0);
            }
        }
    }
    // With work for each member at each record it would take a quarter of an hour.
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
    assert_eq!(rig.state.incidents.iter().map(|i| i.members.len()).sum::<usize>(), 20_000);
}

#[test]
fn a_clock_that_is_set_back_holds_nothing() {
    let (ahead, right) = (1_000_000_000.0, 1_000.0);
    let mut rig = Rig::new(Two { repeat: 600, ..Two::default() });
    rig.state = State::new(Incidents::new("n1", Settings::default(), ahead));
    rig.give("m", ahead, ahead);
    rig.tell(ahead + 1.0);
    let key = rig.state.waiting().next().expect("a message").message.key.clone();
    rig.state.failed(&key, "away".to_owned(), ahead + 60.0);
    rig.state.set_back(right);
    assert!(rig.state.waiting().all(|entry| entry.not_before <= right && entry.since <= right));
    assert!(rig.state.next_look().is_none_or(|at| at <= right));
    assert_eq!(rig.step(right), [told("ops", Kind::Opened)]);
    assert_eq!(rig.until(right + 1.0, right + 320.0).pop().map(|(_, _, kind)| kind), Some(Kind::Ended));
}

proptest! {
    // Each case is hours of an incident.
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever happens and whenever the node dies: each incident is opened once for each recipient, its messages are
    /// numbered without a gap, and none comes after the end but by going on.
    #[test]
    fn each_is_told_in_order(
        steps in prop::collection::vec((0_u8..5, 1_u32..500, any::<bool>(), any::<bool>(), any::<bool>()), 1..60)
    ) {
        let mut rig = Rig::new(Two::default());
        let mut now = 1_000.0;
        for (metric, pause, takes, dies, again) in steps {
            now += f64::from(pause);
            let name = if metric < 2 { format!("web.{metric}") } else { format!("m{metric}") };
            rig.give(&name, now, now);
            if again {
                rig.give(&name, now, now + 0.1);
            }
            if takes {
                rig.until(now + 0.5, now + 2.5);
            } else {
                rig.tell(now + 0.5);
            }
            if dies {
                rig.restart(now + 1.0);
            }
        }
        rig.until(now + 3.0, now + 3_700.0);
        prop_assert_eq!(rig.state.waiting().count(), 0);
        let mut by_lane: BTreeMap<_, Vec<&Message>> = BTreeMap::new();
        for message in &rig.left {
            by_lane.entry((message.incident.clone(), message.channel.clone(), message.recipient.clone())).or_default().push(message);
        }
        for (lane, messages) in by_lane {
            for (n, message) in messages.iter().enumerate() {
                prop_assert_eq!(message.number as usize, n, "{:?}", lane);
                prop_assert_eq!(message.kind == Kind::Opened, n == 0, "{:?}", lane);
                if n > 0 && message.kind == Kind::Ended {
                    prop_assert_ne!(messages[n - 1].kind, Kind::Ended);
                }
            }
            prop_assert_eq!(messages.last().map(|m| m.kind), Some(Kind::Ended), "{:?}", lane);
        }
    }

    /// Every prefix of what was written down, read back, is the memory as it was.
    #[test]
    fn what_is_written_down_is_what_is_remembered(
        steps in prop::collection::vec((0_u8..5, 1_u32..500, any::<bool>()), 1..30)
    ) {
        let mut rig = Rig::new(Two::default());
        let mut again = State::new(Incidents::new("n1", Settings::default(), 0.0));
        let mut now = 1_000.0;
        for (metric, pause, takes) in steps {
            now += f64::from(pause);
            rig.give(&format!("web.{metric}"), now, now);
            if takes { rig.step(now + 0.5); } else { rig.tell(now + 0.5); }
            let changed = std::mem::take(&mut rig.state.changed);
            for record in rig.state.records_of(&changed) {
                again.restore(record, now);
            }
            let sorted = |state: &State| {
                let mut all: Vec<_> = state.records().iter().filter(|r| !matches!(r, Record::Made(..))).map(|r| serde_json::to_string(r).expect("JSON")).collect();
                all.sort();
                all
            };
            prop_assert_eq!(sorted(&again), sorted(&rig.state));
        }
    }
}
