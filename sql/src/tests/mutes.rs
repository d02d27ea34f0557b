//! Mutes: what is set is there, ends, and is written down.

use super::{Home, on_both};
use crate::mute::{MuteKind, NewMute};
use crate::{Error, Options, SYSTEM};
use skyline_core::clock::Clock;

on_both!(mutes_are_made_changed_removed_and_written_down);

fn mute(kind: MuteKind, pattern: &str, until: Option<i64>) -> NewMute {
    NewMute { kind, pattern: pattern.into(), until, schedule: None, zone: None, reason: None }
}

async fn mutes_are_made_changed_removed_and_written_down(home: Home) {
    let store = home.open_with(Options { clock: Clock::at(1_000.0), ..Options::default() }).await;
    assert_eq!(store.mutes(0).await.expect("read"), []);
    let night = NewMute {
        schedule: Some("22:00-06:00".into()),
        zone: Some("Europe/Berlin".into()),
        reason: Some("Größe <b>'".into()),
        ..mute(MuteKind::Glob, "web.*", None)
    };
    let night = store.add_mute(&night, 2).await.expect("made");
    assert_eq!((night.by.as_str(), night.created, night.what.until), ("admin", 1_000, None));
    let hour = store.add_mute(&mute(MuteKind::Name, "a.b", Some(2_000)), SYSTEM).await.expect("made");
    let rule = store.add_mute(&mute(MuteKind::Rule, "web", Some(900)), SYSTEM).await.expect("made");
    let ids = |mutes: Vec<crate::mute::Mute>| mutes.into_iter().map(|mute| mute.id).collect::<Vec<_>>();
    assert_eq!(ids(store.mutes(1_000).await.expect("read")), [night.id, hour.id], "one has ended");
    assert_eq!(ids(store.mutes(2_000).await.expect("read")), [night.id]);

    // The same again is the same, for longer; other capitals are another metric.
    let longer = NewMute { reason: Some("again".into()), ..mute(MuteKind::Name, "a.b", Some(3_000)) };
    let longer = store.add_mute(&longer, 2).await.expect("made");
    assert_eq!((longer.id, longer.what.until), (hour.id, Some(3_000)));
    let shorter = store.add_mute(&mute(MuteKind::Name, "a.b", Some(1_500)), 2).await.expect("made");
    assert_eq!((shorter.what.until, shorter.what.reason.as_deref()), (Some(3_000), Some("again")));
    let capital = store.add_mute(&mute(MuteKind::Name, "A.b", Some(1_500)), 2).await.expect("made");
    assert_ne!(capital.id, hour.id);

    assert_eq!(store.remove_mute(night.id, 2).await.expect("removed"), Some(night.clone()));
    assert_eq!(store.remove_mute(night.id, 2).await.expect("looked"), None);
    let actions = |changes: Vec<crate::Audit>| changes.into_iter().map(|c| c.action).collect::<Vec<_>>();
    let changes = store.changes("mute", night.id, 10).await.expect("read");
    assert!(changes[1].after.as_ref().is_some_and(|text| text.contains("Größe <b>'")), "{changes:?}");
    assert_eq!(actions(changes), ["mute.remove", "mute.create"]);
    let changes = store.changes("mute", hour.id, 10).await.expect("read");
    assert_eq!(actions(changes), ["mute.change", "mute.change", "mute.create"]);

    assert_eq!(store.purge_mutes(950).await.expect("purged"), 1);
    assert_eq!(store.changes("mute", rule.id, 10).await.expect("read").len(), 1, "what was done stays");
    for bad in [mute(MuteKind::Name, "", None), mute(MuteKind::Name, &"x".repeat(5_000), None)] {
        let error = store.add_mute(&bad, 2).await.expect_err("refused");
        assert!(matches!(error, Error::Data { .. }), "{error}");
    }
    let long = NewMute { reason: Some("x".repeat(300)), ..mute(MuteKind::Name, "x", None) };
    assert!(store.add_mute(&long, 2).await.is_err());
}
