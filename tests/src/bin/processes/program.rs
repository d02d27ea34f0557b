//! The programs that are measured.

use crate::filled::Filled;
use crate::workload::Workload;
use skyline_tests::node::{Node, Setup};
use skyline_tests::peer::c_relay::CRelay;
use skyline_tests::process::Process;
use std::net::SocketAddr;
use tempfile::TempDir;

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Program {
    Node,
    CRelay,
}

impl Program {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Node => "skyline",
            Self::CRelay => "carbon-c-relay",
        }
    }
}

/// A running one.
#[derive(Debug)]
pub(crate) enum Running {
    /// The node, and its state where that is not in its own folder.
    Node {
        node: Box<Node>,
        _state: Option<TempDir>,
    },
    CRelay(CRelay),
}

impl Running {
    /// Starts it for a workload, sending to `sinks`; the node with settings that are changed before.
    pub(crate) fn start(
        program: Program,
        workload: &Workload,
        filled: Option<&Filled>,
        sinks: &[SocketAddr],
        change: impl FnOnce(Setup) -> Setup,
    ) -> anyhow::Result<Self> {
        match program {
            Program::CRelay => {
                let queue: &[&str] = if workload.defaults { &[] } else { &["-q", "2000000"] };
                Ok(Self::CRelay(CRelay::start(sinks, queue)?))
            }
            Program::Node => {
                let protocol = if workload.pickle_out { "pickle" } else { "line" };
                let instances = sinks.iter().enumerate();
                let destinations = instances.map(|(n, sink)| format!("{sink}:{n}:{protocol}"));
                let mut setup = Setup::relay(destinations).with("node.log", "\"warn\"");
                if sinks.len() > 1 {
                    setup = setup.with("relay.method", "\"consistent-hashing\"");
                }
                let mut state = None;
                if let Some(filled) = filled {
                    let copy = filled.copy()?;
                    setup = setup
                        .with("node.state_dir", format!("{:?}", copy.path()))
                        .with("window.enabled", true)
                        // The load's points follow the history, which ends now.
                        .with("window.max_future_seconds", 86_400);
                    state = Some(copy);
                }
                Ok(Self::Node { node: Box::new(change(setup).start()?), _state: state })
            }
        }
    }

    /// Where it takes the workload's points.
    pub(crate) fn address(&self, workload: &Workload) -> SocketAddr {
        match self {
            Self::Node { node, .. } if workload.pickle_in => node.pickle(),
            Self::Node { node, .. } => node.plaintext(),
            Self::CRelay(relay) => relay.line(),
        }
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        match self {
            Self::Node { node, .. } => &mut node.process,
            Self::CRelay(relay) => &mut relay.process,
        }
    }

    /// Points that its windows have stored, with verdict, or refused; 0 for a relay. Published once a second.
    pub(crate) fn judged(&self) -> anyhow::Result<u64> {
        match self {
            Self::Node { node, .. } => {
                let status = node.status()?;
                Ok(status.number("/window/stored") + status.number("/window/refused"))
            }
            Self::CRelay(_) => Ok(0),
        }
    }
}
