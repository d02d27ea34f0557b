//! When a job runs: at a moment of its own within its interval, and after failures later and later.

use crate::cursor::Cursor;
use crate::error::Error;
use crate::job::{Job, Sink};
use skyline_core::clock::Clock;
use skyline_core::shard::name_hash;
use std::sync::Arc;
use std::time::Duration;

/// The first wait after a failure, and the longest, seconds; each is twice the one before.
const FIRST_WAIT: f64 = 5.0;
const LONGEST_WAIT: f64 = 300.0;
/// A server that asks for more is asked again after so long, seconds.
const LONGEST_WISH: f64 = 3_600.0;
/// The first run of a job comes within so long after the start, seconds.
const START_WITHIN: f64 = 5.0;

/// Runs a job until the stop.
pub(super) async fn run(job: Arc<Job>, clock: Clock, sink: Sink) {
    let every = f64::from(job.fetch.every_seconds);
    let phase = phase(job.name(), every);
    let mut cursor = job.load_cursor();
    job.counts(|counts| counts.asked = cursor.asked());
    let mut wait = phase.min(START_WITHIN) * rand::random::<f64>();
    let mut failures = 0_u32;
    loop {
        job.counts(|counts| counts.next_run = clock.now() + wait);
        if sink.stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs_f64(wait))).await.is_none() {
            return;
        }
        match once(&job, &clock, &mut cursor, &sink).await {
            true => {
                failures = 0;
                wait = until_next(clock.now(), every, phase);
            }
            false => {
                failures = failures.saturating_add(1);
                let wish = job.client.wishes_rest().map_or(0.0, |wish| wish.as_secs_f64());
                wait = after_failures(failures, every, rand::random::<f64>()).max(wish.min(LONGEST_WISH));
            }
        }
    }
}

/// One run; whether it was a good one.
async fn once(job: &Job, clock: &Clock, cursor: &mut Cursor, sink: &Sink) -> bool {
    job.counts(|counts| counts.running = true);
    let outcome = Box::pin(job.run(cursor, sink)).await;
    job.counts(|counts| counts.running = false);
    if sink.stop.is_cancelled() && matches!(outcome, Ok(()) | Err(Error::NotLogged { .. })) {
        // The stop has ended it: it neither came to its end nor failed. What was not taken is fetched again.
        return true;
    }
    let now = clock.now();
    let before = job.counts(|counts| {
        let before = counts.failures_in_a_row;
        match &outcome {
            Ok(()) => counts.succeeded(now),
            Err(error) => counts.failed(error, now),
        }
        before
    });
    match (&outcome, before) {
        // Told once, until it is well again.
        (Err(error), 0) => tracing::warn!(job = job.name(), %error, "a vista job fails; it is tried again"),
        (Err(error), _) => tracing::debug!(job = job.name(), %error, "a vista job fails"),
        (Ok(()), 1..) => tracing::info!(job = job.name(), failures = before, "a vista job is well again"),
        (Ok(()), 0) => {}
    }
    outcome.is_ok()
}

/// When within its interval a job runs, seconds: others run at other times.
fn phase(name: &str, every: f64) -> f64 {
    // A fraction of 16 bits is enough.
    f64::from((name_hash(name.as_bytes()) & 0xffff) as u16) / 65_536.0 * every
}

/// Seconds until a job runs next: at its phase, a moment later at least.
fn until_next(now: f64, every: f64, phase: f64) -> f64 {
    let into = (now - phase).rem_euclid(every);
    let wait = every - into;
    // It may have run a moment too early.
    if wait < every * 0.1 { wait + every } else { wait }
}

/// Seconds until a job that failed is tried again; `luck`: from 0 to 1.
fn after_failures(failures: u32, every: f64, luck: f64) -> f64 {
    let first = FIRST_WAIT.min(every);
    let longest = LONGEST_WAIT.max(every).min(3_600.0).max(first);
    let wait = first * 2_f64.powi(failures.saturating_sub(1).min(30) as i32);
    wait.min(longest) * (0.8 + 0.4 * luck)
}

#[cfg(test)]
mod tests;
