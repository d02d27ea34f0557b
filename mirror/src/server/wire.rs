//! One connection to what `redis.kind` says: a server, a cluster, the master that sentinels name.

use super::address::{Access, Address};
use super::error::Error;
use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, Pipeline, RedisError, TlsMode, Value, cmd};
use skyline_conf::model::redis::Kind;
use std::time::Duration;

/// A connection; cheap to clone, all clones share one socket (of a cluster: one a node).
#[derive(Clone)]
pub(super) enum Wire {
    One(MultiplexedConnection),
    Many(Box<ClusterConnection>),
}

impl Wire {
    /// The raw answer to one command.
    pub(super) async fn command(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        let value = match self {
            Self::One(connection) => connection.req_packed_command(command).await?,
            Self::Many(connection) => connection.req_packed_command(command).await?,
        };
        match value {
            Value::ServerError(error) => Err(error.into()),
            value => Ok(value),
        }
    }

    /// The raw answers to a pipeline's commands, in their order, errors among them.
    pub(super) async fn pipeline(&mut self, pipeline: &Pipeline) -> Result<Vec<Value>, RedisError> {
        if !pipeline.is_transaction() {
            return self.commands(pipeline).await;
        }
        // The client does not stand it when MULTI itself is refused; here it is a command like the others.
        let mut all = Pipeline::with_capacity(pipeline.len() + 2);
        all.cmd("MULTI");
        for command in pipeline.cmd_iter() {
            all.add_command(command.clone());
        }
        all.cmd("EXEC");
        let mut answers = self.commands(&all).await?;
        let outcome = answers.pop();
        if let Some(Value::Array(values)) = outcome {
            return Ok(values);
        }
        // What was wrong with a command says more than that the whole was therefore not carried out.
        let errors = answers.into_iter().chain(outcome).filter_map(|answer| match answer {
            Value::ServerError(error) => Some(error.into()),
            _ => None,
        });
        let none = || (ErrorKind::UnexpectedReturnType, "the transaction was not carried out").into();
        Err(errors.into_iter().next().unwrap_or_else(none))
    }

    async fn commands(&mut self, pipeline: &Pipeline) -> Result<Vec<Value>, RedisError> {
        match self {
            Self::One(connection) => connection.req_packed_commands(pipeline, 0, pipeline.len()).await,
            Self::Many(connection) => connection.req_packed_commands(pipeline, 0, pipeline.len()).await,
        }
    }
}

/// Where the servers are, and how they are reached.
pub(super) struct Target {
    pub(super) kind: Kind,
    pub(super) servers: Vec<Address>,
    pub(super) master: String,
    pub(super) access: Access,
}

impl Target {
    /// How long [`Self::connect`] may take.
    pub(super) fn patience(&self) -> Duration {
        let attempts = match self.kind {
            Kind::Single => 1,
            Kind::Cluster => 2,
            // Each may hang, and then the master.
            Kind::Sentinel => self.servers.len() + 1,
        };
        self.access.timeout.saturating_mul(u32::try_from(attempts).unwrap_or(u32::MAX))
    }

    /// Connects.
    pub(super) async fn connect(&self) -> Result<Wire, Error> {
        let connecting = async {
            match self.kind {
                Kind::Single => match self.servers.first() {
                    Some(address) => self.master(address).await.map(Wire::One),
                    None => Err(Error::refused("redis.servers is empty", "name a server")),
                },
                Kind::Cluster => self.cluster().await.map(|wire| Wire::Many(Box::new(wire))),
                Kind::Sentinel => self.master(&self.find_master().await?).await.map(Wire::One),
            }
        };
        let late = |_| Error::Away("no connection within the time-out".to_owned());
        tokio::time::timeout(self.patience(), Box::pin(connecting)).await.map_err(late)?
    }

    fn config(&self) -> AsyncConnectionConfig {
        let timeout = Some(self.access.timeout);
        AsyncConnectionConfig::new().set_connection_timeout(timeout).set_response_timeout(timeout)
    }

    async fn one(&self, address: &Address) -> Result<MultiplexedConnection, Error> {
        let client = self.access.client(address)?;
        Ok(client.get_multiplexed_async_connection_with_config(&self.config()).await?)
    }

    /// Connects to a server that takes writes: a replica answers questions, and would pass for one that works.
    async fn master(&self, address: &Address) -> Result<MultiplexedConnection, Error> {
        let mut connection = self.one(address).await?;
        // Whoever may not ask finds out with the first write.
        let info = cmd("INFO").arg("replication").query_async::<String>(&mut connection).await;
        if info.is_ok_and(|text| text.lines().any(|line| line.trim() == "role:slave")) {
            return Err(Error::ReadOnly);
        }
        Ok(connection)
    }

    async fn cluster(&self) -> Result<ClusterConnection, Error> {
        let clients = self.servers.iter().map(|address| self.access.client(address));
        let clients = clients.collect::<Result<Vec<_>, _>>()?;
        let nodes = clients.iter().map(|client| client.get_connection_info().clone());
        let mut builder = ClusterClient::builder(nodes)
            .connection_timeout(self.access.timeout)
            .response_timeout(self.access.timeout)
            .overall_response_timeout(Some(self.access.timeout.saturating_mul(2)))
            .retries(3)
            .min_retry_wait(50)
            .max_retry_wait(1_000);
        if self.servers.iter().any(Address::is_tls) {
            builder = builder.tls(TlsMode::Secure).certs(self.access.certificates());
        }
        Ok(builder.build()?.get_async_connection().await?)
    }

    /// Asks the sentinels, one after another, where the master is.
    async fn find_master(&self) -> Result<Address, Error> {
        let mut last = Error::refused("redis.servers is empty", "name the sentinels");
        for sentinel in &self.servers {
            match self.ask(sentinel).await {
                Ok(Some((host, port))) => return Ok(Address::Tcp { host, port, tls: sentinel.is_tls() }),
                Ok(None) => {
                    last = Error::refused(
                        format!("the sentinels know no master `{}`", self.master.escape_debug()),
                        "set redis.sentinel_master to the name in `sentinel monitor NAME ...`",
                    );
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The master that one sentinel knows. A sentinel often has no password where the servers have one.
    async fn ask(&self, sentinel: &Address) -> Result<Option<(String, u16)>, Error> {
        let mut question = cmd("SENTINEL");
        question.arg("get-master-addr-by-name").arg(&self.master);
        let mut answer = Err(Error::Loading);
        for with_password in [false, true] {
            let client = self.access.sentinel(sentinel, with_password)?;
            let mut connection = client.get_multiplexed_async_connection_with_config(&self.config()).await?;
            let raw = question.query_async::<Option<(String, u16)>>(&mut connection).await;
            let wants_password = raw.as_ref().is_err_and(|error| error.code() == Some("NOAUTH"));
            answer = raw.map_err(|error| match Error::from(error) {
                Error::Command(text) if text.contains("unknown command") => {
                    Error::refused("a server in redis.servers is no sentinel", "set redis.kind to single")
                }
                error => error,
            });
            if !wants_password || !self.access.has_password() {
                break;
            }
        }
        answer
    }
}
