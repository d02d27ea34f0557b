//! `skyline alert test`: every channel from the command line, to real and to strict servers; what is printed, and the
//! exit code.
#![expect(clippy::unwrap_used, reason = "functions of a test: a failure is the finding")]

use skyline_peers::exim::{Exim, LOGIN, Options};
use skyline_peers::http::{Reply, Server};
use skyline_peers::pagerduty::{PagerDuty, ROUTING_KEY};
use skyline_peers::slack::{Slack, TOKEN, Trouble};
use skyline_tests::node;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

fn written(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let file = folder.path().join(name);
    std::fs::write(&file, text).unwrap();
    file
}

/// What the command prints, and whether its exit code says that all is well.
fn run(settings: &Path, arguments: &[&str]) -> (String, bool) {
    let mut command = Command::new("timeout");
    command
        .arg("60")
        .arg(node::binary().unwrap())
        .args(["alert", "test", "--config"])
        .arg(settings)
        .args(arguments);
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8(text).unwrap(), output.status.success())
}

#[track_caller]
fn works(settings: &Path, arguments: &[&str], expected: &[&str]) -> String {
    let (text, is_good) = run(settings, arguments);
    assert!(is_good, "{text}");
    for part in expected {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    text
}

#[track_caller]
fn fails(settings: &Path, arguments: &[&str], expected: &[&str]) {
    let (text, is_good) = run(settings, arguments);
    assert!(!is_good, "{text}");
    for part in expected {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

const CONTEXTS: [&str; 4] = ["analyzer", "mirage", "ionosphere", "boundary"];

#[test]
fn by_email() {
    let exim = Exim::start_with(Options { login: true, tls: true }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let password = written(&folder, "password", LOGIN.1);
    let text = format!(
        "[alerting.email]\nsender = \"skyline@a.test\"\ndefault_recipients = [\"ops@test\", \"two@test\"]\nport = {}\n\
         tls = \"starttls\"\nca_file = {:?}\nuser = {:?}\npassword_file = {password:?}\n",
        exim.port,
        exim.authority(),
        LOGIN.0
    );
    let settings = written(&folder, "skyline.toml", &text);
    for context in CONTEXTS {
        let expected = ["ops@test: accepted after", "two@test: accepted after", "250 OK", "all accepted it"];
        works(&settings, &["--channel", "email", "--metric", "a.<b>", "--context", context], &expected);
    }
    for mail in exim.read(8).unwrap() {
        let shown = mail.to_string();
        assert!(shown.contains("TEST - ") && shown.contains("This is a test, nothing is wrong."), "{shown}");
        let picture =
            mail["parts"].as_array().unwrap().iter().find(|part| part["type"] == "image/png").unwrap();
        assert!(picture["body"].as_str().unwrap().len() > 10_000, "a real picture");
    }
    let refused = ["--channel", "email", "--recipient", "refused@test", "--recipient", "ops@test"];
    fails(
        &settings,
        &refused,
        &["refused@test: refused", "no such user here", "ops@test: accepted", "not work for all"],
    );
    std::fs::write(&password, "wrong").unwrap();
    fails(&settings, &["--channel", "email"], &["535", "alerting.email.user"]);
    fails(&settings, &["--channel", "slack"], &["`slack` is not configured", "email"]);
    let example = written(&folder, "example.toml", &text.replace("ops@test", "ops@your_domain.com"));
    fails(&example, &["--channel", "email"], &["placeholder"]);
    let dry = written(&folder, "dry.toml", &format!("alerting.dry_run = true\n{text}"));
    fails(&dry, &["--channel", "email"], &["alerting.dry_run"]);
}

#[test]
fn by_slack() {
    let (server, folder) = (Slack::start().unwrap(), tempfile::tempdir().unwrap());
    let token = written(&folder, "token", TOKEN);
    let text = format!(
        "[alerting.slack]\ntoken_file = {token:?}\ndefault_channel = \"C1\"\napi_url = {:?}\nextra_tries = 1\n",
        server.api_url()
    );
    let settings = written(&folder, "skyline.toml", &text);
    for context in CONTEXTS {
        let expected = ["C1: accepted after", "all accepted it"];
        let said = works(&settings, &["--channel", "slack", "--context", context], &expected);
        assert!(!said.contains(TOKEN), "{said}");
    }
    assert_eq!((server.messages().len(), server.pictures().len()), (4, 4));
    assert_eq!(server.violations(), Vec::<String>::new());
    server.trouble("upload", &[Trouble::Status(500)]);
    fails(&settings, &["--channel", "slack"], &["C1: accepted after", "failed: picture"]);
    let wrong = ["--channel", "slack", "--recipient", "nowhere"];
    fails(&settings, &wrong, &["nowhere: refused", "channel_not_found"]);
}

#[test]
fn by_pagerduty_and_webhooks() {
    let (duty, folder) = (PagerDuty::start().unwrap(), tempfile::tempdir().unwrap());
    let hook = Server::start(|_| Reply::text(200, "")).unwrap();
    let broken = Server::start(|_| Reply::text(503, "in repair")).unwrap();
    let key = written(&folder, "key", ROUTING_KEY);
    let text = format!(
        "[alerting.pagerduty]\nrouting_key_file = {key:?}\nurl = {:?}\n[[alerting.webhook]]\nname = \"one\"\nurl = {:?}\n\
         [[alerting.webhook]]\nname = \"two\"\nurl = {:?}\n",
        duty.url(),
        hook.url(),
        broken.url()
    );
    let settings = written(&folder, "skyline.toml", &text);
    works(&settings, &["--channel", "pagerduty"], &["pagerduty: accepted", "202"]);
    assert_eq!(duty.events().len(), 2);
    assert_eq!(duty.open(), Vec::<String>::new());
    works(&settings, &["--channel", "one"], &["one: accepted", "200 OK"]);
    fails(&settings, &["--channel", "two"], &["two: not accepted now", "503", "in repair"]);
}

#[test]
fn by_syslog() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("log");
    let daemon = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    let text = format!("[record.syslog]\nenabled = true\naddress = {socket:?}\n");
    let settings = written(&folder, "skyline.toml", &text);
    works(&settings, &["--channel", "syslog", "--metric", "a\nb"], &["sent"]);
    let mut line = [0; 2048];
    let length = daemon.recv(&mut line).unwrap();
    let line = String::from_utf8_lossy(line.get(..length).unwrap());
    assert!(
        line.starts_with("<164>1 ") && line.ends_with("a\\nb: this is a test, nothing is wrong"),
        "{line}"
    );
    let off = written(&folder, "off.toml", "");
    fails(&off, &["--channel", "syslog"], &["record.syslog.enabled"]);
}
