//! What alerting keeps: incidents, their metrics, who was told, and messages.

use super::{Home, on_both};
use crate::Store;
use crate::incident::{Changes, GONE, Incident, Member, Told};
use crate::outbox::{Message, State, Wanted};

on_both!(
    what_was_kept_comes_back,
    the_same_again_changes_nothing,
    what_is_over_stays_over,
    pages_hold_each_once,
    what_is_older_goes,
    many_at_once,
);

fn incident(key: &str, ended: Option<f64>) -> Incident {
    Incident {
        key: key.to_owned(),
        node: "n1".to_owned(),
        first_metric: "a.<b>\n".to_owned(),
        opened: 1_000.0,
        since: 999.25,
        changed: 1_001.5,
        ended,
        severity: "warning".to_owned(),
        metrics: 1,
        anomalies: 2,
        acknowledged: None,
        detail: "{}".to_owned(),
    }
}

fn member(incident: &str, place: u32) -> Member {
    Member {
        incident: incident.to_owned(),
        place,
        name: format!("m.{place}.\u{1f600}"),
        since: 999.25,
        last: 1_060.0,
        ended: None,
        points: 2,
        detail: "{\"x\":1}".to_owned(),
    }
}

fn told(incident: &str, thread: Option<&str>) -> Told {
    Told {
        incident: incident.to_owned(),
        channel: "slack".to_owned(),
        recipient: "C1".to_owned(),
        messages: 1,
        last: 1_000.5,
        thread: thread.map(str::to_owned),
        detail: "{}".to_owned(),
    }
}

fn message(key: &str, incident: &str) -> Message {
    Message {
        key: key.to_owned(),
        incident: incident.to_owned(),
        node: "n1".to_owned(),
        channel: "email".to_owned(),
        recipient: "ops@example.org".to_owned(),
        kind: "opened".to_owned(),
        body: "{\"key\":\"k\"}".to_owned(),
        state: State::Waiting,
        is_dry: false,
        attempts: 0,
        not_before: 1_000.0,
        created: 1_000.0,
        sent: None,
        error: None,
        answer: None,
    }
}

fn some() -> Changes {
    Changes {
        incidents: vec![incident("i1", None), incident("i2", Some(2_000.0))],
        members: vec![member("i1", 0), member("i1", 1), member("i2", 0)],
        told: vec![told("i1", Some("1.2")), told("i2", None)],
        messages: vec![message("k1", "i1"), message("k2", "")],
    }
}

async fn kept(home: &Home) -> Store {
    let store = home.open().await;
    store.keep_alerts(&some()).await.expect("kept");
    store
}

async fn what_was_kept_comes_back(home: Home) {
    let store = kept(&home).await;
    let open = store.open_alerts("n1", 1_999.0).await.expect("read");
    let Changes { incidents, members, told, messages } = some();
    assert_eq!(open.incidents, incidents);
    assert_eq!(open.members, members);
    assert_eq!(open.told, told);
    assert_eq!(open.messages, messages);
    let open = store.open_alerts("n1", 2_001.0).await.expect("read");
    assert_eq!(open.incidents.len(), 1, "what ended before is not wanted");
    assert!(open.members.iter().all(|m| m.incident == "i1"));
    assert_eq!(store.open_alerts("n2", 0.0).await.expect("read"), crate::incident::Open::default());
    let (found, members, told) = store.incident("i1").await.expect("read").expect("there");
    assert_eq!((found, members.len(), told.len()), (incident("i1", None), 2, 1));
    assert_eq!(store.incident("none").await.expect("read"), None);
}

async fn the_same_again_changes_nothing(home: Home) {
    let store = kept(&home).await;
    let before = store.open_alerts("n1", 0.0).await.expect("read");
    store.keep_alerts(&some()).await.expect("kept");
    assert_eq!(store.open_alerts("n1", 0.0).await.expect("read"), before);
    let mut changed = some();
    changed.messages.clear();
    changed.incidents[0].ended = Some(1_500.0);
    changed.members[0].ended = Some(1_060.0);
    changed.told[1].thread = Some("3.4".to_owned());
    store.keep_alerts(&changed).await.expect("kept");
    let after = store.open_alerts("n1", 0.0).await.expect("read");
    assert_eq!(
        (after.incidents, after.members, after.told),
        (changed.incidents, changed.members, changed.told)
    );
    assert_eq!(after.messages, before.messages);
}

async fn what_is_over_stays_over(home: Home) {
    let store = kept(&home).await;
    let put = async |message: Message| {
        store.keep_alerts(&Changes { messages: vec![message], ..Changes::default() }).await.expect("kept");
        let wanted = Wanted { limit: 10, ..Wanted::default() };
        let rows = store.messages(&wanted).await.expect("read").rows;
        rows.into_iter().map(|(_, m)| m).find(|m| m.key == "k1").expect("there")
    };
    let retried = Message {
        attempts: 2,
        not_before: 1_030.0,
        error: Some("refused".to_owned()),
        ..message("k1", "i1")
    };
    assert_eq!(put(retried.clone()).await, retried);
    let sent = Message {
        state: State::Sent,
        attempts: 3,
        sent: Some(1_040.0),
        error: None,
        answer: Some("250 ok".to_owned()),
        ..retried.clone()
    };
    assert_eq!(put(sent.clone()).await, sent);
    assert_eq!(put(retried).await, sent, "a message that is sent does not wait again");
    let waiting = store.open_alerts("n1", 0.0).await.expect("read").messages;
    assert_eq!(waiting, [message("k2", "")]);
}

async fn pages_hold_each_once(home: Home) {
    let store = kept(&home).await;
    let messages: Vec<_> = (0..25).map(|n| message(&format!("p{n}"), "i2")).collect();
    store.keep_alerts(&Changes { messages, ..Changes::default() }).await.expect("kept");
    let mut wanted = Wanted {
        state: Some(State::Waiting),
        incident: Some("i2".to_owned()),
        limit: 10,
        ..Wanted::default()
    };
    let mut keys = Vec::new();
    loop {
        let page = store.messages(&wanted).await.expect("a page");
        keys.extend(page.rows.into_iter().map(|(_, m)| m.key));
        wanted.below = page.next;
        if page.next.is_none() {
            break;
        }
    }
    let expected: Vec<_> = (0..25).rev().map(|n| format!("p{n}")).collect();
    assert_eq!(keys, expected);
    let first = store.incidents(false, None, 1).await.expect("a page");
    assert_eq!(first.rows[0].1.key, "i2");
    let second = store.incidents(false, first.next, 1).await.expect("a page");
    assert_eq!((second.rows[0].1.key.as_str(), second.next), ("i1", None));
    assert_eq!(store.incidents(true, None, 9).await.expect("a page").rows.len(), 1);
}

async fn what_is_older_goes(home: Home) {
    let store = kept(&home).await;
    assert_eq!(store.purge_alerts(1_500.0).await.expect("purged"), (0, 0), "open, and waiting");
    let dead = Message { state: State::Dead, ..message("k2", "") };
    store.keep_alerts(&Changes { messages: vec![dead], ..Changes::default() }).await.expect("kept");
    assert_eq!(store.purge_alerts(2_001.0).await.expect("purged"), (1, 1));
    let open = store.open_alerts("n1", 0.0).await.expect("read");
    assert_eq!((open.incidents.len(), open.members.len(), open.messages.len()), (1, 2, 1));
    // Nobody ends what belongs to a node that is gone.
    assert_eq!(store.purge_alerts(2_001.0 + GONE).await.expect("purged"), (1, 1));
    let none = store.open_alerts("n1", 0.0).await.expect("read");
    assert_eq!((none.incidents.len(), none.members.len(), none.messages.len()), (0, 0, 0));
}

async fn many_at_once(home: Home) {
    let store = home.open().await;
    let members: Vec<_> = (0..1_500).map(|place| member("i1", place)).collect();
    let changes =
        Changes { incidents: vec![incident("i1", None)], members: members.clone(), ..Changes::default() };
    store.keep_alerts(&changes).await.expect("kept");
    let (first, second) = tokio::join!(store.keep_alerts(&changes), store.keep_alerts(&changes));
    first.and(second).expect("kept side by side");
    assert_eq!(store.open_alerts("n1", 0.0).await.expect("read").members, members);
}
