//! From a metric's name to where its points go, once a batch.
//!
//! A [`Router`] is a [`Routing`] compiled: for a name that it does not know it walks down the statements and
//! makes a plan; a name that it knows costs one look, whatever the number of statements, and none where all
//! names go to the same destinations. A point that goes on under several names becomes several samples.

mod apply;
mod choices;
mod names;
mod plan;
mod share;

pub use choices::{Arrival, Choices, Journey};

use crate::dest;
use names::Names;
use plan::{Plan, Targets};
use skyline_conf::model::relay::Relay;
use skyline_conf::routing::native;
use skyline_conf::routing::walk::Act;
use skyline_conf::routing::{Matcher, Names as NameForm, Routing, Statement, Target, Then};
use skyline_core::batch::{Batch, Listener, Origin, RouteSet, Routes};
use skyline_core::reject::{Reject, RejectCounts};
use skyline_journal::Journal;
use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time between two log lines about points that fail a check.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// The compiled routing of one configuration.
#[derive(Debug)]
pub struct Router {
    routing: Routing,
    /// Names of the destinations' readers.
    readers: Vec<String>,
    choices: Choices,
    /// Where points come in: from outside, the node's own, and those of aggregations.
    doors: Vec<Door>,
    journal: Journal,
    /// For each cluster points that were given in turn.
    turns: Box<[AtomicUsize]>,
    /// When a point that failed a check was told last.
    told: Mutex<Option<Instant>>,
}

/// A place at which points come in.
#[derive(Debug)]
struct Door {
    then: Then,
    names: Names,
    /// The set of all names, where they have one.
    constant: Option<RouteSet>,
}

/// What routing made of a batch.
#[derive(Debug)]
pub struct Routed {
    /// What is to be logged, if anything.
    pub batch: Option<Batch>,
    /// Who brought it in.
    pub listener: Listener,
    /// Points that were refused.
    pub refused: RejectCounts,
    /// Samples that were added because a point goes on under several names.
    pub copies: u64,
}

impl Router {
    /// Compiles the `[relay]` section of the settings.
    ///
    /// # Errors
    /// See [`native::Error`].
    pub fn of_settings(relay: &Relay, journal: &Journal) -> Result<Self, native::Error> {
        let routing = native::routing(relay)?;
        let readers = routing.destinations.iter().map(dest::reader_of).collect();
        Ok(Self::new(routing, readers, journal))
    }

    /// Compiles `routing`. `readers`: the names of the readers of its destinations, in order.
    #[must_use]
    pub fn new(routing: Routing, readers: Vec<String>, journal: &Journal) -> Self {
        Self::with_capacity(routing, readers, journal, names::CAPACITY)
    }

    fn with_capacity(routing: Routing, readers: Vec<String>, journal: &Journal, capacity: usize) -> Self {
        let choices = Choices::new(&routing);
        let turns = routing.clusters.iter().map(|_| AtomicUsize::new(0)).collect();
        let mut doors = vec![Then::FromTop, routing.own.clone()];
        for statement in &routing.statements {
            if let Statement::Aggregate(aggregation) = statement {
                doors.push(aggregation.then.clone());
            }
        }
        let mut router = Self {
            routing,
            readers,
            choices,
            doors: Vec::new(),
            journal: journal.clone(),
            turns,
            told: Mutex::default(),
        };
        for then in doors {
            if router.doors.iter().all(|door| door.then != then) {
                let constant = router.constant(&then);
                router.doors.push(Door { then, names: Names::new(capacity), constant });
            }
        }
        router
    }

    /// What it was made of.
    #[must_use]
    pub const fn routing(&self) -> &Routing {
        &self.routing
    }

    /// The set to which all points go that come in by `then`, if it does not depend on the name.
    fn constant(&self, then: &Then) -> Option<RouteSet> {
        let from = match then {
            Then::FromTop if self.routing.names != NameForm::AsReceived => return None,
            Then::FromTop => 0,
            Then::From(from) => *from,
            Then::Clusters(clusters) => return self.constant_set(clusters.iter().copied()),
        };
        let mut all = Vec::new();
        for statement in self.routing.statements.get(from..).unwrap_or_default() {
            match statement {
                Statement::Route(route)
                    if route.validate.is_none() && route.when == Matcher::everything() =>
                {
                    let Target::Clusters(clusters) = &route.to else { return None };
                    all.extend(clusters);
                    if route.stop {
                        break;
                    }
                }
                _ => return None,
            }
        }
        self.constant_set(all.into_iter())
    }

    fn constant_set(&self, clusters: impl Iterator<Item = usize>) -> Option<RouteSet> {
        let mut chosen = Vec::new();
        for cluster in clusters.filter_map(|i| self.choices.clusters.get(i)) {
            if !cluster.takes_all() {
                return None;
            }
            cluster.choose("", None, 0, &mut chosen);
        }
        Some(self.targets().set(&chosen, false))
    }

    fn targets(&self) -> Targets<'_> {
        Targets { clusters: &self.choices.clusters, readers: &self.readers, journal: &self.journal }
    }

    /// Routes a batch: live points and history from the top, the node's own by [`Routing::own`]; back-filled ones
    /// go nowhere.
    pub fn route(&self, batch: Batch) -> Routed {
        match batch.source.origin {
            Origin::Backfill => Routed::whole(batch, Routes::All(RouteSet(0))),
            Origin::Live | Origin::History => self.enter(&Then::FromTop, batch),
            Origin::Own => self.enter(&self.routing.own, batch),
        }
    }

    /// Routes a batch that comes in by `then`, from the top if this routing does not know that way.
    pub fn enter(&self, then: &Then, batch: Batch) -> Routed {
        let known = self.doors.iter().find(|door| door.then == *then).or_else(|| self.doors.first());
        let Some(door) = known else { return Routed::whole(batch, Routes::All(RouteSet(0))) };
        match door.constant {
            Some(set) => Routed::whole(batch, Routes::All(set)),
            None => apply::apply(self, door, batch),
        }
    }

    /// The name with which the walk begins of points that come in by `door`.
    fn entry_of<'n>(&self, door: &Door, name: &'n [u8]) -> Cow<'n, str> {
        match String::from_utf8_lossy(name) {
            text if door.then != Then::FromTop => text,
            Cow::Borrowed(text) => self.choices.on_entry(text),
            Cow::Owned(text) => Cow::Owned(self.choices.on_entry(&text).into_owned()),
        }
    }

    fn acts(&self, then: &Then, name: &str) -> Vec<Act<'_>> {
        match then {
            Then::FromTop => self.routing.walk(0, name),
            Then::From(from) => self.routing.walk(*from, name),
            Then::Clusters(_) => Vec::new(),
        }
    }

    fn plan(&self, door: &Door, name: &[u8]) -> Plan {
        let entry = self.entry_of(door, name);
        if let Then::Clusters(clusters) = &door.then {
            let mut chosen = Vec::new();
            for cluster in clusters.iter().filter_map(|i| self.choices.clusters.get(*i)) {
                cluster.choose(&entry, None, 0, &mut chosen);
            }
            return Plan::Same(self.targets().set(&chosen, false));
        }
        let is_nameless = matches!(self.routing.names, NameForm::Cleaned { .. })
            && skyline_conf::routing::without_tags(&entry).is_empty();
        if is_nameless {
            return Plan::Refused(Reject::Name);
        }
        plan::plan(name, &entry, &self.acts(&door.then, &entry), self.targets())
    }
}

impl Router {
    /// Counts a point that a cluster gives in turn: how many there were before.
    fn turn(&self, cluster: usize) -> usize {
        self.turns.get(cluster).map_or(0, |turns| turns.fetch_add(1, Relaxed))
    }

    /// Says that a point does not look as its rule wants it; once a second at most.
    fn tell_invalid(&self, name: &str, point: &str, pattern: &str) {
        let mut last = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= TELL_EVERY) {
            *last = Some(Instant::now());
            tracing::warn!(name, point, pattern, "a point does not pass the validation of its rule");
        }
    }
}

impl Routed {
    fn whole(mut batch: Batch, routes: Routes) -> Self {
        batch.routes = routes;
        let listener = batch.source.listener;
        Self { batch: Some(batch), listener, refused: RejectCounts::default(), copies: 0 }
    }
}

#[cfg(test)]
mod tests;
