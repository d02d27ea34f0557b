//! carbon-relay-ng's TOML.
