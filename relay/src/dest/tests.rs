//! Destinations against real sockets and a real journal.
