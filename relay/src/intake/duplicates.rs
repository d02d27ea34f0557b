//! Two feeds that bring the same points: each is taken once.
//!
//! A point is a duplicate if another sender brought the same name, time and value less than a window ago. What
//! one sender repeats goes on, as without this. The newest points are remembered, up to a number that is set:
//! about 50 bytes each, all of them made at the start; when more come within a window, the oldest are
//! forgotten, and a duplicate of one of those goes on. The table is locked once a batch.

use hashbrown::HashTable;
use skyline_core::batch::{Batch, Sample};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// For the points of a batch, in their order: how many from the start on, and the feed that brought them since
/// the entry before.
pub(crate) type Feeds<'a> = &'a [(usize, u32)];

/// What is remembered of the points of all feeds.
#[derive(Debug)]
pub(super) struct Duplicates {
    seconds: f64,
    table: Mutex<Table>,
}

/// Points of a batch that nobody had brought before.
#[derive(Debug)]
pub(super) struct Fresh {
    of: Arc<Duplicates>,
    points: Vec<Point>,
}

/// Name (its hash), time and value (their bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Point {
    name: u64,
    time: u64,
    value: u64,
}

/// A point that was taken.
#[derive(Debug, Clone, Copy)]
struct Taken {
    point: Point,
    at: f64,
    feed: u32,
    /// It did not get into the journal.
    is_void: bool,
}

/// The points taken, oldest first in a ring, and where each is in it.
#[derive(Debug)]
struct Table {
    /// Points that the ring holds at most.
    most: usize,
    ring: Vec<Taken>,
    /// Index of the oldest.
    oldest: usize,
    /// Taken points, from the oldest on.
    length: usize,
    places: HashTable<u32>,
}

impl Point {
    fn of(sample: &Sample) -> Self {
        Self { name: sample.hash, time: sample.ts.to_bits(), value: sample.value.to_bits() }
    }

    /// Spreads what differs: many points of one name, many names of one time.
    const fn hash(&self) -> u64 {
        let mixed = self.name ^ self.time.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_add(self.value.wrapping_mul(0xbf58_476d_1ce4_e5b9));
        (mixed ^ (mixed >> 32)).wrapping_mul(0x94d0_49bb_1331_11eb)
    }
}

impl Duplicates {
    /// Remembers at most `most` points, each for `seconds`.
    pub(super) fn new(seconds: f64, most: usize) -> Self {
        let most = most.clamp(1, u32::MAX as usize);
        let table = Table {
            most,
            ring: Vec::with_capacity(most),
            oldest: 0,
            length: 0,
            places: HashTable::with_capacity(most),
        };
        Self { seconds, table: Mutex::new(table) }
    }

    /// Whether it is made like this.
    pub(super) fn is(&self, seconds: f64, most: usize) -> bool {
        self.seconds.to_bits() == seconds.to_bits() && self.table().most == most
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the duplicates out of `batch`; the points that are new.
    pub(super) fn filter(self: &Arc<Self>, batch: &mut Batch, feeds: Feeds<'_>) -> Fresh {
        let now = batch.received;
        let mut fresh = Vec::with_capacity(batch.len());
        let mut feeds = feeds.iter().copied();
        let (mut until, mut feed) = feeds.next().unwrap_or((usize::MAX, 0));
        let mut at = 0;
        let mut table = self.table();
        table.forget_old(now, self.seconds);
        batch.retain(|sample| {
            while at >= until {
                (until, feed) = feeds.next().unwrap_or((usize::MAX, feed));
            }
            at += 1;
            let taken = Taken { point: Point::of(sample), at: now, feed, is_void: false };
            match table.met(&taken, self.seconds) {
                Met::New => {
                    table.add(taken);
                    fresh.push(taken.point);
                    true
                }
                Met::Repeat => true,
                Met::Duplicate => false,
            }
        });
        drop(table);
        Fresh { of: Arc::clone(self), points: fresh }
    }
}

impl Fresh {
    /// These points did not get into the journal: whoever brings them next is the first.
    pub(super) fn void(&self) {
        let mut table = self.of.table();
        for point in &self.points {
            table.void(point);
        }
    }
}

/// What is known of a point that comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Met {
    /// Nothing, or it is long ago.
    New,
    /// The same sender brought it.
    Repeat,
    /// Another did.
    Duplicate,
}

impl Table {
    fn find(&self, point: &Point) -> Option<u32> {
        let is_it = |place: &u32| self.ring.get(*place as usize).is_some_and(|taken| taken.point == *point);
        self.places.find(point.hash(), is_it).copied()
    }

    fn met(&mut self, new: &Taken, seconds: f64) -> Met {
        let Some(known) = self.find(&new.point).and_then(|place| self.ring.get_mut(place as usize)) else {
            return Met::New;
        };
        if (new.at - known.at).abs() >= seconds {
            // A clock that was set: it begins anew where it is.
            (known.at, known.feed) = (new.at, new.feed);
            return Met::Repeat;
        }
        if known.feed == new.feed { Met::Repeat } else { Met::Duplicate }
    }

    /// Adds what is not there.
    fn add(&mut self, taken: Taken) {
        if self.length == self.most {
            self.forget_oldest();
        }
        let place = (self.oldest + self.length) % self.most;
        match self.ring.get_mut(place) {
            Some(slot) => *slot = taken,
            None => self.ring.push(taken),
        }
        self.length += 1;
        let ring = &self.ring;
        let hash = |place: &u32| ring.get(*place as usize).map_or(0, |taken| taken.point.hash());
        self.places.insert_unique(taken.point.hash(), place as u32, hash);
    }

    fn forget_old(&mut self, now: f64, seconds: f64) {
        while self.length > 0
            && self.ring.get(self.oldest).is_some_and(|oldest| (now - oldest.at).abs() >= seconds)
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(taken) = self.ring.get(self.oldest).copied()
            && !taken.is_void
        {
            self.leave(&taken.point);
        }
        self.length -= 1;
        self.oldest = (self.oldest + 1) % self.most;
    }

    fn void(&mut self, point: &Point) {
        if let Some(taken) = self.find(point).and_then(|place| self.ring.get_mut(place as usize)) {
            taken.is_void = true;
            self.leave(point);
        }
    }

    /// It is not found any more.
    fn leave(&mut self, point: &Point) {
        let ring = &self.ring;
        let is_it = |place: &u32| ring.get(*place as usize).is_some_and(|taken| taken.point == *point);
        if let Ok(entry) = self.places.find_entry(point.hash(), is_it) {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use skyline_core::batch::{BatchBuilder, Listener, Origin, Source};

    /// A batch of points `(metric, time, value)` that came at `now`.
    fn batch(points: &[(u8, u8, u8)], now: f64) -> Batch {
        let source = Source { listener: Listener::PlaintextTcp, origin: Origin::Live };
        let mut builder = BatchBuilder::new(source, now);
        for (metric, time, value) in points {
            builder.point(format!("m{metric}").as_bytes(), f64::from(*time), f64::from(*value)).unwrap();
        }
        builder.finish().unwrap()
    }

    /// The lines that are left of a batch from `feeds`.
    fn left(duplicates: &Arc<Duplicates>, mut batch: Batch, feeds: Feeds<'_>) -> (String, Fresh) {
        let fresh = duplicates.filter(&mut batch, feeds);
        (String::from_utf8(batch.text).unwrap().replace('\n', ";"), fresh)
    }

    #[test]
    fn the_second_feed_is_refused() {
        let duplicates = Arc::new(Duplicates::new(60.0, 100));
        let check = |points: &[(u8, u8, u8)], now, feeds, expected: &str| {
            assert_eq!(left(&duplicates, batch(points, now), feeds).0, expected);
        };
        check(&[(1, 1, 1), (2, 1, 1)], 0.0, &[(2, 7)], "m1 1 1;m2 1 1;");
        check(&[(1, 1, 1), (2, 1, 1), (3, 1, 1)], 1.0, &[(3, 8)], "m3 1 1;");
        // Another value, another time: other points. What a sender repeats goes on.
        check(&[(1, 1, 2), (1, 2, 1), (1, 1, 1)], 2.0, &[(3, 7)], "m1 2 1;m1 1 2;m1 1 1;");
        // Datagrams of both in one batch.
        check(&[(3, 1, 1), (3, 1, 1), (3, 1, 1)], 3.0, &[(1, 7), (2, 8), (3, 9)], "m3 1 1;");
        check(&[(1, 1, 1)], 60.0, &[(1, 8)], "m1 1 1;");
        check(&[(1, 1, 1)], 61.0, &[(1, 7)], "");
    }

    #[test]
    fn what_was_not_logged_was_not_brought() {
        let duplicates = Arc::new(Duplicates::new(60.0, 100));
        let (_, fresh) = left(&duplicates, batch(&[(1, 1, 1)], 0.0), &[(1, 7)]);
        fresh.void();
        assert_eq!(left(&duplicates, batch(&[(1, 1, 1)], 1.0), &[(1, 8)]).0, "m1 1 1;");
        assert_eq!(left(&duplicates, batch(&[(1, 1, 1)], 1.0), &[(1, 7)]).0, "");
    }

    type Points = Vec<(u8, u8, u8)>;

    /// One step of a test.
    #[derive(Debug, Clone)]
    struct Step {
        /// Seconds since the one before.
        pause: u8,
        feeds: Vec<(u8, Points)>,
        is_logged: bool,
    }

    fn step() -> impl Strategy<Value = Step> {
        let point = (0_u8..6, 0_u8..2, 0_u8..2);
        let feeds = prop::collection::vec((0_u8..3, prop::collection::vec(point, 1..6)), 1..3);
        (0_u8..9, feeds, prop::bool::weighted(0.9)).prop_map(|(pause, feeds, is_logged)| Step {
            pause,
            feeds,
            is_logged,
        })
    }

    /// The plain model: all points that were taken, looked through one by one.
    #[derive(Default)]
    struct Model {
        taken: Vec<Known>,
        serial: usize,
    }

    struct Known {
        at: f64,
        feed: u8,
        point: Option<(u8, u8, u8)>,
        serial: usize,
    }

    impl Model {
        fn takes(&mut self, now: f64, feed: u8, point: (u8, u8, u8), (seconds, most): (f64, usize)) -> bool {
            self.taken.retain(|known| now - known.at < seconds);
            if let Some(known) = self.taken.iter().find(|known| known.point == Some(point)) {
                return known.feed == feed;
            }
            if self.taken.len() == most {
                self.taken.remove(0);
            }
            self.serial += 1;
            self.taken.push(Known { at: now, feed, point: Some(point), serial: self.serial });
            true
        }
    }

    proptest! {
        #[test]
        fn it_takes_what_a_plain_model_takes(
            steps in prop::collection::vec(step(), 1..60), seconds in 1_u8..20, most in 1_usize..12
        ) {
            let seconds = f64::from(seconds);
            let duplicates = Arc::new(Duplicates::new(seconds, most));
            let (mut model, mut now) = (Model::default(), 1_000.0);
            for Step { pause, feeds, is_logged } in steps {
                now += f64::from(pause);
                let points: Vec<_> = feeds.iter().flat_map(|(_, points)| points.clone()).collect();
                let (mut until, mut ends) = (0, Vec::new());
                let (mut expected, before) = (String::new(), model.serial);
                for (feed, points) in &feeds {
                    until += points.len();
                    ends.push((until, u32::from(*feed)));
                    for point in points {
                        if model.takes(now, *feed, *point, (seconds, most)) {
                            expected.push_str(&format!("m{} {} {};", point.0, point.2, point.1));
                        }
                    }
                }
                let (taken, fresh) = left(&duplicates, batch(&points, now), &ends);
                prop_assert_eq!(taken, expected);
                if !is_logged {
                    fresh.void();
                    for known in model.taken.iter_mut().filter(|known| known.serial > before) {
                        known.point = None;
                    }
                }
            }
        }
    }
}
