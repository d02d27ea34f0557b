//! Cost of an input of aggregates: 1,000 inputs into 10 outputs, by function. Nothing is sent or saved.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use skyline_conf::routing::pattern::{Dialect, Pattern};
use skyline_conf::routing::template::{Case, Part, Template};
use skyline_conf::routing::{
    Aggregation, Digits, Function, Matcher, Output, Routing, Stamp, Statement, Then,
};
use skyline_core::batch::{Batch, BatchBuilder, Listener, Origin, Source};
use skyline_relay::aggregate::{Bench, Limits};
use std::sync::Arc;

const INPUTS: usize = 1_000;

fn aggregation(function: Function) -> Option<Aggregation> {
    let group = Part::Group { index: 1, case: Case::Keep, dots_to_underscores: false };
    let name = Template::of(vec![Part::Text("all.".to_owned()), group, Part::Text(".requests".to_owned())]);
    Some(Aggregation {
        when: Matcher::of(vec![Pattern::new(r"^servers\.[^.]+\.cpu\.(\d)", Dialect::Python).ok()?]),
        for_each_pattern: false,
        outputs: vec![Output { name, is_whole: true, function, digits: Digits::Fewest }],
        every: 60,
        after: 70,
        keep: 360,
        stamp: Stamp::Start,
        then: Then::FromTop,
        stop: false,
    })
}

/// What 1,000 agents send in one minute.
fn minute(minute: usize) -> Option<Batch> {
    let ts = (minute * 60) as f64;
    let source = Source { listener: Listener::PlaintextTcp, origin: Origin::Live };
    let mut builder = BatchBuilder::new(source, ts);
    for i in 0..INPUTS {
        let name = format!("servers.web{:04}.cpu.{}.percent-user", i / 10, i % 10);
        builder.point(name.as_bytes(), ts + (i % 60) as f64, i as f64 * 1.37).ok()?;
    }
    builder.finish()
}

fn inputs(c: &mut Criterion) {
    let mut group = c.benchmark_group("aggregate");
    group.throughput(Throughput::Elements(INPUTS as u64));
    for function in [Function::Sum, Function::Average, Function::Deviation, Function::Quantile(0.95)] {
        let Some(aggregation) = aggregation(function) else { continue };
        let statements = vec![Statement::Aggregate(aggregation)];
        let mut bench = Bench::new(Arc::new(Routing { statements, ..Routing::default() }), Limits::default());
        let minutes: Vec<Batch> = (0..16).filter_map(|i| minute(1_000_000 + i)).collect();
        // Beyond the samples: times that began anew would be too late.
        let mut at = 0;
        group.bench_function(BenchmarkId::from_parameter(format!("{function:?}")), |b| {
            b.iter(|| {
                // Times go on with every round, so that buckets begin, are computed, and go.
                if let Some(batch) = minutes.get(at % minutes.len()) {
                    let later = (at / minutes.len() * minutes.len() * 60) as f64;
                    bench.minute(batch, later);
                }
                at += 1;
            });
        });
        assert_eq!(bench.counts().too_late + bench.counts().full_values, 0, "what is refused costs less");
    }
    group.finish();
}

criterion_group!(benches, inputs);
criterion_main!(benches);
