//! Pages of what is too large for one answer.

use super::{Error, Server};
use crate::server::wire::Wire;
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::{Cmd, FromRedisValue, Value, cmd};

/// What is paged through.
#[derive(Debug, Clone)]
pub enum What {
    /// The members of a set.
    Members(Vec<u8>),
    /// All keys that match a pattern as of `KEYS`; of a cluster those of all masters.
    Keys(String),
}

/// Pages of [`What`], from `SSCAN` or `SCAN`. What was there all the time is in a page at least once;
/// what came or went meanwhile may or may not be.
#[derive(Debug)]
pub struct Pages {
    server: Server,
    what: What,
    cursor: u64,
    /// The connection over which the cursor came. After a restart of Redis it says nothing.
    connection: u64,
    /// Masters not looked at yet; unknown before the first page.
    masters: Option<Vec<(String, u16)>>,
    ended: bool,
}

impl Pages {
    pub(super) const fn new(server: Server, what: What) -> Self {
        Self { server, what, cursor: 0, connection: 0, masters: None, ended: false }
    }

    /// The next page, which may be empty; `None` after the last.
    ///
    /// # Errors
    /// Those of Redis; the next call goes on, after a new connection from the beginning.
    pub async fn next(&mut self, about: usize) -> Result<Option<Vec<Vec<u8>>>, Error> {
        if self.ended {
            return Ok(None);
        }
        if self.connection != self.server.connection() {
            self.rewind();
        }
        let asked = self.cursor;
        let mut command = Cmd::new();
        match &self.what {
            What::Members(key) => command.arg("SSCAN").arg(key).arg(self.cursor),
            What::Keys(pattern) => command.arg("SCAN").arg(self.cursor).arg("MATCH").arg(pattern),
        };
        command.arg("COUNT").arg(about.max(1));
        let (cursor, page): (u64, Vec<Vec<u8>>) = match (&self.what, self.server.is_cluster()) {
            (What::Keys(_), true) => {
                let Some((host, port)) = self.master().await? else {
                    self.ended = true;
                    return Ok(None);
                };
                self.server.query_at(&command, host, port).await?
            }
            _ => self.server.query(&command).await?,
        };
        if self.connection != self.server.connection() && asked > 0 {
            self.rewind();
            return Ok(Some(page));
        }
        self.cursor = cursor;
        if cursor == 0 {
            let left = self.masters.as_mut().and_then(|masters| {
                masters.pop();
                masters.last()
            });
            self.ended = left.is_none();
        }
        Ok(Some(page))
    }

    /// Begins anew, with the connection that there is now.
    fn rewind(&mut self) {
        self.connection = self.server.connection();
        self.cursor = 0;
        self.masters = None;
    }

    /// The master to be asked, if one is left.
    async fn master(&mut self) -> Result<Option<(String, u16)>, Error> {
        if self.masters.is_none() {
            let slots: Value = self.server.query(cmd("CLUSTER").arg("SLOTS")).await?;
            self.masters = Some(masters(&slots));
        }
        Ok(self.masters.as_ref().and_then(|masters| masters.last().cloned()))
    }
}

/// The masters in an answer to `CLUSTER SLOTS`, each once: `[[from, to, [host, port, ...], replicas...], ...]`.
fn masters(slots: &Value) -> Vec<(String, u16)> {
    let items = |value: &Value| match value {
        Value::Array(items) => items.clone(),
        _ => Vec::new(),
    };
    let mut found = Vec::new();
    for range in items(slots) {
        let node = items(&range).get(2).map(items).unwrap_or_default();
        let host = node.first().and_then(|host| String::from_redis_value_ref(host).ok());
        let port = node.get(1).and_then(|port| u16::from_redis_value_ref(port).ok());
        if let (Some(host), Some(port)) = (host, port)
            && !found.contains(&(host.clone(), port))
        {
            found.push((host, port));
        }
    }
    found
}

impl Server {
    pub(crate) fn is_cluster(&self) -> bool {
        self.shared.target.kind == skyline_conf::model::redis::Kind::Cluster
    }

    /// [`Self::query`] at one node of a cluster.
    async fn query_at<T: FromRedisValue>(&self, command: &Cmd, host: String, port: u16) -> Result<T, Error> {
        let (number, wire) = self.begin(1, super::bytes_of(command)).await?;
        let Wire::Many(mut cluster) = wire else {
            return Err(Error::Command("not a cluster".to_owned()));
        };
        let to = RoutingInfo::SingleNode(SingleNodeRoutingInfo::ByAddress { host, port });
        let outcome = {
            let _place = self.place().await?;
            Box::pin(cluster.route_command(command.clone(), to)).await
        };
        let value = self.settle(number, outcome).await?;
        T::from_redis_value(value)
            .map_err(|error| Error::Command(format!("an answer of another form: {error}")))
    }
}
