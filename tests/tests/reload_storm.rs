//! Settings are read again and again while points arrive: each point goes, once, where a routing sends it that was in
//! force when it came, and what no change concerns notices nothing.

#![expect(clippy::indexing_slicing, reason = "indexes are within what they index")]

use anyhow::Context as _;
use skyline_tests::metrics::Metrics;
use skyline_tests::node::{Node, Setup, replace};
use skyline_tests::peer::sink::{Protocol, Sink};
use skyline_tests::{eventually, eventually_true, load, now, size};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

const SENDERS: usize = 4;
/// Numbers in one write.
const BATCH: i64 = 5;
/// Writes on one connection, for the senders that open another now and then.
const WRITES: i64 = 100;
/// Files that are good, each with another way for what moves.
const GOOD: usize = 4;
const SOON: Duration = Duration::from_secs(20);

/// A file that is none.
const BAD: [&str; 2] = ["cluster a forward", "cluster a forward h:1;\nmatch * send to nobody stop;\n"];

/// Clusters in an order of its own, so that their places mean something else in every file.
fn file(version: usize, sinks: &[Sink], folder: &Path) -> String {
    let cluster = |i: usize| format!("cluster {} forward {};\n", name(i), sinks[i].address());
    let mark = format!("cluster m{version} file {};\n", folder.join(format!("mark-{version}")).display());
    // What comes and goes, c and d, and what stays, a and b.
    let clusters = match version {
        0 => [cluster(0), cluster(1), cluster(2), mark].concat(),
        1 => [mark, cluster(1), cluster(0)].concat(),
        2 => [cluster(2), cluster(0), mark, cluster(1)].concat(),
        _ => [cluster(3), cluster(1), mark, cluster(0), cluster(2)].concat(),
    };
    let moves = name(moves_to(version));
    let extra = "aggregate ^extra\\..+ every 2 seconds expire after 8 seconds timestamp at start of bucket \
                 compute sum write to extra.sum send to b stop;\n";
    let stays = format!(
        "match ^stay\\.one\\. send to a stop;\nmatch ^stay\\.two\\. send to a b stop;\n\
         rewrite ^old\\.(.+) into new.\\1;\nmatch ^new\\. send to b stop;\n\
         aggregate ^in\\..+ every 2 seconds expire after 8 seconds timestamp at start of bucket \
         compute sum write to out.sum compute count write to out.count send to a stop;\n\
         match ^extra\\. send to blackhole stop;\n\
         match ^move\\. send to {moves} stop;\n\
         match ^mark send to m{version} stop;\n"
    );
    format!("{clusters}{}{stays}", if version == 1 { extra } else { "" })
}

fn name(sink: usize) -> &'static str {
    ["a", "b", "c", "d"][sink]
}

/// The sink to which a good file sends what moves.
fn moves_to(version: usize) -> usize {
    version
}

/// What senders and the one who changes the files know of each other.
#[derive(Default)]
struct Course {
    /// Changes that have been made, the first file not among them.
    changes: AtomicUsize,
    /// Points that were written to a socket, whole.
    written: AtomicU64,
    stop: AtomicBool,
}

/// What one sender has sent.
#[derive(Default)]
struct Sent {
    /// For each number, changes that had been made before and after it was written.
    when: Vec<(usize, usize)>,
    /// Sum and number of the inputs of each second.
    inputs: BTreeMap<i64, (f64, f64)>,
}

/// Sends numbered points, on one connection or on one after another.
fn send(to: SocketAddr, sender: usize, base: i64, course: &Course) -> anyhow::Result<Sent> {
    let mut sent = Sent::default();
    let mut stream = load::connect(to)?;
    let pause = Duration::from_millis(size(5, 20));
    for write in 1.. {
        if course.stop.load(SeqCst) {
            break;
        }
        let (mut text, mut points, second) = (String::new(), 0, now());
        let first = sent.when.len() as i64;
        for n in first..first + BATCH {
            for name in ["stay.one", "stay.two", "old", "move"] {
                writeln!(text, "{name}.s{sender} {n} {}", base + n)?;
            }
            writeln!(text, "in.s{sender}.{} {n} {second}\nextra.s{sender} 1 {second}", n % 7)?;
            points += 6;
            let (sum, count) = sent.inputs.entry(second).or_default();
            (*sum, *count) = (*sum + n as f64, *count + 1.0);
        }
        let before = course.changes.load(SeqCst);
        stream.write_all(text.as_bytes())?;
        course.written.fetch_add(points, SeqCst);
        let after = course.changes.load(SeqCst);
        sent.when.extend((0..BATCH).map(|_| (before, after)));
        if sender % 2 == 1 && write % WRITES == 0 {
            stream = load::connect(to)?;
        }
        std::thread::sleep(pause);
    }
    Ok(sent)
}

/// Who changes the files.
struct Changes<'a> {
    node: &'a mut Node,
    file: PathBuf,
    texts: Vec<String>,
    /// Addresses of the destinations that are in every file.
    stay: [String; 2],
    course: &'a Course,
    /// The good file in force after each change; refused ones change nothing.
    versions: Vec<usize>,
    last: Metrics,
}

impl Changes<'_> {
    /// What had been written at the moment of this call has been routed.
    fn settle(&self) -> anyhow::Result<()> {
        let written = self.course.written.load(SeqCst);
        eventually_true(SOON, "what was written is logged or refused", || {
            let from_tcp = [("listener", "plaintext_tcp")];
            self.node.metrics().is_ok_and(|m| {
                let of = |what: &str| m.sum(&format!("skyline_relay_{what}_points_total"), &from_tcp) as u64;
                of("logged") + of("refused") >= written
            })
        })
    }

    fn refused(&self) -> anyhow::Result<f64> {
        Ok(self.node.metrics()?.sum("skyline_reloads_refused_total", &[]))
    }

    /// Whether the whole of this file is in force, and of the others nothing.
    fn is_in_force(&self, version: usize) -> bool {
        self.node.status().is_ok_and(|status| {
            let stay = status.destinations().into_iter().filter(|d| !d.leaving);
            let marks: Vec<String> = stay.map(|d| d.address).filter(|a| a.contains("mark-")).collect();
            matches!(marks.as_slice(), [mark] if mark.ends_with(&format!("mark-{version}")))
        })
    }

    /// Makes the node read the files: by a signal, by the command, by a request, or by itself.
    fn ask(&mut self, way: u64, is_good: bool) -> anyhow::Result<()> {
        match way % 3 {
            0 => {
                self.node.process.signal(libc::SIGHUP);
                Ok(())
            }
            1 => {
                let is_done = self.node.reload().is_ok();
                anyhow::ensure!(is_done == is_good, "reload: {is_done}, the file is good: {is_good}");
                Ok(())
            }
            _ => {
                let answer = self.node.post("/-/reload")?;
                anyhow::ensure!((answer.status == 200) == is_good, "{} {}", answer.status, answer.text());
                Ok(())
            }
        }
    }

    fn change(&mut self, number: u64) -> anyhow::Result<()> {
        self.settle()?;
        let now_in_force = *self.versions.last().context("a version")?;
        let by_itself = number % size(20, 100) == 4;
        let outcome = if number % 7 == 3 {
            let before = self.refused()?;
            replace(&self.file, BAD[number as usize % BAD.len()])?;
            self.ask(number / 7, false)?;
            self.versions.push(now_in_force);
            eventually_true(SOON, "a bad file is refused", || self.refused().is_ok_and(|now| now > before))
        } else {
            let version = (now_in_force + 1 + number as usize % (GOOD - 1)) % GOOD;
            replace(&self.file, &self.texts[version])?;
            if !by_itself {
                self.ask(number, true)?;
            }
            self.versions.push(version);
            eventually_true(SOON, &format!("file {version} is in force"), || self.is_in_force(version))
        };
        outcome.with_context(|| format!("change {number}"))?;
        self.course.changes.store(self.versions.len() - 1, SeqCst);
        self.node.process.must_run()?;
        self.counters_rise()
    }

    /// No counter falls but those of what comes and goes.
    fn counters_rise(&mut self) -> anyhow::Result<()> {
        let now = self.node.metrics()?;
        let fallen = now.fallen_since(&self.last);
        let stays = |text: &&String| {
            let is_of_one = text.contains("\"destination\"") || text.contains("\"reader\": \"dest:");
            !is_of_one || self.stay.iter().any(|address| text.contains(address))
        };
        let wrong: Vec<_> = fallen.iter().filter(stays).collect();
        anyhow::ensure!(wrong.is_empty(), "counters have fallen: {wrong:?}");
        self.last = now;
        Ok(())
    }
}

/// Each number of `name` at exactly the sinks that `expected` allows: one of the lists of sinks for each number.
fn arrived(sinks: &[Sink], name: &str, base: i64, expected: &[Vec<Vec<usize>>]) -> anyhow::Result<()> {
    let all: Vec<_> = sinks.iter().map(|sink| sink.series(name)).collect();
    for (n, allowed) in (0..).zip(expected) {
        let mut at = Vec::new();
        for (sink, series) in all.iter().enumerate() {
            if let Some((value, times)) = series.get(&(base + n)) {
                anyhow::ensure!(
                    *value == n as f64 && *times == 1,
                    "{name} {n} at {sink}: {value}, {times} times"
                );
                at.push(sink);
            }
        }
        anyhow::ensure!(
            allowed.contains(&at),
            "{name} {n} of {} is at {at:?}, not {allowed:?}",
            expected.len()
        );
    }
    let points: usize = all.iter().map(BTreeMap::len).sum();
    let most: usize = expected.iter().map(|allowed| allowed.iter().map(Vec::len).max().unwrap_or(0)).sum();
    anyhow::ensure!(points <= most, "{name}: {points} points came, of {most}");
    Ok(())
}

/// Sums and counts of all buckets are those of the inputs.
fn aggregates(sinks: &[Sink], sent: &[Sent]) -> anyhow::Result<()> {
    let mut expected: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    for (second, (sum, count)) in sent.iter().flat_map(|sent| &sent.inputs) {
        let bucket = expected.entry(second / 2 * 2).or_default();
        *bucket = (bucket.0 + sum, bucket.1 + count);
    }
    let of = |name: &str| -> BTreeMap<i64, f64> {
        sinks[0].series(name).iter().map(|(time, (value, _))| (*time, *value)).collect()
    };
    let last = expected.len();
    eventually_true(SOON, "all buckets are computed", || of("out.count").len() >= last).with_context(
        || {
            let got = of("out.count");
            let missing: Vec<_> = expected.keys().filter(|bucket| !got.contains_key(bucket)).collect();
            let elsewhere = sinks[1..].iter().map(|sink| sink.series("out.count"));
            format!("missing {missing:?}, elsewhere {:?}", elsewhere.collect::<Vec<_>>())
        },
    )?;
    let (sums, counts) = (of("out.sum"), of("out.count"));
    for (bucket, (sum, count)) in &expected {
        let got = (sums.get(bucket), counts.get(bucket));
        anyhow::ensure!(got == (Some(sum), Some(count)), "bucket {bucket}: {got:?} of {sum}, {count}");
    }
    anyhow::ensure!(sums.len() == last && counts.len() == last, "{} buckets of {last}", sums.len());
    Ok(())
}

#[test]
fn a_storm_of_reloads_under_load_moves_points_and_loses_none() -> anyhow::Result<()> {
    let changes = size(40, 1_000);
    let folder = tempfile::tempdir()?;
    let sinks: Vec<Sink> = (0..4).map(|_| Sink::start(Protocol::Lines)).collect::<anyhow::Result<_>>()?;
    let file_path = folder.path().join("relay.conf");
    let texts: Vec<String> = (0..GOOD).map(|version| file(version, &sinks, folder.path())).collect();
    replace(&file_path, &texts[0])?;
    let mut node =
        Setup::relay::<String>([]).with("relay.files.c_relay_conf", format!("{file_path:?}")).start()?;
    let (base, course, to) = (now() - 5_000_000, Course::default(), node.plaintext());
    let (last, stay) = (node.metrics()?, [0, 1].map(|sink: usize| sinks[sink].address().to_string()));
    let (sent, versions) = std::thread::scope(|scope| {
        let course = &course;
        let senders: Vec<_> =
            (0..SENDERS).map(|sender| scope.spawn(move || send(to, sender, base, course))).collect();
        let mut storm =
            Changes { node: &mut node, file: file_path, texts, stay, course, versions: vec![0], last };
        let outcome = (0..changes).try_for_each(|number| storm.change(number));
        course.stop.store(true, SeqCst);
        let sent: Vec<anyhow::Result<Sent>> = senders
            .into_iter()
            .map(|sender| sender.join().map_err(|_| anyhow::anyhow!("a sender failed"))?)
            .collect();
        outcome?;
        anyhow::Ok((sent.into_iter().collect::<anyhow::Result<Vec<Sent>>>()?, storm.versions))
    })?;
    let numbers: u64 = sent.iter().map(|sent| sent.when.len() as u64).sum();
    // stay.one once, stay.two twice, old and move once.
    let points = |prefix: &str| -> u64 {
        let of = |name: &String| sinks.iter().map(|sink| sink.series(name).len() as u64).sum::<u64>();
        (0..SENDERS).map(|sender| of(&format!("{prefix}.s{sender}"))).sum()
    };
    eventually(Duration::from_secs(size(30, 120)), "every point came", || {
        let came = points("stay.one") + points("stay.two") + points("new") + points("move");
        (came >= 5 * numbers).then_some(())
    })
    .with_context(|| {
        format!(
            "of {numbers}: {} {} {} {}",
            points("stay.one"),
            points("stay.two"),
            points("new"),
            points("move")
        )
    })?;
    aggregates(&sinks, &sent)?;
    for (sender, sent) in sent.iter().enumerate() {
        let always = |at: &[usize]| vec![vec![at.to_vec()]; sent.when.len()];
        arrived(&sinks, &format!("stay.one.s{sender}"), base, &always(&[0]))?;
        arrived(&sinks, &format!("stay.two.s{sender}"), base, &always(&[0, 1]))?;
        arrived(&sinks, &format!("new.s{sender}"), base, &always(&[1]))?;
        let moved = |(before, after): &(usize, usize)| {
            let in_force = versions.get(*before..).unwrap_or_default().iter().take(after + 2 - before);
            in_force.map(|version| vec![moves_to(*version)]).collect()
        };
        let moved: Vec<_> = sent.when.iter().map(moved).collect();
        arrived(&sinks, &format!("move.s{sender}"), base, &moved)?;
    }
    for (sink, name) in sinks.iter().zip(["a", "b", "c", "d"]) {
        anyhow::ensure!(sink.malformed() == 0, "{} lines cannot be read at {name}", sink.malformed());
        let has = |metric: &str| !sink.series(metric).is_empty();
        anyhow::ensure!(
            name == "a" || !has("out.sum") && !has("out.count"),
            "aggregates for a came to {name}"
        );
        anyhow::ensure!(name == "b" || !has("extra.sum"), "aggregates for b came to {name}");
    }
    anyhow::ensure!(!sinks[1].series("extra.sum").is_empty(), "what one file alone computes did not come");
    node.balanced()?;
    Ok(())
}
