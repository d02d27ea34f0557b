//! Cases of our own over real sockets: right answers pass, wrong ones are told.

use super::*;
use serde_json::json;

fn base64_of(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// `[("a.b", (5, 1.5))]` as a frame.
const FRAME: &[u8] = b"\0\0\0\x18\x80\x02](U\x03a.bK\x05G\x3f\xf8\0\0\0\0\0\0\x86\x86e.";

#[track_caller]
fn check(case: Value, usual: Listener, expected: Result<(), &str>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let got = runtime.block_on(async {
        let mut wire = Wire::default();
        let outcome = wire.run(&case, usual).await;
        wire.stop().await;
        outcome
    });
    match expected {
        Ok(()) => assert_eq!(got, Ok(()), "{case}"),
        Err(part) => assert!(got.clone().is_err_and(|error| error.contains(part)), "{case} {got:?}"),
    }
}

fn lines(bytes: &[u8], want: Value) -> Value {
    json!({"id": "x", "class": "better", "in": base64_of(bytes), "want": want})
}

#[test]
fn lines_over_tcp() {
    let tcp = Listener::PlaintextTcp;
    check(lines(b"a 1 5\nbad\nb inf 6\n", json!([["a", 5, 1], ["b", 6, "inf"]])), tcp, Ok(()));
    check(lines(b"a 1 -1\n", json!([["a", "now", 1]])), tcp, Ok(()));
    check(lines(b"a 1 5\n", json!([])), tcp, Err("got 1 points"));
    let mut cut = lines(b"abc 1 5\n", json!([["abc", 5, 1]]));
    cut["chunks"] = json!([1, 1, 3]);
    check(cut, tcp, Ok(()));
    let mut resolution = lines(b"a 1 59\n", json!([["a", 50, 1]]));
    resolution["settings"] = json!({"MIN_TIMESTAMP_RESOLUTION": 10});
    check(resolution, tcp, Ok(()));
    let mut closes = lines(b"a 1 5\n", json!([["a", 5, 1]]));
    closes["want_closed"] = json!(true);
    check(closes, tcp, Err("not closed"));
}

#[test]
fn lines_over_udp() {
    let mut case = lines(b"a 1 5\nb 2 6", json!([["a", 5, 1], ["b", 6, 2]]));
    case["proto"] = json!("udp");
    check(case, Listener::PlaintextTcp, Ok(()));
}

#[test]
fn pickles() {
    let pickle = Listener::PickleTcp;
    check(lines(FRAME, json!([["a.b", 5, 1.5]])), pickle, Ok(()));
    let mut short = lines(FRAME, json!([]));
    short["settings"] = json!({"PICKLE_RECEIVER_MAX_LENGTH": 10});
    check(short.clone(), pickle, Err("the connection is closed"));
    short["want_closed"] = json!(true);
    check(short, pickle, Ok(()));
    let mut deflater = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut deflater, FRAME).unwrap();
    let deflated =
        json!({"class": "same", "zin": base64_of(&deflater.finish().unwrap()), "want": [["a.b", 5, 1.5]]});
    check(deflated, pickle, Ok(()));
}

#[test]
fn cases_that_cannot_be_run() {
    let tcp = Listener::PlaintextTcp;
    check(json!({"class": "same", "in": "?", "want": []}), tcp, Err("`in`"));
    check(json!({"class": "same", "zin": "AAAA", "want": []}), tcp, Err("`zin`"));
    check(json!({"class": "same", "in": "", "want": [], "proto": "sctp"}), tcp, Err("proto"));
    check(json!({"class": "same", "in": "", "want": [], "chunks": [9]}), tcp, Err("`chunks`"));
    check(json!({"class": "same", "in": "", "want": [], "settings": {"X": 1}}), tcp, Err("unknown setting"));
}
