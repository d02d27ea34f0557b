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
    /// Who is down for long. Names of readers.
    down: BTreeSet<String>,
    /// Those of them whose names go to others.
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
            state: Mutex::new(State {
                relaying,
                down: BTreeSet::new(),
                out: BTreeSet::new(),
                before: Vec::new(),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Routes by `new` from now on, without who is down and still there; the routers before that may still be at
    /// work.
    pub(crate) fn replace(&self, new: &Relaying) -> Vec<Arc<Router>> {
        let mut state = self.state();
        state.relaying = new.clone();
        if new.detour_seconds.is_none() {
            state.down.clear();
        }
        self.route(&mut state);
        std::mem::take(&mut state.before)
    }

    fn route(&self, state: &mut State) {
        let (routing, out) = around(&state.relaying.routing, &state.down);
        for reader in out.difference(&state.out) {
            tracing::warn!(reader, "down for long: new points of its names go to the others of its ring");
        }
        for reader in state.out.difference(&out) {
            tracing::info!(reader, "its names are its own again");
        }
        state.out = out;
        let router = Arc::new(swap::router(&routing, &self.journal));
        let submit = Aggregates { intake: self.intake.clone(), router: Arc::clone(&router) };
        self.aggregator.replace(Arc::new(routing), submit);
        state.before.retain(|router| Arc::strong_count(router) > 1);
        state.before.push(self.intake.replace_router(router));
    }

    /// Leaves out who has been down for too long at `now`, and takes in who is back.
    pub(crate) fn look(&self, all: &[DestinationStatus], now: f64) {
        let mut state = self.state();
        let Some(seconds) = state.relaying.detour_seconds else { return };
        let is_down = |status: &&DestinationStatus| !status.connected && now - status.since >= seconds;
        let down: BTreeSet<String> = all.iter().filter(is_down).map(|status| status.reader.clone()).collect();
        if down == state.down {
            return;
        }
        let routing = &state.relaying.routing;
        // One that shares its points with nobody changes nothing.
        let is_other = around(routing, &down).0 != around(routing, &state.down).0;
        state.down = down;
        if is_other {
            self.route(&mut state);
        }
    }

    /// Whether a destination is left out.
    pub(crate) fn is_out(&self, reader: &str) -> bool {
        self.state().out.contains(reader)
    }
}

/// `routing` without the destinations of `down` in rings and among those that share points otherwise, and who is left
/// out of one of these. Where nobody would be left all stay.
fn around(routing: &Routing, down: &BTreeSet<String>) -> (Routing, BTreeSet<String>) {
    let mut routing = routing.clone();
    let readers: Vec<String> = routing.destinations.iter().map(reader_of).collect();
    let is_in = |at: &usize| readers.get(*at).is_none_or(|reader| !down.contains(reader));
    let mut out = BTreeSet::new();
    for cluster in &mut routing.clusters {
        let is_shared = matches!(cluster.share, Share::Ring(_) | Share::InTurn | Share::AnyOf);
        if is_shared && cluster.members.iter().any(is_in) {
            let left = cluster.members.iter().filter(|at| !is_in(at)).filter_map(|at| readers.get(*at));
            out.extend(left.cloned());
            cluster.members.retain(is_in);
        }
    }
    (routing, out)
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
        let cluster = |share, members| Cluster { name: "c".to_owned(), share, members };
        let routing = Routing {
            destinations: ["a", "b", "c", "d"].map(destination).to_vec(),
            clusters: vec![cluster(Share::InTurn, vec![0, 1, 2]), cluster(Share::All, vec![0, 1, 2, 3])],
            ..Routing::default()
        };
        let check = |down: &[&str], expected: [&[usize]; 2], left_out: &[&str]| {
            let readers =
                |hosts: &[&str]| hosts.iter().map(|host| format!("dest:{host}:1")).collect::<BTreeSet<_>>();
            let (routing, out) = around(&routing, &readers(down));
            let members: Vec<_> = routing.clusters.into_iter().map(|c| c.members).collect();
            assert_eq!(members, expected, "{down:?}");
            assert_eq!(out, readers(left_out), "{down:?}");
        };
        check(&[], [&[0, 1, 2], &[0, 1, 2, 3]], &[]);
        check(&["b"], [&[0, 2], &[0, 1, 2, 3]], &["b"]);
        check(&["a", "b", "x"], [&[2], &[0, 1, 2, 3]], &["a", "b"]);
        check(&["a", "b", "c"], [&[0, 1, 2], &[0, 1, 2, 3]], &[]);
        // Nobody shares its points.
        check(&["d"], [&[0, 1, 2], &[0, 1, 2, 3]], &[]);
    }
}
