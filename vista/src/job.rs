//! One job: its server, its names, and one run of it.

mod run;
mod submit;

use crate::counts::Counts;
use crate::error::Error;
use crate::gates::{Gates, Place};
use crate::plan::{Cut, Range, Wants};
use crate::series::{Answer, Limits};
use crate::{graphite, prometheus};
use skyline_conf::model::vista::template::Template;
use skyline_conf::model::vista::{Fetch, Kind, Vista};
use skyline_core::clock::Clock;
use skyline_core::name;
use skyline_core::problem::Problem;
use skyline_core::shard::name_hash;
use skyline_relay::intake::Intake;
use skyline_upstream::{Client, Options};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Longest wait for a connection, and between two pieces of an answer.
const CONNECT: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(20);

/// A job.
#[derive(Debug)]
pub struct Job {
    pub(crate) fetch: Fetch,
    pub(crate) client: Client,
    template: Template,
    history: Vec<i64>,
    late: i64,
    live: i64,
    skip_current_minute: bool,
    run_timeout: Duration,
    /// Longest span that is asked for at once, seconds: what the server's answers have shown to be short enough.
    longest: AtomicI64,
    /// What the files for TLS hold.
    trust: u64,
    /// The file of its cursor.
    file: PathBuf,
    sync: bool,
    gates: Arc<Gates>,
    clock: Clock,
    counts: Mutex<Counts>,
}

/// Where the points of a job go.
#[derive(Debug, Clone)]
pub struct Sink {
    /// Takes them.
    pub intake: Intake,
    /// No further question once it is cancelled.
    pub stop: CancellationToken,
}

/// What is common to all jobs.
#[derive(Debug, Clone)]
pub struct Common {
    /// Folder of the cursors.
    pub folder: PathBuf,
    /// Whether cursors are on the disk before a job goes on.
    pub sync: bool,
    /// Places for questions.
    pub gates: Arc<Gates>,
    /// The clock.
    pub clock: Clock,
}

/// Series of an answer with the names that they are stored under, and how many have none.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// In the order of the answer; none: it has none.
    pub names: Vec<Option<String>>,
    /// Why the last of those that have none has none.
    pub why: Option<String>,
}

impl Job {
    /// The job of `fetch`.
    ///
    /// # Errors
    /// The server cannot be asked as the settings say.
    pub fn new(vista: &Vista, fetch: &Fetch, common: &Common) -> Result<Self, Problem> {
        let template = Template::parse(&fetch.store_as).map_err(|wrong| {
            Problem::new(
                format!("vista job {}: store_as: {wrong}", fetch.name),
                "write it as prom.{job}.load",
            )
        })?;
        Ok(Self {
            client: Client::new(options(fetch, vista.per_host)?)?,
            template,
            history: fetch.history_seconds(),
            late: i64::from(vista.late_seconds),
            live: i64::from(vista.live_seconds),
            skip_current_minute: vista.skip_current_minute,
            run_timeout: Duration::from_secs_f64(vista.run_timeout_seconds),
            longest: AtomicI64::new(i64::MAX),
            trust: trust(fetch),
            file: common.folder.join(format!("{}.json", fetch.name)),
            sync: common.sync,
            gates: Arc::clone(&common.gates),
            clock: common.clock.clone(),
            counts: Mutex::default(),
            fetch: fetch.clone(),
        })
    }

    /// As the settings name it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.fetch.name
    }

    /// Whether another is the same job, asked with the same credentials and trust.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.fetch == other.fetch
            && self.client.options() == other.client.options()
            && self.trust == other.trust
    }

    /// Takes the place of another of its name, which has ended: its figures go on.
    pub(crate) fn follows(&self, before: &Self) {
        let mut counts = before.counts(|counts| counts.clone());
        counts.failures_in_a_row = 0;
        self.counts(|own| *own = counts);
    }

    /// What is asked when.
    #[must_use]
    pub fn wants(&self) -> Wants<'_> {
        let cut = match self.fetch.kind {
            Kind::Graphite => Cut::Archives(&self.history),
            Kind::Prometheus => Cut::Step(i64::from(self.fetch.step_seconds)),
        };
        Wants {
            history: &self.history,
            cut,
            every: i64::from(self.fetch.every_seconds),
            late: self.late,
            skip_current_minute: self.skip_current_minute,
        }
    }

    pub(crate) fn counts<T>(&self, act: impl FnOnce(&mut Counts) -> T) -> T {
        act(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks for the points of `range`. Stores nothing.
    ///
    /// # Errors
    /// There is no answer, or one that is of no use.
    pub async fn ask(&self, range: Range) -> Result<Answer, Error> {
        Ok(self.ask_in_place(range, self.clock.now() as i64).await?.0)
    }

    /// The same, with the place that the question had: whoever keeps it while the points are taken in has no more answers
    /// in memory than questions may be asked at the same time. `now`: when what is asked was decided.
    pub(crate) async fn ask_in_place(&self, range: Range, now: i64) -> Result<(Answer, Place), Error> {
        let place = self.gates.enter(&self.client.address().origin()).await;
        self.counts(|counts| counts.questions += 1);
        let answer = self.question(range, now).await;
        Ok((answer.map_err(|error| error.without_secrets(self.client.options()))?, place))
    }

    async fn question(&self, range: Range, now: i64) -> Result<Answer, Error> {
        let limits = Limits { series: self.fetch.max_series as usize, ..Limits::default() };
        let path = |usual| if self.fetch.uri.is_empty() { usual } else { self.fetch.uri.as_str() };
        let (client, target) = (&self.client, &self.fetch.target);
        match self.fetch.kind {
            Kind::Graphite => {
                let (path, times) = (path(graphite::RENDER), (range.from, range.until));
                graphite::render(client, graphite::render_question(path, target, times, now), limits).await
            }
            Kind::Prometheus => {
                let step = i64::from(self.fetch.step_seconds);
                let Some(times) = range.grid(step) else { return Ok(Answer::default()) };
                prometheus::range(client, path(prometheus::QUERY_RANGE), target, times, step, limits).await
            }
        }
    }

    /// The names that series of an answer are stored under.
    ///
    /// # Errors
    /// Several series would be stored under one name.
    pub fn names(&self, answer: &Answer) -> Result<Named, Error> {
        let server = || graphite::server(&self.client);
        if self.template.is_plain() && answer.series.len() > 1 {
            return Err(Error::Several { server: server(), series: answer.series.len() });
        }
        let mut named = Named { names: Vec::with_capacity(answer.series.len()), why: None };
        let mut seen = HashSet::new();
        for series in &answer.series {
            let name =
                self.template.name(&series.name, &series.labels).and_then(|name| {
                    match name::for_line(name.as_bytes()) {
                        Ok(()) if name.len() <= name::MAX_WINDOW_NAME_BYTES => Ok(name),
                        _ => Err(format!(
                            "{} would have a name that cannot be stored",
                            series.name.escape_debug()
                        )),
                    }
                });
            match name {
                Ok(name) if !seen.insert(name.clone()) => {
                    return Err(Error::SameName { server: server(), name });
                }
                Ok(name) => named.names.push(Some(name)),
                Err(why) => {
                    named.names.push(None);
                    named.why = Some(why);
                }
            }
        }
        Ok(named)
    }
}

/// How the server of a job is asked.
///
/// # Errors
/// A secret is not where the settings say.
fn options(fetch: &Fetch, per_host: u32) -> Result<Options, Problem> {
    let mut options = Options::of(format!("vista job {}", fetch.name), &fetch.remote())?;
    options.total = Duration::from_secs_f64(fetch.timeout_seconds);
    options.connect = CONNECT.min(options.total);
    options.idle = IDLE.min(options.total);
    options.max_body = usize::try_from(fetch.max_body_bytes).unwrap_or(usize::MAX);
    options.concurrent = per_host.max(1) as usize;
    options.gzip = true;
    Ok(options)
}

/// What tells the contents of the files for TLS apart. One that cannot be read has failed the client already.
fn trust(fetch: &Fetch) -> u64 {
    let content = |path: &Path| std::fs::read(path).unwrap_or_default();
    let both = [content(&fetch.ca_file), content(&fetch.certificate_file)];
    name_hash(&both.join(&0))
}

#[cfg(test)]
pub(crate) mod tests;
