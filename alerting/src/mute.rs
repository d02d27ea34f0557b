//! What nobody is told of for a time: mutes by name, by glob or by rule, until a time or at hours of the week.
//!
//! They are kept in the record and looked at in memory: right after a change that this node makes, and a few seconds
//! after one that another node makes. While the record is away the mutes that are known hold.

use crate::schedule::{Active, BadActive};
use skyline_conf::matching::{BadMatching, Matching};
use skyline_conf::model::alerting::rule::MatchKind;
use skyline_core::clock::Clock;
use skyline_sql::Store;
use skyline_sql::mute::{Mute, MuteKind, NewMute};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The record is asked once in so long.
pub const REFRESH: Duration = Duration::from_secs(5);

/// Mutes that ended so long ago are removed, seconds.
const KEEP: f64 = 30.0 * 86_400.0;

/// Why something is not muted or unmuted.
#[derive(Debug, thiserror::Error)]
pub enum MuteError {
    /// The pattern.
    #[error("pattern: {0}")]
    Pattern(#[from] BadMatching),
    /// The hours or their zone.
    #[error(transparent)]
    Active(#[from] BadActive),
    /// A rule that is not there.
    #[error("pattern: there is no rule `{name}`; rules are {rules}")]
    Rule {
        /// The name.
        name: String,
        /// Those that there are.
        rules: String,
    },
    /// The end.
    #[error("until: it is in the past")]
    Past,
    /// The record.
    #[error(transparent)]
    Record(#[from] skyline_sql::Error),
}

impl MuteError {
    /// The parameter at fault; none: the record.
    #[must_use]
    pub const fn parameter(&self) -> Option<&'static str> {
        match self {
            Self::Pattern(_) | Self::Rule { .. } => Some("pattern"),
            Self::Active(BadActive::Schedule(_)) => Some("schedule"),
            Self::Active(BadActive::Zone(_)) => Some("zone"),
            Self::Past => Some("until"),
            Self::Record(_) => None,
        }
    }
}

/// A mute that can be asked.
#[derive(Debug, Clone)]
struct Compiled {
    mute: Mute,
    /// Of a glob.
    glob: Option<Matching>,
    active: Option<Active>,
}

impl Compiled {
    /// A mute of the record; none: another version has made it, and what it means is not known.
    fn new(mute: Mute, zone: &str) -> Option<Self> {
        let glob = match mute.what.kind {
            MuteKind::Glob => Some(Matching::new(MatchKind::Glob, &mute.what.pattern).ok()?),
            MuteKind::Name | MuteKind::Rule => None,
        };
        let active = match &mute.what.schedule {
            Some(text) => Some(Active::read(text, mute.what.zone.as_deref().unwrap_or(zone)).ok()?),
            None => None,
        };
        Some(Self { mute, glob, active })
    }

    fn holds(&self, now: f64) -> bool {
        self.mute.what.until.is_none_or(|until| now < until as f64)
            && self.active.as_ref().is_none_or(|active| active.applies(now))
    }
}

/// All mutes, sorted by how they are found.
#[derive(Debug, Default)]
struct Table {
    names: HashMap<String, Vec<Compiled>>,
    rules: HashMap<String, Vec<Compiled>>,
    globs: Vec<Compiled>,
}

impl Table {
    fn new(mutes: Vec<Mute>, zone: &str) -> Self {
        let mut table = Self::default();
        for mute in mutes {
            let Some(compiled) = Compiled::new(mute, zone) else { continue };
            let pattern = compiled.mute.what.pattern.clone();
            match compiled.mute.what.kind {
                MuteKind::Name => table.names.entry(pattern).or_default().push(compiled),
                MuteKind::Rule => table.rules.entry(pattern).or_default().push(compiled),
                MuteKind::Glob => table.globs.push(compiled),
            }
        }
        table
    }

    fn find<'t>(
        &'t self,
        metric: &'t str,
        rule: Option<&str>,
        now: f64,
    ) -> impl Iterator<Item = &'t Compiled> {
        let of = |map: &'t HashMap<String, Vec<Compiled>>, key: &str| {
            map.get(key).map(Vec::as_slice).unwrap_or_default()
        };
        let rules = rule.map(|rule| of(&self.rules, rule)).unwrap_or_default();
        let globs =
            self.globs.iter().filter(|mute| mute.glob.as_ref().is_some_and(|glob| glob.by(metric).is_some()));
        of(&self.names, metric).iter().chain(rules).chain(globs).filter(move |mute| mute.holds(now))
    }
}

/// All mutes; clones are the same.
#[derive(Debug, Clone)]
pub struct Mutes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    clock: Clock,
    /// Zone of hours that have none of their own.
    zone: String,
    table: RwLock<Arc<Table>>,
}

impl Mutes {
    /// None yet: [`Self::refresh`] reads them. `zone`: of hours that have none of their own.
    #[must_use]
    pub fn new(store: Store, clock: Clock, zone: &str) -> Self {
        let table = RwLock::default();
        Self(Arc::new(Inner { store, clock, zone: zone.to_owned(), table }))
    }

    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.0.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads them from the record.
    ///
    /// # Errors
    /// The record cannot be read; what was known stays.
    pub async fn refresh(&self) -> Result<(), skyline_sql::Error> {
        let mutes = self.0.store.mutes(self.0.clock.now() as i64).await?;
        let table = Arc::new(Table::new(mutes, &self.0.zone));
        *self.0.table.write().unwrap_or_else(PoisonError::into_inner) = table;
        Ok(())
    }

    /// Reads them again and again, until `stop`; removes those that ended long ago.
    pub async fn keep_fresh(self, stop: CancellationToken) {
        let mut is_away = false;
        let mut purged = f64::NEG_INFINITY;
        loop {
            match self.refresh().await {
                Ok(()) => is_away = false,
                Err(error) => {
                    if !is_away {
                        tracing::warn!(%error, "mutes cannot be read; those that are known hold");
                    }
                    is_away = true;
                }
            }
            let now = self.0.clock.now();
            if !is_away && now - purged > 3_600.0 {
                purged = now;
                if let Err(error) = self.0.store.purge_mutes((now - KEEP) as i64).await {
                    tracing::debug!(%error, "mutes that ended are not removed yet");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(REFRESH) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// The mute because of which nobody is told of a metric by a rule now (seconds); none: there is none.
    #[must_use]
    pub fn find(&self, metric: &str, rule: &str, now: f64) -> Option<Mute> {
        self.table().find(metric, Some(rule), now).next().map(|found| found.mute.clone())
    }

    /// Whether a metric is muted by name or glob now, whatever the rule.
    #[must_use]
    pub fn is_muted(&self, metric: &str, now: f64) -> bool {
        self.table().find(metric, None, now).next().is_some()
    }

    /// All that there are, by id, and whether each holds at a time (seconds).
    #[must_use]
    pub fn all(&self, now: f64) -> Vec<(Mute, bool)> {
        let table = self.table();
        let maps = table.names.values().chain(table.rules.values()).flatten();
        let mut all: Vec<_> = maps
            .chain(&table.globs)
            .filter(|mute| mute.mute.what.until.is_none_or(|until| now < until as f64))
            .map(|mute| (mute.mute.clone(), mute.holds(now)))
            .collect();
        all.sort_by_key(|(mute, _)| mute.id);
        all
    }

    /// Mutes, from now on. `rules`: names of the rules that there are; `by`: the account that does it.
    ///
    /// # Errors
    /// [`MuteError`], which says what would be right.
    pub async fn add(&self, new: NewMute, rules: &[String], by: i64) -> Result<Mute, MuteError> {
        if new.until.is_some_and(|until| until as f64 <= self.0.clock.now()) {
            return Err(MuteError::Past);
        }
        match new.kind {
            MuteKind::Glob => drop(Matching::new(MatchKind::Glob, &new.pattern)?),
            MuteKind::Name => drop(Matching::new(MatchKind::Exact, &new.pattern)?),
            MuteKind::Rule if rules.contains(&new.pattern) => {}
            MuteKind::Rule => {
                let shown = |text: &String| {
                    format!("`{}`", text.chars().take(60).flat_map(char::escape_debug).collect::<String>())
                };
                let rules: Vec<String> = rules.iter().take(20).map(shown).collect();
                let name = new.pattern.chars().take(60).flat_map(char::escape_debug).collect();
                return Err(MuteError::Rule { name, rules: rules.join(", ") });
            }
        }
        let zone = new.zone.clone().unwrap_or_else(|| self.0.zone.clone());
        let new = match &new.schedule {
            Some(text) => {
                // A zone that is changed in the settings later does not move this.
                Active::read(text, &zone)?;
                NewMute { zone: Some(zone), ..new }
            }
            None => NewMute { zone: None, ..new },
        };
        let made = self.0.store.add_mute(&new, by).await?;
        self.refresh().await?;
        Ok(made)
    }

    /// Unmutes, from now on; what it was, or none. `by`: the account that does it.
    ///
    /// # Errors
    /// The record cannot be written or read.
    pub async fn remove(&self, id: i64, by: i64) -> Result<Option<Mute>, skyline_sql::Error> {
        let removed = self.0.store.remove_mute(id, by).await?;
        self.refresh().await?;
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn mutes(now: f64) -> (tempfile::TempDir, Mutes) {
        let folder = tempfile::tempdir().unwrap();
        let options = skyline_sql::Options { clock: Clock::at(now), ..skyline_sql::Options::default() };
        let store = Store::open_file(&folder.path().join("a.db"), options).await.unwrap();
        (folder, Mutes::new(store, Clock::at(now), "UTC"))
    }

    fn new(kind: MuteKind, pattern: &str) -> NewMute {
        NewMute { kind, pattern: pattern.into(), until: None, schedule: None, zone: None, reason: None }
    }

    /// Monday, 2026-11-30T12:00:00Z.
    const NOON: f64 = 1_796_040_000.0;

    #[tokio::test]
    async fn by_name_glob_and_rule_until_a_time_and_at_hours() {
        let (_folder, mutes) = mutes(NOON).await;
        let rules = ["web".to_owned()];
        let name =
            mutes.add(NewMute { until: Some(NOON as i64 + 60), ..new(MuteKind::Name, "a.b") }, &rules, 2);
        let name = name.await.unwrap();
        assert_eq!(mutes.find("a.b", "x", NOON), Some(name.clone()), "right after the change");
        assert_eq!(mutes.find("a.bc", "x", NOON), None);
        assert_eq!(mutes.find("a.b", "x", NOON + 60.0), None, "it has ended");

        let night = NewMute {
            schedule: Some("22:00-06:00".into()),
            zone: Some("America/New_York".into()),
            ..new(MuteKind::Glob, "db.*.<x>")
        };
        let night = mutes.add(night, &rules, 2).await.unwrap();
        assert_eq!(mutes.find("db.1.<x>", "x", NOON), None, "seven in the morning there");
        assert_eq!(mutes.find("db.1.<x>", "x", NOON - 3_600.0 * 2.0), Some(night.clone()));
        assert!(mutes.is_muted("db.1.<x>", NOON - 3_600.0 * 2.0));

        mutes.add(new(MuteKind::Rule, "web"), &rules, 2).await.unwrap();
        assert!(mutes.find("any", "web", NOON).is_some());
        assert!(mutes.find("any", "db", NOON).is_none());
        assert!(!mutes.is_muted("any", NOON), "a rule is muted, not the metric");
        let holds: Vec<_> =
            mutes.all(NOON).into_iter().map(|(mute, holds)| (mute.what.pattern, holds)).collect();
        assert_eq!(holds, [("a.b".into(), true), ("db.*.<x>".into(), false), ("web".into(), true)]);

        assert_eq!(mutes.remove(name.id, 2).await.unwrap().unwrap().id, name.id);
        assert_eq!(mutes.find("a.b", "x", NOON), None);
        assert_eq!(mutes.remove(name.id, 2).await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_another_node_mutes_is_seen() {
        let (folder, mutes) = mutes(NOON).await;
        let other = Store::open(&folder.path().join("a.db")).await.unwrap();
        other.add_mute(&new(MuteKind::Name, "a.b"), 2).await.unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(mutes.clone().keep_fresh(stop.clone()));
        let seen = || async { mutes.find("a.b", "x", NOON).is_some() };
        for _ in 0..500 {
            if seen().await {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(seen().await);
        stop.cancel();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn what_cannot_be_muted() {
        let (_folder, mutes) = mutes(NOON).await;
        let bad = async |new: NewMute, parameter: &str, expected: &str| {
            let error = mutes.add(new, &["web".to_owned()], 2).await.unwrap_err();
            assert_eq!(error.parameter(), Some(parameter), "{error}");
            assert!(error.to_string().contains(expected), "{error}");
        };
        bad(new(MuteKind::Rule, "wbe"), "pattern", "rules are `web`").await;
        bad(new(MuteKind::Glob, "a["), "pattern", "no glob").await;
        bad(new(MuteKind::Name, ""), "pattern", "is empty").await;
        bad(NewMute { until: Some(5), ..new(MuteKind::Name, "a") }, "until", "in the past").await;
        let schedule = |text: &str| NewMute { schedule: Some(text.into()), ..new(MuteKind::Name, "a") };
        bad(schedule("always"), "schedule", "names no day").await;
        bad(NewMute { zone: Some("Mars".into()), ..schedule("mon") }, "zone", "no time zone").await;
    }
}
