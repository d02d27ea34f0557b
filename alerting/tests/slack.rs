//! Slack against a strict fake of it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/channels.rs"]
mod common;

use common::{KINDS, Nothing, ORIGINS, OnePixel, PNG, accepted, broken, message, refused, retried};
use skyline_alerting::channel::slack::Slack;
use skyline_alerting::channel::{Delivery, Gallery, Later};
use skyline_alerting::message::{Kind, Message, Origin, Pictures};
use skyline_alerting::text::{Story, Style, name};
use skyline_alerting::{Channel as _, samples};
use skyline_conf::model::alerting::slack::Slack as Settings;
use skyline_peers::slack::{Slack as Server, TOKEN, Trouble, seen};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn settings(server: &Server, folder: &Path, token: &str) -> Settings {
    let file = folder.join("token");
    std::fs::write(&file, token).unwrap();
    Settings { token_file: file, api_url: server.api_url(), timeout_seconds: 5.0, ..Settings::default() }
}

fn start() -> (Server, TempDir, Slack) {
    let (server, folder) = (Server::start().unwrap(), tempfile::tempdir().unwrap());
    let slack = Slack::new(&settings(&server, folder.path(), TOKEN), Style::default()).unwrap();
    (server, folder, slack)
}

#[track_caller]
fn must_be_understood(server: &Server) {
    assert_eq!(server.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_every_origin_is_a_message_with_its_picture() {
    let (server, _folder, slack) = start();
    for kind in KINDS {
        for origin in ORIGINS {
            let message = message(kind, origin, "stats.web01.cpu", "#ops");
            let (thread, _) = accepted(slack.deliver(&message, None, &OnePixel).await);
            assert_eq!(slack.settle().await, Vec::<String>::new());
            let posted = server.messages().pop().unwrap();
            assert_eq!(thread.unwrap(), format!("C1:{}", posted.ts));
            let story = Story::new(&message, &Style::default());
            let text = seen(&posted.body);
            assert!(text.contains(&story.lead.plain()), "{text}");
            for label in ["Anomalous at", "Algorithms", "Window", "Next alert"] {
                let fact = story.facts.iter().find(|fact| fact.label == label);
                assert!(
                    fact.is_none_or(|fact| text.contains(&fact.value.plain())),
                    "{label} is not in {text}"
                );
            }
            let about_metrics = kind.is_about_metrics();
            let pictures: Vec<_> =
                server.pictures().into_iter().filter(|picture| picture.thread == posted.ts).collect();
            assert_eq!(pictures.len(), if about_metrics { 2 } else { 0 });
            for picture in &pictures {
                assert_eq!((picture.channel.as_str(), picture.bytes.as_slice()), ("C1", PNG));
            }
            let buttons = posted.body["blocks"].to_string().matches("\"button\"").count();
            let expected = match (about_metrics, kind) {
                (false, _) => 0,
                (true, Kind::Ended) => 2,
                (true, _) => 4,
            };
            assert_eq!(buttons, expected);
        }
    }
    must_be_understood(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_one_message_and_its_thread() {
    let (server, _folder, slack) = start();
    let opened = message(Kind::Opened, Origin::Analyzer, "a.b", "C2");
    let (root, _) = accepted(slack.deliver(&opened, None, &OnePixel).await);
    let root = root.unwrap();
    for (kind, replies) in [(Kind::Updated, 1), (Kind::Escalated, 2), (Kind::Ended, 3)] {
        let mut message = message(kind, Origin::Analyzer, "a.b", "C2");
        message = samples::with_company(message, &["a.c", "a.d"]);
        let (thread, _) = accepted(slack.deliver(&message, Some(&root), &OnePixel).await);
        assert_eq!(thread, None);
        assert_eq!(slack.settle().await, Vec::<String>::new());
        let messages = server.messages();
        assert_eq!(messages.iter().filter(|message| message.thread.is_none()).count(), 1);
        let thread = messages.iter().filter(|message| message.thread.as_deref() == Some(&messages[0].ts));
        assert_eq!(thread.count(), replies);
        assert_eq!(messages[0].edits, replies);
        let story = Story::new(&message, &Style::default());
        assert!(
            seen(&messages[0].body).contains(&story.lead.plain()),
            "the first message says how it stands"
        );
    }
    let first = &server.messages()[0];
    assert_eq!(first.reactions, ["rotating_light", "heavy_check_mark"]);
    assert!(seen(&first.body).contains("ENDED"));
    // The reaction is there already: that is well.
    let ended = message(Kind::Ended, Origin::Analyzer, "a.b", "C2");
    accepted(slack.deliver(&ended, Some(&root), &Nothing).await);
    assert_eq!(slack.settle().await, Vec::<String>::new());
    must_be_understood(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_that_is_acknowledged_is_marked_at_its_first_message() {
    let (server, folder) = (Server::start().unwrap(), tempfile::tempdir().unwrap());
    let settings = Settings { extra_tries: 2, ..settings(&server, folder.path(), TOKEN) };
    let slack = Slack::new(&settings, Style::default()).unwrap();
    let (root, _) =
        accepted(slack.deliver(&message(Kind::Opened, Origin::Analyzer, "a.b", "C2"), None, &Nothing).await);
    let root = root.unwrap();
    // It is tried again, and one that is there already is well.
    server.trouble("reactions.add", &[Trouble::TooMany(1)]);
    slack.acknowledged(&root);
    assert_eq!(slack.settle().await, Vec::<String>::new());
    slack.acknowledged(&root);
    assert_eq!(slack.settle().await, Vec::<String>::new());
    assert_eq!(server.messages()[0].reactions, ["eyes"]);
    must_be_understood(&server);
    // One that fails for good is said, and nothing is posted for it.
    server.trouble("reactions.add", &[Trouble::Code("missing_scope")]);
    slack.acknowledged(&root);
    let problems = slack.settle().await;
    assert!(problems.len() == 1 && problems[0].starts_with("reaction: "), "{problems:?}");
    assert!(problems[0].contains("reactions:write"), "{problems:?}");
    server.trouble("reactions.add", &[Trouble::Status(500), Trouble::Status(500)]);
    let ended = message(Kind::Ended, Origin::Analyzer, "a.b", "C2");
    accepted(slack.deliver(&ended, Some(&root), &Nothing).await);
    assert_eq!(slack.settle().await.len(), 1);
    slack.acknowledged("no thread of ours");
    assert_eq!(slack.settle().await, Vec::<String>::new());
    let calls = server.calls();
    let count = |method: &str| calls.iter().filter(|call| *call == method).count();
    assert_eq!((count("chat.postMessage"), count("reactions.add")), (2, 6));
    // Without an emoji there is no call.
    let none = Settings { acknowledged_emoji: String::new(), ..settings };
    let quiet = Slack::new(&none, Style::default()).unwrap();
    quiet.acknowledged(&root);
    assert_eq!((quiet.settle().await, server.calls().len()), (Vec::new(), calls.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_somebody_removed_begins_anew() {
    let (server, _folder, slack) = start();
    let (root, _) =
        accepted(slack.deliver(&message(Kind::Opened, Origin::Analyzer, "a", "ops"), None, &Nothing).await);
    let root = root.unwrap();
    server.remove(root.split_once(':').unwrap().1);
    let update = message(Kind::Updated, Origin::Analyzer, "a", "ops");
    let (again, _) = accepted(slack.deliver(&update, Some(&root), &Nothing).await);
    let again = again.unwrap();
    assert_ne!(again, root);
    accepted(slack.deliver(&update, Some(&again), &Nothing).await);
    assert_eq!(slack.settle().await, Vec::<String>::new());
    must_be_understood(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_strangers_are_shown_and_do_nothing() {
    let (server, _folder, slack) = start();
    for metric in common::hostile() {
        let mut message = message(Kind::Opened, Origin::Boundary, &metric, "ops");
        message = samples::with_company(message, &[&metric]);
        message.rule.clone_from(&metric);
        message.lines.push(metric.clone());
        let (root, _) = accepted(slack.deliver(&message, None, &OnePixel).await);
        message.kind = Kind::Ended;
        accepted(slack.deliver(&message, root.as_deref(), &Nothing).await);
        assert_eq!(slack.settle().await, Vec::<String>::new());
        for posted in server.messages().iter().rev().take(2) {
            let text = seen(&posted.body);
            let literal = name::literal(&metric);
            assert!(text.contains(&literal), "{literal:?} is not in {text:?}");
            assert!(!text.contains(['\0', '\r', '\u{1b}', '\u{202e}']));
        }
    }
    // The fake accepts only elements without mark-up, and no open `<`, `>` or `&` in texts.
    must_be_understood(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn troubles_of_the_text_are_told_apart() {
    let (server, _folder, slack) = start();
    let to = |recipient: &str| message(Kind::Opened, Origin::Analyzer, "a.b", recipient);
    server.trouble("chat.postMessage", &[Trouble::TooMany(7)]);
    match slack.deliver(&to("ops"), None, &Nothing).await {
        Delivery::Retry { after, reason } => {
            assert_eq!(after, Some(Duration::from_secs(7)));
            assert!(reason.contains("7 s"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    for (trouble, expected) in [
        (Trouble::Status(500), "500"),
        (Trouble::Status(503), "503"),
        (Trouble::Broken, "not what Slack says"),
        (Trouble::Code("internal_error"), "internal_error"),
        (Trouble::Code("service_unavailable"), "service_unavailable"),
    ] {
        server.trouble("chat.postMessage", &[trouble]);
        let reason = retried(slack.deliver(&to("ops"), None, &Nothing).await);
        assert!(reason.contains(expected), "{reason}");
    }
    server.trouble("chat.postMessage", &[Trouble::Code("not_in_channel")]);
    let reason = refused(slack.deliver(&to("ops"), None, &Nothing).await);
    assert!(reason.contains("not_in_channel") && reason.contains("invite"), "{reason}");
    for (code, advice) in [("missing_scope", "chat:write"), ("token_revoked", "token_file")] {
        server.trouble("chat.postMessage", &[Trouble::Code(code)]);
        let reason = broken(slack.deliver(&to("ops"), None, &Nothing).await);
        assert!(reason.contains(code) && reason.contains(advice), "{reason}");
    }
    let reason = refused(slack.deliver(&to("#nowhere"), None, &Nothing).await);
    assert!(reason.contains("#nowhere") && reason.contains("the channel's id"), "{reason}");
    let reason = refused(slack.deliver(&to("archived"), None, &Nothing).await);
    assert!(reason.contains("is_archived"), "{reason}");
    assert_eq!(server.messages().len(), 0);
    accepted(slack.deliver(&to("ops"), None, &Nothing).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_said_and_never_shown() {
    let (server, folder) = (Server::start().unwrap(), tempfile::tempdir().unwrap());
    let slack = Slack::new(&settings(&server, folder.path(), "xoxb-wrong-one"), Style::default()).unwrap();
    let reason =
        broken(slack.deliver(&message(Kind::Opened, Origin::Analyzer, "a", "ops"), None, &Nothing).await);
    assert!(reason.contains("invalid_auth"), "{reason}");
    assert!(!reason.contains("xoxb-wrong") && !format!("{slack:?}").contains("xoxb-wrong"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slack_that_hangs_holds_nobody_up() {
    let (server, folder) = (Server::start().unwrap(), tempfile::tempdir().unwrap());
    let settings = Settings { timeout_seconds: 0.3, ..settings(&server, folder.path(), TOKEN) };
    let slack = Slack::new(&settings, Style::default()).unwrap();
    server.trouble("chat.postMessage", &[Trouble::Hang]);
    let message = message(Kind::Opened, Origin::Analyzer, "a", "ops");
    let start = Instant::now();
    let reason = retried(slack.deliver(&message, None, &Nothing).await);
    assert!(reason.contains("within 0.3 s"), "{reason}");
    assert!(start.elapsed() < Duration::from_secs(3));
    accepted(slack.deliver(&message, None, &Nothing).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_an_end_is_cut() {
    use std::io::Write as _;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let api_url = format!("http://{}/api", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1073741824\r\n\r\n";
        stream.write_all(head).unwrap();
        let (piece, mut sent) = ([b' '; 64 << 10], 0);
        while sent < 1 << 30 && stream.write_all(&piece).is_ok() {
            sent += piece.len();
        }
        sent
    });
    let (real, folder) = (Server::start().unwrap(), tempfile::tempdir().unwrap());
    let settings = Settings { api_url, timeout_seconds: 5.0, ..settings(&real, folder.path(), TOKEN) };
    let slack = Slack::new(&settings, Style::default()).unwrap();
    let message = message(Kind::Opened, Origin::Analyzer, "a", "ops");
    let reason = retried(slack.deliver(&message, None, &Nothing).await);
    assert!(!reason.contains("within"), "{reason}");
    // With what the system holds on its way.
    assert!(server.join().unwrap() < 64 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_fails_never_sends_the_text_again() {
    let (server, folder) = (Server::start().unwrap(), tempfile::tempdir().unwrap());
    let settings =
        Settings { extra_tries: 2, timeout_seconds: 1.0, ..settings(&server, folder.path(), TOKEN) };
    let slack = Slack::new(&settings, Style::default()).unwrap();
    let message = message(Kind::Opened, Origin::Analyzer, "a", "ops");
    // The first attempt fails, at each of the three steps; the second does not.
    for (method, trouble) in [
        ("files.getUploadURLExternal", Trouble::TooMany(1)),
        ("upload", Trouble::Status(500)),
        ("files.completeUploadExternal", Trouble::Broken),
    ] {
        let before = (server.messages().len(), server.pictures().len());
        server.trouble(method, &[trouble]);
        accepted(slack.deliver(&message, None, &OnePixel).await);
        assert_eq!(slack.settle().await, Vec::<String>::new(), "{method}");
        assert_eq!(
            (server.messages().len(), server.pictures().len()),
            (before.0 + 1, before.1 + 2),
            "{method}"
        );
    }
    // Both fail: the text stands, and it is counted.
    let before = server.messages().len();
    server.trouble("upload", &[Trouble::Status(500), Trouble::Hang]);
    accepted(slack.deliver(&message, None, &OnePixel).await);
    let problems = slack.settle().await;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("picture: "), "{problems:?}");
    assert_eq!(server.messages().len(), before + 1);
    assert_eq!(slack.extras(), (7, 1));
    must_be_understood(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_is_late_never_undoes_a_newer_one() {
    let (server, _folder, slack) = start();
    let send = |kind| message(kind, Origin::Analyzer, "a.b", "ops");
    let (root, _) = accepted(slack.deliver(&send(Kind::Opened), None, &Nothing).await);
    server.trouble("chat.update", &[Trouble::TooMany(1)]);
    accepted(slack.deliver(&send(Kind::Updated), root.as_deref(), &Nothing).await);
    accepted(slack.deliver(&send(Kind::Ended), root.as_deref(), &Nothing).await);
    assert_eq!(slack.settle().await, Vec::<String>::new());
    let first = &server.messages()[0];
    assert!(seen(&first.body).contains("ENDED"), "{first:?}");
    must_be_understood(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mark_of_the_end_goes_when_the_incident_is_back() {
    let (server, folder, slack) = start();
    let send = |kind| message(kind, Origin::Analyzer, "a.b", "ops");
    let (root, _) = accepted(slack.deliver(&send(Kind::Opened), None, &Nothing).await);
    let after = async |slack: &Slack, kind| {
        accepted(slack.deliver(&send(kind), root.as_deref(), &Nothing).await);
        assert_eq!(slack.settle().await, Vec::<String>::new());
        server.messages()[0].reactions.clone()
    };
    let removals = || server.calls().iter().filter(|call| *call == "reactions.remove").count();
    assert!(
        after(&slack, Kind::Updated).await.is_empty() && removals() == 0,
        "nothing is there to be removed"
    );
    assert_eq!(after(&slack, Kind::Ended).await, ["heavy_check_mark"]);
    assert!(after(&slack, Kind::Updated).await.is_empty(), "it is back");
    assert!(after(&slack, Kind::Updated).await.is_empty() && removals() == 1);
    assert_eq!(after(&slack, Kind::Ended).await, ["heavy_check_mark"]);
    // A node that was started anew does not know what is there.
    let anew = Slack::new(&settings(&server, folder.path(), TOKEN), Style::default()).unwrap();
    assert!(after(&anew, Kind::Updated).await.is_empty(), "it is back");
    assert!(after(&anew, Kind::Updated).await.is_empty() && removals() == 2);
    must_be_understood(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_are_all_edited_whatever_pictures_do() {
    let (server, _folder, slack) = start();
    let mut roots = Vec::new();
    for i in 0..40 {
        let opened = message(Kind::Opened, Origin::Analyzer, &format!("a.{i}"), "ops");
        roots.push(accepted(slack.deliver(&opened, None, &Nothing).await).0);
    }
    // Uploads hang until their time is over; edits must not wait for them.
    server.trouble("upload", &std::array::from_fn::<_, 200, _>(|_| Trouble::Hang));
    for (i, root) in roots.iter().enumerate() {
        let ended = message(Kind::Ended, Origin::Analyzer, &format!("a.{i}"), "ops");
        accepted(slack.deliver(&ended, root.as_deref(), &OnePixel).await);
    }
    let is_done = || {
        let firsts = server.messages();
        firsts.iter().filter(|m| m.thread.is_none() && !m.reactions.is_empty() && m.edits > 0).count() == 40
    };
    let end = Instant::now() + Duration::from_secs(8);
    while !is_done() {
        assert!(Instant::now() < end, "first messages that are not edited and marked");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut figures = Vec::new();
    slack.figures(&mut figures);
    let done = figures.iter().find(|f| f.name == "skyline_alerting_slack_extras_total").unwrap();
    assert!(done.value >= 80.0, "{done:?}");
}

/// Pictures that are not there before they are let go.
#[derive(Debug, Default)]
struct Held(tokio::sync::Notify);

impl Gallery for Held {
    fn pictures<'a>(&'a self, _message: &'a Message) -> Later<'a, Pictures> {
        Box::pin(async {
            self.0.notified().await;
            Pictures { window: Some(PNG.to_vec()), ..Pictures::default() }
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_text_does_not_wait_for_the_picture() {
    let (server, _folder, slack) = start();
    let message = message(Kind::Opened, Origin::Analyzer, "a", "ops");
    let held = Held::default();
    let sending = slack.deliver(&message, None, &held);
    let looking = async {
        let start = Instant::now();
        while server.messages().is_empty() {
            assert!(start.elapsed() < Duration::from_secs(10), "the text waits");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        held.0.notify_one();
    };
    let (delivery, ()) = tokio::join!(sending, looking);
    accepted(delivery);
    slack.settle().await;
    assert_eq!(server.pictures().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn by_an_incoming_webhook_there_is_the_text() {
    let (server, folder) = (Server::start().unwrap(), tempfile::tempdir().unwrap());
    let file = folder.path().join("address");
    std::fs::write(&file, server.webhook_url()).unwrap();
    let settings = Settings {
        webhook_file: file,
        api_url: server.api_url(),
        timeout_seconds: 1.0,
        ..Settings::default()
    };
    let slack = Slack::new(&settings, Style::default()).unwrap();
    for kind in KINDS {
        let message = message(kind, Origin::Mirage, "<!channel> a.b", "webhook");
        let (thread, _) = accepted(slack.deliver(&message, None, &OnePixel).await);
        assert_eq!(thread, None);
    }
    assert_eq!(server.by_webhook().len(), KINDS.len());
    assert!(seen(&server.by_webhook()[0]).contains("<!channel> a.b"));
    let message = message(Kind::Opened, Origin::Mirage, "a", "webhook");
    server.trouble("webhook", &[Trouble::TooMany(3), Trouble::Status(404), Trouble::Hang]);
    assert!(retried(slack.deliver(&message, None, &Nothing).await).contains("3 s"));
    let reason = broken(slack.deliver(&message, None, &Nothing).await);
    assert!(reason.contains("404") && !reason.contains("secret-part"), "{reason}");
    let reason = retried(slack.deliver(&message, None, &Nothing).await);
    assert!(!reason.contains("secret-part") && !format!("{slack:?}").contains("secret-part"), "{reason}");
    must_be_understood(&server);
}
