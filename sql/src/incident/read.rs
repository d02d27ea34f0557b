//! Rows of incidents, their metrics and who was told, read back.

use super::{Incident, Member, Told};
use crate::error::Error;
use crate::session::{Row as Answer, Session};
use crate::statement::Statement;
use std::collections::HashMap;

pub(super) const SELECT: &str = "SELECT id, incident_key, node, first_metric, opened_at, ended_at, since_ts, changed_ts, severity, \
     metric_count, anomaly_count, acknowledged_at, detail FROM incident WHERE incident_key IS NOT NULL";

pub(super) fn incident_of(row: &Answer) -> Result<(i64, Incident), sqlx::Error> {
    let number = |column: &str| row.get::<i64>(column);
    let text = |column: &str| Ok::<_, sqlx::Error>(row.get::<Option<String>>(column)?.unwrap_or_default());
    let time = |column: &str| row.get::<Option<f64>>(column);
    let opened = number("opened_at")? as f64;
    let incident = Incident {
        key: text("incident_key")?,
        node: text("node")?,
        first_metric: text("first_metric")?,
        opened,
        since: time("since_ts")?.unwrap_or(opened),
        changed: time("changed_ts")?.unwrap_or(opened),
        ended: row.get::<Option<i64>>("ended_at")?.map(|at| at as f64),
        severity: text("severity")?,
        metrics: number("metric_count")?.unsigned_abs(),
        anomalies: number("anomaly_count")?.unsigned_abs(),
        acknowledged: row.get::<Option<i64>>("acknowledged_at")?.map(|at| at as f64),
        detail: text("detail")?,
    };
    Ok((number("id")?, incident))
}

pub(super) async fn read_members(
    session: &mut Session,
    ids: &[i64],
    keys: &HashMap<i64, String>,
    out: &mut Vec<Member>,
) -> Result<(), Error> {
    let place = session.place().clone();
    let mut select = Statement::new(
        "SELECT incident_id, place, name, since_ts, last_ts, ended_ts, points, detail FROM incident_member \
         WHERE incident_id IN ",
    );
    select.push_list(ids.iter().copied()).push(" ORDER BY incident_id, place");
    let of = |row: &Answer| {
        Ok(Member {
            incident: keys.get(&row.get::<i64>("incident_id")?).cloned().unwrap_or_default(),
            place: u32::try_from(row.get::<i64>("place")?).unwrap_or(u32::MAX),
            name: row.get("name")?,
            since: row.get("since_ts")?,
            last: row.get("last_ts")?,
            ended: row.get("ended_ts")?,
            points: row.get::<i64>("points")?.unsigned_abs(),
            detail: row.get("detail")?,
        })
    };
    for row in session.fetch(select).await? {
        out.push(of(&row).map_err(|e| Error::of(&place, &e))?);
    }
    Ok(())
}

pub(super) async fn read_told(
    session: &mut Session,
    ids: &[i64],
    keys: &HashMap<i64, String>,
    out: &mut Vec<Told>,
) -> Result<(), Error> {
    let place = session.place().clone();
    let mut select = Statement::new(
        "SELECT t.incident_id, t.channel, t.recipient, t.messages, t.last_ts, t.detail, h.thread FROM incident_told t \
         LEFT JOIN incident_thread h ON h.incident_id = t.incident_id AND h.channel = t.channel \
         AND h.recipient = t.recipient WHERE t.incident_id IN ",
    );
    select.push_list(ids.iter().copied()).push(" ORDER BY t.incident_id, t.channel, t.recipient");
    let of = |row: &Answer| {
        Ok(Told {
            incident: keys.get(&row.get::<i64>("incident_id")?).cloned().unwrap_or_default(),
            channel: row.get("channel")?,
            recipient: row.get("recipient")?,
            messages: u32::try_from(row.get::<i64>("messages")?).unwrap_or(u32::MAX),
            last: row.get("last_ts")?,
            thread: row.get("thread")?,
            detail: row.get("detail")?,
        })
    };
    for row in session.fetch(select).await? {
        out.push(of(&row).map_err(|e| Error::of(&place, &e))?);
    }
    Ok(())
}
