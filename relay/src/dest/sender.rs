//! One destination's task: connects, hands the connection to [`Connection`], and goes back when it
//! breaks.
//!
//! TCP gives no receipt. An acknowledged byte may still sit in the peer's socket buffer when its
//! program dies, so after a connection that the node has not ended itself the sender goes back by
//! `resend_bytes` (never beyond what was sent on that connection). A second copy is allowed, a hole is
//! not. How far back it might have to go is saved with the position: what is neither proved read nor
//! sent again when the node stops is sent again after the next start.

use super::Stop;
use super::address::Address;
use super::connect::{Backoff, connect};
use super::connection::{Connection, End, LOOK};
use super::lag::Lag;
use super::skipped::Skipped;
use super::status::Status;
use skyline_conf::model::relay::Sending;
use skyline_journal::{Journal, Reader};
use std::io::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// A connection that has lasted so long was a good one: the next pause is the shortest.
const SETTLED: Duration = Duration::from_secs(2);

/// What a sender is made of.
pub(super) struct Sender {
    pub(super) address: Address,
    pub(super) sending: Sending,
    pub(super) journal: Journal,
    pub(super) status: Arc<Status>,
    pub(super) stop: Stop,
    pub(super) lag: Lag,
    /// Sequence number: everything before it was written once in this run.
    pub(super) sent: u64,
    /// What was shed and might be met again.
    pub(super) skipped: Skipped,
}

impl Sender {
    /// Sends until the node stops.
    pub(super) async fn run(mut self, mut reader: Reader) {
        let held = reader.held();
        self.sent = reader.position();
        self.go_back(&mut reader, Some(held));
        let mut backoff = Backoff::new(self.sending.retry_min_seconds, self.sending.retry_max_seconds);
        while let Some(attempt) = self.connect().await {
            match attempt {
                Ok(stream) => {
                    let end;
                    (reader, end) = self.converse(reader, stream, &mut backoff).await;
                    if matches!(end, End::Drained | End::Stopped) {
                        break;
                    }
                }
                Err(error) => {
                    self.status.failed(&error);
                    if self.stop.drain.is_cancelled() {
                        break;
                    }
                }
            }
            reader = self.rest(reader, backoff.pause()).await;
        }
        self.lag.end(&self.status);
        self.status.ended(reader.ledger());
    }

    /// A connection, or why there is none; `None` when the node's time is up.
    async fn connect(&self) -> Option<Result<TcpStream, Error>> {
        let limit = Duration::from_secs_f64(self.sending.connect_seconds.clamp(0.1, 3600.0));
        self.stop.abort.run_until_cancelled(connect(&self.address, limit)).await
    }

    async fn converse(&mut self, reader: Reader, stream: TcpStream, backoff: &mut Backoff) -> (Reader, End) {
        self.status.connected();
        let began = Instant::now();
        let (reader, end) = Connection::new(self, stream).run(reader).await;
        if began.elapsed() >= SETTLED {
            backoff.reset();
        }
        match &end {
            End::Drained | End::Stopped => {}
            End::Closed => self.status.failed(&"closed by the peer"),
            End::Broken(error) => self.status.failed(error),
            End::Stalled => self.status.failed(&format_args!(
                "nothing was acknowledged for {} s (relay.sending.stall_seconds)",
                self.sending.stall_seconds
            )),
        }
        (reader, end)
    }

    /// Waits before the next attempt, with an eye on the lag. Ends at once when the node stops.
    async fn rest(&mut self, mut reader: Reader, pause: Duration) -> Reader {
        let until = Instant::now() + pause;
        let stop = self.stop.clone();
        let drain = if stop.drain.is_cancelled() { &stop.abort } else { &stop.drain };
        loop {
            reader = self.mind_the_lag(reader).await;
            let left = until.saturating_duration_since(Instant::now());
            let nap = if self.lag.is_watched() { left.min(LOOK) } else { left };
            if timeout_at(Instant::now() + nap, drain.cancelled()).await.is_ok() || left <= nap {
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
        let mut reader = self.lag.mind(reader, &self.status).await;
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
