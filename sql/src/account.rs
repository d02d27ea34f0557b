//! People and programs that change things, and what they changed.
//!
//! Every change is written down in `audit_event` by the transaction that makes it.

use crate::error::Error;
use crate::pool::Store;
use crate::session::{Row, Session};
use crate::statement::{Statement, Value};

/// Who the node is when it changes something by itself.
pub const SYSTEM: i64 = 1;

/// Longest login or description, bytes.
const MAX_LOGIN: usize = 190;
const MAX_DESCRIPTION: usize = 255;

/// What somebody may do; each may also do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look.
    Viewer,
    /// Label and acknowledge.
    Responder,
    /// Change rules and profiles.
    Editor,
    /// Change accounts.
    Admin,
}

impl Role {
    /// All, the least first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Responder, Self::Editor, Self::Admin];

    /// Its name in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Responder => "responder",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }

    /// The role with that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub login: String,
    /// What it may do.
    pub role: Role,
    /// Whether there is a password: without one nobody logs in.
    pub has_password: bool,
    /// What it is for.
    pub description: Option<String>,
    /// When it was made, seconds.
    pub created_at: i64,
    /// Since when it may do nothing any more, seconds.
    pub disabled_at: Option<i64>,
}

/// A change that somebody made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// When, seconds.
    pub at: i64,
    /// Login of who did it.
    pub by: String,
    /// What was done, such as `anomaly.label`.
    pub action: String,
    /// Where.
    pub table: String,
    /// The row.
    pub row: i64,
    /// What was there before, as JSON.
    pub before: Option<String>,
    /// What is there now, as JSON.
    pub after: Option<String>,
}

const SELECT: &str = "SELECT id, login, role, password_hash IS NOT NULL AS has_password, description, created_at, \
    disabled_at FROM account";

fn decode(row: &Row) -> Result<Account, sqlx::Error> {
    Ok(Account {
        id: row.get("id")?,
        login: row.get("login")?,
        role: Role::from_name(row.get("role")?).unwrap_or(Role::Viewer),
        has_password: row.get::<i64>("has_password")? != 0,
        description: row.get("description")?,
        created_at: row.get("created_at")?,
        disabled_at: row.get("disabled_at")?,
    })
}

/// A change, to be written down.
pub(crate) struct Change<'a> {
    pub(crate) by: i64,
    pub(crate) action: &'a str,
    pub(crate) table: &'a str,
    pub(crate) row: i64,
    pub(crate) before: Option<serde_json::Value>,
    pub(crate) after: Option<serde_json::Value>,
}

/// Writes a change down, in the transaction that makes it.
pub(crate) async fn audit(session: &mut Session, now: i64, change: Change<'_>) -> Result<(), Error> {
    let text = |value: Option<serde_json::Value>| Value::from(value.map(|value| value.to_string()));
    let statement = Statement::new(
        "INSERT INTO audit_event (at, account_id, action, table_name, row_id, before_text, after_text) \
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(now)
    .bind(change.by)
    .bind(change.action)
    .bind(change.table)
    .bind(change.row)
    .bind(text(change.before))
    .bind(text(change.after));
    session.execute(statement).await.map(drop)
}

impl Store {
    /// All accounts, by id.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be read now.
    pub async fn accounts(&self) -> Result<Vec<Account>, Error> {
        let statement = Statement::new(SELECT).with(" ORDER BY id");
        let rows = self.reader().await?.fetch(statement).await?;
        rows.iter().map(|row| decode(row).map_err(|e| Error::of(self.place(), &e))).collect()
    }

    /// The account with that login.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be read now.
    pub async fn account(&self, login: &str) -> Result<Option<Account>, Error> {
        find(&mut self.reader().await?, login).await
    }

    /// The stored hash of the password of an account that is not disabled, for who checks it.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be read now.
    pub async fn password_hash(&self, login: &str) -> Result<Option<String>, Error> {
        let statement =
            Statement::new("SELECT password_hash FROM account WHERE login = ? AND disabled_at IS NULL")
                .bind(login);
        let row = self.reader().await?.fetch_one(statement).await?;
        let hash = row.map(|row| row.first::<Option<String>>()).transpose();
        Ok(hash.map_err(|e| Error::of(self.place(), &e))?.flatten())
    }

    /// Makes an account; returns its id. `by`: who does it.
    ///
    /// # Errors
    /// [`Error::Data`] when the login is taken, empty or too long.
    pub async fn create_account(
        &self,
        login: &str,
        role: Role,
        password_hash: Option<&str>,
        description: Option<&str>,
        by: i64,
    ) -> Result<i64, Error> {
        let is_good = !login.is_empty() && login.trim() == login && login.len() <= MAX_LOGIN;
        if !is_good || description.is_some_and(|text| text.len() > MAX_DESCRIPTION) {
            return Err(Error::data(
                self.place(),
                format!(
                    "a login has 1 to {MAX_LOGIN} bytes and no blanks around it, a description {MAX_DESCRIPTION} at most"
                ),
            ));
        }
        let now = self.now();
        let mut transaction = self.transaction().await?;
        let session = transaction.session();
        if find(session, login).await?.is_some() {
            transaction.rollback().await?;
            return Err(Error::data(self.place(), format!("there is an account `{login}` already")));
        }
        let insert = Statement::new(
            "INSERT INTO account (login, role, password_hash, description, created_at) VALUES (?, ?, ?, ?, ?)",
        );
        let insert = insert.bind(login).bind(role.name()).bind(password_hash).bind(description).bind(now);
        let id = session.execute(insert).await?.id;
        let after = serde_json::json!({ "login": login, "role": role.name(), "description": description });
        let change = Change {
            by,
            action: "account.create",
            table: "account",
            row: id,
            before: None,
            after: Some(after),
        };
        audit(session, now, change).await?;
        transaction.commit().await?;
        Ok(id)
    }

    /// Changes what an account may do; false when there is no such account.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be written now.
    pub async fn set_role(&self, login: &str, role: Role, by: i64) -> Result<bool, Error> {
        self.change_account(login, "account.role", by, |before| {
            let set =
                Statement::new("UPDATE account SET role = ? WHERE id = ?").bind(role.name()).bind(before.id);
            let [old, new] = [before.role, role].map(|role| serde_json::json!({ "role": role.name() }));
            (before.role != role).then_some((set, old, new))
        })
        .await
    }

    /// Gives an account a password, of which `hash` is the hash, or takes it away; false when there is no
    /// such account. The hash is not written down with the change.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be written now.
    pub async fn set_password_hash(&self, login: &str, hash: Option<&str>, by: i64) -> Result<bool, Error> {
        self.change_account(login, "account.password", by, |before| {
            let set = Statement::new("UPDATE account SET password_hash = ? WHERE id = ?")
                .bind(hash)
                .bind(before.id);
            let [old, new] =
                [before.has_password, hash.is_some()].map(|has| serde_json::json!({ "has_password": has }));
            Some((set, old, new))
        })
        .await
    }

    /// Lets an account do nothing any more, or something again; false when there is no such account.
    /// Accounts are never removed: what they did names them.
    ///
    /// # Errors
    /// [`Error::Data`] for the node's own account.
    pub async fn set_disabled(&self, login: &str, disabled: bool, by: i64) -> Result<bool, Error> {
        if login == "system" {
            return Err(Error::data(
                self.place(),
                "the account `system` is the node itself and stays as it is",
            ));
        }
        let now = self.now();
        self.change_account(login, "account.disable", by, |before| {
            let at = disabled.then_some(now);
            let set =
                Statement::new("UPDATE account SET disabled_at = ? WHERE id = ?").bind(at).bind(before.id);
            let was = before.disabled_at.is_some();
            let [old, new] = [was, disabled].map(|is| serde_json::json!({ "disabled": is }));
            (was != disabled).then_some((set, old, new))
        })
        .await
    }

    /// `change`: the statement, and what is written down as before and after; none: it is so already.
    async fn change_account(
        &self,
        login: &str,
        action: &str,
        by: i64,
        change: impl FnOnce(&Account) -> Option<(Statement, serde_json::Value, serde_json::Value)>,
    ) -> Result<bool, Error> {
        let now = self.now();
        let mut transaction = self.transaction().await?;
        let session = transaction.session();
        let Some(account) = find(session, login).await? else {
            return transaction.rollback().await.map(|()| false);
        };
        if let Some((set, old, new)) = change(&account) {
            session.execute(set).await?;
            let (before, after) = (Some(old), Some(new));
            audit(session, now, Change { by, action, table: "account", row: account.id, before, after })
                .await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// The last changes of a row, the newest first.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be read now.
    pub async fn changes(&self, table: &str, row: i64, limit: u32) -> Result<Vec<Audit>, Error> {
        let statement = Statement::new(
            "SELECT e.at, a.login, e.action, e.table_name, e.row_id, e.before_text, e.after_text FROM audit_event e \
             JOIN account a ON a.id = e.account_id WHERE e.table_name = ? AND e.row_id = ? ORDER BY e.id DESC LIMIT ?",
        );
        let statement = statement.bind(table).bind(row).bind(i64::from(limit.min(crate::MAX_LIMIT)));
        let rows = self.reader().await?.fetch(statement).await?;
        let decode = |row: &Row| {
            Ok(Audit {
                at: row.get("at")?,
                by: row.get("login")?,
                action: row.get("action")?,
                table: row.get("table_name")?,
                row: row.get("row_id")?,
                before: row.get("before_text")?,
                after: row.get("after_text")?,
            })
        };
        rows.iter().map(|row| decode(row).map_err(|e| Error::of(self.place(), &e))).collect()
    }
}

async fn find(session: &mut Session, login: &str) -> Result<Option<Account>, Error> {
    let statement = Statement::new(SELECT).with(" WHERE login = ?").bind(login);
    let place = session.place().clone();
    let row = session.fetch_one(statement).await?;
    row.map(|row| decode(&row).map_err(|e| Error::of(&place, &e))).transpose()
}
