//! Detection: votes, consensus, boundary rules, and the state of each metric. Synchronous, no I/O.
