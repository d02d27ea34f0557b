//! The node's own figures as carbon metrics, sent to the destinations like any point but neither stored nor
//! judged: as `skyline.<app>.<name>.*`, and under the names of the relay that this node stands for.

mod c_relay;
mod carbon;
mod snapshot;

pub(crate) use snapshot::Snapshot;

use crate::health::Health;
use skyline_conf::relaying::{OwnMetrics, Relaying};
use skyline_conf::routing::Statement;
use skyline_core::batch::{BatchBuilder, Listener, Origin, Source};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Under whose names besides its own the node tells of itself.
#[derive(Debug)]
pub(crate) struct Named {
    own: Option<OwnMetrics>,
    aggregates: bool,
}

impl Named {
    pub(crate) fn of(relaying: &Relaying) -> Self {
        let aggregates =
            relaying.routing.statements.iter().any(|statement| matches!(statement, Statement::Aggregate(_)));
        Self { own: relaying.own_metrics.clone(), aggregates }
    }
}

/// Sends `skyline.*` every `seconds` until `stop`.
pub(crate) async fn send(health: Arc<Health>, seconds: u32, stop: CancellationToken) {
    let period = Duration::from_secs(u64::from(seconds));
    while stop.run_until_cancelled(tokio::time::sleep(period)).await.is_some() {
        let prefix = format!("skyline.node.{}", skyline_webapp::carbon::element(&health.name));
        submit(&health, skyline_webapp::carbon::carbon_lines(&health.figures(), &prefix)).await;
    }
}

/// Sends the metrics of the relay that this node stands for, as often as that says, until `stop`. `before`: as it
/// was when nothing had come in yet. An interval begins there, or when a reload has first asked for such metrics.
pub(crate) async fn send_named(health: Arc<Health>, before: Snapshot, stop: CancellationToken) {
    let mut before = Some(before);
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    seconds.tick().await;
    let mut ticks = 0_u32;
    while stop.run_until_cancelled(seconds.tick()).await.is_some() {
        let named = health.named.load_full();
        let Some(own) = &named.own else {
            before = None;
            continue;
        };
        let Some(then) = &before else {
            before = Some(Snapshot::take(&health));
            health.watch.take_queues();
            ticks = 0;
            continue;
        };
        ticks = ticks.saturating_add(1);
        if own.every_seconds().is_none_or(|every| f64::from(ticks) < every) {
            continue;
        }
        ticks = 0;
        let now = Snapshot::take(&health);
        let queues = health.watch.take_queues();
        let lines = match own {
            OwnMetrics::Carbon(own) => carbon::lines(own, &health.name, (then, &now), &queues),
            OwnMetrics::CRelay(statistics) => {
                c_relay::lines(statistics, &health.name, (then, &now), named.aggregates)
            }
        };
        before = Some(now);
        submit(&health, lines).await;
    }
}

async fn submit(health: &Health, lines: Vec<(String, f64)>) {
    let now = health.clock.now();
    let source = Source { listener: Listener::Own, origin: Origin::Own };
    let mut builder = BatchBuilder::new(source, now);
    for (name, value) in lines {
        if let Err(reason) = builder.point(name.as_bytes(), now.floor(), value) {
            tracing::debug!(name, reason = reason.label(), "a figure cannot be sent");
        }
    }
    if let Some(batch) = builder.finish() {
        drop(health.intake.submit(batch).await);
    }
}
