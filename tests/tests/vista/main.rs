//! Points that a node fetches: from a real Prometheus and a real graphite-web, with credentials and TLS, with months of
//! history, through outages of either side; and from servers that misbehave.

mod alone;
mod gaps;
mod history;
mod hostile;
mod journal;
mod reload;
mod rig;
mod servers;
mod trust;
