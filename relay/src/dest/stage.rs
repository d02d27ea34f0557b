//! Between what is sent and a socket: packing, and TLS around it.
//!
//! Plain bytes go in a piece at a time; each piece is flushed through, so that the peer can read all of it
//! from what comes out (the wire bytes). The socket acknowledges wire bytes; `marks` tells how many plain
//! bytes these carry whole.

mod marks;
mod packer;
mod tls;

use marks::Marks;
use packer::Packer;
use rustls::ClientConnection;
use skyline_conf::routing::{Packing, Server};
use std::io::{Error, IoSlice, Read, Write};
use tokio::net::TcpStream;

/// Plain bytes that are packed and flushed at once, at most.
const PIECE: usize = 64 << 10;
/// A buffer that has grown beyond this is given back when it is empty, bytes.
const KEPT: usize = 1 << 20;

/// What lies between the points and the socket of one connection.
#[derive(Debug)]
pub(super) struct Stage {
    packer: Packer,
    tls: Option<ClientConnection>,
    /// Wire bytes that are made; those before `offset` are written.
    wire: Vec<u8>,
    offset: usize,
    /// Totals: plain bytes taken, wire bytes made, written, acknowledged.
    taken: u64,
    made: u64,
    written: u64,
    acked: u64,
    marks: Marks,
}

/// How much of what was taken has arrived, plain bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrived {
    /// Acknowledged whole.
    pub(super) acked: u64,
    /// Acknowledged, and so far behind that the peer's program has read it.
    pub(super) read: u64,
}

impl Stage {
    /// For a connection to `server` that has just been made; `None`: points go as they are. With TLS the
    /// handshake is done on `socket`.
    ///
    /// # Errors
    /// TLS does not come about: says with what, and why.
    pub(super) async fn open(server: &Server, socket: &mut TcpStream) -> Result<Option<Box<Self>>, Error> {
        if server.packing == Packing::Plain && server.tls.is_none() {
            return Ok(None);
        }
        let tls = match &server.tls {
            Some(settings) => Some(tls::handshake(socket, &server.host, settings).await?),
            None => None,
        };
        Ok(Some(Box::new(Self::new(server.packing, tls))))
    }

    fn new(packing: Packing, tls: Option<ClientConnection>) -> Self {
        Self {
            packer: Packer::new(packing),
            tls,
            wire: Vec::new(),
            offset: 0,
            taken: 0,
            made: 0,
            written: 0,
            acked: 0,
            marks: Marks::default(),
        }
    }

    /// Takes the next plain bytes, a piece of them at most; how many.
    ///
    /// # Errors
    /// What packs or encrypts has failed: the connection is of no use any more.
    pub(super) fn take(&mut self, slices: &[IoSlice<'_>]) -> Result<usize, Error> {
        let mut taken = 0;
        for slice in slices {
            let part = slice.get(..slice.len().min(PIECE - taken)).unwrap_or(slice);
            self.packer.write(part)?;
            taken += part.len();
            if taken == PIECE {
                break;
            }
        }
        self.packer.flush()?;
        self.encrypt()?;
        self.taken += taken as u64;
        self.marks.push(self.made, self.taken);
        Ok(taken)
    }

    /// Moves what is packed to the wire.
    fn encrypt(&mut self) -> Result<(), Error> {
        let before = self.wire.len();
        let packed = self.packer.packed();
        match &mut self.tls {
            None => self.wire.append(packed),
            Some(tls) => {
                tls.writer().write_all(packed)?;
                packed.clear();
                while tls.wants_write() {
                    tls.write_tls(&mut self.wire)?;
                }
            }
        }
        if packed.capacity() > KEPT {
            *packed = Vec::new();
        }
        self.made += (self.wire.len() - before) as u64;
        Ok(())
    }

    /// What is to be written next; empty: everything is.
    pub(super) fn wire(&self) -> &[u8] {
        self.wire.get(self.offset..).unwrap_or_default()
    }

    /// The socket took so many bytes of [`Self::wire`].
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.offset += bytes;
        self.written += bytes as u64;
        if self.offset >= self.wire.len() {
            self.offset = 0;
            if self.wire.capacity() > KEPT {
                self.wire = Vec::new();
            }
            self.wire.clear();
        }
    }

    /// The socket holds `unacked` bytes, and of what is acknowledged the peer's program may not have read the
    /// last `resend` wire bytes.
    pub(super) fn acknowledge(&mut self, unacked: u64, resend: u64) -> Arrived {
        self.acked = self.acked.max(self.written.saturating_sub(unacked));
        self.marks.settle(self.acked, self.acked.saturating_sub(resend))
    }

    /// The peer has said `bytes`, which are of no interest but to TLS; whether it will say no more.
    ///
    /// # Errors
    /// It has broken TLS, or refuses what was shown to it.
    pub(super) fn hear(&mut self, mut bytes: &[u8]) -> Result<bool, Error> {
        let Some(tls) = &mut self.tls else { return Ok(false) };
        let mut is_closed = false;
        while !bytes.is_empty() {
            if tls.read_tls(&mut bytes)? == 0 {
                break;
            }
            let state = tls.process_new_packets().map_err(|error| Error::other(format!("TLS: {error}")))?;
            is_closed |= state.peer_has_closed();
            let mut left = state.plaintext_bytes_to_read();
            let mut buffer = [0; 1024];
            while left > 0 {
                match tls.reader().read(&mut buffer) {
                    Ok(read @ 1..) => left = left.saturating_sub(read),
                    _ => break,
                }
            }
        }
        // An answer that TLS owes, such as to a change of keys.
        self.encrypt()?;
        Ok(is_closed)
    }

    /// Ends what is packed, and TLS, in order. Nothing is to be taken after it.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        self.packer.finish()?;
        self.encrypt()?;
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        self.encrypt()
    }
}

#[cfg(test)]
mod tests;
