//! A steady load, and whether its points go on arriving while something else happens.

use crate::load;
use crate::node::Node;
use crate::now;
use crate::peer::sink::Sink;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Metrics of the load.
pub const METRICS: u64 = 50;
const EVERY: Duration = Duration::from_millis(100);

/// The name of one of them.
#[must_use]
pub fn name(number: u64) -> String {
    format!("steady.m{number}")
}

/// A point of each of [`METRICS`] ten times a second, until it is told to end.
#[derive(Debug)]
pub struct Steady {
    stop: Arc<AtomicBool>,
    sent: JoinHandle<u64>,
}

impl Steady {
    /// Begins.
    ///
    /// # Errors
    ///
    /// When the node does not take a connection.
    pub fn to(node: &Node) -> anyhow::Result<Self> {
        let (stop, mut stream) = (Arc::new(AtomicBool::new(false)), load::connect(node.plaintext())?);
        let (seen, first) = (Arc::clone(&stop), now() as f64);
        let sent = std::thread::spawn(move || {
            let mut rounds = 0;
            while !seen.load(Ordering::Relaxed) {
                // A time of its own for each point, none ahead of the clock.
                let ts = first + rounds as f64 / 10.0;
                let lines: String =
                    (0..METRICS).map(|i| format!("{} {} {ts:.1}\n", name(i), rounds % 7)).collect();
                if stream.write_all(lines.as_bytes()).is_err() {
                    break;
                }
                rounds += 1;
                std::thread::sleep(EVERY);
            }
            rounds * METRICS
        });
        Ok(Self { stop, sent })
    }

    /// Ends; how many points were sent.
    #[must_use]
    pub fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.sent.join().unwrap_or(0)
    }
}

/// Looks at a sink all the time, for the longest time without a point.
#[derive(Debug)]
pub struct Watch<'a> {
    sink: &'a Sink,
    came: u64,
    last: Instant,
    longest: Duration,
}

impl<'a> Watch<'a> {
    /// Begins with the next point.
    #[must_use]
    pub fn of(sink: &'a Sink) -> Self {
        Self { sink, came: sink.received(), last: Instant::now(), longest: Duration::ZERO }
    }

    /// Looks on for so long.
    pub fn go_on(&mut self, time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time {
            self.look();
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn look(&mut self) {
        let came = self.sink.received();
        if came > self.came {
            (self.last, self.came) = (Instant::now(), came);
        }
        self.longest = self.longest.max(self.last.elapsed());
    }

    /// The longest time without a point so far.
    #[must_use]
    pub const fn longest(&self) -> Duration {
        self.longest
    }
}
