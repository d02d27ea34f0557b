//! Members of a cluster that a name goes to.

use skyline_conf::routing::{Cluster, Destination, Endpoint, RingKind, Routing, Server, Share};
use skyline_relay::ring::carbon::{Node, Ring};

/// Places among the members of a cluster, first choice first; `key` is what is hashed.
pub(super) fn members(routing: &Routing, cluster: &Cluster, key: &str) -> Vec<usize> {
    let count = cluster.members.len();
    match &cluster.share {
        Share::All => (0..count).collect(),
        Share::InTurn => vec![0],
        Share::AnyOf => vec![fnv1a_32(key.as_bytes()) as usize % count.max(1)],
        Share::Ring(ring) => {
            let servers: Vec<&Server> = cluster
                .members
                .iter()
                .filter_map(|member| routing.destinations.get(*member).and_then(server))
                .collect();
            match ring.kind {
                RingKind::RelayFnv1a => fnv1a(&servers, ring.replicas, key),
                RingKind::RelayJump => jump(&servers, ring.replicas, key),
                _ => {
                    let node = |s: &&Server| Node { host: s.host.clone(), instance: s.instance.clone() };
                    Ring::new(servers.iter().map(node).collect(), ring.replicas, false).nodes(key.as_bytes())
                }
            }
        }
    }
}

fn server(destination: &Destination) -> Option<&Server> {
    match destination.endpoints.first()? {
        Endpoint::Server(server) => Some(server),
        Endpoint::File(_) => None,
    }
}

fn fnv1a_32(text: &[u8]) -> u32 {
    text.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

fn fnv1a(servers: &[&Server], replicas: usize, key: &str) -> Vec<usize> {
    let place = |text: &str| {
        let hash = fnv1a_32(text.as_bytes());
        hash >> 16 ^ hash & 0xffff
    };
    let mut places = Vec::new();
    for (i, server) in servers.iter().enumerate() {
        let own = server.instance.clone().unwrap_or_else(|| format!("{}:{}", server.host, server.port));
        places.extend((0..100).map(|n| (place(&format!("{n}-{own}")), &server.host, server.port, i)));
    }
    places.sort_unstable();
    let at = place(key);
    let from = places.partition_point(|(place, ..)| *place < at);
    let mut chosen = Vec::new();
    for (.., i) in places.iter().cycle().skip(from).take(places.len()) {
        if !chosen.contains(i) && chosen.len() < replicas {
            chosen.push(*i);
        }
    }
    chosen
}

fn jump(servers: &[&Server], replicas: usize, key: &str) -> Vec<usize> {
    let mut hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut left: Vec<usize> = (0..servers.len()).collect();
    let instance = |i: &usize| servers.get(*i).and_then(|s| s.instance.as_ref()?.parse::<i64>().ok());
    left.sort_by_key(instance);
    let mut chosen = Vec::new();
    while chosen.len() < replicas && !left.is_empty() {
        let (mut key, mut b, mut j) = (hash, -1_i64, 0_i64);
        while j < left.len() as i64 {
            b = j;
            key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
            j = ((b + 1) as f64 * ((1_i64 << 31) as f64 / ((key >> 33) + 1) as f64)) as i64;
        }
        chosen.push(left.swap_remove(b as usize));
        hash ^= hash >> 12;
        hash ^= hash << 25;
        hash ^= hash >> 27;
        hash = hash.wrapping_mul(2_685_821_657_736_338_717);
    }
    chosen
}
