//! Rows of `hosts`, `apps`, `sources`, `algorithms`, `users` and `metrics`.

use super::Source;
use crate::import::error::Error;
use sqlx::FromRow;

/// Tables that give a name an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Dictionary {
    Host,
    App,
    Source,
    Algorithm,
}

impl Dictionary {
    pub(crate) const ALL: [Self; 4] = [Self::Host, Self::App, Self::Source, Self::Algorithm];

    /// Its table here; also the word for one of it.
    pub(crate) const fn target(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::App => "app",
            Self::Source => "source",
            Self::Algorithm => "algorithm",
        }
    }

    /// Its table there.
    pub(crate) const fn table(self) -> &'static str {
        match self {
            Self::Host => "hosts",
            Self::App => "apps",
            Self::Source => "sources",
            Self::Algorithm => "algorithms",
        }
    }
}

/// A name.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct Named {
    pub(crate) old_id: i64,
    pub(crate) name: Option<String>,
    pub(crate) created: Option<i64>,
}

/// A row of `users`.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct User {
    pub(crate) old_id: i64,
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) created: Option<i64>,
}

/// A row of `metrics`.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct Metric {
    pub(crate) old_id: i64,
    pub(crate) name: Option<String>,
    pub(crate) created: Option<i64>,
    pub(crate) learn_days: Option<i64>,
    pub(crate) learn_after_s: Option<i64>,
    pub(crate) max_generations: Option<i64>,
    pub(crate) max_percent: Option<f64>,
}

/// When the row was made, whatever the zone of the server; none for null and for the zero date.
pub(super) const CREATED: &str = "CAST(NULLIF(UNIX_TIMESTAMP(t.created_timestamp), 0) AS SIGNED) AS created";

impl Source {
    /// Names behind the id `after`.
    pub(crate) async fn names(
        &mut self,
        which: Dictionary,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Named>, Error> {
        let columns = format!("t.{} AS name, {CREATED}", which.target());
        self.page(which.table(), &columns, after, limit).await
    }

    /// Users behind the id `after`; none before 1.3.0.
    pub(crate) async fn users(&mut self, after: i64, limit: usize) -> Result<Vec<User>, Error> {
        if !self.layout.has_table("users") {
            return Ok(Vec::new());
        }
        let columns = format!("t.user AS name, t.description AS description, {CREATED}");
        self.page("users", &columns, after, limit).await
    }

    /// Metrics behind the id `after`.
    pub(crate) async fn metrics(&mut self, after: i64, limit: usize) -> Result<Vec<Metric>, Error> {
        let columns = format!(
            "t.metric AS name, {CREATED}, CAST(t.learn_full_duration_days AS SIGNED) AS learn_days, \
             CAST(t.learn_valid_ts_older_than AS SIGNED) AS learn_after_s, \
             CAST(t.max_generations AS SIGNED) AS max_generations, \
             t.max_percent_diff_from_origin + 0e0 AS max_percent"
        );
        self.page("metrics", &columns, after, limit).await
    }
}
