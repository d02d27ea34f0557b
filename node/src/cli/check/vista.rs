//! Jobs that fetch points: whether each can be asked as the settings say, and what its server answers.

use crate::cli::report::{Part, Report};
use skyline_conf::check;
use skyline_conf::model::Settings;
use skyline_conf::model::vista::Fetch;
use skyline_core::clock::Clock;
use skyline_core::problem::Problem;
use skyline_vista::Jobs;
use std::time::Instant;

const KEY: &str = "vista.fetch";

/// Jobs that a node would refuse to start with; the others are to be asked, beside everything else.
pub(super) fn probes(settings: &Settings, report: &mut Report) -> Vec<Part> {
    let jobs = &settings.vista.fetch;
    if !jobs.is_empty() && !settings.vista.enabled {
        report.ok("vista", "off: nothing is fetched; vista.enabled = true starts its jobs");
        return Vec::new();
    }
    let folder = settings.node.state_dir.join("vista");
    if !jobs.is_empty() && folder.exists() && !folder.is_dir() {
        let advice = "cursors of jobs are kept there: move the file away";
        report.problem(KEY, format!("{} is no folder", folder.display()), advice);
    }
    let mut parts = Vec::new();
    for (number, fetch) in jobs.iter().enumerate() {
        if fetch.remote().wrong().is_some() {
            continue;
        }
        match alone(settings, fetch) {
            Ok(jobs) => parts.push(Part::new(KEY, ask(jobs, fetch.clone()))),
            // What the checks of the settings have found already is not said again.
            Err(_) if is_known(settings, number) => {}
            Err(problem) => report.problem(KEY, problem.what, problem.advice),
        }
    }
    parts
}

/// Whether the checks of the settings find a problem with a job, counted from 0.
fn is_known(settings: &Settings, number: usize) -> bool {
    let of_it = |f: &check::Finding| f.is_problem() && f.key == KEY && f.item == Some(number);
    check::check(settings).iter().any(of_it)
}

/// A job without the others, one of which may be wrong.
pub(in crate::cli) fn alone(settings: &Settings, fetch: &Fetch) -> Result<Jobs, Problem> {
    let mut settings = settings.clone();
    settings.vista.fetch = vec![fetch.clone()];
    settings.vista.enabled = true;
    Jobs::new(&settings, &Clock::system())
}

async fn ask(jobs: Jobs, fetch: Fetch) -> Report {
    let mut report = Report::new(true);
    let Some(job) = jobs.get(&fetch.name) else { return report };
    let start = Instant::now();
    let answer = Box::pin(job.newest()).await.map(|(_, answer)| answer);
    let ms = start.elapsed().as_millis();
    // Points are taken and judged without it.
    match answer.and_then(|answer| job.names(&answer).map(|named| (answer.series.len(), named))) {
        Ok((0, _)) => report.warning(
            KEY,
            format!("{}: its server knows no such series now", fetch.name),
            "look at target, and at what the server has",
        ),
        Ok((series, named)) => match named.why {
            Some(why) => {
                report.warning(
                    KEY,
                    format!("{}: not every series gets a name: {why}", fetch.name),
                    "look at store_as",
                );
            }
            None => report.ok(KEY, format!("{} answers with {series} series, in {ms} ms", fetch.name)),
        },
        Err(error) => report.warning(KEY, error.to_string(), ""),
    }
    report
}
