//! The small dictionaries (host, app, algorithm): rows made when first named, ids kept in memory.

use crate::record::Context;
use skyline_core::algorithm::Algorithm;
use sqlx::SqliteConnection;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Contexts of which ids are kept; a node has a handful.
const CONTEXTS: usize = 64;

/// What rows of one context refer to.
#[derive(Debug, Clone)]
pub(crate) struct Ids {
    pub(crate) host: i64,
    pub(crate) app: i64,
    pub(crate) algorithms: Vec<(Algorithm, i64)>,
}

impl Ids {
    /// Insert or get, in the transaction that is open on `connection`.
    pub(crate) async fn find(
        connection: &mut SqliteConnection,
        context: &Context,
        now: i64,
    ) -> Result<Self, sqlx::Error> {
        let host = id(connection, Dictionary::Host, &context.host, now).await?;
        let app = id(connection, Dictionary::App, &context.app, now).await?;
        let mut algorithms = Vec::with_capacity(Algorithm::ALL.len());
        for algorithm in Algorithm::ALL {
            let id = id(connection, Dictionary::Algorithm, algorithm.name(), now).await?;
            algorithms.push((algorithm, id));
        }
        Ok(Self { host, app, algorithms })
    }
}

/// Ids that are committed.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<HashMap<Context, Ids>>);

impl Known {
    pub(crate) fn get(&self, context: &Context) -> Option<Ids> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(context).cloned()
    }

    pub(crate) fn put(&self, context: &Context, ids: Ids) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CONTEXTS {
            known.clear();
        }
        known.insert(context.clone(), ids);
    }

    /// Forgets everything: another program may have removed rows.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[derive(Debug, Clone, Copy)]
enum Dictionary {
    Host,
    App,
    Algorithm,
}

impl Dictionary {
    const fn insert(self) -> &'static str {
        match self {
            Self::Host => "INSERT INTO host (name, created_at) VALUES (?, ?)",
            Self::App => "INSERT INTO app (name, created_at) VALUES (?, ?)",
            Self::Algorithm => "INSERT INTO algorithm (name, created_at) VALUES (?, ?)",
        }
    }

    const fn select(self) -> &'static str {
        match self {
            Self::Host => "SELECT id FROM host WHERE name = ?",
            Self::App => "SELECT id FROM app WHERE name = ?",
            Self::Algorithm => "SELECT id FROM algorithm WHERE name = ?",
        }
    }
}

/// Nobody can come in between: the transaction is the only writer.
async fn id(
    connection: &mut SqliteConnection,
    dictionary: Dictionary,
    name: &str,
    now: i64,
) -> Result<i64, sqlx::Error> {
    let known = sqlx::query_scalar(dictionary.select()).bind(name).fetch_optional(&mut *connection).await?;
    if let Some(id) = known {
        return Ok(id);
    }
    let done = sqlx::query(dictionary.insert()).bind(name).bind(now).execute(connection).await?;
    Ok(done.last_insert_rowid())
}
