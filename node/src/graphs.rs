//! The render proxy of the node: what it is made of.

use crate::plane::Plane;
use skyline_conf::model::Settings;
use skyline_core::clock::Clock;
use skyline_render_proxy::proxy::{Parts, Proxy};
use skyline_render_proxy::signed::Signer;
use skyline_render_proxy::windows::Windows;
use std::sync::Arc;

/// The proxy in front of the Graphite servers, with the windows behind it. Nothing is asked yet.
pub(crate) fn proxy(settings: &Settings, plane: &Arc<Plane>, clock: &Clock) -> anyhow::Result<Proxy> {
    let windows: Option<Arc<dyn Windows>> = match plane.threads.is_empty() {
        true => None,
        false => Some(Arc::<Plane>::clone(plane)),
    };
    let links = Some(Signer::open(&settings.node.state_dir)?);
    Ok(Proxy::new(Parts { settings, windows, links, clock: clock.clone() })?)
}
