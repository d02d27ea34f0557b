//! In the place of other relays: the files of their Debian packages, the same points, the same arrivals.
//!
//! Of the files only ports and addresses are changed. The commands are those of `docs/drop-in.md`.

use anyhow::{Context as _, ensure};
use skyline_tests::node::{self, Node, Setup};
use skyline_tests::peer::as_packaged;
use skyline_tests::peer::sink::{Protocol, Series, Sink};
use skyline_tests::{eventually_true, load, now, pickle, port};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(30);

/// What came to a destination: its metrics with values by time, the relays' own metrics left out.
type Arrived = BTreeMap<String, Vec<(i64, f64)>>;

fn arrived(sink: &Sink) -> Arrived {
    let points = |series: Series| series.into_iter().map(|(time, (value, _))| (time, value)).collect();
    let names = sink.names().into_iter().filter(|name| !name.starts_with("carbon."));
    names.map(|name| (name.clone(), points(sink.series(&name)))).collect()
}

/// What both have sent to their destinations; `count`: different points that must come in all.
fn settled(sinks: &[Sink], count: u64) -> anyhow::Result<Vec<Arrived>> {
    let points = || -> u64 { sinks.iter().flat_map(arrived).map(|(_, points)| points.len() as u64).sum() };
    eventually_true(LIMIT, &format!("{count} points at the destinations"), || points() >= count)
        .with_context(|| format!("{} came", points()))?;
    for sink in sinks {
        ensure!(sink.malformed() == 0, "something unreadable came");
    }
    Ok(sinks.iter().map(arrived).collect())
}

fn sinks(count: usize, protocol: Protocol) -> anyhow::Result<Vec<Sink>> {
    (0..count).map(|_| Sink::start(protocol)).collect()
}

/// A file of a package, which `cargo xtask test` installs.
fn packaged(path: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{path}: is the package installed?"))
}

/// `text` with every one of `changes` made; each must be there.
fn changed(mut text: String, changes: &[(&str, String)]) -> anyhow::Result<String> {
    for (old, new) in changes {
        ensure!(text.contains(old), "the file of the package has no `{old}` any more");
        text = text.replace(old, new);
    }
    Ok(text)
}

/// The packaged carbon.conf with ports of its own for one program, and the schemas beside it.
fn carbon_conf(
    folder: &TempDir,
    ports: [(u16, SocketAddr); 2],
    destinations: &str,
) -> anyhow::Result<PathBuf> {
    let [(line_port, line), (pickle_port, pickle)] = ports;
    let number = |key: &str, port: u16| format!("{key}_RECEIVER_PORT = {port}\n");
    let text = changed(
        packaged("/etc/carbon/carbon.conf")?,
        &[
            ("_INTERFACE = 0.0.0.0", "_INTERFACE = 127.0.0.1".to_owned()),
            (&number("LINE", line_port), number("LINE", line.port())),
            (&number("PICKLE", pickle_port), number("PICKLE", pickle.port())),
            ("\nDESTINATIONS = 127.0.0.1:2004\n", format!("\nDESTINATIONS = {destinations}\n")),
        ],
    )?;
    let file = folder.path().join("carbon.conf");
    std::fs::write(&file, text)?;
    let schemas = packaged("/etc/carbon/storage-schemas.conf")?;
    std::fs::write(folder.path().join("storage-schemas.conf"), schemas)?;
    Ok(file)
}

/// Runs a command of `docs/drop-in.md`: what it prints, whatever its exit code.
fn skyline(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(node::binary()?).args(arguments).output()?;
    ensure!(output.stderr.is_empty(), "skyline {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn stop(mut node: Node) -> anyhow::Result<()> {
    node.balanced()?;
    ensure!(node.stop(LIMIT)?.success(), "the node ended badly: {}", node.process.last_words());
    Ok(())
}

/// Lines of all kinds and a pickle, at whole seconds from `start` on.
fn feed(line: SocketAddr, pickled: SocketAddr, start: i64) -> anyhow::Result<u64> {
    let mut lines = String::new();
    for i in 0..200 {
        lines += &format!("servers.web{}.cpu.user {}.5 {}\n", i % 40, i, start + i / 40);
        lines += &format!("apps.shop.requests;host=web{} {i} {}\n", i % 20, start + i / 20);
    }
    load::bytes(line, lines)?;
    let names: Vec<String> = (0..50).map(|i| format!("pickled.m{i}")).collect();
    let points: Vec<_> = names.iter().map(|name| (name.as_str(), start as f64, 0.25)).collect();
    load::bytes(pickled, pickle::frame(&points))?;
    Ok(450)
}

/// Whether both are the same points. Sums are exact in the node; Python's may be off in the last digit.
fn equal(a: &[(i64, f64)], b: &[(i64, f64)]) -> bool {
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-14 * a.abs();
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && close(a.1, b.1))
}

fn same(real: &[Arrived], ours: &[Arrived]) -> anyhow::Result<()> {
    for (i, (real, ours)) in real.iter().zip(ours).enumerate() {
        let differs =
            real.iter().find(|(name, points)| !ours.get(*name).is_some_and(|ours| equal(points, ours)));
        if let Some((name, points)) = differs {
            anyhow::bail!("destination {i}, {name}: {points:?} before, {:?} now", ours.get(name));
        }
        if let Some((name, points)) = ours.iter().find(|(name, _)| !real.contains_key(*name)) {
            anyhow::bail!("destination {i}, {name}: nothing before, {points:?} now");
        }
    }
    Ok(())
}

#[test]
fn carbon_relay() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (line, pickled) = (port::free(), port::free());
    let before = sinks(2, Protocol::Pickle)?;
    let [first, second] = [0, 1].map(|i| before[i].address());
    let destinations = format!("{first}:a, {second}:b");
    let conf = carbon_conf(&folder, [(2013, line), (2014, pickled)], &destinations)?;
    let rules = changed(
        packaged("/usr/share/doc/graphite-carbon/examples/relay-rules.conf.example")?,
        &[(
            "\ndestinations = 127.0.0.1:2004:a, 127.0.0.1:2104:b",
            format!("\ndestinations = {destinations}"),
        )],
    )?;
    std::fs::write(folder.path().join("relay-rules.conf"), rules)?;

    let start = now() - 100;
    let mut relay = as_packaged::carbon("carbon-relay", &conf, &[line, pickled])?;
    let count = 2 * feed(line, pickled, start)?;
    let real = settled(&before, count)?;
    beside(&conf, &before, start + 1_000)?;
    relay.must_run()?;
    relay.signal(libc::SIGTERM);
    relay.wait(LIMIT)?;
    drop(before);

    let file = conf.to_string_lossy();
    let flags = ["--carbon-conf", &*file, "--instance", "a"];
    let told = skyline(&[&["check"], &flags[..]].concat())?;
    ensure!(told.contains("2 destinations, 1 statement\n"), "{told}");
    let moves = folder.path().join("moves.tsv");
    let names = folder.path().join("names");
    std::fs::write(&names, "servers.web1.cpu.user\n")?;
    let [list, names] = [&moves, &names].map(|path| path.to_string_lossy());
    let told = skyline(&["ring", "diff", &file, &file, "--names", &names, "--list", &list])?;
    ensure!(told.contains("0 of 1 metrics move"), "{told}");
    let told = skyline(&[&["route"], &flags[..], &["servers.web1.cpu.user"]].concat())?;
    ensure!(told.contains(&format!("goes to 2 destinations: {first}:a, {second}:b")), "{told}");
    let after = [first, second].map(|at| Sink::start_at(at, Protocol::Pickle));
    let after = after.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let node = Setup::in_place(&flags, line).start()?;
    feed(line, pickled, start)?;
    let ours = settled(&after, count)?;
    stop(node)?;
    same(&real, &ours)?;

    // And back.
    let mut relay = as_packaged::carbon("carbon-relay", &conf, &[line, pickled])?;
    feed(line, pickled, start + 2_000)?;
    settled(&after, 2 * count)?;
    relay.must_run()
}

/// A node with an instance of its own beside the relay that runs: what goes through it comes to the same places.
fn beside(conf: &Path, destinations: &[Sink], start: i64) -> anyhow::Result<()> {
    let (line, pickled) = (port::free(), port::free());
    let ports = [("LINE", line), ("PICKLE", pickled)];
    let keys: String =
        ports.iter().map(|(what, at)| format!("{what}_RECEIVER_PORT = {}\n", at.port())).collect();
    let text = std::fs::read_to_string(conf)?;
    std::fs::write(conf, format!("{text}\n[relay:try]\n{keys}"))?;
    let node =
        Setup::in_place(&["--carbon-conf", &conf.to_string_lossy(), "--instance", "try"], line).start()?;
    let there: u64 = destinations.iter().map(Sink::distinct).sum();
    let count = 2 * feed(line, pickled, start)?;
    eventually_true(LIMIT, "points of both", || {
        destinations.iter().map(Sink::distinct).sum::<u64>() >= there + count
    })?;
    stop(node)
}

/// The aggregator's rules need some seconds to give something: what the packaged example describes, a bucket every
/// two seconds.
const AGGREGATES: &str = "<env>.applications.<app>.all.requests (2) = sum <env>.applications.<app>.*.requests\n\
                          <env>.applications.<app>.all.latency (2) = avg <env>.applications.<app>.*.latency\n\
                          <env>.applications.<app>.slowest (2) = max <env>.applications.<app>.*.latency\n";

/// Inputs of `AGGREGATES` in two buckets, and a metric that is none.
fn inputs(start: i64) -> String {
    let mut lines = String::new();
    for i in 0..40 {
        let time = start + i / 10;
        lines += &format!("prod.applications.apache.www{}.requests {i} {time}\n", i % 10);
        lines += &format!("prod.applications.apache.www{}.latency 0.{i} {time}\n", i % 10);
    }
    lines + &format!("prod.other.x 1 {start}\n")
}

/// Waits for the sums of both buckets over all of their inputs: one over some of them may come before.
fn summed(sink: &Sink) -> anyhow::Result<()> {
    let sums = || {
        let series = sink.series("prod.applications.apache.all.requests");
        series.into_values().map(|(value, _)| value).collect::<Vec<_>>()
    };
    eventually_true(LIMIT, "sums of both buckets", || sums() == [190.0, 590.0])
        .with_context(|| format!("there were {:?}", sums()))
}

#[test]
fn carbon_aggregator() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (line, pickled) = (port::free(), port::free());
    let before = sinks(1, Protocol::Pickle)?;
    let at = before[0].address();
    let conf = carbon_conf(&folder, [(2023, line), (2024, pickled)], &at.to_string())?;
    std::fs::write(folder.path().join("aggregation-rules.conf"), AGGREGATES)?;
    // 81 inputs that are passed on, and three aggregates in each of two buckets.
    let count = 81 + 6;

    let mut aggregator = as_packaged::carbon("carbon-aggregator", &conf, &[line, pickled])?;
    // Buckets begin at even seconds.
    let start = (now() - 4) / 2 * 2;
    load::bytes(line, inputs(start))?;
    summed(&before[0])?;
    let real = settled(&before, count)?;
    aggregator.signal(libc::SIGTERM);
    aggregator.wait(LIMIT)?;
    drop(before);

    let file = conf.to_string_lossy();
    let flags = ["--carbon-conf", &*file, "--instance", "a", "--aggregator"];
    let told = skyline(&[&["route"], &flags[..], &["prod.applications.apache.www1.requests"]].concat())?;
    ensure!(told.contains("is an input of prod.applications.apache.all.requests"), "{told}");
    let after = vec![Sink::start_at(at, Protocol::Pickle)?];
    let node = Setup::in_place(&flags, line).start()?;
    let again = (now() - 4) / 2 * 2;
    load::bytes(line, inputs(again))?;
    summed(&after[0])?;
    let ours = settled(&after, count)?;
    stop(node)?;
    // The same, as much later as it was sent later.
    let later = |points: Vec<(i64, f64)>| points.into_iter().map(|(t, v)| (t - again + start, v)).collect();
    let ours: Vec<Arrived> = ours
        .into_iter()
        .map(|arrived| arrived.into_iter().map(|(name, points)| (name, later(points))).collect())
        .collect();
    same(&real, &ours)
}

#[test]
fn carbon_c_relay() -> anyhow::Result<()> {
    let packaged = packaged("/etc/carbon-c-relay.conf")?;
    // Both examples of the file, each by itself.
    for (example, other, copies) in [("mirror", "any-one", 2), ("any-one", "mirror", 1)] {
        let folder = tempfile::tempdir()?;
        let line = port::free();
        let before = sinks(2, Protocol::Lines)?;
        let [first, second] = [0, 1].map(|i| before[i].address());
        let text = changed(
            uncommented(&packaged, if example == "mirror" { "## mirror" } else { "## send all" }),
            &[("host1:2003", first.to_string()), ("host2:2003", second.to_string())],
        )?;
        let file = folder.path().join("carbon-c-relay.conf");
        std::fs::write(&file, text)?;
        let start = now() - 100;
        let lines: String = (0..300).map(|i| format!("servers.web{i}..cpu! {i}.5 {start}\n")).collect();

        let mut relay = as_packaged::c_relay(&file, line)?;
        load::bytes(line, &lines)?;
        let real = settled(&before, 300 * copies)
            .with_context(|| format!("{example}, not {other}; its last words:\n{}", relay.last_words()))?;
        relay.signal(libc::SIGTERM);
        relay.wait(LIMIT)?;
        drop(before);

        let after = [first, second].map(|at| Sink::start_at(at, Protocol::Lines));
        let after = after.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        let path = file.to_string_lossy();
        let node = Setup::in_place(&["--c-relay-conf", &*path], line)
            .with("listen.plaintext_tcp", format!("[\"{line}\"]"))
            .start()?;
        load::bytes(line, &lines)?;
        let ours = settled(&after, 300 * copies)?;
        stop(node)?;
        same(&real, &ours)?;
        ensure!(copies == 1 || real[0] == real[1], "a mirror shows the same");
        ensure!(copies == 2 || (!real[0].is_empty() && !real[1].is_empty()), "each has its share");
    }
    Ok(())
}

/// The example below the line that begins with `title`, without its comment signs.
fn uncommented(text: &str, title: &str) -> String {
    let lines = text.lines().skip_while(|line| !line.starts_with(title)).skip(1);
    let lines = lines.take_while(|line| !line.starts_with("##"));
    lines.map(|line| format!("{}\n", line.trim_start_matches('#'))).collect()
}

/// carbon-relay-ng is in no distribution: its keys as its example file has them, and what its documentation says
/// that they do.
#[test]
fn carbon_relay_ng() -> anyhow::Result<()> {
    let (line, pickled) = (port::free(), port::free());
    let all = sinks(2, Protocol::Lines)?;
    let file = tempfile::NamedTempFile::new()?;
    let text = format!(
        r#"
instance = "default"
max_procs = 2
listen_addr = "{line}"
pickle_addr = "{pickled}"
admin_addr = "127.0.0.1:2004"
http_addr = "127.0.0.1:8081"
spool_dir = "spool"
log_level = "info"
bad_metrics_max_age = "24h"
legacy_metric_validation = "medium"
blocklist = ['prefix collectd.localhost']

[[aggregation]]
function = 'sum'
regex = '^stats\.timers\.(app|proxy)[0-9]+\.requests\.(.*)'
format = 'stats.timers._sum_$1.requests.$2'
interval = 2
wait = 4

[[rewriter]]
old = 'old'
new = 'new'
max = -1

[[route]]
key = 'carbon-default'
type = 'sendAllMatch'
destinations = ['{} spool=true pickle=false']

[[route]]
key = 'analytics'
type = 'sendFirstMatch'
regex = '(Err/s|wait_time|logger)'
destinations = ['{} prefix=prod. flush=1000 reconn=10000 spool=false pickle=false']
"#,
        all[0].address(),
        all[1].address()
    );
    std::fs::write(file.path(), text)?;
    let path = file.path().to_string_lossy();
    let node = Setup::in_place(&["--relay-ng-conf", &*path], line).start()?;
    let start = (now() - 2) / 2 * 2;
    let mut lines = format!("collectd.localhost.cpu 1 {start}\nold.a 2 {start}\nprod.logger 3 {start}\n");
    for i in 0..4 {
        lines += &format!("stats.timers.app{i}.requests.get {i} {start}\n");
    }
    load::bytes(line, lines)?;
    load::bytes(pickled, pickle::frame(&[("test.wait_time", start as f64, 4.0)]))?;
    let point = |value: f64| vec![(start, value)];
    let mut expected = vec![
        ("new.a".to_owned(), point(2.0)),
        ("prod.logger".to_owned(), point(3.0)),
        ("test.wait_time".to_owned(), point(4.0)),
        ("stats.timers._sum_app.requests.get".to_owned(), point(6.0)),
    ];
    expected.extend((0..4).map(|i| (format!("stats.timers.app{i}.requests.get"), point(f64::from(i)))));
    let ours = settled(&all, expected.len() as u64 + 1)?;
    stop(node)?;
    same(&[expected.into_iter().collect(), [("prod.logger".to_owned(), point(3.0))].into()], &ours)
}

/// As the packages install them: nothing is changed, and nothing is started.
#[test]
fn packages_files_are_understood() -> anyhow::Result<()> {
    ensure!(Path::new("/etc/carbon/carbon.conf").exists(), "graphite-carbon is not installed");
    let told = skyline(&["check", "--carbon-conf", "/etc/carbon/carbon.conf", "--aggregator"])?;
    ensure!(told.contains("relay.files: /etc/carbon/carbon.conf"), "{told}");
    // The package has no relay rules: the relay does not start without them either.
    let told = skyline(&["check", "--carbon-conf", "/etc/carbon/carbon.conf"])?;
    ensure!(told.contains("/etc/carbon/relay-rules.conf: No such file"), "{told}");
    let told = skyline(&["check", "--c-relay-conf", "/etc/carbon-c-relay.conf"])?;
    ensure!(told.contains("/etc/carbon-c-relay.conf: 0 destinations, 0 statements"), "{told}");
    Ok(())
}

#[test]
fn the_unit_is_understood_by_systemd() -> anyhow::Result<()> {
    let unit =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/skyline.service"))?;
    let binary = node::binary()?.canonicalize()?;
    ensure!(
        unit.contains("ExecStart=/usr/bin/skyline run ")
            && unit.contains("ExecReload=/usr/bin/skyline reload ")
    );
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("skyline.service");
    std::fs::write(&file, unit.replace("/usr/bin/skyline", &binary.to_string_lossy()))?;
    let mut command = Command::new("systemd-analyze");
    let output = match command.args(["verify", "--man=no"]).arg(&file).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        output => output?,
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success() && !said.contains("skyline.service"), "{said}");
    Ok(())
}
