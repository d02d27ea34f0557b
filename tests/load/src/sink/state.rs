//! What the threads of a sink share: counters, the digest, the set of keys.

use super::serve::parse_line;
use super::{Check, SinkArgs};
use crate::digest::{Digest, hash_name};
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Keys are hashes already.
#[derive(Default)]
pub(super) struct Identity(u64);
impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 keys");
    }
    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}
pub(super) type KeySet = HashSet<u64, BuildHasherDefault<Identity>>;
pub(super) const SHARDS: usize = 64;

#[derive(Default)]
pub(super) struct ListenerState {
    pub(super) received: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) connections: AtomicU64,
}

pub(super) struct Shared {
    pub(super) args: SinkArgs,
    pub(super) epoch: Instant,
    /// Nanoseconds since the epoch of the first and last data; 0 is none.
    pub(super) first: AtomicU64,
    pub(super) last: AtomicU64,
    pub(super) ignored: AtomicU64,
    pub(super) malformed: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) digest: Mutex<Digest>,
    pub(super) keys: Vec<Mutex<KeySet>>,
    pub(super) stop: AtomicBool,
    pub(super) listeners: Vec<ListenerState>,
}

/// What one read held, added to the shared counters in one go.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) points: u64,
    pub(super) ignored: u64,
    pub(super) malformed: u64,
    pub(super) digest: Digest,
    pub(super) keys: Vec<u64>,
}

impl Shared {
    pub(super) fn new(args: &SinkArgs) -> Self {
        Self {
            args: args.clone(),
            epoch: Instant::now(),
            first: AtomicU64::new(0),
            last: AtomicU64::new(0),
            ignored: AtomicU64::new(0),
            malformed: AtomicU64::new(0),
            received: AtomicU64::new(0),
            digest: Mutex::default(),
            keys: (0..SHARDS).map(|_| Mutex::default()).collect(),
            stop: AtomicBool::new(false),
            listeners: args.listen.iter().map(|_| ListenerState::default()).collect(),
        }
    }

    pub(super) fn point(&self, b: &mut Batch, name: &[u8], ts: i64, value: f64) {
        if self.args.ignore_prefix.iter().any(|p| name.starts_with(p.as_bytes())) {
            b.ignored += 1;
            return;
        }
        b.points += 1;
        if self.args.check != Check::None {
            let key = b.digest.add(hash_name(name), ts, value);
            if self.args.check == Check::Set {
                b.keys.push(key);
            }
        }
    }

    pub(super) fn line(&self, b: &mut Batch, line: &[u8]) {
        match parse_line(line) {
            Some((name, value, ts)) => self.point(b, name, ts, value),
            None => b.malformed += 1,
        }
    }

    pub(super) fn account(&self, listener: usize, bytes: usize, b: &mut Batch) {
        let now = self.epoch.elapsed().as_nanos() as u64 + 1;
        if self.first.load(Relaxed) == 0 && self.received.load(Relaxed) >= self.args.skip {
            let _ = self.first.compare_exchange(0, now, Relaxed, Relaxed);
        }
        self.last.fetch_max(now, Relaxed);
        self.ignored.fetch_add(b.ignored, Relaxed);
        self.malformed.fetch_add(b.malformed, Relaxed);
        let l = &self.listeners[listener];
        l.received.fetch_add(b.points, Relaxed);
        l.bytes.fetch_add(bytes as u64, Relaxed);
        if b.digest.count > 0
            && let Ok(mut d) = self.digest.lock()
        {
            d.merge(&b.digest);
        }
        for &k in &b.keys {
            if let Ok(mut set) = self.keys[(k >> 32) as usize % SHARDS].lock() {
                set.insert(k);
            }
        }
        // Last: whoever sees the count reach its end sees the digest of it too.
        self.received.fetch_add(b.points, std::sync::atomic::Ordering::Release);
        b.keys.clear();
        *b = Batch { keys: std::mem::take(&mut b.keys), ..Batch::default() };
    }
}
