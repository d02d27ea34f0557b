//! Words of the settings and what they stand for in the model.

use crate::model::listen;
use crate::model::relay::destination;
use crate::model::relay::rule::{DialectWord, Reason, StampWord};
use crate::nearest;
use crate::routing::pattern::Dialect;
use crate::routing::{Discard, Function, Packing, Protocol, Stamp, Transport};

/// Two enums of the same variants, from one to the other and back.
macro_rules! alike {
    ($left:ty, $right:ty, $($a:ident = $b:ident),+) => {
        impl From<$left> for $right {
            fn from(word: $left) -> Self {
                match word { $(<$left>::$a => Self::$b),+ }
            }
        }
        impl From<$right> for $left {
            fn from(value: $right) -> Self {
                match value { $(<$right>::$b => Self::$a),+ }
            }
        }
    };
}

alike!(listen::Protocol, Protocol, Plaintext = Plaintext, Pickle = Pickle, Protobuf = Protobuf);
alike!(listen::Packing, Packing, Plain = Plain, Gzip = Gzip, Lz4 = Lz4);
alike!(destination::Transport, Transport, Tcp = Tcp, Udp = Udp);
alike!(DialectWord, Dialect, Python = Python, PythonAnyCase = PythonAnyCase, Posix = Posix, Go = Go);
alike!(Reason, Discard, Blackhole = Blackhole, Blacklisted = Blacklisted, NotWhitelisted = NotWhitelisted);
alike!(StampWord, Stamp, Start = Start, Middle = Middle, End = End);

/// Functions that are a word alone.
const FUNCTIONS: [(&str, Function); 11] = [
    ("sum", Function::Sum),
    ("count", Function::Count),
    ("min", Function::Min),
    ("max", Function::Max),
    ("average", Function::Average),
    ("last", Function::Last),
    ("median", Function::Median),
    ("variance", Function::Variance),
    ("stddev", Function::Deviation),
    ("spread", Function::Spread),
    ("rate", Function::Rate),
];
const QUANTILE: &str = "quantile";
const PERCENTILE: &str = "percentile";

/// The function that a word stands for.
///
/// # Errors
/// What would be right.
pub fn function(word: &str) -> Result<Function, String> {
    if let Some((_, function)) = FUNCTIONS.iter().find(|(known, _)| *known == word) {
        return Ok(*function);
    }
    if let Some(number) = word.strip_prefix(QUANTILE) {
        let q = number.parse().ok().filter(|q| (0.0..=1.0).contains(q));
        return q.map(Function::Quantile).ok_or_else(|| format!("`{word}`: write quantile0 to quantile1"));
    }
    if let Some(number) = word.strip_prefix(PERCENTILE) {
        let right = || format!("`{word}`: write percentile0 to percentile100");
        return number.parse().ok().filter(|p| *p <= 100).map(Function::NearestRank).ok_or_else(right);
    }
    let words = || FUNCTIONS.iter().map(|(word, _)| *word).chain(["quantile0.95", "percentile95"]);
    Err(match nearest::word(word, words()) {
        Some(near) => format!("there is no function `{word}`; did you mean `{near}`?"),
        None => {
            format!("there is no function `{word}`; there are {}", words().collect::<Vec<_>>().join(", "))
        }
    })
}

/// The word of a function.
#[must_use]
pub fn of_function(function: Function) -> String {
    match function {
        Function::Quantile(q) => format!("{QUANTILE}{q}"),
        Function::NearestRank(p) => format!("{PERCENTILE}{p}"),
        other => {
            let known = FUNCTIONS.iter().find(|(_, function)| *function == other);
            known.map_or_else(String::new, |(word, _)| (*word).to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions() {
        let all = FUNCTIONS.iter().map(|(_, function)| *function);
        for known in
            all.chain([Function::Quantile(0.999), Function::Quantile(1.0), Function::NearestRank(95)])
        {
            assert_eq!(function(&of_function(known)), Ok(known));
        }
        let refused = |word: &str, expected: &str| {
            let why = function(word).unwrap_err();
            assert!(why.contains(expected), "{why}");
        };
        refused("sume", "did you mean `sum`?");
        refused("quantile2", "quantile0 to quantile1");
        refused("quantileNaN", "quantile0 to");
        refused("percentile", "percentile0 to");
        refused("nothing", "there are sum, count");
    }
}
