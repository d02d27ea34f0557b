//! Both kinds of servers behind TLS, an own authority, passwords, tokens and certificates of clients; and what is said when
//! one of these is wrong.

use crate::rig::{LIMIT, at, job, job_is, most_failures, number, said, vista};
use anyhow::{Context as _, ensure};
use serde_json::Value;
use skyline_peers::graphite_web::GraphiteWeb;
use skyline_peers::nginx::Nginx;
use skyline_peers::prometheus::{PASSWORD, Prometheus, USER};
use skyline_tests::authority::Authority;
use skyline_tests::node::Setup;
use skyline_tests::peer::sink::{Protocol, Sink};
use skyline_tests::{eventually_true, now, port};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;
use tempfile::TempDir;

const TOKEN: &str = "a-token-of-a-test";
const STEP: i64 = 10;

/// A Prometheus that wants a certificate and a password, and a graphite-web behind an nginx that wants a password or a
/// token, both with TLS.
struct Guarded {
    _folder: TempDir,
    prometheus: Prometheus,
    _graphite: GraphiteWeb,
    nginx: Nginx,
    ca: PathBuf,
    /// Our certificate.
    client: PathBuf,
    /// Where nginx has a certificate that has ended, and one for another host.
    expired: SocketAddr,
    other: SocketAddr,
    points: BTreeMap<i64, f64>,
}

impl Guarded {
    fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let authority = Authority::new(folder.path())?;
        let server = authority.certificate("localhost", 2090)?;
        let client = authority.certificate("skyline", 2090)?;
        let from = (now() - 1_200) / 60 * 60;
        let points: Vec<_> =
            (from..now() + 300).step_by(STEP as usize).map(|ts| (ts, (ts % 997) as f64)).collect();
        let (pem, ca) = (server.display(), authority.ca());
        let web = format!(
            "tls_server_config: {{ cert_file: '{pem}', key_file: '{pem}', client_ca_file: '{}', \
             client_auth_type: RequireAndVerifyClientCert }}\n",
            ca.display()
        );
        let prometheus = Prometheus::holding_behind("load", &[("{job=\"a\"}", &points)], &web)?;
        let graphite = GraphiteWeb::start()?;
        graphite.write(STEP as u32, &[("shop.checkout", &points)])?;
        let (expired, other) = (port::free(), port::free());
        let ended = authority.certificate("localhost", 2020)?;
        let stranger = authority.certificate("elsewhere", 2090)?;
        let nginx = Nginx::start(|folder, address| {
            let path = folder.display();
            std::fs::write(folder.join("users"), format!("{USER}:{{PLAIN}}{PASSWORD}\n"))?;
            let server = |address: SocketAddr, pem: &PathBuf| {
                let (pem, upstream) = (pem.display(), graphite.address);
                format!(
                    "server {{ listen {address} ssl; ssl_certificate {pem}; ssl_certificate_key {pem};\n\
                     location /basic/ {{ auth_basic x; auth_basic_user_file {path}/users; \
                     access_log {path}/basic.log; proxy_pass http://{upstream}/; }}\n\
                     location /token/ {{ access_log {path}/token.log; \
                     if ($http_authorization != \"Bearer {TOKEN}\") {{ return 401; }} \
                     proxy_pass http://{upstream}/; }} }}\n"
                )
            };
            Ok(server(address, &server_pem(&authority))
                + &server(expired, &ended)
                + &server(other, &stranger))
        })?;
        let points = points.into_iter().collect();
        Ok(Self {
            _folder: folder,
            prometheus,
            _graphite: graphite,
            nginx,
            ca,
            client,
            expired,
            other,
            points,
        })
    }

    fn basic(&self) -> String {
        self.graphite(
            "basic",
            self.nginx.address,
            &format!("user = \"{USER}\", password_file = \"password\""),
        )
    }

    /// A job of the graphite-web: its settings.
    fn graphite(&self, path: &str, address: SocketAddr, credentials: &str) -> String {
        format!(
            "url = \"https://localhost:{}/{path}\", target = \"shop.checkout\", history = [\"30minutes\"], {credentials}",
            address.port()
        )
    }

    fn prometheus(&self, credentials: &str) -> String {
        format!(
            "kind = \"prometheus\", url = \"https://localhost:{}\", target = \"load\", step_seconds = {STEP}, \
             history = [\"30minutes\"], {credentials}",
            self.prometheus.address.port()
        )
    }

    fn trusted(&self) -> String {
        format!("ca_file = {:?}", self.ca)
    }

    /// Questions that nginx has seen at a path, by status.
    fn seen(&self, path: &str, status: u16) -> usize {
        let log =
            std::fs::read_to_string(self.nginx.folder().join(format!("{path}.log"))).unwrap_or_default();
        log.lines().filter(|line| line.contains(&format!("\" {status} "))).count()
    }
}

fn server_pem(authority: &Authority) -> PathBuf {
    authority.ca().with_file_name("localhost-2090.pem")
}

fn setup(sink: &Sink, jobs: &[(&str, String)]) -> Setup {
    let job = |(name, settings): &(&str, String)| {
        format!("{{ name = \"{name}\", store_as = \"got.{name}\", every_seconds = 1, {settings} }}")
    };
    let jobs: Vec<_> = jobs.iter().map(job).collect();
    Setup::window()
        .file("password", PASSWORD)
        .file("wrong", "another-password")
        .file("token", TOKEN)
        .with("relay.destinations", format!("[{:?}]", sink.destination()))
        .with("vista.enabled", true)
        .with("vista.fetch", format!("[{}]", jobs.join(", ")))
}

#[test]
fn both_kinds_with_credentials_and_tls() -> anyhow::Result<()> {
    let (guarded, sink) = (Guarded::start()?, Sink::start(Protocol::Lines)?);
    let ca = guarded.trusted();
    let shown = format!("certificate_file = {:?}", guarded.client);
    let node = setup(
        &sink,
        &[
            ("basic", format!("{}, {ca}", guarded.basic())),
            (
                "token",
                guarded.graphite("token", guarded.nginx.address, &format!("token_file = \"token\", {ca}")),
            ),
            (
                "header",
                guarded.graphite(
                    "token",
                    guarded.nginx.address,
                    &format!("headers = [{{ name = \"Authorization\", value = \"Bearer {TOKEN}\" }}], {ca}"),
                ),
            ),
            (
                "mutual",
                guarded
                    .prometheus(&format!("user = \"{USER}\", password_file = \"password\", {ca}, {shown}")),
            ),
        ],
    )
    .start()?;
    for name in ["basic", "token", "header", "mutual"] {
        let done = job_is(&node, name, "two runs", |job| number(job, "/runs") >= 2)?;
        let until = number(&done, "/asked_until");
        let expected: BTreeMap<_, _> =
            guarded.points.range(..=until).map(|(ts, value)| (*ts, *value)).collect();
        let stored = format!("got.{name}");
        eventually_true(LIMIT, "all of it", || at(&sink, &stored).len() >= expected.len())?;
        crate::rig::same(&stored, "the sink", &at(&sink, &stored), &expected)?;
        let output = vista(&node, &["test", name])?;
        ensure!(output.status.success() && said(&output).contains("-> got."), "{}", said(&output));
        ensure!(done["failures"] == serde_json::json!({}), "{done}");
    }
    let all = node.process.log() + &said(&vista(&node, &["status", "--json"])?);
    ensure!(!all.contains(PASSWORD) && !all.contains(TOKEN), "a secret is shown: {all}");
    node.balanced()?;
    Ok(())
}

/// Name of a job, its settings, the kind of its failure, and words of that.
type Wrong = (&'static str, String, &'static str, [&'static str; 2]);

fn wrongs(guarded: &Guarded) -> Vec<Wrong> {
    let ca = guarded.trusted();
    let wrong = "password_file = \"wrong\"";
    let right = format!("user = \"{USER}\", password_file = \"password\"");
    let shown = format!("certificate_file = {:?}", guarded.client);
    vec![
        (
            "password",
            guarded.graphite("basic", guarded.nginx.address, &format!("user = \"{USER}\", {wrong}, {ca}")),
            "status",
            ["it answered 401", "user and password_file"],
        ),
        (
            "token",
            guarded.graphite("token", guarded.nginx.address, &format!("token_file = \"wrong\", {ca}")),
            "status",
            ["it answered 401", "token_file"],
        ),
        ("nobody", guarded.graphite("token", guarded.nginx.address, &ca), "status", ["401", "token_file"]),
        ("authority", guarded.basic(), "tls", ["TLS failed", "(ca_file)"]),
        (
            "expired",
            guarded.graphite("basic", guarded.expired, &format!("{right}, {ca}")),
            "tls",
            ["TLS failed", "renew its certificate"],
        ),
        (
            "stranger",
            guarded.graphite("basic", guarded.other, &format!("{right}, {ca}")),
            "tls",
            ["TLS failed", "by a name that its certificate holds"],
        ),
        (
            "uncertified",
            guarded.prometheus(&format!("{right}, {ca}")),
            "tls",
            ["TLS failed", "(certificate_file)"],
        ),
        (
            "scrape",
            guarded.prometheus(&format!("user = \"{USER}\", {wrong}, {ca}, {shown}")),
            "status",
            ["it answered 401", "user and password_file"],
        ),
    ]
}

#[test]
fn what_is_wrong_is_said_and_nobody_is_pressed() -> anyhow::Result<()> {
    let (guarded, sink) = (Guarded::start()?, Sink::start(Protocol::Lines)?);
    let (ca, wrongs) = (guarded.trusted(), wrongs(&guarded));
    let mut jobs: Vec<_> = wrongs.iter().map(|(name, settings, ..)| (*name, settings.clone())).collect();
    jobs.push(("good", format!("{}, {ca}", guarded.basic())));
    let start = Instant::now();
    let node = setup(&sink, &jobs).start()?;
    for (name, _, kind, words) in &wrongs {
        let failing =
            job_is(&node, name, "it has failed twice", |job| number(job, "/failures_in_a_row") >= 2)?;
        let error = failing["last_error"].as_str().unwrap_or_default().to_owned();
        let output = said(&vista(&node, &["test", name])?);
        for word in words {
            ensure!(error.contains(word) && output.contains(word), "{name}: {error}\n{output}");
        }
        ensure!(number(&failing, &format!("/failures/{kind}")) >= 2, "{name}: {failing}");
        let counted = node.metrics()?.sum("skyline_vista_failures_total", &[("job", name), ("kind", kind)]);
        ensure!(counted >= 2.0, "{name}: {counted}");
        let status = said(&vista(&node, &["status"])?);
        ensure!(status.contains(&format!("{name}: failing")) && status.contains(words[0]), "{status}");
        // Told once.
        let log = node.process.log();
        let named =
            |line: &&str| line.contains("a vista job fails") && line.contains(&format!("vista job {name} ("));
        let told: Vec<_> = log.lines().filter(named).collect();
        ensure!(
            told.len() == 1 && words.iter().all(|word| told[0].contains(word)),
            "{name}: {told:?}\n{log}"
        );
    }
    // The good one has its points, and was not disturbed.
    let good = job_is(&node, "good", "it runs", |job| number(job, "/runs") >= 3)?;
    ensure!(good["failures"] == Value::Object(Default::default()), "{good}");
    ensure!(at(&sink, "got.good").len() > 100, "the good job has brought nothing");
    ensure!(sink.names() == ["got.good"], "{:?}", sink.names());

    for name in ["password", "token", "nobody"] {
        job_is(&node, name, "it fails on", |job| number(job, "/failures_in_a_row") >= 4)?;
    }
    let asked = ["basic", "token"].map(|path| guarded.seen(path, 401) as i64);
    // `vista test` asked once as well.
    let (most, passed) = (1 + most_failures(start), start.elapsed().as_secs());
    println!("{asked:?} questions with a wrong password and tokens in {passed} s");
    ensure!((5..=most).contains(&asked[0]), "{asked:?} questions in {passed} s, more than {most}");
    ensure!(
        (10..=2 * most).contains(&asked[1]),
        "{asked:?} questions in {passed} s, more than {most} of each"
    );
    let job = job(&node, "password").context("the job")?;
    let all = node.process.log() + &said(&vista(&node, &["status", "--json"])?) + &job.to_string();
    ensure!(![PASSWORD, TOKEN, "another-password"].iter().any(|secret| all.contains(secret)), "shown: {all}");
    ensure!(!all.to_lowercase().contains("basic cm"), "shown: {all}");
    node.balanced()?;
    Ok(())
}
