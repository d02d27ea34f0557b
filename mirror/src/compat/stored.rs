//! Keys as they are in Redis: read in bulk, and replaced without losing what others append meanwhile.

use crate::server::{Error, Server};
use redis::{Cmd, Pipeline, Value, pipe};

/// A value so long is no window: more than a million points.
const LONGEST: u64 = 16 << 20;
/// Bytes of values that are read at once: on a slow line too they must come within the time-out.
const AT_ONCE: u64 = 2 << 20;

/// What is in a key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stored {
    /// There is no such key.
    Missing,
    /// It holds no string, or one that is too long.
    Unreadable(String),
    /// Its bytes.
    Bytes(Vec<u8>),
}

/// Reads the first of `keys`, as many as are read at once; at least one.
pub(super) async fn read(server: &Server, keys: &[Vec<u8>]) -> Result<Vec<Stored>, Error> {
    let mut found = Vec::with_capacity(keys.len());
    let mut fetched = Pipeline::with_capacity(keys.len());
    let mut places = Vec::new();
    let mut bytes = 0;
    for (key, length) in keys.iter().zip(lengths(server, keys).await?) {
        match length {
            Ok(0) => found.push(Stored::Missing),
            Ok(length) if length > LONGEST => {
                found.push(Stored::Unreadable(format!("it has {length} bytes")));
            }
            Ok(length) => {
                if bytes > 0 && bytes + length > AT_ONCE {
                    break;
                }
                bytes += length;
                fetched.cmd("GET").arg(key);
                places.push(found.len());
                found.push(Stored::Missing);
            }
            Err(why) => found.push(Stored::Unreadable(why.to_string())),
        }
    }
    for (place, outcome) in places.into_iter().zip(server.run_each(&fetched).await?) {
        let stored = match outcome {
            Ok(Value::BulkString(bytes)) => Stored::Bytes(bytes),
            Ok(_) => Stored::Missing,
            Err(error) if error.is_general() => return Err(error),
            Err(error) => Stored::Unreadable(error.to_string()),
        };
        if let Some(slot) = found.get_mut(place) {
            *slot = stored;
        }
    }
    Ok(found)
}

async fn lengths(server: &Server, keys: &[Vec<u8>]) -> Result<Vec<Result<u64, Error>>, Error> {
    let mut pipeline = Pipeline::with_capacity(keys.len());
    for key in keys {
        pipeline.cmd("STRLEN").arg(key);
    }
    let mut lengths = Vec::with_capacity(keys.len());
    for outcome in server.run_each(&pipeline).await? {
        lengths.push(match outcome {
            Ok(Value::Int(length)) => Ok(u64::try_from(length).unwrap_or(0)),
            Ok(_) => Err(Error::Command("an answer of another form".to_owned())),
            Err(error) if error.is_general() => return Err(error),
            Err(error) => Err(error),
        });
    }
    Ok(lengths)
}

/// Bytes that are compared at each end of what was read.
const EDGE: usize = 64;

/// Puts `ARGV[4]` in the place of what was read: so many bytes (`ARGV[1]`), beginning and ending with `ARGV[2]`
/// and `ARGV[3]`. What was appended since stays behind it. Gives 0 when the key does not begin with what was
/// read: then somebody else has replaced it. With nothing left the key goes, and its name from the set.
///
/// Length and both ends are enough: others append, which the length shows, or trim, which changes the beginning; one
/// who only sorts leaves the same points.
const REPLACE: &str = "
local n = tonumber(ARGV[1])
local edge = #ARGV[2]
if redis.call('STRLEN', KEYS[1]) < n
  or redis.call('GETRANGE', KEYS[1], 0, edge - 1) ~= ARGV[2]
  or redis.call('GETRANGE', KEYS[1], n - edge, n - 1) ~= ARGV[3] then
  return 0
end
local left = ARGV[4] .. redis.call('GETRANGE', KEYS[1], n, -1)
if #left == 0 then
  redis.call('DEL', KEYS[1])
  redis.call('SREM', KEYS[2], KEYS[1])
  return 2
end
redis.call('SET', KEYS[1], left)
return 1
";

/// Takes a name out of the set whose key is not there.
const FORGET: &str = "
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
return redis.call('SREM', KEYS[2], KEYS[1])
";

/// What became of a replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replaced {
    /// Somebody else has changed the key: it is as they left it.
    Raced,
    Done,
    Deleted,
}

/// Replacements that are made at once.
pub(super) struct Replacements {
    pipeline: Pipeline,
    set: String,
}

impl Replacements {
    pub(super) fn new(set: String) -> Self {
        Self { pipeline: pipe(), set }
    }

    /// `new` takes the place of `old`, which was read from `key` and is not empty.
    pub(super) fn replace(&mut self, key: &[u8], old: &[u8], new: &[u8]) {
        let edge = EDGE.min(old.len());
        let (first, last) = (old.get(..edge), old.get(old.len() - edge..));
        let mut command = Cmd::new();
        command.arg("EVAL").arg(REPLACE).arg(2).arg(key).arg(&self.set).arg(old.len());
        command.arg(first.unwrap_or_default()).arg(last.unwrap_or_default()).arg(new);
        self.pipeline.add_command(command);
    }

    /// `new` is the value of a key that is not there, unless somebody was faster.
    pub(super) fn create(&mut self, key: &[u8], new: &[u8]) {
        let mut command = Cmd::new();
        command.arg("EVAL").arg(REPLACE).arg(2).arg(key).arg(&self.set).arg(0).arg("").arg("").arg(new);
        self.pipeline.add_command(command);
    }

    /// The name of a missing key leaves the set.
    pub(super) fn forget(&mut self, key: &[u8]) {
        let mut command = Cmd::new();
        command.arg("EVAL").arg(FORGET).arg(2).arg(key).arg(&self.set);
        self.pipeline.add_command(command);
    }

    /// Makes them, and tells what became of each. A failure of one is a race that is lost.
    pub(super) async fn run(self, server: &Server) -> Result<Vec<Replaced>, Error> {
        let mut done = Vec::new();
        for outcome in server.run_each(&self.pipeline).await? {
            done.push(match outcome {
                Ok(Value::Int(1)) => Replaced::Done,
                Ok(Value::Int(2)) => Replaced::Deleted,
                Ok(_) => Replaced::Raced,
                Err(error) if error.is_general() => return Err(error),
                Err(error) => {
                    tracing::debug!("a key is left as it is: {error}");
                    Replaced::Raced
                }
            });
        }
        Ok(done)
    }
}
