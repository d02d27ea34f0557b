//! Keep-alive of TCP sockets, in both directions.

use skyline_conf::model::keepalive::Keepalive;
use socket2::{SockRef, TcpKeepalive};
use std::time::Duration;
use tokio::net::TcpStream;

/// Has `stream` probed as `wanted`. What the system does not do is no reason to refuse a connection.
pub(crate) fn set(stream: &TcpStream, wanted: &Keepalive) {
    if wanted.idle_seconds == 0 {
        return;
    }
    let seconds = |n: u32| Duration::from_secs(n.into());
    let probes = TcpKeepalive::new()
        .with_time(seconds(wanted.idle_seconds))
        .with_interval(seconds(wanted.interval_seconds))
        .with_retries(wanted.probes);
    if let Err(error) = SockRef::from(stream).set_tcp_keepalive(&probes) {
        tracing::debug!(%error, "no keep-alive for a connection");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sockets_are_probed_as_asked() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        set(&stream, &Keepalive { idle_seconds: 0, ..Keepalive::default() });
        assert!(!SockRef::from(&stream).keepalive().unwrap());
        set(&stream, &Keepalive { idle_seconds: 7, interval_seconds: 5, probes: 3 });
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(7));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(5));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
    }
}
