//! The task that does it all: takes anomalies, writes down what they change, and sees to it that messages leave.
//!
//! What is changed is written to a file of the node first ([`crate::outbox::log`]) and copied into the database by key
//! (`copy`): the way is the same whether the database is there or not, and a start needs the file only. A message leaves
//! once the database has its row too, or is known to be away, or has not answered for a moment. Each recipient has a
//! lane of its own (`lanes`): one that takes nothing holds up nobody else.

mod copy;
mod figures;
mod handle;
mod keep;
mod lanes;
mod start;
#[cfg(test)]
mod tests;

pub use figures::{Told, Waiting};
pub use handle::{Acknowledged, Alerting, Closed};
pub use start::start;
use start::{Filling, Found};

use crate::channel::{Channel, Gallery};
use crate::message::Message;
use crate::outbox::log::Log;
use crate::outbox::storm::Limits;
use crate::outbox::telling::{Context, PaceOf, Rules};
use crate::outbox::{Fate, State};
use copy::Copier;
use handle::Ask;
use keep::{Answer, Keeper};
use lanes::{Lanes, Outcome};
use skyline_core::anomaly::Anomaly;
use skyline_core::clock::Clock;
use skyline_render_proxy::windows::Windows;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What is over is looked for once in so long, seconds.
const TICK: f64 = 1.0;
/// The longest sleep: clocks may be set.
const NAP: Duration = Duration::from_secs(1);
/// Questions that are taken at once.
const ASKS: usize = 64;
/// Pause after the file could not be written, seconds.
const FILE_PAUSE: f64 = 1.0;
/// Where neither the file nor the database takes anything for so long, messages leave all the same, seconds.
const NOWHERE: f64 = 5.0;
/// Metrics of an ended incident whose windows are looked at.
const LOOKED_AT: usize = 50;
/// Longest time that a stop waits for what goes on behind a channel's accepted messages.
const SETTLE: Duration = Duration::from_secs(2);
/// Longest time that a stop waits for messages to leave.
const DRAIN: Duration = Duration::from_secs(5);
/// How long that may take.
const LOOK: Duration = Duration::from_secs(1);

/// How alerting behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// When anomalies belong together.
    pub incidents: crate::incident::Settings,
    /// The opening of an incident waits so long for company, seconds.
    pub gather: f64,
    /// Seconds between two messages about what is new, by channel; and of every other channel.
    pub pace: HashMap<String, f64>,
    /// See `pace`.
    pub other_pace: f64,
    /// The longest wait between two attempts, seconds.
    pub retry: f64,
    /// A message that did not leave is given up after so long, or after the repeat time of its rule if that is longer, seconds.
    pub give_up: f64,
    /// How many messages there may be.
    pub limits: Limits,
    /// Nothing is sent.
    pub dry_run: bool,
    /// The file is on disk before it goes on.
    pub sync: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            incidents: crate::incident::Settings::default(),
            gather: 0.3,
            pace: HashMap::new(),
            other_pace: 300.0,
            retry: 60.0,
            give_up: 21_600.0,
            limits: Limits::none(),
            dry_run: false,
            sync: false,
        }
    }
}

impl PaceOf for Settings {
    fn pace(&self, channel: &str) -> f64 {
        self.pace.get(channel).copied().unwrap_or(self.other_pace)
    }
}

/// What alerting is made of.
pub struct Parts {
    /// Name of the node.
    pub node: String,
    /// How it behaves.
    pub settings: Settings,
    /// Folder of the node's state.
    pub state_dir: PathBuf,
    /// The database.
    pub store: skyline_sql::Store,
    /// The clock.
    pub clock: Clock,
    /// Who is told.
    pub rules: Arc<dyn Rules>,
    /// The ways out.
    pub channels: Vec<Arc<dyn Channel>>,
    /// Where pictures come from.
    pub gallery: Arc<dyn Gallery>,
    /// Where points come from: whether a metric recovered, or sends nothing more.
    pub windows: Option<Arc<dyn Windows>>,
    /// Send what is due, and end.
    pub stop: CancellationToken,
    /// End now.
    pub abort: CancellationToken,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("node", &self.node)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// What comes back from tasks.
#[derive(Debug)]
enum Event {
    /// A channel has answered.
    Left(Outcome),
    /// The database has what was given to it, or not.
    Copied(Result<(), skyline_sql::Error>),
    /// What is known of the metrics of an ended incident.
    Silent(String, Vec<String>),
    /// What the database knows of the last run.
    Found(Result<Found, skyline_sql::Error>),
}

/// The task.
struct Dispatcher {
    parts: Parts,
    state: State,
    log: Arc<Mutex<Log>>,
    copier: Copier,
    lanes: Lanes,
    asks: mpsc::Receiver<Ask>,
    events: mpsc::Receiver<Event>,
    events_in: mpsc::Sender<Event>,
    told: Arc<Told>,
    keeper: Keeper,
    ticked: f64,
    filling: Filling,
}

impl Dispatcher {
    async fn run(mut self) {
        let mut asks = Vec::new();
        let (stop, abort) = (self.parts.stop.clone(), self.parts.abort.clone());
        loop {
            let nap = self.nap();
            tokio::select! {
                biased;
                () = abort.cancelled() => break,
                Some(event) = self.events.recv() => self.event(event),
                count = self.asks.recv_many(&mut asks, ASKS) => {
                    if count == 0 {
                        break;
                    }
                    for ask in asks.drain(..) {
                        self.ask(ask);
                    }
                }
                () = tokio::time::sleep(nap) => {}
                () = stop.cancelled() => break,
            }
            self.step().await;
        }
        self.finish(&abort).await;
    }

    /// How long there is nothing to do.
    fn nap(&self) -> Duration {
        let now = self.parts.clock.now();
        let due =
            [self.state.next_look(), self.lanes.next(&self.state, &self.keeper, now), self.copier.next(now)];
        let next = due.into_iter().flatten().fold(now + NAP.as_secs_f64(), f64::min);
        Duration::from_secs_f64((next - now).clamp(0.001, NAP.as_secs_f64()))
    }

    /// What is due now.
    async fn step(&mut self) {
        let now = self.parts.clock.now();
        if now < self.ticked {
            self.set_back(now);
        }
        if !(0.0..TICK).contains(&(now - self.ticked)) {
            self.ticked = now;
            for key in self.state.tick(now) {
                self.look_for_silence(key);
            }
        }
        self.tell(now);
        self.write_down(now).await;
        self.copy(now);
        self.fill_again(now);
        self.dare(now);
        self.send(now);
        // What was given up or shown only.
        self.write_down(now).await;
        self.show(now);
    }

    /// The clock was set back: nothing waits for a time that was near before.
    fn set_back(&mut self, now: f64) {
        tracing::info!(seconds = self.ticked - now, "the clock was set back");
        self.state.set_back(now);
        self.lanes.set_back(now);
        self.copier.set_back(now);
        self.keeper.set_back(now);
    }

    fn tell(&mut self, now: f64) {
        let settings = &self.parts.settings;
        let context = Context { rules: &*self.parts.rules, limits: &settings.limits, pace: settings, now };
        self.state.tell(&context);
    }

    fn ask(&mut self, ask: Ask) {
        let now = self.parts.clock.now();
        match ask {
            Ask::Take(anomalies, done) => {
                for anomaly in &anomalies {
                    self.take(anomaly, now);
                }
                self.keeper.wait(Answer::Done(done));
            }
            Ask::Post(message, done) => {
                self.state.put(*message, now);
                self.keeper.wait(Answer::Done(done));
            }
            Ask::Again(message, done) => {
                self.state.again(*message, now);
                self.keeper.wait(Answer::Done(done));
            }
            Ask::Acknowledge { incident, by, answer } => {
                let what = if self.state.incidents.get(&incident).is_none() {
                    Acknowledged::Unknown
                } else if self.state.acknowledge(&incident, &by, now) {
                    self.show_acknowledged(&incident);
                    Acknowledged::New
                } else {
                    Acknowledged::Before
                };
                self.keeper.wait(Answer::Acknowledged(answer, what));
            }
        }
    }

    fn take(&mut self, anomaly: &Anomaly, now: f64) {
        let rules = &self.parts.rules;
        self.told.taken();
        self.state.observe(anomaly, now, self.parts.settings.gather, || rules.repeat(&anomaly.metric, now));
    }

    fn event(&mut self, event: Event) {
        let now = self.parts.clock.now();
        match event {
            Event::Left(outcome) => self.left(outcome, now),
            Event::Copied(outcome) => self.copied(outcome, now),
            Event::Silent(key, lines) => self.state.silent(&key, lines, now),
            Event::Found(found) => self.found(found, now),
        }
    }

    /// Asks the windows which metrics of an ended incident have sent nothing since.
    fn look_for_silence(&mut self, key: String) {
        let (Some(windows), Some(incident)) = (self.parts.windows.clone(), self.state.incidents.get(&key))
        else {
            self.state.silent(&key, Vec::new(), self.ticked);
            return;
        };
        let last: Vec<_> =
            incident.members.iter().take(LOOKED_AT).map(|m| (m.told.metric.clone(), m.told.last)).collect();
        let (events, now) = (self.events_in.clone(), self.parts.clock.now());
        tokio::spawn(async move {
            let lines = tokio::time::timeout(LOOK, silent(&*windows, &last, now)).await.unwrap_or_default();
            events.send(Event::Silent(key, lines)).await.ok();
        });
    }

    /// Sends what was not tried yet, for as long as the node lets it, and writes everything down.
    async fn finish(mut self, abort: &CancellationToken) {
        self.asks.close();
        while let Ok(ask) = self.asks.try_recv() {
            self.ask(ask);
        }
        let end = tokio::time::Instant::now() + DRAIN;
        while !abort.is_cancelled() && tokio::time::Instant::now() < end {
            self.step().await;
            let now = self.parts.clock.now();
            // What is on its way would be sent again if its answer were not heard.
            let is_leaving = self.state.waiting().any(|e| e.is_leaving);
            let is_new = self.state.waiting().any(|e| e.attempts == 0 && !self.lanes.has_failed(&e.lane()));
            let is_near = self.state.next_look().is_some_and(|at| at <= now + self.parts.settings.gather);
            if !(is_leaving || is_new || is_near || self.copier.is_busy()) {
                break;
            }
            let nap = self.nap();
            tokio::select! {
                Some(event) = self.events.recv() => self.event(event),
                () = tokio::time::sleep(nap) => {}
                () = abort.cancelled() => {}
            }
        }
        for channel in &self.parts.channels {
            for trouble in tokio::time::timeout(SETTLE, channel.settle()).await.unwrap_or_default() {
                tracing::warn!(channel = channel.name(), trouble, "a message has left, but not all of it");
            }
        }
        self.renew("the file of alerts is not written anew");
        let waiting = self.state.waiting().count();
        if waiting > 0 {
            tracing::info!(waiting, "messages wait; they are sent after the next start");
        }
    }
}

/// Which of these metrics have sent nothing since their last anomalous point, in words.
async fn silent(windows: &dyn Windows, last: &[(String, f64)], now: f64) -> Vec<String> {
    let mut lines = Vec::new();
    for (metric, last) in last {
        let points = windows.series(metric, *last, now + 60.0).await;
        if let Ok(points) = points
            && !points.is_some_and(|points| points.iter().any(|p| p.ts > *last))
        {
            lines.push(format!("{metric} sends nothing more"));
        }
    }
    lines
}

/// A message's row.
fn row(node: &str, entry: &crate::outbox::Entry) -> skyline_sql::outbox::Message {
    let Message { key, incident, channel, recipient, kind, created, .. } = &entry.message;
    skyline_sql::outbox::Message {
        key: key.clone(),
        incident: incident.clone(),
        node: node.to_owned(),
        channel: channel.clone(),
        recipient: recipient.clone(),
        kind: kind.word().to_owned(),
        body: serde_json::to_string(&entry.message).unwrap_or_default(),
        state: entry.fate,
        is_dry: entry.is_dry,
        attempts: entry.attempts,
        not_before: entry.not_before,
        created: *created,
        sent: entry.sent,
        error: entry.error.clone(),
        answer: entry.answer.clone(),
    }
}

/// Whether nothing more happens to a message.
fn is_over(entry: &crate::outbox::Entry) -> bool {
    entry.fate != Fate::Waiting
}
