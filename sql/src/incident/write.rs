//! Rows of incidents, their metrics and who was told, written by keys: what is there already takes the new values.

use super::{CHUNK, Incident, Member, Told};
use crate::error::Error;
use crate::record::name_hash;
use crate::session::Session;
use crate::statement::{Statement, Value};
use std::collections::HashMap;

/// Columns that take the new value where a row is there already.
pub(crate) fn renew(session: &Session, key: &str, columns: &[&str]) -> String {
    let set = |value: fn(&str) -> String| {
        columns.iter().map(|c| format!("{c} = {}", value(c))).collect::<Vec<_>>().join(", ")
    };
    match session.dialect() {
        crate::session::Dialect::Sqlite => {
            format!(" ON CONFLICT ({key}) DO UPDATE SET {}", set(|c| format!("excluded.{c}")))
        }
        crate::session::Dialect::MySql => {
            format!(" ON DUPLICATE KEY UPDATE {}", set(|c| format!("VALUES({c})")))
        }
    }
}

pub(super) async fn incidents(session: &mut Session, chunk: &[Incident]) -> Result<(), Error> {
    let mut insert = Statement::new(
        "INSERT INTO incident (incident_key, node, first_metric, opened_at, updated_at, ended_at, since_ts, \
         changed_ts, severity, metric_count, anomaly_count, acknowledged_at, detail) ",
    );
    insert.push_rows(chunk.iter().map(|i| {
        [
            Value::from(i.key.as_str()),
            i.node.as_str().into(),
            i.first_metric.as_str().into(),
            (i.opened as i64).into(),
            (i.changed as i64).into(),
            i.ended.map(|at| at as i64).into(),
            i.since.into(),
            i.changed.into(),
            i.severity.as_str().into(),
            i.metrics.cast_signed().into(),
            i.anomalies.cast_signed().into(),
            i.acknowledged.map(|at| at as i64).into(),
            i.detail.as_str().into(),
        ]
    }));
    let columns = [
        "updated_at",
        "ended_at",
        "changed_ts",
        "severity",
        "metric_count",
        "anomaly_count",
        "acknowledged_at",
        "detail",
    ];
    insert.push(&renew(session, "incident_key", &columns));
    session.execute(insert).await.map(drop)
}

/// Ids of incidents by their keys.
pub(super) async fn ids<'a>(
    session: &mut Session,
    keys: impl Iterator<Item = &'a str>,
) -> Result<HashMap<&'a str, i64>, Error> {
    let mut keys: Vec<&str> = keys.filter(|key| !key.is_empty()).collect();
    keys.sort_unstable();
    keys.dedup();
    let place = session.place().clone();
    let failed = |e| Error::of(&place, &e);
    let mut ids = HashMap::with_capacity(keys.len());
    for chunk in keys.chunks(CHUNK) {
        let mut select = Statement::new("SELECT id, incident_key FROM incident WHERE incident_key IN ");
        select.push_list(chunk.iter().copied());
        for row in session.fetch(select).await? {
            let key: &str = row.get("incident_key").map_err(failed)?;
            if let Ok(at) = chunk.binary_search(&key)
                && let Some(key) = chunk.get(at)
            {
                ids.insert(*key, row.get("id").map_err(failed)?);
            }
        }
    }
    Ok(ids)
}

pub(super) async fn members(
    session: &mut Session,
    chunk: &[Member],
    ids: &HashMap<&str, i64>,
) -> Result<(), Error> {
    let rows: Vec<_> = chunk
        .iter()
        .filter_map(|m| {
            let id = *ids.get(m.incident.as_str())?;
            Some([
                Value::from(id),
                m.place.into(),
                m.name.as_str().into(),
                name_hash(&m.name).into(),
                m.since.into(),
                m.last.into(),
                m.ended.into(),
                m.points.cast_signed().into(),
                m.detail.as_str().into(),
            ])
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let mut insert = Statement::new(
        "INSERT INTO incident_member (incident_id, place, name, name_hash, since_ts, last_ts, ended_ts, points, detail) ",
    );
    insert.push_rows(rows);
    let columns = ["since_ts", "last_ts", "ended_ts", "points", "detail"];
    insert.push(&renew(session, "incident_id, place", &columns));
    session.execute(insert).await.map(drop)
}

pub(super) async fn told(
    session: &mut Session,
    chunk: &[Told],
    ids: &HashMap<&str, i64>,
) -> Result<(), Error> {
    let of = |t: &Told| Some((*ids.get(t.incident.as_str())?, t.clone()));
    let rows: Vec<_> = chunk.iter().filter_map(of).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let mut insert = Statement::new(
        "INSERT INTO incident_told (incident_id, channel, recipient, messages, last_ts, detail) ",
    );
    insert.push_rows(rows.iter().map(|(id, t)| {
        [
            Value::from(*id),
            t.channel.as_str().into(),
            t.recipient.as_str().into(),
            t.messages.into(),
            t.last.into(),
            t.detail.as_str().into(),
        ]
    }));
    insert.push(&renew(session, "incident_id, channel, recipient", &["messages", "last_ts", "detail"]));
    session.execute(insert).await?;
    let threads: Vec<_> = rows
        .iter()
        .filter_map(|(id, t)| {
            let thread = t.thread.as_deref()?;
            Some([Value::from(*id), t.channel.as_str().into(), t.recipient.as_str().into(), thread.into()])
        })
        .collect();
    if threads.is_empty() {
        return Ok(());
    }
    let mut insert = Statement::new("INSERT INTO incident_thread (incident_id, channel, recipient, thread) ");
    insert.push_rows(threads);
    insert.push(&renew(session, "incident_id, channel, recipient", &["thread"]));
    session.execute(insert).await.map(drop)
}
