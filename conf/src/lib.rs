//! Settings of the node: types, defaults, loading and checks. Knows no running part.
//!
//! [`model::Settings`] is the whole file; each section is a plain struct that is passed by value
//! to the part that it configures.

pub mod model;
