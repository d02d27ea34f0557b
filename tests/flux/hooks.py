"""What schemathesis cannot read in flux/src/openapi.json.

Remote-write has a binary body. And a time is good for as long as the window is: a schema knows no clock, so the times of
requests that are meant to be good are moved into the window. Requests that are meant to be bad stay as they are.
"""

import re
import struct
import time

import schemathesis
from hypothesis import strategies as st

UNITS = {"ns": 10**9, "n": 10**9, "us": 10**6, "u": 10**6, "\u00b5": 10**6, "ms": 10**3, "s": 1}


def within(number):
    """A time of the last hour, another for another number."""
    return int(time.time()) - int(abs(number)) % 3600


def of_value(given):
    if given is None:
        return None
    if isinstance(given, str):
        return str(within(float(given)))
    return within(given) + given % 1


def of_point(point):
    return {**point, "timestamp": of_value(point["timestamp"])} if "timestamp" in point else point


def of_carbon(line):
    return re.sub(r" ([0-9]{10})(?=\s*$)", lambda m: f" {within(int(m[1]))}", line)


def of_influx(line, precision):
    def moved(found):
        seconds = within(int(found[1]))
        if precision in ("m", "h"):
            return f" {int(time.time()) // (60 if precision == 'm' else 3600)}"
        return f" {seconds * UNITS[precision]}"

    return line if line.startswith("#") else re.sub(r' ([0-9]{1,18})(?=\s*$)', moved, line)


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if case.path == "/flux/metric_data" and "timestamp" in case.query:
        case.query["timestamp"] = of_value(case.query["timestamp"])
    elif case.media_type == "application/json" and isinstance(case.body, list):
        case.body = [of_point(point) for point in case.body]
    elif case.media_type == "application/json" and isinstance(case.body, dict):
        case.body = of_point(case.body)
    elif case.media_type == "text/plain" and isinstance(case.body, str):
        precision = case.query.get("precision", "ns")
        is_carbon = case.path == "/flux/metric_data_post"
        of_line = of_carbon if is_carbon else lambda line: of_influx(line, precision)
        case.body = "\n".join(of_line(line) for line in case.body.split("\n"))


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, content):
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def snappy(content):
    """A block of literals only."""
    parts = [content[at : at + 60] for at in range(0, len(content), 60)]
    return varint(len(content)) + b"".join(bytes([len(part) - 1 << 2]) + part for part in parts)


def write_request(series):
    out = b""
    for name, labels, samples in series:
        pairs = [("__name__", name), *labels.items()]
        one = b"".join(field(1, field(1, key.encode()) + field(2, value.encode())) for key, value in pairs)
        for value, ago in samples:
            at = varint((int(time.time()) - ago) * 1000)
            one += field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + at)
        out += field(1, one)
    return snappy(out)


NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,20}", fullmatch=True)
SAMPLES = st.lists(st.tuples(st.floats(), st.integers(0, 3600)), max_size=5)
SERIES = st.tuples(NAMES, st.dictionaries(NAMES, st.text(max_size=20), max_size=5), SAMPLES)
schemathesis.openapi.media_type("application/x-protobuf", st.lists(SERIES, max_size=5).map(write_request))
