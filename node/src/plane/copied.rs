//! What the copy in Redis asks of the windows.

use super::{Ask, Plane, Question, Refused};
use skyline_core::point::Datapoint;
use skyline_core::shard::ShardId;
use skyline_mirror::chunks::Shards;
use skyline_mirror::windows::Windows;
use skyline_store::chunk::{HandOut, Header, Whole};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;

/// Pause before a thread that has too many questions is asked again.
const AGAIN: Duration = Duration::from_millis(20);

impl Plane {
    /// Asks a shard's thread, for as long as it takes until it has room for the question; none: it has ended.
    async fn ask<T>(
        &self,
        shard: ShardId,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let mut question = question(answer);
        loop {
            match self.put(shard, question) {
                Ok(()) => return answered.await.ok(),
                Err(Refused::Gone) => return None,
                Err(Refused::Full(back)) => question = *back,
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

impl Windows for Plane {
    async fn names(&self, shard: ShardId) -> Vec<String> {
        self.ask(shard, |answer| Question::Names { shard, answer }).await.unwrap_or_default()
    }

    async fn points(&self, name: &str) -> Option<Vec<Datapoint>> {
        let (name, shard) = (name.to_owned(), ShardId::of_name(name.as_bytes()));
        let (from, until) = (f64::NEG_INFINITY, f64::INFINITY);
        self.ask(shard, |answer| Question::Series { name, from, until, answer }).await.flatten()
    }
}

impl Shards for Plane {
    fn files(&self) -> Option<Vec<(ShardId, Option<u64>)>> {
        let mut all = Vec::new();
        for thread in &self.threads {
            all.extend_from_slice(thread.shared.files.get()?);
        }
        Some(all)
    }

    async fn hand_out(&self, asks: Vec<Ask>, header: Header) -> Option<Vec<(ShardId, HandOut)>> {
        let mut by_thread: BTreeMap<usize, Vec<Ask>> = BTreeMap::new();
        for ask in asks {
            by_thread.entry(usize::from(ask.0.0) % self.threads.len().max(1)).or_default().push(ask);
        }
        let mut all = Vec::new();
        for asks in by_thread.into_values() {
            let Some((shard, _)) = asks.first().copied() else { continue };
            let header = header.clone();
            all.append(&mut self.ask(shard, |answer| Question::HandOut { asks, header, answer }).await?);
        }
        Some(all)
    }

    async fn adopt(&self, series: Vec<Whole>) -> (u64, u64) {
        let mut by_thread: BTreeMap<usize, (ShardId, Vec<Whole>)> = BTreeMap::new();
        for whole in series {
            let shard = ShardId::of_name(whole.name.as_bytes());
            let thread = usize::from(shard.0) % self.threads.len().max(1);
            by_thread.entry(thread).or_insert_with(|| (shard, Vec::new())).1.push(whole);
        }
        let mut sum = (0, 0);
        for (shard, series) in by_thread.into_values() {
            let all = series.len() as u64;
            let done = self.ask(shard, |answer| Question::Adopt { series, answer }).await;
            let (taken, refused) = done.unwrap_or((0, all));
            sum = (sum.0 + taken, sum.1 + refused);
        }
        sum
    }

    fn have_ended(&self) -> bool {
        self.threads.iter().all(|thread| thread.shared.ended.load(Ordering::Acquire))
    }
}
