//! Each Graphite server, as it is found from here.

use crate::cli::report::{Part, Report};
use skyline_conf::model::Settings;
use skyline_conf::model::graphite::Server;
use skyline_render_proxy::proxy::probe;

/// What is asked beside everything else.
pub(in crate::cli) fn probes(settings: &Settings) -> impl Iterator<Item = Part> + use<> {
    // Of an address that holds a password nobody is asked: part of it would be taken for a host.
    let servers = settings.graphite.server.clone().into_iter();
    servers
        .filter(|server| server.remote().wrong().is_none())
        .map(|server| Part::new("graphite.server", of_server(server)))
}

async fn of_server(server: Server) -> Report {
    let mut report = Report::new(true);
    match Box::pin(probe(&server)).await {
        Ok(seen) => {
            let (ms, names) = (seen.took.as_millis(), seen.top_names);
            let label = server.label();
            report.ok(
                "graphite.server",
                format!("{label} renders, in {ms} ms; {names} names at the top of its tree"),
            );
        }
        // Points are taken and judged without it.
        Err(problem) => report.warning("graphite.server", problem.what, problem.advice),
    }
    report
}
