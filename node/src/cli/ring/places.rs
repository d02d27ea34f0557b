//! Which destinations of the one file are which of the other.
//!
//! Languages write a server in different ways, so destinations that are not written alike are taken for the same where
//! only one pair can be meant: one address, or one host and instance. A change of relay often goes with one of ports
//! (pickles to lines): then, if that is asked for, one host is enough.

use skyline_conf::routing::{Destination, Endpoint, Routing, Transport};
use std::path::Path;

/// Destinations of both files, each once.
#[derive(Debug)]
pub(super) struct Places {
    all: Vec<Place>,
    /// For each destination of the old file, and of the new one, an index into `all`.
    old: Vec<usize>,
    new: Vec<usize>,
}

/// A destination as each file writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) old: Option<String>,
    pub(super) new: Option<String>,
}

impl Place {
    /// As the old file writes it, or as the new one does if it is not in that.
    pub(super) fn label(&self) -> &str {
        self.old.as_deref().or(self.new.as_deref()).unwrap_or_default()
    }
}

/// What a destination is known by: its first endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Identity<'r> {
    Server { host: &'r str, port: u16, instance: Option<&'r str>, transport: Transport },
    File(&'r Path),
    Nothing,
}

/// Whether two are the same.
type Way = fn(&Identity<'_>, &Identity<'_>) -> bool;

impl<'r> Identity<'r> {
    fn of(destination: &'r Destination) -> Self {
        match destination.endpoints.first() {
            Some(Endpoint::Server(server)) => Self::Server {
                host: &server.host,
                port: server.port,
                instance: server.instance.as_deref(),
                transport: server.transport,
            },
            Some(Endpoint::File(path)) => Self::File(path),
            None => Self::Nothing,
        }
    }

    /// Ways of being the same, from the surest to the least sure.
    const WAYS: [Way; 4] = [
        |a, b| a == b,
        |a, b| a.server(|host, port, _| (host, port)) == b.server(|host, port, _| (host, port)),
        |a, b| a.node().is_some() && a.node() == b.node(),
        |a, b| a.server(|host, _, _| host) == b.server(|host, _, _| host),
    ];

    /// Host and instance, which carbon tells its caches apart by.
    fn node(&self) -> Option<(&'r str, &'r str)> {
        self.server(|host, _, instance| Some((host, instance?))).flatten()
    }

    fn server<T>(&self, part: impl FnOnce(&'r str, u16, Option<&'r str>) -> T) -> Option<T> {
        match *self {
            Self::Server { host, port, instance, .. } => Some(part(host, port, instance)),
            Self::File(_) | Self::Nothing => None,
        }
    }
}

impl Places {
    /// `by_host`: one host is enough where nothing better is found.
    pub(super) fn of(old: &Routing, new: &Routing, by_host: bool) -> Self {
        let mut places = Self { all: Vec::new(), old: Vec::new(), new: Vec::new() };
        let (ours, theirs) = (identities(old), identities(new));
        let mut pair: Vec<Option<usize>> = vec![None; theirs.len()];
        for is_same in Identity::WAYS.iter().take(if by_host { 4 } else { 3 }) {
            let free = |pair: &[Option<usize>], i: usize| !pair.contains(&Some(i));
            for (i, one) in ours.iter().enumerate() {
                if *one == Identity::Nothing || !free(&pair, i) {
                    continue;
                }
                let like = |other: &Identity<'_>| is_same(one, other);
                let mut found = theirs
                    .iter()
                    .enumerate()
                    .filter(|(j, other)| pair.get(*j).is_some_and(Option::is_none) && like(other));
                let (Some((j, _)), None) = (found.next(), found.next()) else { continue };
                // Another of the old file may be meant as well.
                let rivals = ours.iter().enumerate().filter(|(k, other)| like(other) && free(&pair, *k));
                if rivals.count() == 1
                    && let Some(slot) = pair.get_mut(j)
                {
                    *slot = Some(i);
                }
            }
        }
        for destination in &old.destinations {
            places.old.push(places.all.len());
            places.all.push(Place { old: Some(destination.label.clone()), new: None });
        }
        for (destination, pair) in new.destinations.iter().zip(pair) {
            let label = Some(destination.label.clone());
            match pair.and_then(|i| places.all.get_mut(i)) {
                Some(place) => place.new = label,
                None => places.all.push(Place { old: None, new: label }),
            }
            places.new.push(pair.unwrap_or(places.all.len() - 1));
        }
        places
    }

    pub(super) fn all(&self) -> &[Place] {
        &self.all
    }

    pub(super) fn of_old(&self, destination: usize) -> Option<usize> {
        self.old.get(destination).copied()
    }

    pub(super) fn of_new(&self, destination: usize) -> Option<usize> {
        self.new.get(destination).copied()
    }

    /// Those that are written in different ways.
    pub(super) fn taken_for_the_same(&self) -> impl Iterator<Item = (&str, &str)> {
        let both = self.all.iter().filter_map(|place| Some((place.old.as_deref()?, place.new.as_deref()?)));
        both.filter(|(old, new)| old != new)
    }
}

fn identities(routing: &Routing) -> Vec<Identity<'_>> {
    routing.destinations.iter().map(Identity::of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use skyline_conf::routing::Server;

    fn routing(destinations: &[&str]) -> Routing {
        let destination = |text: &&str| {
            let mut parts = text.split(':');
            let (host, port) = (parts.next().unwrap(), parts.next().unwrap().parse().unwrap());
            let server = Server::plain(host, port, parts.next().map(str::to_owned));
            Destination { label: (*text).to_owned(), endpoints: vec![Endpoint::Server(server)] }
        };
        Routing { destinations: destinations.iter().map(destination).collect(), ..Routing::default() }
    }

    #[track_caller]
    fn check(old: &[&str], new: &[&str], by_host: bool, same: &[(&str, &str)]) {
        let places = Places::of(&routing(old), &routing(new), by_host);
        let both: Vec<_> = places
            .all()
            .iter()
            .filter_map(|place| Some((place.old.as_deref()?, place.new.as_deref()?)))
            .collect();
        assert_eq!(both, same);
        assert_eq!(places.all().len(), old.len() + new.len() - same.len());
        let label = |i: Option<usize>| places.all()[i.unwrap()].label().to_owned();
        assert!((0..old.len()).all(|i| label(places.of_old(i)) == old[i]));
        for (i, text) in new.iter().enumerate() {
            assert_eq!(places.all()[places.of_new(i).unwrap()].new.as_deref(), Some(*text));
        }
    }

    #[test]
    fn the_same_servers() {
        check(&["a:1", "b:1:x"], &["b:1:x", "a:1", "c:1"], false, &[("a:1", "a:1"), ("b:1:x", "b:1:x")]);
        check(&["a:1:x"], &["a:1"], false, &[("a:1:x", "a:1")]);
        check(&["a:1:x", "a:2:y"], &["a:3:y", "a:4:x"], false, &[("a:1:x", "a:4:x"), ("a:2:y", "a:3:y")]);
        check(&["a:1", "a:2"], &["a:1", "a:3"], false, &[("a:1", "a:1")]);
    }

    #[test]
    fn the_same_hosts() {
        let same = [("a:2004", "a:2003"), ("b:2004", "b:2003")];
        check(&["a:2004", "b:2004"], &["b:2003", "a:2003"], true, &same);
        check(&["a:2004", "b:2004"], &["b:2003", "a:2003"], false, &[]);
    }

    #[test]
    fn where_more_than_one_can_be_meant() {
        check(&["a:1", "a:2"], &["a:3", "a:4"], true, &[]);
        check(&["a:1", "a:2"], &["a:3"], true, &[]);
        check(&["a:1:x", "a:1:y"], &["a:1"], false, &[]);
    }
}
