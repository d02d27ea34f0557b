//! The command line. Each command prints what it did and what to type next.
#![expect(clippy::print_stderr, reason = "commands speak to a person")]

mod alert;
mod backfill;
mod check;
mod config;
mod convert;
mod demo;
mod doctor;
mod graph;
mod http;
mod import;
mod migrate;
mod output;
mod reload;
mod report;
mod ring;
mod route;
mod run;
mod seed;
mod send;
mod status;
mod version;
mod vista;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
pub(crate) use config::Config;
pub(crate) use output::sentence;
use std::process::ExitCode;

/// Usage or settings are wrong (sysexits EX_USAGE).
const EXIT_SETTINGS: u8 = 64;

/// Graphite-compatible relay and storage node that judges every datapoint as it passes.
#[derive(Debug, Parser)]
#[command(
    name = "skyline",
    version,
    about,
    after_help = "Begin with `skyline demo`, or with `skyline check --config FILE`."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the node in the foreground
    Run(Config),
    /// Check settings, channels of alerts, ports, destinations, servers of others, disk and clock; print each finding
    Check {
        /// Print findings as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: Config,
    },
    /// Say what is wrong, from the listeners to the record, and what to type
    ///
    /// `check` is for settings before a start; this is for a node that runs. Without one it looks at what there is.
    Doctor {
        /// Where the node's status listener is (default: http.status of the settings)
        #[arg(long, value_name = "HOST:PORT", value_parser = http::address)]
        address: Option<std::net::SocketAddr>,
        /// Print findings as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: Config,
    },
    /// Make a running node read its settings and relay files again; a file with a fault changes nothing
    Reload {
        /// Where the node's status listener is (default: http.status of the settings)
        #[arg(long, value_name = "HOST:PORT", value_parser = http::address)]
        address: Option<std::net::SocketAddr>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: Config,
    },
    /// Print where metrics go with these settings, statement by statement
    Route {
        /// Names of metrics; without any they are read from standard input, one a line
        #[arg(value_name = "METRIC")]
        metrics: Vec<String>,
        /// Print a JSON object for each metric, on a line
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: Config,
    },
    /// Write settings of this node that relay as another relay's files do
    ///
    /// What is read there and does nothing here, or something else, is printed and stands in the settings as
    /// comments, with file and line.
    Convert {
        #[command(flatten)]
        options: convert::Options,
    },
    /// Compare two relay files: which metrics a change moves
    Ring {
        #[command(subcommand)]
        action: ring::Action,
    },
    /// Show what a running node does: points in and out, ledger, windows, anomalies
    Status {
        /// Where the node's status listener is (default: http.status of the settings)
        #[arg(long, value_name = "HOST:PORT", value_parser = http::address)]
        address: Option<std::net::SocketAddr>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Print the newest points that were refused instead, with sender and reason
        #[arg(long, conflicts_with = "json")]
        bad: bool,
        #[command(flatten)]
        config: Config,
    },
    /// Send 24 hours of minute data that end in an anomaly, and report where it arrived
    ///
    /// 1440 points of `horizon.test.pickle` go to the pickle port (without one, to the port for lines) of the
    /// node that runs with these settings, which forwards them to its destinations as any others.
    Seed {
        /// Remove the seeded metric and its anomalies from the node again
        #[arg(long)]
        remove: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: Config,
    },
    /// Bring the tables of the record of anomalies up to date, after a backup
    ///
    /// A file is copied first; the node does the same by itself when it starts. A database of a server is
    /// changed by the node only while it is empty.
    Migrate {
        #[command(flatten)]
        options: migrate::Options,
        #[command(flatten)]
        config: Config,
    },
    /// Draw the window of a metric into a file
    Graph {
        #[command(flatten)]
        options: graph::Options,
        #[command(flatten)]
        config: Config,
    },
    /// Incidents, mutes, messages, and who would be told of a metric
    Alert {
        #[command(subcommand)]
        action: alert::Action,
    },
    /// Take what another program has recorded into the record of this node
    Import {
        #[command(subcommand)]
        action: import::Action,
    },
    /// Have a running node fill its windows from Graphite or from whisper files
    ///
    /// The node fetches; ctrl-c ends only the watching. What a window has already is never replaced, so the command can be
    /// repeated. Nothing of it is forwarded or judged; the next live point of a metric is judged with it.
    Backfill {
        #[command(flatten)]
        options: Box<backfill::Options>,
    },
    /// A whole node with senders and history on loopback; nothing leaves this machine
    Demo {
        #[command(subcommand)]
        action: Option<demo::Action>,
        #[command(flatten)]
        options: demo::Options,
    },
    /// Jobs that fetch points from other servers
    Vista {
        #[command(subcommand)]
        action: vista::Action,
    },
    /// Print the version
    Version {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// The command line. What asks a node about alerts and graphs takes the files of another relay, as every command does,
/// and does not list them: they change nothing there.
fn command() -> clap::Command {
    let short = |command: clap::Command| {
        command.mut_args(|arg| match arg.get_help_heading() {
            Some(config::RELAY_FILES) => arg.hide(true),
            _ => arg,
        })
    };
    Cli::command()
        .mut_subcommand("graph", short)
        .mut_subcommand("alert", |alert| alert.mut_subcommands(short))
}

/// Parses the command line and runs the command.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::from_arg_matches(&command().get_matches()).unwrap_or_else(|error| error.exit());
    let outcome = match cli.command {
        Command::Run(config) => run::run(&config),
        Command::Check { config, json } => check::check(&config, json).map(exit_of),
        Command::Doctor { config, address, json } => doctor::doctor(&config, address, json).map(exit_of),
        Command::Reload { config, address, json } => {
            block_on(reload::reload(&config, address, json)).map(|()| ExitCode::SUCCESS)
        }
        Command::Route { config, metrics, json } => {
            route::route(&config, &metrics, json).map(|()| ExitCode::SUCCESS)
        }
        Command::Convert { options } => convert::convert(&options).map(|()| ExitCode::SUCCESS),
        Command::Ring { action } => ring::act(&action).map(|()| ExitCode::SUCCESS),
        Command::Status { config, address, json, bad } => {
            let form = match (json, bad) {
                (true, _) => status::Form::Json,
                (false, true) => status::Form::Bad,
                (false, false) => status::Form::Page,
            };
            block_on(status::status(&config, address, form)).map(exit_of)
        }
        Command::Seed { config, remove, json } => block_on(seed::seed(&config, remove, json)).map(exit_of),
        Command::Migrate { config, options } => block_on(migrate::migrate(&config, options)).map(exit_of),
        Command::Graph { config, options } => {
            block_on(graph::graph(&config, &options)).map(|()| ExitCode::SUCCESS)
        }
        Command::Alert { action } => block_on(alert::act(action)).map(exit_of),
        Command::Import { action } => block_on(import::act(&action)).map(exit_of),
        Command::Backfill { options } => block_on(backfill::act(&options)).map(exit_of),
        Command::Demo { action, options } => match action {
            None => demo::run(&options),
            Some(action) => block_on(demo::act(action)).map(exit_of),
        },
        Command::Vista { action } => block_on(vista::act(&action)).map(exit_of),
        Command::Version { json } => version::version(json).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        if error.is::<output::Unread>() {
            return ExitCode::SUCCESS;
        }
        eprintln!("skyline: {}", sentence(&error));
        ExitCode::from(EXIT_SETTINGS)
    })
}

fn exit_of(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the async part of a command that is not the node itself.
fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}
