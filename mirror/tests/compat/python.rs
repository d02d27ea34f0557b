//! The other side: Python with the libraries that the reference uses.

use skyline_peers::redis::Redis;

/// What a script prints; it finds a connection in `r`.
pub(crate) fn run(redis: &Redis, script: &str, input: &str) -> String {
    skyline_peers::python::run(redis, script, input).unwrap()
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
