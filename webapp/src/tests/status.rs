//! What the status listener answers.

use super::{Client, serve};
use crate::serve::Limits;
use crate::status::{Readiness, Reloaded, Sources, router};
use hyper::Method;
use serde_json::json;
use skyline_core::figure::Figure;
use skyline_core::health::{State, StoreHealth};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[tokio::test]
async fn health_readiness_and_figures() {
    let ready = Arc::new(AtomicBool::new(false));
    let sources = Sources {
        readiness: Arc::new({
            let ready = Arc::clone(&ready);
            move || match ready.load(Ordering::Relaxed) {
                true => Readiness { ready: true, ..Readiness::default() },
                false => Readiness {
                    ready: false,
                    reasons: vec!["windows are being restored".to_owned()],
                    progress: json!({ "metrics_restored": 3, "metrics": 1024 }),
                    stores: vec![StoreHealth {
                        name: "redis",
                        state: State::Away,
                        since: 1.5,
                        waiting: 7,
                        detail: "refused".to_owned(),
                    }],
                },
            }
        }),
        figures: Arc::new(|| vec![Figure::counter("skyline_a_total", "All a.", 7).label("to", "x\"\n")]),
        status: Arc::new(|| json!({ "ready": true })),
        reload: Arc::new({
            let ready = Arc::clone(&ready);
            move || {
                let is_good = ready.load(Ordering::Relaxed);
                Box::pin(async move {
                    if is_good {
                        Reloaded::Done(json!({ "changed": [] }))
                    } else {
                        Reloaded::Refused("line 3".into())
                    }
                })
            }
        }),
    };
    let served = serve(router(sources), Limits::default()).await;
    let mut client = Client::connect(served.address).await;
    let mut check = async |path: &str, status, kind: &str, text: &str| {
        let answer = client.get(path).await;
        assert_eq!((answer.status, answer.text.as_str()), (status, text), "{path}");
        assert_eq!(answer.headers["content-type"], kind, "{path}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    };
    check("/-/healthy", 200, "text/plain; charset=utf-8", "ok\n").await;
    let waiting = "{\"progress\":{\"metrics\":1024,\"metrics_restored\":3},\"ready\":false,\"reasons\":[\"windows are being restored\"],\"stores\":[{\"detail\":\"refused\",\"since\":1.5,\"state\":\"away\",\"store\":\"redis\",\"waiting\":7}]}\n";
    check("/-/ready", 503, "application/json", waiting).await;
    ready.store(true, Ordering::Relaxed);
    check(
        "/-/ready",
        200,
        "application/json",
        "{\"progress\":null,\"ready\":true,\"reasons\":[],\"stores\":[]}\n",
    )
    .await;
    let figures =
        "# HELP skyline_a_total All a.\n# TYPE skyline_a_total counter\nskyline_a_total{to=\"x\\\"\\n\"} 7\n";
    check("/metrics", 200, "text/plain; version=0.0.4; charset=utf-8", figures).await;
    check("/-/status", 200, "application/json", "{\"ready\":true}\n").await;
    check("/-/status?bad=1", 200, "application/json", "{\"ready\":true}\n").await;
    let routes = "{\"error\":\"there is nothing at this path\",\"routes\":[\"GET /-/healthy\",\"GET /-/ready\",\"GET /-/status\",\"POST /-/reload\",\"GET /metrics\"]}\n";
    check("/healthz", 404, "application/json", routes).await;
    for (is_good, status, text) in
        [(true, 200, "{\"changed\":[]}\n"), (false, 409, "{\"error\":\"line 3\"}\n")]
    {
        ready.store(is_good, Ordering::Relaxed);
        let answer = client.ask(Method::POST, "/-/reload").await;
        assert_eq!((answer.status, answer.text.as_str()), (status, text));
    }
    assert_eq!(client.get("/-/reload").await.status, 405);
}
