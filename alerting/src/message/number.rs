//! Numbers in JSON, which has no word for those that are none: they are `null` there, and not a number again.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(super) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    value.is_finite().then_some(*value).serialize(to)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(from)?.unwrap_or(f64::NAN))
}

/// A time and a value.
pub(super) mod pair {
    use super::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(in crate::message) fn serialize<S: Serializer>(pair: &(f64, f64), to: S) -> Result<S::Ok, S::Error> {
        let finite = |value: f64| value.is_finite().then_some(value);
        (finite(pair.0), finite(pair.1)).serialize(to)
    }

    pub(in crate::message) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<(f64, f64), D::Error> {
        let (time, value) = <(Option<f64>, Option<f64>)>::deserialize(from)?;
        Ok((time.unwrap_or(f64::NAN), value.unwrap_or(f64::NAN)))
    }
}
