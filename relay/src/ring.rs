//! Hash rings: from a metric's name to destinations, the same as the relay that is replaced.

pub mod carbon;
