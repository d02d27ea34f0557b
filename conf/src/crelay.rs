//! carbon-c-relay's language.
//!
//! [`read`] takes a file and all that it includes to a [`compile::Relay`]: a [`Routing`](crate::routing::Routing)
//! and what else the language says (listeners, statistics). On the way lie a typed tree ([`syntax`], which can
//! also be printed) and its compilation ([`compile`]). [`clean`] is how that relay treats names.
//!
//! Source of the language: carbon-c-relay v3.9. Keywords are known only where they may stand; what stands in
//! quotes is never one.

mod address;
pub mod clean;
pub mod compile;
mod error;
mod glob;
pub mod include;
mod parse;
mod print;
pub mod syntax;
pub mod template;

pub use address::Address;
pub use error::{Error, Fault};
pub use parse::parse;

use std::path::Path;

/// Port of addresses that name none.
pub const DEFAULT_PORT: u16 = 2003;

/// Reads a configuration with all that it includes.
///
/// # Errors
/// [`Error`]: the file cannot be read, or something in it is wrong: then all that is wrong, by place.
pub fn read(path: &Path) -> Result<compile::Relay, Error> {
    compile::compile(&include::load(path)?)
}

/// Reads the text of a configuration as if it lay in `path`: that is what messages name, and where relative
/// includes are looked for.
///
/// # Errors
/// As [`read`].
pub fn read_text(path: &Path, text: &str) -> Result<compile::Relay, Error> {
    compile::compile(&include::load_text(path, text.to_owned())?)
}
