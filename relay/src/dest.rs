//! Destinations (contract stub).
