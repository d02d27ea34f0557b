//! Pictures of windows, as clients get them.

use super::{Api, anomaly};
use skyline_core::anomaly::Anomaly;
use skyline_core::point::Datapoint;

#[tokio::test]
async fn a_picture_in_both_forms() {
    let mut api = Api::start().await;
    let png = api.get("/api/v1/graph/a.b?from=0&until=10000").await;
    assert_eq!((png.status, &png.headers["content-type"]), (200, &"image/png".parse().unwrap()));
    assert_eq!(png.headers["cache-control"], "private, max-age=10");
    assert!(png.body.starts_with(b"\x89PNG\r\n\x1a\n") && png.body.len() < 40_000, "{}", png.body.len());
    let svg = api.get("/api/v1/graph/a/%C3%BC?format=svg&look=light&size=800x300&zone=Europe/Zurich").await;
    assert_eq!((svg.status, &svg.headers["content-type"]), (200, &"image/svg+xml".parse().unwrap()));
    let policy = svg.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(
        svg.text.starts_with("<svg ") && svg.text.contains("width=\"800\" height=\"300\""),
        "{}",
        svg.text
    );
    assert!(svg.text.contains("a/ü") && svg.text.contains("Europe/Zurich"));
}

#[tokio::test]
async fn recorded_anomalies_are_marked() {
    let mut api = Api::start().await;
    let path = "/api/v1/graph/a.b?from=0&until=10000&format=svg";
    assert!(!api.get(path).await.text.contains("<circle"));
    let found = Anomaly { point: Datapoint::new(9_900.0, 950.0), ..anomaly("a.b", 9_900.0) };
    api.record(&[found]).await;
    let text = api.get(path).await.text;
    assert!(text.contains("<circle") && text.contains("1 anomalous point"), "{text}");
    assert!(text.contains("Expected: \u{2212}200 to 400."), "{text}");
}

#[tokio::test]
async fn what_cannot_be_drawn_is_said() {
    let mut api = Api::start().await;
    for (path, status, says) in [
        ("not.there", 404, "there is no metric `not.there` in the window"),
        ("off", 404, "windows are switched off"),
        ("busy", 503, "ask again"),
        ("a.b?size=100x100", 400, "`size` is not WIDTHxHEIGHT"),
        ("a.b?size=4000x4000", 400, "2000000 in all"),
        ("a.b?format=gif", 400, "`format` is not png or svg"),
        ("a.b?look=red", 400, "`look` is not dark or light"),
        ("a.b?zone=Europe/Atlantis", 400, "there is no time zone `Europe/Atlantis`"),
        ("a.b?from=10&until=5", 400, "a later one"),
        ("a.b?from=-1e300", 400, "at most 100 years"),
        ("a.b?title=x", 400, "no parameter `title`"),
        ("%FF", 400, "not UTF-8"),
    ] {
        let answer = api.get(&format!("/api/v1/graph/{path}")).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(says), "{path}: {error}");
    }
}
