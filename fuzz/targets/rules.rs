//! Puts [`audit_filter_fuzz::rules`] to the fuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| audit_filter_fuzz::rules(data));
