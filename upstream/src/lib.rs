//! Asking other HTTP servers: one client with total time-outs, bounds of bodies, redirects, credentials, TLS, and a
//! breaker for each server. Knows nothing of what is done with an answer.
//!
//! A [`Client`] is one server, named and fixed by the settings: nothing that a question holds, and no answer, can lead
//! it to a server that [`Options`] do not name. What an [`Error`] says names the server and never a credential, a path
//! or a query: addresses of webhooks are secrets.
//!
//! ```no_run
//! # async fn ask() -> Result<(), Box<dyn std::error::Error>> {
//! use skyline_upstream::{Ask, Client, Options};
//! let client = Client::new(Options::new("graphite", "https://graphite.internal/prefix"))?;
//! let answer = client.ask(Ask::get("/render?target=a.b&format=json")).await?;
//! println!("{} {:?}", answer.status, answer.body);
//! # Ok(()) }
//! ```

mod address;
mod answer;
mod ask;
mod body;
mod breaker;
mod client;
mod connect;
mod error;
mod figures;
mod headers;
mod options;
mod redirect;
mod retry_after;
mod tls;

pub use address::{Address, AddressError};
pub use answer::{Opened, Whole};
pub use ask::Ask;
pub use body::Body;
pub use breaker::{Breaker, Pauses, State};
pub use client::Client;
pub use error::{Error, Failure};
pub use figures::{Figures, Health};
pub use options::{Authorization, Options, Tls};
pub use retry_after::retry_after;

#[doc(no_inline)]
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

#[cfg(test)]
mod tests;
