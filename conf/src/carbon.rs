//! carbon's own files: `carbon.conf` and the rules beside it.

pub mod tags;
