//! Datagrams that the kernel dropped because a receive buffer was full: it counts them for each
//! socket and shows them in `/proc/net/udp` and `/proc/net/udp6`.

use super::bind::Address;
use skyline_core::batch::Listener;
use skyline_core::figure::Figure;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, PoisonError};
use tokio::net::UdpSocket;

/// The sockets whose drops are shown.
#[derive(Debug, Default)]
pub(crate) struct KernelDrops(Mutex<Vec<Watched>>);

#[derive(Debug)]
struct Watched {
    listener: Listener,
    address: String,
    inode: u64,
}

impl KernelDrops {
    /// Shows the drops of `socket` from now on, as long as it is open.
    pub(super) fn watch(&self, listener: Listener, address: &Address, socket: &UdpSocket) {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd()));
        let inode = link.ok().and_then(|to| inode_of_link(to.to_str()?));
        let Some(inode) = inode else {
            tracing::warn!(%address, "datagrams that the kernel drops are not counted: /proc is not there");
            return;
        };
        let watched = Watched { listener, address: address.to_string(), inode };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(watched);
    }

    /// One counter for each socket.
    pub(crate) fn figures(&self, out: &mut Vec<Figure>) {
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if watched.is_empty() {
            return;
        }
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let tables = [read("/proc/net/udp"), read("/proc/net/udp6")];
        // A socket that is in none of the tables was closed.
        watched.retain(|socket| {
            let rows = tables.iter().flat_map(|table| table.lines());
            let drops = rows.filter_map(inode_and_drops).find_map(|(i, n)| (i == socket.inode).then_some(n));
            if let Some(drops) = drops {
                out.push(
                    Figure::counter(
                        "skyline_relay_udp_kernel_drops_total",
                        "Datagrams that the kernel dropped because the receive buffer was full.",
                        drops,
                    )
                    .label("listener", socket.listener.label())
                    .label("address", socket.address.clone()),
                );
            }
            drops.is_some() || tables.iter().all(String::is_empty)
        });
    }
}

/// `socket:[12345]`.
fn inode_of_link(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// The tenth and the last column of a row of the table.
fn inode_and_drops(row: &str) -> Option<(u64, u64)> {
    let mut columns = row.split_ascii_whitespace().skip(9);
    let inode = columns.next()?.parse().ok()?;
    Some((inode, columns.last()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_kernel() {
        let row = "  512: 0100007F:07D3 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 48151 2 0000000000000000 162";
        assert_eq!(inode_and_drops(row), Some((48_151, 162)));
        assert_eq!(
            inode_and_drops(
                "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops"
            ),
            None
        );
        assert_eq!(inode_and_drops(""), None);
        assert_eq!(inode_of_link("socket:[77]"), Some(77));
        assert_eq!(inode_of_link("/dev/null"), None);
    }
}
