//! The part of the node between its sockets and its journal: real listeners, a real journal in a
//! folder of its own, and a reader.

use crate::points::Taken;
use anyhow::Context as _;
use skyline_conf::model::listen::Listen;
use skyline_conf::model::relay::Relay;
use skyline_core::batch::{Batch, Listener};
use skyline_core::clock::Clock;
use skyline_journal::{Delivery, Durability, Journal, Reader, Scope, WhenFull};
use skyline_relay::flow::Flow;
use skyline_relay::intake::{Intake, Options};
use skyline_relay::listen::{Context, Listeners};
use skyline_relay::route::Router;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The clock of the case files, seconds: what a timestamp of -1 became when they were made.
const NOW: f64 = 1_700_000_000.0;

/// Points taken from the reader at once.
const AT_ONCE: usize = 10_000;

/// What a case may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// `MIN_TIMESTAMP_RESOLUTION`, seconds.
    pub(crate) resolution: u32,
    /// `PICKLE_RECEIVER_MAX_LENGTH`, bytes.
    pub(crate) max_frame: u32,
}

impl Default for Settings {
    fn default() -> Self {
        let listen = Listen::default();
        Self { resolution: listen.timestamp_resolution_seconds, max_frame: listen.max_frame_bytes }
    }
}

/// A running rig.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) settings: Settings,
    reader: Reader,
    addresses: Vec<(Listener, SocketAddr)>,
    stop: CancellationToken,
    tracker: TaskTracker,
    /// Goes last.
    _dir: TempDir,
}

impl Rig {
    /// Starts one on free ports of the loopback interface.
    pub(crate) fn start(settings: Settings) -> anyhow::Result<Self> {
        let dir = TempDir::new().context("a folder for the journal")?;
        let listen = Listen {
            plaintext_tcp: vec![ANY_PORT],
            plaintext_udp: vec![ANY_PORT],
            pickle_tcp: vec![ANY_PORT],
            protobuf_tcp: vec![ANY_PORT],
            timestamp_resolution_seconds: settings.resolution,
            max_frame_bytes: settings.max_frame,
            ..Listen::default()
        };
        let clock = Clock::at(NOW);
        let options = skyline_journal::Options {
            dir: dir.path().join("journal"),
            max_bytes: 256 << 20,
            segment_bytes: 16 << 20,
            memory_bytes: 16 << 20,
            durability: Durability::Process,
            when_full: WhenFull::ShedOldest,
            min_free_percent: 0.0,
        };
        let (journal, _) = Journal::open_with(options, clock.clone())?;
        let reader = journal.reader("conformance", Scope::Everything)?;
        let router = Router::of_settings(&Relay::default(), &journal)?;
        let options = Options {
            state_dir: dir.path().to_owned(),
            when_full: listen.when_full,
            udp_when_full: listen.udp_when_full,
            clock: clock.clone(),
        };
        let intake = Intake::open(journal, router, options)?;
        let listeners = Listeners::bind(&listen)?;
        let kinds =
            [Listener::PlaintextTcp, Listener::PlaintextUdp, Listener::PickleTcp, Listener::ProtobufTcp];
        let addresses = kinds.into_iter().filter_map(|kind| Some((kind, listeners.address(kind)?))).collect();
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        listeners.spawn(Context { intake, flow: Flow::default() }, &tracker, &stop);
        Ok(Self { settings, reader, addresses, stop, tracker, _dir: dir })
    }

    /// Where a listener is.
    pub(crate) fn address(&self, listener: Listener) -> Result<SocketAddr, String> {
        let found = self.addresses.iter().find(|(kind, _)| *kind == listener);
        found.map(|(_, address)| *address).ok_or_else(|| format!("no listener {}", listener.label()))
    }

    /// Appends the points that were logged since the last call.
    pub(crate) fn drain(&mut self, points: &mut Vec<Taken>) -> Result<(), String> {
        let mut deliveries: Vec<Delivery> = Vec::new();
        loop {
            self.reader.take(AT_ONCE, &mut deliveries).map_err(|error| error.to_string())?;
            if deliveries.is_empty() {
                return Ok(());
            }
            for Delivery { batch, .. } in deliveries.drain(..) {
                check_text(&batch)?;
                points.extend(batch.samples.iter().map(|sample| Taken {
                    name: batch.name(sample).to_vec(),
                    ts: sample.ts,
                    value: sample.value,
                    received: batch.received,
                }));
                self.reader.done(batch.end_seq(), batch.len() as u64);
            }
        }
    }

    /// Stops the listeners and waits for their tasks.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// A reader that comes later reads the lines: they must say what the samples say.
fn check_text(batch: &Batch) -> Result<(), String> {
    let again = Batch::from_text(batch.source, batch.received, batch.routes.clone(), batch.text.clone());
    match again {
        Ok(again) if again.samples == batch.samples => Ok(()),
        Ok(_) => Err("the logged lines and their samples differ".to_owned()),
        Err(why) => Err(format!("the logged lines cannot be read back: {}", why.label())),
    }
}
