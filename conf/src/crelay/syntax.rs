//! The statements of the language as a typed tree.
//!
//! The tree says what is written, spelling and layout apart: defaults are not filled in, clusters are names.
//! Printing it gives a text that reads as an equal tree.

mod listen;

pub use listen::{Listen, ListenTls, ListenTransport, Receptor, SendStatistics, Statistics};

use super::Address;

/// Where something stands: bytes from the beginning of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position(pub usize);

/// Something with its place. The place is no part of what it is: equality does not look at it.
#[derive(Debug, Clone, Copy, Eq, Default)]
pub struct At<T> {
    /// Its begin.
    pub at: Position,
    /// What it is.
    pub value: T,
}

impl<T> At<T> {
    /// `value`, standing at `at`.
    pub const fn new(at: Position, value: T) -> Self {
        Self { at, value }
    }
}

impl<T: PartialEq> PartialEq for At<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// One file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tree {
    /// From top to bottom.
    pub statements: Vec<At<Statement>>,
}

/// One statement, without its `;`.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// `cluster …`
    Cluster(Cluster),
    /// `match …`
    Match(Match),
    /// `rewrite …`
    Rewrite(Rewrite),
    /// `aggregate …`
    Aggregate(Aggregate),
    /// `statistics …`
    Statistics(Statistics),
    /// `send statistics to …`, the old form.
    SendStatistics(SendStatistics),
    /// `listen …`
    Listen(Listen),
    /// `include …`: a path, or a glob of paths.
    Include(At<String>),
}

/// `cluster …`
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Its name.
    pub name: At<String>,
    /// Who is in it.
    pub members: Members,
}

/// Members of a cluster.
#[derive(Debug, Clone, PartialEq)]
pub enum Members {
    /// `forward`, `any_of`, `failover`, `lb`.
    Servers {
        /// Who gets what.
        sharing: Sharing,
        /// `useall`: every address of a name is a server.
        use_all: bool,
        /// At least one.
        hosts: Vec<At<Host>>,
    },
    /// `carbon_ch`, `fnv1a_ch`, `jump_fnv1a_ch`.
    Hashed {
        /// Which ring.
        hash: Hash,
        /// `replication N`
        replication: Option<At<u32>>,
        /// `dynamic`
        dynamic: Option<At<()>>,
        /// At least one.
        hosts: Vec<At<Host>>,
    },
    /// `file`
    Files {
        /// `ip`: lines begin with the sender's address.
        with_sender: Option<At<()>>,
        /// At least one.
        paths: Vec<At<String>>,
    },
}

/// Who gets what in a cluster without a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Each all.
    Forward,
    /// One each, by the name.
    AnyOf,
    /// The first that is up, all.
    Failover,
    /// One each, in turn.
    Lb,
}

/// Whose ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// `carbon_ch`
    Carbon,
    /// `fnv1a_ch`
    Fnv1a,
    /// `jump_fnv1a_ch`
    Jump,
}

/// A server of a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// Where.
    pub address: Address,
    /// Behind `=`.
    pub instance: Option<At<String>>,
    /// `proto …`
    pub protocol: Option<At<Protocol>>,
    /// `type …`
    pub kind: Option<At<Kind>>,
    /// `transport …`
    pub transport: Option<At<HostTransport>>,
}

/// `proto …` of internet sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `tcp`
    Tcp,
    /// `udp`
    Udp,
}

/// `type …`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `linemode`
    Lines,
    /// `syslog`
    Syslog,
}

/// `transport …` of a server.
#[derive(Debug, Clone, PartialEq)]
pub struct HostTransport {
    /// What the stream is packed with.
    pub codec: Codec,
    /// Around it.
    pub tls: Option<At<HostTls>>,
}

/// TLS towards a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostTls {
    /// `ssl`
    Ssl,
    /// `mtls`
    Mutual {
        /// PEM file of the certificate.
        certificate: String,
        /// PEM file of its key.
        key: String,
    },
}

/// What a stream is packed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Nothing.
    Plain,
    /// `gzip`
    Gzip,
    /// `lz4`
    Lz4,
    /// `snappy`
    Snappy,
}

/// `match …`
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// Which names.
    pub patterns: Patterns,
    /// `validate …`
    pub validate: Option<Validate>,
    /// `route using …`
    pub route_using: Option<At<String>>,
    /// `send to …`
    pub send_to: Option<SendTo>,
    /// `stop`
    pub stop: bool,
}

/// Names that a `match` is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Patterns {
    /// `*`
    Everything,
    /// Expressions, at least one.
    Any(Vec<At<String>>),
}

/// `validate … else …`
#[derive(Debug, Clone, PartialEq)]
pub struct Validate {
    /// The expression.
    pub pattern: At<String>,
    /// What happens to points that fail.
    pub otherwise: Otherwise,
}

/// What happens to points that fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// `log`: they are dropped, and told.
    Log,
    /// `drop`
    Drop,
}

/// `send to …`
#[derive(Debug, Clone, PartialEq)]
pub enum SendTo {
    /// `blackhole`
    Blackhole,
    /// Names of clusters, at least one.
    Clusters(Vec<At<String>>),
}

/// `rewrite … into …`
#[derive(Debug, Clone, PartialEq)]
pub struct Rewrite {
    /// The expression.
    pub pattern: At<String>,
    /// The replacement.
    pub into: At<String>,
}

/// `aggregate …`
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// Expressions, at least one.
    pub patterns: Vec<At<String>>,
    /// Length of a bucket, seconds.
    pub every: At<u32>,
    /// When a bucket is done, seconds.
    pub expire: At<u32>,
    /// `timestamp at … of bucket`
    pub stamp: Option<Stamp>,
    /// At least one.
    pub computes: Vec<Compute>,
    /// `send to …`
    pub send_to: Option<SendTo>,
    /// `stop`
    pub stop: bool,
}

/// `timestamp at … of bucket`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// `start`
    Start,
    /// `middle`
    Middle,
    /// `end`
    End,
}

/// `compute … write to …`
#[derive(Debug, Clone, PartialEq)]
pub struct Compute {
    /// How.
    pub function: Function,
    /// Name of the result.
    pub to: At<String>,
}

/// How a bucket becomes one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// `sum`, `summary`
    Sum,
    /// `count`, `cnt`
    Count,
    /// `max`, `maximum`
    Max,
    /// `min`, `minimum`
    Min,
    /// `average`, `avg`
    Average,
    /// `median`
    Median,
    /// `percentileN`, 1 to 99
    Percentile(u8),
    /// `variance`
    Variance,
    /// `stddev`
    Deviation,
}
