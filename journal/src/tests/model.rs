//! The journal against a model of it: random appends, takes, dones, rewinds, skips, crashes.
//!
//! The value of each point is its sequence number. The model keeps, for each reader, the set of
//! its points that are neither delivered nor shed.

use super::*;
use crate::Scope;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const READERS: [&str; 3] = ["all", "a", "b"];

/// The set of each point of a batch: bit 0 for reader a, bit 1 for reader b.
#[derive(Clone)]
struct Sets(Vec<u8>);

impl std::fmt::Debug for Sets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.iter().map(u8::to_string).collect::<String>())
    }
}

#[derive(Debug, Clone)]
enum Action {
    Append(Sets),
    Take(usize, usize),
    Done(usize, u64),
    Rewind(usize, u64),
    Back(u64),
    ShedTo(usize, u64),
    Skip(usize),
    Drop(usize),
    Sync,
    Tend,
    Reopen,
    Crash,
}

fn action() -> impl Strategy<Value = Action> {
    let uniform = (0_u8..4, 1_usize..40).prop_map(|(set, n)| Action::Append(Sets(vec![set; n])));
    let mixed = prop::collection::vec(0_u8..4, 1..40).prop_map(|sets| Action::Append(Sets(sets)));
    prop_oneof![
        6 => uniform,
        6 => mixed,
        8 => (0..3_usize, 1_usize..120).prop_map(|(r, n)| Action::Take(r, n)),
        6 => (0..3_usize, 0_u64..=10).prop_map(|(r, n)| Action::Done(r, n)),
        2 => (0..3_usize, 0_u64..=10).prop_map(|(r, n)| Action::Rewind(r, n)),
        1 => (0_u64..60).prop_map(Action::Back),
        1 => (1..3_usize, 0_u64..60).prop_map(|(r, n)| Action::ShedTo(r, n)),
        1 => (1..3_usize).prop_map(Action::Skip),
        1 => (0..3_usize).prop_map(Action::Drop),
        1 => Just(Action::Sync),
        3 => Just(Action::Tend),
        1 => Just(Action::Reopen),
        1 => Just(Action::Crash),
    ]
}

#[derive(Debug, Default)]
struct ModelReader {
    /// All points that ever were its own.
    own: BTreeSet<u64>,
    /// Of them, those neither delivered nor shed.
    unsettled: BTreeSet<u64>,
    /// Taken and not called done, and whether it was not done before.
    taken: BTreeMap<u64, bool>,
    cursor: u64,
    delivered: u64,
    shed: u64,
    saved_position: u64,
}

struct World {
    dir: tempfile::TempDir,
    journal: Option<Journal>,
    readers: Vec<Reader>,
    model: Vec<ModelReader>,
    end: u64,
    start: u64,
    shed_segments: u64,
}

fn small(dir: &Path) -> Options {
    Options { max_bytes: 24 << 10, segment_bytes: 4 << 10, memory_bytes: 3 << 10, ..options(dir) }
}

fn scope(reader: usize) -> Scope {
    if reader == 0 { Scope::Everything } else { Scope::Routed }
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut world = Self {
            dir,
            journal: None,
            readers: Vec::new(),
            model: Vec::from_iter((0..3).map(|_| ModelReader::default())),
            end: 0,
            start: 0,
            shed_segments: 0,
        };
        world.open();
        world
    }

    fn open(&mut self) {
        let (journal, recovered) = open(small(self.dir.path()));
        assert_eq!((recovered.end, recovered.lost_points, recovered.torn_bytes), (self.end, 0, 0));
        self.shed_segments = 0;
        let readers = READERS.iter().enumerate().map(|(n, name)| journal.reader(name, scope(n)).unwrap());
        self.readers = readers.collect();
        self.journal = Some(journal);
    }

    fn journal(&self) -> &Journal {
        self.journal.as_ref().unwrap()
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Append(sets) => self.append(&sets.0),
            Action::Take(reader, max) => self.take(*reader, *max),
            Action::Done(reader, tenths) => {
                let seq = self.between(*reader, *tenths);
                self.done(*reader, seq);
            }
            Action::Rewind(reader, tenths) => {
                let seq = self.between(*reader, *tenths);
                self.rewind(*reader, seq);
            }
            Action::Back(by) => {
                let seq = self.readers[0].position().saturating_sub(*by);
                self.rewind(0, seq);
            }
            Action::ShedTo(reader, points) => {
                let waiting = self.model[*reader].unsettled.len() as u64;
                let shed = self.readers[*reader].shed_to(*points).unwrap();
                // More where a segment with points in flight is gone already.
                assert!(shed == waiting.saturating_sub(*points) || (shed > 0 && self.start > 0));
                self.skipped(*reader, shed);
            }
            Action::Skip(reader) => {
                self.readers[*reader].skip_to_now();
                self.skipped(*reader, u64::MAX);
                assert_eq!(self.readers[*reader].position(), self.end);
            }
            Action::Drop(reader) => self.again(*reader),
            Action::Sync => {
                self.journal().sync().unwrap();
                self.saved();
            }
            Action::Tend => self.tend(),
            Action::Reopen => self.reopen(),
            Action::Crash => self.crash(),
        }
    }

    fn between(&self, reader: usize, tenths: u64) -> u64 {
        let (position, cursor) = (self.readers[reader].position(), self.readers[reader].cursor());
        position + cursor.saturating_sub(position) * tenths / 10
    }

    fn append(&mut self, sets: &[u8]) {
        let numbers: Vec<RouteSet> = [&[][..], &["a"], &["b"], &["a", "b"]]
            .map(|names: &[&str]| self.journal().route_set(names))
            .to_vec();
        let routes = Routes::PerSample(sets.iter().map(|set| numbers[*set as usize]).collect());
        let logged = append(self.journal(), batch(self.end, sets.len() as u64, routes)).unwrap();
        assert_eq!(logged.first_seq, self.end);
        for (seq, set) in (self.end..).zip(sets) {
            for (reader, model) in self.model.iter_mut().enumerate() {
                if reader == 0 || set & reader as u8 != 0 {
                    model.own.insert(seq);
                    model.unsettled.insert(seq);
                }
            }
        }
        self.end += sets.len() as u64;
    }

    fn take(&mut self, reader: usize, max: usize) {
        let (handle, model) = (&mut self.readers[reader], &mut self.model[reader]);
        let (cursor, position) = (handle.cursor(), handle.position());
        let mut out = Vec::new();
        handle.take(max, &mut out).unwrap();
        let through = handle.cursor();
        let expected: Vec<u64> = model.own.range(cursor.max(self.start)..through).copied().collect();
        assert_eq!(values(&out), expected, "reader {reader} from {cursor} to {through}");
        assert!(!out.is_empty() || through == self.end);
        assert!(expected.len() <= max.saturating_add(80));
        model.taken.extend(expected.into_iter().map(|seq| (seq, seq >= position)));
    }

    fn done(&mut self, reader: usize, seq: u64) {
        let model = &mut self.model[reader];
        let later = model.taken.split_off(&seq);
        let counted: Vec<u64> = model.taken.iter().filter(|(_, new)| **new).map(|(seq, _)| *seq).collect();
        model.taken = later;
        self.readers[reader].done(seq, counted.len() as u64);
        for seq in counted {
            model.delivered += 1;
            if !model.unsettled.remove(&seq) {
                model.shed -= 1;
            }
        }
    }

    fn rewind(&mut self, reader: usize, seq: u64) {
        let is_settled = seq < self.readers[reader].position();
        self.readers[reader].rewind(seq);
        let model = &mut self.model[reader];
        let seq = seq.min(model.cursor);
        if is_settled {
            // What was shed in flight is no longer asked about.
            model.taken.values_mut().for_each(|new| *new = false);
        }
        let undone = model.taken.split_off(&seq);
        for seq in undone.keys().filter(|seq| **seq < self.start) {
            model.shed += u64::from(model.unsettled.remove(seq));
        }
        model.cursor = seq;
    }

    fn skipped(&mut self, reader: usize, points: u64) {
        let model = &mut self.model[reader];
        for _ in 0..points {
            if model.unsettled.pop_first().is_none() {
                break;
            }
            model.shed += 1;
        }
    }

    /// The handle goes and comes back.
    fn again(&mut self, reader: usize) {
        let old = self.readers.remove(reader);
        drop(old);
        let new = self.journal().reader(READERS[reader], scope(reader)).unwrap();
        self.readers.insert(reader, new);
        self.forget_taken(reader);
    }

    fn forget_taken(&mut self, reader: usize) {
        let (start, model) = (self.start, &mut self.model[reader]);
        for seq in std::mem::take(&mut model.taken).into_keys().filter(|seq| *seq < start) {
            model.shed += u64::from(model.unsettled.remove(&seq));
        }
        model.cursor = self.readers[reader].cursor();
    }

    fn tend(&mut self) {
        self.journal().shared().tend();
        self.saved();
    }

    fn saved(&mut self) {
        for (reader, model) in self.readers.iter().zip(&mut self.model) {
            model.saved_position = reader.position();
        }
    }

    fn reopen(&mut self) {
        self.tend();
        self.readers.clear();
        self.journal = None;
        self.open();
        for reader in 0..3 {
            self.forget_taken(reader);
        }
    }

    fn crash(&mut self) {
        let positions: Vec<u64> = self.readers.iter().map(Reader::position).collect();
        self.readers.clear();
        self.journal.take().unwrap().crash();
        self.open();
        for (n, (reader, model)) in self.readers.iter().zip(&mut self.model).enumerate() {
            let position = reader.position();
            let latest = positions[n].max(self.start);
            assert!((model.saved_position..=latest).contains(&position), "reader {n} at {position}");
            let (_, delivered, _, shed) = account(reader);
            model.taken.clear();
            model.unsettled = model.own.range(position..).copied().collect();
            assert_eq!(delivered + shed, model.own.range(..position).count() as u64, "reader {n}");
            (model.delivered, model.shed, model.cursor) = (delivered, shed, position);
        }
    }

    /// Charges what the budget took since the last look, then compares everything.
    fn check(&mut self) {
        let start = self.journal().start();
        let shed_segments = lock(&self.journal().shared().log).counters.shed_segments;
        for (n, (reader, model)) in self.readers.iter().zip(&mut self.model).enumerate() {
            let unread: Vec<u64> = model.unsettled.range(..start).copied().collect();
            for seq in unread.into_iter().filter(|seq| !model.taken.contains_key(seq)) {
                assert!(shed_segments > self.shed_segments, "reader {n} lost {seq} for nothing");
                model.unsettled.remove(&seq);
                model.shed += 1;
            }
            model.cursor = reader.cursor();
            let waiting = model.unsettled.len() as u64;
            let expected = (model.own.len() as u64, model.delivered, waiting, model.shed);
            assert_eq!(account(reader), expected, "reader {n}: routed, delivered, waiting, shed");
            let first = model.unsettled.first().copied().unwrap_or(self.end);
            assert!(reader.position() <= first, "reader {n}: {} {first}", reader.position());
        }
        assert_eq!(mismatches(self.journal()), 0);
        assert_eq!(self.journal().end(), self.end);
        assert!(lock(&self.journal().shared().log).bytes() <= (24 << 10) + (4 << 10));
        (self.start, self.shed_segments) = (start, shed_segments);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 5_000, ..ProptestConfig::default() })]

    #[test]
    fn behaves_as_the_model(actions in prop::collection::vec(action(), 1..120)) {
        let mut world = World::new();
        for action in &actions {
            world.act(action);
            world.check();
        }
        for reader in 0..3 {
            while world.readers[reader].cursor() < world.end {
                world.take(reader, 1000);
            }
            world.done(reader, world.end);
            world.check();
            prop_assert!(world.model[reader].unsettled.is_empty());
        }
    }
}
