//! What is measured, and how: the time that the measuring thread has the processor. Other programs of the machine, which a clock
//! on the wall counts too, are nobody's merit.

use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput};
use nix::time::{ClockId, clock_gettime};

/// The processor's time of this thread.
pub struct ThreadTime;

/// Criterion as all benches use it.
#[must_use]
pub fn criterion() -> Criterion<ThreadTime> {
    Criterion::default().with_measurement(ThreadTime).without_plots()
}

/// Has a group measure passes over so many bytes, each of which takes long.
pub fn of_passes(group: &mut BenchmarkGroup<'_, ThreadTime>, bytes: u64) {
    group.throughput(Throughput::Bytes(bytes)).sampling_mode(SamplingMode::Flat).sample_size(10);
}

/// Now, in the time of this thread.
///
/// # Panics
/// On systems that do not count it.
#[expect(clippy::expect_used, reason = "without it there is nothing to measure")]
#[must_use]
pub fn now() -> Duration {
    let time =
        clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("the system counts the time of threads");
    time.into()
}

impl Measurement for ThreadTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        now()
    }

    fn end(&self, start: Duration) -> Duration {
        now() - start
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, time: &Duration) -> f64 {
        time.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        &Nanoseconds
    }
}

/// Times as the clock on the wall writes them.
struct Nanoseconds;

impl ValueFormatter for Nanoseconds {
    fn scale_values(&self, typical: f64, values: &mut [f64]) -> &'static str {
        WallTime.formatter().scale_values(typical, values)
    }

    fn scale_throughputs(&self, typical: f64, throughput: &Throughput, values: &mut [f64]) -> &'static str {
        WallTime.formatter().scale_throughputs(typical, throughput, values)
    }

    fn scale_for_machines(&self, values: &mut [f64]) -> &'static str {
        WallTime.formatter().scale_for_machines(values)
    }
}
