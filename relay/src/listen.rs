//! Sockets to batches.
