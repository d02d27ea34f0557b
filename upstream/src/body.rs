//! The body of an answer as it comes: bounded in length, between two pieces, and in all.

use crate::breaker::Trial;
use crate::client::Shared;
use crate::connect::broken;
use crate::error::Error;
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

/// The body of an answer.
#[derive(Debug)]
pub struct Body {
    inner: Incoming,
    shared: Arc<Shared>,
    left: usize,
    limit: usize,
    idle: Duration,
    end: Instant,
    total: Duration,
    alarm: Pin<Box<Sleep>>,
    trial: Option<Trial>,
    over: bool,
    _place: OwnedSemaphorePermit,
}

/// What a body may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) bytes: usize,
    pub(crate) idle: Duration,
    pub(crate) total: Duration,
    pub(crate) end: Instant,
}

impl Body {
    pub(crate) fn new(
        inner: Incoming,
        shared: Arc<Shared>,
        bounds: Bounds,
        trial: Option<Trial>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let Bounds { bytes: limit, idle, total, end } = bounds;
        let alarm = Box::pin(tokio::time::sleep_until(end.min(Instant::now() + idle)));
        Self { inner, shared, left: limit, limit, idle, end, total, alarm, trial, over: false, _place: place }
    }

    fn server(&self) -> String {
        self.shared.shown.clone()
    }

    fn fail(&mut self, error: Error) -> Error {
        self.over = true;
        self.shared.failed(&error, self.trial.take());
        error
    }

    fn end(&mut self) {
        self.over = true;
        if let Some(trial) = self.trial.take() {
            trial.succeeded();
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if this.over {
            return Poll::Ready(None);
        }
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                let Some(left) = this.left.checked_sub(bytes) else {
                    let error = Error::TooLarge { server: this.server(), limit: this.limit };
                    return Poll::Ready(Some(Err(this.fail(error))));
                };
                this.left = left;
                this.shared.figures.body(bytes);
                this.alarm.as_mut().reset(this.end.min(Instant::now() + this.idle));
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                let error = broken(this.server(), &error);
                Poll::Ready(Some(Err(this.fail(error))))
            }
            Poll::Ready(None) => {
                this.end();
                Poll::Ready(None)
            }
            Poll::Pending => {
                if this.alarm.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                let is_total = Instant::now() >= this.end;
                let (what, limit) = if is_total {
                    ("whole answer", this.total)
                } else {
                    ("next piece of its answer", this.idle)
                };
                let error = Error::Timeout { server: this.server(), what, limit };
                Poll::Ready(Some(Err(this.fail(error))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // Whoever reads no further says nothing against the server, which answered.
        self.end();
    }
}
