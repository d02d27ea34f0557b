//! The one way from listeners into the journal.
