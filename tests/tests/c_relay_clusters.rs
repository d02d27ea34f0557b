//! Clusters and listeners of carbon-c-relay's files: who gets what, and what comes in where.

use anyhow::ensure;
use skyline_tests::peer::relay_file::Program::Node;
use skyline_tests::peer::relay_file::Relays;
use skyline_tests::peer::sink::{Protocol, Sink};
use skyline_tests::{eventually_true, load, port};
use std::net::UdpSocket;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);
const NAMES: u64 = 300;

fn payload() -> String {
    (0..NAMES).map(|i| format!("apps.a{i}.requests 1 349830000\n")).collect()
}

/// Sends 300 metrics through a node with the cluster `c`, whose servers are called `{0}` and so on in `cluster`; of
/// these servers those with a number in `down` do not listen. What each got once `all` points have come.
fn shared(cluster: &str, servers: usize, down: &[usize], all: u64) -> anyhow::Result<Vec<Vec<String>>> {
    shared_by(cluster, "match * send to c;\n", servers, down, all)
}

fn shared_by(
    cluster: &str,
    rules: &str,
    servers: usize,
    down: &[usize],
    all: u64,
) -> anyhow::Result<Vec<Vec<String>>> {
    let mut sinks = Vec::new();
    let mut text = cluster.to_owned();
    for i in 0..servers {
        let address = port::free();
        text = text.replace(&format!("{{{i}}}"), &address.to_string());
        let sink = if down.contains(&i) { None } else { Some(Sink::start_at(address, Protocol::Lines)?) };
        sinks.push(sink);
    }
    let mut relays = Relays::new()?;
    relays.start(Node, &format!("cluster c {text};\n{rules}"), None)?;
    relays.send(payload())?;
    let received = || sinks.iter().flatten().map(Sink::received).sum::<u64>();
    eventually_true(PATIENCE, &format!("{all} points of {cluster}"), || received() >= all)?;
    relays.stop()?;
    ensure!(received() == all, "{cluster}: {} points, not {all}", received());
    Ok(sinks.iter().map(|sink| sink.as_ref().map(Sink::names).unwrap_or_default()).collect())
}

fn counts(names: &[Vec<String>]) -> Vec<usize> {
    names.iter().map(Vec::len).collect()
}

#[test]
fn all_get_all() -> anyhow::Result<()> {
    assert_eq!(counts(&shared("forward {0} {1} proto tcp", 2, &[], 2 * NAMES)?), [300, 300]);
    Ok(())
}

#[test]
fn the_first_that_is_up() -> anyhow::Result<()> {
    assert_eq!(counts(&shared("failover {0} {1} {2}", 3, &[], NAMES)?), [300, 0, 0]);
    assert_eq!(counts(&shared("failover {0} {1} {2}", 3, &[0], NAMES)?), [0, 300, 0]);
    Ok(())
}

#[test]
fn one_each() -> anyhow::Result<()> {
    let whole = shared("any_of {0} {1} {2}", 3, &[], NAMES)?;
    ensure!(whole.iter().all(|names| names.len() > 50), "{:?}", counts(&whole));
    let without = shared("any_of {0} {1} {2}", 3, &[1], NAMES)?;
    ensure!(without[0].len() >= whole[0].len() && without[0].len() + without[2].len() == 300);
    ensure!(whole[0].iter().all(|name| without[0].contains(name)), "who is up keeps what it had");
    assert_eq!(counts(&shared("lb {0} {1} {2}", 3, &[], NAMES)?), [100, 100, 100]);
    Ok(())
}

#[test]
fn rings() -> anyhow::Result<()> {
    for ring in ["carbon_ch", "fnv1a_ch", "jump_fnv1a_ch"] {
        let shared = shared(&format!("{ring} replication 2 {{0}}=a {{1}}=b {{2}}=c"), 3, &[], 2 * NAMES)?;
        ensure!(shared.iter().all(|names| names.len() > 100), "{ring}: {:?}", counts(&shared));
        // Nobody got a name twice, so each is at two of three.
        assert_eq!(counts(&shared).iter().sum::<usize>(), 600, "{ring}");
    }
    Ok(())
}

#[test]
fn a_key_of_its_own() -> anyhow::Result<()> {
    let rules = "match ^apps\\.(.).* route using \\1 send to c;\n";
    let all = shared_by("fnv1a_ch {0}=a {1}=b {2}=c", rules, 3, &[], NAMES)?;
    let mut sorted = counts(&all);
    sorted.sort_unstable();
    assert_eq!(sorted, [0, 0, 300], "all names have one key");
    Ok(())
}

#[test]
fn a_packed_unix_socket() -> anyhow::Result<()> {
    let mut relays = Relays::new()?;
    let socket = relays.folder().join("packed.sock");
    let statements = format!(
        "listen type linemode transport gzip {} proto unix;\nmatch * send to default;\n",
        socket.display()
    );
    relays.start(Node, &statements, None)?;
    let plain: String = (1..=1_500).map(|i| format!("foo.bar.{i} 1 349830001\n")).collect();
    let file = relays.folder().join("payload");
    std::fs::write(&file, &plain)?;
    ensure!(std::process::Command::new("gzip").arg(&file).status()?.success());
    let packed = std::fs::read(relays.folder().join("payload.gz"))?;
    std::io::Write::write_all(&mut std::os::unix::net::UnixStream::connect(&socket)?, &packed)?;
    relays.have_written(1_500)?;
    assert_eq!(relays.stop()?.1, plain);
    Ok(())
}

#[test]
fn several_files_and_several_receptors() -> anyhow::Result<()> {
    let mut relays = Relays::new()?;
    let (tcp, udp) = (port::free(), port::free());
    let other = relays.folder().join("other.out");
    let more = relays.folder().join("more.sock");
    relays.start(
        Node,
        &format!(
            "listen type linemode {tcp} proto tcp {udp} proto udp {} proto unix;\n\
             cluster both file {} {};\nmatch * send to both;\n",
            more.display(),
            relays.folder().join("data.out").display(),
            other.display()
        ),
        None,
    )?;
    load::bytes(tcp, "tcp 1 2\n")?;
    relays.have_written(1)?;
    UdpSocket::bind("127.0.0.1:0")?.send_to(b"udp 1 2", udp)?;
    relays.have_written(2)?;
    std::io::Write::write_all(&mut std::os::unix::net::UnixStream::connect(&more)?, b"unix 1 2\n")?;
    relays.have_written(3)?;
    relays.send("unix.too 1 2\n")?;
    relays.have_written(4)?;
    let expected = "tcp 1 2\nudp 1 2\nunix 1 2\nunix.too 1 2\n";
    eventually_true(PATIENCE, "the other file has them too", || {
        std::fs::read_to_string(&other).is_ok_and(|text| text == expected)
    })?;
    let (_, written) = relays.stop()?;
    assert_eq!(written, expected);
    Ok(())
}
