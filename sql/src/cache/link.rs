//! Connections to memcached: few, bounded in time, and none while it is away.
//!
//! A command has one deadline for everything, a place to wait for included. A connection on which anything
//! went wrong, or whose command was given up, is closed: what it would answer next belongs to another
//! question. After a failure memcached is left alone for [`REST`]; then one command tries.

use super::bounded::{Bounded, Socket};
use super::command::{Command, Version};
use memcache_async::ascii::Protocol;
use skyline_conf::model::memcached::Memcached;
use skyline_core::clock::Clock;
use skyline_core::health::{Standing, StoreHealth};
use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// Connections at most, used and idle.
const CONNECTIONS: usize = 8;
/// How long a memcached that failed is left alone.
const REST: Duration = Duration::from_secs(1);
/// A memcached that nobody asked for so long is asked whether it is there.
const QUIET: Duration = Duration::from_secs(5);

/// One connection.
pub(super) type Connection = Protocol<Bounded>;

/// memcached was not asked, or did not answer as it should.
#[derive(Debug, thiserror::Error)]
#[error("memcached at {address} does not answer: {problem}")]
pub struct Unreachable {
    /// Where it should be.
    pub address: String,
    /// What went wrong.
    pub problem: String,
}

/// The connections to one memcached.
pub(super) struct Link {
    address: String,
    timeout: Duration,
    clock: Clock,
    places: Semaphore,
    state: Mutex<State>,
    standing: Standing,
}

struct State {
    idle: Vec<Connection>,
    /// While it is away: when it may be asked next.
    again: Option<Instant>,
    asked: Instant,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("address", &self.address).finish_non_exhaustive()
    }
}

/// `HOST:PORT`, or the path of a socket.
async fn connect(address: &str) -> io::Result<Connection> {
    let socket: Box<dyn Socket> = if address.starts_with('/') {
        Box::new(UnixStream::connect(address).await?)
    } else {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Box::new(stream)
    };
    Ok(Protocol::new(Bounded::new(socket)))
}

/// Connects to the memcached of these settings; its version.
///
/// # Errors
/// [`Unreachable`], after `memcached.timeout_seconds` at the latest.
pub async fn probe(settings: &Memcached) -> Result<String, Unreachable> {
    let ask = async { connect(&settings.address).await?.version().await };
    let limit = Duration::from_secs_f64(settings.timeout_seconds);
    let problem = match tokio::time::timeout(limit, ask).await {
        Ok(Ok(version)) => return Ok(version),
        Ok(Err(error)) => said(&error),
        Err(_) => late(limit),
    };
    Err(Unreachable { address: settings.address.clone(), problem })
}

fn late(limit: Duration) -> String {
    format!("no answer within {} s", limit.as_secs_f64())
}

/// An error in words; some have none but what the server wrote.
fn said(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the connection ended".to_owned(),
        io::ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
        io::ErrorKind::InvalidData if error.get_ref().is_none() => {
            "what answers there is not memcached".to_owned()
        }
        _ => error.to_string().trim_end().to_owned(),
    }
}

impl Link {
    pub(super) fn new(name: &'static str, settings: &Memcached, clock: Clock) -> Self {
        let standing = Standing::unknown(name, &settings.address, clock.now());
        let state = State { idle: Vec::new(), again: None, asked: Instant::now() };
        Self {
            address: settings.address.clone(),
            timeout: Duration::from_secs_f64(settings.timeout_seconds),
            clock,
            places: Semaphore::new(CONNECTIONS),
            state: Mutex::new(state),
            standing,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unreachable(&self, problem: impl Into<String>) -> Unreachable {
        Unreachable { address: self.address.clone(), problem: problem.into() }
    }

    /// Whether it may be asked now; while it is away, one in each [`REST`] may.
    fn may_ask(&self) -> bool {
        let (mut state, now) = (self.state(), Instant::now());
        state.asked = now;
        match state.again {
            None => true,
            Some(again) if now < again => false,
            Some(_) => {
                state.again = Some(now + REST);
                true
            }
        }
    }

    /// Says `command`, twice where an idle connection turns out to be closed.
    pub(super) async fn ask<C: Command>(&self, command: &C) -> Result<C::Answer, Unreachable> {
        if !self.may_ask() {
            return Err(self.unreachable("it is left alone for a moment"));
        }
        let deadline = Instant::now() + self.timeout;
        let Ok(Ok(_place)) = timeout_at(deadline, self.places.acquire()).await else {
            // That many questions at once say nothing of the server.
            return Err(self.unreachable("all connections are busy"));
        };
        let problem = match timeout_at(deadline, self.attempt(command)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => said(&error),
            Err(_) => late(self.timeout),
        };
        self.failed(&problem);
        Err(self.unreachable(problem))
    }

    /// On an idle connection, and where that fails on a new one. A connection is kept only after all went well.
    async fn attempt<C: Command>(&self, command: &C) -> io::Result<C::Answer> {
        let idle = self.state().idle.pop();
        if let Some(mut connection) = idle {
            if let Ok(answer) = command.run(&mut connection).await {
                self.succeeded(connection);
                return Ok(answer);
            }
            // The others are of the same age.
            self.state().idle.clear();
        }
        let mut connection = connect(&self.address).await?;
        let answer = command.run(&mut connection).await?;
        self.succeeded(connection);
        Ok(answer)
    }

    fn succeeded(&self, connection: Connection) {
        let mut state = self.state();
        state.again = None;
        if state.idle.len() < CONNECTIONS {
            state.idle.push(connection);
        }
        drop(state);
        if self.standing.up(self.clock.now(), &self.address) {
            tracing::info!(address = self.address, "memcached answers; it is asked before the record");
        }
    }

    fn failed(&self, problem: &str) {
        let mut state = self.state();
        state.idle.clear();
        state.again = Some(Instant::now() + REST);
        drop(state);
        if self.standing.away(self.clock.now(), &format!("{}: {problem}", self.address)) {
            let (address, problem) = (&self.address, problem.escape_debug().to_string());
            tracing::warn!(address, problem, "memcached does not answer; the record is asked without it");
        }
    }

    /// Asks whether it is there if nobody has asked it anything of late.
    pub(super) async fn tend(&self) {
        let is_due = {
            let state = self.state();
            // One that is away is asked as soon as it may be, so that its return is noticed.
            state.again.is_some() || state.asked.elapsed() >= QUIET
        };
        if is_due || self.health().state == skyline_core::health::State::Unknown {
            drop(self.ask(&Version).await);
        }
    }

    pub(super) fn health(&self) -> StoreHealth {
        self.standing.get()
    }
}
