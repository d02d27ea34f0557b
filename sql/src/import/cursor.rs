//! How far the import of a table has come; kept in the record and moved with the rows themselves.

use super::error::Error;
use super::tally::Tally;
use crate::session::{Session, Transaction};
use crate::statement::{Statement, Value};

/// Place in a table of the source.
#[derive(Debug)]
pub(super) struct Cursor {
    source_id: i64,
    /// The source's table.
    pub(super) table: &'static str,
    /// Rows up to this id of the source are in the record.
    pub(super) last: i64,
    /// Ids above this one were free when the import began.
    pub(super) floor: i64,
    /// What became of the rows.
    pub(super) tally: Tally,
    /// Rows that earlier runs have looked at.
    pub(super) before: u64,
    /// The part of it that has rows in `audit_event`.
    pub(super) audited: Tally,
}

impl Cursor {
    /// The place of an earlier run, or the beginning. `target`: the record's table whose ids are kept, if any are.
    pub(super) async fn load(
        session: &mut Session,
        source_id: i64,
        table: &'static str,
        target: Option<&'static str>,
    ) -> Result<Self, Error> {
        let select = || {
            Statement::new(
                "SELECT last_id, floor_id, tally, audited_tally FROM import_table WHERE source_id = ? AND table_name = ?",
            )
            .bind(source_id)
            .bind(table)
        };
        if session.fetch_one(select()).await?.is_none() {
            let floor = match target {
                Some(target) => highest(session, target).await?,
                None => 0,
            };
            let empty = json(&Tally::default());
            let mut insert = Statement::new(
                "INSERT INTO import_table (source_id, table_name, last_id, floor_id, tally, audited_tally) ",
            );
            insert.push_rows([[
                source_id.into(),
                table.into(),
                Value::Int(0),
                floor.into(),
                empty.as_str().into(),
                empty.into(),
            ]]);
            session.execute(insert).await?;
        }
        let place = session.place().clone();
        let failed = |e: sqlx::Error| crate::Error::of(&place, &e);
        let lost = || crate::Error::data(&place, format!("the row of import_table for {table} went away"));
        let row = session.fetch_one(select()).await?.ok_or_else(lost)?;
        let tally = |column| -> Result<Tally, crate::Error> {
            let text: String = row.get(column).map_err(failed)?;
            serde_json::from_str(&text)
                .map_err(|e| crate::Error::data(&place, format!("import_table.{column}: {e}")))
        };
        let so_far = tally("tally")?;
        Ok(Self {
            source_id,
            table,
            last: row.get("last_id").map_err(failed)?,
            floor: row.get("floor_id").map_err(failed)?,
            before: so_far.read,
            tally: so_far,
            audited: tally("audited_tally")?,
        })
    }

    /// Moves behind the row `to`, in the transaction that holds the rows up to there. Nobody else may have
    /// moved it: two imports of one database would make every row twice.
    pub(super) async fn advance(&mut self, transaction: &mut Transaction, to: i64) -> Result<(), Error> {
        let update = Statement::new(
            "UPDATE import_table SET last_id = ?, tally = ? WHERE source_id = ? AND table_name = ? AND last_id = ?",
        )
        .bind(to)
        .bind(json(&self.tally))
        .bind(self.source_id)
        .bind(self.table)
        .bind(self.last);
        let session = transaction.session();
        if session.execute(update).await?.rows != 1 {
            return Err(Error::Beside { table: self.table });
        }
        self.last = to;
        Ok(())
    }

    /// Says that all of the tally is audited.
    pub(super) async fn audit(&mut self, transaction: &mut Transaction) -> Result<(), Error> {
        let update = Statement::new(
            "UPDATE import_table SET audited_tally = tally WHERE source_id = ? AND table_name = ?",
        )
        .bind(self.source_id)
        .bind(self.table);
        transaction.session().execute(update).await?;
        self.audited = self.tally.clone();
        Ok(())
    }
}

/// The tally as it is stored.
pub(super) fn json(tally: &Tally) -> String {
    // Numbers and texts in maps: it cannot fail.
    serde_json::to_string(tally).unwrap_or_default()
}

/// Highest id that a table ever gave.
pub(super) async fn highest(session: &mut Session, table: &str) -> Result<i64, Error> {
    let given = session.number(Statement::new(&format!("SELECT MAX(id) FROM {table}"))).await?.unwrap_or(0);
    // An id of a row that is gone again is not used twice: SQLite remembers it for tables whose readers rely on that.
    let text = session.dialect().pick(
        "SELECT MAX(seq) FROM sqlite_sequence WHERE name = ?",
        "SELECT CAST(MAX(auto_increment) - 1 AS SIGNED) FROM information_schema.tables \
         WHERE table_schema = DATABASE() AND table_name = ?",
    );
    let remembered = session.number(Statement::new(text).bind(table)).await?.unwrap_or(0);
    Ok(given.max(remembered))
}
