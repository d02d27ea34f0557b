//! Settings of the node: types, defaults, loading and checks. Knows no running part.
//!
//! [`model::Settings`] is the whole file; each section is a plain struct that is passed by value
//! to the part that it configures. [`load::load`] reads file and environment, [`check::check`] looks
//! at what was read together, [`keys`] is the table of every key, from which [`mod@reference`] writes
//! `skyline.toml` and `docs/settings.md`.
//!
//! Invariants: a key that is not in the table does not exist; an empty file means the defaults; whatever
//! is wrong is said with its key, its place and what would be right, all at once.

mod bounded;
pub mod carbon;
pub mod check;
pub mod convert;
pub mod crelay;
pub mod fuzz;
pub mod keys;
pub mod load;
pub mod matching;
pub mod model;
pub mod naming;
mod nearest;
pub mod note;
pub mod placeholder;
pub mod reference;
pub mod relay_ng;
pub mod relaying;
pub mod routing;
pub mod schedule;
pub mod secret;
