//! Questions to a proxy without a Graphite server.

use super::*;
use crate::glob::Glob;
use crate::windows::Later;
use skyline_core::point::Datapoint;
use tower_service::Service as _;

const NOW: i64 = 1_700_000_000;

/// Windows that have every metric.
struct All;

impl Windows for All {
    fn series<'a>(&'a self, _name: &'a str, _from: f64, _until: f64) -> Later<'a, Option<Vec<Datapoint>>> {
        Box::pin(async {
            Ok(Some((1..60).map(|i| Datapoint::new((NOW - 60 * i) as f64, 1.0)).rev().collect()))
        })
    }

    fn names<'a>(&'a self, _pattern: &'a Arc<Glob>, _limit: usize) -> Later<'a, Vec<String>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// Status and text of the answer to a question with a form as its body.
async fn ask(method: Method, target: &str, body: &'static str) -> (u16, String) {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "t0ken").unwrap();
    let mut settings = Settings::default();
    settings.render_proxy.token_file = token;
    let parts = Parts {
        settings: &settings,
        windows: Some(Arc::new(All)),
        links: Some(Signer::new(b"key")),
        clock: Clock::at(NOW as f64),
    };
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(body))
        .unwrap();
    let answer = Proxy::new(parts).unwrap().router().call(request).await.unwrap();
    let status = answer.status().as_u16();
    let text = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test]
async fn a_link_shows_what_was_signed_and_nothing_beside_it() {
    let signed = Signer::new(b"key").sign("target=a.b&format=json", NOW + 60);
    let link = format!("/render?{signed}");
    let (status, own) = ask(Method::GET, &link, "").await;
    assert!(status == 200 && own.contains("\"a.b\""), "{status} {own}");
    // Parameters in a body were not signed.
    assert_eq!(ask(Method::GET, &link, "target=a.secret").await, (200, own.clone()));
    assert_eq!(ask(Method::GET, &format!("/render/?{signed}"), "").await, (200, own));
    assert_eq!(ask(Method::POST, &link, "target=a.secret").await.0, 401);
    assert_eq!(ask(Method::GET, &format!("/render/~u/graph?{signed}"), "").await.0, 401);
    assert_eq!(ask(Method::GET, &format!("/metrics/find?{signed}"), "").await.0, 401);
    assert_eq!(ask(Method::GET, &format!("{link}&target=a.secret"), "").await.0, 403);
    assert_eq!(ask(Method::GET, "/render?target=a.b&format=json", "").await.0, 401);
}

#[tokio::test]
async fn no_path_leads_up() {
    for path in ["..", "%2e%2E", "%252e%252e", "..;", "..;a=b", "..%3b", "..%2fx", "x%252f%252fy", "..%5cx"] {
        let (status, text) = ask(Method::GET, &format!("/render/{path}/admin"), "").await;
        assert!(status == 400 && text.contains("no `..`"), "{path}: {status} {text}");
    }
    assert_eq!(ask(Method::GET, "/render/a..b/..c", "").await.0, 401, "these are names");
}
