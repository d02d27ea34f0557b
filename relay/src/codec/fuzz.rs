//! Entry points for fuzzers: any bytes, no panic, and what was taken reads back as itself.
#![expect(clippy::panic, reason = "a broken invariant is what a fuzzer looks for")]

use super::frame::Limits;
use super::{msgpack, pickle, plaintext, protobuf};
use skyline_core::batch::{Batch, BatchBuilder, Listener, Origin, Source};
use skyline_core::reject::RejectCounts;

/// Longest line of the fuzzed listener, bytes.
const MAX_LINE: usize = 256;

/// Plaintext: the bytes as one read of a stream, cut at every tenth byte, and as a datagram.
pub fn line(bytes: &[u8]) {
    let mut counts = [RejectCounts::default(); 2];
    let [one, many] = &mut counts;
    let whole = stream(&[bytes], one);
    let pieces: Vec<&[u8]> = bytes.chunks(10).collect();
    let cut = stream(&pieces, many);
    assert!(whole == cut && one == many, "the cuts of a stream changed what was taken");
    let mut out = builder(Listener::PlaintextUdp);
    plaintext::datagram(bytes, MAX_LINE, &mut out, &mut |_: &[u8], _| ());
    reads_back(out);
    let mut out = builder(Listener::MsgpackUdp);
    let taken = msgpack::decode(bytes, &mut out);
    assert!(taken.is_ok() != out.is_empty(), "a datagram was refused and taken");
    reads_back(out);
}

/// Pickle: the bytes as one frame.
pub fn pickle(bytes: &[u8]) {
    let limits = Limits::of(1 << 20);
    let mut out = builder(Listener::PickleTcp);
    let mut refused = 0;
    pickle::decode(bytes, limits, &mut out, &mut |_: &[u8], _| refused += 1);
    let mut again = builder(Listener::PickleTcp);
    let mut machine = pickle::Machine::new();
    if machine.run(bytes).is_ok() {
        while !machine.emit(bytes, limits, 100, &mut again, &mut |_: &[u8], _| refused -= 1) {}
    } else {
        assert!(refused == 1 && out.is_empty(), "a bad frame must give nothing");
        refused -= 1;
    }
    assert!(refused == 0, "taking the points in pieces changed what was refused");
    assert!(reads_back(out) == reads_back(again), "taking the points in pieces changed them");
}

/// Protobuf: the bytes as one frame; what was taken of it, written as a frame, is taken again.
pub fn protobuf(bytes: &[u8]) {
    let limits = Limits::of(1 << 20);
    let mut out = builder(Listener::ProtobufTcp);
    let mut refused = 0;
    protobuf::decode(bytes, limits, &mut out, &mut |_: &[u8], _| refused += 1);
    let mut again = builder(Listener::ProtobufTcp);
    match protobuf::Points::of(bytes) {
        Ok(mut points) => while !points.emit(limits, 100, &mut again, &mut |_: &[u8], _| refused -= 1) {},
        Err(_) => {
            assert!(refused == 1 && out.is_empty(), "a bad frame must give nothing");
            refused -= 1;
        }
    }
    assert!(refused == 0, "taking the points in pieces changed what was refused");
    let batch = reads_back(out);
    assert!(batch == reads_back(again), "taking the points in pieces changed them");
    let Some(batch) = batch else { return };
    let mut frame = Vec::new();
    protobuf::write(batch.samples.iter().map(|s| (batch.name(s), s.ts, s.value)), &mut frame);
    let mut again = builder(Listener::ProtobufTcp);
    // What was written may be longer than what came in: fields are left out there that are written here.
    let limits = Limits::of(usize::MAX);
    protobuf::decode(frame.get(4..).unwrap_or_default(), limits, &mut again, &mut |_: &[u8], why| {
        panic!("a point that was written is refused: {}", why.label())
    });
    assert!(reads_back(again).as_ref() == Some(&batch), "a frame that was written reads back as another");
}

fn stream(pieces: &[&[u8]], counts: &mut RejectCounts) -> Option<Batch> {
    let mut framer = plaintext::Framer::new(MAX_LINE);
    let mut out = builder(Listener::PlaintextTcp);
    let mut refused = |_: &[u8], why| counts.add(why, 1);
    for piece in pieces {
        framer.feed(piece, &mut out, &mut refused);
        assert!(framer.held() <= MAX_LINE, "more was held than the longest line");
    }
    framer.finish(&mut refused);
    reads_back(out)
}

const fn builder(listener: Listener) -> BatchBuilder {
    BatchBuilder::new(Source { listener, origin: Origin::Live }, 1_700_000_000.0)
}

/// The batch, after checking that its text says what it says.
fn reads_back(out: BatchBuilder) -> Option<Batch> {
    let batch = out.finish()?;
    match Batch::from_text(batch.source, batch.received, batch.routes.clone(), batch.text.clone()) {
        Ok(again) => assert!(again == batch, "a batch reads back as another"),
        Err(why) => panic!("a batch does not read back: {}", why.label()),
    }
    Some(batch)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            super::line(&bytes);
            super::pickle(&bytes);
            super::protobuf(&bytes);
        }

        #[test]
        fn bytes_of_the_right_kind(
            line in "([a-z.é]{0,20}[ \t]{0,2}[0-9.eE+-]{0,8} ?(nan|inf|-1|[0-9]{0,10})[\r\n]{0,2}){0,12}",
            ops in prop::collection::vec(prop::sample::select(&b"(]}lteasudq\x00q\x01h\x00h\x01K\x05N)\x85\x86\x87\x94\x8fU\x01aX\x01\x00\x00\x00b\x8c\x01cC\x01d."[..]), 0..60),
        ) {
            super::line(line.as_bytes());
            super::pickle(&ops);
        }
    }
}
