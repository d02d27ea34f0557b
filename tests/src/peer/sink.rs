//! A destination that remembers every point, and can refuse, reset, hang, close or be slow.
//!
//! It refuses when it is dropped; [`Sink::start_at`] brings another up at the same address.

use crate::{eventually_true, port};
use anyhow::Context as _;
use carbon_load::digest::{Digest, hash_name};
use carbon_load::sink::parse_line;
use carbon_load::unpickle::Unpickler;
use flate2::write::MultiGzDecoder;
use std::collections::{BTreeMap, HashMap};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the sink is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Carbon lines.
    Lines,
    /// Carbon pickles.
    Pickle,
    /// Carbon lines, each connection one gzip stream.
    Gzip,
}

/// How the sink treats its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Reads as fast as it can.
    Read,
    /// Reads about so many points a second.
    Slow(u64),
    /// Accepts, and reads nothing.
    Hang,
    /// Reads a little, then resets the connection with the rest unread.
    Reset,
}

/// Points of one metric by time: the value that came last, and how often the time came.
pub type Series = BTreeMap<i64, (f64, u32)>;

#[derive(Debug)]
struct Shared {
    protocol: Protocol,
    manner: Mutex<Manner>,
    stop: AtomicBool,
    connections: AtomicU64,
    malformed: AtomicU64,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    received: u64,
    distinct: u64,
    series: HashMap<Vec<u8>, Series>,
}

/// See the module.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sink {
    /// Listens on a free port.
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    pub fn start(protocol: Protocol) -> anyhow::Result<Self> {
        Self::start_at(port::free(), protocol)
    }

    /// Listens on `address`.
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    pub fn start_at(address: SocketAddr, protocol: Protocol) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).with_context(|| format!("a sink on {address}"))?;
        listener.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            protocol,
            manner: Mutex::new(Manner::Read),
            stop: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            malformed: AtomicU64::new(0),
            memory: Mutex::default(),
        });
        let acceptor = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Ok(Self { address, shared, acceptor: Some(acceptor) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The destination as the node's settings name it.
    #[must_use]
    pub fn destination(&self) -> String {
        destination(self.address, self.shared.protocol)
    }

    /// From now on, for open and new connections.
    pub fn behave(&self, manner: Manner) {
        *lock(&self.shared.manner) = manner;
    }

    /// Connections that it has taken.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(SeqCst)
    }

    /// Lines or frames that it could not read.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.shared.malformed.load(SeqCst)
    }

    /// Points that came, repeats included.
    #[must_use]
    pub fn received(&self) -> u64 {
        lock(&self.shared.memory).received
    }

    /// Different (name, time) that came.
    #[must_use]
    pub fn distinct(&self) -> u64 {
        lock(&self.shared.memory).distinct
    }

    /// Points of one metric.
    #[must_use]
    pub fn series(&self, name: &str) -> Series {
        lock(&self.shared.memory).series.get(name.as_bytes()).cloned().unwrap_or_default()
    }

    /// Names of all metrics that came.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let memory = lock(&self.shared.memory);
        let mut names: Vec<_> =
            memory.series.keys().map(|n| String::from_utf8_lossy(n).into_owned()).collect();
        names.sort();
        names
    }

    /// Takes over what an earlier sink at this address remembered, so that both are one destination.
    #[must_use]
    pub fn remembering(self, earlier: &Self) -> Self {
        let old = lock(&earlier.shared.memory);
        let mut new = lock(&self.shared.memory);
        for (name, series) in &old.series {
            for (time, (value, times)) in series {
                for _ in 0..*times {
                    new.add(name, *time, *value);
                }
            }
        }
        drop((old, new));
        self
    }

    /// Waits until so many different points are there.
    ///
    /// # Errors
    ///
    /// When they are not within `limit`.
    pub fn has(&self, distinct: u64, limit: Duration) -> anyhow::Result<()> {
        eventually_true(limit, &format!("{distinct} points at the sink"), || self.distinct() >= distinct)
            .with_context(|| format!("{} different points came, {} in all", self.distinct(), self.received()))
    }

    /// Checks that the different points are exactly those of a `send` report's digest, with their values.
    ///
    /// # Errors
    ///
    /// When they are not, or something unreadable came.
    pub fn is_exactly(&self, digest: &str) -> anyhow::Result<()> {
        let expected = Digest::parse(digest).context("not a digest")?;
        let mut found = Digest::default();
        for (name, series) in &lock(&self.shared.memory).series {
            let name = hash_name(name);
            for (time, (value, _)) in series {
                found.add(name, *time, *value);
            }
        }
        anyhow::ensure!(self.malformed() == 0, "{} lines or frames that cannot be read", self.malformed());
        anyhow::ensure!(
            found == expected,
            "the points are others than those sent: {found:?} is not {expected:?}"
        );
        Ok(())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.join());
        }
    }
}

/// A destination as the node's settings name it.
#[must_use]
pub fn destination(address: SocketAddr, protocol: Protocol) -> String {
    match protocol {
        Protocol::Lines => format!("{address}:line"),
        Protocol::Pickle => format!("{address}:pickle"),
        // The settings have no word for what a stream is packed with; other relays' files do.
        Protocol::Gzip => address.to_string(),
    }
}

impl Memory {
    fn add(&mut self, name: &[u8], time: i64, value: f64) {
        if !self.series.contains_key(name) {
            self.series.insert(name.to_vec(), Series::new());
        }
        self.received += 1;
        if let Some(series) = self.series.get_mut(name) {
            let entry = series.entry(time).or_insert((value, 0));
            self.distinct += u64::from(entry.1 == 0);
            *entry = (value, entry.1 + 1);
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut connections = Vec::new();
    while !shared.stop.load(SeqCst) {
        match listener.accept() {
            Ok((stream, _)) => {
                shared.connections.fetch_add(1, SeqCst);
                let shared = Arc::clone(shared);
                connections.push(std::thread::spawn(move || serve(stream, &shared)));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
    for connection in connections {
        drop(connection.join());
    }
}

/// Reads until the peer closes, the sink stops, or the manner says otherwise.
fn serve(mut stream: TcpStream, shared: &Shared) {
    if stream
        .set_nonblocking(false)
        .and_then(|()| stream.set_read_timeout(Some(Duration::from_millis(10))))
        .is_err()
    {
        return;
    }
    let mut reading = Reading::default();
    let mut block = vec![0; 64 * 1024];
    while !shared.stop.load(SeqCst) {
        let manner = *lock(&shared.manner);
        let most = match manner {
            Manner::Read => block.len(),
            Manner::Slow(_) => 4096,
            Manner::Reset => 512,
            Manner::Hang => {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            }
        };
        let Some(space) = block.get_mut(..most) else { return };
        let read = match stream.read(space) {
            Ok(0) => return,
            Ok(n) => n,
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
            {
                continue;
            }
            Err(_) => return,
        };
        let points = reading.take(space.get(..read).unwrap_or_default(), shared);
        match manner {
            Manner::Slow(rate) => {
                std::thread::sleep(Duration::from_secs_f64(points as f64 / rate.max(1) as f64))
            }
            Manner::Reset => {
                // Lingering for zero seconds makes the close a reset.
                drop(socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)));
                return;
            }
            Manner::Read | Manner::Hang => {}
        }
    }
}

/// Bytes that are not a whole line or frame yet.
struct Reading {
    held: Vec<u8>,
    unpickler: Unpickler,
    unpacker: MultiGzDecoder<Vec<u8>>,
}

impl Default for Reading {
    fn default() -> Self {
        let unpacker = MultiGzDecoder::new(Vec::new());
        Self { held: Vec::new(), unpickler: Unpickler::default(), unpacker }
    }
}

impl Reading {
    /// Takes what came; how many points were in it.
    fn take(&mut self, bytes: &[u8], shared: &Shared) -> u64 {
        if shared.protocol == Protocol::Gzip {
            // What is no gzip stream fails here, and again with every further read.
            if self.unpacker.write_all(bytes).and_then(|()| self.unpacker.flush()).is_err() {
                shared.malformed.fetch_add(1, SeqCst);
            }
            self.held.append(self.unpacker.get_mut());
        } else {
            self.held.extend_from_slice(bytes);
        }
        let mut memory = lock(&shared.memory);
        let before = memory.received;
        let used = match shared.protocol {
            Protocol::Lines | Protocol::Gzip => lines(&self.held, &mut memory, shared),
            Protocol::Pickle => frames(&self.held, &mut self.unpickler, &mut memory, shared),
        };
        self.held.drain(..used);
        memory.received - before
    }
}

fn lines(held: &[u8], memory: &mut Memory, shared: &Shared) -> usize {
    let mut used = 0;
    for line in held.split_inclusive(|b| *b == b'\n') {
        let Some(whole) = line.strip_suffix(b"\n") else { break };
        used += line.len();
        match parse_line(whole) {
            Some((name, value, time)) => memory.add(name, time, value),
            None => {
                shared.malformed.fetch_add(1, SeqCst);
            }
        }
    }
    used
}

fn frames(held: &[u8], unpickler: &mut Unpickler, memory: &mut Memory, shared: &Shared) -> usize {
    let mut rest = held;
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let Some((body, after)) = after.split_at_checked(u32::from_be_bytes(*length) as usize) else { break };
        if unpickler.points(body, |name, time, value| memory.add(name, time, value)).is_err() {
            shared.malformed.fetch_add(1, SeqCst);
        }
        rest = after;
    }
    held.len() - rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load;

    const SOON: Duration = Duration::from_secs(10);

    #[test]
    fn every_point_is_remembered() {
        for (protocol, sent) in [
            (Protocol::Lines, carbon_load::encode::Protocol::Plaintext),
            (Protocol::Pickle, carbon_load::encode::Protocol::Pickle),
        ] {
            let sink = Sink::start(protocol).unwrap();
            let send = |points| {
                load::send(sink.address(), |a| {
                    (a.protocol, a.metrics, a.points, a.start_ts) = (sent, 500, points, Some(1_700_000_040));
                })
                .unwrap()
            };
            let part = send(3);
            sink.has(1500, SOON).unwrap();
            sink.is_exactly(&part.digest).unwrap();
            let whole = send(4);
            sink.has(2000, SOON).unwrap();
            eventually_true(SOON, "repeats", || sink.received() == 3500).unwrap();
            sink.is_exactly(&whole.digest).unwrap();
            assert!(sink.is_exactly(&part.digest).is_err());
            assert_eq!((sink.names().len(), sink.connections()), (500, 8));
        }
    }

    #[test]
    fn packed_lines_are_read_as_they_come() {
        let sink = Sink::start(Protocol::Gzip).unwrap();
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut stream = load::connect(sink.address()).unwrap();
        for point in 1..=3 {
            writeln!(packer, "a {point} {}", 60 * point).unwrap();
            packer.flush().unwrap();
            stream.write_all(&std::mem::take(packer.get_mut())).unwrap();
            sink.has(point, SOON).unwrap();
        }
        assert_eq!((sink.received(), sink.malformed()), (3, 0));
        load::bytes(sink.address(), "not.packed 4 240\n").unwrap();
        eventually_true(SOON, "what is not packed is noticed", || sink.malformed() > 0).unwrap();
        assert_eq!(sink.received(), 3);
    }

    #[test]
    fn bad_manners() {
        let sink = Sink::start(Protocol::Lines).unwrap();
        sink.behave(Manner::Hang);
        let mut stream = load::connect(sink.address()).unwrap();
        stream.write_all(b"a 1 60\n").unwrap();
        eventually_true(SOON, "accepted", || sink.connections() == 1).unwrap();
        assert_eq!(sink.received(), 0);
        sink.behave(Manner::Reset);
        sink.has(1, SOON).unwrap();
        eventually_true(SOON, "reset", || stream.write_all(&[b'x'; 4096]).is_err()).unwrap();
        sink.behave(Manner::Read);
        load::bytes(sink.address(), "a 2 120\nhalf").unwrap();
        sink.has(2, SOON).unwrap();
        let address = sink.address();
        let earlier = sink;
        earlier.shared.stop.store(true, SeqCst);
        eventually_true(SOON, "refused", || TcpStream::connect(address).is_err()).unwrap();
        let sink = Sink::start_at(address, Protocol::Lines).unwrap().remembering(&earlier);
        assert_eq!(sink.series("a"), Series::from([(60, (1.0, 1)), (120, (2.0, 1))]));
    }
}
