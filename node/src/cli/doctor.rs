//! `skyline doctor`: whether the node works, from the listeners to the record; each finding with what to type.
//!
//! `check` looks at settings before a start. This asks the node that runs with them, twice with a moment in
//! between, and looks itself at what it depends on: destinations, Redis, the record, memcached. Without a
//! node it looks at what there is. Everything that may be slow is asked side by side and has a time-out.

mod alerting;
mod destinations;
mod flux;
pub(super) mod graphite;
mod peer;
mod points;
mod running;
pub(super) mod stores;
mod vista;
mod windows;

use super::check::{self, disk, peers, ports};
use super::output::{counted, program, say};
use super::report::{Level, Part, Report};
use running::Running;
use skyline_conf::model::Settings;
use skyline_conf::relaying::Relaying;
use skyline_conf::routing::Routing;
use skyline_core::clock::Clock;
use std::net::SocketAddr;
use std::time::Duration;

/// For each thing that is asked.
const LIMIT: Duration = Duration::from_secs(10);

/// Looks and prints; `true` if nothing is wrong.
pub(super) fn doctor(
    config: &super::Config,
    address: Option<SocketAddr>,
    json: bool,
) -> anyhow::Result<bool> {
    let mut report = Report::new(json);
    let is_running = all(config, address, &mut report)?;
    if json {
        say!("{}", serde_json::to_string_pretty(&report.lines)?)?;
    } else {
        say!("{}", summary(&report, &config.argument(), is_running, &program()))?;
    }
    Ok(report.is_usable())
}

/// Everything; whether a node answers.
fn all(config: &super::Config, address: Option<SocketAddr>, report: &mut Report) -> anyhow::Result<bool> {
    let loaded = match config.load() {
        Ok(loaded) => loaded,
        Err(error) => {
            check::unreadable(&error, report);
            return Ok(false);
        }
    };
    check::read(config.config.as_deref(), &loaded, report);
    let Some(relaying) = check::relay_files(&loaded.settings, report) else { return Ok(false) };
    let Relaying { routing, listen, .. } = relaying;
    let settings = Settings { listen, ..loaded.settings };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let is_running = runtime.block_on(Box::pin(look(settings, routing, address, config.argument(), report)));
    // A name server that does not answer must not hold up the end.
    runtime.shutdown_background();
    Ok(is_running)
}

async fn look(
    settings: Settings,
    routing: Routing,
    address: Option<SocketAddr>,
    arguments: String,
    report: &mut Report,
) -> bool {
    let running = Running::ask(&settings, address, &arguments, report).await;
    let is_running = running.is_some();
    disk::check(&settings, &Clock::system(), is_running, report);
    let servers: Vec<_> = peers::streams(&routing).into_iter().cloned().collect();
    let mut parts = Vec::new();
    match running {
        Some(running) => {
            let (pages, wanted) = (settings.clone(), settings.clone());
            parts.push(Part::new("node", async move {
                let mut report = Report::new(true);
                let look = running.look().await;
                points::lines(&look, &wanted, &mut report);
                flux::lines(&look, &mut report);
                destinations::lines(&look, &servers, &mut report).await;
                windows::lines(&look, &pages, &mut report).await;
                stores::lines(&look, &mut report);
                alerting::lines(&look, &mut report);
                vista::lines(&look, &mut report);
                report
            }));
        }
        None => {
            ports::check(&settings, report).await;
            let wanted = settings.clone();
            parts.push(Part::new("relay.destinations", async move {
                let mut report = Report::new(true);
                peers::check(&wanted, &routing, &mut report).await;
                peer::mistaken(&servers, &mut report).await;
                report
            }));
        }
    }
    parts.extend(stores::probes(&settings));
    parts.extend(graphite::probes(&settings));
    report.side_by_side(parts, LIMIT).await;
    is_running
}

fn summary(report: &Report, arguments: &str, is_running: bool, program: &str) -> String {
    let (warnings, problems) = (report.count(Level::Warning), report.count(Level::Problem));
    let (verdict, next) = match (problems, warnings) {
        (0, 0) => ("all is well", format!("{program} status{arguments}")),
        (0, _) => ("it works", "look at what is marked `warning`".to_owned()),
        _ if is_running => {
            ("something is WRONG", format!("mend what is marked `problem`, then {program} doctor{arguments}"))
        }
        _ => {
            ("no node WORKS here", format!("mend what is marked `problem`, then {program} doctor{arguments}"))
        }
    };
    format!(
        "\n{} ok, {}, {}: {verdict}\nnext: {next}",
        report.count(Level::Ok),
        counted(warnings, "warning"),
        counted(problems, "problem"),
    )
}

#[cfg(test)]
mod tests;
