//! Who would be told of a metric, and why: `explain`.

use super::Where;
use crate::cli::http;
use crate::cli::output::{program, say};
use anyhow::Context as _;
use skyline_alerting::explain::Explanation;
use skyline_alerting::rule::Rules;
use skyline_core::clock::Clock;
use skyline_render_proxy::link::encoded;

pub(super) async fn explain(node: &Where, metric: &str) -> anyhow::Result<()> {
    anyhow::ensure!(!metric.is_empty(), "the name of a metric is needed");
    let api = node.api()?;
    let path = format!("/api/v1/alerts/explain?metric={}", encoded(metric));
    let (said, runs) = match http::get(api, &path).await {
        // Without a node there are the settings.
        Err(error) if http::is_refused(&error) && node.address.is_none() => {
            (of_settings(node, metric)?, false)
        }
        answer => {
            let answer = node.understood(api, answer).await?;
            let said = serde_json::from_value(answer)
                .context("the node is of another version: its answer is not understood")?;
            (said, true)
        }
    };
    if node.json {
        return say!("{}", serde_json::to_string_pretty(&said)?);
    }
    say!("{said}")?;
    let muted = said.rules.iter().find_map(|rule| rule.mute.as_ref());
    if !runs {
        return say!("next: {} run{}", program(), node.config.argument());
    }
    match muted {
        Some(mute) => say!("next: {}", node.next(&format!("unmute {}", mute.id))),
        None => say!("next: {}", node.next("mutes")),
    }
}

fn of_settings(node: &Where, metric: &str) -> anyhow::Result<Explanation> {
    let settings = node.config.load()?.settings.alerting;
    let rules = Rules::compile(&settings)?;
    Ok(skyline_alerting::explain::explain(&settings, &rules, None, metric, Clock::system().now()))
}
