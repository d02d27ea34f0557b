//! Every address of a host as a server of its own (`every_address`; carbon-c-relay's `useall`).
//!
//! Which addresses there are is asked when a configuration is read, as carbon-c-relay does it. A host without any, or
//! with one alone, stays as it is written, and is looked up again at each connection.

use crate::routing::{Cluster, Destination, Endpoint, Routing, Server, Share, Transport, rotated};
use std::collections::HashSet;
use std::net::IpAddr;

/// Puts a destination for each address in the place of those with [`Server::every_address`], and says of each that is
/// there then in the place of which it is, as an index into those before. `resolve`: the addresses of a host, in their
/// order.
pub fn expand(routing: &mut Routing, mut resolve: impl FnMut(&Server) -> Vec<IpAddr>) -> Vec<usize> {
    let is_meant = |endpoint: &Endpoint| matches!(endpoint, Endpoint::Server(s) if s.every_address);
    let any = |destination: &Destination| destination.endpoints.iter().any(is_meant);
    if !routing.destinations.iter().any(any) {
        return (0..routing.destinations.len()).collect();
    }
    let mut known: Vec<(Server, Vec<Server>)> = Vec::new();
    let mut addresses = |server: &Server| {
        if let Some((_, all)) = known.iter().find(|(one, _)| one == server) {
            return all.clone();
        }
        let all = of(server, &resolve(server));
        known.push((server.clone(), all.clone()));
        all
    };
    let before = std::mem::take(&mut routing.destinations);
    // For each destination of before those in its place, once they are made.
    let mut made: Vec<Option<Vec<usize>>> = vec![None; before.len()];
    let mut place_of = Vec::new();
    let Routing { destinations, clusters, .. } = routing;
    for Cluster { share, members, name } in clusters {
        let its = || members.iter().filter_map(|member| before.get(*member));
        // Members with stand-ins are made of all servers of the cluster; others stand by themselves.
        let is_alone = its().count() > 1 && its().all(|destination| destination.endpoints.len() < 2);
        let are_together = *share == Share::AnyOf && !is_alone && its().any(any);
        let mut now = Vec::with_capacity(members.len());
        let mut first_of_each = Vec::with_capacity(members.len());
        for member in members.iter() {
            let Some(destination) = before.get(*member) else { continue };
            match destination.endpoints.as_slice() {
                [Endpoint::Server(first), ..] if are_together => {
                    first_of_each.extend(addresses(first).into_iter().map(|server| (*member, server)));
                }
                endpoints => {
                    let Some(place) = made.get_mut(*member) else { continue };
                    let places = place.get_or_insert_with(|| {
                        let all = in_place_of(destination, endpoints, &mut addresses).into_iter();
                        let at =
                            all.map(|one| match destinations.iter().position(|other| is_same(other, &one)) {
                                Some(known) => known,
                                None => {
                                    place_of.push(*member);
                                    destinations.push(one);
                                    destinations.len() - 1
                                }
                            });
                        at.collect()
                    });
                    for place in places {
                        if !now.contains(place) {
                            now.push(*place);
                        }
                    }
                }
            }
        }
        let (of, servers): (Vec<usize>, Vec<Server>) = first_of_each.into_iter().unzip();
        for ((member, server), endpoints) in of.into_iter().zip(&servers).zip(rotated(&servers)) {
            now.push(destinations.len());
            place_of.push(member);
            destinations.push(Destination { label: format!("{name}/{}", server.place()), endpoints });
        }
        *members = now;
    }
    tell_apart(destinations);
    place_of
}

/// A server by itself becomes one for each address; of servers that stand in for each other each is followed by
/// its other addresses.
fn in_place_of(
    destination: &Destination,
    endpoints: &[Endpoint],
    addresses: &mut impl FnMut(&Server) -> Vec<Server>,
) -> Vec<Destination> {
    if let [Endpoint::Server(server)] = endpoints {
        let all = addresses(server);
        if let [_, _, ..] = all.as_slice() {
            let one = |server: Server| Destination {
                label: format!("{} ({})", destination.label, server.host),
                endpoints: vec![Endpoint::Server(server)],
            };
            return all.into_iter().map(one).collect();
        }
    }
    let each = endpoints.iter().flat_map(|endpoint| match endpoint {
        Endpoint::Server(server) => addresses(server).into_iter().map(Endpoint::Server).collect(),
        Endpoint::File(_) => vec![endpoint.clone()],
    });
    vec![Destination { label: destination.label.clone(), endpoints: each.collect() }]
}

/// Whether both are one server that is sent to in one way: an address of a host may stand in the configuration as well.
fn is_same(a: &Destination, b: &Destination) -> bool {
    match (a.endpoints.as_slice(), b.endpoints.as_slice()) {
        ([Endpoint::Server(a)], [Endpoint::Server(b)]) => {
            let alone = |server: &Server| Server { every_address: false, ..server.clone() };
            a.host == b.host && alone(a) == alone(b)
        }
        _ => false,
    }
}

/// A server for each address; itself where there are not several, or where it is not meant so.
fn of(server: &Server, addresses: &[IpAddr]) -> Vec<Server> {
    if !server.every_address || addresses.len() < 2 {
        return vec![server.clone()];
    }
    let mut all: Vec<Server> = Vec::with_capacity(addresses.len());
    for address in addresses {
        let host = address.to_string();
        if all.iter().all(|known| known.host != host) {
            all.push(Server { host, ..server.clone() });
        }
    }
    all
}

/// Gives destinations of the same label (datagrams and streams to one address, with `useall` and without)
/// different ones, whatever their order.
pub(crate) fn tell_apart(destinations: &mut [Destination]) {
    let mut seen = HashSet::new();
    let twice: HashSet<String> =
        destinations.iter().filter(|d| !seen.insert(d.label.clone())).map(|d| d.label.clone()).collect();
    for destination in destinations.iter_mut().filter(|d| twice.contains(&d.label)) {
        if let Some(Endpoint::Server(server)) = destination.endpoints.first() {
            destination.label.push_str(if server.transport == Transport::Udp { "/udp" } else { "" });
            destination.label.push_str(if server.every_address { "/useall" } else { "" });
        }
    }
    // A cluster or a file that is called like a server.
    seen.clear();
    for destination in destinations {
        while !seen.insert(destination.label.clone()) {
            destination.label.push('\'');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crelay::read_text;
    use std::path::Path;

    /// Labels of the members of each cluster, with their endpoints.
    fn expanded(text: &str) -> Vec<String> {
        let mut routing = read_text(Path::new("r.conf"), text).unwrap().routing;
        expand(&mut routing, |server| match server.host.as_str() {
            "two" => vec![IpAddr::from([10, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])],
            "one" => vec![IpAddr::from([10, 0, 0, 9])],
            _ => Vec::new(),
        });
        let told = |member: &usize| {
            let Destination { label, endpoints } = &routing.destinations[*member];
            let endpoint = |endpoint: &Endpoint| match endpoint {
                Endpoint::Server(server) => server.place(),
                Endpoint::File(path) => path.display().to_string(),
            };
            format!("{label}: {}", endpoints.iter().map(endpoint).collect::<Vec<_>>().join(" "))
        };
        routing.clusters.iter().flat_map(|cluster| cluster.members.iter().map(told)).collect()
    }

    #[test]
    fn addresses_become_servers() {
        assert_eq!(
            expanded("cluster c forward useall two:1 one none; cluster d file /x;"),
            [
                "two:1 (10.0.0.1): 10.0.0.1:1",
                "two:1 (::1): [::1]:1",
                "one:2003: one:2003",
                "none:2003: none:2003",
                "/x: /x"
            ]
        );
        assert_eq!(
            expanded("cluster c any_of useall two one;"),
            [
                "c/10.0.0.1:2003: 10.0.0.1:2003 [::1]:2003 one:2003",
                "c/[::1]:2003: [::1]:2003 one:2003 10.0.0.1:2003",
                "c/one:2003: one:2003 10.0.0.1:2003 [::1]:2003",
            ]
        );
        assert_eq!(expanded("cluster c failover useall one two;"), ["c: one:2003 10.0.0.1:2003 [::1]:2003"]);
        assert_eq!(expanded("cluster c forward two;"), ["two:2003: two:2003"]);
        assert_eq!(
            expanded("cluster c forward useall two 10.0.0.1; cluster d forward 10.0.0.1;"),
            [
                "two:2003 (10.0.0.1): 10.0.0.1:2003",
                "two:2003 (::1): [::1]:2003",
                "two:2003 (10.0.0.1): 10.0.0.1:2003"
            ]
        );
        // One of the two is looked up for all its addresses, and has one.
        let one = "cluster c forward useall one; cluster d forward one;";
        assert!(matches!(expanded(one).as_slice(), [a, b] if a == b), "{:?}", expanded(one));
        assert_eq!(
            expanded("cluster c forward useall two; cluster d forward useall two;").len(),
            4,
            "two clusters share servers"
        );
    }
}
