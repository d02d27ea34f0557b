//! The vocabulary of the node: metric names, datapoints, batches, anomalies, time.
//!
//! Every other crate speaks in these types. This one knows nothing of sockets, async or serialisation
//! formats, with one exception: [`mod@line`] is the text form of a datapoint (Graphite's plaintext
//! protocol), because a [`batch::Batch`] carries its points in that form from the socket through the
//! journal to the destinations. Of files it knows how one is replaced ([`mod@file`]), which all crates
//! with state on disk have to do alike.
//!
//! Entry points: [`batch::BatchBuilder`] makes batches, [`line::parse`](mod@line) reads one line,
//! [`clock::Clock`] is the only source of time.

pub mod algorithm;
pub mod anomaly;
pub mod batch;
pub mod clock;
pub mod figure;
pub mod file;
pub mod health;
pub mod line;
pub mod name;
pub mod point;
pub mod problem;
pub mod reject;
pub mod shard;
