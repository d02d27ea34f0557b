//! Listeners, routing, destinations and jobs that fetch: made of settings, and swapped while the node runs.

use crate::health::Health;
use crate::own_metrics::Named;
use crate::reload::Swap;
use skyline_conf::model::Settings;
use skyline_conf::model::relay::Sending;
use skyline_conf::relaying::Relaying;
use skyline_conf::routing::{Destination, Routing, Then};
use skyline_core::batch::Batch;
use skyline_flux::NewKeys;
use skyline_journal::Journal;
use skyline_relay::aggregate::Submit;
use skyline_relay::dest::{Destinations, reader_of};
use skyline_relay::intake::Intake;
use skyline_relay::listen::Running;
use skyline_relay::route::Router;
use skyline_vista::jobs::Prepared;
use std::sync::Arc;

/// The destinations, each with its way of sending.
pub(crate) fn pairs(relaying: &Relaying) -> Vec<(Destination, Sending)> {
    relaying.routing.destinations.iter().cloned().zip(relaying.sending.iter().cloned()).collect()
}

/// The compiled routing.
pub(crate) fn router(routing: &Routing, journal: &Journal) -> Router {
    let readers = routing.destinations.iter().map(reader_of).collect();
    Router::new(routing.clone(), readers, journal)
}

/// The intake as the aggregator sees it, with the router of the routing that it works by.
#[derive(Debug)]
pub(crate) struct Aggregates {
    pub(crate) intake: Intake,
    pub(crate) router: Arc<Router>,
}

impl Submit for Aggregates {
    async fn submit(&self, batch: Batch, then: &Then) -> bool {
        self.intake.submit_made(batch, &self.router, then).await
    }
}

/// The parts that are swapped.
pub(crate) struct Parts {
    pub(crate) listening: Running,
    pub(crate) in_force: Relaying,
    pub(crate) destinations: Arc<Destinations>,
    pub(crate) intake: Intake,
    pub(crate) health: Arc<Health>,
}

impl Swap for Parts {
    async fn swap(&mut self, new: &Relaying, settings: &Settings) -> anyhow::Result<()> {
        // What can fail comes first; then nothing has changed but listeners, which are put back.
        let fetched = self.prepare_fetched(settings).await?;
        let keys = self.read_keys().await?;
        self.listening.replace(&new.listen)?;
        // Whoever wants one of their addresses next, be it the next reload, finds it free.
        self.listening.closed().await;
        let mut both = pairs(new);
        let known: Vec<String> = both.iter().map(|(destination, _)| reader_of(destination)).collect();
        // Those that leave stay until all that was routed to them is in the journal: then they know what they
        // still have to send.
        let leaving = pairs(&self.in_force).into_iter().filter(|(d, _)| !known.contains(&reader_of(d)));
        both.extend(leaving);
        if let Err(error) = self.replace(both).await {
            if let Err(fault) = self.listening.replace(&self.in_force.listen) {
                tracing::error!(error = %fault, "listeners are not put back: a reload or a restart does it");
            }
            return Err(error);
        }
        for old in self.health.detour.replace(new) {
            Intake::settled(old).await;
        }
        // Points are routed anew already: this cannot be a refusal any more.
        if let Err(error) = self.replace(pairs(new)).await {
            tracing::error!(error = %format!("{error:#}"), "destinations that are gone stay until the next reload");
        }
        self.destinations.reopen();
        self.intake.deduplicate(settings.relay.deduplicate_seconds, settings.relay.deduplicate_points);
        self.health.named.store(Arc::new(Named::of(new)));
        self.health.listening.store(Arc::new(self.listening.addresses()));
        self.in_force = new.clone();
        if let (Some((flux, _)), Some(keys)) = (&self.health.flux, keys) {
            flux.replace_keys(keys);
        }
        if let Err(error) = self.health.fetched.replace(fetched).await {
            tracing::error!(%error, "jobs that fetch points cannot be started: the folder of their cursors cannot be made");
        }
        Ok(())
    }
}

impl Parts {
    /// The jobs that fetch points, as new settings want them. Reads files of credentials, which may block.
    async fn prepare_fetched(&self, settings: &Settings) -> anyhow::Result<Prepared> {
        let (jobs, settings) = (self.health.fetched.clone(), settings.clone());
        Ok(tokio::task::spawn_blocking(move || jobs.prepare(&settings)).await??)
    }

    /// The keys of those who send over HTTP, from files and variables.
    async fn read_keys(&self) -> anyhow::Result<Option<NewKeys>> {
        let Some((flux, _)) = &self.health.flux else { return Ok(None) };
        let flux = Arc::clone(flux);
        let read = tokio::task::spawn_blocking(move || flux.read_keys()).await?;
        read.map(Some).map_err(|problem| anyhow::anyhow!("flux.api_keys: {problem}"))
    }

    /// Puts `all` in the place of the destinations. Writes files, so it is done where that may block.
    async fn replace(&self, all: Vec<(Destination, Sending)>) -> anyhow::Result<()> {
        let destinations = Arc::clone(&self.destinations);
        Ok(tokio::task::spawn_blocking(move || destinations.replace(all)).await??)
    }
}
