//! What is read of a certificate without judging it: how long it is valid, and its public key.
//!
//! X.509 (RFC 5280): `Certificate = SEQ { tbs SEQ { [0] version?, serial, algorithm, issuer, validity, subject,
//! key, ... }, ... }`. The first version of X.509, which OpenSSL writes where no extensions are asked for, has no
//! `[0]`; libraries that judge chains take the third alone.

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// What is read of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts<'c> {
    /// Seconds since the epoch from which it is valid.
    pub(super) not_before: i64,
    /// Seconds since the epoch up to which it is valid.
    pub(super) not_after: i64,
    /// `SubjectPublicKeyInfo`, whole.
    pub(super) key: &'c [u8],
}

/// One element.
#[derive(Clone, Copy)]
struct Element<'d> {
    tag: u8,
    content: &'d [u8],
    whole: &'d [u8],
}

/// Reads a certificate; `None`: it is none.
pub(super) fn parts(certificate: &[u8]) -> Option<Parts<'_>> {
    let mut outer = certificate;
    let mut all = expect(&mut outer, SEQUENCE)?.content;
    let mut fields = expect(&mut all, SEQUENCE)?.content;
    if fields.first() == Some(&VERSION) {
        next(&mut fields)?;
    }
    expect(&mut fields, INTEGER)?;
    expect(&mut fields, SEQUENCE)?;
    expect(&mut fields, SEQUENCE)?;
    let mut validity = expect(&mut fields, SEQUENCE)?.content;
    expect(&mut fields, SEQUENCE)?;
    let key = expect(&mut fields, SEQUENCE)?.whole;
    let (not_before, not_after) = (time(next(&mut validity)?)?, time(next(&mut validity)?)?);
    Some(Parts { not_before, not_after, key })
}

/// The algorithm of a `SubjectPublicKeyInfo` (what its SEQUENCE holds), and the bytes of the key.
pub(super) fn key(info: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut info = info;
    let mut fields = expect(&mut info, SEQUENCE)?.content;
    let algorithm = expect(&mut fields, SEQUENCE)?.content;
    // The first byte says how many bits of the last one do not count.
    let (unused, key) = expect(&mut fields, BIT_STRING)?.content.split_first()?;
    (*unused == 0).then_some((algorithm, key))
}

fn expect<'d>(input: &mut &'d [u8], tag: u8) -> Option<Element<'d>> {
    next(input).filter(|element| element.tag == tag)
}

/// The element at the front of `input`. Lengths take 1 to 4 bytes.
fn next<'d>(input: &mut &'d [u8]) -> Option<Element<'d>> {
    let (tag, first) = (*input.first()?, *input.get(1)?);
    let (header, length) = match first {
        0..=0x7f => (2, usize::from(first)),
        0x81..=0x83 => {
            let bytes = usize::from(first - 0x80);
            let length = input.get(2..2 + bytes)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (2 + bytes, length)
        }
        _ => return None,
    };
    let content = input.get(header..header + length)?;
    let (whole, rest) = input.split_at_checked(header + length)?;
    *input = rest;
    Some(Element { tag, content, whole })
}

/// `YYMMDDHHMMSSZ` (from 1950 on) or `YYYYMMDDHHMMSSZ`.
fn time(element: Element<'_>) -> Option<i64> {
    let digits = element.content.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |text: &[u8]| text.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let (year, rest) = match element.tag {
        UTC_TIME => {
            let (year, rest) = digits.split_at_checked(2)?;
            let year = number(year);
            (year + if year < 50 { 2000 } else { 1900 }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = digits.split_at_checked(4)?;
            (number(year), rest)
        }
        _ => return None,
    };
    let fields: Vec<i64> = rest.chunks(2).map(number).collect();
    let [month, day, hour, minute, second] = fields.as_slice() else { return None };
    if !(1..=12).contains(month) {
        return None;
    }
    Some(((days(year, *month, *day) * 24 + hour) * 60 + minute) * 60 + second)
}

/// Days from 1970-01-01 to that day of the Gregorian calendar; years begin in March, so that a leap day ends one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    #[test]
    fn a_certificate_of_the_first_version() {
        let certificate = CertificateDer::from_pem_slice(include_bytes!("v1.pem")).unwrap();
        let parts = parts(&certificate).unwrap();
        assert_eq!(parts.not_before, 1_795_958_098);
        assert_eq!(parts.not_after - parts.not_before, 36_500 * 86_400);
        let (algorithm, bits) = key(parts.key).unwrap();
        // OID 1.2.840.10045.2.1 with curve P-256, and an uncompressed point.
        assert_eq!(algorithm.len(), 19);
        assert_eq!((bits.len(), bits[0]), (65, 4));
    }

    #[test]
    fn what_is_cut_or_damaged_is_none() {
        let whole = CertificateDer::from_pem_slice(include_bytes!("v1.pem")).unwrap();
        let mut damaged = whole.to_vec();
        for at in 0..whole.len() {
            // Cut behind the key, what is read is all there: but the length at the front says more.
            assert_eq!(parts(&whole[..at]), None, "{at}");
            damaged[at] ^= 0xff;
            if let Some(parts) = parts(&damaged) {
                let _whether_it_is_a_key = key(parts.key);
            }
            damaged[at] ^= 0xff;
        }
    }

    #[test]
    fn times() {
        let check = |tag, text: &str, expected: Option<i64>| {
            let content = text.as_bytes();
            assert_eq!(time(Element { tag, content, whole: content }), expected, "{text}");
        };
        check(UTC_TIME, "700101000000Z", Some(0));
        check(UTC_TIME, "240229123456Z", Some(1_709_210_096));
        check(UTC_TIME, "500101000000Z", Some(-631_152_000));
        check(GENERALIZED_TIME, "20500101000000Z", Some(2_524_608_000));
        check(GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799));
        for bad in ["", "Z", "240229123456", "2402291234Z", "241329123456Z", "24o229123456Z"] {
            check(UTC_TIME, bad, None);
        }
        check(INTEGER, "240229123456Z", None);
    }
}
