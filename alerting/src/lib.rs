//! From anomalies to messages that arrive: incidents, rules, mutes, the outbox, and the channels that messages leave by.
//!
//! An anomaly joins an incident; rules say who is told of it and how; a message is kept before it is sent, and sent
//! until its channel has accepted it. Knows no algorithms and no carbon.

pub mod channel;
pub mod gallery;
pub mod message;
pub mod samples;
pub mod text;

pub use channel::{Channel, Delivery};
pub use message::Message;
