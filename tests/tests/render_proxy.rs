//! The render proxy in front of a real graphite-web with whisper files: its answers byte for byte, and the window's
//! when it is stopped, killed or behind.

use anyhow::{Context as _, ensure};
use skyline_peers::graphite_web::GraphiteWeb;
use skyline_peers::nginx::Nginx;
use skyline_render_proxy::link::Graph;
use skyline_render_proxy::signed::{FILE, Signer};
use skyline_tests::node::{Node, Setup};
use skyline_tests::{eventually, load, now, port};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);
/// What an answer from a window may take while Graphite is away.
const SOON: Duration = Duration::from_millis(300);
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// An answer with its headers.
#[derive(Debug, Clone)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
    took: Duration,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let pairs = self.head.lines().filter_map(|line| line.split_once(": "));
        pairs.into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn by(&self) -> &str {
        self.header("x-skyline-answered-by").unwrap_or("graphite")
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends a request as it is and reads to the end.
fn raw(to: SocketAddr, request: &[u8]) -> anyhow::Result<Answer> {
    let start = Instant::now();
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(request)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let took = start.elapsed();
    let at = bytes.windows(4).position(|w| w == b"\r\n\r\n").context("no head")?;
    let (head, rest) = bytes.split_at(at);
    let head = String::from_utf8_lossy(head).into_owned();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).context("no status")?;
    let mut body = rest.get(4..).unwrap_or_default().to_vec();
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        body = unchunked(&body)?;
    }
    Ok(Answer { status, head, body, took })
}

fn unchunked(mut rest: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let at = rest.windows(2).position(|w| w == b"\r\n").context("no chunk")?;
        let length = rest.get(..at).unwrap_or_default();
        let size = usize::from_str_radix(std::str::from_utf8(length)?.trim(), 16)?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(rest.get(at + 2..at + 2 + size).context("a chunk is cut off")?);
        rest = rest.get(at + 4 + size..).unwrap_or_default();
    }
}

fn get(to: SocketAddr, target: &str) -> anyhow::Result<Answer> {
    with(to, target, "")
}

/// `headers`: each with its line end.
fn with(to: SocketAddr, target: &str, headers: &str) -> anyhow::Result<Answer> {
    raw(to, format!("GET {target} HTTP/1.1\r\nHost: graphs\r\nConnection: close\r\n{headers}\r\n").as_bytes())
}

fn post(to: SocketAddr, target: &str, kind: &str, body: &str) -> anyhow::Result<Answer> {
    let length = body.len();
    raw(to, format!("POST {target} HTTP/1.1\r\nHost: graphs\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes())
}

/// A proxy in front of servers (TOML of `graphite.server`), with settings beside it.
fn proxy(setup: Setup, servers: &str) -> anyhow::Result<(Node, SocketAddr)> {
    let address = port::free();
    let setup =
        setup.with("render_proxy.addresses", format!("[\"{address}\"]")).with("graphite.server", servers);
    Ok((setup.start()?, address))
}

fn server(url: &str) -> String {
    format!("[{{ url = \"{url}\" }}]")
}

/// A point a minute over an hour, ending at `last`.
fn hour(last: i64) -> Vec<(i64, f64)> {
    (0..60).map(|i| (last - 60 * (59 - i), (i % 13) as f64)).collect()
}

/// Puts the same points into windows.
fn fill(node: &Node, names: &[&str], points: &[(i64, f64)]) -> anyhow::Result<()> {
    let line = |name: &str| points.iter().map(|(t, v)| format!("{name} {v} {t}\n")).collect::<String>();
    load::bytes(node.plaintext(), names.iter().map(|name| line(name)).collect::<String>())?;
    let newest = points.last().context("points")?.0;
    eventually(LIMIT, "windows have the points", || {
        let all = names.iter().all(|name| {
            let series =
                skyline_tests::http::get(node.api(), &format!("/api/v1/series/{name}?from={newest}"));
            series.is_ok_and(|s| s.status == 200 && s.text().contains(&newest.to_string()))
        });
        all.then_some(())
    })?;
    Ok(())
}

/// Without the numbers that graphite-web's process counts on in its SVG.
fn comparable(body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(body);
    if !text.contains("<svg") {
        return body.to_vec();
    }
    let mut out = String::new();
    for (i, part) in text.split("surface").enumerate() {
        let part = if i > 0 { part.trim_start_matches(|c: char| c.is_ascii_digit()) } else { part };
        out.push_str(part);
    }
    out.into_bytes()
}

#[test]
fn answers_are_graphites_own_byte_for_byte() -> anyhow::Result<()> {
    let graphite = GraphiteWeb::start()?;
    let last = now() / 60 * 60 - 600;
    let points = hour(last);
    graphite.write(60, &[("a.b", &points), ("a.c", &points), ("a.d.e", &points)])?;
    let (_node, proxy) =
        proxy(Setup::window().with("render_proxy.cache_seconds", "0"), &server(&graphite.url()))?;
    let range = format!("from={}&until={last}", last - 1_200);
    let mut targets = Vec::new();
    for format in ["json", "csv", "raw", "svg", "png", "pickle", "msgpack", "pdf", "dygraph", "rickshaw"] {
        targets.push(format!("/render?target=a.*&{range}&format={format}"));
    }
    for rest in [
        "/render/?target=sumSeries(a.b,%20a.c)&target=alias(a.b%2C%27x+y%27)&RANGE&format=json",
        "/render?target[]=a.b&RANGE&format=json&maxDataPoints=5&noNullPoints=1",
        "/render?target=a.b&RANGE&format=json&jsonp=call",
        "/render?target=a.{b,c}&RANGE&rawData=true",
        "/render?target=a.b&RANGE&title=%C3%A9&width=600&height=300&tz=Europe/Zurich",
        "/render?target=none&RANGE&format=json",
        "/render?target=none&RANGE",
        "/render?target=a.b&from=bogus&format=json",
        "/render?target=nosuch(a.b)&RANGE&format=json",
        "/render?target=scale(a.b)&RANGE&format=json",
        "/render?target=f(&RANGE&format=json",
        "/render?&&RANGE&target=a.b&format=raw&&",
        "/metrics/find?query=a.*",
        "/metrics/find/?query=a.*&format=treejson",
        "/metrics/find?query=a.*&format=json",
        "/metrics/find?query=a.&format=completer",
        "/metrics/find?query=a.*&format=pickle",
        "/metrics/find?query=a.*&format=msgpack",
        "/metrics/find?query=a.*&format=nodelist",
        "/metrics/find?query=a.*&format=wrong",
        "/metrics/find",
    ] {
        targets.push(rest.replace("RANGE", &range));
    }
    // What it found says when: a cache in front of it gives both the same answer.
    for format in ["json", "pickle", "msgpack"] {
        targets.retain(|target| target != &format!("/metrics/find?query=a.*&format={format}"));
    }
    let kept = kept(&graphite)?;
    let (_other, to_kept) = self::proxy(
        Setup::window().with("render_proxy.cache_seconds", "0"),
        &server(&format!("http://{}", kept.address)),
    )?;
    for format in ["json", "pickle", "msgpack"] {
        let target = format!("/metrics/find?query=a.*&format={format}");
        same(&target, &get(kept.address, &target)?, &get(to_kept, &target)?)?;
    }
    let long: String = (0..600).map(|i| format!("&target=a.none-{i}-0123456789")).collect();
    targets.push(format!("/render?{range}&format=json{long}&target=a.b"));
    for target in &targets {
        let (own, ours) = (get(graphite.address, target)?, get(proxy, target)?);
        same(target, &own, &ours)?;
    }
    let form = "application/x-www-form-urlencoded";
    let body = format!("target=a.b&target=a.c&{range}&format=json");
    same("form", &post(graphite.address, "/render", form, &body)?, &post(proxy, "/render", form, &body)?)?;
    let multipart = "multipart/form-data; boundary=xYz";
    let field = |name: &str, value: &str| {
        format!("--xYz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body = [
        field("target", "a.b"),
        field("format", "csv"),
        field("from", &(last - 300).to_string()),
        "--xYz--\r\n".into(),
    ]
    .concat();
    let (own, ours) =
        (post(graphite.address, "/render/", multipart, &body)?, post(proxy, "/render/", multipart, &body)?);
    ensure!(own.text().starts_with("a.b,"), "{}", own.text());
    same("multipart", &own, &ours)?;
    only_the_head(proxy, &range)
}

fn only_the_head(proxy: SocketAddr, range: &str) -> anyhow::Result<()> {
    let request = format!("HEAD /render?target=a.b&{range} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let head = raw(proxy, request.as_bytes())?;
    ensure!(
        head.status == 200 && head.body.is_empty() && head.header("content-type") == Some("image/png"),
        "{head:?}"
    );
    Ok(())
}

fn same(what: &str, own: &Answer, ours: &Answer) -> anyhow::Result<()> {
    ensure!(own.status == ours.status, "{what}: {} and {}\n{}", own.status, ours.status, ours.text());
    for header in ["content-type", "cache-control", "expires", "vary", "etag", "content-disposition"] {
        // A second may begin between the two.
        if header != "expires" || own.header("date") == ours.header("date") {
            ensure!(
                own.header(header) == ours.header(header),
                "{what}: {header} of {} and {}",
                own.head,
                ours.head
            );
        }
    }
    ensure!(
        comparable(&own.body) == comparable(&ours.body),
        "{what}: {} bytes and {}",
        own.body.len(),
        ours.body.len()
    );
    ensure!(ours.by() == "graphite" && ours.header("set-cookie").is_none(), "{what}: {}", ours.head);
    Ok(())
}

/// The middle of five tries: the machine may be busy.
#[expect(clippy::print_stdout, reason = "the figures of the run")]
fn soon(proxy: SocketAddr, target: &str) -> anyhow::Result<Answer> {
    let mut all = Vec::new();
    for _ in 0..5 {
        let answer = get(proxy, target)?;
        ensure!(answer.status == 200 && answer.by() == "window", "{}\n{}", answer.head, answer.text());
        all.push(answer);
    }
    all.sort_by_key(|answer| answer.took);
    let took: Vec<_> = all.iter().map(|answer| answer.took).collect();
    let middle = all.swap_remove(2);
    println!("{target}: {took:.0?}");
    ensure!(middle.took < SOON, "{target} took {took:?}");
    Ok(middle)
}

#[test]
fn the_window_answers_while_graphite_is_stopped_or_killed() -> anyhow::Result<()> {
    let mut graphite = GraphiteWeb::start()?;
    let points = hour(now() / 60 * 60);
    graphite.write(60, &[("a.b", &points), ("a.c", &points)])?;
    // It takes its time for its first answer.
    let setup =
        Setup::window().with("render_proxy.cache_seconds", "0").with("render_proxy.patience_seconds", "2");
    let quick = Setup::window().with("render_proxy.cache_seconds", "0");
    let (patient, to_patient) = proxy(setup, &server(&graphite.url()))?;
    let (node, proxy) = proxy(quick, &server(&graphite.url()))?;
    fill(&node, &["a.b", "a.c"], &points)?;
    fill(&patient, &["a.b", "a.c"], &points)?;
    let json = "/render?target=cactiStyle(a.b)&target=a.{b,c}&from=-30min&format=json";
    let png = "/render?target=cactiStyle(nonNegativeDerivative(a.b))&from=-30min&width=588&height=308&bgcolor=000000";
    let whole = get(to_patient, json)?;
    ensure!(whole.status == 200 && whole.by() == "graphite", "{}\n{}", whole.head, whole.text());
    graphite.pause();
    let stopped = soon(proxy, json)?;
    ensure!(stopped.text().contains("\"answeredBy\": \"window\""), "{}", stopped.text());
    ensure!(soon(proxy, png)?.body.starts_with(PNG), "no picture");
    graphite.resume();
    eventually(LIMIT, "Graphite answers again", || {
        get(to_patient, json).ok().filter(|answer| answer.by() == "graphite")
    })?;
    graphite.process.kill()?;
    let killed = soon(proxy, json)?;
    let names = |answer: &Answer| -> anyhow::Result<Vec<String>> {
        let json: serde_json::Value = serde_json::from_slice(&answer.body)?;
        let all = json
            .as_array()
            .context("a list")?
            .iter()
            .map(|s| s["target"].as_str().unwrap_or_default().to_owned());
        Ok(all.collect())
    };
    ensure!(names(&killed)? == names(&whole)?, "{:?} and {:?}", names(&killed)?, names(&whole)?);
    ensure!(soon(proxy, png)?.body.starts_with(PNG), "no picture");
    for unknown in [
        "/render?target=sumSeries(a.*)&format=json",
        "/render?target=none&format=json",
        "/render?target=a.b&format=csv",
    ] {
        let answer = get(proxy, unknown)?;
        ensure!(answer.status == 502 && answer.text().contains(&graphite.address.to_string()), "{answer:?}");
    }
    let found = get(proxy, "/metrics/find?query=a.*")?;
    ensure!(found.by() == "window" && found.text().contains("\"a.c\""), "{}", found.text());
    let ready = node.ask("/-/ready")?;
    ensure!(ready.status == 200 && ready.text().contains("no Graphite server answers"), "{}", ready.text());
    let figures = node.ask("/metrics")?.text();
    ensure!(figures.contains("skyline_render_proxy_answers_total{by=\"window\"}"), "{figures}");
    graphite.restart()?;
    eventually(LIMIT, "the proxy asks Graphite again", || {
        get(to_patient, json).ok().filter(|answer| answer.by() == "graphite")
    })?;
    Ok(())
}

#[test]
fn the_window_answers_while_graphite_is_behind() -> anyhow::Result<()> {
    let graphite = GraphiteWeb::start()?;
    let last = now() / 60 * 60;
    graphite.write(60, &[("late.a", &hour(last - 900)), ("well.a", &hour(last))])?;
    let setup =
        Setup::window().with("render_proxy.cache_seconds", "0").with("render_proxy.patience_seconds", "5");
    let (node, proxy) = proxy(setup, &server(&graphite.url()))?;
    fill(&node, &["late.a", "well.a", "new.a"], &hour(last))?;
    for (name, by) in [("late.a", "window"), ("new.a", "window"), ("well.a", "graphite")] {
        for format in ["json", "png"] {
            let answer = get(proxy, &format!("/render?target={name}&from=-1h&format={format}"))?;
            ensure!(answer.status == 200 && answer.by() == by, "{name} {format}: {}", answer.head);
        }
    }
    // What lies wholly in the past is Graphite's.
    let past = get(proxy, "/render?target=late.a&from=-1h&until=-40min&format=json")?;
    ensure!(past.by() == "graphite", "{}", past.head);
    Ok(())
}

#[test]
fn servers_stand_in_for_each_other() -> anyhow::Result<()> {
    let (mut first, second) = (GraphiteWeb::start()?, GraphiteWeb::start()?);
    let points = hour(now() / 60 * 60);
    first.write(60, &[("a.b", &points)])?;
    second.write(60, &[("a.b", &points)])?;
    let servers = format!("[{{ url = \"{}\" }}, {{ url = \"{}\" }}]", first.url(), second.url());
    let setup = Setup::window().with("render_proxy.cache_seconds", "0");
    let (_node, proxy) = proxy(setup, &servers)?;
    let ask = || get(proxy, "/render?target=sumSeries(a.b)&format=json&from=-5min");
    ensure!(ask()?.status == 200);
    first.pause();
    let answer = ask()?;
    ensure!(answer.status == 200 && answer.took < Duration::from_secs(3), "{answer:?}");
    first.process.kill()?;
    ensure!(ask()?.status == 200);
    Ok(())
}

/// nginx that gives an answer of Graphite again and again.
fn kept(graphite: &GraphiteWeb) -> anyhow::Result<Nginx> {
    let to = graphite.address;
    Nginx::start(|folder, address| {
        let path = folder.display();
        Ok(format!(
            "proxy_cache_path {path}/c keys_zone=all:1m; server {{ listen {address}; location / {{ \
             proxy_cache all; proxy_cache_valid any 10m; proxy_ignore_headers Cache-Control Expires Vary Set-Cookie; \
             proxy_pass http://{to}; }} }}"
        ))
    })
}

/// nginx with TLS and a login before Graphite's prefix.
fn guarded(graphite: &GraphiteWeb) -> anyhow::Result<Nginx> {
    let to = graphite.address;
    Nginx::start(|folder, address| {
        let made = std::process::Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-days",
                "2",
            ])
            .args(["-subj", "/CN=test", "-addext", "subjectAltName=DNS:localhost"])
            .arg("-keyout")
            .arg(folder.join("key.pem"))
            .arg("-out")
            .arg(folder.join("ca.pem"))
            .output()?;
        ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let path = folder.display();
        Ok(format!(
            "server {{ listen {address} ssl; ssl_certificate {path}/ca.pem; ssl_certificate_key {path}/key.pem;\n\
             location /api/datasources/proxy/1/ {{\n\
             if ($http_authorization != \"Basic c2t5bGluZTpodW50ZXIy\") {{ return 401; }}\n\
             if ($http_x_org_id != \"7\") {{ return 403; }}\n\
             proxy_set_header Host $http_host; proxy_pass http://{to}/; }}\n\
             location / {{ return 404; }} }}"
        ))
    })
}

#[test]
fn prefixes_logins_headers_and_tls() -> anyhow::Result<()> {
    let graphite = GraphiteWeb::start()?;
    let last = now() / 60 * 60;
    graphite.write(60, &[("a.b", &hour(last))])?;
    let nginx = guarded(&graphite)?;
    let password = nginx.folder().join("password");
    std::fs::write(&password, "hunter2\n")?;
    let servers = format!(
        "[{{ url = \"https://localhost:{}/\", render_path = \"api/datasources/proxy/1/render\", user = \"skyline\", \
         password_file = {password:?}, ca_file = {:?}, headers = [{{ name = \"X-Org-Id\", value = \"7\" }}] }}]",
        nginx.address.port(),
        nginx.folder().join("ca.pem")
    );
    let (node, proxy) = proxy(Setup::window(), &servers)?;
    for target in [
        format!("/render?target=a.b&from={}&until={last}&format=json", last - 600),
        "/metrics/find?query=*".to_owned(),
        "/metrics/find/?query=a.*&format=completer".to_owned(),
    ] {
        // Credentials of who asks are not Graphite's.
        let ours = with(proxy, &target, "Authorization: Basic eDp5\r\nX-Org-Id: 9\r\n")?;
        same(&target, &get(graphite.address, &target)?, &ours)?;
    }
    let doctor = node.command("doctor")?;
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    ensure!(said.contains("graphite"), "{said}");
    ensure!(!said.contains("hunter2") && !node.process.log().contains("hunter2"), "a password is shown");
    Ok(())
}

#[test]
fn nothing_else_is_reached() -> anyhow::Result<()> {
    let graphite = GraphiteWeb::start()?;
    let (_node, proxy) = proxy(Setup::window(), &server(&graphite.url()))?;
    let other = graphite.address;
    for (line, status) in [
        (format!("GET http://{other}/render?target=a HTTP/1.1"), 400),
        (format!("CONNECT {other} HTTP/1.1"), 400),
        ("GET //render HTTP/1.1".into(), 400),
        ("GET /render/../admin/ HTTP/1.1".into(), 400),
        ("GET /render/%2e%2e/admin/ HTTP/1.1".into(), 400),
        ("GET /render/..%2fadmin HTTP/1.1".into(), 400),
        ("GET /admin/ HTTP/1.1".into(), 404),
        ("GET /dashboard HTTP/1.1".into(), 404),
        ("DELETE /render HTTP/1.1".into(), 405),
        ("OPTIONS /render HTTP/1.1".into(), 204),
    ] {
        let answer = raw(
            proxy,
            format!("{line}\r\nHost: evil\r\nOrigin: http://evil\r\nConnection: close\r\n\r\n").as_bytes(),
        )?;
        ensure!(answer.status == status, "{line}: {}\n{}", answer.head, answer.text());
        ensure!(answer.header("access-control-allow-origin").is_none(), "{}", answer.head);
    }
    Ok(())
}

#[test]
fn logins_and_signed_links() -> anyhow::Result<()> {
    let graphite = GraphiteWeb::start_cached(60)?;
    let last = now() / 60 * 60;
    graphite.write(60, &[("a.b", &hour(last))])?;
    let setup = Setup::window().file("token", "t0ken\n").with("render_proxy.token_file", "\"token\"");
    let (node, proxy) = proxy(setup, &server(&graphite.url()))?;
    let graph = Graph {
        metric: "a.b",
        counter: false,
        from: last - 3_600,
        until: last,
        title: "x",
        colour: "orange",
        settings: "&width=588&height=308",
    };
    let query = graph.picture().context("a link")?;
    ensure!(get(proxy, &format!("/render?{query}"))?.status == 401);
    let token = "Authorization: Bearer t0ken\r\n";
    let picture = with(proxy, &format!("/render?{query}"), token)?;
    ensure!(picture.status == 200 && picture.body.starts_with(PNG), "{}", picture.head);
    let signer = Signer::new(&std::fs::read(node.folder().join("state").join(FILE))?);
    let signed = signer.sign(&query, now() + 60);
    let linked = get(proxy, &format!("/render?{signed}"))?;
    ensure!(linked.status == 200 && linked.body == picture.body, "{}", linked.head);
    // The same question was answered a moment ago.
    ensure!(linked.by() == "cache", "{}", linked.head);
    ensure!(get(proxy, &format!("/render?{}", signed.replace("a.b", "a.c")))?.status == 403);
    ensure!(get(proxy, &format!("/render?{}", signer.sign(&query, now() - 1)))?.status == 403);
    ensure!(get(proxy, &format!("/metrics/find?{signed}"))?.status == 401);
    ensure!(!get(graphite.address, &format!("/render?{query}"))?.body.is_empty());
    Ok(())
}

#[test]
fn without_a_graphite_the_windows_answer_alone() -> anyhow::Result<()> {
    let (node, proxy) = proxy(Setup::window(), "[]")?;
    fill(&node, &["a.b"], &hour(now() / 60 * 60))?;
    let answer = get(proxy, "/render?target=a.b&from=-10min&format=json")?;
    ensure!(
        answer.status == 200 && answer.by() == "window" && answer.text().contains("\"a.b\""),
        "{answer:?}"
    );
    ensure!(get(proxy, "/render?target=a.b")?.body.starts_with(PNG));
    ensure!(get(proxy, "/render?target=none&format=json")?.text() == "[]");
    let unknown = get(proxy, "/render?target=sumSeries(a.b)&format=json")?;
    ensure!(unknown.status == 400 && unknown.text().contains("sumSeries"), "{}", unknown.text());
    ensure!(get(proxy, "/metrics/find?query=*")?.text().contains("\"a\""));
    Ok(())
}

/// The example of the documentation, in front of `proxy`.
fn documented(proxy: SocketAddr) -> anyhow::Result<Nginx> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/render-proxy.md"))?;
    let (_, rest) = text.split_once("```nginx\n").context("no example")?;
    let (example, _) = rest.split_once("```").context("no end")?;
    let example = example.replace("127.0.0.1:1502", &proxy.to_string());
    Nginx::start(|_, address| Ok(format!("server {{ listen {address};\n{example}\n}}")))
}

#[test]
fn only_signed_links_pass_the_documented_server() -> anyhow::Result<()> {
    let (node, proxy) = proxy(Setup::window(), "[]")?;
    let last = now() / 60 * 60;
    fill(&node, &["a.b"], &hour(last))?;
    let nginx = documented(proxy)?;
    let front = nginx.address;
    let query = format!("target=a.b&from={}&until={last}", last - 3_600);
    ensure!(get(proxy, &format!("/render?{query}"))?.status == 200);
    let signer = Signer::new(&std::fs::read(node.folder().join("state").join(FILE))?);
    let signed = signer.sign(&query, now() + 60);
    let linked = get(front, &format!("/render?{signed}"))?;
    ensure!(linked.status == 200 && linked.body.starts_with(PNG), "{}", linked.head);
    for target in [
        format!("/render?{query}"),
        format!("/render?{query}&skyline_signature=00"),
        format!("/render?skyline_signature=00&{query}"),
        format!("/render?Skyline_Signature=00&{query}"),
        format!("/render?{}", signed.replace("a.b", "*")),
        format!("/render?{signed}&target=*"),
    ] {
        let answer = get(front, &target)?;
        ensure!(answer.status == 403, "{target}: {}", answer.head);
    }
    ensure!(get(front, &format!("/render/?{signed}"))?.status == 404);
    ensure!(get(front, "/metrics/find?query=*")?.status == 404);
    let posted = post(front, "/render", "application/x-www-form-urlencoded", &signed)?;
    ensure!(posted.status == 403, "{}", posted.head);
    Ok(())
}
