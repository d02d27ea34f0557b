//! How the node is doing: readiness with reasons, figures of all parts, the status page, and the check of
//! the ledger that runs all the time.

mod relay;

use crate::alerts::Alerts;
use crate::backfill::Backfills;
use crate::detour::Detour;
use crate::own_metrics::Named;
use crate::plane::Plane;
use crate::process::Process;
use crate::reload::Counters;
use crate::stores::Stores;
use crate::swap::Aggregates;
use crate::watch::Watch;
use arc_swap::ArcSwap;
use serde_json::{Value, json};
use skyline_core::batch::Listener;
use skyline_core::clock::Clock;
use skyline_core::figure::Figure;
use skyline_core::reject::RejectCounts;
use skyline_flux::Flux;
use skyline_journal::{Journal, Ledger};
use skyline_relay::aggregate::Aggregator;
use skyline_relay::dest::Destinations;
use skyline_relay::intake::{Intake, ListenerLedger};
use skyline_relay::listen::Address;
use skyline_render_proxy::proxy::Proxy;
use skyline_vista::Jobs;
use skyline_webapp::api::backfill::BackfillSource as _;
use skyline_webapp::status::Readiness;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Rounds in a row that an equation may fail before it counts: counts are read one after the other
/// while points are on their way.
const TOLERATED: u64 = 3;

/// Senders that `skyline status` shows.
const SENDERS_SHOWN: usize = 5;

/// Everything that can be asked about.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) name: String,
    pub(crate) clock: Clock,
    pub(crate) started: f64,
    pub(crate) journal: Journal,
    pub(crate) intake: Intake,
    pub(crate) destinations: Arc<Destinations>,
    pub(crate) plane: Arc<Plane>,
    pub(crate) stores: Arc<Stores>,
    pub(crate) alerts: Arc<Alerts>,
    pub(crate) listening: ArcSwap<Vec<(Listener, Address)>>,
    /// Points over HTTP, and where.
    pub(crate) flux: Option<(Arc<Flux>, Vec<SocketAddr>)>,
    pub(crate) aggregator: Arc<Aggregator<Aggregates>>,
    pub(crate) graphs: Proxy,
    pub(crate) fetched: Jobs,
    pub(crate) backfill: Option<Arc<Backfills>>,
    pub(crate) reloads: Arc<Counters>,
    pub(crate) detour: Arc<Detour>,
    pub(crate) named: ArcSwap<Named>,
    pub(crate) watch: Watch,
    pub(crate) draining: AtomicBool,
    last_round: Mutex<Vec<Round>>,
    /// Rounds in a row in which the ledger did not add up.
    unbalanced: AtomicU64,
    ledger_failures: AtomicU64,
}

/// A listener's counts at one check of the ledger, points.
#[derive(Debug, Clone, Copy, Default)]
struct Round {
    received: u64,
    in_journal: u64,
}

/// The parts that [`Health`] speaks for.
pub(crate) struct Parts {
    pub(crate) name: String,
    pub(crate) clock: Clock,
    pub(crate) journal: Journal,
    pub(crate) intake: Intake,
    pub(crate) destinations: Arc<Destinations>,
    pub(crate) plane: Arc<Plane>,
    pub(crate) stores: Arc<Stores>,
    pub(crate) alerts: Arc<Alerts>,
    pub(crate) listening: Vec<(Listener, Address)>,
    pub(crate) flux: Option<(Arc<Flux>, Vec<SocketAddr>)>,
    pub(crate) aggregator: Arc<Aggregator<Aggregates>>,
    pub(crate) graphs: Proxy,
    pub(crate) fetched: Jobs,
    pub(crate) backfill: Option<Arc<Backfills>>,
    pub(crate) reloads: Arc<Counters>,
    pub(crate) detour: Arc<Detour>,
    pub(crate) named: Named,
}

impl Health {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            started: parts.clock.now(),
            name: parts.name,
            clock: parts.clock,
            journal: parts.journal,
            intake: parts.intake,
            destinations: parts.destinations,
            plane: parts.plane,
            stores: parts.stores,
            alerts: parts.alerts,
            listening: ArcSwap::from_pointee(parts.listening),
            flux: parts.flux,
            aggregator: parts.aggregator,
            graphs: parts.graphs,
            fetched: parts.fetched,
            backfill: parts.backfill,
            reloads: parts.reloads,
            detour: parts.detour,
            named: ArcSwap::from_pointee(parts.named),
            watch: Watch::default(),
            draining: AtomicBool::new(false),
            last_round: Mutex::default(),
            unbalanced: AtomicU64::new(0),
            ledger_failures: AtomicU64::new(0),
        }
    }

    /// Whether the node does its work, and what keeps it from it.
    pub(crate) fn readiness(&self) -> Readiness {
        let mut reasons = Vec::new();
        if self.draining.load(Ordering::Relaxed) {
            reasons.push("draining: the node is stopping".to_owned());
        }
        let (restored, metrics) = self.plane.progress();
        if !self.plane.is_warm() {
            // Their number is not known before all files were looked at.
            let how_far =
                if metrics == 0 { String::new() } else { format!(": {restored} of {metrics} metrics") };
            reasons.push(format!(
                "windows are being restored{how_far}; points are logged and forwarded meanwhile"
            ));
        }
        reasons.extend(self.stores.is_taking());
        let told = &self.plane.told;
        let (away, stuck) = (told.away(), told.stuck());
        if let (Some(why), 1..) = (&away, stuck) {
            reasons.push(format!("the record takes no anomalies, and there is no room to keep them: {why}"));
        }
        if self.intake.waiting() > 0 {
            reasons.push(format!("the journal is full: listeners wait; {}", self.holds_journal()));
        }
        if self.intake.waiting() == 0 && self.journal.is_full() {
            reasons.push(format!("the journal is full: points are refused; {}", self.holds_journal()));
        }
        if !self.is_balanced() {
            reasons.push("the ledger does not add up: see /-/status".to_owned());
        }
        let ready = reasons.is_empty();
        // All goes on without the record; a person should know all the same.
        if let (Some(why), 0) = (away, stuck) {
            let kept = told.kept.load(Ordering::Relaxed);
            reasons.push(format!("the record is away, {kept} anomalies wait for it in a file: {why}"));
        }
        reasons.extend(self.alerts.trouble());
        // Points are taken and judged without Graphite.
        reasons.extend(self.graphs.trouble());
        reasons.extend(self.fetched.trouble());
        Readiness {
            ready,
            reasons,
            progress: json!({ "metrics_restored": restored, "metrics": metrics }),
            stores: self.stores.health(),
        }
    }

    /// Checks the equations of the ledger; called once a second.
    pub(crate) fn check_ledger(&self) {
        if self.draining.load(Ordering::Relaxed) {
            return;
        }
        let mut last = self.last_round.lock().unwrap_or_else(PoisonError::into_inner);
        let ledgers = self.intake.ledgers();
        let round: Vec<_> = ledgers
            .iter()
            .zip(self.intake.in_journal())
            .map(|(ledger, (_, in_journal))| Round { received: ledger.came(), in_journal })
            .collect();
        let waits = self.intake.waiting() > 0;
        let earlier = last.iter().copied().chain(std::iter::repeat(Round::default()));
        let listeners = ledgers.iter().zip(&round).zip(earlier).all(|((l, now), before)| {
            let settled = l.logged + l.refused.total();
            // What was there a round ago has found its place by now.
            (before.in_journal..=now.in_journal).contains(&l.logged)
                && settled <= l.came()
                && (waits || before.received <= settled)
        });
        *last = round;
        drop(last);
        let readers =
            self.journal.ledgers().iter().all(|(_, l)| l.routed == l.delivered + l.waiting + l.shed);
        if listeners && readers && self.journal.mismatches() == 0 {
            self.unbalanced.store(0, Ordering::Relaxed);
            return;
        }
        if self.unbalanced.fetch_add(1, Ordering::Relaxed) + 1 == TOLERATED {
            self.ledger_failures.fetch_add(1, Ordering::Relaxed);
            tracing::error!(listeners = ?ledgers, in_journal = ?self.intake.in_journal(), readers = ?self.journal.ledgers(), mismatches = self.journal.mismatches(), "the ledger does not add up");
        }
    }

    fn is_balanced(&self) -> bool {
        self.unbalanced.load(Ordering::Relaxed) < TOLERATED
    }

    /// Figures of all parts.
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let yes = |is: bool| f64::from(u8::from(is));
        let failures = self.ledger_failures.load(Ordering::Relaxed);
        let mut out = vec![
            Figure::gauge("skyline_info", "Version of the node", 1.0)
                .label("version", env!("CARGO_PKG_VERSION"))
                .label("name", self.name.clone()),
            Figure::gauge("skyline_uptime_seconds", "Seconds since start", self.clock.now() - self.started),
            Figure::gauge("skyline_ready", "1 if the node is ready", yes(self.readiness().ready)),
            Figure::gauge(
                "skyline_ledger_balanced",
                "1 if received, logged, delivered, waiting, shed and refused add up",
                yes(self.is_balanced()),
            ),
            Figure::counter(
                "skyline_ledger_failures_total",
                "Times that the ledger did not add up",
                failures,
            ),
        ];
        self.intake.figures(&mut out);
        self.journal.figures(&mut out);
        self.destinations.figures(&mut out);
        self.relay_figures(&mut out);
        if let Some((flux, _)) = &self.flux {
            flux.figures(&mut out);
        }
        self.aggregator.figures(&mut out);
        self.graphs.figures(&mut out);
        self.fetched.figures(&mut out);
        if let Some(backfill) = &self.backfill {
            backfill.figures(&mut out);
        }
        let (done, refused) = self.reloads.get();
        out.push(Figure::counter("skyline_reloads_total", "Times that settings were read again", done));
        out.push(Figure::counter(
            "skyline_reloads_refused_total",
            "Times that settings were read again and had a fault, so that nothing was changed",
            refused,
        ));
        out.push(Figure::counter(
            "skyline_relay_patterns_given_up_total",
            "Matches of expressions that were given up because they took too many steps",
            skyline_conf::routing::pattern::given_up(),
        ));
        self.plane.figures(&mut out);
        self.stores.figures(&mut out);
        self.alerts.figures(&mut out);
        process_figures(&mut out);
        out
    }

    /// What `skyline status` shows.
    pub(crate) fn status(&self) -> Value {
        let readiness = self.readiness();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "name": self.name,
            "uptime_seconds": self.clock.now() - self.started,
            "ready": readiness.ready,
            "reasons": readiness.reasons,
            "ledger_balanced": self.is_balanced(),
            "listeners": self.listeners_status(),
            "flux": self.flux.as_ref().map(|(flux, _)| flux.status()),
            "journal": self.journal_status(),
            "destinations": self.relay_destinations(),
            "senders": self.relay_senders(SENDERS_SHOWN).0,
            "window": self.window_status(),
            "stores": readiness.stores.iter().map(skyline_webapp::status::store).collect::<Vec<_>>(),
            "syslog_unsent": self.plane.told.unsent.load(Ordering::Relaxed),
            "record": self.record_status(),
            "alerting": self.alerts.status(),
            "vista": self.fetched.status(),
            "backfill": self.backfill.as_ref().and_then(|backfill| backfill.report()),
            "bad_points": self.bad_points(usize::MAX),
        })
    }

    /// Listeners that are open, and those that were and have counts.
    fn listeners_status(&self) -> Vec<Value> {
        let listening = self.listening.load();
        let row = |line: &ListenerLedger| {
            let open = listening.iter().filter(|(listener, _)| *listener == line.listener);
            let mut addresses: Vec<_> = open.map(|(_, address)| address.to_string()).collect();
            if let (Some((_, flux)), Listener::Flux) = (&self.flux, line.listener) {
                addresses.extend(flux.iter().map(SocketAddr::to_string));
            }
            // Nobody sent what a back-fill has fetched: it has an account of its own.
            let is_sent = line.listener != Listener::Backfill;
            (!addresses.is_empty() || (is_sent && line.received > 0)).then(|| {
                json!({
                    "listener": line.listener.label(), "addresses": addresses, "received": line.received, "copied": line.copied,
                    "logged": line.logged, "refused": line.refused.total(), "reasons": reasons(&line.refused),
                })
            })
        };
        self.intake.ledgers().iter().filter_map(row).collect()
    }

    /// Who keeps the journal from being freed.
    fn holds_journal(&self) -> String {
        let ledgers = self.journal.ledgers();
        let holder = ledgers.iter().max_by_key(|(_, ledger)| ledger.pinned_bytes);
        match holder.filter(|(_, ledger)| ledger.pinned_bytes > 0) {
            Some((reader, ledger)) => {
                let room = ledger.pinned_bytes >> 20;
                format!("most of it, {room} MiB, is kept for {reader}: see `skyline status`, and the log")
            }
            None => "see `skyline status` for who is behind".to_owned(),
        }
    }

    fn journal_status(&self) -> Value {
        let mut figures = Vec::new();
        self.journal.figures(&mut figures);
        let of = |name: &str| figures.iter().find(|f| f.name == name).map_or(0, |f| f.value as u64);
        json!({
            "points": self.journal.end(),
            "oldest": self.journal.start(),
            "bytes": of("skyline_journal_bytes"),
            "budget": of("skyline_journal_budget_bytes"),
            "readers": self.journal.ledgers().iter().map(|(name, l)| json!({
                "reader": name, "routed": l.routed, "delivered": l.delivered, "waiting": l.waiting,
                "shed": l.shed, "lost": l.lost, "pinned_bytes": l.pinned_bytes, "lag_seconds": l.lag_seconds,
            })).collect::<Vec<_>>(),
        })
    }

    /// What only the record has to tell; whether it is up is told with all stores.
    fn record_status(&self) -> Value {
        let told = &self.plane.told;
        json!({
            "last_error": told.last_error(),
            "waiting": told.kept.load(Ordering::Relaxed),
            "waiting_bytes": told.kept_bytes.load(Ordering::Relaxed),
            "stuck": told.stuck(),
            "failures": self.stores.record.failures(),
        })
    }

    fn window_status(&self) -> Value {
        let views = self.plane.views();
        let sum = |f: &dyn Fn(&crate::plane::View) -> u64| views.iter().map(f).sum::<u64>();
        let worst = |which: usize| views.iter().map(|v| v.latency.of(which) * 1e3).fold(0.0, f64::max);
        let mut refused = RejectCounts::default();
        for view in &views {
            refused.merge(&view.counters.refused);
        }
        // Each thread reads everything, so the threads say of the same points that they did not get them.
        let readers = self.journal.ledgers();
        let missed = |of: fn(&Ledger) -> u64| {
            readers
                .iter()
                .filter(|(name, _)| name.starts_with("window-"))
                .map(|(_, l)| of(l))
                .max()
                .unwrap_or(0)
        };
        // Nothing was judged: a latency of zero would be a lie.
        let judged = sum(&|v| v.counters.judged);
        let latency = |which: usize| (judged > 0).then(|| worst(which));
        json!({
            "metrics": sum(&|v| v.metrics),
            "stored": sum(&|v| v.counters.stored),
            "refused": refused.total(),
            "reasons": reasons(&refused),
            "waiting": views.iter().map(|v| v.waiting).max().unwrap_or(0),
            "shed": missed(|l| l.shed),
            "lost": missed(|l| l.lost),
            "judged": judged,
            "not_judged": {
                "too_short": sum(&|v| v.counters.gated[0]),
                "stale": sum(&|v| v.counters.gated[1]),
                "boring": sum(&|v| v.counters.gated[2]),
                "counter_reset": sum(&|v| v.counters.resets),
            },
            "anomalies": sum(&|v| v.counters.anomalies),
            "unrecorded": sum(&|v| v.unsaved_anomalies),
            "p50_ms": latency(0), "p99_ms": latency(1), "max_ms": latency(2),
            "warm": self.plane.is_warm(),
        })
    }
}

/// Counts by reason, those above zero.
fn reasons(refused: &RejectCounts) -> Value {
    refused.iter().map(|(reason, n)| (reason.label().to_owned(), Value::from(n))).collect()
}

/// Memory and processor time of this process.
fn process_figures(out: &mut Vec<Figure>) {
    let Process { resident_bytes, cpu_seconds } = Process::now();
    if let Some(bytes) = resident_bytes {
        out.push(Figure::gauge("skyline_resident_bytes", "Resident memory of the process", bytes));
    }
    if let Some(seconds) = cpu_seconds {
        out.push(Figure {
            kind: skyline_core::figure::Kind::Counter,
            ..Figure::gauge("skyline_cpu_seconds_total", "Processor time of the process", seconds)
        });
    }
}
