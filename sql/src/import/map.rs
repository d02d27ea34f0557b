//! Which row of the source became which row of the record: `import_map`.

use super::error::Error;
use crate::session::Session;
use crate::statement::{Statement, Value};
use std::collections::{HashMap, HashSet};

/// Rows of one statement; four values each.
const CHUNK: usize = 1_000;

/// Largest id that is kept. The record's own rows come behind the highest there is: they have to have room.
const LARGEST: i64 = 1 << 48;

/// Old id to new id.
pub(super) type Map = HashMap<i64, i64>;

/// Writes pairs of (old id, new id).
pub(super) async fn store(
    session: &mut Session,
    source_id: i64,
    kind: &str,
    pairs: &[(i64, i64)],
) -> Result<(), Error> {
    for pairs in pairs.chunks(CHUNK) {
        let mut insert = Statement::new("INSERT INTO import_map (source_id, kind, old_id, new_id) ");
        insert.push_rows(
            pairs
                .iter()
                .map(|(old, new)| [source_id.into(), Value::from(kind), (*old).into(), (*new).into()]),
        );
        session.execute(insert).await?;
    }
    Ok(())
}

/// All pairs of a kind whose rows are still in `target`. For kinds of which a database has thousands, not millions.
pub(super) async fn load(
    session: &mut Session,
    source_id: i64,
    kind: &str,
    target: &str,
) -> Result<Map, Error> {
    range(session, source_id, kind, target, (i64::MIN, i64::MAX)).await
}

/// The pairs of a kind with old ids from the first to the last of `span`, whose rows are still in `target`.
pub(super) async fn range(
    session: &mut Session,
    source_id: i64,
    kind: &str,
    target: &str,
    span: (i64, i64),
) -> Result<Map, Error> {
    let text = format!(
        "SELECT m.old_id AS old_id, m.new_id AS new_id FROM import_map m JOIN {target} t ON t.id = m.new_id \
         WHERE m.source_id = ? AND m.kind = ? AND m.old_id BETWEEN ? AND ?"
    );
    let select = Statement::new(&text).bind(source_id).bind(kind).bind(span.0).bind(span.1);
    let rows = session.fetch(select).await?;
    let failed = |e: sqlx::Error| crate::Error::of(session.place(), &e);
    let mut map = Map::with_capacity(rows.len());
    for row in &rows {
        map.insert(row.get("old_id").map_err(failed)?, row.get("new_id").map_err(failed)?);
    }
    Ok(map)
}

/// Gives rows their ids: their own where these are free.
#[derive(Debug)]
pub(super) struct Ids {
    table: &'static str,
    floor: i64,
    next: i64,
}

impl Ids {
    /// For rows of `table`. `floor`: ids above it were free when the import began. `beyond`: no id of the source is
    /// higher.
    pub(super) async fn new(
        session: &mut Session,
        table: &'static str,
        floor: i64,
        beyond: i64,
    ) -> Result<Self, Error> {
        let next = super::cursor::highest(session, table).await?.max(beyond.min(LARGEST)).saturating_add(1);
        Ok(Self { table, floor, next })
    }

    /// One id for each of `wanted`, in their order; they differ.
    pub(super) async fn give(&mut self, session: &mut Session, wanted: &[i64]) -> Result<Vec<i64>, Error> {
        let taken = existing(session, self.table, wanted).await?;
        let mut given = Vec::with_capacity(wanted.len());
        for id in wanted {
            if *id > self.floor && *id <= LARGEST && !taken.contains(id) {
                given.push(*id);
            } else {
                given.push(self.fresh());
            }
        }
        Ok(given)
    }

    /// An id that no row of the source has.
    pub(super) const fn fresh(&mut self) -> i64 {
        let id = self.next;
        self.next = self.next.saturating_add(1);
        id
    }
}

/// Those of `ids` that a table has.
pub(super) async fn existing(session: &mut Session, table: &str, ids: &[i64]) -> Result<HashSet<i64>, Error> {
    let mut found = HashSet::new();
    for ids in ids.chunks(CHUNK) {
        let mut select = Statement::new(&format!("SELECT id FROM {table} WHERE id IN "));
        select.push_list(ids.iter().copied());
        let rows = session.fetch(select).await?;
        let failed = |e: sqlx::Error| crate::Error::of(session.place(), &e);
        for row in &rows {
            found.insert(row.first().map_err(failed)?);
        }
    }
    Ok(found)
}
