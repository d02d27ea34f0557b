//! msgpack over UDP: one datagram holds one `[name, [timestamp, value]]`.

use rmp::Marker;
use rmp::decode::{RmpRead, read_array_len, read_marker};
use skyline_core::batch::BatchBuilder;
use skyline_core::reject::Reject;

/// Takes the point of one datagram.
///
/// # Errors
/// [`Reject::Frame`]: not msgpack, cut, or with something after the array; [`Reject::Item`]:
/// another shape; otherwise what is wrong with the name, the time or the value.
pub fn decode(datagram: &[u8], out: &mut BatchBuilder) -> Result<(), Reject> {
    let mut input = datagram;
    pair(&mut input)?;
    let name = name(&mut input)?;
    pair(&mut input)?;
    let ts = number(&mut input, Reject::Time)?;
    let value = number(&mut input, Reject::Value)?;
    if !input.is_empty() {
        return Err(Reject::Frame);
    }
    out.point(name, ts, value)
}

/// An array of two.
fn pair(input: &mut &[u8]) -> Result<(), Reject> {
    let marker = input.first().map(|byte| Marker::from_u8(*byte));
    match marker {
        None | Some(Marker::Reserved) => Err(Reject::Frame),
        Some(Marker::FixArray(_) | Marker::Array16 | Marker::Array32) => {
            let length = read_array_len(input).map_err(|_| Reject::Frame)?;
            if length == 2 { Ok(()) } else { Err(Reject::Item) }
        }
        Some(_) => Err(Reject::Item),
    }
}

/// A string, or the bytes that old packers send for one.
fn name<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], Reject> {
    let length = match read_marker(input).map_err(|_| Reject::Frame)? {
        Marker::FixStr(length) => usize::from(length),
        Marker::Str8 | Marker::Bin8 => usize::from(input.read_data_u8().map_err(|_| Reject::Frame)?),
        Marker::Str16 | Marker::Bin16 => usize::from(input.read_data_u16().map_err(|_| Reject::Frame)?),
        Marker::Str32 | Marker::Bin32 => input.read_data_u32().map_err(|_| Reject::Frame)? as usize,
        Marker::Reserved => return Err(Reject::Frame),
        _ => return Err(Reject::Item),
    };
    let (name, rest) = input.split_at_checked(length).ok_or(Reject::Frame)?;
    *input = rest;
    Ok(name)
}

/// Any integer, float or boolean; `wrong` if it is something else.
fn number(input: &mut &[u8], wrong: Reject) -> Result<f64, Reject> {
    let cut = |_| Reject::Frame;
    Ok(match read_marker(input).map_err(|_| Reject::Frame)? {
        Marker::FixPos(n) => f64::from(n),
        Marker::FixNeg(n) => f64::from(n),
        Marker::U8 => f64::from(input.read_data_u8().map_err(cut)?),
        Marker::U16 => f64::from(input.read_data_u16().map_err(cut)?),
        Marker::U32 => f64::from(input.read_data_u32().map_err(cut)?),
        Marker::U64 => input.read_data_u64().map_err(cut)? as f64,
        Marker::I8 => f64::from(input.read_data_i8().map_err(cut)?),
        Marker::I16 => f64::from(input.read_data_i16().map_err(cut)?),
        Marker::I32 => f64::from(input.read_data_i32().map_err(cut)?),
        Marker::I64 => input.read_data_i64().map_err(cut)? as f64,
        Marker::F32 => f64::from(input.read_data_f32().map_err(cut)?),
        Marker::F64 => input.read_data_f64().map_err(cut)?,
        Marker::True => 1.0,
        Marker::False => 0.0,
        Marker::Reserved => return Err(Reject::Frame),
        _ => return Err(wrong),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use skyline_core::batch::{Listener, Origin, Source};

    const SOURCE: Source = Source { listener: Listener::MsgpackUdp, origin: Origin::Live };

    #[track_caller]
    fn check(datagram: &[u8], want: Result<&str, Reject>) {
        let mut out = BatchBuilder::new(SOURCE, 100.0);
        let got = decode(datagram, &mut out).map(|()| String::from_utf8(out.finish().unwrap().text).unwrap());
        assert_eq!(got.as_deref().map_err(|why| *why), want, "{datagram:x?}");
    }

    #[test]
    fn datagrams() {
        let good = b"\x92\xa3a.b\x92\xce\x5d\x8b\x24\xc0\xcb\x3f\xf8\0\0\0\0\0\0";
        check(good, Ok("a.b 1.5 1569400000\n"));
        for cut in 0..good.len() {
            check(&good[..cut], Err(Reject::Frame));
        }
        check(&[&good[..], b"\xc0"].concat(), Err(Reject::Frame));
        check(b"\xdc\0\x02\xd9\x01a\xdd\0\0\0\x02\x05\xff", Ok("a -1 5\n"));
        check(b"\x92\xc4\x01a\x92\x05\xc3", Ok("a 1 5\n"));
        check(b"\x92\xa1a\x92\xff\xd0\x80", Ok("a -128 100\n"));
        check(b"\x92\xa1a\x92\xcb\x40\0\0\0\0\0\0\0\xca\x3f\x80\0\0", Ok("a 1 2\n"));
        check(b"\x92\xb3horizon.test.params\x01", Err(Reject::Item));
        check(b"\x93\xa1a\x92\x05\x06\x07", Err(Reject::Item));
        check(b"\x92\x05\x92\x05\x06", Err(Reject::Item));
        check(b"\x92\xa1a\x92\x05\xc0", Err(Reject::Value));
        check(b"\x92\xa1a\x92\xa1x\x05", Err(Reject::Time));
        check(b"\x92\xa3a b\x92\x05\x06", Err(Reject::Name));
        check(b"\x92\xa0\x92\x05\x06", Err(Reject::Name));
        check(b"\x92\xa1\xff\x92\x05\x06", Err(Reject::Name));
        check(b"\x92\xa1a\x92\x05\xcb\x7f\xf8\0\0\0\0\0\0", Err(Reject::NanValue));
        check(b"\x92\xdb\xff\xff\xff\xffa\x92\x05\x06", Err(Reject::Frame));
        check(b"a.b 1 2\n", Err(Reject::Item));
        check(b"\xc1", Err(Reject::Frame));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut out = BatchBuilder::new(SOURCE, 100.0);
            prop_assert_eq!(decode(&bytes, &mut out).is_ok(), out.len() == 1);
        }
    }
}
