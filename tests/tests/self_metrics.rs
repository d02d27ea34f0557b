//! The node tells of itself under the names of the relay whose file it reads: compared with Debian's carbon-relay and
//! carbon-c-relay, which get the same file and the same points.

use anyhow::Context as _;
use skyline_tests::node::Setup;
use skyline_tests::peer::{
    self,
    sink::{Protocol, Sink},
};
use skyline_tests::process::Process;
use skyline_tests::{eventually, load, now, port};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(40);

/// Sends a good point, one of the black list, and one that is on no list, until all of `expected` (ends of names)
/// is at `sink`; how many times.
fn feed(to: SocketAddr, sink: &Sink, expected: &[&str]) -> anyhow::Result<u32> {
    let mut rounds = 0;
    let mut next = Instant::now();
    eventually(SOON, &format!("{expected:?} among {:?}", sink.names()), || {
        if Instant::now() >= next {
            let time = now();
            let lines = format!("good.a {rounds} {time}\nbad.b 1 {time}\nugly.c 1 {time}\n");
            if let Err(error) = load::bytes(to, lines) {
                return Some(Err(error));
            }
            rounds += 1;
            next += Duration::from_millis(500);
        }
        let names = sink.names();
        expected.iter().all(|end| names.iter().any(|name| name.ends_with(end))).then_some(Ok(rounds))
    })
    .with_context(|| format!("there are {:?}", sink.names()))?
}

/// Names that begin with `carbon.`, with words for the ports. What says how long the peer was slow depends on the
/// machine.
fn names(sink: &Sink, words: &[(SocketAddr, &str)]) -> BTreeSet<String> {
    let names = sink.names().into_iter().filter(|name| name.starts_with("carbon."));
    names
        .filter(|name| !name.ends_with(".queuedUntilReady"))
        .map(|name| {
            words.iter().fold(name, |name, (address, word)| {
                name.replace(&format!(":{}", address.port()), &format!(":{word}"))
            })
        })
        .collect()
}

/// Sum of a metric's values.
fn sum(sink: &Sink, end: &str) -> f64 {
    let of = |name: &String| sink.series(name).values().map(|(value, _)| value).sum::<f64>();
    sink.names().iter().filter(|name| name.ends_with(end)).map(of).sum()
}

const FILES: [(&str, &str); 3] = [
    ("blacklist.conf", "^bad\n"),
    ("whitelist.conf", "^good\n^bad\n"),
    ("storage-schemas.conf", "[all]\npattern = .*\nretentions = 60s:1d\n"),
];

#[test]
fn the_names_of_carbon_relay() -> anyhow::Result<()> {
    let closed = port::free();
    let conf = |sink: &Sink, folder: &str| {
        format!(
            "[relay]\nUSER =\nLOG_DIR = {folder}\nPID_DIR = {folder}\nRELAY_METHOD = rules\n\
             LINE_RECEIVER_INTERFACE = 127.0.0.1\nLINE_RECEIVER_PORT = @PLAINTEXT@\n\
             PICKLE_RECEIVER_INTERFACE = 127.0.0.1\nPICKLE_RECEIVER_PORT = @PICKLE@\n\
             DESTINATIONS = {}:a, {closed}\nCARBON_METRIC_INTERVAL = 2\nUSE_WHITELIST = True\n",
            sink.address()
        )
    };
    let expected = ["queuedUntilConnected", ":a.sent", ".metricsReceived"];

    let theirs = Sink::start(Protocol::Pickle)?;
    let folder = tempfile::tempdir()?;
    let (line, pickle) = (port::free(), port::free());
    let path = folder.path().display().to_string();
    let text = conf(&theirs, &path).replace("@PLAINTEXT@", &line.port().to_string());
    let conf_file = folder.path().join("carbon.conf");
    std::fs::write(&conf_file, text.replace("@PICKLE@", &pickle.port().to_string()))?;
    let rules =
        |sink: &Sink| format!("[all]\ndefault = true\ndestinations = {}:a, {closed}\n", sink.address());
    std::fs::write(folder.path().join("relay-rules.conf"), rules(&theirs))?;
    for (name, text) in FILES {
        std::fs::write(folder.path().join(name), text)?;
    }
    let mut command = Command::new("carbon-relay");
    command.arg(format!("--config={}", conf_file.display())).args(["--nodaemon", "start"]);
    command.env("GRAPHITE_STORAGE_DIR", folder.path());
    let mut relay = Process::start(&mut command, &folder.path().join("relay.log"))?;
    peer::listens(&mut relay, line)?;
    feed(line, &theirs, &expected).with_context(|| relay.last_words())?;

    let ours = Sink::start(Protocol::Pickle)?;
    let setup = Setup::relay::<String>([])
        .with("relay.files.carbon_conf", "\"carbon.conf\"")
        .without("node.name")
        .file("carbon.conf", &conf(&ours, "/nowhere"))
        .file("relay-rules.conf", &rules(&ours));
    let setup = FILES.iter().fold(setup, |setup, (name, text)| setup.file(name, text));
    let node = setup.start()?;
    let rounds = feed(node.plaintext(), &ours, &expected)?;
    let words = |sink: &Sink| [(sink.address(), "SINK"), (closed, "CLOSED")];
    assert_eq!(names(&ours, &words(&ours)), names(&theirs, &words(&theirs)));

    // What is told in the next interval makes up for all that was sent.
    let sent = f64::from(rounds);
    let told = || [".metricsReceived", ".blacklistMatches", ".whitelistRejects"].map(|end| sum(&ours, end));
    eventually(SOON, "all points are told of", || (told() == [sent; 3]).then_some(()))
        .with_context(|| format!("of {sent}: {:?}", told()))?;
    node.balanced()?;
    Ok(())
}

#[test]
fn the_names_of_carbon_c_relay() -> anyhow::Result<()> {
    let closed = port::free();
    let conf = |sink: &Sink, file: &str| {
        format!(
            "listen type linemode 127.0.0.1:@PLAINTEXT@ proto tcp ;\n\
             cluster one forward {} ;\ncluster two carbon_ch replication 1 {closed}=a ;\n\
             cluster out file {file} ;\n\
             match ^bad send to blackhole stop;\n\
             aggregate ^good.(.*) every 1 seconds expire after 2 seconds compute sum write to agg.\\1;\n\
             match * send to one;\nmatch * send to two out;\n\
             statistics submit every 2 seconds prefix with carbon.relays.x;\n",
            sink.address()
        )
    };
    // A name that both can have: the file's path is part of one.
    let folder = tempfile::Builder::new().prefix("statistics").tempdir_in("/tmp")?;
    let file = folder.path().join("points.txt").display().to_string();
    let expected = ["destinations.internal.sent", ":CLOSED.queued", "aggregators.metricsSent"]
        .map(|end| end.replace("CLOSED", &closed.port().to_string()));
    let expected = expected.each_ref().map(String::as_str);

    let theirs = Sink::start(Protocol::Lines)?;
    let line = port::free();
    let conf_file = folder.path().join("relay.conf");
    std::fs::write(&conf_file, conf(&theirs, &file).replace("@PLAINTEXT@", &line.port().to_string()))?;
    let mut command = Command::new("carbon-c-relay");
    command.args(["-w", "1", "-f"]).arg(&conf_file);
    let mut relay = Process::start(&mut command, &folder.path().join("relay.log"))?;
    peer::listens(&mut relay, line)?;
    feed(line, &theirs, &expected).with_context(|| relay.last_words())?;

    let ours = Sink::start(Protocol::Lines)?;
    let node = Setup::relay::<String>([])
        .with("relay.files.c_relay_conf", "\"relay.conf\"")
        .file("relay.conf", &conf(&ours, &file))
        .start()?;
    let rounds = feed(node.plaintext(), &ours, &expected)?;
    let words = |sink: &Sink| [(sink.address(), "SINK"), (closed, "CLOSED")];
    assert_eq!(names(&ours, &words(&ours)), names(&theirs, &words(&theirs)));

    // Counts are cumulative: the last value holds.
    let blackholed =
        || ours.series("carbon.relays.x.metricsBlackholed").last_key_value().map(|(_, (value, _))| *value);
    eventually(SOON, "all points are told of", || (blackholed() == Some(f64::from(rounds))).then_some(()))?;
    node.balanced()?;
    Ok(())
}
