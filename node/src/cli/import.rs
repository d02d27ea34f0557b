//! `skyline import panorama`: the database of an existing Skyline, taken into the record.

use super::output::{counted, program, say};
use crate::record;
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use skyline_conf::model::Settings;
use skyline_conf::secret::{Credentials, is_open_to_all};
use skyline_core::clock::Clock;
use skyline_sql::import::{self, Access, Address, Progress, Report, Table};
use skyline_sql::{Options as Opening, Store};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const SECONDS_A_DAY: i64 = 86_400;

/// What is imported.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Action {
    /// Anomalies, metrics, features profiles, layers, matches and correlations of a Skyline 1.2.12 to 1.3.0
    ///
    /// The database is only read. What the record has already is left alone, so the command can be repeated: after an
    /// interruption it goes on where it was, and later it takes what has come since.
    Panorama(Options),
}

/// Where from, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The database: mysql://USER@HOST:PORT/DATABASE, or mysql://USER@localhost/DATABASE?socket=PATH
    #[arg(long, value_name = "URL")]
    from: String,
    /// File whose first line is the user's password
    #[arg(long, value_name = "FILE", conflicts_with = "password_env")]
    password_file: Option<PathBuf>,
    /// Variable of the environment that holds the user's password
    #[arg(long, value_name = "NAME")]
    password_env: Option<String>,
    /// PEM file of the authorities that the server's certificate is checked with (default: encrypted if the server
    /// can, and not checked)
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Name that the record knows the database by (default: its address)
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Change nothing: say which version it is, how many rows would come over, and what would be left out and why
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: super::Config,
}

/// Imports and reports; `true` if everything that is there is in the record, or was left out with a reason.
pub(super) async fn act(action: &Action) -> anyhow::Result<bool> {
    let Action::Panorama(options) = action;
    let access = access(options)?;
    let settings = options.config.load()?.settings;
    // Where nothing can be imported from, no record is made.
    Box::pin(import::probe(&access)).await?;
    let started = Instant::now();
    let report = if options.dry_run {
        // A record of its own shows what would be made of the rows; the real one is not even opened.
        let folder = tempfile::tempdir().context("a folder for the dry run (TMPDIR)")?;
        let record = Store::open(&folder.path().join("dry-run.db")).await?;
        let report = imported(&access, &record, options).await;
        record.close().await;
        report?
    } else {
        let record = open(&settings).await?;
        let report = imported(&access, &record, options).await;
        record.close().await;
        report?
    };
    if options.json {
        say!("{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        print(&report, options, &settings, started.elapsed())?;
    }
    Ok(report.is_whole())
}

/// The address and the password. Neither is ever printed together.
fn access(options: &Options) -> anyhow::Result<Access> {
    let address: Address = options.from.parse()?;
    let file = options.password_file.as_deref().unwrap_or_else(|| Path::new(""));
    let variable = options.password_env.as_deref().unwrap_or_default();
    let password = Credentials { user: "", file, variable }.password()?;
    anyhow::ensure!(
        !is_open_to_all(file),
        "--password-file {0}: everybody on this machine can read it; type: chmod 600 {0}",
        file.display()
    );
    if let Some(ca) = &options.ca_file {
        std::fs::metadata(ca).with_context(|| format!("--ca-file {}", ca.display()))?;
    }
    Ok(Access { address, password, ca: options.ca_file.clone() })
}

/// The record of the settings.
async fn open(settings: &Settings) -> anyhow::Result<Store> {
    let folder = &settings.node.state_dir;
    let own = record::own_file(settings);
    if settings.record.file(&own) == Some(&own) {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("node.state_dir {} cannot be made", folder.display()))?;
    }
    // Nodes that run are to see what comes in.
    let memcached = settings.memcached.clone();
    let opening = Opening { clock: Clock::system(), memcached, ..Opening::default() };
    Ok(Store::open_with(&settings.record, &own, opening).await?)
}

async fn imported(access: &Access, record: &Store, options: &Options) -> anyhow::Result<Report> {
    // Draws nothing where standard error is no terminal.
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template(
        "{msg:>26} {bar:30} {human_pos} of {human_len} rows, {per_sec}, {eta} left",
    )?);
    let mut progress = |now: Progress| {
        bar.set_length(now.total);
        bar.set_message(now.table);
        bar.set_position(now.done);
    };
    let wanted = import::Options { name: options.name.clone(), dry: options.dry_run };
    let report = Box::pin(import::run(access, record, &wanted, &mut progress)).await;
    bar.finish_and_clear();
    Ok(report?)
}

fn print(report: &Report, options: &Options, settings: &Settings, took: Duration) -> anyhow::Result<()> {
    say!("{}: Skyline {}", report.name, report.version)?;
    let verb = if options.dry_run { "would be made" } else { "made" };
    say!("{:>26} {:>10} {:>10} {:>12} {:>10} {:>10}", "table", "rows", "new", verb, "joined", "left out")?;
    for table in &report.tables {
        let Table { name, rows, new, tally } = table;
        let rows = rows.map_or_else(|| "-".to_owned(), |rows| rows.to_string());
        say!(
            "{name:>26} {rows:>10} {new:>10} {:>12} {:>10} {:>10}",
            tally.written,
            tally.joined,
            tally.dropped_rows()
        )?;
    }
    for table in &report.tables {
        for (reason, rows) in &table.tally.dropped {
            say!("left out: {}, {}: {reason}", table.name, counted(as_count(*rows), "row"))?;
        }
        for (what, rows) in &table.tally.changed {
            say!("changed: {}, {}: {what}", table.name, counted(as_count(*rows), "time"))?;
        }
    }
    for difference in &report.differences {
        say!("DIFFERS: {difference}")?;
    }
    if let Some(note) = kept(report.oldest_anomaly, settings.record.keep_days) {
        say!("note: {note}")?;
    }
    if options.dry_run {
        return say!("nothing was changed; the same command without --dry-run imports");
    }
    let rows = report.new_rows();
    let seconds = took.as_secs_f64();
    say!(
        "{} in {seconds:.1} s, {:.0} a second",
        counted(as_count(rows), "new row"),
        rows as f64 / seconds.max(1e-3)
    )?;
    say!("next: {} run{}", program(), options.config.argument())
}

const fn as_count(rows: u64) -> usize {
    rows as usize
}

/// Anomalies that the node would remove as too old.
fn kept(oldest: Option<i64>, keep_days: u32) -> Option<String> {
    let limit = Clock::system().now() as i64 - i64::from(keep_days) * SECONDS_A_DAY;
    let old = oldest.filter(|ts| keep_days > 0 && *ts < limit)?;
    let days = (Clock::system().now() as i64 - old) / SECONDS_A_DAY + 1;
    Some(format!(
        "the node removes anomalies older than {keep_days} days, and some are: before it is started set \
         record.keep_days to {days}, or to 0 for ever, to keep them"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::os::unix::fs::PermissionsExt as _;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        action: Action,
    }

    #[track_caller]
    fn options(arguments: &[&str]) -> Result<Options, clap::Error> {
        let line = ["skyline", "panorama"].iter().chain(arguments);
        Line::try_parse_from(line).map(|line| match line.action {
            Action::Panorama(options) => options,
        })
    }

    #[test]
    fn passwords_are_never_on_the_command_line() {
        let error = access(&options(&["--from", "mysql://u:hunter2@h/x"]).unwrap()).unwrap_err().to_string();
        assert!(error.contains("--password-file FILE") && !error.contains("hunter2"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "hunter2\n").unwrap();
        let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let wanted =
            options(&["--from", "mysql://u@h/x", "--password-file", file.to_str().unwrap()]).unwrap();
        mode(0o644);
        let error = access(&wanted).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
        mode(0o600);
        let access = access(&wanted).unwrap();
        assert_eq!(access.password.as_ref().unwrap().reveal(), "hunter2");
        assert!(!format!("{access:?}").contains("hunter2"));
        assert!(
            options(&["--from", "mysql://u@h/x", "--password-file", "a", "--password-env", "b"]).is_err()
        );
        assert!(options(&[]).is_err());
    }

    #[test]
    fn old_anomalies_are_told_of() {
        let now = Clock::system().now() as i64;
        assert_eq!(kept(None, 365), None);
        assert_eq!(kept(Some(now - 10 * SECONDS_A_DAY), 365), None);
        assert_eq!(kept(Some(1), 0), None);
        let note = kept(Some(now - 400 * SECONDS_A_DAY), 365).unwrap();
        assert!(note.contains("365 days") && note.contains("to 401"), "{note}");
    }
}
