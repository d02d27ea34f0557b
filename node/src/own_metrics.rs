//! The node's own figures as carbon metrics, `skyline.<app>.<name>.*`, sent to the destinations like any
//! point but neither stored nor judged.

use crate::health::Health;
use skyline_core::batch::{BatchBuilder, Listener, Origin, Source};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Sends them every `seconds` until `stop`.
pub(crate) async fn send(health: Arc<Health>, seconds: u32, stop: CancellationToken) {
    let period = Duration::from_secs(u64::from(seconds));
    while stop.run_until_cancelled(tokio::time::sleep(period)).await.is_some() {
        let now = health.clock.now();
        let source = Source { listener: Listener::Own, origin: Origin::Own };
        let mut builder = BatchBuilder::new(source, now);
        let prefix = format!("skyline.node.{}", skyline_webapp::carbon::element(&health.name));
        for (name, value) in skyline_webapp::carbon::carbon_lines(&health.figures(), &prefix) {
            if let Err(reason) = builder.point(name.as_bytes(), now.floor(), value) {
                tracing::debug!(name, reason = reason.label(), "a figure cannot be sent");
            }
        }
        if let Some(batch) = builder.finish() {
            drop(health.intake.submit(batch).await);
        }
    }
}
