//! Accounts, labels and verdicts: what is set is there, and is written down.

use super::{Home, all, anomaly, context, on_both};
use crate::{Error, Options, Role, SYSTEM, Verdict};
use skyline_core::clock::Clock;

on_both!(accounts_are_made_changed_and_disabled, labels_and_verdicts_are_written_down);

async fn accounts_are_made_changed_and_disabled(home: Home) {
    let store = home.open_with(Options { clock: Clock::at(1_000.0), ..Options::default() }).await;
    let seeds = store.accounts().await.expect("read");
    let seeds: Vec<_> = seeds.iter().map(|a| (a.id, a.login.as_str(), a.has_password)).collect();
    assert_eq!(seeds, [(1, "system", false), (2, "admin", false)]);
    let id =
        store.create_account("größe", Role::Responder, Some("hash"), Some("on call"), 2).await.expect("made");
    let account = store.account("größe").await.expect("read").expect("it is there");
    assert_eq!((account.id, account.role, account.created_at), (id, Role::Responder, 1_000));
    assert_eq!(account.description.as_deref(), Some("on call"));
    assert_eq!(store.account("GRÖSSE").await.expect("read"), None);
    assert_eq!(store.password_hash("größe").await.expect("read").as_deref(), Some("hash"));
    for (login, text) in [("größe", "already"), ("", "1 to"), (" a", "blanks")] {
        let error = store.create_account(login, Role::Viewer, None, None, 2).await.expect_err("refused");
        assert!(matches!(error, Error::Data { .. }) && error.to_string().contains(text), "{error}");
    }
    assert!(store.set_role("größe", Role::Editor, 2).await.expect("set"));
    assert!(store.set_role("größe", Role::Editor, 2).await.expect("set"), "twice is nothing");
    assert!(store.set_password_hash("größe", None, 2).await.expect("set"));
    assert!(store.set_disabled("größe", true, 2).await.expect("set"));
    assert!(!store.set_role("nobody", Role::Admin, 2).await.expect("looked"));
    assert!(store.set_disabled("system", true, 2).await.is_err());
    let account = store.account("größe").await.expect("read").expect("it is there");
    assert_eq!((account.role, account.has_password, account.disabled_at), (Role::Editor, false, Some(1_000)));
    assert_eq!(store.password_hash("größe").await.expect("read"), None);
    assert!(store.set_disabled("größe", false, 2).await.expect("set"));
    let changes = store.changes("account", id, 100).await.expect("read");
    let actions: Vec<_> = changes.iter().map(|c| c.action.as_str()).collect();
    assert_eq!(
        actions,
        ["account.disable", "account.disable", "account.password", "account.role", "account.create"]
    );
    let role = &changes[3];
    assert_eq!((role.by.as_str(), role.at, role.table.as_str(), role.row), ("admin", 1_000, "account", id));
    assert_eq!(role.before.as_deref(), Some(r#"{"role":"responder"}"#));
    assert_eq!(role.after.as_deref(), Some(r#"{"role":"editor"}"#));
    assert!(!format!("{changes:?}").contains("hash\\\":\\\"hash"), "the hash is written nowhere else");
    assert_eq!(Role::ALL.map(|role| Role::from_name(role.name())), Role::ALL.map(Some));
}

async fn labels_and_verdicts_are_written_down(home: Home) {
    let store = home.open().await;
    store.record(&[anomaly("a", 1.0)], &context()).await.expect("recorded");
    let row = all(&store).await.remove(0);
    assert_eq!((row.verdict, row.label.as_deref(), row.score()), (Verdict::Undecided, None, 7.0 / 9.0));
    assert!(store.set_label(row.id, Some("Überlauf"), 2).await.expect("set"));
    assert!(store.set_verdict(row.id, Verdict::Muted, None, SYSTEM).await.expect("set"));
    assert!(store.set_verdict(row.id, Verdict::Muted, None, SYSTEM).await.expect("set"), "twice is nothing");
    let row = store.anomaly(row.id).await.expect("read").expect("it is there");
    assert_eq!(
        (row.verdict, row.label.as_deref(), row.label_by.as_deref()),
        (Verdict::Muted, Some("Überlauf"), Some("admin"))
    );
    assert!(store.set_label(row.id, None, 2).await.expect("set"));
    let after = store.anomaly(row.id).await.expect("read").expect("it is there");
    assert_eq!((after.label, after.label_by), (None, None));
    for missing in [
        store.set_label(row.id + 1, None, 2).await,
        store.set_verdict(row.id + 1, Verdict::Alerted, None, 2).await,
    ] {
        assert!(!missing.expect("looked"));
    }
    for label in ["", &"x".repeat(256)] {
        assert!(matches!(store.set_label(row.id, Some(label), 2).await, Err(Error::Data { .. })));
    }
    // Nobody has that number: nothing is changed and nothing written down.
    store.set_label(row.id, Some("x"), 99).await.expect_err("no such account");
    assert_eq!(store.anomaly(row.id).await.expect("read").expect("it is there").label, None);
    let changes = store.changes("anomaly", row.id, 10).await.expect("read");
    let told: Vec<_> =
        changes.iter().map(|c| (c.by.as_str(), c.action.as_str(), c.after.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("admin", "anomaly.label", Some(r#"{"label":null}"#)),
            ("system", "anomaly.verdict", Some(r#"{"explained_by":null,"verdict":"muted"}"#)),
            ("admin", "anomaly.label", Some(r#"{"label":"Überlauf"}"#)),
        ]
    );
    assert_eq!(Verdict::ALL.map(|v| Verdict::from_name(v.name())), Verdict::ALL.map(Some));
}
