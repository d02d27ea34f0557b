//! Incidents, mutes, the outbox, and what would be told: questions, and what people may change.
//!
//! | path | answers |
//! |---|---|
//! | `GET /api/v1/incidents` | incidents, the newest first, page by page |
//! | `GET /api/v1/incidents/{id}` | one of them, with its metrics and who was told |
//! | `POST /api/v1/incidents/{id}/acknowledge` | somebody has seen it |
//! | `GET /api/v1/mutes` | what nobody is told of |
//! | `POST /api/v1/mutes` | mutes a name, a glob or a rule |
//! | `DELETE /api/v1/mutes/{id}` | unmutes |
//! | `GET /api/v1/outbox` | messages, the newest first, page by page |
//! | `POST /api/v1/outbox/{id}/retry` | a message that was given up is tried again |
//! | `GET /api/v1/alerts/explain?metric=` | who would be told of a metric, and why |
//! | `GET`, `POST /alert/{token}` | a link of a message: shows an incident, or what it does; does it |
//! | `GET /outbox` | messages as a page, with their pictures |
//!
//! What changes something takes `Content-Type: application/json` and a `Host` of this machine only, so that no page
//! that a browser has open can ask for it.

pub(super) mod change;
mod explanation;
mod incident;
mod incidents;
mod links;
mod mutes;
mod outbox;
mod page;

use axum::Router;
use axum::routing::{delete, get, post};
use skyline_alerting::channel::Gallery;
use skyline_alerting::dispatcher::Alerting;
use skyline_alerting::policy::Policy;
use skyline_core::clock::Clock;
use skyline_sql::Store;
use std::fmt;
use std::sync::Arc;

/// Where the answers about alerting come from.
#[derive(Clone)]
pub struct Alerts {
    /// What is recorded.
    pub store: Store,
    /// For what is "now".
    pub clock: Clock,
    /// Name of this node: messages of others are theirs to send.
    pub node: String,
    /// The settings.
    pub settings: Arc<skyline_conf::model::alerting::Alerting>,
    /// Rules, mutes and links.
    pub policy: Arc<Policy>,
    /// The dispatcher; none: alerting is switched off.
    pub dispatcher: Option<Alerting>,
    /// Where the pictures of the outbox page come from; none: it has none.
    pub gallery: Option<Arc<dyn Gallery>>,
}

impl fmt::Debug for Alerts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alerts").field("node", &self.node).finish_non_exhaustive()
    }
}

/// What the router has, for those who ask for something else.
pub(super) const ROUTES: &[&str] = &[
    "GET /api/v1/incidents",
    "GET /api/v1/incidents/{id}",
    "POST /api/v1/incidents/{id}/acknowledge",
    "GET /api/v1/mutes",
    "POST /api/v1/mutes",
    "DELETE /api/v1/mutes/{id}",
    "GET /api/v1/outbox",
    "POST /api/v1/outbox/{id}/retry",
    "GET /api/v1/alerts/explain?metric={name}",
    "GET /outbox",
];

/// The account that changes something here: there are no others yet.
const ACCOUNT: i64 = 2;

/// The routes of alerting.
pub(super) fn router(alerts: Alerts) -> Router {
    Router::new()
        .route("/api/v1/incidents", get(incidents::list))
        .route("/api/v1/incidents/{id}", get(incidents::one))
        .route("/api/v1/incidents/{id}/acknowledge", post(incidents::acknowledge))
        .route("/api/v1/mutes", get(mutes::list).post(mutes::add))
        .route("/api/v1/mutes/{id}", delete(mutes::remove))
        .route("/api/v1/outbox", get(outbox::list))
        .route("/api/v1/outbox/{id}/retry", post(outbox::retry))
        .route("/api/v1/alerts/explain", get(explanation::explain))
        .route("/alert/{token}", get(links::show).post(links::act))
        .route("/outbox", get(page::outbox))
        .route("/outbox/{id}/{picture}", get(page::picture))
        .with_state(alerts)
}
