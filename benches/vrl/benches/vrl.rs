//! The script beside which the filter's `events/wasmtime-policy` is put.
#![expect(clippy::expect_used, reason = "a bench that cannot go on ends")]

use std::hint::black_box;

use audit_filter_benches::events::Events;
use audit_filter_benches::time::{self, ThreadTime};
use audit_filter_benches_vrl::{Script, agree};
use criterion::{Criterion, criterion_group, criterion_main};

fn events(criterion: &mut Criterion<ThreadTime>) {
    let events = Events::read().expect("there is a log");
    let mut script = Script::new().expect("the script is right");
    agree(&events, &mut script).expect("the script does what the filter does");
    let mut group = criterion.benchmark_group("events");
    time::of_passes(&mut group, events.bytes());
    group.bench_function("vrl", |bencher| {
        bencher.iter(|| {
            for line in events.lines() {
                black_box(script.run(line).expect("every line is JSON"));
            }
        });
    });
    let mut out = Vec::new();
    group.bench_function("vrl-written", |bencher| {
        bencher.iter(|| {
            for line in events.lines() {
                out.clear();
                if let Some(event) = script.run(line).expect("every line is JSON") {
                    serde_json::to_writer(&mut out, &event).expect("a value can be written");
                }
                black_box(&out);
            }
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = time::criterion();
    targets = events
}
criterion_main!(benches);
