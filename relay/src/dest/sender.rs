//! One destination's task: connects, writes what its reader gives, moves the position as the peer's kernel
//! acknowledges, and goes back when a connection breaks.
//!
//! TCP gives no receipt. An acknowledged byte may still sit in the peer's socket buffer when its program
//! dies, so after a connection that did not end in order the sender goes back by `resend_bytes`
//! (never beyond that connection) and counts the points sent twice. A second copy is allowed, a hole is
//! not. A connection that the peer closes in order proves that all acknowledged bytes were read: a
//! socket closed with unread data sends a reset instead (RFC 1122 §4.2.2.13).

use super::acks::Acks;
use super::address::Address;
use super::encode::Encoded;
use super::pace::Pace;
use super::status::Status;
use super::unacked::unacked;
use crate::flow::Flow;
use skyline_conf::model::relay::{Sending, WhenBehind};
use skyline_journal::{Delivery, Journal, Reader};
use std::io::{Error, ErrorKind, IoSlice};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// Points taken from the journal for one write.
const TAKE: usize = 16_384;
/// How often acknowledgements and the lag are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Below this share of the mark a pause of the listeners ends.
const LOW: f64 = 0.8;

/// What a sender is made of.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) address: Address,
    pub(super) sending: Sending,
    pub(super) journal: Journal,
    pub(super) reader: Option<Reader>,
    pub(super) flow: Flow,
    pub(super) status: Arc<Status>,
    /// Send what is there, then end.
    pub(super) drain: CancellationToken,
    /// End now.
    pub(super) abort: CancellationToken,
    pub(super) pausing: bool,
    /// Batches given to the encoder; reused.
    pub(super) taken: Vec<Delivery>,
    pub(super) encoded: Encoded,
}

/// How a connection ended.
enum End {
    /// Everything is sent and the node stops.
    Drained,
    /// The peer closed in order.
    Closed,
    /// A reset, a time-out, or any other fault.
    Broken(Error),
    /// The journal cannot be read, or the node ends.
    Ours,
}

impl Sender {
    /// Runs until drained or aborted.
    pub(super) async fn run(mut self) {
        let mut pause = self.sending.retry_min_seconds.max(0.01);
        while !self.abort.is_cancelled() {
            match self.connect().await {
                Ok(stream) => {
                    let began = Instant::now();
                    self.status.connected();
                    match self.converse(stream).await {
                        End::Drained | End::Ours => break,
                        End::Closed => self.status.failed(&Error::new(ErrorKind::ConnectionReset, "closed by the peer")),
                        End::Broken(error) => self.status.failed(&error),
                    }
                    if began.elapsed() > Duration::from_secs(1) {
                        pause = self.sending.retry_min_seconds.max(0.01);
                    }
                }
                Err(error) => {
                    self.status.failed(&error);
                    if self.drain.is_cancelled() {
                        break;
                    }
                }
            }
            self.rest(pause).await;
            pause = (pause * 2.0).min(self.sending.retry_max_seconds.max(0.01));
        }
        self.unpause();
        self.status.ended();
    }

    /// Waits before the next attempt, keeping an eye on the lag.
    async fn rest(&mut self, seconds: f64) {
        // Jitter from the clock is enough to keep senders apart.
        let jitter = 0.75 + 0.5 * f64::from(Instant::now().elapsed().subsec_nanos() % 1000) / 1000.0;
        let until = Instant::now() + Duration::from_secs_f64(seconds * jitter);
        while Instant::now() < until && !self.abort.is_cancelled() && !self.drain.is_cancelled() {
            self.mind_the_lag();
            tokio::time::sleep_until(until.min(Instant::now() + LOOK)).await;
        }
        self.mind_the_lag();
    }

    async fn connect(&self) -> Result<TcpStream, Error> {
        let (host, port) = (self.address.host.as_str(), self.address.port);
        let attempt = async {
            let mut last = Error::new(ErrorKind::NotFound, "the host has no address");
            for address in tokio::net::lookup_host((host, port)).await? {
                match TcpStream::connect(address).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = error,
                }
            }
            Err(last)
        };
        let limit = Duration::from_secs_f64(self.sending.connect_seconds.max(0.1));
        let stream = tokio::select! {
            outcome = tokio::time::timeout(limit, attempt) => {
                outcome.map_err(|_| Error::new(ErrorKind::TimedOut, "no connection in time"))??
            }
            () = self.abort.cancelled() => return Err(Error::new(ErrorKind::Interrupted, "the node stops")),
        };
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn converse(&mut self, mut stream: TcpStream) -> End {
        let mut acks = Acks::new(self.sending.resend_bytes);
        let end = self.serve(&mut stream, &mut acks).await;
        if let Ok(left) = unacked(stream.as_fd()) {
            self.acknowledged(&mut acks, left);
        }
        let clean = matches!(end, End::Closed);
        let (again, repeats) = acks.broken(clean);
        if !matches!(end, End::Drained)
            && let (Some(seq), Some(reader)) = (again, self.reader.as_mut())
        {
            reader.rewind(seq);
            self.status.repeats(repeats);
        }
        end
    }

    async fn serve(&mut self, stream: &mut TcpStream, acks: &mut Acks) -> End {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pace = Pace::new(self.sending.catch_up_points_per_second);
        let mut progress = (Instant::now(), 0);
        let (drain, abort) = (self.drain.clone(), self.abort.clone());
        let mut draining = drain.is_cancelled();
        loop {
            let Some(reader) = self.reader.as_ref() else { return End::Ours };
            if draining && acks.is_clear() && reader.cursor() >= self.journal.end() {
                return End::Drained;
            }
            tokio::select! {
                () = abort.cancelled() => return End::Ours,
                () = drain.cancelled(), if !draining => draining = true,
                ready = stream.readable() => {
                    if let Some(end) = discard(stream, ready) {
                        return end;
                    }
                }
                _ = look.tick() => {
                    match unacked(stream.as_fd()) {
                        Ok(left) => self.acknowledged(acks, left),
                        Err(error) => return End::Broken(error),
                    }
                    self.mind_the_lag();
                    if acks.in_flight() == 0 || acks.in_flight() != progress.1 {
                        progress = (Instant::now(), acks.in_flight());
                    } else if progress.0.elapsed().as_secs_f64() > self.sending.stall_seconds {
                        return End::Broken(Error::new(ErrorKind::TimedOut, "nothing acknowledged for `relay.sending.stall_seconds`"));
                    }
                }
                () = reader.ready() => {
                    let from_files = match self.take().await {
                        Ok(from_files) => from_files,
                        Err(end) => return end,
                    };
                    if let Err(error) = self.write(stream, acks).await {
                        return if abort.is_cancelled() { End::Ours } else { End::Broken(error) };
                    }
                    if from_files {
                        let points = self.taken.iter().map(Delivery::points).sum();
                        let rest = pace.spend(points);
                        tokio::select! {
                            () = tokio::time::sleep(rest) => {}
                            () = abort.cancelled() => {}
                        }
                    }
                }
            }
        }
    }

    /// Takes the next batches; true if they came from files.
    async fn take(&mut self) -> Result<bool, End> {
        self.taken.clear();
        let Some(mut reader) = self.reader.take() else { return Err(End::Ours) };
        let from_files = !reader.in_memory();
        let outcome = if from_files {
            let mut taken = std::mem::take(&mut self.taken);
            let task = tokio::task::spawn_blocking(move || {
                let outcome = reader.take(TAKE, &mut taken);
                (reader, taken, outcome)
            });
            let Ok((reader, taken, outcome)) = task.await else { return Err(End::Ours) };
            self.taken = taken;
            self.reader = Some(reader);
            outcome
        } else {
            let outcome = reader.take(TAKE, &mut self.taken);
            self.reader = Some(reader);
            outcome
        };
        if let Err(error) = outcome {
            tracing::error!(destination = %self.address, %error, "the journal cannot be read; trying again");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(from_files)
    }

    async fn write(&mut self, stream: &mut TcpStream, acks: &mut Acks) -> Result<(), Error> {
        if self.taken.is_empty() {
            self.nothing_for_us(acks);
            return Ok(());
        }
        let taken = std::mem::take(&mut self.taken);
        let mut encoded = std::mem::take(&mut self.encoded);
        encoded.of(&taken, self.address.protocol, self.sending.points_per_frame as usize);
        let outcome = self.write_slices(stream, &mut encoded.slices(&taken)).await;
        let position = self.reader.as_ref().map_or(0, Reader::position);
        if outcome.is_ok() {
            let mut points = 0;
            for (i, delivery) in taken.iter().enumerate() {
                // What is sent again was delivered before.
                let fresh = if delivery.batch.end_seq() > position { delivery.points() } else { 0 };
                let bytes = encoded.bytes(i, delivery).len() as u64;
                acks.wrote(bytes, delivery.batch.first_seq, delivery.batch.end_seq(), fresh);
                points += delivery.points();
            }
            self.status.sent(points);
        }
        self.taken = taken;
        self.encoded = encoded;
        outcome
    }

    /// Writes everything, as long as the peer takes something now and then.
    async fn write_slices(&mut self, stream: &mut TcpStream, slices: &mut [IoSlice<'_>]) -> Result<(), Error> {
        let mut left = slices;
        let stall = Duration::from_secs_f64(self.sending.stall_seconds.max(0.1));
        let mut progress = Instant::now();
        while !left.is_empty() {
            tokio::select! {
                biased;
                written = stream.write_vectored(left) => {
                    let written = written?;
                    if written == 0 {
                        return Err(ErrorKind::WriteZero.into());
                    }
                    progress = Instant::now();
                    IoSlice::advance_slices(&mut left, written);
                }
                () = self.abort.cancelled() => return Err(ErrorKind::Interrupted.into()),
                () = tokio::time::sleep(LOOK) => {
                    self.mind_the_lag();
                    if progress.elapsed() > stall {
                        return Err(Error::new(ErrorKind::TimedOut, "the peer takes nothing for `relay.sending.stall_seconds`"));
                    }
                }
            }
        }
        Ok(())
    }

    /// The reader has moved past batches that go elsewhere: they are done, unless something is open.
    fn nothing_for_us(&mut self, acks: &Acks) {
        if let Some(reader) = self.reader.as_mut()
            && acks.is_clear()
            && reader.cursor() > reader.position()
        {
            reader.done(reader.cursor(), 0);
        }
    }

    fn acknowledged(&mut self, acks: &mut Acks, left: u64) {
        let done = acks.acknowledge(left);
        let Some(reader) = self.reader.as_mut() else { return };
        if let Some(done) = done
            && done.seq > reader.position()
        {
            reader.done(done.seq, done.points);
        }
        reader.hold(acks.hold().unwrap_or(u64::MAX));
        self.nothing_for_us(acks);
    }

    /// Acts on how far behind the destination is.
    fn mind_the_lag(&mut self) {
        if self.sending.when_behind == WhenBehind::Spool {
            return;
        }
        let Some(reader) = self.reader.as_mut() else { return };
        let (waiting, mark) = (reader.ledger().waiting, self.sending.mark_points);
        match self.sending.when_behind {
            WhenBehind::Spool => {}
            WhenBehind::Shed if waiting > mark => match reader.shed_to(mark) {
                Ok(shed) => self.status.shed(shed),
                Err(error) => tracing::error!(destination = %self.address, %error, "old points cannot be skipped"),
            },
            WhenBehind::Shed => {}
            WhenBehind::Block => {
                if waiting > mark && !self.pausing {
                    self.pausing = true;
                    self.flow.pause();
                    tracing::warn!(destination = %self.address, waiting, "behind its mark: listeners pause");
                } else if (waiting as f64) < LOW * mark as f64 {
                    self.unpause();
                }
            }
        }
    }

    fn unpause(&mut self) {
        if std::mem::take(&mut self.pausing) {
            self.flow.resume();
            tracing::info!(destination = %self.address, "listeners go on");
        }
    }
}

/// Reads and drops what the peer says; how the connection ended, if it did.
fn discard(stream: &TcpStream, ready: std::io::Result<()>) -> Option<End> {
    if let Err(error) = ready {
        return Some(End::Broken(error));
    }
    let mut buffer = [0; 4096];
    match stream.try_read(&mut buffer) {
        Ok(0) => Some(End::Closed),
        Ok(_) => None,
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => Some(End::Broken(error)),
    }
}
