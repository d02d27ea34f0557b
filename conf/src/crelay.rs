//! carbon-c-relay's language.
