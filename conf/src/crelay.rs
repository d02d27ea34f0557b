//! carbon-c-relay's language.

pub mod clean;
