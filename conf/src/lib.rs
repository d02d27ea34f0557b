//! Settings of the node: types, defaults, loading and checks. Knows no running part.
//!
//! [`model::Settings`] is the whole file; each section is a plain struct that is passed by value
//! to the part that it configures. [`load::load`] reads file and environment, [`check::check`] looks across
//! sections.

pub mod check;
pub mod load;
pub mod model;
