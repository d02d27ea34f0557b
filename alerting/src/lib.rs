//! From anomalies to messages that arrive: incidents, rules, mutes, the outbox, and the channels that messages leave by.
//!
//! An anomaly joins an incident; rules say who is told of it and how; a message is kept before it is sent, and sent
//! until its channel has accepted it. Knows no algorithms and no carbon.

pub mod channel;
pub mod dispatcher;
pub mod explain;
pub mod fuzz;
pub mod gallery;
pub mod incident;
pub mod link;
pub mod message;
pub mod mute;
pub mod outbox;
pub mod policy;
pub mod rule;
pub mod samples;
pub mod schedule;
pub mod stale;
pub mod text;

pub use channel::{Channel, Delivery};
pub use message::Message;
