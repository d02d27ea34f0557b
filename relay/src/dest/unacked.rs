//! How many bytes of a connection the peer's kernel has not acknowledged yet.
#![expect(unsafe_code, reason = "the ioctl has no safe form")]

use std::os::fd::{AsRawFd, BorrowedFd};

/// Bytes in the send queue of a TCP socket: written by us, not acknowledged by the peer (`SIOCOUTQ`, tcp(7)).
///
/// # Errors
/// The socket is no longer usable.
pub(super) fn unacked(socket: BorrowedFd<'_>) -> std::io::Result<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open for the call (it is borrowed), and TIOCOUTQ, which is SIOCOUTQ
    // for sockets, writes one c_int through the pointer, which is valid and aligned.
    let outcome = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if outcome < 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(u64::try_from(bytes).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;

    #[test]
    fn what_is_read_is_acknowledged() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sender = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        sender.write_all(&[1; 1000]).unwrap();
        peer.read_exact(&mut [0; 1000]).unwrap();
        let start = std::time::Instant::now();
        while unacked(sender.as_fd()).unwrap() > 0 {
            assert!(start.elapsed().as_secs() < 5);
        }
        sender.set_nonblocking(true).unwrap();
        while sender.write(&[1; 65536]).is_ok() {}
        assert!(unacked(sender.as_fd()).unwrap() > 0);
    }
}
