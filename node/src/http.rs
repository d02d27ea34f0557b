//! The API and the state of the node over HTTP, on a runtime of their own, so that answers never queue
//! behind data.

use crate::health::Health;
use crate::plane::Plane;
use crate::reload;
use serde_json::Value;
use skyline_conf::model::Settings;
use skyline_core::point::Datapoint;
use skyline_render_proxy::glob::Glob;
use skyline_render_proxy::nodes::{Find, Nodes};
use skyline_render_proxy::windows::{Later, Windows};
use skyline_webapp::{api, serve};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

/// Others see the plane's windows through these.
impl Windows for Plane {
    fn series<'a>(&'a self, name: &'a str, from: f64, until: f64) -> Later<'a, Option<Vec<Datapoint>>> {
        Box::pin(self.copy_of(name, from, until))
    }

    fn names<'a>(&'a self, pattern: &'a Arc<Glob>, limit: usize) -> Later<'a, Vec<String>> {
        Box::pin(self.names_like(pattern, limit))
    }

    fn nodes<'a>(&'a self, find: &'a Arc<Find>, limit: usize) -> Later<'a, Nodes> {
        Box::pin(self.nodes_like(find, limit))
    }
}

impl api::SeriesSource for Plane {
    fn remove<'a>(&'a self, name: &'a str) -> Later<'a, bool> {
        Box::pin(self.remove_metric(name))
    }
}

/// The relay as the API's source of what it does.
struct Relay(Arc<Health>);

impl api::RelaySource for Relay {
    fn destinations(&self) -> Vec<Value> {
        self.0.relay_destinations()
    }

    fn senders(&self, limit: usize) -> (Vec<Value>, usize) {
        self.0.relay_senders(limit)
    }

    fn bad(&self, limit: usize) -> Vec<Value> {
        self.0.bad_points(limit)
    }
}

/// What is bound and not served yet.
struct Bound {
    api: serve::Bound,
    status: serve::Bound,
    graphs: serve::Bound,
}

/// All routers and their runtime.
pub(crate) struct Http {
    /// `None` once it was shut down.
    runtime: Option<Runtime>,
    pub(crate) api: Vec<SocketAddr>,
    pub(crate) status: Vec<SocketAddr>,
    pub(crate) graphs: Vec<SocketAddr>,
    bound: Option<Bound>,
    serving: Vec<tokio::task::JoinHandle<()>>,
}

impl Http {
    /// Binds; clients wait until [`Http::serve`].
    pub(crate) async fn bind(settings: &Settings) -> anyhow::Result<Self> {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("http").enable_all().build()?;
        let mut http = Self {
            runtime: None,
            api: Vec::new(),
            status: Vec::new(),
            graphs: Vec::new(),
            bound: None,
            serving: Vec::new(),
        };
        let (api, status) = (settings.http.api.clone(), settings.http.status.clone());
        let graphs = settings.render_proxy.addresses.clone();
        // Bound on that runtime: its own reactor then watches the sockets.
        let binding = runtime.spawn(async move {
            let api = serve::bind(serve::Listener::Api, &api).await?;
            let status = serve::bind(serve::Listener::Status, &status).await?;
            let graphs = serve::bind(serve::Listener::RenderProxy, &graphs).await?;
            Ok::<_, skyline_webapp::Error>(Bound { api, status, graphs })
        });
        // From here on a failure shuts the runtime down as `Drop` does it.
        http.runtime = Some(runtime);
        let bound = binding.await??;
        http.api = bound.api.addresses();
        http.status = bound.status.addresses();
        http.graphs = bound.graphs.addresses();
        http.bound = Some(bound);
        Ok(http)
    }

    /// Serves all routers until `stop`.
    pub(crate) fn serve(
        &mut self,
        settings: &Settings,
        health: &Arc<Health>,
        plane: &Arc<Plane>,
        reload: reload::Door,
        stop: &CancellationToken,
    ) {
        let (Some(Bound { api, status, graphs }), Some(runtime)) = (self.bound.take(), self.runtime.as_ref())
        else {
            return;
        };
        self.serving.push(runtime.spawn(graphs.serve(health.graphs.router(), stop.clone())));
        let windows: Arc<dyn api::SeriesSource> = Arc::<Plane>::clone(plane);
        let sources = api::Sources {
            store: health.stores.record.clone(),
            series: windows,
            relay: Arc::new(Relay(Arc::clone(health))),
            alerts: Some(api::alerts::Alerts {
                store: health.stores.record.clone(),
                clock: health.clock.clone(),
                node: health.name.clone(),
                settings: Arc::new(settings.alerting.clone()),
                policy: Arc::clone(&health.alerts.policy),
                dispatcher: health.alerts.dispatcher.clone(),
                gallery: Some(Arc::clone(&health.alerts.gallery)),
            }),
            fetched: Some({
                let health = Arc::clone(health);
                Arc::new(move || health.fetched.status())
            }),
            backfill: health
                .backfill
                .clone()
                .map(|backfill| -> Arc<dyn api::backfill::BackfillSource> { backfill }),
            clock: health.clock.clone(),
        };
        let of = |health: &Arc<Health>| Arc::clone(health);
        let (ready, figures, shown) = (of(health), of(health), of(health));
        let status_sources = skyline_webapp::status::Sources {
            readiness: Arc::new(move || ready.readiness()),
            figures: Arc::new(move || figures.figures()),
            status: Arc::new(move || shown.status()),
            reload: Arc::new(move || {
                let door = reload.clone();
                Box::pin(async move { reload::ask(&door).await })
            }),
        };
        self.serving.push(runtime.spawn(api.serve(api::router(sources), stop.clone())));
        self.serving
            .push(runtime.spawn(status.serve(skyline_webapp::status::router(status_sources), stop.clone())));
    }

    /// Waits a moment for requests in hand.
    pub(crate) async fn end(mut self) {
        for task in std::mem::take(&mut self.serving) {
            drop(tokio::time::timeout(Duration::from_secs(1), task).await);
        }
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        // A runtime that is dropped inside another panics; this does not wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
