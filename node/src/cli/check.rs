//! `skyline check`: settings, ports, destinations, disk; each finding on a line.

use serde::Serialize;
use skyline_conf::model::Settings;
use skyline_relay::dest;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs, UdpSocket};
use std::path::Path;
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(2);

/// One line of the report.
#[derive(Debug, Serialize)]
struct Line {
    level: Level,
    what: String,
    message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warning,
    Problem,
}

#[derive(Debug, Default)]
struct Report(Vec<Line>);

impl Report {
    fn add(&mut self, level: Level, what: impl Into<String>, message: impl Into<String>) {
        self.0.push(Line { level, what: what.into(), message: message.into() });
    }
}

/// Checks and prints; `true` if the node would start.
pub(super) fn check(config: Option<&Path>, json: bool) -> anyhow::Result<bool> {
    let mut report = Report::default();
    let environment: Vec<(String, String)> = std::env::vars().collect();
    match skyline_conf::load::load(config, &environment) {
        Ok(loaded) => {
            let source = config.map_or_else(|| "defaults".to_owned(), |p| p.display().to_string());
            report.add(Level::Ok, "settings", format!("{source} read"));
            probe(&loaded.settings, &mut report);
        }
        Err(skyline_conf::load::Error::Keys(problems)) => {
            for problem in problems {
                report.add(Level::Problem, problem.place.clone(), format!("`{}`: {}", problem.key, problem.what));
            }
        }
        Err(error) => report.add(Level::Problem, "settings", error.to_string()),
    }
    let good = report.0.iter().all(|l| l.level != Level::Problem);
    if json {
        println!("{}", serde_json::to_string_pretty(&report.0)?);
    } else {
        print(&report, good, config);
    }
    Ok(good)
}

fn print(report: &Report, good: bool, config: Option<&Path>) {
    for line in &report.0 {
        let word = match line.level {
            Level::Ok => "ok     ",
            Level::Warning => "warning",
            Level::Problem => "PROBLEM",
        };
        println!("{word}  {}: {}", line.what, line.message);
    }
    let count = |level| report.0.iter().filter(|l| l.level == level).count();
    println!("{} problems, {} warnings", count(Level::Problem), count(Level::Warning));
    let file = config.map_or_else(String::new, |p| format!(" --config {}", p.display()));
    if good {
        println!("next: skyline run{file}");
    } else {
        println!("next: mend the problems, then skyline check{file}");
    }
}

fn probe(settings: &Settings, report: &mut Report) {
    for finding in skyline_conf::check::check(settings) {
        let level = if finding.is_problem() { Level::Problem } else { Level::Warning };
        report.add(level, finding.key, finding.message);
    }
    ports(settings, report);
    disk(settings, report);
    destinations(settings, report);
}

fn ports(settings: &Settings, report: &mut Report) {
    let (listen, http) = (&settings.listen, &settings.http);
    let streams = [
        ("listen.plaintext_tcp", &listen.plaintext_tcp),
        ("listen.pickle_tcp", &listen.pickle_tcp),
        ("http.api", &http.api),
        ("http.status", &http.status),
    ];
    for (key, addresses) in streams {
        for address in addresses {
            bound(key, address, TcpListener::bind(address).map(drop), report);
        }
    }
    for (key, addresses) in [("listen.plaintext_udp", &listen.plaintext_udp), ("listen.msgpack_udp", &listen.msgpack_udp)] {
        for address in addresses {
            bound(key, address, UdpSocket::bind(address).map(drop), report);
        }
    }
}

fn bound(key: &str, address: &SocketAddr, outcome: std::io::Result<()>, report: &mut Report) {
    match outcome {
        Ok(()) => report.add(Level::Ok, key, format!("{address} is free")),
        Err(error) => report.add(
            Level::Problem,
            key,
            format!("{address} cannot be bound: {error}; is the node running already, or another program on this port?"),
        ),
    }
}

fn disk(settings: &Settings, report: &mut Report) {
    let dir = &settings.node.state_dir;
    let probe = dir.join(".check");
    let written = std::fs::create_dir_all(dir).and_then(|()| std::fs::write(&probe, b"x")).and_then(|()| std::fs::remove_file(&probe));
    match written {
        Ok(()) => report.add(Level::Ok, "node.state_dir", format!("{} can be written", dir.display())),
        Err(error) => {
            let advice = "create it and give it to the user that runs the node";
            return report.add(Level::Problem, "node.state_dir", format!("{}: {error}; {advice}", dir.display()));
        }
    }
    match skyline_journal::free_bytes(dir) {
        Ok(free) if free < settings.journal.max_bytes => report.add(
            Level::Warning,
            "journal.max_bytes",
            format!("{} bytes are allowed and {free} are free; the journal shrinks its budget when the disk fills", settings.journal.max_bytes),
        ),
        Ok(free) => report.add(Level::Ok, "journal.max_bytes", format!("{free} bytes are free")),
        Err(error) => report.add(Level::Warning, "journal.max_bytes", format!("free space is unknown: {error}")),
    }
}

fn destinations(settings: &Settings, report: &mut Report) {
    let Ok(all) = dest::parse(&settings.relay) else {
        return;
    };
    let probes: Vec<_> = all
        .into_iter()
        .map(|(address, _)| {
            std::thread::spawn(move || {
                let outcome = connect(&address.host, address.port);
                (address, outcome)
            })
        })
        .collect();
    for probe in probes {
        let Ok((address, outcome)) = probe.join() else { continue };
        match outcome {
            Ok(()) => report.add(Level::Ok, "relay.destinations", format!("{address} answers")),
            Err(error) => report.add(
                Level::Warning,
                "relay.destinations",
                format!("{address} does not answer: {error}; its points would wait in the journal"),
            ),
        }
    }
}

fn connect(host: &str, port: u16) -> std::io::Result<()> {
    let mut last = std::io::Error::other("the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match std::net::TcpStream::connect_timeout(&address, CONNECT) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}
