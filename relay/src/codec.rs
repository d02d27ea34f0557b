//! Bytes to points: plaintext, pickle, msgpack. Synchronous, no I/O.
