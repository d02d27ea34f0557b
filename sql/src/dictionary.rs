//! The small dictionaries (host, app, source, algorithm): rows made when first named, ids kept in memory.

use crate::error::Error;
use crate::record::Context;
use crate::session::Session;
use crate::statement::Statement;
use skyline_core::algorithm::Algorithm;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Contexts of which ids are kept; a node has a handful.
const CONTEXTS: usize = 64;
/// Where the points come from.
const SOURCE: &str = "graphite";

/// What rows of one context refer to.
#[derive(Debug, Clone)]
pub(crate) struct Ids {
    pub(crate) host: i64,
    pub(crate) app: i64,
    pub(crate) source: i64,
    pub(crate) algorithms: Vec<(Algorithm, i64)>,
}

impl Ids {
    /// Insert or get, in the transaction that is open.
    pub(crate) async fn find(session: &mut Session, context: &Context, now: i64) -> Result<Self, Error> {
        let host = id(session, Dictionary::Host, &context.host, now).await?;
        let app = id(session, Dictionary::App, &context.app, now).await?;
        let source = id(session, Dictionary::Source, SOURCE, now).await?;
        let mut algorithms = Vec::with_capacity(Algorithm::ALL.len());
        for algorithm in Algorithm::ALL {
            let id = id(session, Dictionary::Algorithm, algorithm.name(), now).await?;
            algorithms.push((algorithm, id));
        }
        Ok(Self { host, app, source, algorithms })
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

/// A table of names.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Dictionary {
    Host,
    App,
    Source,
    Algorithm,
}

impl Dictionary {
    /// Nothing happens to a name that is there.
    const fn insert(self) -> [&'static str; 2] {
        match self {
            Self::Host => [
                "INSERT INTO host (name, created_at) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
                "INSERT INTO host (name, created_at) VALUES (?, ?) ON DUPLICATE KEY UPDATE id = id",
            ],
            Self::App => [
                "INSERT INTO app (name, created_at) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
                "INSERT INTO app (name, created_at) VALUES (?, ?) ON DUPLICATE KEY UPDATE id = id",
            ],
            Self::Source => [
                "INSERT INTO source (name, created_at) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
                "INSERT INTO source (name, created_at) VALUES (?, ?) ON DUPLICATE KEY UPDATE id = id",
            ],
            Self::Algorithm => [
                "INSERT INTO algorithm (name, created_at) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
                "INSERT INTO algorithm (name, created_at) VALUES (?, ?) ON DUPLICATE KEY UPDATE id = id",
            ],
        }
    }

    const fn select(self) -> &'static str {
        match self {
            Self::Host => "SELECT id FROM host WHERE name = ?",
            Self::App => "SELECT id FROM app WHERE name = ?",
            Self::Source => "SELECT id FROM source WHERE name = ?",
            Self::Algorithm => "SELECT id FROM algorithm WHERE name = ?",
        }
    }
}

/// The id of a name. Whoever else inserts it at the same time waits for this transaction, or this one for theirs.
pub(crate) async fn id(
    session: &mut Session,
    dictionary: Dictionary,
    name: &str,
    now: i64,
) -> Result<i64, Error> {
    let select = || Statement::new(dictionary.select()).bind(name);
    if let Some(id) = session.number(select()).await? {
        return Ok(id);
    }
    let [sqlite, mysql] = dictionary.insert();
    let insert = Statement::new(session.dialect().pick(sqlite, mysql)).bind(name).bind(now);
    session.execute(insert).await?;
    session
        .number(select())
        .await?
        .ok_or_else(|| Error::retry(session.place(), format!("`{name}` was removed at once")))
}
