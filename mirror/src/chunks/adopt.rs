//! Reading a shard's windows.

use super::keys::{Keys, hours};
use super::told::Told;
use crate::server::{Error, Server};
use redis::{Pipeline, Value};
use skyline_store::block::Sealer;
use skyline_store::chunk::{Gathered, Whole};
use std::sync::atomic::Ordering;

/// Hours that are read at once.
const AT_ONCE: usize = 8;

/// A shard's series as Redis has them, and whether nothing was damaged. `now` and `keep`: which hours can be of use, seconds.
pub(super) async fn read(
    server: &Server,
    keys: Keys<'_>,
    now: f64,
    keep: f64,
    told: &Told,
) -> Result<(Vec<Whole>, bool), Error> {
    let before = told.damaged.load(Ordering::Relaxed);
    let mut chunks: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let hours: Vec<i64> = hours(now, keep).collect();
    for some in hours.chunks(AT_ONCE) {
        let mut pipeline = Pipeline::new();
        for hour in some {
            pipeline.cmd("HGETALL").arg(keys.blocks(*hour));
        }
        for (outcome, hour) in server.run_each(&pipeline).await?.into_iter().zip(some) {
            match outcome {
                Ok(answer) => chunks.extend(fields(answer)),
                Err(error) if error.is_general() => return Err(error),
                // It is no hash: nothing that this node wrote.
                Err(error) => damaged(told, &keys.blocks(*hour), &error),
            }
        }
    }
    // In the order in which they were handed out, whatever hour they are of.
    chunks.sort_by(|a, b| a.0.cmp(&b.0));
    let mut gathered = Gathered::default();
    for (field, chunk) in &chunks {
        match gathered.add_blocks(chunk) {
            Ok(0) => {}
            Ok(lost) => drop(told.damaged.fetch_add(lost, Ordering::Relaxed)),
            Err(error) => damaged(told, &String::from_utf8_lossy(field), &error),
        }
    }
    match server.query::<Option<Vec<u8>>>(redis::cmd("GET").arg(keys.open())).await {
        Ok(None) => {}
        Ok(Some(open)) => {
            if let Err(error) = gathered.add_open(&open) {
                damaged(told, &keys.open(), &error);
            }
        }
        Err(error) if error.is_general() => return Err(error),
        Err(error) => damaged(told, &keys.open(), &error),
    }
    let is_sound = told.damaged.load(Ordering::Relaxed) == before;
    Ok((gathered.into_series(&mut Sealer::default()), is_sound))
}

/// Whether there are blocks of a shard.
pub(super) async fn has_blocks(server: &Server, keys: Keys<'_>, now: f64, keep: f64) -> Result<bool, Error> {
    let mut command = redis::cmd("EXISTS");
    for hour in hours(now, keep) {
        command.arg(keys.blocks(hour));
    }
    Ok(server.query::<u64>(&command).await? > 0)
}

fn damaged(told: &Told, what: &str, error: &dyn std::fmt::Display) {
    told.damaged.fetch_add(1, Ordering::Relaxed);
    tracing::warn!(%error, chunk = what, "a chunk in Redis cannot be read; its points are left out");
}

/// The fields of a hash with their values.
fn fields(answer: Value) -> Vec<(Vec<u8>, Vec<u8>)> {
    let bytes = |value: Value| match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    };
    let flat: Vec<Value> = match answer {
        Value::Map(pairs) => {
            return pairs.into_iter().filter_map(|(k, v)| Some((bytes(k)?, bytes(v)?))).collect();
        }
        Value::Array(flat) => flat,
        _ => return Vec::new(),
    };
    let mut flat = flat.into_iter();
    let mut all = Vec::with_capacity(flat.len() / 2);
    while let (Some(field), Some(value)) = (flat.next(), flat.next()) {
        all.extend(bytes(field).zip(bytes(value)));
    }
    all
}
