//! Requests over real connections.
