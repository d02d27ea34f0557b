//! Metrics go where Debian's carbon-c-relay and graphite-carbon send them: the same files, the same names.

#![expect(clippy::indexing_slicing, reason = "indexes are within what they index")]

use anyhow::{Context as _, ensure};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng};
use serde_json::Value;
use skyline_tests::{node, size};
use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Clusters with their servers, for each name; the servers of a ring in their order.
type Placement = HashMap<String, Vec<(String, Vec<String>)>>;

/// Random names, none twice, without tags: carbon-c-relay's test mode hashes tags and its relay does not.
fn names(count: usize, seed: u64) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(seed);
    let words =
        ["servers", "apps", "dc1", "web", "db", "cpu", "user", "requests", "count", "p99", "a", "x_y", "m-1"];
    let mut names: Vec<String> = (0..count)
        .map(|i| {
            let parts = random.random_range(1..6);
            let mut part = || words[random.random_range(0..words.len())];
            let mut name: Vec<String> = (0..parts).map(|_| part().to_owned()).collect();
            name.push(format!("{:x}", i * 7919 % 1_000_003));
            name.join(".")
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Runs `command` with `input`: what it writes to its output.
fn filter(command: &mut Command, input: String) -> anyhow::Result<String> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    let feeding = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    feeding.join().map_err(|_| anyhow::anyhow!("feeding ended early"))??;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn ours(arguments: &[&str], file: &Path, names: &[String]) -> anyhow::Result<Placement> {
    let mut command = Command::new(node::binary()?);
    command.arg("route").args(arguments).arg(file).arg("--json");
    let mut placement = Placement::new();
    for line in filter(&mut command, names.join("\n") + "\n")?.lines() {
        let told: Value = serde_json::from_str(line)?;
        let texts = |value: &Value| -> Vec<String> {
            // Members of `any_of` and `failover` are called after their cluster; the test mode leaves instances out.
            let short = |text: &str| {
                let text = text.rsplit('/').next().unwrap_or(text);
                text.split_once('=').map_or(text, |(server, _)| server).to_owned()
            };
            value.as_array().into_iter().flatten().filter_map(Value::as_str).map(short).collect()
        };
        let shares = told["steps"].as_array().into_iter().flatten().flat_map(|step| step["to"].as_array());
        let shares = shares.flatten().map(|share| {
            (share["cluster"].as_str().unwrap_or_default().to_owned(), texts(&share["destinations"]))
        });
        placement.insert(told["metric"].as_str().unwrap_or_default().to_owned(), shares.collect());
    }
    Ok(placement)
}

/// What carbon-c-relay's test mode says.
fn c_relays(file: &Path, names: &[String]) -> anyhow::Result<Placement> {
    let mut command = Command::new("carbon-c-relay");
    command.arg("-t").arg("-f").arg(file);
    let out = filter(&mut command, names.join("\n") + "\n")?;
    let mut placement = Placement::new();
    let mut name = String::new();
    for line in out.lines() {
        if line.trim_start().starts_with("using(") {
            // The key that it hashes.
        } else if let Some((_, after)) = line.split_once("-> ") {
            name = after.trim().to_owned();
        } else if line.starts_with("match") {
            name.clear();
        } else if name.is_empty() {
            // Its configuration, or a match that is still to be named.
        } else if let Some(cluster) = line.strip_prefix("    ").filter(|line| line.ends_with(')')) {
            let cluster = cluster.split_once('(').map_or("", |(_, rest)| rest.trim_end_matches(')'));
            placement.entry(name.clone()).or_default().push((cluster.to_owned(), Vec::new()));
        } else if let Some(server) = line.strip_prefix("        ")
            && let Some((_, servers)) = placement.get_mut(&name).and_then(|shares| shares.last_mut())
        {
            servers.push(server.trim().to_owned());
        }
    }
    Ok(placement)
}

fn same(ours: &Placement, theirs: &Placement, names: &[String], what: &str) -> anyhow::Result<()> {
    let empty = Vec::new();
    let differs = |name: &&String| ours.get(*name).unwrap_or(&empty) != theirs.get(*name).unwrap_or(&empty);
    let different: Vec<&String> = names.iter().filter(differs).collect();
    if let Some(first) = different.first() {
        let (ours, theirs) = (ours.get(*first), theirs.get(*first));
        anyhow::bail!(
            "{what}: {} of {} differ; {first}: {ours:?}, not {theirs:?}",
            different.len(),
            names.len()
        );
    }
    Ok(())
}

#[test]
fn as_carbon_c_relay() -> anyhow::Result<()> {
    let servers = |from: usize, count: usize, instances: bool| -> String {
        let server = |i: usize| {
            let instance = if instances { format!("={}", char::from(b'a' + i as u8)) } else { String::new() };
            format!(" 10.0.{from}.{i}:200{}{instance}", i % 10)
        };
        (1..=count).map(server).collect()
    };
    let mut conf = String::new();
    for (i, (kind, count, instances)) in [
        ("carbon_ch replication 1", 3, true),
        ("carbon_ch replication 2", 7, false),
        ("fnv1a_ch replication 1", 4, false),
        ("fnv1a_ch replication 3", 9, true),
        ("jump_fnv1a_ch replication 1", 5, false),
        ("jump_fnv1a_ch replication 2", 6, true),
        ("any_of", 3, false),
        ("forward", 2, false),
        ("failover", 2, false),
        ("fnv1a_ch replication 1", 5, true),
        ("jump_fnv1a_ch replication 1", 6, false),
        ("carbon_ch replication 2", 5, true),
    ]
    .into_iter()
    .enumerate()
    {
        conf += &format!("cluster c{i} {kind}{};\n", servers(i, count, instances));
    }
    conf += "rewrite ^apps\\.([a-z]+)\\. into services.\\^1.;\n\
             match ^servers\\.(dc1|web) route using \\1 send to c9;\nmatch ^db\\. route using x send to c10;\n\
             match cpu$ route using y send to c11;\nmatch ^(a)\\.[a-z]+ route using z send to c10;\n\
             match ^servers\\. send to c0 c4;\nmatch count$ p99 send to c7 stop;\n\
             match * send to c1 c2 c3;\nmatch \\.db\\. send to blackhole;\nmatch * send to c5 c6;\nmatch web send to c8 stop;\n";
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("relay.conf");
    std::fs::write(&file, conf)?;
    let names = names(size(5_000, 100_000) as usize, 1);
    let (mut ours, mut theirs) = (ours(&["--c-relay-conf"], &file, &names)?, c_relays(&file, &names)?);
    // A failover is one destination here, called after its cluster.
    for (cluster, servers) in ours.values_mut().chain(theirs.values_mut()).flatten() {
        if cluster == "c8" {
            servers.clear();
        }
    }
    // A name that is rewritten is called by its new one in the test mode.
    let renamed = |name: &String| name.starts_with("apps.");
    let names: Vec<String> = names.into_iter().filter(|name| !renamed(name)).collect();
    ensure!(theirs.len() > names.len() / 2, "carbon-c-relay told of {} names", theirs.len());
    same(&ours, &theirs, &names, "carbon-c-relay")
}

/// Asks graphite-carbon's own routers: reads the files and names, and writes `NAME DESTINATION ...`.
const ASK_CARBON: &str = r#"
import sys
from carbon import routers
folder, method, factor, diverse, hash_type, aggregation = sys.argv[1:7]
class Settings(dict):
    __getattr__ = dict.__getitem__
settings = Settings({
    "REPLICATION_FACTOR": int(factor), "DIVERSE_REPLICAS": diverse == "True",
    "ROUTER_HASH_TYPE": hash_type or None, "relay-rules": folder + "/relay-rules.conf",
    "aggregation-rules": aggregation and folder + "/aggregation-rules.conf"})
router = routers.DatapointRouter.plugins[method](settings)
for text in sys.argv[7:]:
    host, port, *instance = text.split(":")
    router.addDestination((host, int(port), instance[0] if instance else None))
for line in sys.stdin:
    name = line.rstrip("\n")
    to = [":".join(str(part) for part in one if part is not None) for one in router.getDestinations(name)]
    print(name, " ".join(to))
"#;

const RULES: &str = "[web]\npattern = ^servers\\.(web|dc1)\ndestinations = 10.0.0.1:2004:a, 10.0.0.2:2004:b\n\n\
                     [count]\npattern = (?<!p99)\\.COUNT\\.\ndestinations = 10.0.0.3:2004:c\ncontinue = true\n\n\
                     [user]\npattern = user\\.[0-9a-f]+$\ndestinations = 10.0.0.1:2004:a\n\n\
                     [default]\ndefault = true\ndestinations = 10.0.1.4:2004, 10.0.0.2:2104:d\n";

const AGGREGATES: &str = "<env>.all.<what> (60) = sum <env>.<app>.<what>\n\
                          <env>.everything (10) = avg <env>.<<rest>>\n";

#[test]
fn as_graphite_carbon() -> anyhow::Result<()> {
    let destinations =
        ["10.0.0.1:2004:a", "10.0.0.2:2004:b", "10.0.0.3:2004:c", "10.0.0.2:2104:d", "10.0.1.4:2004"];
    let names = names(size(5_000, 100_000) as usize, 2);
    for (method, factor, diverse, hash) in [
        ("rules", 1, "True", ""),
        ("consistent-hashing", 1, "True", ""),
        ("consistent-hashing", 3, "True", ""),
        ("consistent-hashing", 3, "False", "fnv1a_ch"),
        ("aggregated-consistent-hashing", 2, "True", ""),
        ("fast-hashing", 2, "False", "carbon_ch"),
        ("fast-aggregated-hashing", 1, "True", "fnv1a_ch"),
    ] {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("carbon.conf");
        let hash_type = if hash.is_empty() { String::new() } else { format!("ROUTER_HASH_TYPE = {hash}\n") };
        let conf = format!(
            "[relay]\nRELAY_METHOD = {method}\nREPLICATION_FACTOR = {factor}\nDIVERSE_REPLICAS = {diverse}\n\
             {hash_type}DESTINATIONS = {}\n",
            destinations.join(", ")
        );
        std::fs::write(&file, conf)?;
        std::fs::write(folder.path().join("relay-rules.conf"), RULES)?;
        std::fs::write(folder.path().join("aggregation-rules.conf"), AGGREGATES)?;
        let aggregation = if method.contains("aggregated") { "yes" } else { "" };
        let mut command = Command::new("/usr/bin/python3");
        command.arg("-c").arg(ASK_CARBON).arg(folder.path());
        command.args([method, &factor.to_string(), diverse, hash, aggregation]).args(destinations);
        let mut theirs = Placement::new();
        for line in filter(&mut command, names.join("\n") + "\n")?.lines() {
            let mut words = line.split(' ');
            let name = words.next().unwrap_or_default().to_owned();
            theirs.insert(name, once(words.map(str::to_owned).filter(|word| !word.is_empty()).collect()));
        }
        ensure!(theirs.len() == names.len(), "carbon told of {} names", theirs.len());
        // carbon does not tell which rule chose a destination; the aggregated routers give them in no order.
        let flat = |(name, shares): (String, Vec<(String, Vec<String>)>)| {
            let mut all: Vec<String> = Vec::new();
            for one in shares.into_iter().flat_map(|(_, destinations)| destinations) {
                if !all.contains(&one) {
                    all.push(one);
                }
            }
            if method.contains("aggregated") {
                all.sort_unstable();
            }
            (name, once(all))
        };
        let theirs = theirs.into_iter().map(flat).collect();
        let ours = ours(&["--carbon-conf"], &file, &names)?.into_iter().map(flat).collect();
        same(&ours, &theirs, &names, &format!("carbon {method} {factor} {diverse} {hash}"))?;
    }
    Ok(())
}

/// One share of all destinations.
fn once(destinations: Vec<String>) -> Vec<(String, Vec<String>)> {
    vec![(String::new(), destinations)]
}
