//! The loads.

use crate::program::Program;

/// A load, and what the node shall cost under it.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) metrics: u64,
    /// Points per metric in the measured part.
    pub(crate) points: u64,
    /// Points per metric sent first, not measured.
    pub(crate) warm_up: u64,
    pub(crate) connections: u64,
    /// Destinations; several are a hash ring.
    pub(crate) destinations: usize,
    /// Datapoints per second; none: as fast as they are taken.
    pub(crate) rate: Option<u64>,
    /// What is written at once, milliseconds of a connection's rate.
    pub(crate) burst_ms: u64,
    pub(crate) pickle_in: bool,
    pub(crate) pickle_out: bool,
    /// Minutes of history in each window before the load; none: no windows.
    pub(crate) history: Option<u32>,
    /// Leave both programs' queues as they are out of the box.
    pub(crate) defaults: bool,
    /// CPU seconds per million points that the node may use.
    pub(crate) target: f64,
}

const SMOOTH: Workload = Workload {
    name: "",
    what: "",
    metrics: 10_000,
    points: 300,
    warm_up: 0,
    connections: 4,
    destinations: 1,
    rate: None,
    burst_ms: 5,
    pickle_in: false,
    pickle_out: false,
    history: None,
    defaults: false,
    target: 0.0,
};

impl Workload {
    /// Datapoints of the measured part.
    pub(crate) fn measured(&self) -> u64 {
        self.metrics * self.points
    }

    /// Datapoints sent before it.
    pub(crate) fn before(&self) -> u64 {
        self.metrics * self.warm_up
    }

    /// Who can do it.
    pub(crate) fn programs(&self) -> Vec<Program> {
        // carbon-c-relay has no pickles.
        if self.pickle_in || self.pickle_out {
            vec![Program::Node]
        } else {
            vec![Program::Node, Program::CRelay]
        }
    }
}

/// All loads, or small ones of the same kinds.
pub(crate) fn all(quick: bool) -> Vec<Workload> {
    let agents = Workload {
        metrics: 50_000,
        points: 12,
        warm_up: 8,
        connections: 500,
        rate: Some(100_000),
        burst_ms: 500,
        ..SMOOTH
    };
    let mut all = vec![
        Workload { name: "R1", what: "relay, 10 k metrics, as fast as possible", target: 0.20, ..SMOOTH },
        Workload {
            name: "R2",
            what: "relay, 100 k/s smooth, 4 connections",
            points: 150,
            rate: Some(100_000),
            target: 0.45,
            ..SMOOTH
        },
        Workload { name: "R3", what: "relay, 500 agents, 100 k/s", target: 0.60, ..agents.clone() },
        Workload { name: "R4", what: "relay, pickle in, lines out", pickle_in: true, target: 0.20, ..SMOOTH },
        Workload {
            name: "R5",
            what: "relay, lines in, pickle out",
            pickle_out: true,
            target: 0.25,
            ..SMOOTH
        },
        Workload {
            name: "H1",
            what: "relay, ring of three, 10 k metrics, as fast as possible",
            destinations: 3,
            target: 0.25,
            ..SMOOTH
        },
        Workload {
            name: "H2",
            what: "relay, ring of three, a million metrics, as fast as possible",
            metrics: 1_000_000,
            points: 3,
            warm_up: 1,
            destinations: 3,
            target: 0.45,
            ..SMOOTH
        },
        Workload {
            name: "D1",
            what: "relay, 24 h windows, nine algorithms; 200 k metrics, as fast as possible",
            metrics: 200_000,
            points: 15,
            warm_up: 1,
            history: Some(1_440),
            target: 0.7,
            ..SMOOTH
        },
        Workload {
            name: "D2",
            what: "relay, 24 h windows, nine algorithms; 500 agents, 100 k/s",
            history: Some(1_440),
            target: 1.0,
            ..agents
        },
        Workload {
            name: "burst",
            what: "500 k points at once, default settings",
            points: 50,
            defaults: true,
            target: 0.20,
            ..SMOOTH
        },
    ];
    if quick {
        for workload in &mut all {
            workload.metrics /= 10;
            workload.connections = workload.connections.min(50);
            workload.history = workload.history.map(|_| 120);
            workload.rate = workload.rate.map(|rate| rate / 2);
        }
    }
    all
}
