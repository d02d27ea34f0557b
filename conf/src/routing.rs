//! What every relay configuration is read into: destinations, clusters of them, and statements.
//!
//! carbon's files, carbon-c-relay's language, carbon-relay-ng's TOML and the `[relay]` section of the settings
//! all become a [`Routing`]; only the relay's router knows how to run one. A metric enters at the first statement
//! and walks down: a [`Route`] sends it to clusters, a [`Rewrite`] changes its name for the
//! statements below, an [`Aggregation`] takes it as an input; `stop` ends the walk.
//!
//! Invariants of a value that a reader of a language returns: indexes lie inside the lists that they
//! point into; every pattern is compiled; every group that a template names exists.

pub mod address;
pub mod every_address;
pub mod function;
pub mod native;
pub mod pattern;
pub mod template;
pub mod walk;

use pattern::Pattern;
use serde::{Deserialize, Serialize};
use template::Template;

/// A relay configuration, whatever language it was written in.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Routing {
    /// Every destination once.
    pub destinations: Vec<Destination>,
    /// Clusters; an index into `destinations` names a member.
    pub clusters: Vec<Cluster>,
    /// From top to bottom; an index into `clusters` names a target.
    pub statements: Vec<Statement>,
    /// How names are treated before the first statement.
    pub names: Names,
    /// Where the node's own metrics go.
    pub own: Then,
}

/// How names are treated before the first statement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Names {
    /// As they were received.
    #[default]
    AsReceived,
    /// Tags in normal form: carbon's `TAG_RELAY_NORMALIZED`.
    TagsNormalized,
    /// carbon-c-relay's cleaning: runs of dots become one, dots at both ends go, and every character that is
    /// neither a letter or digit of ASCII, nor a dot, nor one of these becomes `_`. Tags stay as they are.
    Cleaned {
        /// What is allowed besides letters, digits and dots; its default is `-_:#`.
        allowed: String,
    },
}

/// One place that points are sent to, with a position of its own in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// How it is written in its configuration; people know it by that.
    pub label: String,
    /// Where points go: the first that can be reached. More than one: the others stand in for those before
    /// them (carbon-c-relay's `failover` and `any_of`).
    pub endpoints: Vec<Endpoint>,
}

/// Something that takes points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Endpoint {
    /// A server.
    Server(Server),
    /// Lines are added to the end of a file.
    File(std::path::PathBuf),
}

/// A server that takes points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
    /// Tells apart carbon instances on one host, and is part of a ring's keys.
    pub instance: Option<String>,
    /// What is sent.
    pub protocol: Protocol,
    /// How it travels.
    pub transport: Transport,
    /// What the stream is packed with.
    pub packing: Packing,
    /// TLS around the stream.
    pub tls: Option<Tls>,
    /// Whether every address of the name is a destination of its own (carbon-c-relay's `useall`).
    pub every_address: bool,
}

impl Server {
    /// A server that takes plain lines over TCP.
    #[must_use]
    pub fn plain(host: impl Into<String>, port: u16, instance: Option<String>) -> Self {
        Self {
            host: host.into(),
            port,
            instance,
            protocol: Protocol::Plaintext,
            transport: Transport::Tcp,
            packing: Packing::Plain,
            tls: None,
            every_address: false,
        }
    }
}

/// Stand-ins of a server of an `any_of` cluster. If it and all of them are down, its points wait.
const STAND_INS: usize = 32;

/// For each server of an `any_of` cluster its endpoints: itself, then the others from the next one on (up to 32 of
/// them), so that the load of one that is down does not always fall on the first.
#[must_use]
pub fn rotated(servers: &[Server]) -> Vec<Vec<Endpoint>> {
    let endpoints = |i| servers.iter().cycle().skip(i).take(servers.len().min(STAND_INS + 1)).cloned();
    (0..servers.len()).map(|i| endpoints(i).map(Endpoint::Server).collect()).collect()
}

/// What is sent to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// Lines.
    Plaintext,
    /// Frames of pickle protocol 2.
    Pickle,
    /// Frames of carbon's protobuf.
    Protobuf,
}

/// How points travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Transport {
    /// A stream.
    Tcp,
    /// Datagrams of whole lines.
    Udp,
}

/// What a stream is packed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Packing {
    /// Nothing.
    Plain,
    /// One gzip stream, flushed in pieces.
    Gzip,
    /// LZ4 frames, one behind the other.
    Lz4,
}

/// TLS towards a server. Its name is always checked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tls {
    /// PEM file of the authorities that are trusted; none: the system's.
    pub ca: Option<std::path::PathBuf>,
    /// PEM files of a certificate chain and its key, shown to the server (mTLS).
    pub identity: Option<(std::path::PathBuf, std::path::PathBuf)>,
}

/// Destinations that share the points of a target.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// How its members share.
    pub share: Share,
    /// Indexes into [`Routing::destinations`], in the order of the configuration.
    pub members: Vec<usize>,
}

/// How the members of a cluster share points.
#[derive(Debug, Clone, PartialEq)]
pub enum Share {
    /// Each gets all.
    All,
    /// One each, by the FNV-1a 32 of the name modulo the number of members (carbon-c-relay's `any_of`).
    AnyOf,
    /// One each, in turn.
    InTurn,
    /// By a ring of hashes.
    Ring(Ring),
}

/// A ring of hashes.
#[derive(Debug, Clone, PartialEq)]
pub struct Ring {
    /// Whose ring.
    pub kind: RingKind,
    /// Members that a name goes to; at least 1.
    pub replicas: usize,
    /// Whether these must have different hosts.
    pub diverse: bool,
    /// What is hashed.
    pub key: RingKey,
}

/// Whose ring: the program, and its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RingKind {
    /// carbon's `consistent-hashing`.
    Carbon(CarbonHash),
    /// carbon's `fast-hashing`.
    CarbonFast(CarbonHash),
    /// carbon-c-relay's `carbon_ch`.
    RelayCarbon,
    /// carbon-c-relay's `fnv1a_ch`.
    RelayFnv1a,
    /// carbon-c-relay's `jump_fnv1a_ch`.
    RelayJump,
    /// carbon-relay-ng's `consistentHashing`.
    Ng,
    /// carbon-relay-ng's `consistentHashing-v2`: the same with carbon's step at collisions.
    NgV2,
}

/// carbon's `ROUTER_HASH_TYPE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CarbonHash {
    /// The first two bytes of MD5.
    Md5,
    /// FNV-1a 32, folded to 16 bits.
    Fnv1a,
    /// MurmurHash3 32, signed.
    Mmh3,
}

/// What a ring hashes.
#[derive(Debug, Clone, PartialEq)]
pub enum RingKey {
    /// The whole name.
    Name,
    /// The name up to its tags.
    WithoutTags,
    /// The names of the aggregates that the name is an input of, each by itself; the name if there are none.
    Aggregates(Vec<Naming>),
}

/// What names of one form are called in another.
#[derive(Debug, Clone, PartialEq)]
pub struct Naming {
    /// Names that it is about.
    pub from: Pattern,
    /// Their new name as a whole.
    pub to: Template,
}

/// One statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// Sends.
    Route(Route),
    /// Renames.
    Rewrite(Rewrite),
    /// Takes inputs.
    Aggregate(Aggregation),
}

/// Which names a statement is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Matcher {
    /// Alternatives.
    pub patterns: Vec<Pattern>,
    /// Whether it is about names that match none of them instead.
    pub negated: bool,
    /// Whether tags (from the first `;` on) are left out of what is matched.
    pub without_tags: bool,
}

impl Matcher {
    /// All names.
    #[must_use]
    pub fn everything() -> Self {
        Self::of(vec![Pattern::everything()])
    }

    /// Names that match one of `patterns`.
    #[must_use]
    pub const fn of(patterns: Vec<Pattern>) -> Self {
        Self { patterns, negated: false, without_tags: false }
    }

    /// The first pattern that matches, or `None`; a negated matcher that applies has no pattern to name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Pattern> {
        let name = self.subject(name);
        self.patterns.iter().find(|pattern| pattern.is_match(name))
    }

    /// Whether the statement is about `name`.
    #[must_use]
    pub fn is_match(&self, name: &str) -> bool {
        self.find(name).is_some() != self.negated
    }

    /// The part of `name` that is matched.
    #[must_use]
    pub fn subject<'n>(&self, name: &'n str) -> &'n str {
        if self.without_tags { without_tags(name) } else { name }
    }
}

/// A name up to its tags.
#[must_use]
pub fn without_tags(name: &str) -> &str {
    name.split_once(';').map_or(name, |(name, _)| name)
}

/// Sends the points of some names somewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Which names.
    pub when: Matcher,
    /// What the text `value timestamp` of a point must look like.
    pub validate: Option<Validate>,
    /// What rings hash instead of the name: the name with the part that the pattern matched replaced by this.
    pub key: Option<Template>,
    /// Where to.
    pub to: Target,
    /// Whether the walk ends here for names that it is about.
    pub stop: bool,
}

/// Where points go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// To clusters: indexes into [`Routing::clusters`]; none: the statement sends nothing.
    Clusters(Vec<usize>),
    /// Nowhere: refused and counted.
    Discard(Discard),
}

/// Why points are thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Discard {
    /// carbon's black list.
    Blacklisted,
    /// Not on carbon's white list.
    NotWhitelisted,
    /// carbon-c-relay's `blackhole`, carbon-relay-ng's block list.
    Blackhole,
}

/// What a point must look like.
#[derive(Debug, Clone, PartialEq)]
pub struct Validate {
    /// Searched in `value timestamp`.
    pub pattern: Pattern,
    /// Whether points that fail are told in the log (with a limit).
    pub log: bool,
}

/// Renames.
#[derive(Debug, Clone, PartialEq)]
pub struct Rewrite {
    /// What is replaced.
    pub from: Pattern,
    /// By what.
    pub to: Template,
    /// Whether every match is replaced, or the first alone.
    pub every: bool,
    /// Whether tags are left out of what is searched, and kept.
    pub without_tags: bool,
}

/// Makes new series out of others.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregation {
    /// Its inputs.
    pub when: Matcher,
    /// Whether a name counts for each pattern that it matches (carbon-c-relay), or for the first alone. With `stop`
    /// for the first.
    pub for_each_pattern: bool,
    /// What is computed of them.
    pub outputs: Vec<Output>,
    /// Length of a bucket, seconds; at least 1. A bucket begins at a multiple of it.
    pub every: u32,
    /// When a bucket is first computed, seconds after its begin.
    pub after: u32,
    /// How long a bucket takes late points and is computed and sent again, seconds after its begin; at least
    /// `after`.
    pub keep: u32,
    /// Which moment of a bucket its points bear.
    pub stamp: Stamp,
    /// Where its points go.
    pub then: Then,
    /// Whether the walk ends here for inputs.
    pub stop: bool,
}

/// One series that an aggregation makes.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Its name.
    pub name: Template,
    /// Whether that is the whole name; else it takes the place of what the pattern matched, and what is
    /// around that stays (carbon-c-relay).
    pub is_whole: bool,
    /// How it is computed.
    pub function: Function,
    /// How its values are written.
    pub digits: Digits,
}

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Digits {
    /// In as few as read back as the same number.
    #[default]
    Fewest,
    /// With six behind the point (carbon-c-relay), where they read back as the same number; else in the fewest.
    Six,
}

/// How a bucket becomes one value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    /// Sum.
    Sum,
    /// Number of points.
    Count,
    /// Largest.
    Max,
    /// Smallest.
    Min,
    /// Arithmetic mean.
    Average,
    /// The newest that was received.
    Last,
    /// Variance of the population.
    Variance,
    /// Standard deviation of the population.
    Deviation,
    /// Middle value, or the mean of the two in the middle.
    Median,
    /// Nearest rank: the value at rank `int(p / 100 · n + 0.9)` of n (carbon-c-relay).
    NearestRank(u8),
    /// Linear interpolation at rank `q · (n − 1)`, q in 0..=1 (carbon).
    Quantile(f64),
    /// Largest minus smallest (carbon-relay-ng's `delta`).
    Spread,
    /// Newest minus oldest over the seconds between them (carbon-relay-ng's `derive`).
    Rate,
}

/// Which moment of a bucket its points bear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// Its first second.
    Start,
    /// Its middle.
    Middle,
    /// The first second after it.
    End,
}

/// Where points go that the node makes itself: those of an aggregation, and its own metrics.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Then {
    /// Through all statements, as if they had been received.
    #[default]
    FromTop,
    /// Through the statements from this index on.
    From(usize),
    /// To clusters, without any statement.
    Clusters(Vec<usize>),
}
