//! A journal with destinations, points with numbers, and peers that behave as they are told.

use super::super::{DestinationStatus, Destinations, Stop, reader_of};
use crate::flow::Flow;
use crate::route::Router;
use skyline_conf::model::relay::{DestinationEntry, Relay, Sending};
use skyline_conf::routing::native::{self, Native};
use skyline_conf::routing::{Destination, Endpoint, Server};
use skyline_core::batch::{BatchBuilder, Listener, Origin, RouteSet, Routes, Source};
use skyline_core::clock::Clock;
use skyline_journal::{Durability, Journal, Options, WhenFull};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// Longest time that anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `holds`.
#[track_caller]
pub(super) fn eventually(what: &str, mut holds: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let (what, place) = (what.to_owned(), std::panic::Location::caller());
    async move {
        let start = std::time::Instant::now();
        while !holds() {
            assert!(start.elapsed() < PATIENCE, "{place}: not in time: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Settings for these destinations, with short times.
pub(super) fn relay(destinations: &[String]) -> Relay {
    let destinations = destinations.iter().cloned().map(DestinationEntry::Address).collect();
    let mut relay = Relay { destinations, ..Relay::default() };
    relay.sending.retry_min_seconds = 0.01;
    relay.sending.retry_max_seconds = 0.1;
    relay.sending.connect_seconds = 2.0;
    relay
}

/// A way of sending with short times.
pub(super) fn sending() -> Sending {
    relay(&[]).sending
}

/// A plain server at `at`.
pub(super) fn server(at: SocketAddr) -> Server {
    Server::plain(at.ip().to_string(), at.port(), None)
}

/// A destination called `label`, and the usual way of sending.
pub(super) fn destination(label: &str, servers: impl IntoIterator<Item = Server>) -> (Destination, Sending) {
    let endpoints = servers.into_iter().map(Endpoint::Server).collect();
    (Destination { label: label.to_owned(), endpoints }, sending())
}

/// A running relay without listeners.
pub(super) struct Rig {
    pub(super) journal: Journal,
    pub(super) flow: Flow,
    pub(super) destinations: Destinations,
    pub(super) stop: Stop,
    router: Router,
    /// Where all points go, if not where the router says.
    set: Mutex<Option<RouteSet>>,
    tasks: TaskTracker,
}

impl Rig {
    /// Opens the journal in `dir`, which keeps next to nothing in memory, and starts.
    pub(super) fn start(dir: &Path, relay: &Relay) -> Self {
        let Native { routing, sending, .. } = native::read(relay).unwrap();
        Self::open(dir, relay, routing.destinations.into_iter().zip(sending).collect())
    }

    /// The same with these destinations, each of which gets all points.
    pub(super) fn of(dir: &Path, all: Vec<(Destination, Sending)>) -> Self {
        let names: Vec<Destination> = all.iter().map(|(destination, _)| destination.clone()).collect();
        let rig = Self::open(dir, &Relay::default(), all);
        rig.route_to(&names);
        rig
    }

    /// All points go to these from now on.
    pub(super) fn route_to(&self, all: &[Destination]) {
        let readers: Vec<String> = all.iter().map(reader_of).collect();
        let set = self.journal.route_set(&readers.iter().map(String::as_str).collect::<Vec<_>>());
        *self.set.lock().unwrap() = Some(set);
    }

    fn open(dir: &Path, relay: &Relay, all: Vec<(Destination, Sending)>) -> Self {
        let options = Options {
            dir: dir.to_owned(),
            max_bytes: 256 << 20,
            segment_bytes: 1 << 20,
            memory_bytes: 32 << 10,
            durability: Durability::Process,
            when_full: WhenFull::Block,
            min_free_percent: 0.0,
        };
        let (journal, _) = Journal::open(options).unwrap();
        let (flow, stop, tasks) = (Flow::default(), Stop::default(), TaskTracker::new());
        let router = Router::of_settings(relay, &journal).unwrap();
        let destinations =
            Destinations::start(all, dir, &journal, &flow, &Clock::system(), &tasks, &stop).unwrap();
        Self { journal, flow, destinations, stop, router, set: Mutex::default(), tasks }
    }

    /// Logs the points with these numbers, 50 a batch.
    pub(super) async fn log(&self, numbers: Range<u64>) {
        let numbers: Vec<u64> = numbers.collect();
        for chunk in numbers.chunks(50) {
            let source = Source { listener: Listener::PlaintextTcp, origin: Origin::Live };
            let mut builder = BatchBuilder::new(source, Clock::system().now());
            for number in chunk {
                let name = format!("servers.web{:03}.cpu.user", number % 97);
                builder.point(name.as_bytes(), 1_700_000_000.0, *number as f64).unwrap();
            }
            let mut batch = self.router.route(builder.finish().unwrap()).batch.unwrap();
            if let Some(set) = *self.set.lock().unwrap() {
                batch.routes = Routes::All(set);
            }
            self.journal.append(batch).await.unwrap();
            tokio::task::yield_now().await;
        }
    }

    /// The state of destination number `index`; its account adds up.
    #[track_caller]
    pub(super) fn status(&self, index: usize) -> DestinationStatus {
        let status = self.destinations.status().swap_remove(index);
        assert_eq!(status.routed, status.delivered + status.waiting + status.shed, "{status:?}");
        status
    }

    /// Waits until destination number `index` has had `points` delivered and nothing waits.
    pub(super) async fn delivered(&self, index: usize, points: u64) {
        eventually(&format!("{points} points delivered"), || {
            let status = self.status(index);
            status.delivered == points && status.waiting == 0
        })
        .await;
        assert_eq!(self.mismatches(), 0, "what was said to be delivered is what the journal has counted");
    }

    fn mismatches(&self) -> u64 {
        let mut figures = Vec::new();
        self.journal.figures(&mut figures);
        figures.iter().filter(|f| f.name.contains("mismatch")).map(|f| f.value as u64).sum()
    }

    /// Lets the senders finish.
    pub(super) async fn drain(self) -> Destinations {
        self.stop.drain.cancel();
        self.tasks.close();
        tokio::time::timeout(PATIENCE, self.tasks.wait()).await.expect("senders end when they are done");
        self.journal.sync().unwrap();
        self.destinations
    }

    /// Ends the senders at once.
    pub(super) async fn abort(self) -> Destinations {
        self.stop.abort.cancel();
        self.drain().await
    }
}

/// An address at which nobody listens yet.
pub(super) fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A listening socket whose connections can hold little that is not read.
pub(super) fn narrow(at: SocketAddr) -> TcpListener {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    socket.bind(at).unwrap();
    socket.listen(16).unwrap()
}

/// Closes a connection as a program that dies with unread data does.
pub(super) fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

/// A peer that reads everything.
pub(super) struct Sink {
    pub(super) address: SocketAddr,
    /// What each connection brought.
    connections: Arc<Mutex<Vec<Vec<u8>>>>,
    task: JoinHandle<()>,
}

impl Sink {
    pub(super) async fn at(address: SocketAddr) -> Self {
        Self::on(TcpListener::bind(address).await.unwrap())
    }

    pub(super) async fn new() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    pub(super) fn on(listener: TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(serve(listener, Arc::clone(&connections)));
        Self { address, connections, task }
    }

    /// Bytes of all connections in the order of connecting.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.connections.lock().unwrap().concat()
    }

    /// Numbers of the points that came, in order; a cut line at the end of a connection is none.
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.connections.lock().unwrap().iter().flat_map(|bytes| numbers(bytes)).collect()
    }

    /// The same, of each connection by itself.
    pub(super) fn runs(&self) -> Vec<Vec<u64>> {
        self.connections.lock().unwrap().iter().map(|bytes| numbers(bytes)).collect()
    }

    /// Waits until all numbers of `expected` have come, in order and once each.
    pub(super) async fn has(&self, expected: Range<u64>) {
        let count = (expected.end - expected.start) as usize;
        eventually("all points have come", || self.numbers().len() >= count).await;
        assert_eq!(self.numbers(), expected.collect::<Vec<_>>());
    }

    /// Stops listening and closes all connections.
    pub(super) async fn close(self) {
        self.close_and_keep().await;
    }

    /// The same; what came can still be asked for.
    pub(super) async fn close_and_keep(mut self) -> Self {
        self.task.abort();
        drop((&mut self.task).await);
        self
    }
}

async fn serve(listener: TcpListener, connections: Arc<Mutex<Vec<Vec<u8>>>>) {
    let mut readers = tokio::task::JoinSet::new();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let all = Arc::clone(&connections);
        let index = {
            let mut all = all.lock().unwrap();
            all.push(Vec::new());
            all.len() - 1
        };
        readers.spawn(async move {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                all.lock().unwrap()[index].extend_from_slice(&buffer[..read]);
            }
        });
    }
}

/// Numbers of the points in whole lines.
pub(super) fn numbers(bytes: &[u8]) -> Vec<u64> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    lines
        .map(|line| {
            let text = std::str::from_utf8(line).unwrap();
            text.split(' ').nth(1).unwrap_or_else(|| panic!("not a line: {text:?}")).parse().unwrap()
        })
        .collect()
}

/// Numbers of the points in whole frames of pickles.
#[expect(clippy::disallowed_methods, reason = "reads back what this crate wrote")]
pub(super) fn pickled(bytes: &[u8]) -> Vec<u64> {
    let (mut rest, mut all) = (bytes, Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let Some((frame, after)) = after.split_at_checked(u32::from_be_bytes(*length) as usize) else {
            break;
        };
        let options = serde_pickle::DeOptions::new();
        let points: Vec<(String, (i64, f64))> = serde_pickle::from_slice(frame, options).unwrap();
        assert!(points.iter().all(|(name, (ts, _))| name.starts_with("servers.") && *ts == 1_700_000_000));
        all.extend(points.into_iter().map(|(_, (_, value))| value as u64));
        rest = after;
    }
    all
}
