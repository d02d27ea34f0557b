//! What happens while a destination is further behind than its mark.

use super::source;
use super::status::Status;
use crate::flow::{Flow, Pause};
use skyline_conf::model::relay::{Sending, WhenBehind};
use skyline_journal::Reader;

/// A destination's policy and what it makes of the lag just now.
#[derive(Debug)]
pub(super) struct Lag {
    policy: WhenBehind,
    /// Points.
    mark: u64,
    /// Points below which a pause of the listeners ends.
    low: f64,
    flow: Flow,
    pause: Option<Pause>,
}

impl Lag {
    pub(super) const fn new(sending: &Sending, flow: Flow) -> Self {
        let low = sending.resume_share * sending.mark_points as f64;
        Self { policy: sending.when_behind, mark: sending.mark_points, low, flow, pause: None }
    }

    /// Whether [`Self::mind`] has anything to do, ever.
    pub(super) fn is_watched(&self) -> bool {
        self.policy != WhenBehind::Spool
    }

    /// Acts on how far behind `reader` is. `is_leaving`: nobody waits for what is no longer configured.
    pub(super) async fn mind(&mut self, reader: Reader, status: &Status, is_leaving: bool) -> Reader {
        let waiting = reader.ledger().waiting;
        match self.policy {
            WhenBehind::Shed if waiting > self.mark => return self.shed(reader, status).await,
            WhenBehind::Block if is_leaving => self.end(status),
            WhenBehind::Block if waiting > self.mark && self.pause.is_none() => {
                self.pause = Some(self.flow.paused());
                status.paused(waiting);
            }
            WhenBehind::Block if (waiting as f64) < self.low || waiting == 0 => self.end(status),
            WhenBehind::Spool | WhenBehind::Block | WhenBehind::Shed => {}
        }
        reader
    }

    async fn shed(&self, reader: Reader, status: &Status) -> Reader {
        let (reader, outcome) = source::shed_to(reader, self.mark).await;
        match outcome {
            Ok(points) => status.shed(points),
            Err(error) => status.journal_failed(&error),
        }
        reader
    }

    /// Lets the listeners go on.
    pub(super) fn end(&mut self, status: &Status) {
        if self.pause.take().is_some() {
            status.resumed();
        }
    }
}
