//! `skyline route`: where metrics go, and why.

use super::output::say;
use crate::reload;
use serde::Serialize;
use skyline_conf::routing::walk::Act;
use skyline_conf::routing::{Discard, Route, Routing, Target};
use skyline_relay::route::Choices;
use std::io::{BufRead, IsTerminal as _};

/// What happens to a metric.
#[derive(Debug, Serialize)]
struct Told {
    metric: String,
    steps: Vec<Step>,
    /// Each once, as they are written.
    destinations: Vec<String>,
}

/// One statement that acts.
#[derive(Debug, Serialize)]
struct Step {
    /// Counted from 1.
    statement: usize,
    what: String,
    to: Vec<Share>,
}

/// What a cluster chooses.
#[derive(Debug, Serialize)]
struct Share {
    cluster: String,
    destinations: Vec<String>,
}

/// Prints where each metric goes; none: those on standard input, one a line.
#[expect(clippy::print_stderr, reason = "standard output is for the answers")]
pub(super) fn route(config: &super::Config, metrics: &[String], json: bool) -> anyhow::Result<()> {
    let settings = config.load()?.settings;
    let routing = reload::relaying(&settings)?.routing;
    let choices = Choices::new(&routing);
    let tell = |metric: &str| {
        let told = tell(&routing, &choices, metric);
        if json { say!("{}", serde_json::to_string(&told)?) } else { print(&told) }
    };
    if metrics.is_empty() {
        if std::io::stdin().is_terminal() {
            eprintln!("type names of metrics, one a line; Ctrl-D ends");
        }
        return std::io::stdin().lock().lines().try_for_each(|line| tell(line?.trim_end_matches('\r')));
    }
    metrics.iter().try_for_each(|metric| tell(metric))
}

fn print(told: &Told) -> anyhow::Result<()> {
    say!("{}", told.metric)?;
    for step in &told.steps {
        let to: Vec<String> = step
            .to
            .iter()
            .map(|share| format!("{} ({})", share.cluster, share.destinations.join(", ")))
            .collect();
        let blank = if to.is_empty() { "" } else { " " };
        say!("  {:>3}  {}{blank}{}", step.statement, step.what, to.join(", "))?;
    }
    match told.destinations.as_slice() {
        [] => say!("  goes to no destination"),
        [one] => say!("  goes to {one}"),
        all => say!("  goes to {} destinations: {}", all.len(), all.join(", ")),
    }
}

fn tell(routing: &Routing, choices: &Choices, metric: &str) -> Told {
    let mut destinations: Vec<String> = Vec::new();
    let mut steps = Vec::new();
    for act in routing.walk(0, &choices.on_entry(metric)) {
        let (statement, what, to) = match act {
            Act::Renamed { statement, name } => (statement, format!("is renamed to {name}"), Vec::new()),
            Act::Input { statement, outputs, .. } => {
                (statement, format!("is an input of {}", outputs.join(", ")), Vec::new())
            }
            Act::Route { statement, route, name, key } => {
                let to = shares(routing, choices, route, &name, key.as_deref());
                (statement, said(route), to)
            }
        };
        for one in to.iter().flat_map(|share| &share.destinations) {
            if !destinations.contains(one) {
                destinations.push(one.clone());
            }
        }
        steps.push(Step { statement: statement + 1, what, to });
    }
    Told { metric: metric.to_owned(), steps, destinations }
}

/// What a statement does, to be followed by its clusters.
fn said(route: &Route) -> String {
    let valid = route
        .validate
        .as_ref()
        .map(|validate| format!("if its value and time match {}, ", validate.pattern.as_str()))
        .unwrap_or_default();
    match &route.to {
        Target::Clusters(clusters) if clusters.is_empty() => format!("{valid}goes on"),
        Target::Clusters(_) => format!("{valid}goes to"),
        Target::Discard(Discard::Blacklisted) => format!("{valid}is refused: it is on the black list"),
        Target::Discard(Discard::NotWhitelisted) => format!("{valid}is refused: it is not on the white list"),
        Target::Discard(Discard::Blackhole) => format!("{valid}is thrown away"),
    }
}

fn shares(routing: &Routing, choices: &Choices, route: &Route, name: &str, key: Option<&str>) -> Vec<Share> {
    let Target::Clusters(clusters) = &route.to else { return Vec::new() };
    let label = |index: usize| routing.destinations.get(index).map_or_else(String::new, |d| d.label.clone());
    clusters
        .iter()
        .filter_map(|index| {
            let cluster = routing.clusters.get(*index)?;
            let destinations = choices.choose(*index, name, key).into_iter().map(label).collect();
            Some(Share { cluster: cluster.name.clone(), destinations })
        })
        .collect()
}
