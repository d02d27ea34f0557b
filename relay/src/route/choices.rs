//! What a routing chooses for names, without a journal: for who wants to know where metrics go.

use super::share::Members;
use skyline_conf::routing::walk::Act;
use skyline_conf::routing::{Discard, Names, Routing, Target, without_tags};
use std::borrow::Cow;

/// What a routing chooses for names.
#[derive(Debug)]
pub struct Choices {
    names: Names,
    pub(super) clusters: Vec<Members>,
}

/// What becomes of a metric.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Journey {
    /// Each name under which it arrives somewhere once, in the order of the statements.
    pub arrivals: Vec<Arrival>,
    /// Whether it is an input of an aggregate.
    pub is_input: bool,
    /// Why its points are thrown away, if they arrive nowhere because of that.
    pub discarded: Option<Discard>,
}

/// A name under which a metric arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The name.
    pub name: String,
    /// Where: indexes into [`Routing::destinations`], each once.
    pub destinations: Vec<usize>,
}

impl Choices {
    /// The choices of `routing`.
    #[must_use]
    pub fn new(routing: &Routing) -> Self {
        let clusters = routing.clusters.iter().map(|c| Members::new(c, &routing.destinations)).collect();
        Self { names: routing.names.clone(), clusters }
    }

    /// The name with which the walk of a name that is received begins.
    #[must_use]
    pub fn on_entry<'n>(&self, name: &'n str) -> Cow<'n, str> {
        match &self.names {
            Names::AsReceived => Cow::Borrowed(name),
            Names::TagsNormalized => tags_normalized(name),
            Names::Cleaned { allowed } => cleaned(name, allowed),
        }
    }

    /// The destinations of a name in a cluster, first choice first: indexes into [`Routing::destinations`]. Of
    /// members that take turns, the first. `key`: what is hashed instead of the name.
    #[must_use]
    pub fn choose(&self, cluster: usize, name: &str, key: Option<&str>) -> Vec<usize> {
        let mut chosen = Vec::new();
        if let Some(members) = self.clusters.get(cluster) {
            members.choose(name, key, 0, &mut chosen);
        }
        chosen
    }

    /// What becomes of a metric whose points pass every check. `routing`: what these are the choices of. Of members
    /// that take turns, each is a destination.
    #[must_use]
    pub fn journey(&self, routing: &Routing, name: &str) -> Journey {
        let mut journey = Journey::default();
        let entry = self.on_entry(name);
        if matches!(self.names, Names::Cleaned { .. }) && without_tags(&entry).is_empty() {
            // It is refused: nothing is left of its name.
            return journey;
        }
        for act in routing.walk(0, &entry) {
            match act {
                Act::Renamed { .. } => {}
                Act::Input { .. } => journey.is_input = true,
                Act::Route { route, name, key, .. } => match &route.to {
                    Target::Clusters(clusters) => {
                        let mut chosen = Vec::new();
                        for members in clusters.iter().filter_map(|cluster| self.clusters.get(*cluster)) {
                            for turn in 0..members.turns() {
                                members.choose(&name, key.as_deref(), turn, &mut chosen);
                            }
                        }
                        journey.arrive(name, chosen);
                    }
                    // What it throws away has gone where the statements above sent it.
                    Target::Discard(why) => {
                        journey.discarded = journey.arrivals.is_empty().then_some(*why);
                        break;
                    }
                },
            }
        }
        journey
    }
}

impl Journey {
    fn arrive(&mut self, name: String, chosen: Vec<usize>) {
        if chosen.is_empty() {
            return;
        }
        let known = self.arrivals.iter_mut().position(|arrival| arrival.name == name);
        let at = known.unwrap_or_else(|| {
            self.arrivals.push(Arrival { name, destinations: Vec::new() });
            self.arrivals.len() - 1
        });
        if let Some(Arrival { destinations, .. }) = self.arrivals.get_mut(at) {
            for one in chosen {
                if !destinations.contains(&one) {
                    destinations.push(one);
                }
            }
        }
    }
}

fn tags_normalized(name: &str) -> Cow<'_, str> {
    skyline_conf::carbon::tags::normalize(name).map_or(Cow::Borrowed(name), Cow::Owned)
}

fn cleaned<'n>(name: &'n str, allowed: &str) -> Cow<'n, str> {
    let mut out = String::with_capacity(name.len());
    skyline_conf::crelay::clean::clean_name(name, allowed, &mut out);
    if out == name { Cow::Borrowed(name) } else { Cow::Owned(out) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const FILE: &str = "cluster a forward h:1 h:2; cluster b any_of h:3; cluster c forward h:4;\n\
        match ^drop send to blackhole stop; match ^copy send to c; match ^copy send to blackhole stop;\n\
        rewrite ^old into new; aggregate ^sum every 60 seconds expire after 120 seconds compute sum write to all\n\
        send to c; match ^old ^new ^$ send to a; match ^new send to b a stop;";

    #[track_caller]
    fn check(name: &str, arrivals: &[(&str, &[usize])], is_input: bool, discarded: Option<Discard>) {
        let routing = skyline_conf::crelay::read_text(Path::new("t"), FILE).unwrap().routing;
        let arrivals = arrivals
            .iter()
            .map(|(name, to)| Arrival { name: (*name).to_owned(), destinations: to.to_vec() })
            .collect();
        let expected = Journey { arrivals, is_input, discarded };
        assert_eq!(Choices::new(&routing).journey(&routing, name), expected, "{name}");
    }

    #[test]
    fn where_metrics_arrive() {
        check("old.x", &[("new.x", &[0, 1, 2])], false, None);
        check("other", &[], false, None);
        check("...", &[], false, None);
        check("sum.x", &[], true, None);
        check("drop.x", &[], false, Some(Discard::Blackhole));
        check("copy.x", &[("copy.x", &[3])], false, None);
    }
}
