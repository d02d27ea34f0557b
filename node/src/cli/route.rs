//! `skyline route`: where metrics go, and why.

use super::output::say;
use anyhow::Context as _;
use serde::Serialize;
use skyline_conf::relaying;
use skyline_conf::routing::walk::Act;
use skyline_conf::routing::{Routing, Target};
use skyline_relay::route::Choices;

/// What happens to a metric.
#[derive(Debug, Serialize)]
struct Told {
    metric: String,
    steps: Vec<Step>,
    /// Distinct destinations, as they are written.
    destinations: Vec<String>,
}

/// One statement that acts.
#[derive(Debug, Serialize)]
struct Step {
    /// Counted from 1.
    statement: usize,
    what: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    destinations: Vec<String>,
}

/// Prints where each metric goes.
pub(super) fn route(config: &super::Config, metrics: &[String], json: bool) -> anyhow::Result<()> {
    let settings = config.load()?.settings;
    let routing = relaying::read(&settings)?.routing;
    let choices = Choices::new(&routing);
    let told: Vec<Told> = metrics.iter().map(|metric| tell(&routing, &choices, metric)).collect();
    if json {
        return say!("{}", serde_json::to_string_pretty(&told).context("JSON")?);
    }
    for told in told {
        say!("{}", told.metric)?;
        for step in &told.steps {
            let to = if step.destinations.is_empty() {
                String::new()
            } else {
                format!(" -> {}", step.destinations.join(", "))
            };
            say!("  {:>3}  {}{to}", step.statement, step.what)?;
        }
        match told.destinations.as_slice() {
            [] => say!("  goes to no destination")?,
            [one] => say!("  goes to {one}")?,
            all => say!("  goes to {} destinations: {}", all.len(), all.join(", "))?,
        }
    }
    Ok(())
}

fn tell(routing: &Routing, choices: &Choices, metric: &str) -> Told {
    let label = |index: usize| routing.destinations.get(index).map_or_else(String::new, |d| d.label.clone());
    let mut destinations: Vec<String> = Vec::new();
    let mut steps = Vec::new();
    for act in routing.walk(0, &choices.on_entry(metric)) {
        let step = match act {
            Act::Renamed { statement, name } => {
                Step { statement, what: format!("is renamed to {name}"), destinations: Vec::new() }
            }
            Act::Input { statement, outputs, .. } => Step {
                statement,
                what: format!("is an input of {}", outputs.join(", ")),
                destinations: Vec::new(),
            },
            Act::Route { statement, route, name, key } => match &route.to {
                Target::Discard(why) => {
                    Step { statement, what: format!("is thrown away: {why:?}"), destinations: Vec::new() }
                }
                Target::Clusters(clusters) => {
                    let names: Vec<&str> = clusters
                        .iter()
                        .filter_map(|i| routing.clusters.get(*i))
                        .map(|c| c.name.as_str())
                        .collect();
                    let chosen: Vec<String> = clusters
                        .iter()
                        .flat_map(|cluster| choices.choose(*cluster, &name, key.as_deref()))
                        .map(label)
                        .collect();
                    let valid = route.validate.as_ref().map_or_else(String::new, |validate| {
                        format!(" if `value timestamp` matches {}", validate.pattern.as_str())
                    });
                    let what = if names.is_empty() {
                        format!("is checked{valid}")
                    } else {
                        format!("goes to {}{valid}", names.join(", "))
                    };
                    for one in &chosen {
                        if !destinations.contains(one) {
                            destinations.push(one.clone());
                        }
                    }
                    Step { statement, what, destinations: chosen }
                }
            },
        };
        steps.push(Step { statement: step.statement + 1, ..step });
    }
    Told { metric: metric.to_owned(), steps, destinations }
}
