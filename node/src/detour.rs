//! While a member of a ring is down for long, new points of its names go to the others (carbon's
//! `DYNAMIC_ROUTER`). What was routed to it before stays in the journal until it is back: nothing is lost, and
//! nothing is sent twice.

use crate::swap::{self, Aggregates};
use skyline_conf::relaying::Relaying;
use skyline_conf::routing::{Routing, Share};
use skyline_journal::Journal;
use skyline_relay::aggregate::Aggregator;
use skyline_relay::dest::{DestinationStatus, reader_of};
use skyline_relay::intake::Intake;
use skyline_relay::route::Router;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The routing in force, and who is left out of it.
#[derive(Debug)]
pub(crate) struct Detour {
    intake: Intake,
    journal: Journal,
    aggregator: Arc<Aggregator<Aggregates>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    relaying: Relaying,
    /// Names of readers.
    out: BTreeSet<String>,
    /// Those before the one in force that may still be at work.
    before: Vec<Arc<Router>>,
}

impl Detour {
    /// Everybody is in, and the intake routes by `relaying`.
    pub(crate) fn new(
        relaying: Relaying,
        intake: &Intake,
        journal: &Journal,
        aggregator: &Arc<Aggregator<Aggregates>>,
    ) -> Self {
        Self {
            intake: intake.clone(),
            journal: journal.clone(),
            aggregator: Arc::clone(aggregator),
            state: Mutex::new(State { relaying, out: BTreeSet::new(), before: Vec::new() }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Routes by `new` from now on, without whom is out and still there; the routers before that may still be at
    /// work.
    pub(crate) fn replace(&self, new: &Relaying) -> Vec<Arc<Router>> {
        let mut state = self.state();
        state.relaying = new.clone();
        if new.detour_seconds.is_none() {
            state.out.clear();
        }
        self.route(&mut state);
        std::mem::take(&mut state.before)
    }

    fn route(&self, state: &mut State) {
        let routing = around(&state.relaying.routing, &state.out);
        let router = Arc::new(swap::router(&routing, &self.journal));
        let submit = Aggregates { intake: self.intake.clone(), router: Arc::clone(&router) };
        self.aggregator.replace(Arc::new(routing), submit);
        state.before.retain(|router| Arc::strong_count(router) > 1);
        state.before.push(self.intake.replace_router(router));
    }

    /// Leaves out whom has been down for too long at `now`, and takes in whom is back.
    pub(crate) fn look(&self, all: &[DestinationStatus], now: f64) {
        let mut state = self.state();
        let Some(seconds) = state.relaying.detour_seconds else { return };
        let is_out = |status: &&DestinationStatus| !status.connected && now - status.since >= seconds;
        let out: BTreeSet<String> = all.iter().filter(is_out).map(|status| status.reader.clone()).collect();
        if out == state.out {
            return;
        }
        for reader in out.difference(&state.out) {
            tracing::warn!(reader, "down for long: new points of its names go to the others of its ring");
        }
        for reader in state.out.difference(&out) {
            tracing::info!(reader, "back: its names are its own again");
        }
        state.out = out;
        self.route(&mut state);
    }

    /// Whether a destination is left out.
    pub(crate) fn is_out(&self, reader: &str) -> bool {
        self.state().out.contains(reader)
    }
}

/// `routing` without the destinations of `out` in rings and among those that take turns; where nobody would be
/// left all stay.
fn around(routing: &Routing, out: &BTreeSet<String>) -> Routing {
    let mut routing = routing.clone();
    let readers: Vec<String> = routing.destinations.iter().map(reader_of).collect();
    let is_in = |at: &usize| readers.get(*at).is_none_or(|reader| !out.contains(reader));
    for cluster in &mut routing.clusters {
        let is_shared = matches!(cluster.share, Share::Ring(_) | Share::InTurn | Share::AnyOf);
        if is_shared && cluster.members.iter().any(is_in) {
            cluster.members.retain(is_in);
        }
    }
    routing
}

#[cfg(test)]
mod tests {
    use super::*;
    use skyline_conf::routing::{Cluster, Destination, Endpoint, Server};

    #[test]
    fn who_is_out_leaves_rings_alone() {
        let destination = |host: &str| Destination {
            label: host.to_owned(),
            endpoints: vec![Endpoint::Server(Server::plain(host, 1, None))],
        };
        let cluster = |share| Cluster { name: "c".to_owned(), share, members: vec![0, 1, 2] };
        let routing = Routing {
            destinations: ["a", "b", "c"].map(destination).to_vec(),
            clusters: vec![cluster(Share::InTurn), cluster(Share::All)],
            ..Routing::default()
        };
        let check = |out: &[&str], expected: [&[usize]; 2]| {
            let out = out.iter().map(|host| format!("dest:{host}:1")).collect();
            let members: Vec<_> = around(&routing, &out).clusters.into_iter().map(|c| c.members).collect();
            assert_eq!(members, expected, "{out:?}");
        };
        check(&[], [&[0, 1, 2], &[0, 1, 2]]);
        check(&["b"], [&[0, 2], &[0, 1, 2]]);
        check(&["a", "b", "x"], [&[2], &[0, 1, 2]]);
        check(&["a", "b", "c"], [&[0, 1, 2], &[0, 1, 2]]);
    }
}
