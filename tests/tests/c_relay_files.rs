//! Files of carbon-c-relay, as they are: the node writes what that relay writes, line by line.

use anyhow::{Context as _, ensure};
use skyline_tests::peer::relay_file::Program::{CRelay, Node};
use skyline_tests::peer::relay_file::{Program, Relays, outcome};
use skyline_tests::{node, now, port};
use std::path::Path;
use std::process::Command;

/// What both programs make of a file and of what is sent.
#[track_caller]
fn same(what: &str, statements: &str, payload: &str, expected: &str) -> anyhow::Result<()> {
    for program in [Node, CRelay] {
        let written = outcome(program, statements, payload, expected.lines().count())?;
        assert_eq!(written, expected, "{what}: {program:?}");
    }
    Ok(())
}

#[test]
fn lines_go_on_as_they_came_in_their_order() -> anyhow::Result<()> {
    same(
        "values and times",
        "match * send to default;\n\
         rewrite ^bar\\.(.*) into rewrite.\\1;\nmatch ^rewrite\\. send to default;\n",
        "foo.bar 1 349830000\nbar 1 3\nbar.foo 1.50 4\na 1e3 5\na -0.0 6\n",
        "foo.bar 1 349830000\nbar 1 3\nbar.foo 1.50 4\nrewrite.foo 1.50 4\na 1e3 5\na -0.0 6\n",
    )?;
    let many: String = (1..=1_500).map(|i| format!("foo.bar.{i} 1 349830001\n")).collect();
    same("many", "match * send to default;\n", &many, &many)
}

#[test]
fn names_are_cleaned() -> anyhow::Result<()> {
    same(
        "names",
        "match * send to default;\n",
        "..a..b. 1 2\nx!y@z 1 2\n  c \t 1 \t 2\nd:e#f-g_h 1 2\nt.u;k=v.w 1 2\r\nend 1 2\n",
        "a.b 1 2\nx_y_z 1 2\nc 1 2\nd:e#f-g_h 1 2\nt.u;k=v.w 1 2\nend 1 2\n",
    )
}

#[test]
fn a_name_of_dots_alone_is_dropped() -> anyhow::Result<()> {
    assert_eq!(outcome(Node, "match * send to default;\n", "... 1 2\n.;a=b 1 2\na 1 2\n", 1)?, "a 1 2\n");
    Ok(())
}

#[test]
fn rewrites() -> anyhow::Result<()> {
    same(
        "back-references",
        "rewrite ^one\\.([^.]+)\\.(.+)$ into \\2.\\1;\n\
         rewrite ^two\\.(.+)$ into two.\\_1.\\^1;\n\
         rewrite ^three\\.(.+)$ into three.\\.1;\n\
         rewrite ^four\\.(.+)$ into four.\\_.1.\\^.1;\n\
         rewrite b into X;\n\
         rewrite ^(e)(f)?(g) into \\1-\\2-\\3;\n\
         match * send to default;\n",
        "one.A.B.c 1 2\ntwo.Ab.C 1 2\nthree.Ab.C 1 2\nfour.Ab.C 1 2\nabab 1 2\negh 1 2\nno 1 2\n",
        "B.c.A 1 2\ntwo.aX.c.AB.C 1 2\nthree.AX_C 1 2\nfour.aX_c.AB_C 1 2\naXab 1 2\ne--gh 1 2\nno 1 2\n",
    )
}

#[test]
fn matches() -> anyhow::Result<()> {
    same(
        "blackhole, stop, validate, several expressions",
        "match some_legacy$ send to blackhole;\n\
         match ^int validate ^[0-9]+\\ [0-9]+$ else drop send to default stop;\n\
         match ^any validate ^1 else log;\n\
         match ^twice$ \\.ce$ send to default;\n\
         match ^(last|any)\\. send to default stop;\n\
         match last send to default;\n",
        "a.some_legacy 1 2\nint.a 1 2\nint.b 1.5 2\nany.a 1 2\nany.b 2 2\ntwice 1 2\nx.ce 1 2\nlast.a 1 2\nx.last 1 2\n",
        "int.a 1 2\nany.a 1 2\ntwice 1 2\nx.ce 1 2\nlast.a 1 2\nx.last 1 2\n",
    )
}

#[test]
fn includes() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("1.conf"), "rewrite ^a into b;\n")?;
    std::fs::write(folder.path().join("2.conf"), "rewrite ^b into c;\n")?;
    same(
        "a glob in its place",
        &format!(
            "match ^a send to default;\ninclude {}/*.conf;\nmatch ^c send to default;\n",
            folder.path().display()
        ),
        "a.x 1 2\nb.y 1 2\n",
        "a.x 1 2\nc.x 1 2\nc.y 1 2\n",
    )
}

/// What is sent through the second relay of a pair, and what the first has to write.
fn large() -> (String, String) {
    let mut sent = "foo.bar 1 2\n".to_owned();
    let mut expected = String::new();
    for i in 1..=1_500 {
        sent += &format!("large.foo.bar.{i} 1 349830001\n");
        expected += &format!("through-large.foo.bar.{i} 1 349830001\n");
    }
    (sent, expected)
}

/// Sends through `second` to `first`: `listen` and `server` are the ends of what is between them.
fn pair(
    (first, second): (Program, Program),
    listen: &str,
    server: &str,
    trusted: Option<&Path>,
) -> anyhow::Result<()> {
    let (sent, expected) = large();
    let address = port::free();
    let mut relays = Relays::new()?;
    let proto = if server.starts_with("proto udp") { "udp" } else { "tcp" };
    relays.start(
        first,
        &format!(
            "listen type linemode transport {listen} {address} proto {proto};\n\
             match ^through-large\\. send to default;\n"
        ),
        trusted,
    )?;
    relays.start(
        second,
        &format!(
            "cluster \"there\" forward {address} {server};\nrewrite ^large\\.(.*) into through-large.\\1;\n\
             match ^through-large\\. send to \"there\" stop;\n"
        ),
        trusted,
    )?;
    relays.send(sent)?;
    relays.have_written(1_500).with_context(|| format!("{first:?} {listen}, {second:?} {server}"))?;
    let (_, written) = relays.stop()?;
    assert_eq!(written, expected, "{first:?} {listen}, {second:?} {server}");
    Ok(())
}

#[test]
fn pairs() -> anyhow::Result<()> {
    pair((Node, Node), "plain", "proto tcp transport plain", None)?;
    pair((Node, Node), "gzip", "proto tcp transport gzip", None)?;
    pair((Node, Node), "lz4", "proto tcp transport lz4", None)?;
    pair((Node, Node), "plain", "proto udp transport plain", None)?;
    pair((Node, CRelay), "plain", "proto tcp", None)?;
    pair((CRelay, Node), "plain", "proto tcp", None)
}

fn openssl(arguments: &str, folder: &Path) -> anyhow::Result<()> {
    let ran = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output()?;
    ensure!(ran.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&ran.stderr));
    Ok(())
}

/// Certificate and key in one file, each by itself beside it. `how`: as carbon-c-relay's instructions have it, which
/// OpenSSL makes one of the first version of X.509, or with `req -x509`, which makes it an authority.
fn certificate(folder: &Path, how: &str) -> anyhow::Result<()> {
    match how {
        "first version" => {
            openssl(
                "req -nodes -newkey rsa:2048 -keyout key.pem -out own.csr -subj /O=relay/CN=relay",
                folder,
            )?;
            openssl("x509 -req -in own.csr -signkey key.pem -days 30 -out cert.pem", folder)?;
        }
        "authority" => {
            openssl(
                "req -x509 -nodes -newkey rsa:2048 -keyout key.pem -out cert.pem -subj /CN=relay -days 30",
                folder,
            )?;
        }
        _ => {
            openssl("ecparam -name prime256v1 -genkey -noout -out key.pem", folder)?;
            openssl(
                "req -x509 -key key.pem -out cert.pem -subj /CN=relay -addext subjectAltName=IP:127.0.0.1 -days 30",
                folder,
            )?;
        }
    }
    let (certificate, key) =
        (std::fs::read_to_string(folder.join("cert.pem"))?, std::fs::read_to_string(folder.join("key.pem"))?);
    std::fs::write(folder.join("both.pem"), certificate + &key)?;
    Ok(())
}

#[test]
fn encrypted_pairs_with_certificates_that_are_trusted_themselves() -> anyhow::Result<()> {
    for how in ["first version", "authority", "name"] {
        let folder = tempfile::tempdir()?;
        certificate(folder.path(), how)?;
        let path = |name: &str| folder.path().join(name).display().to_string();
        let both = folder.path().join("both.pem");
        let listen = |what: &str| format!("{what} {}", both.display());
        pair((Node, Node), &listen("plain ssl"), "proto tcp transport plain ssl", Some(&both))
            .with_context(|| how.to_owned())?;
        let mutual = format!("proto tcp transport plain mtls {} {}", path("cert.pem"), path("key.pem"));
        pair((Node, Node), &listen("plain mtls"), &mutual, Some(&both)).with_context(|| how.to_owned())?;
        pair((Node, CRelay), &listen("plain ssl"), "proto tcp transport plain ssl", Some(&both))
            .with_context(|| how.to_owned())?;
        pair((CRelay, Node), &listen("plain ssl"), "proto tcp transport plain ssl", Some(&both))
            .with_context(|| how.to_owned())?;
        if how == "name" {
            pair((Node, Node), &listen("gzip ssl"), "proto tcp transport gzip ssl", Some(&both))?;
            pair((Node, Node), &listen("lz4 ssl"), "proto tcp transport lz4 ssl", Some(&both))?;
        }
    }
    Ok(())
}

#[test]
fn who_shows_another_certificate_gets_nothing() -> anyhow::Result<()> {
    let (one, other) = (tempfile::tempdir()?, tempfile::tempdir()?);
    certificate(one.path(), "first version")?;
    certificate(other.path(), "first version")?;
    let address = port::free();
    let mut relays = Relays::new()?;
    let shown = other.path().join("both.pem");
    relays.start(
        Node,
        &format!(
            "listen type linemode transport plain ssl {} {address} proto tcp;\nmatch * send to default;\n",
            shown.display()
        ),
        None,
    )?;
    relays.start(
        Node,
        &format!("cluster there forward {address} proto tcp transport plain ssl;\nmatch * send to there;\n"),
        Some(&one.path().join("cert.pem")),
    )?;
    relays.send("a 1 2\n")?;
    skyline_tests::eventually_true(std::time::Duration::from_secs(10), "it says why", || {
        relays.log(1).contains("not connected")
    })?;
    ensure!(relays.log(1).contains("TLS: "), "{}", relays.log(1));
    ensure!(relays.written().is_empty());
    Ok(())
}

/// What a relay computes of some points: name, seconds since the first of them, and value, in that order.
fn computed(program: Program, statements: &str, lines: usize) -> anyhow::Result<Vec<(String, i64, f64)>> {
    let mut relays = Relays::new()?;
    relays.start(program, statements, None)?;
    let second = now();
    let mut payload = String::new();
    for value in ["0.5", "2", "4", "10.25"] {
        payload += &format!("in.a.x {value} {second}\nin.b.x 3 {}\n", second + 1);
    }
    // Long gone.
    payload += "in.a.x 100 349830000\n";
    relays.send(payload)?;
    relays.have_written(lines)?;
    let (_, written) = relays.stop()?;
    let mut all = Vec::new();
    for line in written.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [name, value, time] = words.as_slice() else { anyhow::bail!("no point: {line}") };
        all.push(((*name).to_owned(), time.parse::<i64>()? - second, value.parse()?));
    }
    all.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    Ok(all)
}

#[test]
fn aggregates() -> anyhow::Result<()> {
    let mut statements =
        "aggregate ^in\\.([^.]+)\\. ^(in).a.x$ every 1 seconds expire after 3 seconds\n".to_owned();
    for function in [
        "sum",
        "count",
        "max",
        "min",
        "average",
        "median",
        "percentile90",
        "percentile50",
        "variance",
        "stddev",
    ] {
        statements += &format!(" compute {function} write to all.{function}\n");
    }
    statements += "send to default;\n";
    // Of the first name by both expressions, of the second by one.
    let (ours, theirs) = (computed(Node, &statements, 3 * 10)?, computed(CRelay, &statements, 3 * 10)?);
    let alike = |(a, b): (&(String, i64, f64), &(String, i64, f64))| {
        // That relay writes six digits behind the point.
        (&a.0, a.1) == (&b.0, b.1) && (a.2 - b.2).abs() < 1e-6
    };
    ensure!(ours.len() == theirs.len() && ours.iter().zip(&theirs).all(alike), "{ours:?}\n{theirs:?}");
    let sums = [("all.sumx".to_owned(), 1, 16.75), ("all.sumx".to_owned(), 2, 12.0)];
    let sums_of_the_other_expression = [("all.sum".to_owned(), 1, 16.75)];
    for sum in sums.iter().chain(&sums_of_the_other_expression) {
        ensure!(ours.contains(sum), "{sum:?} is not in {ours:?}");
    }
    Ok(())
}

#[test]
fn names_of_aggregates() -> anyhow::Result<()> {
    // The text takes the place of what was matched.
    let compute = "every 1 seconds expire after 2 seconds compute sum write to";
    let mut statements = String::new();
    for (pattern, to) in [
        ("^in\\.a\\.x$", "exact"),
        ("^in\\..*", "all"),
        ("^in\\.(.)", "\\1.one"),
        ("^(in)\\.(.)\\.(.)$", "two.\\3.\\^2"),
        ("^(in)\\.a\\.", "three"),
    ] {
        statements += &format!("aggregate {pattern} {compute} {to};\n");
    }
    // Aggregates enter at the top, and these are no inputs again.
    statements += "match ^in send to blackhole;\nmatch * send to default;\n";
    let made = |program| -> anyhow::Result<Vec<String>> {
        let second = now();
        let payload = format!("in.a.x 1 {second}\nin.a.y.z 2 {second}\n");
        let written = outcome(program, &statements, &payload, 7)?;
        let mut points: Vec<String> =
            written.lines().filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect();
        points.sort();
        Ok(points)
    };
    let expected = [
        "a.one.x 1.000000",
        "a.one.y.z 2.000000",
        "all 3.000000",
        "exact 1.000000",
        "threex 1.000000",
        "threey.z 2.000000",
        "two.x.A 1.000000",
    ];
    assert_eq!(made(Node)?, expected);
    assert_eq!(made(CRelay)?, expected);
    Ok(())
}

#[test]
fn aggregates_that_are_due_are_written_before_the_end() -> anyhow::Result<()> {
    let mut relays = Relays::new()?;
    relays.start(
        Node,
        "aggregate ^foo every 1 seconds expire after 2 seconds timestamp at start of bucket\n\
         compute sum write to aggregate.foo.bar send to default;\nmatch * send to default;\n",
        None,
    )?;
    let second = now();
    relays.send(format!("foo 1 {second}\nfoo 2 {second}\n"))?;
    skyline_tests::eventually_true(std::time::Duration::from_secs(5), "it is due", || now() >= second + 2)?;
    let (_, written) = relays.stop()?;
    let expected = format!("foo 1 {second}\nfoo 2 {second}\naggregate.foo.bar 3.000000 {second}\n");
    assert_eq!(written, expected);
    Ok(())
}

#[test]
fn circles_of_aggregates_end() -> anyhow::Result<()> {
    let mut relays = Relays::new()?;
    relays.start(
        Node,
        "aggregate ^a$ every 1 seconds expire after 2 seconds compute sum write to b;\n\
         aggregate ^b$ every 1 seconds expire after 2 seconds compute sum write to a;\n\
         match * send to default;\n",
        None,
    )?;
    relays.send(format!("a 1 {}\n", now()))?;
    relays.have_written(2)?;
    skyline_tests::eventually_true(std::time::Duration::from_secs(10), "it says why no more comes", || {
        relays.log(0).contains("an input of itself")
    })?;
    let (_, written) = relays.stop()?;
    let names: Vec<&str> = written.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["a", "b"]);
    Ok(())
}

#[test]
fn two_nodes_on_one_machine() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("relay.conf");
    std::fs::write(&file, format!("listen type linemode {}/sock proto unix;\n", folder.path().display()))?;
    let mut relays = Relays::new()?;
    relays.start(Node, "match * send to default;\n", None)?;
    let first = relays.folder().join("0.state");
    let refused = Command::new(node::binary()?)
        .args(["run", "--http-port", "0", "--c-relay-conf"])
        .arg(&file)
        .arg("--state-dir")
        .arg(&first)
        .output()?;
    let said = String::from_utf8_lossy(&refused.stderr);
    ensure!(!refused.status.success() && said.contains("--state-dir"), "{said}");
    Ok(())
}
