//! `skyline migrate`: brings the tables of the record up to date, after a backup.

use super::output::{counted, program, say};
use crate::record;
use serde_json::{Value, json};
use skyline_core::clock::Clock;
use skyline_sql::{Migration, Plan};
use std::path::Path;

/// What the person wants.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Options {
    /// Print what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// There is a backup of the database of the server: go on
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    NothingToDo,
    /// The person asked what would be done.
    Planned,
    /// There are rows on a server: the person has to make a backup first.
    NeedsBackup,
    Done,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::NothingToDo => "nothing to do",
            Self::Planned => "planned",
            Self::NeedsBackup => "needs backup",
            Self::Done => "done",
        }
    }
}

/// Plans and applies; `true` unless a backup has to be made first.
pub(super) async fn migrate(config: &super::Config, options: Options) -> anyhow::Result<bool> {
    let settings = config.load()?.settings;
    let own_file = record::own_file(&settings);
    let migration = Migration::new(&settings.record, &own_file);
    let plan = migration.plan().await?;
    let backup = migration.backup_command().filter(|_| plan.has_rows);
    let (copy, outcome) = if plan.is_done() {
        (None, Outcome::NothingToDo)
    } else if options.dry_run {
        (None, Outcome::Planned)
    } else if backup.is_some() && !options.yes {
        (None, Outcome::NeedsBackup)
    } else {
        (migration.apply(&Clock::system()).await?, Outcome::Done)
    };
    let told =
        Told { place: migration.place().to_string(), plan: &plan, backup, copy: copy.as_deref(), outcome };
    if options.json {
        say!("{}", serde_json::to_string_pretty(&told.json())?)?;
    } else {
        say!("{}", told.text(migration.place().file().is_some(), &config.argument()))?;
    }
    Ok(outcome != Outcome::NeedsBackup)
}

/// What is printed.
struct Told<'a> {
    place: String,
    plan: &'a Plan,
    backup: Option<String>,
    copy: Option<&'a Path>,
    outcome: Outcome,
}

impl Told<'_> {
    fn json(&self) -> Value {
        let steps =
            self.plan.missing.iter().map(|(version, name)| json!({ "version": version, "name": name }));
        json!({
            "record": self.place,
            "schema": self.plan.current,
            "needed": self.plan.known,
            "steps": steps.collect::<Vec<_>>(),
            "has_rows": self.plan.has_rows,
            "interrupted": self.plan.interrupted,
            "backup_command": self.backup,
            "copy": self.copy.map(|copy| copy.to_string_lossy().into_owned()),
            "outcome": self.outcome.name(),
        })
    }

    fn text(&self, is_file: bool, arguments: &str) -> String {
        let Plan { current, known, missing, has_rows, interrupted } = self.plan;
        let mut lines = vec![
            format!("record   {}", self.place),
            format!("schema   {current}, this version of skyline needs {known}"),
        ];
        if *interrupted {
            lines.push(
                "         the first of these steps was interrupted; it goes on where it was".to_owned(),
            );
        }
        lines.extend(missing.iter().map(|(version, name)| format!("step     {version} {name}")));
        lines.push(match (is_file, has_rows) {
            _ if missing.is_empty() => "backup   not needed".to_owned(),
            (_, false) => "backup   not needed: there are no rows yet".to_owned(),
            (true, true) => "backup   a copy is made beside the file first".to_owned(),
            (false, true) => format!("backup   make one first: {}", self.backup.as_deref().unwrap_or("")),
        });
        if let Some(copy) = self.copy {
            lines.push(format!("copy     {}", copy.display()));
        }
        let again = format!("{} migrate{arguments}", program());
        lines.push(match self.outcome {
            Outcome::NothingToDo => "nothing to do: the tables are up to date".to_owned(),
            Outcome::Planned => format!("nothing was changed; to do it: {again}"),
            Outcome::NeedsBackup => format!("nothing was changed; with a backup at hand type: {again} --yes"),
            Outcome::Done => format!("done: {} applied", counted(missing.len(), "step")),
        });
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(plan: &Plan, outcome: Outcome) -> Told<'_> {
        let backup = Some("mariadb-dump --host=db skyline".to_owned());
        Told { place: "mysql://db/skyline".to_owned(), plan, backup, copy: None, outcome }
    }

    #[test]
    fn it_says_what_to_type() {
        let mut plan = Plan {
            current: 1,
            known: 3,
            missing: vec![(2, "accounts"), (3, "learning")],
            has_rows: true,
            interrupted: true,
        };
        let text = told(&plan, Outcome::NeedsBackup).text(false, " --config a.toml");
        for part in [
            "schema   1, this version of skyline needs 3",
            "step     3 learning",
            "make one first: mariadb-dump",
            "migrate --config a.toml --yes",
            "interrupted",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(told(&plan, Outcome::Planned).json()["steps"][0]["name"], "accounts");
        plan.has_rows = false;
        assert!(
            told(&plan, Outcome::Done)
                .text(true, "")
                .contains("there are no rows yet\ndone: 2 steps applied")
        );
    }
}
