//! `hosts`, `apps`, `sources`, `algorithms`, `users`: names once each. Of twins the lowest id wins.

use super::BATCH;
use crate::import::Import;
use crate::import::cursor::Cursor;
use crate::import::error::Error;
use crate::import::map::{self, Ids, Map};
use crate::import::source::Dictionary;
use crate::session::Session;
use crate::statement::{Statement, Value};
use std::collections::HashMap;

/// Longest login.
const LOGIN: usize = 190;
/// Accounts that every record has.
pub(in crate::import) const SYSTEM: i64 = 1;
pub(in crate::import) const ADMIN: i64 = 2;

pub(super) async fn run(import: &mut Import<'_>) -> Result<(), Error> {
    for which in Dictionary::ALL {
        let map = names(import, which).await?;
        import.maps.names.insert(which, map);
    }
    import.maps.accounts = users(import).await?;
    Ok(())
}

/// A name as databases compare it: blanks at its end do not count. None if nothing is left.
fn plain(name: Option<&str>) -> Option<&str> {
    name.map(|name| name.trim_end_matches(' ')).filter(|name| !name.is_empty())
}

async fn names(import: &mut Import<'_>, which: Dictionary) -> Result<Map, Error> {
    let (table, target) = (which.table(), which.target());
    let highest = import.source.highest(table).await?;
    let mut session = import.session().await?;
    let mut cursor = Cursor::load(&mut session, import.source_id, table, Some(target)).await?;
    let mut map = map::load(&mut session, import.source_id, table, target).await?;
    let mut known = known(&mut session, target, "name").await?;
    let mut ids = Ids::new(&mut session, target, cursor.floor, highest).await?;
    drop(session);
    loop {
        let rows = import.source.names(which, cursor.last, BATCH).await?;
        let Some(last) = rows.last().map(|row| row.old_id) else { break };
        let wanted: Vec<_> = rows.iter().map(|row| row.old_id).collect();
        let mut transaction = import.begin().await?;
        let session = transaction.session();
        let given = ids.give(session, &wanted).await?;
        let (mut new, mut pairs) = (Vec::new(), Vec::new());
        for (row, id) in rows.iter().zip(given) {
            cursor.tally.read += 1;
            let Some(name) = plain(row.name.as_deref()) else {
                cursor.tally.drop_row("no name");
                continue;
            };
            let id = match known.get(name) {
                Some(known) => {
                    cursor.tally.joined += 1;
                    *known
                }
                None => {
                    cursor.tally.written += 1;
                    known.insert(name.to_owned(), id);
                    let created = row.created.unwrap_or(import.now);
                    new.push([Value::Int(id), name.into(), created.into()]);
                    id
                }
            };
            pairs.push((row.old_id, id));
        }
        super::insert(session, &format!("INSERT INTO {target} (id, name, created_at) "), new, "").await?;
        map::store(session, import.source_id, table, &pairs).await?;
        cursor.advance(&mut transaction, last).await?;
        transaction.commit().await?;
        map.extend(pairs);
        import.progressed(table, wanted.len());
    }
    import.finished(cursor);
    Ok(map)
}

/// Users become accounts without a password: nobody can log in as one until an administrator says so.
async fn users(import: &mut Import<'_>) -> Result<Map, Error> {
    const TABLE: &str = "users";
    let highest =
        if import.source.layout().has_table(TABLE) { import.source.highest(TABLE).await? } else { 0 };
    let mut session = import.session().await?;
    let mut cursor = Cursor::load(&mut session, import.source_id, TABLE, Some("account")).await?;
    let mut map = map::load(&mut session, import.source_id, TABLE, "account").await?;
    let mut known = known(&mut session, "account", "login").await?;
    known.insert("Skyline".to_owned(), SYSTEM);
    let mut ids = Ids::new(&mut session, "account", cursor.floor, highest).await?;
    drop(session);
    loop {
        let rows = import.source.users(cursor.last, BATCH).await?;
        let Some(last) = rows.last().map(|row| row.old_id) else { break };
        let wanted: Vec<_> = rows.iter().map(|row| row.old_id).collect();
        let mut transaction = import.begin().await?;
        let session = transaction.session();
        let given = ids.give(session, &wanted).await?;
        let (mut new, mut pairs) = (Vec::new(), HashMap::new());
        for (row, id) in rows.iter().zip(given) {
            cursor.tally.read += 1;
            let Some(name) = plain(row.name.as_deref()).filter(|name| name.chars().count() <= LOGIN) else {
                cursor.tally.drop_row(if row.name.is_some() {
                    "no name, or one too long"
                } else {
                    "no name"
                });
                continue;
            };
            let id = match known.get(name) {
                Some(known) => {
                    cursor.tally.joined += 1;
                    *known
                }
                None => {
                    cursor.tally.written += 1;
                    known.insert(name.to_owned(), id);
                    let created = row.created.unwrap_or(import.now);
                    let description = Value::from(row.description.clone());
                    new.push([Value::Int(id), name.into(), "viewer".into(), description, created.into()]);
                    id
                }
            };
            // The table has no primary key: an id may be there twice.
            pairs.entry(row.old_id).or_insert(id);
        }
        let into = "INSERT INTO account (id, login, role, description, created_at) ";
        super::insert(session, into, new, "").await?;
        let pairs: Vec<_> = pairs.into_iter().filter(|(old, _)| !map.contains_key(old)).collect();
        map::store(session, import.source_id, TABLE, &pairs).await?;
        cursor.advance(&mut transaction, last).await?;
        transaction.commit().await?;
        map.extend(pairs);
        import.progressed(TABLE, wanted.len());
    }
    import.finished(cursor);
    Ok(map)
}

/// Names and ids of a small table.
async fn known(session: &mut Session, table: &str, column: &str) -> Result<HashMap<String, i64>, Error> {
    let rows = session.fetch(Statement::new(&format!("SELECT id, {column} AS name FROM {table}"))).await?;
    let failed = |e: sqlx::Error| crate::Error::of(session.place(), &e);
    let mut known = HashMap::with_capacity(rows.len());
    for row in &rows {
        known.insert(row.get("name").map_err(failed)?, row.get("id").map_err(failed)?);
    }
    Ok(known)
}

/// The row that stands for what the source has forgotten.
pub(super) async fn unknown(session: &mut Session, which: Dictionary, now: i64) -> Result<i64, Error> {
    const NAME: &str = "unknown";
    let table = which.target();
    let select = Statement::new(&format!("SELECT id FROM {table} WHERE name = ?")).bind(NAME);
    if let Some(id) = session.number(select).await? {
        return Ok(id);
    }
    let insert =
        Statement::new(&format!("INSERT INTO {table} (name, created_at) VALUES (?, ?)")).bind(NAME).bind(now);
    Ok(session.execute(insert).await?.id)
}
