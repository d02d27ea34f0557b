//! One destination's task: connects to the first endpoint that answers, hands the connection to
//! [`Connection`], and goes back when it breaks.
//!
//! TCP gives no receipt. An acknowledged byte may still sit in the peer's socket buffer when its
//! program dies, so after a connection that the node has not ended itself the sender goes back by
//! `resend_bytes` (never beyond what was sent on that connection). A second copy is allowed, a hole is
//! not. How far back it might have to go is saved with the position: what is neither proved read nor
//! sent again when the node stops is sent again after the next start.

use super::Stop;
use super::connect::{Backoff, Link, connect_one};
use super::connection::{Connection, End, LOOK};
use super::identity;
use super::lag::Lag;
use super::orders::Orders;
use super::running::Running;
use super::sink::Sinking;
use super::skipped::Skipped;
use super::status::Status;
use super::turn::{Found, Turn};
use crate::keepalive;
use skyline_conf::model::relay::Sending;
use skyline_conf::routing::Endpoint;
use skyline_journal::{Journal, Reader};
use std::io::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

/// A connection that has lasted so long was a good one: the next pause is the shortest.
const SETTLED: Duration = Duration::from_secs(2);
/// How many times the longest pause between attempts the pause between looks for an earlier endpoint may
/// become, while those that were found turn out to be no good.
const SEARCH_PAUSES: f64 = 12.0;
/// How often it is looked whether anything still waits for a destination whose points are held.
const HELD: Duration = Duration::from_secs(1);

/// What a sender is made of.
pub(super) struct Sender {
    pub(super) journal: Journal,
    pub(super) status: Arc<Status>,
    pub(super) stop: Stop,
    pub(super) orders: watch::Receiver<Orders>,
    pub(super) lag: Lag,
    /// Sequence number: everything before it was written once in this run.
    pub(super) sent: u64,
    /// What was shed and might be met again.
    pub(super) skipped: Skipped,
    running: Arc<Running>,
    /// The orders that are carried out.
    current: Orders,
    backoff: Backoff,
    /// The endpoint to try first.
    first: usize,
    /// An earlier endpoint, found while a stand-in was in use.
    found: Option<Found>,
    /// Pause between looks for an earlier endpoint, as a multiple of the longest between attempts.
    search_pauses: f64,
}

/// What came of trying to connect.
enum Attempt {
    Linked(Found),
    Failed(Error),
    /// The orders are to be looked at again.
    Orders,
    /// Nothing is sent any more in this run.
    Abort,
}

impl Sender {
    pub(super) fn new(running: Arc<Running>, orders: watch::Receiver<Orders>, status: Arc<Status>) -> Self {
        let current = orders.borrow().clone();
        Self {
            journal: running.journal.clone(),
            stop: running.stop.clone(),
            lag: Lag::new(&current.sending, running.flow.clone()),
            backoff: backoff(&current.sending),
            status,
            orders,
            sent: 0,
            skipped: Skipped::default(),
            running,
            current,
            first: 0,
            found: None,
            search_pauses: 1.0,
        }
    }

    /// How points are sent.
    pub(super) const fn sending(&self) -> &Sending {
        &self.current.sending
    }

    pub(super) fn endpoints(&self) -> &[Endpoint] {
        &self.current.endpoints
    }

    /// The edition of the orders that are carried out.
    pub(super) const fn edition(&self) -> u64 {
        self.current.edition
    }

    /// Changes when files are to be opened anew.
    pub(super) fn reopen(&self) -> watch::Receiver<u64> {
        self.running.files()
    }

    /// For an attempt to connect.
    pub(super) fn connect_limit(&self) -> Duration {
        Duration::from_secs_f64(self.sending().connect_seconds.clamp(0.1, 3600.0))
    }

    /// Between looks for an earlier endpoint.
    pub(super) fn search_pause(&self) -> Duration {
        Duration::from_secs_f64(self.sending().retry_max_seconds.clamp(0.05, 3600.0) * self.search_pauses)
    }

    /// Sends until the node stops, or until the destination has left and nothing waits for it.
    pub(super) async fn run(mut self, mut reader: Reader) {
        let held = reader.held();
        self.sent = reader.position();
        self.go_back(&mut reader, Some(held));
        loop {
            self.adopt();
            if Turn::is_done_unreached(&self.current, &reader) {
                match self.depart(reader).await {
                    Some(still_wanted) => reader = still_wanted,
                    None => return,
                }
                continue;
            }
            match self.attempt().await {
                Attempt::Abort => break,
                Attempt::Orders => continue,
                Attempt::Linked((index, link)) => {
                    let end;
                    (reader, end) = self.converse(reader, index, link).await;
                    match end {
                        End::Drained | End::Stopped => break,
                        End::HandedOver => continue,
                        End::Left => match self.depart(reader).await {
                            Some(still_wanted) => {
                                reader = still_wanted;
                                continue;
                            }
                            None => return,
                        },
                        End::Closed | End::Stalled(_) | End::Broken(_) => {}
                    }
                }
                Attempt::Failed(error) => {
                    self.status.failed(&error);
                    if self.stop.drain.is_cancelled() {
                        break;
                    }
                }
            }
            let pause = self.backoff.pause();
            reader = self.rest(reader, pause).await;
        }
        self.lag.end(&self.status);
        self.status.ended(reader.ledger());
    }

    /// Takes over what the orders have become.
    fn adopt(&mut self) {
        let orders = self.orders.borrow_and_update().clone();
        if orders.edition != self.current.edition {
            self.lag.end(&self.status);
            self.lag = Lag::new(&orders.sending, self.running.flow.clone());
            self.backoff = backoff(&orders.sending);
            (self.first, self.found, self.search_pauses) = (0, None, 1.0);
        }
        self.current = orders;
    }

    async fn attempt(&mut self) -> Attempt {
        if self.current.is_held() {
            return tokio::select! {
                biased;
                () = self.stop.abort.cancelled() => Attempt::Abort,
                () = self.stop.drain.cancelled() => Attempt::Abort,
                Ok(()) = self.orders.changed() => Attempt::Orders,
                () = sleep(HELD) => Attempt::Orders,
            };
        }
        let first = std::mem::take(&mut self.first);
        if let Some(found) = self.found.take() {
            return Attempt::Linked(found);
        }
        let limit = self.connect_limit();
        tokio::select! {
            biased;
            () = self.stop.abort.cancelled() => Attempt::Abort,
            Ok(()) = self.orders.changed() => Attempt::Orders,
            outcome = connect_one(&self.current.endpoints, first, limit) => match outcome {
                Ok(found) => Attempt::Linked(found),
                Err(error) => Attempt::Failed(error),
            }
        }
    }

    async fn converse(&mut self, reader: Reader, index: usize, link: Link) -> (Reader, End) {
        self.status.connected(
            self.current.endpoints.get(index).map(identity::endpoint).unwrap_or_default(),
            link.protocol(),
        );
        if let Link::Stream(stream) = &link {
            keepalive::set(&stream.socket, &self.sending().keepalive);
        }
        let began = Instant::now();
        let turn = Turn::new(self, index);
        let (reader, end, found) = match link {
            Link::Stream(stream) => Connection::new(self, stream, turn).run(reader).await,
            Link::Sink(sink) => Sinking::new(self, sink, turn).run(reader).await,
        };
        self.found = found;
        let is_settled = began.elapsed() >= SETTLED;
        if is_settled {
            self.backoff.reset();
            self.search_pauses = if index == 0 { 1.0 } else { self.search_pauses };
        }
        match &end {
            End::Drained | End::Stopped => {}
            End::HandedOver | End::Left => self.status.closed(),
            End::Closed => self.status.failed(&"closed by the peer"),
            End::Broken(error) => self.status.failed(error),
            End::Stalled(seconds) => self.status.failed(&format_args!(
                "nothing was acknowledged for {seconds} s (relay.sending.stall_seconds)"
            )),
        }
        let is_bad = match &end {
            End::Stalled(_) => true,
            End::Closed | End::Broken(_) => !is_settled,
            _ => false,
        };
        // It answers and is no good all the same: its stand-ins have a turn.
        if is_bad && self.found.is_none() && self.current.endpoints.len() > 1 {
            self.first = (index + 1) % self.current.endpoints.len();
            self.search_pauses = (self.search_pauses * 2.0).min(SEARCH_PAUSES);
        }
        (reader, end)
    }

    /// Forgets the position of a destination that has left; gives the reader back if it is wanted again.
    async fn depart(&mut self, reader: Reader) -> Option<Reader> {
        self.lag.end(&self.status);
        let running = Arc::clone(&self.running);
        running.depart(reader).await
    }

    /// Waits before the next attempt, with an eye on the lag. Ends at once when the node stops or the orders
    /// change.
    async fn rest(&mut self, mut reader: Reader, pause: Duration) -> Reader {
        let until = Instant::now() + pause;
        let stop = self.stop.clone();
        let drain = if stop.drain.is_cancelled() { &stop.abort } else { &stop.drain };
        let mut orders = self.orders.clone();
        loop {
            reader = self.mind_the_lag(reader).await;
            let left = until.saturating_duration_since(Instant::now());
            let nap = if self.lag.is_watched() { left.min(LOOK) } else { left };
            let called = async {
                tokio::select! {
                    () = drain.cancelled() => {}
                    Ok(()) = orders.changed() => {}
                }
            };
            if timeout_at(Instant::now() + nap, called).await.is_ok() || left <= nap {
                return reader;
            }
        }
    }

    /// Acts on how far behind the destination is.
    pub(super) async fn mind_the_lag(&mut self, reader: Reader) -> Reader {
        if !self.lag.is_watched() {
            return reader;
        }
        let (cursor, position) = (reader.cursor(), reader.position());
        let is_leaving = self.orders.borrow().leaving.is_some();
        let mut reader = self.lag.mind(reader, &self.status, is_leaving).await;
        self.skipped.add(cursor.max(position)..reader.cursor());
        if cursor < position.min(reader.cursor()) {
            // What is behind the position is not shed: it counts as delivered and may not be.
            reader.rewind(cursor);
        }
        reader
    }

    /// Moves the cursor back to `seq`, if it is beyond, and keeps the journal from there on.
    pub(super) fn go_back(&mut self, reader: &mut Reader, seq: Option<u64>) {
        if let Some(seq) = seq.filter(|seq| *seq < reader.cursor()) {
            reader.rewind(seq);
        }
        self.hold(reader, None);
    }

    /// Keeps the journal from `seq` on, the oldest that may have to be sent again; `None`: from the
    /// cursor, where that is behind the position.
    pub(super) fn hold(&mut self, reader: &mut Reader, seq: Option<u64>) {
        let cursor = reader.cursor();
        reader.hold(seq.unwrap_or(if cursor < reader.position() { cursor } else { u64::MAX }));
        self.skipped.forget_before(seq.unwrap_or(cursor));
    }
}

fn backoff(sending: &Sending) -> Backoff {
    Backoff::new(sending.retry_min_seconds, sending.retry_max_seconds)
}
