//! What an operator wants to know of the Redis that the settings name, and what is wrong with it.

use super::{Error, Server};
use redis::{Value, cmd, pipe};
use skyline_conf::model::redis::{Kind, Layout, Redis};
use skyline_core::problem::Problem;
use std::collections::HashMap;
use std::time::{Duration, Instant};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused { what, advice } => Self { what, advice },
            Error::Away(why) => {
                Self::new(format!("Redis does not answer: {why}"), "check redis.servers, and that Redis runs")
            }
            Error::Full(_) | Error::ReadOnly | Error::Loading | Error::Command(_) => {
                let text = error.to_string();
                let (what, advice) = text.split_once("; ").unwrap_or((&text, "ask again later"));
                Self::new(what, advice)
            }
        }
    }
}

/// A Redis that answers. Of a cluster: the node that was asked.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Its version, `7.0.15`.
    pub version: String,
    /// Whether it is a master.
    pub is_master: bool,
    /// Whether it belongs to a cluster.
    pub is_cluster: bool,
    /// Median of the times that it took to answer.
    pub latency: Duration,
    /// Bytes that it uses.
    pub used_memory: u64,
    /// Bytes that it may use; 0: no bound.
    pub max_memory: u64,
    /// What it does once it is full, `noeviction`.
    pub policy: String,
    /// How it keeps its data over a restart; empty: not, or not known.
    pub persistence: String,
    /// Our names (`compat`) or keys (`chunks`) in it.
    pub ours: u64,
    /// What should be changed, though it works.
    pub warnings: Vec<Problem>,
}

/// Asks the Redis of the settings all that a doctor wants to know. Writes and removes one key.
///
/// # Errors
/// What keeps the node from working with it, and what helps.
pub async fn probe(settings: &Redis) -> Result<Facts, Problem> {
    let server = Server::new(settings)?;
    let mut facts = Facts { latency: latency(&server).await?, ..Facts::default() };
    match server.query::<String>(cmd("INFO").arg("everything")).await {
        Ok(text) => facts.read(&text),
        Err(error @ Error::Refused { .. }) => {
            facts.is_master = true;
            facts.warnings.push(Problem::new(
                format!("its memory and persistence are not known: {error}"),
                "give the user the right to `INFO`",
            ));
        }
        // In a cluster each node answers for itself.
        Err(Error::Command(_)) if settings.kind == Kind::Cluster => facts.of_cluster(&server).await?,
        Err(error) => return Err(error.into()),
    }
    facts.judge_kind(settings)?;
    if settings.kind == Kind::Cluster {
        cluster_state(&server).await?;
    }
    rights(&server, settings).await?;
    facts.ours = ours(&server, settings).await?;
    facts.judge_memory(settings.layout);
    Ok(facts)
}

impl Facts {
    async fn of_cluster(&mut self, server: &Server) -> Result<(), Problem> {
        let answers: HashMap<String, String> = server.query(cmd("INFO").arg("everything")).await?;
        for text in answers.values() {
            self.read(text);
            if self.is_master {
                break;
            }
        }
        Ok(())
    }

    fn read(&mut self, info: &str) {
        let fields: HashMap<&str, &str> =
            info.lines().filter_map(|line| line.trim().split_once(':')).collect();
        let text = |key: &str| fields.get(key).copied().unwrap_or_default().to_owned();
        let number = |key: &str| fields.get(key).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        self.version = text("redis_version");
        self.is_master = text("role") != "slave";
        self.is_cluster = number("cluster_enabled") == 1;
        self.used_memory = number("used_memory");
        self.max_memory = number("maxmemory");
        self.policy = text("maxmemory_policy");
        let mut kept = Vec::new();
        if number("aof_enabled") == 1 {
            kept.push("append-only file");
        }
        if number("rdb_last_save_time") > 0 && number("rdb_saves") > 0 {
            kept.push("snapshots");
        }
        self.persistence = kept.join(", ");
        if text("rdb_last_bgsave_status") == "err" {
            self.warnings
                .push(Problem::new("its last snapshot failed", "look into its log, often its disk is full"));
        }
        if number("loading") == 1 {
            self.warnings.push(Problem::new("it is loading its data", "wait"));
        }
    }

    fn judge_kind(&self, settings: &Redis) -> Result<(), Problem> {
        if !self.is_master && settings.kind == Kind::Single {
            return Err(Error::ReadOnly.into());
        }
        if self.is_cluster && settings.kind == Kind::Single {
            return Err(Problem::new("this Redis is a node of a cluster", "set redis.kind to cluster"));
        }
        if self.version.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_some_and(|m| m < 4) {
            return Err(Problem::new(format!("it is version {}", self.version), "use Redis 4 or newer"));
        }
        Ok(())
    }

    fn judge_memory(&mut self, layout: Layout) {
        // Keys of layout compat do not expire, so policies for those that do spare them.
        let is_spared = layout == Layout::Compat && self.policy.starts_with("volatile-");
        if self.max_memory > 0 && !self.policy.is_empty() && self.policy != "noeviction" && !is_spared {
            let what = format!("once it is full it drops windows (maxmemory-policy {})", self.policy);
            let advice = "set maxmemory-policy to noeviction in Redis, or use a Redis of its own";
            self.warnings.push(Problem::new(what, advice));
        }
        if self.max_memory > 0 && self.used_memory > self.max_memory / 10 * 9 {
            let what = format!("it uses {} of {} bytes", self.used_memory, self.max_memory);
            self.warnings.push(Problem::new(what, "raise its maxmemory"));
        }
        if self.latency > Duration::from_millis(50) {
            let what = format!("an answer takes {} ms", self.latency.as_millis());
            self.warnings.push(Problem::new(what, "use a Redis that is nearer, or less busy"));
        }
    }
}

async fn latency(server: &Server) -> Result<Duration, Problem> {
    // The first connects.
    server.query::<Value>(&cmd("PING")).await?;
    let mut took = Vec::new();
    for _ in 0..9 {
        let start = Instant::now();
        server.query::<Value>(&cmd("PING")).await?;
        took.push(start.elapsed());
    }
    took.sort_unstable();
    Ok(took.get(took.len() / 2).copied().unwrap_or_default())
}

async fn cluster_state(server: &Server) -> Result<(), Problem> {
    let text: String = server.query(cmd("CLUSTER").arg("INFO")).await?;
    match text.lines().find_map(|line| line.trim().strip_prefix("cluster_state:")) {
        Some("ok") => Ok(()),
        state => Err(Problem::new(
            format!("the cluster is not whole: {}", state.unwrap_or("its state is not known")),
            "see which slots `redis-cli --cluster check` finds without a master",
        )),
    }
}

/// Carries out each command that the layout needs on keys of the probe's own, and removes them.
async fn rights(server: &Server, settings: &Redis) -> Result<(), Problem> {
    let own = format!("{}:probe", settings.prefix);
    let window = format!("{}skyline-probe", settings.namespace);
    let mut commands = pipe();
    let mut of = |name: &str, key: &str, arguments: &[&str]| {
        commands.cmd(name).arg(key).arg(arguments);
    };
    match settings.layout {
        Layout::Compat => {
            of("DEL", &own, &[]);
            of("DEL", &window, &[]);
            of("APPEND", &window, &["x"]);
            of("STRLEN", &window, &[]);
            of("GET", &window, &[]);
            of("GETRANGE", &window, &["0", "0"]);
            of("SET", &window, &["x"]);
            of("EXISTS", &window, &[]);
            of("DEL", &window, &[]);
            of("SADD", &window, &["x"]);
            of("SCARD", &window, &[]);
            of("SSCAN", &window, &["0"]);
            of("SREM", &window, &["x"]);
            of("GETSET", &own, &["x"]);
            of("DEL", &own, &[]);
            let script = "redis.call('SET', KEYS[1], 'x') return redis.call('DEL', KEYS[1])";
            commands.cmd("EVAL").arg(script).arg(1).arg(&window);
        }
        Layout::Chunks => {
            of("UNLINK", &own, &[]);
            of("HSET", &own, &["x", "x"]);
            of("EXPIRE", &own, &["60"]);
            of("HGETALL", &own, &[]);
            of("EXISTS", &own, &[]);
            of("SET", &own, &["x", "EX", "60"]);
            of("GETRANGE", &own, &["0", "0"]);
            of("GET", &own, &[]);
            of("UNLINK", &own, &[]);
            // Skyline's windows are only read.
            if settings.adopt {
                let set = format!("{}unique_metrics", settings.namespace);
                of("SCARD", &set, &[]);
                of("SSCAN", &set, &["0", "COUNT", "1"]);
                of("STRLEN", &window, &[]);
                of("GET", &window, &[]);
            }
        }
    }
    let mut transaction = pipe();
    transaction.atomic().cmd("EXISTS").arg(&own);
    server.run(&transaction).await?;
    // One by one: in a cluster the keys are on several nodes.
    for command in commands.cmd_iter() {
        server.query::<Value>(command).await?;
    }
    Ok(())
}

async fn ours(server: &Server, settings: &Redis) -> Result<u64, Problem> {
    if settings.layout == Layout::Compat {
        let set = format!("{}unique_metrics", settings.namespace);
        return Ok(server.query(cmd("SCARD").arg(set)).await?);
    }
    let mut keys = server.scan(super::What::Keys(format!("{}:*", settings.prefix)));
    let mut found = 0;
    while let Some(page) = keys.next(1_000).await? {
        found += page.len() as u64;
    }
    Ok(found)
}
