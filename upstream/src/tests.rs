//! The client against real servers: one that says what a test tells it to, byte for byte, and nginx.

mod hostile;
mod nginx;
mod redirects;
mod rest;
mod script;
mod told;

use crate::{Ask, Client, Error, Options};
use script::Script;
use std::time::Duration;

/// Options with short limits for `server`.
fn quick(server: &Script) -> Options {
    let mut options = Options::new("graphite", server.url());
    options.connect = Duration::from_millis(500);
    options.idle = Duration::from_millis(200);
    options.total = Duration::from_millis(600);
    options.max_body = 10_000;
    options.pauses.failures = 0;
    options
}

async fn ask(options: Options) -> Result<crate::Whole, Error> {
    Client::new(options).unwrap().ask(Ask::get("/x")).await
}
