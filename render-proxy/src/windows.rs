//! Where points come from: the node's windows, as this crate and others ask them.

use crate::glob::Glob;
use crate::nodes::{Find, Nodes};
use skyline_core::point::Datapoint;
use std::pin::Pin;
use std::sync::Arc;

/// Why there is no answer about a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// The same question may be answered in a moment.
    #[error("the window is busy: ask again")]
    Busy,
    /// This node keeps none.
    #[error("windows are switched off (window.enabled)")]
    Off,
}

/// What [`Windows`] answer, later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, Unanswered>> + Send + 'a>>;

/// The node's windows. What is given is a copy.
pub trait Windows: Send + Sync {
    /// Points of a metric from `from` to `until`, both included, seconds, oldest first; `None`: no such metric.
    fn series<'a>(&'a self, name: &'a str, from: f64, until: f64) -> Later<'a, Option<Vec<Datapoint>>>;

    /// Names of metrics that `pattern` stands for, `limit` at most, sorted.
    fn names<'a>(&'a self, pattern: &'a Arc<Glob>, limit: usize) -> Later<'a, Vec<String>> {
        let _ = (pattern, limit);
        Box::pin(async { Err(Unanswered::Off) })
    }

    /// The nodes that the names of all metrics lead to. Once there are more than `limit`, not all names are looked at.
    fn nodes<'a>(&'a self, find: &'a Arc<Find>, limit: usize) -> Later<'a, Nodes> {
        let _ = (find, limit);
        Box::pin(async { Err(Unanswered::Off) })
    }
}
