//! The filter beside what its users would otherwise run, and by what its cost grows.
//!
//! | group | compares |
//! | --- | --- |
//! | `events` | the filter in wasmtime and natively, a reader in `serde_json`; `benches/vrl` adds ACK's policy in VRL |
//! | `policy-rules` | policies of 10, 100 and 1,000 rules, through the module |
//! | `sigma-rules` | no rules, those built in with and without correlations, 10, 100 and 1,000, through the module; all is kept |
//! | `bytes` | one event with a body of 1 KiB to 1 MiB that is kept, through the module |
#![expect(clippy::expect_used, reason = "a bench that cannot go on ends")]

use std::hint::black_box;

use anyhow::Result;
use audit_filter_benches::events::Events;
use audit_filter_benches::time::{self, ThreadTime};
use audit_filter_benches::{filter, reader, rules};
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use host_harness::host::Host;

type Group<'c> = BenchmarkGroup<'c, ThreadTime>;

fn measure(group: &mut Group<'_>, name: &str, mut host: Box<dyn Host>, events: &Events) {
    let mut out = Vec::new();
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            filter::run(&mut *host, events.lines(), &mut out).expect("the filter takes every record")
        });
    });
}

fn events(criterion: &mut Criterion<ThreadTime>) -> Result<()> {
    let events = Events::read()?;
    let mut group = criterion.benchmark_group("events");
    time::of_passes(&mut group, events.bytes());
    group.bench_function("serde_json", |bencher| {
        bencher.iter(|| {
            for line in events.lines() {
                black_box(reader::read(line).expect("every line is an event"));
            }
        });
    });
    measure(&mut group, "wasmtime", filter::wasmtime("", None)?, &events);
    measure(&mut group, "wasmtime-policy", filter::wasmtime(filter::POLICY_ONLY, None)?, &events);
    measure(&mut group, "native", filter::native("")?, &events);
    group.finish();

    let mut group = criterion.benchmark_group("policy-rules");
    time::of_passes(&mut group, events.bytes());
    for count in [10, 100, 1_000] {
        measure(&mut group, &count.to_string(), filter::wasmtime(&rules::policy(count), None)?, &events);
    }
    group.finish();

    let mut group = criterion.benchmark_group("sigma-rules");
    time::of_passes(&mut group, events.bytes());
    for (name, configuration) in [
        ("none", rules::no_sigma()),
        ("built-in", rules::builtin_sigma()),
        ("built-in-without-correlations", rules::builtin_sigma_without_correlations()),
    ] {
        measure(&mut group, name, filter::wasmtime(&configuration, None)?, &events);
    }
    for count in [10, 100, 1_000] {
        let host = filter::wasmtime(&rules::own_sigma(), Some(&rules::sigma(count)))?;
        measure(&mut group, &count.to_string(), host, &events);
    }
    group.finish();

    let mut group = criterion.benchmark_group("bytes");
    let mut host = filter::wasmtime(&rules::builtin_sigma(), None)?;
    let mut out = Vec::new();
    for kib in [1, 16, 256, 1_024] {
        let event = Events::with_body(kib * 1_024);
        group.throughput(Throughput::Bytes(event.len() as u64));
        group.bench_function(format!("{kib}-KiB"), |bencher| {
            let one = || std::iter::once(&*event);
            bencher.iter(|| filter::run(&mut *host, one(), &mut out).expect("the filter takes the event"));
        });
    }
    group.finish();
    Ok(())
}

fn all(criterion: &mut Criterion<ThreadTime>) {
    if let Err(error) = events(criterion) {
        eprintln!("error: {error:#}");
        std::process::exit(1);
    }
}

criterion_group! {
    name = benches;
    config = time::criterion();
    targets = all
}
criterion_main!(benches);
