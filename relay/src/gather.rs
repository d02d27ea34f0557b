//! Much that comes in small pieces is looked at less often.
//!
//! Many senders that do not speak at the same moment wake a relay for each of them: at a hundred
//! thousand points a second in bursts of a hundred, a wake-up, a look at the sockets and a group of
//! the log for every burst. [`Gather::pause`] lets the thread rest so long that a thousand points
//! lie in the sockets when it looks again, as network cards gather packets for an interrupt. It never
//! does below 50,000 points a second (there a point goes on at once), where bursts are large
//! already, or while datagrams come: their buffer in the kernel is small. A hundred thousand points a second on
//! four connections, all of which write every 5 ms, cost 0.49 CPU seconds per million points without rest, 0.35
//! with rests of 8 ms, 0.30 with 12 ms.

use skyline_core::batch::Listener;
use std::cell::Cell;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Points a second from which on gathering is worth its delay.
const BUSY: f64 = 50_000.0;
/// Points that one look should find.
const ENOUGH: u64 = 1_000;
/// Longest rest: what a point may wait for others.
const LONGEST: Duration = Duration::from_millis(8);
/// Shortest rest: below it the timer costs what it saves.
const SHORTEST: Duration = Duration::from_millis(2);
/// Time over which points are counted.
const WINDOW: Duration = Duration::from_millis(50);
/// After a datagram nothing is gathered for so long.
const DATAGRAMS: Duration = Duration::from_secs(1);
/// One look in so many comes without a rest, to see how much bursts bring by themselves.
const SAMPLE: u32 = 64;

/// What this thread has taken in.
#[derive(Debug, Clone, Copy, Default)]
struct Taken {
    points: u64,
    datagrams: u64,
}

thread_local! {
    static TAKEN: Cell<Taken> = const { Cell::new(Taken { points: 0, datagrams: 0 }) };
}

/// Notes points that this thread has taken in.
pub(crate) fn took(listener: Listener, points: u64) {
    let mut taken = TAKEN.get();
    taken.points = taken.points.wrapping_add(points);
    if matches!(listener, Listener::PlaintextUdp | Listener::MsgpackUdp) {
        taken.datagrams = taken.datagrams.wrapping_add(1);
    }
    TAKEN.set(taken);
}

/// Decides how long the one thread of a relay rests before it looks at its sockets again.
#[derive(Debug)]
pub struct Gather(Mutex<State>);

#[derive(Debug)]
struct State {
    /// When the window began, and what had been taken then.
    window: (Instant, u64),
    /// At the last look.
    taken: Taken,
    datagram: Option<Instant>,
    /// Points a second in the last window.
    rate: f64,
    looks: u32,
    /// Bursts bring enough by themselves.
    large: bool,
}

impl Default for Gather {
    fn default() -> Self {
        Self::new(Instant::now())
    }
}

impl Gather {
    fn new(now: Instant) -> Self {
        Self(Mutex::new(State {
            window: (now, 0),
            taken: Taken::default(),
            datagram: None,
            rate: 0.0,
            looks: 0,
            large: true,
        }))
    }

    /// Called by the thread when it has nothing left to do: rests if that is worth while, at most 8 ms.
    pub fn pause(&self) {
        let rest = self.rest(TAKEN.get(), Instant::now());
        if !rest.is_zero() {
            std::thread::sleep(rest);
        }
    }

    /// How long to rest at `now`.
    fn rest(&self, taken: Taken, now: Instant) -> Duration {
        let state = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = taken.points.wrapping_sub(state.taken.points);
        if taken.datagrams != state.taken.datagrams {
            state.datagram = Some(now);
        }
        state.taken = taken;
        let (since, before) = state.window;
        let over = now.saturating_duration_since(since);
        if over >= WINDOW {
            state.rate = taken.points.wrapping_sub(before) as f64 / over.as_secs_f64();
            state.window = (now, taken.points);
        }
        state.looks = state.looks.wrapping_add(1);
        if state.looks.is_multiple_of(SAMPLE) {
            // What the next look finds came by itself.
            state.large = true;
            return Duration::ZERO;
        }
        // A look that had another reason (an answer of a destination, a timer) says nothing of bursts.
        state.large &= found == 0 || found >= ENOUGH;
        let datagrams = state.datagram.is_some_and(|last| now.saturating_duration_since(last) < DATAGRAMS);
        if state.large || datagrams || state.rate < BUSY {
            return Duration::ZERO;
        }
        let rest = Duration::from_secs_f64(ENOUGH as f64 / state.rate).min(LONGEST);
        if rest < SHORTEST { Duration::ZERO } else { rest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every `every` for a second, `points` each time, `datagrams` too; the rests that were advised.
    fn rests(every: Duration, points: u64, datagrams: u64) -> Vec<Duration> {
        let mut now = Instant::now();
        let gather = Gather::new(now);
        let mut taken = Taken::default();
        let looks = (1.0 / every.as_secs_f64()) as u32;
        (0..looks)
            .map(|_| {
                now += every;
                taken.points += points;
                taken.datagrams += datagrams;
                gather.rest(taken, now)
            })
            .collect()
    }

    fn longest(every: Duration, points: u64, datagrams: u64) -> Duration {
        rests(every, points, datagrams).into_iter().max().unwrap()
    }

    #[test]
    fn small_bursts_of_many_points_are_gathered() {
        let rests = rests(Duration::from_micros(1250), 125, 0);
        let resting = rests.iter().filter(|rest| !rest.is_zero()).count();
        // All but the first window, and one in 64.
        assert!(resting * 10 > rests.len() * 9, "{resting} of {}", rests.len());
        assert!(rests.iter().all(|rest| *rest <= LONGEST));
        assert_eq!(rests.last(), Some(&LONGEST));
    }

    #[test]
    fn the_rest_is_shorter_with_more_points() {
        assert_eq!(longest(Duration::from_micros(500), 100, 0).as_micros(), 5000);
        assert_eq!(longest(Duration::from_micros(100), 100, 0), Duration::ZERO, "a million a second");
    }

    #[test]
    fn little_traffic_large_bursts_and_datagrams_go_on_at_once() {
        assert_eq!(longest(Duration::from_micros(1250), 50, 0), Duration::ZERO, "40,000 a second");
        assert_eq!(longest(Duration::from_millis(10), 1_000, 0), Duration::ZERO, "large bursts");
        assert_eq!(longest(Duration::from_micros(1250), 125, 1), Duration::ZERO, "datagrams");
    }

    #[test]
    fn a_look_that_finds_nothing_says_nothing_of_bursts() {
        let mut now = Instant::now();
        let gather = Gather::new(now);
        let mut taken = Taken::default();
        for look in 0..400 {
            now += Duration::from_micros(2500);
            taken.points += if look % 2 == 0 { 1_000 } else { 0 };
            assert_eq!(gather.rest(taken, now), Duration::ZERO, "look {look}");
        }
    }

    #[test]
    fn points_count_for_the_thread_that_took_them() {
        let before = TAKEN.get();
        took(Listener::PlaintextTcp, 5);
        took(Listener::PlaintextUdp, 2);
        std::thread::spawn(|| took(Listener::PlaintextTcp, 100)).join().unwrap();
        let after = TAKEN.get();
        assert_eq!((after.points - before.points, after.datagrams - before.datagrams), (7, 1));
    }
}
