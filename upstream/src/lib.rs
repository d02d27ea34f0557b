//! Asking other HTTP servers: one client with total time-outs, bounds of bodies, redirects, credentials, TLS, and a
//! breaker for each server. Knows nothing of what is done with an answer.
