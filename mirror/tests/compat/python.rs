//! The other side: Python with the libraries that the reference uses.

use skyline_peers::redis::Redis;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// What a script prints; it finds a connection in `r`.
pub(crate) fn run(redis: &Redis, script: &str, input: &str) -> String {
    let prelude = format!(
        "import sys, json, math, struct\nimport redis\nfrom msgpack import packb, Unpacker\n\
         r = redis.StrictRedis(unix_socket_path={:?})\n",
        redis.file("socket").to_str().unwrap()
    );
    let mut child = Command::new("/usr/bin/python3")
        .args(["-c", &[&prelude, script].concat()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3; `cargo xtask test` installs what is missing");
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Appends points as the reference's worker does: lines `NAME TS VALUE`, whole numbers as such, `None` for none.
pub(crate) const WRITE: &str = r"
pipe = r.pipeline()
for line in sys.stdin:
    name, ts, value = line.split()
    number = lambda t: None if t == 'None' else int(t) if t.lstrip('-').isdigit() else float(t)
    key = 'metrics.' + name
    pipe.append(key, packb((number(ts), number(value))))
    pipe.sadd('metrics.unique_metrics', key)
pipe.execute()
";

/// Prints all windows as the reference's analyzer unpacks them, a line each: `NAME TS:BITS ...`, and fails where a key
/// is not what `packb` makes of its points.
pub(crate) const READ: &str = r"
for key in sorted(r.smembers('metrics.unique_metrics')):
    raw = r.get(key)
    unpacker = Unpacker(use_list=False)
    unpacker.feed(raw)
    timeseries = list(unpacker)
    assert raw == b''.join(packb((ts, value)) for ts, value in timeseries), key
    assert all(isinstance(value, float) for ts, value in timeseries), key
    assert all(isinstance(ts, int) or ts != int(ts) for ts, value in timeseries), key
    bits = lambda v: struct.pack('>d', v).hex()
    print(key.decode()[len('metrics.'):], *[f'{bits(ts)}:{bits(value)}' for ts, value in timeseries])
";

/// What [`READ`] prints of these windows.
pub(crate) fn as_read(windows: &std::collections::HashMap<String, Vec<(f64, f64)>>) -> String {
    let mut lines: Vec<_> = windows
        .iter()
        .map(|(name, points)| {
            let bits = |v: f64| format!("{:016x}", v.to_bits());
            let points: Vec<_> = points.iter().map(|(ts, v)| format!("{}:{}", bits(*ts), bits(*v))).collect();
            format!("{name} {}\n", points.join(" "))
        })
        .collect();
    lines.sort_by(|a, b| a.split(' ').next().cmp(&b.split(' ').next()));
    lines.concat()
}
