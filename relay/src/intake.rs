//! The one way from listeners into the journal: [`Intake::submit`] routes a batch, appends it and
//! keeps the account that proves that nothing was lost in silence.
//!
//! For each listener, in points: `received + copied == logged + refused(reason)`; copies are what routing adds
//! where a point goes on under several names. The counts survive
//! restarts: they are saved with the sequence number up to which they hold, and what the journal
//! has after it is counted again at start.

mod duplicates;
mod ledger;
mod refusal;
mod senders;
mod traffic;

#[cfg(test)]
mod tests;

pub use ledger::{Error, ListenerLedger};
pub use refusal::{Peer, Refusal, Refusals};
pub use senders::{Sender, SenderStatus};

pub(crate) use duplicates::Feeds;
pub(crate) use traffic::Traffic;

use crate::gather;
use crate::route::{Routed, Router};
use arc_swap::{ArcSwap, ArcSwapOption};
use duplicates::{Duplicates, Fresh};
use ledger::Account;
use refusal::Recent;
use senders::Senders;
use skyline_conf::model::listen::WhenFull;
use skyline_conf::routing::Then;
use skyline_core::batch::{Batch, Listener, Origin};
use skyline_core::clock::Clock;
use skyline_core::figure::Figure;
use skyline_core::reject::{Reject, RejectCounts};
use skyline_journal::{Error as JournalError, Journal};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// After a stop was asked for, so long a batch still waits for room in the journal.
const STOP_WAIT: Duration = Duration::from_secs(2);

/// How often who is in no hurry looks for room in the journal.
const LOOK_FOR_ROOM: Duration = Duration::from_millis(200);

/// How often it is looked whether a replaced router is still in use.
const SETTLE: Duration = Duration::from_millis(5);

/// Pause between two saves of the ledger.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// How an intake behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder of the file `ledger`.
    pub state_dir: PathBuf,
    /// Stream listeners, when the journal cannot take a batch.
    pub when_full: WhenFull,
    /// UDP listeners, when the journal cannot take a batch.
    pub udp_when_full: WhenFull,
    /// The clock of receipt times.
    pub clock: Clock,
}

/// What became of a batch.
#[derive(Debug)]
enum Taken {
    /// It is in the journal.
    Logged(Arc<Batch>),
    /// Nothing of it is to be logged: routing refuses it, or another feed brought it before.
    NotWanted,
    /// The journal could not take it; its points are counted as refused.
    Full,
}

impl Taken {
    fn logged(self) -> Option<Arc<Batch>> {
        match self {
            Self::Logged(batch) => Some(batch),
            Self::NotWanted | Self::Full => None,
        }
    }
}

/// The journal could not take a batch in time. Its points are counted as refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the journal is full; see `skyline status` for who is behind")]
pub struct Full;

/// Takes batches in. Cheap to clone; all clones are the same intake.
#[derive(Debug, Clone)]
pub struct Intake(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    journal: Journal,
    router: ArcSwap<Router>,
    options: Options,
    account: Account,
    recent: Recent,
    senders: Senders,
    /// None: points are not looked at for duplicates.
    duplicates: ArcSwapOption<Duplicates>,
    traffic: Traffic,
    /// Batches that wait for room in the journal.
    waiting: AtomicU32,
}

impl Intake {
    /// An intake into `journal`, with the account of earlier runs.
    ///
    /// # Errors
    /// The journal cannot be read, or `state_dir` cannot be written. A ledger file that cannot be
    /// read is not an error: the counts then start with what the journal holds.
    pub fn open(journal: Journal, router: Router, options: Options) -> Result<Self, Error> {
        let account = Account::open(&options.state_dir, &journal)?;
        Ok(Self(Arc::new(Inner {
            router: ArcSwap::from_pointee(router),
            account,
            recent: Recent::default(),
            senders: Senders::default(),
            duplicates: ArcSwapOption::empty(),
            traffic: Traffic::default(),
            waiting: AtomicU32::new(0),
            journal,
            options,
        })))
    }

    /// Routes batches by `router` from now on; batches in the journal keep their routes. The one before: see
    /// [`Self::settled`].
    pub fn replace_router(&self, router: Arc<Router>) -> Arc<Router> {
        self.0.router.swap(router)
    }

    /// From now on a point that another sender has brought less than `seconds` ago is refused; 0: none is. The
    /// newest `points` are remembered.
    pub fn deduplicate(&self, seconds: u32, points: u32) {
        let (seconds, points) = (f64::from(seconds), points as usize);
        if seconds == 0.0 {
            self.0.duplicates.store(None);
        } else if !self.0.duplicates.load().as_ref().is_some_and(|now| now.is(seconds, points)) {
            self.0.duplicates.store(Some(Arc::new(Duplicates::new(seconds, points))));
        }
    }

    /// Resolves once everything that a replaced router has routed is in the journal, and nobody has it any more.
    pub async fn settled(router: Arc<Router>) {
        while Arc::strong_count(&router) > 1 {
            tokio::time::sleep(SETTLE).await;
        }
    }

    /// The routing in force.
    #[must_use]
    pub fn router(&self) -> Arc<Router> {
        self.0.router.load_full()
    }

    /// The clock that receipt times are taken from.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.options.clock
    }

    /// Routes and logs a batch: live points, back-filled ones or the node's own. The logged batch,
    /// or `None` if its points had to be refused; they are counted then, as
    /// [`Reject::JournalFull`]. Waits for room where the listener's `when_full` says so.
    ///
    /// Not cancel-safe: a call that is dropped may leave points uncounted.
    pub async fn submit(&self, batch: Batch) -> Option<Arc<Batch>> {
        self.log(batch, &[], None, None).await.logged()
    }

    /// The same of points that `sender` brought and wants an answer for: room is waited for so long at most. What
    /// routing does not want, or another feed brought before, counts as taken.
    ///
    /// Not cancel-safe, as [`Self::submit`].
    ///
    /// # Errors
    /// [`Full`]: the points are not in the journal.
    pub async fn submit_within(&self, batch: Batch, sender: &Sender, limit: Duration) -> Result<(), Full> {
        let feeds = [(batch.len(), sender.feed())];
        match self.log(batch, &feeds, None, Some(Instant::now() + limit)).await {
            Taken::Logged(_) | Taken::NotWanted => Ok(()),
            Taken::Full => Err(Full),
        }
    }

    /// The same of points that `feeds` brought; when `stop` is cancelled, room is waited for only a little longer.
    pub(crate) async fn submit_from(
        &self,
        batch: Batch,
        feeds: Feeds<'_>,
        stop: &CancellationToken,
    ) -> Option<Arc<Batch>> {
        self.log(batch, feeds, Some(stop), None).await.logged()
    }

    /// The same for points that the node has made and that come in by `then` instead of from the top, which is a way of
    /// `router`'s routing: another may have the same and mean other clusters. Waits for room a
    /// moment at most: who makes points of what is in the journal may be who keeps it full. False if they could
    /// not be logged; they are counted as refused then.
    pub async fn submit_made(&self, batch: Batch, router: &Router, then: &Then) -> bool {
        let inner = &*self.0;
        inner.account.received(batch.source.listener, batch.len() as u64);
        let routed = router.enter(then, batch);
        !matches!(self.append(routed, None, Some(Instant::now() + STOP_WAIT)).await, Taken::Full)
    }

    /// Waits until many points that nobody is in a hurry for push nothing out of the journal that somebody has yet to read.
    /// False: `stop` came first.
    pub async fn has_room_for_bulk(&self, stop: &CancellationToken) -> bool {
        while self.0.journal.is_nearly_spent() {
            if stop.run_until_cancelled(tokio::time::sleep(LOOK_FOR_ROOM)).await.is_none() {
                return false;
            }
        }
        true
    }

    /// The same as [`Self::submit`] for points that the node has fetched and can fetch again: waits for room in the journal until `stop`.
    /// False if they could not be logged; they are counted as refused then.
    pub async fn submit_fetched(&self, batch: Batch, stop: &CancellationToken) -> bool {
        let inner = &*self.0;
        inner.account.received(batch.source.listener, batch.len() as u64);
        // Held until the batch is logged: see `Self::settled`.
        let router = inner.router.load_full();
        let routed = router.route(batch);
        !matches!(self.append(routed, Some(stop), None).await, Taken::Full)
    }

    async fn log(
        &self,
        mut batch: Batch,
        feeds: Feeds<'_>,
        stop: Option<&CancellationToken>,
        until: Option<Instant>,
    ) -> Taken {
        let inner = &*self.0;
        let (listener, points) = (batch.source.listener, batch.len() as u64);
        inner.account.received(listener, points);
        gather::took(listener, points);
        let fresh = self.without_duplicates(&mut batch, feeds);
        if batch.is_empty() {
            return Taken::NotWanted;
        }
        // Held until the batch is logged: see `Self::settled`.
        let router = inner.router.load_full();
        let routed = router.route(batch);
        let taken = self.append(routed, stop, until).await;
        if let (Taken::NotWanted | Taken::Full, Some(fresh)) = (&taken, fresh) {
            fresh.void();
        }
        taken
    }

    /// Refuses what another feed has brought already; what is new of the rest.
    fn without_duplicates(&self, batch: &mut Batch, feeds: Feeds<'_>) -> Option<Fresh> {
        let duplicates = self.0.duplicates.load();
        let duplicates = duplicates.as_ref().filter(|_| !feeds.is_empty())?;
        let before = batch.len();
        let fresh = duplicates.filter(batch, feeds);
        let refused = (before - batch.len()) as u64;
        self.0.account.refused(batch.source.listener, Reject::Duplicate, refused);
        Some(fresh)
    }

    async fn append(
        &self,
        routed: Routed,
        stop: Option<&CancellationToken>,
        mut until: Option<Instant>,
    ) -> Taken {
        let inner = &*self.0;
        let Routed { batch, listener, refused, copies } = routed;
        for (why, points) in refused.iter() {
            inner.account.refused(listener, why, points);
        }
        if copies > 0 {
            inner.account.copied(listener, copies);
        }
        let Some(mut batch) = batch else { return Taken::NotWanted };
        let points = batch.len() as u64;
        loop {
            batch = match inner.journal.append(batch).await {
                Ok(logged) => {
                    inner.account.logged(listener, points);
                    return Taken::Logged(logged);
                }
                Err(JournalError::Full(full)) => *full,
                Err(error) => {
                    self.lost(listener, points, Some(&error));
                    return Taken::Full;
                }
            };
            if !self.waits(&batch) || until.is_some_and(|until| Instant::now() >= until) {
                self.lost(listener, points, None);
                return Taken::Full;
            }
            inner.waiting.fetch_add(1, Relaxed);
            self.room(stop, &mut until).await;
            inner.waiting.fetch_sub(1, Relaxed);
        }
    }

    /// Whether a batch that the journal cannot take is kept until it can.
    fn waits(&self, batch: &Batch) -> bool {
        let options = &self.0.options;
        let when_full = match (batch.source.origin, batch.source.listener) {
            (Origin::Own, _) => WhenFull::Shed,
            (Origin::Backfill | Origin::History, _) => WhenFull::Block,
            (Origin::Live, Listener::PlaintextUdp | Listener::MsgpackUdp) => options.udp_when_full,
            // The server keeps what is not fetched yet.
            (Origin::Live, Listener::Vista) => WhenFull::Block,
            (Origin::Live, _) => options.when_full,
        };
        when_full == WhenFull::Block
    }

    /// Waits for room in the journal; from the stop on only until the time that is set here then.
    async fn room(&self, stop: Option<&CancellationToken>, until: &mut Option<Instant>) {
        let room = self.0.journal.room();
        match (stop, *until) {
            (_, Some(until)) => tokio::select! {
                () = room => {}
                () = tokio::time::sleep_until(until) => {}
            },
            (None, None) => room.await,
            (Some(stop), None) => tokio::select! {
                () = room => {}
                () = stop.cancelled() => *until = Some(Instant::now() + STOP_WAIT),
            },
        }
    }

    fn lost(&self, listener: Listener, points: u64, error: Option<&JournalError>) {
        let inner = &*self.0;
        inner.account.refused(listener, Reject::JournalFull, points);
        if inner.recent.may_log(None, Reject::JournalFull, self.clock().now()) {
            match error {
                Some(error) => {
                    tracing::error!(listener = listener.label(), points, %error, "points refused");
                }
                None => {
                    tracing::warn!(listener = listener.label(), points, "points refused: the journal is full")
                }
            }
        }
    }

    /// Counts what a listener did not take of one read, and remembers samples of it.
    pub fn refuse(&self, listener: Listener, peer: Peer, refusals: &Refusals) {
        if refusals.is_empty() {
            return;
        }
        let inner = &*self.0;
        for (why, points) in refusals.counts().iter() {
            inner.account.received(listener, points);
            inner.account.refused(listener, why, points);
        }
        inner.recent.note(listener, peer, refusals, self.clock().now());
    }

    /// Refuses a whole batch that was not submitted.
    pub fn refuse_batch(&self, batch: &Batch, why: Reject) {
        let (listener, points) = (batch.source.listener, batch.len() as u64);
        self.0.account.received(listener, points);
        self.0.account.refused(listener, why, points);
    }

    /// The sender of a connection or datagram, to be counted by who holds it.
    #[must_use]
    pub fn sender(&self, listener: Listener, peer: Peer) -> Arc<Sender> {
        self.0.senders.of(listener, peer)
    }

    /// All senders since the start, those with most points first; at most 10,000 are told apart.
    #[must_use]
    pub fn senders(&self) -> Vec<SenderStatus> {
        self.0.senders.list()
    }

    /// The newest refused points, oldest first, at most 256.
    #[must_use]
    pub fn recent_refusals(&self) -> Vec<Refusal> {
        self.0.recent.list()
    }

    /// The account of every listener. While batches are on their way into the journal they are
    /// received and neither logged nor refused yet.
    #[must_use]
    pub fn ledgers(&self) -> Vec<ListenerLedger> {
        self.0.account.lines()
    }

    /// Points of each listener that the journal says it has logged, in all runs: what the ledgers' `logged`
    /// follows within a moment.
    #[must_use]
    pub fn in_journal(&self) -> Vec<(Listener, u64)> {
        self.0.account.in_journal(&self.0.journal)
    }

    /// Batches that wait for room in the journal now.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.0.waiting.load(Relaxed)
    }

    /// Connections of senders: open ones, and all since the start.
    #[must_use]
    pub fn connections(&self) -> (u64, u64) {
        self.0.traffic.connections()
    }

    pub(crate) fn traffic(&self) -> &Traffic {
        &self.0.traffic
    }

    /// Saves the ledger once a second when it has changed, until `stop` is cancelled. Then call
    /// [`Intake::close`] once the last batch is submitted.
    pub async fn keep_ledger(&self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(SAVE_EVERY)).await.is_some() {
            let intake = self.clone();
            match tokio::task::spawn_blocking(move || intake.save()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the listeners' ledger is not saved; it is tried again")
                }
                Err(error) => tracing::error!(%error, "saving the listeners' ledger ended early"),
            }
        }
    }

    /// Saves the ledger if it has changed and no batch is just on its way (then the next call does).
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self) -> Result<(), Error> {
        self.0.account.save(&self.0.journal)
    }

    /// The last save, after all listeners have ended. Points that are still on their way into a journal
    /// that takes none are counted as refused, and a log line says how many; false then.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn close(&self) -> Result<bool, Error> {
        let mut open = 0;
        for line in self.ledgers() {
            let points = line.on_their_way();
            self.0.account.refused(line.listener, Reject::JournalFull, points);
            open += points;
        }
        self.save()?;
        if open > 0 {
            tracing::error!(points = open, "points were received that could not be logged before the end");
        }
        Ok(open == 0)
    }

    /// What the intake and the listeners report.
    pub fn figures(&self, out: &mut Vec<Figure>) {
        self.0.account.figures(out);
        self.0.traffic.figures(out);
        self.0.senders.figures(out);
        out.push(Figure::gauge(
            "skyline_relay_waiting_batches",
            "Batches that wait for room in the journal.",
            f64::from(self.waiting()),
        ));
    }
}

/// Sum of the counters of `counts`, for callers that only want to know whether there are any.
fn any(counts: &RejectCounts) -> bool {
    counts.total() > 0
}
