//! How a server or file that keeps data for the node is doing, in the same words for all of them.
//!
//! Whoever talks to a store tells a [`Standing`] how that went; whoever is asked about the node takes a
//! [`StoreHealth`] from it. That a store is away never makes the node unready: the way of the points
//! does not lead through it.

use crate::figure::Figure;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Longest [`StoreHealth::detail`], bytes.
const MAX_DETAIL: usize = 1_000;

/// Whether a store answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// The settings name none.
    #[default]
    Off,
    /// It was not asked yet.
    Unknown,
    /// It answers.
    Up,
    /// It does not.
    Away,
}

impl State {
    /// The word for it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Away => "away",
        }
    }
}

/// How a store is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreHealth {
    /// Which one: `record`, `redis`, `memcached`.
    pub name: &'static str,
    /// Whether it answers.
    pub state: State,
    /// Since when that is so, seconds since the epoch.
    pub since: f64,
    /// What waits for it, in the store's own unit (anomalies; shards of Redis, points in layout `compat`);
    /// 0 where nothing can.
    pub waiting: u64,
    /// While away: what went wrong last; else where it is. Never with a password.
    pub detail: String,
}

impl StoreHealth {
    /// A store that the settings do not name.
    #[must_use]
    pub const fn off(name: &'static str) -> Self {
        Self { name, state: State::Off, since: 0.0, waiting: 0, detail: String::new() }
    }

    /// Adds the store's figures to `out`; nothing of one that is off.
    pub fn figures(&self, out: &mut Vec<Figure>) {
        if self.state == State::Off {
            return;
        }
        let up = f64::from(u8::from(self.state == State::Up));
        let mut add =
            |name, help, value| out.push(Figure::gauge(name, help, value).label("store", self.name));
        add("skyline_store_up", "1 while the store answers", up);
        add(
            "skyline_store_since_timestamp_seconds",
            "Since when it answers, or does not, Unix time",
            self.since,
        );
        add(
            "skyline_store_waiting",
            "What waits for the store: anomalies of the record; shards of Redis, points in layout compat",
            self.waiting as f64,
        );
    }
}

/// A store's state, as those who talk to it find it.
#[derive(Debug)]
pub struct Standing(Mutex<StoreHealth>);

impl Standing {
    /// A store that was not asked yet; `place`: where it is, without a password.
    #[must_use]
    pub fn unknown(name: &'static str, place: &str, now: f64) -> Self {
        let detail = short(place);
        Self(Mutex::new(StoreHealth { name, state: State::Unknown, since: now, waiting: 0, detail }))
    }

    fn health(&self) -> MutexGuard<'_, StoreHealth> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It answered at `now`; whether that is news. `place`: where it is.
    pub fn up(&self, now: f64, place: &str) -> bool {
        self.is(State::Up, now, place)
    }

    /// It did not answer at `now`; whether that is news. `why`: without a password.
    pub fn away(&self, now: f64, why: &str) -> bool {
        self.is(State::Away, now, why)
    }

    fn is(&self, state: State, now: f64, detail: &str) -> bool {
        let mut health = self.health();
        let is_news = health.state != state;
        if is_news {
            (health.state, health.since) = (state, now);
        }
        if health.detail != detail {
            health.detail = short(detail);
        }
        is_news
    }

    /// How much waits for it.
    pub fn waits(&self, count: u64) {
        self.health().waiting = count;
    }

    /// As it is now.
    #[must_use]
    pub fn get(&self) -> StoreHealth {
        self.health().clone()
    }
}

/// On one line, and not too long.
fn short(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_DETAIL));
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if out.len() + c.len_utf8() > MAX_DETAIL {
            break;
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_news_and_dated() {
        let standing = Standing::unknown("redis", "at /s", 1.0);
        assert_eq!(standing.get().state, State::Unknown);
        assert!(standing.up(2.0, "at /s") && !standing.up(3.0, "at /s"));
        assert!(standing.away(4.0, "refused\nreally") && !standing.away(5.0, "timed out"));
        standing.waits(7);
        let health = StoreHealth {
            name: "redis",
            state: State::Away,
            since: 4.0,
            waiting: 7,
            detail: "timed out".to_owned(),
        };
        assert_eq!(standing.get(), health);
        let mut figures = Vec::new();
        health.figures(&mut figures);
        let values: Vec<_> = figures.iter().map(|f| (f.name, f.value)).collect();
        let expected = [
            ("skyline_store_up", 0.0),
            ("skyline_store_since_timestamp_seconds", 4.0),
            ("skyline_store_waiting", 7.0),
        ];
        assert_eq!(values, expected);
        StoreHealth::off("redis").figures(&mut figures);
        assert_eq!(figures.len(), 3, "a store that is off has no figures");
    }

    #[test]
    fn details_are_one_short_line() {
        assert_eq!(short("a\nb"), "a b");
        assert_eq!(short(&"ä".repeat(MAX_DETAIL)).len(), MAX_DETAIL);
    }
}
