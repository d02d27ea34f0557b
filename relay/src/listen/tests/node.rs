//! What the tests of listeners run against.

use crate::flow::Flow;
use crate::intake::{Intake, Options};
use crate::listen::{Context, Listeners, Running};
use crate::route::Router;
use skyline_conf::model::listen::{Listen, Stream, WhenFull};
use skyline_conf::model::relay::Relay;
use skyline_core::batch::Listener;
use skyline_core::clock::Clock;
use skyline_core::figure::Figure;
use skyline_core::reject::Reject;
use skyline_journal::{Delivery, Durability, Journal, Reader, Scope};
use std::net::SocketAddr;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A free port.
pub(super) const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Listeners, intake and journal in a folder of their own.
pub(super) struct Node {
    pub(super) dir: TempDir,
    reader: Reader,
    pub(super) intake: Intake,
    pub(super) flow: Flow,
    pub(super) tracker: TaskTracker,
    pub(super) stop: CancellationToken,
    pub(super) addresses: Vec<(Listener, SocketAddr)>,
    pub(super) settings: Listen,
    pub(super) running: Running,
    seen: Vec<u8>,
}

fn everything() -> Listen {
    Listen {
        plaintext_tcp: vec![ANY],
        pickle_tcp: vec![ANY],
        protobuf_tcp: vec![ANY],
        plaintext_udp: vec![ANY],
        msgpack_udp: vec![ANY],
        when_full: WhenFull::Block,
        ..Listen::default()
    }
}

fn journal(dir: &TempDir) -> Journal {
    let options = skyline_journal::Options {
        dir: dir.path().join("journal"),
        max_bytes: 64 << 20,
        segment_bytes: 8 << 20,
        memory_bytes: 8 << 20,
        durability: Durability::Process,
        when_full: skyline_journal::WhenFull::ShedOldest,
        min_free_percent: 0.0,
    };
    Journal::open(options).unwrap().0
}

impl Node {
    pub(super) fn start(change: impl FnOnce(&TempDir, &mut Listen)) -> Self {
        let dir = TempDir::new().unwrap();
        let mut settings = everything();
        change(&dir, &mut settings);
        let journal = journal(&dir);
        let reader = journal.reader("test", Scope::Everything).unwrap();
        let router = Router::of_settings(&Relay::default(), &journal).unwrap();
        let options = Options {
            state_dir: dir.path().to_owned(),
            when_full: settings.when_full,
            udp_when_full: settings.udp_when_full,
            clock: Clock::at(1_700_000_000.75),
        };
        let intake = Intake::open(journal, router, options).unwrap();
        let flow = Flow::default();
        let context = Context { intake: intake.clone(), flow: flow.clone() };
        let listeners = Listeners::bind(&settings).unwrap();
        let addresses =
            listeners.addresses().into_iter().filter_map(|(kind, at)| Some((kind, at.ip()?))).collect();
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let running = listeners.spawn(context, &tracker, &stop);
        let seen = Vec::new();
        Self { dir, reader, intake, flow, tracker, stop, addresses, settings, running, seen }
    }

    pub(super) fn address(&self, listener: Listener) -> SocketAddr {
        self.addresses.iter().find(|(kind, _)| *kind == listener).unwrap().1
    }

    /// With one `[[listen.stream]]` on a free port.
    pub(super) fn with(stream: Stream) -> Self {
        Self::start(|_, listen| listen.stream = vec![Stream { address: Some(ANY), ..stream }])
    }

    /// Where that is.
    pub(super) fn stream(&self) -> SocketAddr {
        self.addresses.last().unwrap().1
    }

    pub(super) async fn tcp(&self, listener: Listener) -> TcpStream {
        TcpStream::connect(self.address(listener)).await.unwrap()
    }

    pub(super) async fn udp(&self, listener: Listener) -> UdpSocket {
        let socket = UdpSocket::bind(ANY).await.unwrap();
        socket.connect(self.address(listener)).await.unwrap();
        socket
    }

    /// All lines that were logged so far.
    pub(super) fn logged(&mut self) -> String {
        let mut got: Vec<Delivery> = Vec::new();
        loop {
            self.reader.take(10_000, &mut got).unwrap();
            if got.is_empty() {
                return String::from_utf8(self.seen.clone()).unwrap();
            }
            for delivery in got.drain(..) {
                self.seen.extend_from_slice(&delivery.batch.text);
            }
        }
    }

    #[track_caller]
    pub(super) fn has(&mut self, lines: &str) -> impl Future<Output = ()> {
        let at = std::panic::Location::caller();
        let lines = lines.to_owned();
        async move {
            for _ in 0..500 {
                if self.logged() == lines {
                    return;
                }
                sleep(Duration::from_millis(10)).await;
            }
            panic!("{at}: logged {:?}, want {lines:?}", self.logged());
        }
    }

    pub(super) fn refused(&self, listener: Listener, why: Reject) -> u64 {
        self.intake.ledgers().iter().find(|l| l.listener == listener).unwrap().refused.get(why)
    }

    pub(super) async fn refuses(&self, listener: Listener, why: Reject, points: u64) {
        for _ in 0..500 {
            if self.refused(listener, why) == points {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("{} {}: {}", listener.label(), why.label(), self.refused(listener, why));
    }

    pub(super) fn figure(&self, name: &str) -> Vec<Figure> {
        let mut figures = Vec::new();
        self.intake.figures(&mut figures);
        figures.into_iter().filter(|figure| figure.name == name).collect()
    }

    pub(super) fn value(&self, name: &str) -> f64 {
        self.figure(name).iter().map(|figure| figure.value).sum()
    }

    pub(super) async fn stop(&self) {
        self.stop.cancel();
        self.tracker.close();
        timeout(Duration::from_secs(5), self.tracker.wait()).await.expect("all tasks end");
        assert!(self.intake.close().unwrap(), "{:?}", self.intake.ledgers());
        assert_eq!(self.value("skyline_relay_connections"), 0.0);
    }
}
