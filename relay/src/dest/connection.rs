//! One open connection: writes what the reader gives as soon as there is something, moves the
//! position as the peer's kernel acknowledges, and notices when the peer is gone.

use super::connect::Stream;
use super::feed::{Feed, rest};
use super::outgoing::{SLICES, Sent};
use super::sender::Sender;
use super::stage::Stage;
use super::turn::{Found, Turn};
use super::unacked::unacked;
use skyline_journal::Reader;
use socket2::SockRef;
use std::io::{Error, ErrorKind, IoSlice};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::time::Duration;
use tokio::io::{Interest, Ready};
use tokio::net::TcpStream;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, timeout};

/// How often acknowledgements, progress and lag are looked at while there is anything to look at.
pub(super) const LOOK: Duration = Duration::from_millis(100);
/// While writing, acknowledgements are looked at no more often than this.
const GLANCE: Duration = Duration::from_millis(10);
/// For the peer's end of a connection that the node ends in order.
const FAREWELL: Duration = Duration::from_secs(1);
/// After the peer's end, for the reset of a program that closed with unread data.
const RESET_FOLLOWS: Duration = Duration::from_millis(20);
/// Reads of what the peer says before anything else gets its turn.
const READS: usize = 16;

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// All is delivered, and the node stops.
    Drained,
    /// The node's time is up.
    Stopped,
    /// It has ended in order, and another goes on from here.
    HandedOver,
    /// The destination is no longer configured, and all that waited for it is delivered.
    Left,
    /// The peer closed. That says nothing of what its program has read: a program that shuts its side
    /// down before it closes (Twisted, and so carbon, does) drops unread data after an orderly end.
    Closed,
    /// Nothing was acknowledged for so many seconds.
    Stalled(f64),
    /// A reset or any other fault.
    Broken(Error),
}

/// What comes next.
enum Event {
    Abort,
    Turn,
    Look,
    Socket(Result<Ready, Error>),
    Rested,
    More,
}

/// An open connection of a sender.
pub(super) struct Connection<'s> {
    sender: &'s mut Sender,
    stream: TcpStream,
    /// What packs and encrypts; `None`: points go as they are.
    stage: Option<Box<Stage>>,
    feed: Feed,
    turn: Turn,
    look: Interval,
    glanced: Instant,
    /// Bytes acknowledged when that last changed, and when.
    progress: (u64, Instant),
}

impl<'s> Connection<'s> {
    pub(super) fn new(sender: &'s mut Sender, stream: Stream, turn: Turn) -> Self {
        let now = Instant::now();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            feed: Feed::new(sender, stream.protocol, sender.sending().resend_bytes),
            turn,
            look,
            glanced: now,
            progress: (0, now),
            sender,
            stream: stream.socket,
            stage: stream.stage,
        }
    }

    /// Sends until the connection ends. Returns the reader with its cursor where the next
    /// connection has to begin, and the next connection if there is one.
    pub(super) async fn run(mut self, mut reader: Reader) -> (Reader, End, Option<Found>) {
        let end = loop {
            // The journal may always have more, and the socket may always take it.
            tokio::task::consume_budget().await;
            if let Some(end) = self.end_in_order(&reader) {
                break end;
            }
            let outcome = match self.next(&reader).await {
                Event::Abort => break End::Stopped,
                Event::Turn => {
                    if self.turn.is_handing_over() {
                        // The next connection waits for the last acknowledgement of this one.
                        self.look.reset_after(GLANCE);
                    }
                    Ok(())
                }
                Event::Rested => {
                    self.feed.rest_until = None;
                    Ok(())
                }
                Event::Socket(ready) => {
                    ready.map_err(End::Broken).and_then(|ready| self.serve(ready, &mut reader))
                }
                Event::Look => {
                    reader = self.sender.mind_the_lag(reader).await;
                    if self.turn.is_handing_over() {
                        self.look.reset_after(GLANCE);
                    }
                    self.look_after(&mut reader)
                }
                Event::More => {
                    if self.feed.acks.is_clear() {
                        // Waiting for an acknowledgement begins with what is now sent.
                        self.progress = (self.feed.acks.acked(), Instant::now());
                    }
                    reader = self.feed.take(self.sender, reader).await;
                    self.write(&mut reader)
                }
            };
            if let Err(end) = outcome {
                break end;
            }
        };
        let is_in_order = matches!(end, End::Drained | End::HandedOver | End::Left);
        let is_read = is_in_order && self.is_read_out().await;
        self.leave(&mut reader, &end, is_read);
        (reader, end, self.turn.into_found())
    }

    /// How the connection ends now, with everything that was taken for it acknowledged; `None`: it goes on.
    fn end_in_order(&self, reader: &Reader) -> Option<End> {
        if self.is_writing() || !self.feed.acks.is_clear() {
            None
        } else if self.turn.is_draining() && reader.cursor() >= self.sender.journal.end() {
            Some(End::Drained)
        } else if self.turn.is_handing_over() {
            Some(End::HandedOver)
        } else {
            self.turn.is_done(reader).then_some(End::Left)
        }
    }

    fn is_writing(&self) -> bool {
        !self.feed.outgoing.is_empty() || self.stage.as_ref().is_some_and(|stage| !stage.wire().is_empty())
    }

    /// Ends the connection in order; whether the peer answers with its own end, which it does once its
    /// program has read everything, and with no reset, which tells that data were dropped
    /// (RFC 1122 §4.2.2.13).
    async fn is_read_out(&mut self) -> bool {
        let abort = self.sender.stop.abort.clone();
        let finished = abort.run_until_cancelled(timeout(FAREWELL, self.finish()));
        if !matches!(finished.await, Some(Ok(Ok(())))) {
            return false;
        }
        if SockRef::from(&self.stream).shutdown(Shutdown::Write).is_err() {
            return false;
        }
        let answer = async {
            while self.stream.readable().await.is_ok() {
                match self.discard() {
                    Ok(()) => {}
                    Err(end) => return matches!(end, End::Closed),
                }
            }
            false
        };
        let answer = abort.run_until_cancelled(timeout(FAREWELL, answer));
        if !matches!(answer.await, Some(Ok(true))) {
            return false;
        }
        sleep(RESET_FOLLOWS).await;
        self.stream.take_error().is_ok_and(|error| error.is_none())
    }

    /// Writes what ends a packed or encrypted stream.
    async fn finish(&mut self) -> Result<(), End> {
        if let Some(stage) = &mut self.stage {
            stage.finish().map_err(End::Broken)?;
        }
        while self.is_writing() {
            self.stream.writable().await.map_err(End::Broken)?;
            self.write_all()?;
        }
        Ok(())
    }

    /// Waits for the next thing to do.
    async fn next(&mut self, reader: &Reader) -> Event {
        let is_writing = self.is_writing();
        let is_watching = is_writing
            || !self.feed.acks.is_clear()
            || self.sender.lag.is_watched()
            || self.turn.is_leaving();
        let rest_until = self.feed.rest_until.filter(|_| !is_writing);
        let is_hungry = !is_writing && rest_until.is_none() && !self.turn.is_handing_over();
        let interest = if is_writing { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        tokio::select! {
            biased;
            is_abort = self.turn.changed() => if is_abort { Event::Abort } else { Event::Turn },
            _ = self.look.tick(), if is_watching => Event::Look,
            ready = self.stream.ready(interest) => Event::Socket(ready),
            () = rest(rest_until), if rest_until.is_some() => Event::Rested,
            () = reader.ready(), if is_hungry => Event::More,
        }
    }

    fn serve(&mut self, ready: Ready, reader: &mut Reader) -> Result<(), End> {
        if ready.is_readable() || ready.is_read_closed() {
            self.discard()?;
        }
        if ready.is_writable() || ready.is_write_closed() { self.write(reader) } else { Ok(()) }
    }

    /// Reads and drops what the peer says.
    fn discard(&mut self) -> Result<(), End> {
        let mut buffer = [0; 4096];
        for _ in 0..READS {
            match self.stream.try_read(&mut buffer) {
                Ok(0) => return Err(End::Closed),
                Ok(read) => {
                    if let Some(stage) = &mut self.stage
                        && stage.hear(buffer.get(..read).unwrap_or_default()).map_err(End::Broken)?
                    {
                        return Err(End::Closed);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(End::Broken(error)),
            }
        }
        Ok(())
    }

    /// Writes as much as the socket takes, and looks at acknowledgements now and then.
    fn write(&mut self, reader: &mut Reader) -> Result<(), End> {
        self.write_all()?;
        if self.glanced.elapsed() < GLANCE { Ok(()) } else { self.acknowledge(reader).map_err(End::Broken) }
    }

    /// Writes as much as the socket takes.
    fn write_all(&mut self) -> Result<(), End> {
        if !self.is_writing() {
            return Ok(());
        }
        let began = Instant::now();
        while self.is_writing() {
            let outcome = if self.stage.is_some() { self.write_staged() } else { self.write_plain() };
            match outcome {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // After an orderly end the peer answers with a reset, and the end is still to be read;
                // after a reset alone there is another error.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    return Err(self.discard().err().unwrap_or(End::Broken(error)));
                }
                Err(error) => return Err(End::Broken(error)),
            }
        }
        self.sender.status.spent(began.elapsed());
        Ok(())
    }

    /// One write of what is outgoing, as it lies there.
    fn write_plain(&mut self) -> Result<(), Error> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = self.feed.outgoing.slices(&mut slices);
        let bytes = self.stream.try_write_vectored(slices.get(..filled).unwrap_or_default())?;
        if bytes == 0 {
            return Err(ErrorKind::WriteZero.into());
        }
        self.feed.acks.wrote(bytes as u64);
        let sent = self.feed.outgoing.advance(bytes);
        self.sender.sent = self.sender.sent.max(sent.end_seq);
        self.sender.status.wrote(bytes as u64, sent);
        Ok(())
    }

    /// One write of what is packed or encrypted, or the next piece made ready.
    fn write_staged(&mut self) -> Result<(), Error> {
        let Some(stage) = &mut self.stage else { return Ok(()) };
        if !stage.wire().is_empty() {
            let bytes = self.stream.try_write(stage.wire())?;
            if bytes == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            stage.wrote(bytes);
            self.sender.status.wrote(bytes as u64, Sent::default());
            return Ok(());
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = self.feed.outgoing.slices(&mut slices);
        let taken = stage.take(slices.get(..filled).unwrap_or_default())?;
        self.feed.acks.wrote(taken as u64);
        let sent = self.feed.outgoing.advance(taken);
        self.sender.sent = self.sender.sent.max(sent.end_seq);
        self.sender.status.packed(sent);
        Ok(())
    }

    /// Moves the position as far as the peer's kernel has acknowledged.
    fn acknowledge(&mut self, reader: &mut Reader) -> Result<(), Error> {
        self.glanced = Instant::now();
        let unacked = unacked(self.stream.as_fd())?;
        let acks = &mut self.feed.acks;
        let done = match &mut self.stage {
            None => acks.acknowledge(unacked),
            Some(stage) => {
                let arrived = stage.acknowledge(unacked, acks.resend());
                acks.settle(arrived.acked, arrived.read)
            }
        };
        if let Some(done) = done {
            reader.done(done.seq, done.points);
        }
        self.sender.hold(reader, self.feed.acks.hold());
        Ok(())
    }

    /// Looks at acknowledgements, and gives up when there are none for too long.
    fn look_after(&mut self, reader: &mut Reader) -> Result<(), End> {
        self.acknowledge(reader).map_err(End::Broken)?;
        if self.feed.acks.is_clear() || self.feed.acks.acked() != self.progress.0 {
            self.progress = (self.feed.acks.acked(), Instant::now());
        }
        let patience = self.turn.patience(self.sender.sending().stall_seconds);
        if self.progress.1.elapsed().as_secs_f64() < patience { Ok(()) } else { Err(End::Stalled(patience)) }
    }

    /// Settles the account of the connection, and moves the cursor back to what has to be sent again.
    fn leave(&mut self, reader: &mut Reader, end: &End, is_read: bool) {
        // What was acknowledged stays acknowledged, also after a reset.
        if let Err(error) = self.acknowledge(reader) {
            tracing::debug!(destination = self.sender.status.name(), %error, "no last look at acknowledgements");
        }
        if matches!(end, End::Stalled(_)) {
            // What the kernels still hold of it must not come after what is sent anew.
            let outcome = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
            tracing::debug!(destination = self.sender.status.name(), ?outcome, "the connection is reset");
        }
        self.sender.go_back(reader, self.feed.acks.again_from(is_read));
    }
}
