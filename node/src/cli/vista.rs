//! `skyline vista`: a job tried without storing anything, and what the jobs of a running node do.

use super::check::alone;
use super::output::{program, say};
use super::send::reachable;
use super::status::{harmless, text};
use super::{Config, http};
use anyhow::Context as _;
use clap::Subcommand;
use jiff::Timestamp;
use serde_json::Value;
use skyline_vista::Job;
use skyline_vista::plan::Range;
use std::net::SocketAddr;

/// Series and points of each that `test` shows.
const SERIES: usize = 20;
const POINTS: usize = 3;

/// What can be done about jobs.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Fetch the newest points of a job; print the names and the first points, store nothing
    Test {
        /// Name of the job in the settings
        job: String,
        #[command(flatten)]
        config: Config,
    },
    /// Show what the jobs of the running node do
    Status {
        /// Where the node's API is (default: http.api of the settings)
        #[arg(long, value_name = "HOST:PORT", value_parser = http::address)]
        address: Option<SocketAddr>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: Config,
    },
}

/// Does it; false: something is wrong with a job.
pub(crate) async fn act(action: &Action) -> anyhow::Result<bool> {
    match action {
        Action::Test { job, config } => test(job, config).await,
        Action::Status { address, json, config } => status(*address, *json, config).await,
    }
}

async fn test(name: &str, config: &Config) -> anyhow::Result<bool> {
    let settings = config.load()?.settings;
    let jobs = &settings.vista.fetch;
    let fetch = jobs.iter().find(|fetch| fetch.name == name).with_context(|| {
        let names: Vec<&str> = jobs.iter().map(|fetch| fetch.name.as_str()).collect();
        match names.is_empty() {
            true => "the settings have no job: write a [[vista.fetch]]".to_owned(),
            false => format!("the settings have no job `{name}`; there are: {}", names.join(", ")),
        }
    })?;
    if let Some(wrong) = fetch.remote().wrong() {
        anyhow::bail!("vista job {name}: the url `{}` {wrong}", harmless(&fetch.remote().shown()));
    }
    let job = alone(&settings, fetch)?.get(name).context("the job is gone")?;
    let (range, answer) = job.newest().await?;
    let has_names = show(&job, &answer, range)?;
    if answer.series.is_empty() {
        say!("its server knows no such series in that time: look at target, and at what the server has")?;
        return Ok(false);
    }
    let (program, config) = (program(), config.argument());
    let next = if settings.vista.enabled {
        format!(
            "{program} run{config}, or {program} reload{config} where it runs; then {program} vista status{config}"
        )
    } else {
        format!("vista.enabled = true, then {program} run{config}")
    };
    if !has_names {
        say!("nothing would be stored: look at store_as")?;
        return Ok(false);
    }
    say!("nothing was stored; next: {next}")?;
    Ok(true)
}

/// Prints an answer; whether a series of it has a name.
fn show(job: &Job, answer: &skyline_vista::Answer, range: Range) -> anyhow::Result<bool> {
    let named = job.names(answer)?;
    say!(
        "{}: {} series from {} to {}",
        job.name(),
        answer.series.len(),
        when(range.from),
        when(range.until)
    )?;
    for (series, name) in answer.series.iter().zip(&named.names).take(SERIES) {
        match name {
            Some(name) => {
                say!("  {} -> {}, {} points", harmless(&series.name), harmless(name), series.points.len())?
            }
            None => say!("  {} has no name to store it under", harmless(&series.name))?,
        }
        for point in series.points.iter().take(POINTS) {
            say!("    {} {}", when(point.ts), point.value)?;
        }
    }
    if answer.series.len() > SERIES {
        say!("  and {} more", answer.series.len() - SERIES)?;
    }
    if let Some(why) = &named.why {
        say!("not named: {}", harmless(why))?;
    }
    for (reason, points) in answer.skipped.each().into_iter().filter(|(_, points)| *points > 0) {
        say!("not taken as they came ({reason}): {points} points")?;
    }
    Ok(named.names.iter().any(Option::is_some))
}

fn when(ts: i64) -> String {
    Timestamp::from_second(ts)
        .map_or_else(|_| ts.to_string(), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

async fn status(address: Option<SocketAddr>, json: bool, config: &Config) -> anyhow::Result<bool> {
    let address = match address {
        Some(address) => address,
        None => {
            let settings = config.load()?.settings;
            reachable(*settings.http.api.first().context("http.api is empty: give --address")?)
        }
    };
    let answer = http::get(address, "/api/v1/vista").await;
    let answer =
        answer.map_err(|error| if http::is_refused(&error) { http::nobody(address) } else { error })?;
    let body = answer.json().ok().filter(|body| answer.status == 200 && body.get("jobs").is_some());
    let body = body.with_context(|| {
        format!("{address} answers, but is not a node's API: --address takes that of http.api")
    })?;
    let jobs: Vec<&Value> = body.get("jobs").and_then(Value::as_array).into_iter().flatten().collect();
    let failing = jobs.iter().any(|job| job.get("state").and_then(Value::as_str) == Some("failing"));
    if json {
        say!("{}", serde_json::to_string_pretty(&body)?)?;
        return Ok(!failing);
    }
    if body.get("enabled") != Some(&Value::Bool(true)) {
        say!("nothing is fetched: vista.enabled is false")?;
    }
    for job in jobs {
        let points = |key: &str| job.pointer(&format!("/points/{key}")).and_then(Value::as_u64).unwrap_or(0);
        let lag = job.get("lag_seconds").and_then(Value::as_f64);
        let lag = lag.map_or_else(|| "nothing yet".to_owned(), |lag| format!("{lag:.0} s behind"));
        say!(
            "{}: {}, {} {}, {} series, {} live and {} history points, {lag}",
            text(job, "name"),
            text(job, "state"),
            text(job, "kind"),
            text(job, "server"),
            text(job, "series"),
            points("live"),
            points("history"),
        )?;
        if job.get("last_error").is_some_and(Value::is_string) {
            say!("  last error: {}", text(job, "last_error"))?;
        }
    }
    Ok(!failing)
}
