//! `anomalies`: one row for each point, with the algorithms that were asked and those that triggered.

use super::{BATCH, dictionaries};
use crate::import::Import;
use crate::import::cursor::Cursor;
use crate::import::error::Error;
use crate::import::map::{self, Ids};
use crate::import::source::{Anomaly, Dictionary};
use crate::import::tally::Tally;
use crate::session::{Dialect, Session};
use crate::statement::{Statement, Value};
use std::collections::{BTreeMap, HashMap};

pub(super) const TABLE: &str = "anomalies";

const INTO: &str = "INSERT INTO anomaly (id, metric_id, host_id, app_id, source_id, anomaly_ts, received_ts, \
     last_received_ts, value, judged_value, window_from_ts, window_points, full_duration_s, is_counter, journal_seq, \
     verdict, chat_thread, label, label_by, created_at) ";

/// Keys of one question.
const KEYS: usize = 500;

/// What makes two anomalies one: metric, time, app, host.
type Key = (i64, i64, i64, i64);

/// An anomaly with the ids of the record.
struct Placed<'a> {
    id: i64,
    key: Key,
    row: &'a Anomaly,
}

pub(super) async fn run(import: &mut Import<'_>) -> Result<(), Error> {
    let highest = import.source.highest(TABLE).await?;
    let mut session = import.session().await?;
    let mut cursor = Cursor::load(&mut session, import.source_id, TABLE, Some("anomaly")).await?;
    let mut ids = Ids::new(&mut session, "anomaly", cursor.floor, highest).await?;
    drop(session);
    loop {
        let rows = import.source.anomalies(cursor.last, BATCH).await?;
        let Some(last) = rows.last().map(|row| row.old_id) else { break };
        let count = rows.len();
        let mut transaction = import.begin().await?;
        let session = transaction.session();
        let placed = place(import, session, &mut cursor.tally, &mut ids, &rows).await?;
        let pairs = write(import, session, &mut cursor.tally, placed).await?;
        map::store(session, import.source_id, TABLE, &pairs).await?;
        cursor.advance(&mut transaction, last).await?;
        transaction.commit().await?;
        import.progressed(TABLE, count);
    }
    import.finished(cursor);
    Ok(())
}

/// Gives rows the record's ids; leaves out those whose metric nobody knows any more.
async fn place<'a>(
    import: &Import<'_>,
    session: &mut Session,
    tally: &mut Tally,
    ids: &mut Ids,
    rows: &'a [Anomaly],
) -> Result<Vec<Placed<'a>>, Error> {
    let wanted: Vec<_> = rows.iter().map(|row| row.old_id).collect();
    let given = ids.give(session, &wanted).await?;
    let mut placed = Vec::with_capacity(rows.len());
    for (row, id) in rows.iter().zip(given) {
        tally.read += 1;
        let Some(metric) = import.maps.metrics.get(&row.metric_id) else {
            tally.drop_row("its metric is not there");
            continue;
        };
        let mut name = async |which, old| match import.maps.name(which, old) {
            Some(id) => Ok(id),
            None => {
                tally.change(&format!("its {} is not there: `unknown`", Dictionary::target(which)));
                dictionaries::unknown(session, which, import.now).await
            }
        };
        let host = name(Dictionary::Host, row.host_id).await?;
        let app = name(Dictionary::App, row.app_id).await?;
        placed.push(Placed { id, key: (*metric, row.ts, app, host), row });
    }
    Ok(placed)
}

/// Writes what is new; counts what is one with another. Returns which row became which.
async fn write(
    import: &Import<'_>,
    session: &mut Session,
    tally: &mut Tally,
    placed: Vec<Placed<'_>>,
) -> Result<Vec<(i64, i64)>, Error> {
    let mut known = known(session, &placed).await?;
    let (mut rows, mut votes, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
    let mut again: BTreeMap<i64, i64> = BTreeMap::new();
    for Placed { id, key, row } in placed {
        if let Some((first, is_old)) = known.get(&key) {
            pairs.push((row.old_id, *first));
            tally.joined += 1;
            // What the record had before was found by another program, not once more.
            if !is_old {
                *again.entry(*first).or_default() += 1;
            }
            continue;
        }
        known.insert(key, (id, false));
        pairs.push((row.old_id, id));
        tally.written += 1;
        rows.push(values(import, tally, id, key, row));
        votes.extend(
            self::votes(import, tally, row)
                .into_iter()
                .map(|(algorithm, triggered)| [Value::Int(id), algorithm.into(), triggered.into()]),
        );
    }
    super::insert(session, INTO, rows, "").await?;
    super::insert(session, "INSERT INTO anomaly_algorithm (anomaly_id, algorithm_id, triggered) ", votes, "")
        .await?;
    for (id, times) in again {
        let update = Statement::new("UPDATE anomaly SET recurrences = recurrences + ? WHERE id = ?")
            .bind(times)
            .bind(id);
        session.execute(update).await?;
    }
    Ok(pairs)
}

/// Those of the keys that the record has, with the row's id, and whether another than an import made it.
async fn known(session: &mut Session, placed: &[Placed<'_>]) -> Result<HashMap<Key, (i64, bool)>, Error> {
    let mut known = HashMap::new();
    for placed in placed.chunks(KEYS) {
        let mut select = Statement::new(
            "SELECT a.id AS id, a.metric_id AS metric_id, a.anomaly_ts AS ts, a.app_id AS app_id, a.host_id AS host_id, \
             (SELECT COUNT(*) FROM import_map m WHERE m.kind = 'anomalies' AND m.new_id = a.id) AS imported \
             FROM anomaly a WHERE ",
        );
        let pairs = placed.iter().map(|Placed { key: (metric, ts, ..), .. }| (*metric, *ts as f64));
        match session.dialect() {
            Dialect::Sqlite => {
                select.push("(a.metric_id, a.anomaly_ts) IN (");
                select.push_rows(pairs.map(|(metric, ts)| [metric.into(), ts.into()])).push(")");
            }
            // Row values in a list would make MariaDB read the table; SQLite takes no such long chain of ORs.
            Dialect::MySql => {
                for (i, (metric, ts)) in pairs.enumerate() {
                    select.push(if i == 0 { "" } else { " OR " }).push("(a.metric_id = ").push_bind(metric);
                    select.push(" AND a.anomaly_ts = ").push_bind(ts).push(")");
                }
                select.keep = false;
            }
        }
        let rows = session.fetch(select).await?;
        let failed = |e: sqlx::Error| crate::Error::of(session.place(), &e);
        for row in &rows {
            let number = |column| row.get::<i64>(column).map_err(failed);
            let ts: f64 = row.get("ts").map_err(failed)?;
            let key = (number("metric_id")?, ts as i64, number("app_id")?, number("host_id")?);
            known.insert(key, (number("id")?, number("imported")? == 0));
        }
    }
    Ok(known)
}

fn values(import: &Import<'_>, tally: &mut Tally, id: i64, key: Key, row: &Anomaly) -> [Value; 20] {
    let (metric, ts, app, host) = key;
    let value = row.value.parse::<f64>().ok().filter(|value| value.is_finite());
    let recorded = row.created.unwrap_or(ts);
    if row.created.is_none() {
        tally.change("without a time of recording: that of the point");
    }
    let source = import.maps.name(Dictionary::Source, row.source_id);
    if source.is_none() {
        tally.change("its source is not there: none");
    }
    let thread = row.thread.trim_matches(['0', '.']);
    let by = import.maps.account(row.user_id);
    if row.user_id != 0 && by.is_none() {
        tally.change("its user is not there: none");
    }
    [
        id.into(),
        metric.into(),
        host.into(),
        app.into(),
        source.into(),
        (ts as f64).into(),
        (recorded as f64).into(),
        (recorded as f64).into(),
        value.into(),
        value.into(),
        ((ts - row.full_duration) as f64).into(),
        Value::Int(0),
        row.full_duration.into(),
        Value::Int(0),
        Value::Int(0),
        "alerted".into(),
        Some(row.thread.clone()).filter(|_| !thread.is_empty()).into(),
        row.label.clone().into(),
        by.into(),
        recorded.into(),
    ]
}

/// The algorithms of an anomaly, and whether each triggered.
fn votes(import: &Import<'_>, tally: &mut Tally, row: &Anomaly) -> Vec<(i64, bool)> {
    let mut votes: BTreeMap<i64, bool> = BTreeMap::new();
    let is_cut = |list: &str| list.chars().count() >= 255;
    if is_cut(&row.run) || is_cut(&row.triggered) {
        tally.change("a list of algorithms was cut at 255 characters");
    }
    for (list, triggered) in [(&row.run, false), (&row.triggered, true)] {
        for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let id = part.parse().ok().and_then(|old| import.maps.name(Dictionary::Algorithm, old));
            let Some(id) = id else {
                tally.change("an algorithm of it is not there: left out");
                continue;
            };
            *votes.entry(id).or_default() |= triggered;
        }
    }
    votes.into_iter().collect()
}
