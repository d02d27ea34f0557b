//! The stores of the node (the record, Redis, memcached) and how each is doing.
//!
//! Points need none of them: one that is away is named, and the node goes on. Nobody may have a reason to
//! talk to a store for long, so each is looked at now and then by a task of its own.

use crate::mirror::Mirror;
use crate::plane::Plane;
use crate::plane::recorder::Told;
use skyline_conf::model::redis::Redis as Settings;
use skyline_core::clock::Clock;
use skyline_core::figure::Figure;
use skyline_core::health::{Standing, StoreHealth};
use skyline_sql::Store;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Stores are looked at once in so long.
const LOOK: Duration = Duration::from_secs(1);
/// Redis is asked whether it is there once in so many looks while it is.
const QUIET_LOOKS: u32 = 5;
/// What Redis is called in reports.
const NAME: &str = "redis";

/// The stores.
#[derive(Debug)]
pub(crate) struct Stores {
    pub(crate) record: Store,
    /// Kept by the recorder.
    told: Arc<Told>,
    standing: Standing,
    clock: Clock,
    redis: Option<Redis>,
}

/// Redis with the copy of the windows.
#[derive(Debug)]
struct Redis {
    mirror: Mirror,
    standing: Standing,
    place: String,
    clock: Clock,
}

impl Redis {
    fn new(mirror: Mirror, settings: &Settings, clock: Clock) -> Self {
        // Users and passwords have keys of their own.
        let place = settings.servers.join(", ");
        Self { standing: Standing::unknown(NAME, &place, clock.now()), mirror, place, clock }
    }

    fn health(&self) -> StoreHealth {
        let server = &self.mirror.server;
        self.standing.waits(self.mirror.waiting());
        if server.is_up() {
            let note = self.mirror.note().map_or_else(String::new, |note| format!("; {note}"));
            self.standing.up(self.clock.now(), &format!("{}{note}", self.place));
        } else if let Some(error) = server.last_error() {
            self.standing.away(self.clock.now(), &format!("{}: {error}", self.place));
        }
        self.standing.get()
    }

    async fn look(&self) {
        // Its outcome is what the connection then says of itself.
        drop(self.mirror.server.query::<String>(&redis::cmd("PING")).await);
    }
}

impl Stores {
    pub(crate) fn new(
        record: Store,
        plane: &Plane,
        mirror: Option<Mirror>,
        settings: &Settings,
        clock: &Clock,
    ) -> Self {
        let standing = Standing::unknown("record", &record.place().to_string(), clock.now());
        let redis = mirror.map(|mirror| Redis::new(mirror, settings, clock.clone()));
        Self { record, told: Arc::clone(&plane.told), standing, clock: clock.clone(), redis }
    }

    /// Why the windows are not yet as whole as Redis can make them.
    pub(crate) fn is_taking(&self) -> Option<String> {
        self.redis.as_ref().and_then(|redis| redis.mirror.is_taking())
    }

    /// Waits until the copy in Redis has ended.
    pub(crate) fn join(&self) {
        if let Some(redis) = &self.redis {
            redis.mirror.join();
        }
    }

    /// How each is doing.
    pub(crate) fn health(&self) -> Vec<StoreHealth> {
        let redis = self.redis.as_ref().map_or_else(|| StoreHealth::off(NAME), Redis::health);
        vec![self.record_health(), redis, self.record.cache_health()]
    }

    fn record_health(&self) -> StoreHealth {
        self.standing.waits(self.told.kept.load(Ordering::Relaxed) + self.told.stuck());
        let now = self.clock.now();
        match self.told.away() {
            Some(why) => drop(self.standing.away(now, &why)),
            // A file was opened when the node started; a server is not known before it was asked.
            None if self.told.is_known() || self.record.place().file().is_some() => {
                self.standing.up(now, &self.record.place().to_string());
            }
            None => {}
        }
        self.standing.get()
    }

    /// Adds figures to `out`.
    pub(crate) fn figures(&self, out: &mut Vec<Figure>) {
        for health in self.health() {
            health.figures(out);
        }
        self.record.figures(out);
        if let Some(redis) = &self.redis {
            redis.mirror.figures(out);
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
                // Looked at once a second, so that the time of a change is right.
                drop(stores.health());
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
                let is_up = redis.mirror.server.is_up();
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
