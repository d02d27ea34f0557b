//! Destinations: asked for a connection, all at once.

use crate::cli::report::{PATIENCE, Report};
use skyline_conf::check::own_listener;
use skyline_conf::model::Settings;
use skyline_conf::routing::{Endpoint, Routing, Server, Transport};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

const KEY: &str = "relay.destinations";

/// For a connection, the host's name included.
const CONNECT: Duration = Duration::from_secs(2);

/// What was found of one destination.
#[derive(Debug)]
struct Found {
    /// Its place among all.
    number: usize,
    address: Server,
    /// What its host's name stands for.
    resolved: Vec<SocketAddr>,
    /// How long the connection took, or why there is none.
    outcome: io::Result<Duration>,
}

pub(in crate::cli) async fn check(settings: &Settings, routing: &Routing, report: &mut Report) {
    let began = Instant::now();
    let mut asking: JoinSet<Found> = JoinSet::new();
    for (number, server) in streams(routing).into_iter().enumerate() {
        asking.spawn(ask(number, server.clone()));
    }
    let mut found = Vec::new();
    while !asking.is_empty() {
        tokio::select! {
            Some(one) = asking.join_next() => found.extend(one.ok()),
            () = tokio::time::sleep_until(began + PATIENCE.max(began.elapsed()) + Duration::from_millis(100)) => {
                report.waiting(format!("waiting for {} destinations", asking.len()));
            }
        }
    }
    report.waited();
    found.sort_by_key(|one| one.number);
    for one in &found {
        line(settings, one, report);
    }
}

/// Servers that take connections, each once.
pub(in crate::cli) fn streams(routing: &Routing) -> Vec<&Server> {
    let mut streams: Vec<&Server> = Vec::new();
    for endpoint in routing.destinations.iter().flat_map(|destination| &destination.endpoints) {
        match endpoint {
            Endpoint::Server(server) if server.transport == Transport::Tcp && !streams.contains(&server) => {
                streams.push(server);
            }
            Endpoint::Server(_) | Endpoint::File(_) => {}
        }
    }
    streams
}

async fn ask(number: usize, address: Server) -> Found {
    let mut resolved = Vec::new();
    let attempt = async {
        resolved.extend(tokio::net::lookup_host((address.host.as_str(), address.port)).await?);
        let began = Instant::now();
        let mut last = io::Error::new(ErrorKind::NotFound, "the host has no address");
        for at in &resolved {
            match TcpStream::connect(at).await {
                Ok(_) => return Ok(began.elapsed()),
                Err(error) => last = error,
            }
        }
        Err(last)
    };
    let outcome =
        tokio::time::timeout(CONNECT, attempt).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
    Found { number, address, resolved, outcome }
}

fn line(settings: &Settings, found: &Found, report: &mut Report) {
    let Found { address, resolved, outcome, .. } = found;
    // The checks of the settings see addresses; that a name stands for this host is seen here only.
    let named =
        address.host.parse::<std::net::IpAddr>().is_err() && !address.host.eq_ignore_ascii_case("localhost");
    let ours = resolved
        .iter()
        .filter(|at| named && is_ours(**at))
        .find_map(|at| Some((at, own_listener(settings, *at)?)));
    if let Some((at, key)) = ours {
        let message =
            format!("{address} is {at}, this node's own {key}: every point would come back for ever");
        return report.problem(KEY, message, "name the port of the carbon behind this node");
    }
    let error = match outcome {
        Ok(took) => {
            return report.ok(
                KEY,
                format!(
                    "{address} ({}) answers after {:.1} ms",
                    address.protocol.label(),
                    took.as_secs_f64() * 1e3
                ),
            );
        }
        Err(error) => error,
    };
    let (what, advice) = match error.kind() {
        ErrorKind::ConnectionRefused => ("nobody listens there".to_owned(), "start it"),
        ErrorKind::TimedOut => {
            (format!("no connection within {} s", CONNECT.as_secs()), "check the address and firewalls")
        }
        _ if resolved.is_empty() => (format!("its name cannot be resolved: {error}"), "check the name"),
        _ => (error.to_string(), "check the address"),
    };
    report.warning(
        KEY,
        format!("{address}: {what}"),
        format!("{advice}; until it answers its points wait in the journal"),
    );
}

/// Whether an address belongs to this host: only then can a socket be bound to it.
fn is_ours(address: SocketAddr) -> bool {
    std::net::UdpSocket::bind((address.ip(), 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::report::Level;
    use skyline_conf::model::relay::DestinationEntry;
    use skyline_conf::routing::native;
    use std::net::TcpListener;

    #[tokio::test]
    async fn destinations_are_asked() {
        let up = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = up.local_addr().unwrap().port();
        let down = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut settings = Settings::default();
        settings.relay.destinations = [format!("127.0.0.1:{down}"), format!("127.0.0.1:{port}:pickle")]
            .map(DestinationEntry::Address)
            .into();
        let mut report = Report::new(true);
        let routing = native::routing(&settings.relay).unwrap();
        check(&settings, &routing, &mut report).await;
        let said: Vec<String> = report.lines.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(
            said[0].starts_with("warning ") && said[0].contains("nobody listens there; start it"),
            "{said:?}"
        );
        assert!(said[1].starts_with("ok ") && said[1].contains("(pickle) answers after"), "{said:?}");
    }

    #[test]
    fn a_name_that_stands_for_this_host_is_a_loop() {
        let settings = Settings::default();
        let check = |host: &str, port: u16, level: Level| {
            let address = Server::plain(host, port, None);
            let resolved = vec![SocketAddr::from(([127, 0, 0, 1], port))];
            let mut report = Report::new(true);
            line(
                &settings,
                &Found { number: 0, address, resolved, outcome: Ok(Duration::ZERO) },
                &mut report,
            );
            assert_eq!(report.lines.first().map(|line| line.level), Some(level), "{host}:{port}");
        };
        check("this-host", 2003, Level::Problem);
        check("this-host", 2004, Level::Ok);
        check("127.0.0.1", 2003, Level::Ok);
    }
}
