//! What there is before tables are changed: a copy of a file, or how to make one of a server's database.

use crate::error::Error;
use crate::migrate::{self, Plan, STEPS};
use crate::place::Place;
use crate::pool::Store;
use crate::server::address;
use crate::session::Session;
use crate::statement::Statement;
use skyline_conf::model::record::Record;
use skyline_core::clock::Clock;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long copying a file may take.
const COPY_LIMIT: Duration = Duration::from_hours(1);

/// Bringing the tables of the record of some settings up to date, as a person asks for it.
#[derive(Debug)]
pub struct Migration<'a> {
    settings: &'a Record,
    place: Place,
}

impl<'a> Migration<'a> {
    /// `own_file`: the record's file if the settings name none.
    #[must_use]
    pub fn new(settings: &'a Record, own_file: &Path) -> Self {
        let file = settings.file(own_file).map(Path::to_owned);
        let place = file.map_or_else(|| address::place(settings), Place::File);
        Self { settings, place }
    }

    /// Where it is.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// What there is to do. Changes nothing; a file that is not there yet stays so.
    ///
    /// # Errors
    /// The record cannot be reached, is newer, or is another program's.
    pub async fn plan(&self) -> Result<Plan, Error> {
        if self.place.file().is_some_and(|file| !file.exists()) {
            let missing = STEPS.iter().map(|s| (s.version, s.name)).collect();
            let known = STEPS.last().map_or(0, |s| s.version);
            return Ok(Plan { current: 0, known, missing, has_rows: false, interrupted: false });
        }
        migrate::plan(&mut self.session().await?, STEPS).await
    }

    /// Applies what is missing. A file with rows is copied first; returns where to.
    ///
    /// # Errors
    /// As [`Migration::plan`]; or a step fails: it can be begun again.
    pub async fn apply(&self, clock: &Clock) -> Result<Option<PathBuf>, Error> {
        let mut session = self.session().await?;
        let copy = copy_first(&mut session).await?;
        migrate::apply(session, STEPS, clock.now() as i64).await?;
        Ok(copy)
    }

    /// The command that makes a backup of a server's database; it asks for the password.
    #[must_use]
    pub fn backup_command(&self) -> Option<String> {
        let Place::Server { database, user, .. } = &self.place else { return None };
        let to = address::of_client(self.settings);
        Some(format!(
            "mariadb-dump {to} --user={user} --password --single-transaction --routines {database} > {database}-before.sql"
        ))
    }

    async fn session(&self) -> Result<Session, Error> {
        match &self.place {
            Place::File(file) => Store::bare_file(file).await,
            Place::Server { .. } => Store::bare_server(self.settings).await,
        }
    }
}

/// Copies a file that has rows and lacks steps, beside it.
pub(crate) async fn copy_first(session: &mut Session) -> Result<Option<PathBuf>, Error> {
    let Some(file) = session.place().file().map(Path::to_owned) else { return Ok(None) };
    let plan = migrate::plan(session, STEPS).await?;
    if plan.is_done() || !plan.has_rows {
        return Ok(None);
    }
    let mut name = file.into_os_string();
    name.push(format!(".before-{}", plan.known));
    let copy = PathBuf::from(name);
    let unfinished = copy.with_added_extension("new");
    let place = session.place().clone();
    let failed = |error: &dyn std::fmt::Display| {
        Error::config(
            &place,
            format!(
                "cannot be copied to {} before its tables are changed: {error}; make room there",
                copy.display()
            ),
        )
    };
    if unfinished.exists() {
        std::fs::remove_file(&unfinished).map_err(|e| failed(&e))?;
    }
    let statement = Statement::new("VACUUM INTO ?").bind(unfinished.to_string_lossy().into_owned());
    session.execute_within(statement, COPY_LIMIT).await.map_err(|e| failed(&e))?;
    std::fs::rename(&unfinished, &copy).map_err(|e| failed(&e))?;
    tracing::info!(copy = %copy.display(), "record: copied before its tables are changed");
    Ok(Some(copy))
}
