//! Flux as its OpenAPI description says: schemathesis reads it from a running node, makes requests that are to be taken
//! and such that are not, and checks status, headers and body of every answer.

use anyhow::ensure;
use skyline_peers::schemathesis::{self, Run};
use skyline_tests::flux::{KEY, flux};
use skyline_tests::metrics::Metrics;
use skyline_tests::node::Setup;
use std::net::SocketAddr;
use std::path::Path;

/// The same requests every time.
const SEED: u32 = 1;

fn check(to: SocketAddr, auth: &str, examples: u32) -> anyhow::Result<String> {
    let hooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("flux/hooks.py");
    let url = format!("http://{to}/flux/openapi.json");
    schemathesis::check(&Run { url: &url, auth, hooks: &hooks, examples, seed: SEED })
}

fn answered(metrics: &Metrics, endpoint: &str, status: &str) -> f64 {
    metrics.sum("skyline_flux_requests_total", &[("endpoint", endpoint), ("status", status)])
}

const POINTS: [&str; 4] = ["metric_data", "metric_data_post", "remote_write", "influx"];

#[test]
fn with_a_key() -> anyhow::Result<()> {
    let (node, to) = flux(Setup::window(), "")?;
    let auth = format!("bearer = {{ bearer = \"{KEY}\" }}\nheader = {{ api_key = \"{KEY}\" }}");
    let said = check(to, &auth, 20)?;
    let metrics = node.balanced()?;
    for endpoint in POINTS {
        for status in ["204", "400", "401", "405"] {
            ensure!(answered(&metrics, endpoint, status) > 0.0, "{endpoint} {status}: none\n{said}");
        }
    }
    ensure!(metrics.sum("skyline_flux_key_points_total", &[]) > 20.0, "{said}");
    ensure!(!node.process.log().contains(KEY), "the key is in the log");
    Ok(())
}

#[test]
fn without_a_key() -> anyhow::Result<()> {
    let (node, to) = flux(Setup::window(), "")?;
    let said = check(to, "", 10)?;
    let metrics = node.balanced()?;
    for endpoint in POINTS {
        // A body of JSON that cannot be read may have had a key in it: that it cannot be read is said.
        let statuses: &[_] =
            if endpoint == "metric_data_post" { &["200", "204"] } else { &["200", "204", "400"] };
        for status in statuses {
            ensure!(answered(&metrics, endpoint, status) == 0.0, "{endpoint} {status}\n{said}");
        }
        ensure!(answered(&metrics, endpoint, "401") > 0.0, "{endpoint}: none\n{said}");
    }
    ensure!(metrics.sum("skyline_flux_key_points_total", &[]) == 0.0, "{said}");
    Ok(())
}
