//! `skyline check`: settings, channels, ports, destinations, servers of others, disk, clock; each finding on a line, with what to do.

mod channels;
pub(super) mod disk;
pub(super) mod peers;
pub(super) mod ports;
mod vista;

pub(super) use vista::alone;

use super::doctor::{graphite, stores};
use super::output::{counted, program, say};
use super::report::{Level, Line, Part, Report};
use skyline_conf::check::Severity;
use skyline_conf::load::{Error, Loaded, Place};
use skyline_conf::model::Settings;
use skyline_conf::relaying::{self, Relaying};
use skyline_conf::routing::Routing;
use skyline_core::clock::Clock;
use std::path::Path;
use std::time::Duration;

/// For each server of `[redis]`, `[record]`, `[memcached]` and `[[graphite.server]]`; each has a limit of its own below that.
const STORES_LIMIT: Duration = Duration::from_secs(15);

/// Checks and prints; `true` if a node can run with these settings.
pub(super) fn check(config: &super::Config, json: bool) -> anyhow::Result<bool> {
    let mut report = Report::new(json);
    let running = all(config, &mut report)?;
    if json {
        say!("{}", serde_json::to_string_pretty(&report.lines)?)?;
    } else {
        say!("{}", summary(&report, &config.argument(), running, &program()))?;
    }
    Ok(report.is_usable())
}

/// Runs all checks; whether a node answers that runs already.
fn all(config: &super::Config, report: &mut Report) -> anyhow::Result<bool> {
    let loaded = match config.load() {
        Ok(loaded) => loaded,
        Err(error) => {
            unreadable(&error, report);
            return Ok(false);
        }
    };
    read(config.config.as_deref(), &loaded, report);
    channels::check(&loaded.settings.alerting, &config.argument(), report);
    let Some(relaying) = relay_files(&loaded.settings, report) else { return Ok(false) };
    // Ports are those of the relay files, if there are any.
    let Relaying { routing, listen, .. } = relaying;
    let settings = &Settings { listen, ..loaded.settings };
    disk::check(settings, &Clock::system(), false, report);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let running = runtime.block_on(async {
        let running = ports::check(settings, report).await;
        peers::check(settings, &routing, report).await;
        // A node runs without them; who has named them wants to know.
        let servers = stores::probes(settings)
            .into_iter()
            .filter(|part| part.name() != "record" || settings.record.is_remote());
        let servers = servers.chain(graphite::probes(settings)).chain(vista::probes(settings, report));
        report.side_by_side(servers.map(Part::softened).collect(), STORES_LIMIT).await;
        running
    });
    // A name server that does not answer must not hold up the end.
    runtime.shutdown_background();
    Ok(running)
}

/// Reads how points are relayed, and says what is odd about it.
pub(super) fn relay_files(settings: &Settings, report: &mut Report) -> Option<Relaying> {
    let relaying = match relaying::read(settings) {
        Ok(relaying) => relaying,
        Err(relaying::Error::Native(error)) => {
            // What the checks of the settings have named is not named again.
            let is_named = |key: &str| report.lines.iter().any(|l| l.level == Level::Problem && l.key == key);
            let faults: Vec<_> = error.faults.into_iter().filter(|fault| !is_named(&fault.place)).collect();
            for fault in faults {
                report.problem(&fault.place, fault.message.as_str(), "");
            }
            return None;
        }
        Err(error) => {
            report.problem("relay", error.to_string(), "");
            return None;
        }
    };
    let Routing { destinations, statements, .. } = &relaying.routing;
    let (destinations, statements) = (destinations.len(), statements.len());
    let to = counted(destinations, "destination");
    if !settings.relay.rule.is_empty() {
        report.ok("relay.rule", format!("{}, {to}", counted(statements, "rule")));
    }
    if !relaying.files.is_empty() {
        let files: Vec<String> = relaying.files.iter().map(|path| path.display().to_string()).collect();
        report.ok("relay.files", format!("{}: {to}, {}", files.join(", "), counted(statements, "statement")));
        if destinations == 0 {
            let message = "these files name none: points are forwarded to nobody";
            report.warning("relay.destinations", message, "check that they are the right ones");
        }
    }
    for note in &relaying.notes {
        report.warning(&note.place(), note.message.as_str(), note.advice.as_str());
    }
    Some(relaying)
}

/// Says why the settings cannot be read.
pub(super) fn unreadable(error: &Error, report: &mut Report) {
    match error {
        Error::Unreadable { path, source, advice } => {
            report.problem("settings", format!("{}: {source}", path.display()), *advice);
        }
        Error::Settings { problems } => {
            for problem in problems {
                let key = if problem.key.is_empty() { "settings" } else { &problem.key };
                let (message, advice) = (problem.without_place(), String::new());
                let place = Some(problem.place.to_string());
                report.push(Line { level: Level::Problem, key: key.to_owned(), message, advice, place });
            }
        }
    }
    report.warning(
        "check",
        "other contradictions, ports, destinations, disk and clock were not looked at",
        "mend the settings first",
    );
}

/// Says what was read, and what contradicts something.
pub(super) fn read(config: Option<&Path>, loaded: &Loaded, report: &mut Report) {
    let by_variable = loaded.given.iter().filter(|given| matches!(given.place, Place::Variable(_))).count();
    let in_file = loaded.given.len() - by_variable;
    let file = match config {
        Some(path) => format!("{}: {} set", path.display(), counted(in_file, "key")),
        None => "no settings file: every key has its default".to_owned(),
    };
    let variables = if by_variable > 0 {
        format!(", {} by variables", counted(by_variable, "key"))
    } else {
        String::new()
    };
    report.ok("settings", file + &variables);
    for warning in &loaded.warnings {
        report.warning("settings", warning.as_str(), "see docs/settings.md");
    }
    let findings = skyline_conf::check::check(&loaded.settings);
    if findings.is_empty() {
        report.ok("settings", "nothing contradicts anything else");
    }
    for finding in findings {
        let level = match finding.severity {
            Severity::Warning => Level::Warning,
            Severity::Problem => Level::Problem,
        };
        let place = loaded.place_of_finding(&finding).map(ToString::to_string);
        report.push(Line {
            level,
            key: finding.key.to_owned(),
            message: finding.message,
            advice: finding.advice,
            place,
        });
    }
}

fn summary(report: &Report, arguments: &str, running: bool, program: &str) -> String {
    let next = match (report.is_usable(), running) {
        (true, false) => format!("{program} run{arguments}"),
        (true, true) => {
            format!("a node runs; {program} reload{arguments}")
        }
        (false, _) => format!("mend what is marked `problem`, then {program} check{arguments}"),
    };
    format!(
        "\n{} ok, {}, {}: {}\nnext: {next}",
        report.count(Level::Ok),
        counted(report.count(Level::Warning), "warning"),
        counted(report.count(Level::Problem), "problem"),
        if report.is_usable() { "usable" } else { "NOT usable" },
    )
}

#[cfg(test)]
mod tests;
