//! The connection to Redis: one server, a cluster, or the master that sentinels name.
//!
//! Connects when it is first asked, not before, and again after a failure: at most once a second. Each
//! question has a time-out, and a bounded number is under way. Nothing is asked again here: who asks knows
//! whether that does harm.

mod address;
mod error;
mod probe;
mod scan;
mod wire;

pub use error::Error;
pub use probe::{Facts, probe};
pub use scan::{Pages, What};

use address::{Access, Address};
use redis::{Arg, Cmd, FromRedisValue, Pipeline, RedisError, Value};
use skyline_conf::model::redis::Redis;
use skyline_core::figure::Figure;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use wire::{Target, Wire};

/// Pipelines under way at most; the next waits.
const IN_FLIGHT: usize = 32;
/// A connection is tried at most once in so long.
const PAUSE: Duration = Duration::from_secs(1);

/// The log is told again of the same failure after so long.
const TOLD_FOR: Duration = Duration::from_secs(60);

/// Redis, as the settings name it. Cheap to clone; all clones share a connection.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

struct Shared {
    /// The servers as the settings name them, which hold no passwords.
    names: String,
    target: Target,
    slot: tokio::sync::Mutex<Slot>,
    places: Semaphore,
    up: AtomicBool,
    /// Number of the connection in use, from 1; 0: none yet.
    connects: AtomicU64,
    commands: AtomicU64,
    bytes: AtomicU64,
    failures: [AtomicU64; Error::LABELS.len()],
    last_error: Mutex<Option<(Instant, Error)>>,
    /// The error that the log was last told of.
    told: Mutex<Option<(Instant, &'static str)>>,
}

/// The connection in use, if there is one.
#[derive(Default)]
struct Slot {
    wire: Option<Wire>,
    number: u64,
    tried: Option<(Instant, Error)>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("servers", &self.shared.target.servers)
            .field("up", &self.is_up())
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Reads the password and the certificates; talks to nobody.
    ///
    /// # Errors
    /// [`Error::Refused`] with the file or variable that cannot be used, or an address that is none.
    pub fn new(settings: &Redis) -> Result<Self, Error> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Another thread may have been faster, with the same one.
            drop(rustls::crypto::ring::default_provider().install_default());
        }
        let access = Access::new(settings)?;
        let servers =
            settings.servers.iter().map(|text| Address::parse(text)).collect::<Result<Vec<_>, _>>()?;
        for server in &servers {
            access.client(server)?;
        }
        let target =
            Target { kind: settings.kind, servers, master: settings.sentinel_master.clone(), access };
        Ok(Self {
            shared: Arc::new(Shared {
                names: settings.servers.join(", "),
                target,
                slot: tokio::sync::Mutex::default(),
                places: Semaphore::new(IN_FLIGHT),
                up: AtomicBool::new(false),
                connects: AtomicU64::new(0),
                commands: AtomicU64::new(0),
                bytes: AtomicU64::new(0),
                failures: Default::default(),
                last_error: Mutex::default(),
                told: Mutex::default(),
            }),
        })
    }

    /// Carries out the commands of a pipeline, in their order. Not atomic unless the pipeline says so; in a
    /// cluster all its keys must be of one slot.
    ///
    /// # Errors
    /// The first error; commands before and after it may have been carried out, after [`Error::Away`]
    /// all of them.
    pub async fn run(&self, pipeline: &Pipeline) -> Result<Vec<Value>, Error> {
        self.run_each(pipeline).await?.into_iter().collect()
    }

    /// The same, with an outcome for each command.
    ///
    /// # Errors
    /// An error that all of them share; they may have been carried out.
    pub async fn run_each(&self, pipeline: &Pipeline) -> Result<Vec<Result<Value, Error>>, Error> {
        if pipeline.is_empty() {
            return Ok(Vec::new());
        }
        let bytes = pipeline.cmd_iter().map(bytes_of).sum();
        let (number, mut wire) = self.begin(pipeline.len() as u64, bytes).await?;
        let outcome = {
            let _place = self.place().await?;
            Box::pin(wire.pipeline(pipeline)).await
        };
        let values = self.settle(number, outcome).await?;
        let mut outcomes = Vec::with_capacity(values.len());
        for value in values {
            outcomes.push(match value {
                Value::ServerError(error) => self.settle(number, Err(error.into())).await,
                value => Ok(value),
            });
        }
        Ok(outcomes)
    }

    /// The answer to one command.
    ///
    /// # Errors
    /// Those of Redis; [`Error::Command`] when the answer is not a `T`.
    pub async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Error> {
        let (number, mut wire) = self.begin(1, bytes_of(command)).await?;
        let outcome = {
            let _place = self.place().await?;
            Box::pin(wire.command(command)).await
        };
        let value = self.settle(number, outcome).await?;
        T::from_redis_value(value)
            .map_err(|error| Error::Command(format!("an answer of another form: {error}")))
    }

    /// Pages of a large set, hash, or of all keys; see [`Pages::next`].
    #[must_use]
    pub fn scan(&self, what: What) -> Pages {
        Pages::new(self.clone(), what)
    }

    /// Whether it answered when it was last asked.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.shared.up.load(Ordering::Relaxed)
    }

    /// What it refuses until somebody changes something; none if it is not known to refuse anything.
    #[must_use]
    pub fn refusal(&self) -> Option<Error> {
        self.last_error().filter(|error| matches!(error, Error::Refused { .. } | Error::ReadOnly))
    }

    /// Number of the connection in use: changes whenever one was made anew. 0: there was none yet.
    #[must_use]
    pub fn connection(&self) -> u64 {
        self.shared.connects.load(Ordering::Relaxed)
    }

    /// Why it is not up, or what it has refused within the last minute.
    #[must_use]
    pub fn last_error(&self) -> Option<Error> {
        let last = self.shared.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, error) = last.as_ref()?;
        (!self.is_up() || at.elapsed() < TOLD_FOR).then(|| error.clone())
    }

    /// The time within which each command is answered or fails.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.shared.target.access.timeout
    }

    /// Appends the figures of the connection; whether it is up is a figure of all stores.
    pub fn figures(&self, out: &mut Vec<Figure>) {
        let shared = &self.shared;
        let count = |name, help, cell: &AtomicU64| Figure::counter(name, help, cell.load(Ordering::Relaxed));
        out.push(count(
            "skyline_redis_connects_total",
            "Connections made to Redis since start",
            &shared.connects,
        ));
        out.push(count(
            "skyline_redis_commands_total",
            "Commands sent to Redis since start",
            &shared.commands,
        ));
        out.push(count(
            "skyline_redis_sent_bytes_total",
            "Bytes of the arguments of commands sent to Redis since start",
            &shared.bytes,
        ));
        for (label, cell) in Error::LABELS.into_iter().zip(&shared.failures) {
            let help = "Questions that Redis did not answer or refused since start, by reason";
            out.push(count("skyline_redis_failures_total", help, cell).label("reason", label));
        }
    }

    /// One of the places of pipelines under way.
    async fn place(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Error> {
        self.shared.places.acquire().await.map_err(|_| Error::Away("it is shut down".to_owned()))
    }

    /// The connection for `commands` commands, made if there is none.
    async fn begin(&self, commands: u64, bytes: u64) -> Result<(u64, Wire), Error> {
        let shared = &self.shared;
        let wire = self.wire().await?;
        shared.commands.fetch_add(commands, Ordering::Relaxed);
        shared.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(wire)
    }

    async fn wire(&self) -> Result<(u64, Wire), Error> {
        let mut slot = self.shared.slot.lock().await;
        if let Some(wire) = &slot.wire {
            return Ok((slot.number, wire.clone()));
        }
        if let Some((at, error)) = &slot.tried
            && at.elapsed() < PAUSE
        {
            return Err(error.clone());
        }
        // Stands while this is under way, also when who asked goes away.
        slot.tried = Some((Instant::now(), Error::Away("the connection is being made".to_owned())));
        match Box::pin(self.shared.target.connect()).await {
            Ok(wire) => {
                slot.number += 1;
                slot.wire = Some(wire.clone());
                self.shared.connects.store(slot.number, Ordering::Relaxed);
                Ok((slot.number, wire))
            }
            Err(error) => {
                slot.tried = Some((Instant::now(), error.clone()));
                self.shared.up.store(false, Ordering::Relaxed);
                self.failed(&error);
                Err(error)
            }
        }
    }

    /// Counts an outcome, and drops a connection that is of no use any more.
    async fn settle<T>(&self, number: u64, outcome: Result<T, RedisError>) -> Result<T, Error> {
        let error = match outcome {
            Ok(value) => {
                self.answered();
                return Ok(value);
            }
            Err(error) => error,
        };
        let ends = error::ends_connection(&error);
        let is_moving = error.is_cluster_error() && self.is_cluster();
        // There it is another node's turn, and the client learns of it.
        let error = if is_moving { Error::Away(error.to_string()) } else { Error::from(error) };
        if ends {
            let mut slot = self.shared.slot.lock().await;
            if slot.number == number {
                slot.wire = None;
                if let Some((_, last)) = &mut slot.tried {
                    *last = error.clone();
                }
            }
        }
        // A command that is refused says nothing of the others.
        if ends || !matches!(error, Error::Refused { .. } | Error::Command(_)) {
            self.shared.up.store(false, Ordering::Relaxed);
        }
        self.failed(&error);
        Err(error)
    }

    fn answered(&self) {
        if self.shared.up.swap(true, Ordering::Relaxed) {
            return;
        }
        *self.shared.last_error.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if self.shared.told.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            tracing::info!(servers = self.shared.names, "Redis answers");
        }
    }

    /// Counts an error, and tells the log of it: each kind at once, the same again after a while.
    fn failed(&self, error: &Error) {
        let place = Error::LABELS.iter().position(|label| *label == error.label());
        if let Some(cell) = place.and_then(|place| self.shared.failures.get(place)) {
            cell.fetch_add(1, Ordering::Relaxed);
        }
        if !error.is_general() {
            return;
        }
        *self.shared.last_error.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), error.clone()));
        let mut told = self.shared.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|(at, label)| label != error.label() || at.elapsed() > TOLD_FOR) {
            *told = Some((Instant::now(), error.label()));
            tracing::warn!(servers = self.shared.names, "{error}");
        }
    }
}

/// Length of a command's arguments.
fn bytes_of(command: &Cmd) -> u64 {
    let len = |arg: Arg<&[u8]>| if let Arg::Simple(bytes) = arg { bytes.len() as u64 } else { 0 };
    command.args_iter().map(len).sum()
}
