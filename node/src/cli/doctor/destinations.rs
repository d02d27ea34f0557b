//! Destinations as the node sees them, and those of them that seem to be something else.

use super::peer;
use super::points::since;
use super::running::{Look, is, of, whole};
use crate::cli::report::Report;
use crate::cli::status::text;
use serde_json::Value;
use skyline_conf::routing::{Protocol, Server};

/// Further behind than this is too far, seconds.
const BEHIND: f64 = 30.0;
/// Connections that ended so often make one look at what is there.
const RECONNECTS: f64 = 3.0;

const KEY: &str = "relay.destinations";

pub(super) async fn lines(look: &Look, servers: &[Server], report: &mut Report) {
    let rows = look.rows("/destinations");
    if rows.is_empty() {
        return report.warning(
            KEY,
            "points are forwarded to nobody",
            "name the carbon behind this node, if there is one",
        );
    }
    for row in rows {
        line(row, report);
    }
    // A port for pickles does not mind being tried. One for lines writes what it is sent into its log, so
    // it is tried only if something is odd about it.
    let is_odd = |server: &Server| {
        let place = server.place();
        let mut its = rows.iter().filter(|row| text(row, "destination").starts_with(&place));
        its.any(|row| {
            of(row, "reconnects") >= RECONNECTS || of(row, "errors") >= RECONNECTS || of(row, "repeats") > 0.0
        })
    };
    let tried: Vec<_> = servers
        .iter()
        .filter(|server| server.protocol != Protocol::Plaintext || is_odd(server))
        .cloned()
        .collect();
    peer::mistaken(&tried, report).await;
}

fn line(row: &Value, report: &mut Report) {
    let name = text(row, "destination");
    let waiting = format!("{} points wait", whole(of(row, "waiting")));
    if is(row, "held") {
        let advice = "its points are kept and not sent: name it again as it was, or remove its state, see docs/settings.md";
        return report.problem(
            KEY,
            format!("{name} is held: {}; {waiting}", text(row, "last_error")),
            advice,
        );
    }
    if is(row, "leaving") {
        let message = format!("{name} is not in the settings any more; {waiting}");
        return report.ok(KEY, message);
    }
    if !is(row, "connected") {
        let message = format!("{name} is down{}: {}; {waiting}", since(row), text(row, "last_error"));
        return report.problem(
            KEY,
            message,
            "start it, or check the address and firewalls; its points wait in the journal",
        );
    }
    let rate = whole(of(row, "points_per_second"));
    let lag = of(row, "lag_seconds");
    let message = format!("{name} takes {rate} points a second, {waiting}, {} s behind", whole(lag));
    if lag > BEHIND {
        let advice = if is(row, "pausing") {
            "listeners pause for it: look why it is slow, or set relay.sending.when_behind to spool"
        } else {
            "it is slower than points come, or catches up after an outage: look again in a minute"
        };
        return report.warning(KEY, message, advice);
    }
    if of(row, "reconnects") >= RECONNECTS {
        let message =
            format!("{message}; {} connections ended since the start", whole(of(row, "reconnects")));
        return report.warning(KEY, message, "look into its log why it ends them");
    }
    report.ok(KEY, message);
}
