//! The stores of the node (the record, Redis, memcached) and how each is doing.
//!
//! Points need none of them: one that is away is named, and the node goes on. Nobody may have a reason to
//! talk to a store for long, so each is looked at now and then by a task of its own.

use crate::plane::recorder::Told;
use skyline_conf::model::redis::Redis as Settings;
use skyline_core::clock::Clock;
use skyline_core::figure::Figure;
use skyline_core::health::{Standing, StoreHealth};
use skyline_mirror::server::Server;
use skyline_sql::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Stores are looked at once in so long.
const LOOK: Duration = Duration::from_secs(1);
/// Redis is asked whether it is there once in so many looks while it is.
const QUIET_LOOKS: u32 = 5;

/// The stores.
#[derive(Debug)]
pub(crate) struct Stores {
    pub(crate) record: Store,
    pub(crate) told: Arc<Told>,
    redis: Option<Redis>,
}

/// Redis, and how it is doing.
#[derive(Debug)]
struct Redis {
    /// None: the settings of it cannot be used.
    server: Option<Server>,
    standing: Standing,
    place: String,
    clock: Clock,
}

impl Redis {
    fn new(settings: &Settings, clock: Clock) -> Option<Self> {
        if !settings.is_on() {
            return None;
        }
        // Users and passwords have keys of their own.
        let place = settings.servers.join(", ");
        let standing = Standing::unknown("redis", &place, clock.now());
        let server = Server::new(settings).inspect_err(|error| {
            standing.away(clock.now(), &error.to_string());
            tracing::error!(%error, "Redis cannot be used");
        });
        Some(Self { server: server.ok(), standing, place, clock })
    }

    fn note(&self) {
        let Some(server) = &self.server else { return };
        if server.is_up() {
            self.standing.up(self.clock.now(), &self.place);
        } else if let Some(error) = server.last_error() {
            self.standing.away(self.clock.now(), &error.to_string());
        }
    }

    async fn look(&self) {
        if let Some(server) = &self.server {
            // Its outcome is what the connection then says of itself.
            drop(server.query::<String>(&redis::cmd("PING")).await);
            self.note();
        }
    }
}

impl Stores {
    pub(crate) fn new(record: Store, told: Arc<Told>, redis: &Settings, clock: &Clock) -> Self {
        Self { record, told, redis: Redis::new(redis, clock.clone()) }
    }

    /// How each is doing.
    pub(crate) fn health(&self) -> Vec<StoreHealth> {
        let redis = self.redis.as_ref().map_or_else(
            || StoreHealth::off("redis"),
            |redis| {
                redis.note();
                redis.standing.get()
            },
        );
        vec![self.told.standing.get(), redis, self.record.cache_health()]
    }

    /// Adds figures to `out`.
    pub(crate) fn figures(&self, out: &mut Vec<Figure>) {
        for health in self.health() {
            health.figures(out);
        }
        self.record.figures(out);
        if let Some(server) = self.redis.as_ref().and_then(|redis| redis.server.as_ref()) {
            server.figures(out);
        }
    }

    /// Looks at each until `stop`.
    pub(crate) fn look_after(self: &Arc<Self>, tasks: &TaskTracker, stop: &CancellationToken) {
        let (stores, token) = (Arc::clone(self), stop.clone());
        tasks.spawn(async move {
            while token.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
                if token.run_until_cancelled(stores.record.tend_cache()).await.is_none() {
                    return;
                }
            }
        });
        if self.redis.is_none() {
            return;
        }
        let (stores, token) = (Arc::clone(self), stop.clone());
        tasks.spawn(async move {
            let Some(redis) = &stores.redis else { return };
            let mut quiet = QUIET_LOOKS;
            while token.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
                quiet += 1;
                let is_up = redis.server.as_ref().is_some_and(Server::is_up);
                if is_up && quiet < QUIET_LOOKS {
                    continue;
                }
                quiet = 0;
                if token.run_until_cancelled(redis.look()).await.is_none() {
                    return;
                }
            }
        });
    }
}
