//! Free ports of the loopback interface.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Mutex, PoisonError};

/// Below the range from which the kernel takes the ports of outgoing connections: a sender that retries
/// a port of that range while nobody listens there may in the end be connected to itself.
const FIRST: u16 = 10_000;
const LAST: u16 = 32_000;

/// Those that this process was given: who asked first may not listen yet.
static GIVEN: Mutex<Option<HashSet<SocketAddr>>> = Mutex::new(None);

/// An address of loopback that nobody listens on, over TCP or UDP, at this moment, and that was not given before.
///
/// # Panics
///
/// When a thousand ports tried are all taken.
#[must_use]
pub fn free() -> SocketAddr {
    for _ in 0..1_000 {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, rand::random_range(FIRST..LAST)));
        let is_free = TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok();
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        if is_free && given.get_or_insert_default().insert(address) {
            return address;
        }
    }
    #[expect(clippy::panic, reason = "a machine without free ports can run no test")]
    {
        panic!("no free port between {FIRST} and {LAST}");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_free_port_can_be_listened_on() {
        std::net::TcpListener::bind(super::free()).unwrap();
    }
}
