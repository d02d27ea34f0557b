//! `ionosphere_matched` and `ionosphere_layers_matched`: anomalies that a profile or a layer explained.

use super::{BATCH, layers, profiles};
use crate::import::Import;
use crate::import::cursor::Cursor;
use crate::import::error::Error;
use crate::import::map::{self, Ids};
use crate::import::source::{LayerMatch, Match};
use crate::import::tally::Tally;
use crate::statement::{Statement, Value};
use std::collections::HashMap;

const TABLE: &str = "ionosphere_matched";
const OF_LAYERS: &str = "ionosphere_layers_matched";

const INTO: &str = "INSERT INTO match_event (id, metric_id, anomaly_ts, matched_at, kind, profile_id, layer_set_id, \
     distance, detail, verdict, verdict_by) ";

/// A profile of the record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) id: i64,
    pub(super) metric: i64,
    is_echo: bool,
}

/// Profiles that came from this source, by their ids there.
pub(super) async fn profiles(import: &Import<'_>) -> Result<HashMap<i64, Known>, Error> {
    let mut session = import.session().await?;
    let select = Statement::new(
        "SELECT m.old_id AS old_id, p.id AS id, p.metric_id AS metric_id, p.origin AS origin \
         FROM import_map m JOIN profile p ON p.id = m.new_id WHERE m.source_id = ? AND m.kind = ?",
    )
    .bind(import.source_id)
    .bind(profiles::TABLE);
    let rows = session.fetch(select).await?;
    let failed = |e: sqlx::Error| crate::Error::of(session.place(), &e);
    let mut known = HashMap::with_capacity(rows.len());
    for row in &rows {
        let origin: String = row.get("origin").map_err(failed)?;
        let profile = Known {
            id: row.get("id").map_err(failed)?,
            metric: row.get("metric_id").map_err(failed)?,
            is_echo: origin == "echo",
        };
        known.insert(row.get("old_id").map_err(failed)?, profile);
    }
    Ok(known)
}

fn verdict(validated: i64) -> &'static str {
    match validated {
        1 => "valid",
        2 => "invalid",
        _ => "open",
    }
}

/// Who gave a verdict, if there is one.
fn judge(import: &Import<'_>, tally: &mut Tally, validated: i64, user: i64) -> Option<i64> {
    if !matches!(validated, 1 | 2) || user == 0 {
        return None;
    }
    let judge = import.maps.account(user);
    if judge.is_none() {
        tally.change("its user is not there: none");
    }
    judge
}

pub(super) async fn of_profiles(import: &mut Import<'_>) -> Result<(), Error> {
    let highest = import.source.highest(TABLE).await?;
    let profiles = profiles(import).await?;
    let mut session = import.session().await?;
    let mut cursor = Cursor::load(&mut session, import.source_id, TABLE, Some("match_event")).await?;
    let mut ids = Ids::new(&mut session, "match_event", cursor.floor, highest).await?;
    drop(session);
    loop {
        let rows = import.source.matches(cursor.last, BATCH).await?;
        let Some(last) = rows.last().map(|row| row.old_id) else { break };
        let wanted: Vec<_> = rows.iter().map(|row| row.old_id).collect();
        let mut transaction = import.begin().await?;
        let session = transaction.session();
        let given = ids.give(session, &wanted).await?;
        let (mut new, mut pairs) = (Vec::new(), Vec::new());
        for (row, id) in rows.iter().zip(given) {
            cursor.tally.read += 1;
            let Some(profile) = profiles.get(&row.profile_id) else {
                cursor.tally.drop_row("its profile is not there");
                continue;
            };
            if row.ts <= 0 {
                cursor.tally.drop_row("no time");
                continue;
            }
            cursor.tally.written += 1;
            pairs.push((row.old_id, id));
            let kind = match (row.minmax, profile.is_echo) {
                (1, true) => "echo_minmax",
                (1, false) => "minmax",
                (_, true) => "echo_sum",
                (_, false) => "sum",
            };
            new.push([
                Value::Int(id),
                profile.metric.into(),
                (row.ts as f64).into(),
                row.ts.into(),
                kind.into(),
                profile.id.into(),
                Value::Null,
                distance(row).into(),
                detail(row).into(),
                verdict(row.validated).into(),
                judge(import, &mut cursor.tally, row.validated, row.user_id).into(),
            ]);
        }
        super::insert(session, INTO, new, "").await?;
        map::store(session, import.source_id, TABLE, &pairs).await?;
        cursor.advance(&mut transaction, last).await?;
        transaction.commit().await?;
        import.progressed(TABLE, wanted.len());
    }
    import.finished(cursor);
    Ok(())
}

/// How far the two sums were apart, percent; kept for scaled ones only.
fn distance(row: &Match) -> Option<f64> {
    let (trained, fresh) = (row.minmax_fp_sum?, row.minmax_sum?);
    let percent = ((fresh - trained) / trained * 100.0).abs();
    Some(percent).filter(|percent| row.minmax == 1 && percent.is_finite())
}

fn detail(row: &Match) -> String {
    serde_json::json!({
        "features_sum": row.calc_sum, "features_count": row.calc_count,
        "common_sum": row.common_sum, "common_count": row.common_count,
        "minmax_profile_sum": row.minmax_fp_sum, "minmax_profile_count": row.minmax_fp_count,
        "minmax_sum": row.minmax_sum, "minmax_count": row.minmax_count,
        "profiles": row.fp_count, "profiles_tried": row.fp_checked, "tsfresh_version": row.tsfresh_version,
    })
    .to_string()
}

pub(super) async fn of_layers(import: &mut Import<'_>) -> Result<(), Error> {
    let highest = import.source.highest(OF_LAYERS).await?;
    let mut session = import.session().await?;
    let sets = map::load(&mut session, import.source_id, layers::TABLE, "layer_set").await?;
    let owners = owners(&mut session, import.source_id).await?;
    let mut cursor = Cursor::load(&mut session, import.source_id, OF_LAYERS, Some("match_event")).await?;
    let mut ids = Ids::new(&mut session, "match_event", cursor.floor, highest).await?;
    drop(session);
    loop {
        let rows = import.source.layer_matches(cursor.last, BATCH).await?;
        let Some(last) = rows.last().map(|row| row.old_id) else { break };
        let wanted: Vec<_> = rows.iter().map(|row| row.old_id).collect();
        let mut transaction = import.begin().await?;
        let session = transaction.session();
        let given = ids.give(session, &wanted).await?;
        let (mut new, mut pairs) = (Vec::new(), Vec::new());
        for (row, id) in rows.iter().zip(given) {
            cursor.tally.read += 1;
            let set = sets.get(&row.layer_id);
            let Some((set, (profile, metric))) = set.and_then(|set| Some((set, owners.get(set)?))) else {
                cursor.tally.drop_row("its layer is not there");
                continue;
            };
            if row.ts <= 0 {
                cursor.tally.drop_row("no time");
                continue;
            }
            cursor.tally.written += 1;
            pairs.push((row.old_id, id));
            new.push([
                Value::Int(id),
                (*metric).into(),
                (row.ts as f64).into(),
                row.ts.into(),
                "layer".into(),
                (*profile).into(),
                (*set).into(),
                Value::Null,
                layer_detail(row).into(),
                verdict(row.validated).into(),
                judge(import, &mut cursor.tally, row.validated, row.user_id).into(),
            ]);
        }
        super::insert(session, INTO, new, "").await?;
        map::store(session, import.source_id, OF_LAYERS, &pairs).await?;
        cursor.advance(&mut transaction, last).await?;
        transaction.commit().await?;
        import.progressed(OF_LAYERS, wanted.len());
    }
    import.finished(cursor);
    Ok(())
}

/// Profile and metric of each set of layers.
async fn owners(
    session: &mut crate::session::Session,
    source_id: i64,
) -> Result<HashMap<i64, (i64, i64)>, Error> {
    let select = Statement::new(
        "SELECT DISTINCT s.id AS id, s.profile_id AS profile_id, s.metric_id AS metric_id \
         FROM import_map m JOIN layer_set s ON s.id = m.new_id WHERE m.source_id = ? AND m.kind = ?",
    )
    .bind(source_id)
    .bind(layers::TABLE);
    let rows = session.fetch(select).await?;
    let failed = |e: sqlx::Error| crate::Error::of(session.place(), &e);
    let mut owners = HashMap::with_capacity(rows.len());
    for row in &rows {
        let owner = (row.get("profile_id").map_err(failed)?, row.get("metric_id").map_err(failed)?);
        owners.insert(row.get("id").map_err(failed)?, owner);
    }
    Ok(owners)
}

fn layer_detail(row: &LayerMatch) -> String {
    let value = row.value.as_deref().and_then(|value| value.parse::<f64>().ok());
    serde_json::json!({
        "value": value, "full_duration_s": row.full_duration, "layers": row.layers_count,
        "layers_tried": row.layers_checked, "approx_close": row.approx_close == 1,
    })
    .to_string()
}
