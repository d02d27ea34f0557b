//! Every address that is listened on: bound, and let go again.

use crate::cli::http;
use crate::cli::report::Report;
use serde_json::Value;
use skyline_conf::model::Settings;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

/// For the answer of a node that runs already.
const ANSWER: Duration = Duration::from_secs(1);

/// Checks all listeners; whether a node answers that runs already.
pub(in crate::cli) async fn check(settings: &Settings, report: &mut Report) -> bool {
    let outcomes = outcomes(settings);
    let taken = outcomes.iter().any(|(_, _, outcome)| in_use(outcome));
    let running = if taken { running(settings).await } else { None };
    for (key, address, outcome) in &outcomes {
        line(key, address, outcome, running.as_ref(), report);
    }
    let listen = &settings.listen;
    if !listen.plaintext_udp.is_empty() || !listen.msgpack_udp.is_empty() {
        let most = std::fs::read_to_string("/proc/sys/net/core/rmem_max")
            .ok()
            .and_then(|text| text.trim().parse::<u32>().ok());
        if let Some(most) = most.filter(|most| *most < listen.udp_buffer_bytes) {
            let message = format!(
                "the system grants {most} bytes of the {} that are asked for",
                listen.udp_buffer_bytes
            );
            report.warning(
                "listen.udp_buffer_bytes",
                message,
                format!("type sysctl -w net.core.rmem_max={}", listen.udp_buffer_bytes),
            );
        }
    }
    running.is_some()
}

type Outcome = (&'static str, String, io::Result<()>);

fn outcomes(settings: &Settings) -> Vec<Outcome> {
    let (listen, http) = (&settings.listen, &settings.http);
    let nowhere = Vec::new();
    let flux = if settings.flux.is_on() { &settings.flux.listen } else { &nowhere };
    let mut all = Vec::new();
    for (key, addresses) in [
        ("listen.plaintext_tcp", &listen.plaintext_tcp),
        ("listen.pickle_tcp", &listen.pickle_tcp),
        ("listen.protobuf_tcp", &listen.protobuf_tcp),
        ("flux.listen", flux),
        ("http.api", &http.api),
        ("http.status", &http.status),
        ("render_proxy.addresses", &settings.render_proxy.addresses),
    ] {
        all.extend(addresses.iter().map(|a| (key, a.to_string(), TcpListener::bind(a).map(drop))));
    }
    for (key, addresses) in
        [("listen.plaintext_udp", &listen.plaintext_udp), ("listen.msgpack_udp", &listen.msgpack_udp)]
    {
        all.extend(addresses.iter().map(|a| (key, a.to_string(), UdpSocket::bind(a).map(drop))));
    }
    all.extend(
        listen
            .plaintext_unix
            .iter()
            .map(|path| ("listen.plaintext_unix", path.display().to_string(), unix(path))),
    );
    for stream in &listen.stream {
        let tcp = stream.address.map(|a| ("listen.stream", a.to_string(), TcpListener::bind(a).map(drop)));
        let path = stream.unix.iter().map(|path| ("listen.stream", path.display().to_string(), unix(path)));
        all.extend(tcp.into_iter().chain(path));
    }
    all
}

/// Binds a Unix socket and removes it. A socket on which nobody listens is left for the node to replace.
fn unix(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => match UnixStream::connect(path) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(ErrorKind::AddrInUse.into()),
        },
        Ok(_) => Err(io::Error::new(ErrorKind::AlreadyExists, "there is a file that is not a socket")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            drop(UnixListener::bind(path)?);
            std::fs::remove_file(path)
        }
        Err(error) => Err(error),
    }
}

fn in_use(outcome: &io::Result<()>) -> bool {
    outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
}

/// A node that runs already.
#[derive(Debug)]
struct Running {
    status: SocketAddr,
    /// What it takes points at.
    listens: Vec<String>,
}

impl Running {
    /// Whether a taken address is, as far as can be seen, taken by this node.
    fn has(&self, key: &str, address: &str) -> bool {
        let parsed = |text: &str| text.parse::<SocketAddr>().ok();
        // A node on all interfaces has the port on each, of IPv4 through IPv6 too.
        let covers = |its: &str| {
            parsed(its).zip(parsed(address)).is_some_and(|(its, wanted)| {
                its.port() == wanted.port() && (its.ip().is_unspecified() || wanted.ip().is_unspecified())
            })
        };
        !key.starts_with("listen.") || self.listens.iter().any(|its| its == address || covers(its))
    }
}

/// The node that answers at the status address of these settings.
async fn running(settings: &Settings) -> Option<Running> {
    for address in &settings.http.status {
        if let Ok(Ok(answer)) = tokio::time::timeout(ANSWER, http::get(*address, "/-/status")).await
            && let Ok(status) = answer.json()
            && status.get("ledger_balanced").is_some()
        {
            let listeners = status.get("listeners").and_then(Value::as_array);
            let addresses =
                listeners.into_iter().flatten().filter_map(|row| row.get("addresses")?.as_array());
            let listens = addresses.flatten().filter_map(|address| address.as_str().map(str::to_owned));
            return Some(Running { status: *address, listens: listens.collect() });
        }
    }
    None
}

fn line(key: &str, address: &str, outcome: &io::Result<()>, running: Option<&Running>, report: &mut Report) {
    let error = match outcome {
        Ok(()) => return report.ok(key, format!("{address} can be bound")),
        Err(error) => error,
    };
    let advice = match (error.kind(), running.filter(|running| running.has(key, address))) {
        (ErrorKind::AddrInUse, Some(Running { status, .. })) => {
            let message = format!("{address} is in use, and a node answers at {status}");
            return report.warning(
                key,
                message,
                "that is right while it runs; stop it before another one starts",
            );
        }
        (ErrorKind::AddrInUse, None) => {
            "another program has it: look with ss -ltnup, stop that program or change the address"
        }
        (ErrorKind::PermissionDenied, _) => {
            "ports below 1024 and foreign folders need rights; change the address"
        }
        (ErrorKind::AddrNotAvailable, _) => "no interface of this host has that address; change it",
        (ErrorKind::NotFound, _) => "make the folder or change the path",
        _ => "change the address",
    };
    report.problem(key, format!("{address} cannot be bound: {error}"), advice);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::report::Level;

    async fn report(settings: &Settings) -> Report {
        let mut report = Report::new(true);
        check(settings, &mut report).await;
        report
    }

    fn quiet() -> Settings {
        let mut settings = Settings::default();
        let any = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        settings.listen.plaintext_tcp = any.clone();
        settings.listen.pickle_tcp = any.clone();
        settings.http.api = any.clone();
        settings.http.status = any;
        settings
    }

    #[tokio::test]
    async fn free_addresses_are_fine() {
        let mut settings = quiet();
        settings.listen.plaintext_udp = settings.listen.plaintext_tcp.clone();
        settings.listen.udp_buffer_bytes = 4_096;
        let report = report(&settings).await;
        assert_eq!(report.count(Level::Ok), 5, "{:?}", report.lines);
        assert!(report.is_usable());
    }

    #[tokio::test]
    async fn taken_addresses_are_not() {
        let (tcp, udp) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let mut settings = quiet();
        settings.listen.pickle_tcp = vec![tcp.local_addr().unwrap()];
        settings.listen.msgpack_udp = vec![udp.local_addr().unwrap()];
        let report = report(&settings).await;
        let problems: Vec<_> = report.lines.iter().filter(|line| line.level == Level::Problem).collect();
        assert_eq!(problems.len(), 2, "{:?}", report.lines);
        assert!(problems.iter().all(|line| line.advice.contains("another program has it")), "{problems:?}");
    }

    #[test]
    fn a_node_has_what_it_says() {
        let status = SocketAddr::from(([127, 0, 0, 1], 1501));
        let running = Running { status, listens: vec!["0.0.0.0:2003".to_owned()] };
        assert!(
            running.has("listen.plaintext_tcp", "0.0.0.0:2003") && running.has("http.api", "127.0.0.1:1")
        );
        assert!(!running.has("listen.pickle_tcp", "0.0.0.0:2024"));
        let (mut report, taken) = (Report::new(true), || Err(ErrorKind::AddrInUse.into()));
        line("listen.plaintext_tcp", "0.0.0.0:2003", &taken(), Some(&running), &mut report);
        assert!(report.is_usable());
        line("listen.pickle_tcp", "0.0.0.0:2024", &taken(), Some(&running), &mut report);
        assert!(!report.is_usable(), "another program has it");
    }

    #[test]
    fn unix_sockets() {
        let folder = tempfile::tempdir().unwrap();
        let kind = |path: &Path| unix(path).map_err(|error| error.kind());
        let path = folder.path().join("socket");
        assert_eq!(kind(&path), Ok(()));
        assert!(!path.exists(), "nothing is left behind");
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(kind(&path), Err(ErrorKind::AddrInUse));
        drop(listener);
        assert_eq!(kind(&path), Ok(()), "nobody listens any more");
        assert_eq!(kind(&folder.path().join("none/socket")), Err(ErrorKind::NotFound));
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(kind(&file), Err(ErrorKind::AlreadyExists));
    }
}
