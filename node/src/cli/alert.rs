//! `skyline alert`: incidents, mutes, the outbox, and who would be told of a metric. Asks the running node, so that what
//! is changed holds at once.

mod explain;
mod incidents;
mod mutes;
mod outbox;
mod test;
mod time;

use super::http::{self, Answer};
use super::output::program;
use super::send::reachable;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::Value;
use std::net::SocketAddr;

/// What can be done about alerts.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// List incidents, the newest first
    List {
        /// Those that go on
        #[arg(long)]
        open: bool,
        /// So many at most
        #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        #[command(flatten)]
        node: Where,
    },
    /// Show an incident: its metrics, and who was told
    Show {
        /// Id of the incident, or its beginning
        id: String,
        #[command(flatten)]
        node: Where,
    },
    /// Say that you have seen an incident: it does not escalate, and is not told again while it goes on
    Ack {
        /// Id of the incident, or its beginning
        id: String,
        /// Who has seen it (default: the user that is logged in)
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        #[command(flatten)]
        node: Where,
    },
    /// Mute a metric, metrics by a glob, or a rule
    Mute(mutes::New),
    /// Unmute
    Unmute {
        /// Number of the mute, as `mutes` prints it
        id: u64,
        #[command(flatten)]
        node: Where,
    },
    /// List mutes
    Mutes {
        #[command(flatten)]
        node: Where,
    },
    /// List messages: those that wait, have left, or were given up
    Outbox {
        /// Only those that wait, were sent, or were given up
        #[arg(long, value_name = "STATE", value_parser = ["waiting", "sent", "dead"])]
        state: Option<String>,
        /// So many at most
        #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Try the message with that number, which was given up, again
        #[arg(long, value_name = "ID", conflicts_with = "state")]
        retry: Option<u64>,
        #[command(flatten)]
        node: Where,
    },
    /// Send a marked test with a picture through a channel, and print what each recipient's server says
    Test {
        #[command(flatten)]
        options: test::Options,
        #[command(flatten)]
        config: super::Config,
    },
    /// Print who would be told of a metric, and why: rules in order, recipients, mutes, limits
    Explain {
        /// Name of the metric; it need not exist
        #[arg(value_name = "NAME")]
        metric: String,
        #[command(flatten)]
        node: Where,
    },
}

/// The node that is asked, and how the answer is printed.
#[derive(Debug, Args)]
pub(crate) struct Where {
    /// Where the node's API is (default: http.api of the settings)
    #[arg(long, value_name = "HOST:PORT", value_parser = http::address)]
    address: Option<SocketAddr>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: super::Config,
}

/// Runs a command; false: what was asked for is not so.
pub(super) async fn act(action: Action) -> anyhow::Result<bool> {
    match action {
        Action::List { open, limit, node } => incidents::list(&node, open, limit).await,
        Action::Show { id, node } => incidents::show(&node, &id).await,
        Action::Ack { id, by, node } => incidents::acknowledge(&node, &id, by).await,
        Action::Mute(new) => mutes::mute(&new).await,
        Action::Unmute { id, node } => mutes::unmute(&node, id).await,
        Action::Mutes { node } => mutes::list(&node).await,
        Action::Outbox { retry: Some(id), node, .. } => outbox::retry(&node, id).await,
        Action::Outbox { state, limit, node, .. } => outbox::list(&node, state.as_deref(), limit).await,
        Action::Test { options, config } => return test::test(&config, &options).await,
        Action::Explain { metric, node } => explain::explain(&node, &metric).await,
    }
    .map(|()| true)
}

impl Where {
    /// The address of the API.
    fn api(&self) -> anyhow::Result<SocketAddr> {
        if let Some(address) = self.address {
            return Ok(address);
        }
        let settings = self.config.load()?.settings;
        Ok(reachable(*settings.http.api.first().context("http.api is empty: give --address")?))
    }

    /// What a person types after a command to ask the same node.
    fn argument(&self) -> String {
        match self.address {
            Some(address) => format!(" --address {address}"),
            None => self.config.argument(),
        }
    }

    /// The next command, as it is typed.
    fn next(&self, command: &str) -> String {
        format!("{} alert {command}{}", program(), self.argument())
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let api = self.api()?;
        self.understood(api, http::get(api, path).await).await
    }

    async fn change(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let api = self.api()?;
        self.understood(api, http::change(method, api, path, body).await).await
    }

    /// The JSON of a good answer; the error of another.
    async fn understood(&self, api: SocketAddr, answer: anyhow::Result<Answer>) -> anyhow::Result<Value> {
        let answer = answer.map_err(|error| if http::is_refused(&error) { nobody(api) } else { error })?;
        let body = answer.json().with_context(|| format!("another program answers at {api}"))?;
        if (200..300).contains(&answer.status) {
            return Ok(body);
        }
        if body.get("routes").is_some() {
            http::is_node(api).await?;
            anyhow::bail!(
                "the node at {api} has no alerting: it is another version, or alerting is switched off"
            );
        }
        let error = body.get("error").and_then(Value::as_str).unwrap_or("the node gave no reason");
        Err(anyhow::anyhow!("{}", time::harmless(error)))
    }
}

fn nobody(api: SocketAddr) -> anyhow::Error {
    anyhow::anyhow!(
        "nobody listens at {api}: is the node running? Start it with `{} run`, give the same arguments here as there, or \
         name its API (http.api) with --address",
        program()
    )
}
