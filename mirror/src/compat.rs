//! Layout `compat`: windows in Redis as the reference's tools read and write them.

pub mod pair;
