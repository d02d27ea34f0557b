//! Who sends: for each sender what came from it, of a bounded number of them.
//!
//! A sender is an address and the listener that it speaks to; all of its connections are one. Connections hold
//! their sender and count once a read, without a lock. When there are too many, those that have no
//! connection and were silent for longest are forgotten, and what they had sent is that of the others.

use super::Peer;
use skyline_core::batch::Listener;
use skyline_core::figure::Figure;
use skyline_core::shard::name_hash;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Senders that are told apart.
const MOST: usize = 10_000;

/// When there are too many, so large a part of them is looked for at once: a look goes over all.
const SHARE: usize = 8;

/// What came from one sender since the start.
#[derive(Debug)]
pub struct Sender {
    /// Tells feeds apart: equal for what one address sends, whatever the listener.
    feed: u32,
    points: AtomicU64,
    refused: AtomicU64,
    bytes: AtomicU64,
    /// Bits of the time of the last read, seconds.
    last: AtomicU64,
}

impl Sender {
    fn new(ip: Option<IpAddr>) -> Self {
        let feed = match ip {
            Some(IpAddr::V4(ip)) => name_hash(&ip.octets()),
            Some(IpAddr::V6(ip)) => name_hash(&ip.octets()),
            None => 0,
        };
        Self {
            feed: feed as u32,
            points: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            last: AtomicU64::new(0),
        }
    }

    pub(crate) const fn feed(&self) -> u32 {
        self.feed
    }

    /// One read brought so many bytes at `now`.
    pub fn read(&self, bytes: usize, now: f64) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
        self.last.store(now.to_bits(), Relaxed);
    }

    /// Points of it that could be read.
    pub fn took(&self, points: usize) {
        self.points.fetch_add(points as u64, Relaxed);
    }

    /// Points of it that could not.
    pub fn refused(&self, points: u64) {
        self.refused.fetch_add(points, Relaxed);
    }

    fn last(&self) -> f64 {
        f64::from_bits(self.last.load(Relaxed))
    }

    fn counts(&self) -> Counts {
        Counts {
            points: self.points.load(Relaxed),
            refused: self.refused.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            last: self.last(),
        }
    }

    /// Takes over what another, which nobody holds any more, has counted.
    fn absorb(&self, other: &Self) {
        let Counts { points, refused, bytes, last } = other.counts();
        self.points.fetch_add(points, Relaxed);
        self.refused.fetch_add(refused, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
        if last > self.last() {
            self.last.store(last.to_bits(), Relaxed);
        }
    }
}

/// A copy of what one has counted.
#[derive(Debug, Clone, Copy)]
struct Counts {
    points: u64,
    refused: u64,
    bytes: u64,
    last: f64,
}

/// What is told of a sender.
#[derive(Debug, Clone, PartialEq)]
pub struct SenderStatus {
    /// Its address; `local` over a Unix socket; `others` for those that are not told apart any more.
    pub sender: String,
    /// Where it speaks to; none for `others`.
    pub listener: Option<Listener>,
    /// Points that could be read, since the node's start.
    pub points: u64,
    /// Points, lines or frames that could not.
    pub refused: u64,
    /// Bytes that came.
    pub bytes: u64,
    /// When something came last, seconds; 0: never.
    pub last_seen: f64,
    /// Whether it has a connection now, or sends datagrams.
    pub connected: bool,
}

type Key = (Listener, Option<IpAddr>);

/// All senders.
#[derive(Debug)]
pub(super) struct Senders {
    known: Mutex<HashMap<Key, Arc<Sender>>>,
    others: Arc<Sender>,
    most: usize,
}

impl Default for Senders {
    fn default() -> Self {
        Self::new(MOST)
    }
}

impl Senders {
    fn new(most: usize) -> Self {
        Self { known: Mutex::default(), others: Arc::new(Sender::new(None)), most }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Key, Arc<Sender>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sender of a connection or datagram. If all that are known are in use: one that speaks for all others,
    /// which are one feed then.
    pub(super) fn of(&self, listener: Listener, peer: Peer) -> Arc<Sender> {
        let ip = peer.ip().map(|ip| ip.to_canonical());
        let mut known = self.known();
        if let Some(sender) = known.get(&(listener, ip)) {
            return Arc::clone(sender);
        }
        if known.len() >= self.most {
            self.forget_some(&mut known);
        }
        if known.len() >= self.most {
            return Arc::clone(&self.others);
        }
        let sender = Arc::new(Sender::new(ip));
        known.insert((listener, ip), Arc::clone(&sender));
        sender
    }

    /// Forgets those that were silent for longest and that nobody holds.
    fn forget_some(&self, known: &mut HashMap<Key, Arc<Sender>>) {
        let idle = known.iter().filter(|(_, sender)| Arc::strong_count(sender) == 1);
        let mut idle: Vec<(f64, Key)> = idle.map(|(key, sender)| (sender.last(), *key)).collect();
        idle.sort_unstable_by(|(a, _), (b, _)| a.total_cmp(b));
        for (_, key) in idle.into_iter().take((self.most / SHARE).max(1)) {
            if let Some(sender) = known.remove(&key) {
                self.others.absorb(&sender);
            }
        }
    }

    /// All of them, those with most points first; then the others, if there are any.
    pub(super) fn list(&self) -> Vec<SenderStatus> {
        let copies: Vec<(Key, Counts, bool)> = {
            let known = self.known();
            let copy =
                |(key, sender): (&Key, &Arc<Sender>)| (*key, sender.counts(), Arc::strong_count(sender) > 1);
            known.iter().map(copy).collect()
        };
        let status = |sender: String, listener, counts: Counts, connected| SenderStatus {
            sender,
            listener,
            points: counts.points,
            refused: counts.refused,
            bytes: counts.bytes,
            last_seen: counts.last,
            connected,
        };
        let mut all: Vec<SenderStatus> = copies
            .into_iter()
            .map(|((listener, ip), counts, connected)| {
                let name = ip.map_or_else(|| "local".to_owned(), |ip| ip.to_string());
                status(name, Some(listener), counts, connected)
            })
            .collect();
        all.sort_unstable_by(|a, b| {
            let both = |s: &SenderStatus| s.points + s.refused;
            (both(b), &a.sender, a.listener).cmp(&(both(a), &b.sender, b.listener))
        });
        if self.others.last() > 0.0 {
            let is_used = Arc::strong_count(&self.others) > 1;
            all.push(status("others".to_owned(), None, self.others.counts(), is_used));
        }
        all
    }

    pub(super) fn figures(&self, out: &mut Vec<Figure>) {
        let known = self.known().len();
        out.push(Figure::gauge(
            "skyline_relay_senders",
            "Senders that are told apart: addresses, for each listener. At most 10,000.",
            known as f64,
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn peer(n: u32, port: u16) -> Peer {
        Peer::Address(SocketAddr::from((n.to_be_bytes(), port)))
    }

    fn send(sender: &Sender, points: usize, now: f64) {
        sender.read(points * 10, now);
        sender.took(points);
        sender.refused(1);
    }

    #[test]
    fn connections_of_an_address_are_one_sender() {
        let senders = Senders::default();
        let (first, second) =
            (senders.of(Listener::PlaintextTcp, peer(1, 5)), senders.of(Listener::PlaintextTcp, peer(1, 6)));
        send(&first, 3, 7.0);
        send(&second, 4, 8.0);
        send(&senders.of(Listener::PickleTcp, peer(1, 6)), 20, 9.0);
        let mapped = "[::ffff:0.0.0.1]:9".parse().unwrap();
        send(&senders.of(Listener::PlaintextTcp, Peer::Address(mapped)), 1, 9.5);
        send(&senders.of(Listener::PlaintextUnix, Peer::Local), 2, 3.0);
        let rows: Vec<_> = senders
            .list()
            .into_iter()
            .map(|s| (s.sender, s.listener, s.points, s.refused, s.bytes, s.last_seen, s.connected))
            .collect();
        assert_eq!(
            rows,
            [
                ("0.0.0.1".to_owned(), Some(Listener::PickleTcp), 20, 1, 200, 9.0, false),
                ("0.0.0.1".to_owned(), Some(Listener::PlaintextTcp), 8, 3, 80, 9.5, true),
                ("local".to_owned(), Some(Listener::PlaintextUnix), 2, 1, 20, 3.0, false),
            ]
        );
    }

    #[test]
    fn feeds_are_addresses() {
        let senders = Senders::default();
        let feed = |listener, n| senders.of(listener, peer(n, 1)).feed();
        assert_eq!(feed(Listener::PlaintextTcp, 1), feed(Listener::PickleTcp, 1));
        assert_ne!(feed(Listener::PlaintextTcp, 1), feed(Listener::PlaintextTcp, 2));
    }

    #[test]
    fn the_number_is_bounded_and_nothing_is_lost() {
        let senders = Senders::new(100);
        let held: Vec<_> = (0..60).map(|n| senders.of(Listener::PlaintextTcp, peer(n, 1))).collect();
        for n in 1_000..3_000 {
            send(&senders.of(Listener::PlaintextTcp, peer(n, 1)), 2, f64::from(n));
        }
        for sender in &held {
            send(sender, 2, 1.0);
        }
        let list = senders.list();
        assert!(list.len() <= 101, "{}", list.len());
        assert_eq!(list.iter().map(|s| s.points).sum::<u64>(), 2 * 2_060);
        assert_eq!(list.iter().map(|s| s.refused).sum::<u64>(), 2_060);
        assert!((0..60).all(|n| {
            let name = IpAddr::from(u32::to_be_bytes(n)).to_string();
            list.iter().any(|s| s.sender == name && s.connected)
        }));
        // Those that spoke last are the ones that are kept.
        assert!(list.iter().any(|s| s.sender == IpAddr::from(2_999_u32.to_be_bytes()).to_string()));
        assert!(!list.iter().any(|s| s.sender == IpAddr::from(1_000_u32.to_be_bytes()).to_string()));
        assert_eq!(list.last().map(|s| (s.sender.as_str(), s.last_seen > 0.0)), Some(("others", true)));
    }

    #[test]
    fn when_all_are_in_use_new_ones_count_as_others() {
        let senders = Senders::new(3);
        let held: Vec<_> = (0..5).map(|n| senders.of(Listener::PlaintextTcp, peer(n, 1))).collect();
        for sender in &held {
            send(sender, 1, 5.0);
        }
        let list = senders.list();
        assert_eq!((list.len(), list[3].points, list[3].connected), (4, 2, true));
    }
}
