//! From the journal to what is to be written on one connection, and the account of it.

use super::acks::Acks;
use super::outgoing::{Outgoing, Seen};
use super::pace::Pace;
use super::sender::Sender;
use super::source;
use skyline_conf::routing::Protocol;
use skyline_journal::{Delivery, Reader};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// Pause after the journal could not be read.
const JOURNAL_PAUSE: Duration = Duration::from_secs(1);

/// What one connection is fed with.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) acks: Acks,
    pub(super) outgoing: Outgoing,
    /// Reused for takes.
    taken: Vec<Delivery>,
    pace: Pace,
    /// Nothing is taken before: catching up is limited.
    pub(super) rest_until: Option<Instant>,
}

impl Feed {
    /// For a connection of `sender`, after whose break the last `resend` acknowledged bytes are sent again.
    pub(super) fn new(sender: &Sender, protocol: Protocol, resend: u64) -> Self {
        let sending = sender.sending();
        Self {
            acks: Acks::new(resend),
            outgoing: Outgoing::new(protocol, sending.points_per_frame as usize),
            taken: Vec::new(),
            pace: Pace::new(sending.catch_up_points_per_second),
            rest_until: None,
        }
    }

    /// Takes what comes next and makes it the next to be written.
    pub(super) async fn take(&mut self, sender: &Sender, reader: Reader) -> Reader {
        let (reader, taken) = source::take(reader, std::mem::take(&mut self.taken)).await;
        let source::Taken { mut deliveries, from_files, outcome } = taken;
        if let Err(error) = outcome {
            sender.status.journal_failed(&error);
            self.rest_until = Some(Instant::now() + JOURNAL_PAUSE);
        }
        // What was given up is met again only after going back behind it.
        deliveries.retain(|d| !sender.skipped.covers(&(d.batch.first_seq..d.batch.end_seq())));
        if from_files {
            let rest = self.pace.spend(deliveries.iter().map(Delivery::points).sum());
            if !rest.is_zero() {
                self.rest_until = Some(Instant::now() + rest);
            }
        }
        let seen = Seen { position: reader.position(), sent: sender.sent };
        self.outgoing.load(&mut deliveries, seen, &mut self.acks);
        self.taken = deliveries;
        reader
    }
}

/// Resolves at `until`; `None`: after the next turn.
pub(super) async fn rest(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => sleep(Duration::ZERO).await,
    }
}
