//! Email to a real server, read by an independent library.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/channels.rs"]
mod common;

use common::{KINDS, Nothing, ORIGINS, OnePixel, PNG, accepted, broken, message, refused, retried};
use serde_json::Value;
use skyline_alerting::channel::email::Email;
use skyline_alerting::message::{Kind, Origin};
use skyline_alerting::text::{Story, Style, name, number, time};
use skyline_alerting::{Channel as _, samples};
use skyline_conf::model::alerting::email::{Email as Settings, Tls};
use skyline_peers::exim::{Exim, LOGIN, Options};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

fn settings(port: u16) -> Settings {
    Settings {
        sender: "skyline@alerts.test".into(),
        host: "127.0.0.1".into(),
        port,
        hello_name: "node1.test".into(),
        timeout_seconds: 10.0,
        ..Settings::default()
    }
}

fn channel(settings: &Settings) -> Email {
    Email::new(settings, Style::default()).unwrap()
}

fn header<'a>(mail: &'a Value, name: &str) -> Option<&'a str> {
    let headers = mail["headers"].as_array().unwrap();
    headers.iter().find(|pair| pair[0] == name).map(|pair| pair[1].as_str().unwrap())
}

fn body<'a>(mail: &'a Value, content_type: &str) -> &'a str {
    let parts = mail["parts"].as_array().unwrap();
    parts.iter().find(|part| part["type"] == content_type).unwrap()["body"].as_str().unwrap()
}

/// What every mail must be.
#[track_caller]
fn must_be_well_made(mail: &Value) {
    assert_eq!(mail["defects"].as_array().unwrap().len(), 0, "{mail}");
    assert!(mail["longest"].as_u64().unwrap() <= 998, "a line of {}", mail["longest"]);
    for name in ["Message-ID", "Date", "From", "To", "Subject", "List-Id", "MIME-Version"] {
        let count = mail["headers"].as_array().unwrap().iter().filter(|pair| pair[0] == name).count();
        assert_eq!(count, 1, "{name}: {mail}");
    }
    assert_eq!(header(mail, "Auto-Submitted"), Some("auto-generated"));
    assert_eq!(header(mail, "List-Id"), Some("<alerts.alerts.test>"));
    assert_eq!(header(mail, "Return-path"), Some("<skyline@alerts.test>"));
    assert_eq!(header(mail, "Bcc"), None);
    assert_eq!(header(mail, "From"), Some("Skyline <skyline@alerts.test>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_every_origin_arrives_whole() {
    let exim = Exim::start().unwrap();
    let email = channel(&settings(exim.port));
    let mut sent = Vec::new();
    for kind in KINDS {
        for origin in ORIGINS {
            let message = message(kind, origin, "stats.web01.cpu", "ops@test");
            let (thread, answer) = accepted(email.deliver(&message, None, &OnePixel).await);
            assert!(answer.starts_with("250 OK id="), "{answer}");
            sent.push((message, thread.unwrap()));
        }
    }
    let mails = exim.read(sent.len()).unwrap();
    assert_eq!(mails.len(), sent.len());
    for (message, id) in sent {
        let mail = mails.iter().find(|mail| header(mail, "Message-ID") == Some(&id)).unwrap();
        must_be_well_made(mail);
        let story = Story::new(&message, &Style::default());
        assert_eq!(header(mail, "Subject"), Some(story.subject.as_str()));
        assert_eq!(header(mail, "To"), Some("ops@test"));
        assert_eq!(header(mail, "Envelope-to"), Some("ops@test"));
        assert_eq!(header(mail, "Date"), Some("Sun, 29 Nov 2026 13:25:10 +0000"));
        let text = body(mail, "text/plain").replace("\r\n", "\n");
        assert!(text.starts_with(&story.lead.plain()), "{text}");
        let about_metrics = message.kind.is_about_metrics();
        let types: Vec<_> =
            mail["parts"].as_array().unwrap().iter().map(|p| p["type"].as_str().unwrap()).collect();
        if about_metrics {
            let expected = [
                "multipart/alternative",
                "text/plain",
                "multipart/related",
                "text/html",
                "image/png",
                "image/png",
            ];
            assert_eq!(types, expected);
            facts_are_told(mail, &text, &message);
        } else {
            assert_eq!(types, ["multipart/alternative", "text/plain", "text/html"]);
        }
    }
}

/// The facts that the reference's mails have, and pictures by their ids.
#[track_caller]
fn facts_are_told(mail: &Value, text: &str, message: &skyline_alerting::Message) {
    let page = body(mail, "text/html");
    let shown = shown_text(page);
    let last = message.members.first().map_or(f64::NAN, |member| member.last);
    let (timestamp, at) = (number::exact(last), time::whole(last, &Style::default().zone));
    let mut facts = vec!["stats.web01.cpu", "98.4", timestamp.as_str(), at.as_str()];
    if message.repeat_seconds.is_some() && message.kind != Kind::Ended {
        facts.push("Next alert: in 30 min at the earliest");
    }
    facts.push(if message.origin == Origin::Mirage { "Window: 7 days" } else { "Window: 24 hours" });
    if message.origin == Origin::Boundary {
        facts.push("GREATER_THAN 60");
    } else {
        facts.extend(["Mean: 21.5", "3-sigma: 9.3", "Upper bound: 30.8", "Lower bound: 12.2"]);
    }
    for fact in facts {
        assert!(text.contains(fact), "{fact} is not in: {text}");
        let value = fact.rsplit(": ").next().unwrap();
        assert!(shown.contains(value), "{value} is not in: {shown}");
    }
    let png: String = PNG.iter().map(|byte| format!("{byte:02x}")).collect();
    for part in mail["parts"].as_array().unwrap().iter().filter(|part| part["type"] == "image/png") {
        assert_eq!(
            (part["body"].as_str(), part["disposition"].as_str()),
            (Some(png.as_str()), Some("inline"))
        );
        let id = part["id"].as_str().unwrap().trim_matches(['<', '>']);
        assert!(page.contains(&format!("src=\"cid:{id}\"")), "{id}");
    }
    let acts = message.kind != Kind::Ended;
    assert_eq!(page.contains("href=\"https://skyline.internal/act/acknowledge?t=1\""), acts);
    assert_eq!(text.contains("https://skyline.internal/act/mute?t=1"), acts);
    assert!(page.contains("href=\"https://skyline.internal/incidents/20261130-0001\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_an_incident_are_a_thread() {
    let exim = Exim::start().unwrap();
    let email = channel(&settings(exim.port));
    let opened = message(Kind::Opened, Origin::Analyzer, "a.b", "ops@test");
    let (first, _) = accepted(email.deliver(&opened, None, &Nothing).await);
    let first = first.unwrap();
    let ended = message(Kind::Ended, Origin::Analyzer, "a.b", "ops@test");
    let (again, _) = accepted(email.deliver(&ended, Some(&first), &Nothing).await);
    assert_eq!(again, None);
    // A second copy of the first has the same id.
    accepted(email.deliver(&opened, None, &OnePixel).await);
    let mails = exim.read(3).unwrap();
    let replies: Vec<_> = mails.iter().filter(|mail| header(mail, "In-Reply-To") == Some(&first)).collect();
    assert_eq!(replies.len(), 1);
    assert_eq!(header(replies[0], "References"), Some(first.as_str()));
    assert_eq!(mails.iter().filter(|mail| header(mail, "Message-ID") == Some(&first)).count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_strangers_are_shown_and_do_nothing() {
    let exim = Exim::start().unwrap();
    let email = channel(&settings(exim.port));
    let names = common::hostile();
    for metric in &names {
        let mut message =
            samples::with_company(message(Kind::Opened, Origin::Analyzer, metric, "ops@test"), &[metric]);
        message.rule.clone_from(metric);
        message.lines.push(metric.clone());
        accepted(email.deliver(&message, None, &OnePixel).await);
    }
    let mails = exim.read(names.len()).unwrap();
    for (mail, metric) in mails.iter().zip(&names) {
        must_be_well_made(mail);
        assert_eq!(header(mail, "Envelope-to"), Some("ops@test"));
        let seen = name::literal(metric);
        let subject = header(mail, "Subject").unwrap();
        let in_subject = name::shortened(&seen, 100);
        assert!(subject.contains(&in_subject), "{subject}");
        let text = body(mail, "text/plain");
        assert!(text.contains(&format!("Metric: {}", name::isolated(&seen))), "{text}");
        let page = body(mail, "text/html");
        let shown = shown_text(page);
        assert!(shown.contains(&seen), "{seen:?} is not in {shown}");
        for tag in ["<script", "<img src=x", "onerror=", "<b>alert"] {
            let in_tags = tags(page).iter().any(|t| t.contains(tag.trim_start_matches('<')));
            assert!(!in_tags, "{tag} in {metric}");
        }
        assert!(!text.contains('\0') && !text.contains('\u{1b}') && !text.contains('\u{202e}'));
    }
}

/// What is between tags, entities read.
fn shown_text(page: &str) -> String {
    let mut out = String::new();
    for piece in page.split('<') {
        out.push_str(piece.split_once('>').map_or("", |(_, text)| text));
    }
    out.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

/// What is in tags, without the texts of attributes.
fn tags(page: &str) -> Vec<String> {
    let without_values = |tag: &str| tag.split('"').step_by(2).collect::<String>();
    page.split('<').skip(1).map(|piece| without_values(piece.split('>').next().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_and_login() {
    let exim = Exim::start_with(Options { login: true, tls: true }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, LOGIN.1).unwrap();
    let with = |tls: Tls, host: &str| Settings {
        tls,
        host: host.into(),
        port: if tls == Tls::Tls { exim.tls_port } else { exim.port },
        ca_file: exim.authority(),
        user: LOGIN.0.into(),
        password_file: password.clone(),
        ..settings(0)
    };
    let message = message(Kind::Opened, Origin::Analyzer, "a.b", "ops@test");
    for (tls, host) in [(Tls::Starttls, "127.0.0.1"), (Tls::Tls, "localhost"), (Tls::None, "127.0.0.1")] {
        accepted(channel(&with(tls, host)).deliver(&message, None, &OnePixel).await);
    }
    exim.wait_for(3).unwrap();
    let log = exim.log();
    assert_eq!(log.matches(" A=plain:alerts").count(), 3, "{log}");
    assert_eq!(log.matches(" X=TLS").count(), 2, "{log}");

    std::fs::write(&password, "wrong").unwrap();
    let reason = broken(channel(&with(Tls::Starttls, "127.0.0.1")).deliver(&message, None, &Nothing).await);
    assert!(reason.contains("535") && reason.contains("alerting.email.user"), "{reason}");
    assert!(!reason.contains("wrong"), "{reason}");
    let nobody = Settings { user: String::new(), ..with(Tls::Starttls, "127.0.0.1") };
    let reason = refused(channel(&nobody).deliver(&message, None, &Nothing).await);
    assert!(reason.contains("log in first"), "{reason}");

    for tls in [Tls::Starttls, Tls::Tls] {
        let unknown = Settings { ca_file: "".into(), ..with(tls, "127.0.0.1") };
        let reason = retried(channel(&unknown).deliver(&message, None, &Nothing).await);
        assert!(reason.contains("alerting.email.ca_file"), "{reason}");
    }
    assert_eq!(exim.files().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_not_spoken_to_in_the_clear() {
    let exim = Exim::start().unwrap();
    let email = channel(&Settings { tls: Tls::Starttls, ca_file: exim.authority(), ..settings(exim.port) });
    let message = message(Kind::Opened, Origin::Analyzer, "a.b", "ops@test");
    let reason = broken(email.deliver(&message, None, &Nothing).await);
    assert!(reason.contains("offers no STARTTLS"), "{reason}");
    assert_eq!(exim.files().unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_stand_and_delays_are_retried() {
    let exim = Exim::start().unwrap();
    let email = channel(&settings(exim.port));
    let to = |recipient: &str| message(Kind::Opened, Origin::Analyzer, "a.b", recipient);
    let reason = refused(email.deliver(&to("refused@test"), None, &Nothing).await);
    assert!(reason.contains("550") && reason.contains("no such user here"), "{reason}");
    let reason = refused(email.deliver(&to("spam@test"), None, &Nothing).await);
    assert!(reason.contains("this looks like spam"), "{reason}");
    let reason = retried(email.deliver(&to("full@test"), None, &Nothing).await);
    assert!(reason.contains("452") || reason.contains("451"), "{reason}");
    let reason = retried(email.deliver(&to("grey@test"), None, &Nothing).await);
    assert!(reason.contains("greylisted"), "{reason}");
    exim.let_grey_pass().unwrap();
    accepted(email.deliver(&to("grey@test"), None, &Nothing).await);
    let reason = refused(email.deliver(&to("no address"), None, &Nothing).await);
    assert!(reason.contains("no address of a mailbox"), "{reason}");
    accepted(email.deliver(&to("Ops <ops@test>"), None, &Nothing).await);
    assert_eq!(exim.read(2).unwrap().len(), 2);
    // All of that was said on one connection.
    assert_eq!(exim.log().matches("rejected RCPT").count(), 3, "{}", exim.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_is_used_again_and_replaced_when_it_is_gone() {
    let mut exim = Exim::start().unwrap();
    let email = channel(&settings(exim.port));
    let message = message(Kind::Opened, Origin::Analyzer, "a.b", "ops@test");
    accepted(email.deliver(&message, None, &Nothing).await);
    accepted(email.deliver(&message, None, &Nothing).await);
    exim.stop().unwrap();
    let reason = retried(email.deliver(&message, None, &Nothing).await);
    assert!(reason.contains("127.0.0.1"), "{reason}");
    exim.start_again().unwrap();
    accepted(email.deliver(&message, None, &Nothing).await);
    exim.wait_for(3).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_accepted_at_once() {
    let exim = Exim::start_with(Options { login: true, tls: true }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let password_file = folder.path().join("password");
    std::fs::write(&password_file, LOGIN.1).unwrap();
    let (ca_file, user) = (exim.authority(), LOGIN.0.to_owned());
    let settings = Settings { tls: Tls::Starttls, ca_file, user, password_file, ..settings(exim.port) };
    let email = channel(&settings);
    let mut times = Vec::new();
    for i in 0..100 {
        let message = message(Kind::Opened, Origin::Analyzer, &format!("a.{i}"), "ops@test");
        let start = Instant::now();
        accepted(email.deliver(&message, None, &OnePixel).await);
        times.push(start.elapsed());
    }
    times.sort();
    println!("until accepted: median {:?}, 99 of 100 {:?}, longest {:?}", times[50], times[98], times[99]);
    assert!(times[98] < Duration::from_secs(1), "{times:?}");
    exim.wait_for(100).unwrap();
}

/// A server that says its lines one by one, after each line that it reads, and then closes or hangs.
fn scripted(lines: &'static [&'static str], hangs: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut writer = stream;
        for line in lines {
            writer.write_all(format!("{line}\r\n").as_bytes()).unwrap();
            let mut said = String::new();
            reader.read_line(&mut said).unwrap();
        }
        if hangs {
            // Until the other side gives up.
            let mut rest = String::new();
            while reader.read_line(&mut rest).is_ok_and(|n| n > 0) {}
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_hang_or_close_hold_nobody_up() {
    let message = message(Kind::Opened, Origin::Analyzer, "a.b", "ops@test");
    let begin: &[&str] = &["220 hello", "250 hello", "250 sender", "250 recipient", "354 go on"];
    for (lines, hangs, expected) in [
        (&[][..], true, "connecting"),
        (&["220 hello"][..], true, "connecting"),
        (&["554 go away"][..], false, "go away"),
        (&["421 too busy"][..], false, "too busy"),
        (&begin[..3], true, "RCPT TO"),
        (begin, true, "the end of the mail"),
        (begin, false, ""),
        (&["220 hello", "250 hello", "421 closing"][..], false, "closing"),
        (&["garbage"][..], false, ""),
    ] {
        let email = channel(&Settings { timeout_seconds: 0.3, ..settings(scripted(lines, hangs)) });
        let start = Instant::now();
        let reason = retried(email.deliver(&message, None, &Nothing).await);
        assert!(reason.contains(expected), "{lines:?}: {reason}");
        assert!(start.elapsed() < Duration::from_secs(4), "{lines:?} took {:?}", start.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_greeting_without_an_end_is_cut() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (piece, mut sent) = ([b'x'; 64 << 10], 0);
        while sent < 1 << 30 && stream.write_all(&piece).is_ok() {
            sent += piece.len();
        }
        sent
    });
    let message = message(Kind::Opened, Origin::Analyzer, "a.b", "ops@test");
    let email = channel(&Settings { timeout_seconds: 5.0, ..settings(port) });
    let reason = retried(email.deliver(&message, None, &Nothing).await);
    assert!(reason.contains("the answer has more than 256 KiB"), "{reason}");
    // With what the system holds on its way.
    assert!(server.join().unwrap() < 64 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_said_at_once() {
    let check = |settings: Settings, expected: &str| {
        let problem = Email::new(&settings, Style::default()).unwrap_err().to_string();
        assert!(problem.contains(expected), "{problem}");
    };
    check(Settings { sender: "nobody".into(), ..settings(25) }, "is no address");
    check(Settings { tls: Tls::Tls, ca_file: "/no/such.pem".into(), ..settings(25) }, "/no/such.pem");
    check(Settings { password_env: "SKYLINE_NO_SUCH".into(), ..settings(25) }, "SKYLINE_NO_SUCH");
}
