//! What people do about messages and incidents.

use super::{Home, on_both};
use crate::incident::{Changes, Incident};
use crate::outbox::{Message, State, Wanted};
use crate::responding::Again;

on_both!(a_message_that_was_given_up_waits_again, who_acknowledged_is_written_down);

fn incident() -> Incident {
    Incident {
        key: "k1".into(),
        node: "n1".into(),
        first_metric: "a".into(),
        opened: 1_000.0,
        since: 1_000.0,
        changed: 1_000.0,
        ended: None,
        severity: "info".into(),
        metrics: 1,
        anomalies: 1,
        acknowledged: None,
        detail: "{}".into(),
    }
}

fn message(key: &str, state: State) -> Message {
    Message {
        key: key.into(),
        incident: "k1".into(),
        node: "n1".into(),
        channel: "email".into(),
        recipient: "ops@company.internal".into(),
        kind: "opened".into(),
        body: "{}".into(),
        state,
        is_dry: false,
        attempts: 9,
        not_before: 1_000.0,
        created: 1_000.0,
        sent: None,
        error: Some("no answer".into()),
        answer: None,
    }
}

async fn a_message_that_was_given_up_waits_again(home: Home) {
    let store = home.open().await;
    let messages = vec![message("dead", State::Dead), message("sent", State::Sent)];
    let changes = Changes { incidents: vec![incident()], messages, ..Changes::default() };
    store.keep_alerts(&changes).await.expect("kept");
    let page = store.messages(&Wanted { limit: 10, ..Wanted::default() }).await.expect("read");
    let id = |key: &str| page.rows.iter().find(|(_, message)| message.key == key).expect("it is there").0;
    let again = async |id, node: &str| store.retry_message(id, node, 2).await.expect("written");
    assert_eq!(again(id("dead"), "n2").await, Again::Elsewhere("n1".into()));
    assert_eq!(again(id("sent"), "n1").await, Again::Not(State::Sent));
    assert_eq!(again(999, "n1").await, Again::None);
    let Again::Waits(message) = again(id("dead"), "n1").await else { panic!("it does not wait") };
    assert_eq!((message.key.as_str(), message.attempts, message.incident.as_str()), ("dead", 0, "k1"));
    assert_eq!(again(id("dead"), "n1").await, Again::Not(State::Waiting));
    let kept = store.message(id("dead")).await.expect("read").expect("it is there");
    assert_eq!((kept.state, kept.attempts), (State::Waiting, 0));
    let changes = store.changes("outbox", id("dead"), 10).await.expect("read");
    assert_eq!(
        (changes.len(), changes[0].action.as_str(), changes[0].by.as_str()),
        (1, "message.retry", "admin")
    );
}

async fn who_acknowledged_is_written_down(home: Home) {
    let store = home.open().await;
    assert!(!store.note_acknowledgement("k1", "joe", 2).await.expect("looked"));
    store.keep_alerts(&Changes { incidents: vec![incident()], ..Changes::default() }).await.expect("kept");
    assert!(store.note_acknowledgement("k1", "joe", 2).await.expect("written"));
    let page = store.incidents(false, None, 10).await.expect("read");
    let changes = store.changes("incident", page.rows[0].0, 10).await.expect("read");
    assert_eq!(changes[0].after.as_deref(), Some(r#"{"by":"joe"}"#));
    assert_eq!(changes[0].action, "incident.acknowledge");
    // Its node, and nobody else, hears of that until it has written it down.
    let waits = async || {
        let of = async |node| store.acknowledged_elsewhere(node).await.expect("read");
        assert_eq!(of("other").await, Vec::<String>::new());
        of(&incident().node).await
    };
    assert_eq!(waits().await, ["k1"]);
    let seen = Incident { acknowledged: Some(1_700_000_100.0), ..incident() };
    store.keep_alerts(&Changes { incidents: vec![seen], ..Changes::default() }).await.expect("kept");
    assert_eq!(waits().await, Vec::<String>::new());
}
