//! `ionosphere` with `z_ts_*` and `z_fp_*`: each profile with its series and its features in one transaction.
//!
//! Features are not computed anew: they stay as they were imported, with `feature_set` 0.

use super::points::{Points, Series};
use super::{BATCH, flag_or_time, time};
use crate::import::Import;
use crate::import::cursor::Cursor;
use crate::import::error::Error;
use crate::import::lineage::Family;
use crate::import::map::{self, Ids};
use crate::import::source::Profile;
use crate::import::tally::Tally;
use crate::session::Session;
use crate::statement::{Statement, Value};
use std::collections::BTreeMap;

pub(in crate::import) const TABLE: &str = "ionosphere";
pub(in crate::import) const SERIES: &str = "z_ts";
pub(in crate::import) const FEATURES: &str = "z_fp";

/// Profiles in one transaction: each has up to 210 features and a series.
const PROFILES: usize = 100;

const INTO: &str = "INSERT INTO profile (id, metric_id, resolution_s, full_duration_s, origin, parent_id, root_id, \
     generation, anomaly_ts, anomaly_id, feature_set, feature_count, features_sum, calc_ms, state, state_at, \
     state_reason, created_by, created_at, validated_at, validated_by, label, check_count, match_count, \
     last_checked_at, last_matched_at) ";

/// The import of the three tables.
struct Profiles {
    cursor: Cursor,
    series: Cursor,
    features: Cursor,
    points: Points,
    family: Family,
    ids: Ids,
}

/// Rows that wait to be written.
#[derive(Default)]
struct Waiting {
    profiles: Vec<[Value; 26]>,
    series: Vec<[Value; 8]>,
    features: Vec<[Value; 3]>,
    pairs: Vec<(i64, i64)>,
}

pub(super) async fn run(import: &mut Import<'_>) -> Result<(), Error> {
    let highest = import.source.highest(TABLE).await?;
    let family = family(import).await?;
    let mut session = import.session().await?;
    let id = import.source_id;
    let cursor = Cursor::load(&mut session, id, TABLE, Some("profile")).await?;
    let ids = Ids::new(&mut session, "profile", cursor.floor, highest).await?;
    let mut this = Profiles {
        cursor,
        series: Cursor::load(&mut session, id, SERIES, None).await?,
        features: Cursor::load(&mut session, id, FEATURES, None).await?,
        points: Points::default(),
        family,
        ids,
    };
    import.maps.profiles = map::load(&mut session, id, TABLE, "profile").await?;
    drop(session);
    loop {
        let rows = import.source.profiles(this.cursor.last, PROFILES).await?;
        let Some(last) = rows.last().map(|row| row.old_id) else { break };
        this.batch(import, &rows, last).await?;
        import.progressed(TABLE, rows.len());
    }
    this.late_parents(import).await?;
    this.strays(import).await?;
    import.finished(this.cursor);
    import.finished(this.series);
    import.finished(this.features);
    Ok(())
}

/// Who was learnt from whom, and whose profiles they are.
async fn family(import: &mut Import<'_>) -> Result<Family, Error> {
    let mut family = Family::default();
    let mut after = 0;
    loop {
        let rows = import.source.lineage(after, 10 * BATCH).await?;
        let Some(last) = rows.last() else { return Ok(family) };
        after = last.old_id;
        for row in rows {
            if import.maps.metrics.contains_key(&row.metric_id) {
                family.add(row.old_id, row.parent_id);
            }
        }
    }
}

impl Profiles {
    async fn batch(&mut self, import: &mut Import<'_>, rows: &[Profile], last: i64) -> Result<(), Error> {
        let mut waiting = Waiting::default();
        let mut transaction = import.begin().await?;
        let session = transaction.session();
        let wanted: Vec<_> = rows.iter().map(|row| row.old_id).collect();
        let given = self.ids.give(session, &wanted).await?;
        for (row, id) in rows.iter().zip(given) {
            self.cursor.tally.read += 1;
            self.profile(import, session, row, id, &mut waiting).await?;
        }
        super::insert(session, INTO, waiting.profiles, "").await?;
        let into = "INSERT INTO profile_series (profile_id, point_count, first_ts, last_ts, min_value, max_value, \
             encoding, data) ";
        // One at a time: a series may have megabytes, and servers bound the size of a statement.
        for row in waiting.series {
            super::insert(session, into, vec![row], "").await?;
        }
        let into = "INSERT INTO profile_feature (profile_id, feature_id, value) ";
        super::insert(session, into, waiting.features, "").await?;
        map::store(session, import.source_id, TABLE, &waiting.pairs).await?;
        self.cursor.advance(&mut transaction, last).await?;
        self.series.advance(&mut transaction, last).await?;
        let counted = self.features.last;
        self.features.advance(&mut transaction, counted).await?;
        Ok(transaction.commit().await?)
    }

    /// Puts a profile, its series and its features among those that wait.
    async fn profile(
        &mut self,
        import: &mut Import<'_>,
        session: &mut Session,
        row: &Profile,
        id: i64,
        waiting: &mut Waiting,
    ) -> Result<(), Error> {
        let Some(metric) = import.maps.metrics.get(&row.metric_id).copied() else {
            self.cursor.tally.drop_row("its metric is not there");
            return Ok(());
        };
        let place = (row.metric_id, row.old_id);
        let series =
            self.points.series(&mut import.source, place, import.dry, &mut self.series.tally).await?;
        let features =
            self.points.features(&mut import.source, place, import.dry, &mut self.features.tally).await?;
        import.maps.profiles.insert(row.old_id, id);
        let anomaly = anomaly(session, metric, row.anomaly_ts).await?;
        let values = self.values(import, row, (id, metric, anomaly), series.as_ref(), &features);
        waiting.profiles.push(values);
        waiting.pairs.push((row.old_id, id));
        self.cursor.tally.written += 1;
        if let Some(series) = series.filter(|series| series.count > 0) {
            waiting.series.push([
                id.into(),
                series.count.into(),
                (series.first as f64).into(),
                (series.last as f64).into(),
                series.min.into(),
                series.max.into(),
                crate::import::series::ENCODING.into(),
                series.data.into(),
            ]);
        }
        let rows = features.into_iter().map(|(feature, value)| [id.into(), feature.into(), value.into()]);
        waiting.features.extend(rows);
        Ok(())
    }

    fn values(
        &mut self,
        import: &Import<'_>,
        row: &Profile,
        (id, metric, anomaly): (i64, i64, Option<i64>),
        series: Option<&Series>,
        features: &BTreeMap<i64, f64>,
    ) -> [Value; 26] {
        let tally = &mut self.cursor.tally;
        let kin = self.family.kin(row.old_id);
        if kin.is_cut {
            tally.change("its parent is not there: none");
        }
        // Who comes later is entered later.
        let new = |old: i64| import.maps.profiles.get(&old).copied();
        let parent = kin.parent.and_then(new);
        let root = new(kin.root).unwrap_or(id);
        let created = row.created.or_else(|| time(row.anomaly_ts)).unwrap_or(import.now);
        let (state, state_at, reason) = state(row, series.is_some());
        if let Some(reason) = reason {
            tally.change(&format!("disabled: {reason}"));
        }
        let creator = import.maps.account(row.user_id).unwrap_or(if row.generation > 0 { 1 } else { 2 });
        let validated_at = flag_or_time(row.validated, created);
        let validated_by = validated_at.and_then(|_| import.maps.account(row.user_id));
        let origin = match (row.echo, row.generation) {
            (1, _) => "echo",
            (_, 0) => "person",
            _ => "learnt",
        };
        [
            id.into(),
            metric.into(),
            series.map_or(0, |series| series.resolution).into(),
            row.full_duration.into(),
            origin.into(),
            parent.into(),
            root.into(),
            row.generation.into(),
            time(row.anomaly_ts).map(|ts| ts as f64).into(),
            anomaly.into(),
            Value::Int(0),
            row.features_count.unwrap_or(features.len() as i64).into(),
            row.features_sum.into(),
            row.calc_time.map(|seconds| (seconds * 1e6).round() / 1e3).into(),
            state.into(),
            state_at.into(),
            reason.into(),
            creator.into(),
            created.into(),
            validated_at.into(),
            validated_by.into(),
            row.label.clone().into(),
            row.checked_count.into(),
            row.matched_count.into(),
            time(row.last_checked).into(),
            time(row.last_matched).into(),
        ]
    }

    /// Enters parents and roots that have a higher id than their child. Says the same each time.
    async fn late_parents(&mut self, import: &mut Import<'_>) -> Result<(), Error> {
        let late = self.family.late();
        if late.is_empty() {
            return Ok(());
        }
        let mut transaction = import.begin().await?;
        let new = |old: i64| import.maps.profiles.get(&old).copied();
        for old in late {
            let kin = self.family.kin(old);
            let Some(id) = new(old) else { continue };
            let update = Statement::new("UPDATE profile SET parent_id = ?, root_id = ? WHERE id = ?")
                .bind(kin.parent.and_then(new))
                .bind(new(kin.root).unwrap_or(id))
                .bind(id);
            transaction.session().execute(update).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Counts rows of series and features that belong to no profile. That looks through all of them, and is done
    /// once for the profiles that are there: up to `features.last`. Only what an earlier run did not count is added.
    async fn strays(&mut self, import: &mut Import<'_>) -> Result<(), Error> {
        if self.features.last == self.cursor.last && self.cursor.last > 0 {
            return Ok(());
        }
        let mut strays = [0_u64; 2];
        for metric in import.source.layout().metrics_with_tables() {
            for (prefix, strays) in ["z_ts_", "z_fp_"].iter().zip(&mut strays) {
                for extent in import.source.extents(&format!("{prefix}{metric}")).await? {
                    if !self.family.has(extent.profile) {
                        *strays += extent.rows.cast_unsigned();
                    }
                }
            }
        }
        let mut transaction = import.begin().await?;
        for (cursor, strays) in [&mut self.series, &mut self.features].into_iter().zip(strays) {
            add_strays(&mut cursor.tally, strays);
            cursor.advance(&mut transaction, self.cursor.last).await?;
        }
        Ok(transaction.commit().await?)
    }
}

fn add_strays(tally: &mut Tally, strays: u64) {
    const REASON: &str = "their profile is not there";
    let counted = tally.dropped.get(REASON).copied().unwrap_or(0);
    let more = strays.saturating_sub(counted);
    tally.read += more;
    tally.drop_rows(REASON, more);
}

/// State, since when, and why it is not active.
fn state(row: &Profile, has_series: bool) -> (&'static str, Option<i64>, Option<&'static str>) {
    match (row.deleted.and_then(time), row.enabled) {
        (Some(at), _) => {
            ("disabled", time(at).filter(|at| *at > 1), Some("deleted in the imported database"))
        }
        (None, Some(0)) => ("disabled", None, Some("disabled in the imported database")),
        _ if !has_series => ("disabled", None, Some("its series is missing in the imported database")),
        _ => ("active", None, None),
    }
}

/// The anomaly that a profile was made from, if the record has it.
async fn anomaly(session: &mut Session, metric: i64, ts: i64) -> Result<Option<i64>, Error> {
    if ts <= 0 {
        return Ok(None);
    }
    let select = Statement::new("SELECT MIN(id) FROM anomaly WHERE metric_id = ? AND anomaly_ts = ?")
        .bind(metric)
        .bind(ts as f64);
    Ok(session.number(select).await?)
}
