//! What is logged of a server.

use super::quick;
use super::script::Script;
use crate::{Ask, Client};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber, subscriber};

/// Keeps the texts of warnings.
#[derive(Debug, Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>, Arc<AtomicU64>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.1.fetch_add(1, SeqCst) + 1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

#[tokio::test]
async fn that_nobody_knows_who_answers_is_told_once_by_who_asks() {
    let warnings = Warnings::default();
    let _here = subscriber::set_default(warnings.clone());
    let server = Script::saying("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let told = || warnings.0.lock().unwrap().iter().filter(|text| text.contains("not checked")).count();
    for (insecure, redirects, expected) in [(false, 3, 0), (true, 0, 0), (true, 3, 1)] {
        let mut options = quick(&server);
        (options.tls.insecure, options.redirects) = (insecure, redirects);
        let client = Client::new(options).unwrap();
        assert_eq!(told(), 0, "who asks nothing says nothing");
        for _ in 0..3 {
            client.clone().ask(Ask::get("/x")).await.unwrap();
        }
        assert_eq!(told(), expected, "{insecure} {redirects}");
    }
}
