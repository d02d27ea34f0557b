//! What a destination's task is told from outside: where to send, how, and whether it is to go.

use skyline_conf::model::relay::Sending;
use skyline_conf::routing::{Endpoint, Protocol};
use tokio::time::Instant;

/// What a task works by. Changes of it end the connection of the moment in order.
#[derive(Debug, Clone)]
pub(super) struct Orders {
    /// The first that can be reached is used. None: how the destination is sent to is not known.
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) sending: Sending,
    /// Counts changes of the two above.
    pub(super) edition: u64,
    /// Since when the destination is no longer configured.
    pub(super) leaving: Option<Instant>,
}

impl Orders {
    pub(super) const fn new(endpoints: Vec<Endpoint>, sending: Sending) -> Self {
        Self { endpoints, sending, edition: 0, leaving: None }
    }

    /// Nothing is sent until it is known how.
    pub(super) fn held() -> Self {
        Self::new(Vec::new(), Sending::default())
    }

    /// Whether nothing is sent because it is not known how.
    pub(super) const fn is_held(&self) -> bool {
        self.endpoints.is_empty()
    }

    /// What the first endpoint is sent; `None`: that is not known.
    pub(super) fn protocol(&self) -> Option<Protocol> {
        self.endpoints.first().map(|endpoint| match endpoint {
            Endpoint::Server(server) => server.protocol,
            Endpoint::File(_) => Protocol::Plaintext,
        })
    }

    /// The destination is configured like `new`; whether that changes anything.
    pub(super) fn update(&mut self, new: &Self) -> bool {
        let is_same = self.endpoints == new.endpoints && self.sending == new.sending;
        let was_leaving = self.leaving.take().is_some();
        if !is_same {
            self.endpoints.clone_from(&new.endpoints);
            self.sending = new.sending.clone();
            self.edition += 1;
        }
        was_leaving || !is_same
    }

    /// The destination is no longer configured; whether that is new.
    pub(super) fn leave(&mut self) -> bool {
        let is_new = self.leaving.is_none();
        self.leaving.get_or_insert_with(Instant::now);
        is_new
    }
}
