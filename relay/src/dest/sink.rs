//! An endpoint that gives no receipt: a server that takes datagrams, or a file. What the kernel took counts
//! as delivered.

mod datagrams;
mod file;

pub(super) use datagrams::Datagrams;
pub(super) use file::File;

use super::acks::Acks;
use super::connection::{End, LOOK};
use super::feed::{Feed, rest};
use super::outgoing::{Outgoing, Sent};
use super::sender::Sender;
use super::turn::{Found, Turn};
use skyline_conf::routing::Protocol;
use skyline_journal::Reader;
use std::io::Error;
use std::time::Duration;
use std::time::Instant;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often it is seen whether a file was moved away.
const MOVED: Duration = Duration::from_secs(1);

/// One of the two.
#[derive(Debug)]
pub(super) enum Sink {
    Datagrams(Datagrams),
    File(File),
}

/// What is to be written, the account of it, and what has come of it.
#[derive(Debug)]
struct Load {
    outgoing: Outgoing,
    acks: Acks,
    bytes: u64,
    sent: Sent,
}

impl Load {
    /// The kernel took so many bytes.
    fn wrote(&mut self, bytes: usize) {
        self.acks.wrote(bytes as u64);
        self.bytes += bytes as u64;
        let sent = self.outgoing.advance(bytes);
        self.sent.points += sent.points;
        self.sent.repeats += sent.repeats;
        self.sent.end_seq = self.sent.end_seq.max(sent.end_seq);
    }
}

/// What comes next.
enum Event {
    Abort,
    Turn,
    Look,
    Reopen,
    Rested,
    More,
}

/// A sender at work on a sink.
pub(super) struct Sinking<'s> {
    sender: &'s mut Sender,
    sink: Sink,
    feed: Feed,
    turn: Turn,
    look: Interval,
    /// Changes when files are to be opened anew.
    reopen: watch::Receiver<u64>,
}

impl<'s> Sinking<'s> {
    pub(super) fn new(sender: &'s mut Sender, sink: Sink, turn: Turn) -> Self {
        let mut look = interval(if sender.lag.is_watched() { LOOK } else { MOVED });
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            feed: Feed::new(sender, Protocol::Plaintext, 0),
            reopen: sender.reopen(),
            sender,
            sink,
            turn,
            look,
        }
    }

    /// Sends until it ends. As [`super::connection::Connection::run`].
    pub(super) async fn run(mut self, mut reader: Reader) -> (Reader, End, Option<Found>) {
        let end = loop {
            tokio::task::consume_budget().await;
            if let Some(end) = self.end_in_order(&reader) {
                break end;
            }
            let outcome = match self.next(&reader).await {
                Event::Abort => break End::Stopped,
                Event::Turn => Ok(()),
                Event::Rested => {
                    self.feed.rest_until = None;
                    Ok(())
                }
                Event::Look => {
                    reader = self.sender.mind_the_lag(reader).await;
                    self.look_after(false).await
                }
                Event::Reopen => self.look_after(true).await,
                Event::More => {
                    reader = self.feed.take(self.sender, reader).await;
                    self.write(&mut reader).await
                }
            };
            if let Err(end) = outcome {
                break end;
            }
        };
        self.sender.go_back(&mut reader, self.feed.acks.again_from(true));
        (reader, end, self.turn.into_found())
    }

    fn end_in_order(&self, reader: &Reader) -> Option<End> {
        if self.turn.is_draining() && reader.cursor() >= self.sender.journal.end() {
            Some(End::Drained)
        } else if self.turn.is_handing_over() {
            Some(End::HandedOver)
        } else {
            self.turn.is_done(reader).then_some(End::Left)
        }
    }

    async fn next(&mut self, reader: &Reader) -> Event {
        let rest_until = self.feed.rest_until;
        tokio::select! {
            biased;
            is_abort = self.turn.changed() => if is_abort { Event::Abort } else { Event::Turn },
            Ok(()) = self.reopen.changed() => Event::Reopen,
            _ = self.look.tick() => Event::Look,
            () = rest(rest_until), if rest_until.is_some() => Event::Rested,
            () = reader.ready(), if rest_until.is_none() => Event::More,
        }
    }

    /// Opens a file anew if it was moved away, or if `anyhow`.
    async fn look_after(&mut self, anyhow: bool) -> Result<(), End> {
        match &mut self.sink {
            Sink::Datagrams(_) => Ok(()),
            Sink::File(file) => file.refresh(anyhow).await.map_err(End::Broken),
        }
    }

    /// Writes all that was taken, and moves the position.
    async fn write(&mut self, reader: &mut Reader) -> Result<(), End> {
        let outgoing = std::mem::replace(&mut self.feed.outgoing, Outgoing::new(Protocol::Plaintext, 1));
        let acks = std::mem::replace(&mut self.feed.acks, Acks::new(0));
        let load = Load { outgoing, acks, bytes: 0, sent: Sent::default() };
        let abort = self.sender.stop.abort.clone();
        let began = Instant::now();
        let written = abort.run_until_cancelled(self.sink.write(load)).await;
        self.sender.status.spent(began.elapsed());
        // What was not said to be written is sent again after the next start.
        let Some((load, outcome)) = written else { return Err(End::Stopped) };
        (self.feed.outgoing, self.feed.acks) = (load.outgoing, load.acks);
        self.sender.sent = self.sender.sent.max(load.sent.end_seq);
        self.sender.status.wrote(load.bytes, load.sent);
        if let Some(done) = self.feed.acks.acknowledge(0) {
            reader.done(done.seq, done.points);
        }
        self.sender.hold(reader, self.feed.acks.hold());
        outcome.map_err(End::Broken)
    }
}

impl Sink {
    /// Writes a load, as far as it goes.
    async fn write(&mut self, load: Load) -> (Load, Result<(), Error>) {
        match self {
            Self::Datagrams(datagrams) => datagrams.write(load).await,
            Self::File(file) => file.write(load).await,
        }
    }
}
