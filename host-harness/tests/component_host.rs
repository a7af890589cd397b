//! What the component's host does with components that behave, and with those that do not: each written by hand, with
//! the real interface.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use std::path::Path;
use std::time::Duration;

use host_harness::configuration::FileSet;
use host_harness::exit::Misconfigured;
use host_harness::host::component::{ComponentHost, is_component};
use host_harness::host::wasmtime::Limits;
use host_harness::host::{Host, Verdict};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A component that is made of this core module. `$init` has `$files` and `$count`, `$filter` has `$record` and `$len`;
/// each leaves the address of its result, which may be that of:
///
/// - 16: the success of `init`, without warnings; 32: its failure, with one problem, `broken`
/// - 48: `drop`; what `$keep` gives for an address and a length: `keep`
fn component(data: &str, init: &str, filter: &str) -> Vec<u8> {
    let mut module = wat::parse_str(format!(
        r#"(module
            (memory (export "memory") 4)
            (global $calls (mut i32) (i32.const 0))
            (data (i32.const 16) "\00\00\00\00\00\00\00\00\00\00\00\00")
            (data (i32.const 32) "\01\00\00\00\80\00\00\00\01\00\00\00")
            (data (i32.const 48) "\01")
            (data (i32.const 128) "\88\00\00\00\06\00\00\00broken")
            {data}
            (func $keep (param $start i32) (param $len i32) (result i32)
                (i32.store (i32.const 64) (i32.const 0))
                (i32.store (i32.const 68) (local.get $start))
                (i32.store (i32.const 72) (local.get $len))
                (i32.const 64))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0x10000))
            (func (export "k8s-audit-filter:filter/audit@0.1.0#init")
                (param $files i32) (param $count i32) (result i32) {init})
            (func (export "k8s-audit-filter:filter/audit@0.1.0#filter")
                (param $record i32) (param $len i32) (result i32)
                (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
                {filter}))"#
    ))
    .unwrap();
    let mut resolve = Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin/component/wit");
    let (package, _) = resolve.push_dir(wit).unwrap();
    let world = resolve.select_world(&[package], Some("audit-filter")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

fn start(component: &[u8]) -> anyhow::Result<ComponentHost> {
    let limits = Limits { max_time: Duration::from_millis(200), max_memory_bytes: 6 * 0x10000 };
    ComponentHost::new("test.wasm", component, &FileSet::default(), limits)
}

/// What a record becomes: the output, `dropped`, or why it failed.
fn filter(host: &mut ComponentHost, record: &str) -> String {
    let mut out = b"before ".to_vec();
    let verdict = host.filter(record.as_bytes(), &mut out);
    let out = String::from_utf8(out).unwrap();
    let added = out.strip_prefix("before ").unwrap();
    match verdict {
        Ok(Verdict::Kept) => return added.to_owned(),
        Ok(Verdict::Dropped) => assert_eq!(added, ""),
        Err(failure) => {
            assert_eq!(added, "", "a failure leaves nothing behind");
            return failure.to_string();
        }
    }
    "dropped".to_owned()
}

#[test]
fn a_bad_record_costs_itself_alone() {
    for (name, otherwise, expected) in [
        ("a drop", "(i32.const 48)", "dropped"),
        ("a trap", "(unreachable)", "filter failed: wasm trap: wasm `unreachable` instruction executed"),
        (
            "an endless loop",
            "(loop $l (br $l)) (unreachable)",
            "filter failed: it took too long and was stopped",
        ),
        (
            "more memory than there is",
            "(if (i32.eq (memory.grow (i32.const 3)) (i32.const -1)) (then unreachable)) (i32.const 48)",
            "filter failed: wasm trap: wasm `unreachable` instruction executed",
        ),
        (
            "a result outside of the memory",
            "(call $keep (i32.const 0x3ffff) (i32.const 2))",
            "filter failed: list pointer/length out of bounds of memory",
        ),
        (
            "a result that is no object",
            "(call $keep (local.get $record) (i32.const 3))",
            "the result is not JSON: expected a value at byte 0",
        ),
    ] {
        let object = "(if (result i32) (i32.eq (i32.load8_u (local.get $record)) (i32.const 0x7b))";
        let same = "(then (call $keep (local.get $record) (local.get $len)))";
        let component = component("", "(i32.const 16)", &format!("{object} {same} (else {otherwise}))"));
        assert!(is_component(&component));
        let mut host = start(&component).unwrap();
        for round in 1..=2 {
            assert_eq!(filter(&mut host, r#"{"before":1}"#), r#"{"before":1}"#, "{name}, round {round}");
            assert_eq!(filter(&mut host, "bad"), expected, "{name}, round {round}");
            assert_eq!(filter(&mut host, "{\"after\":\n1}"), r#"{"after": 1}"#, "{name}, round {round}");
        }
    }
}

#[test]
fn instances_know_nothing_of_each_other() {
    // Answers {"n":1}, {"n":2} …
    let count = "(i32.store8 (i32.const 205) (i32.add (global.get $calls) (i32.const 0x30)))";
    let count = format!("{count} (call $keep (i32.const 200) (i32.const 7))");
    let component = component(r#"(data (i32.const 200) "{\"n\":0}")"#, "(i32.const 16)", &count);
    let mut one = start(&component).unwrap();
    assert_eq!(filter(&mut one, "{}"), r#"{"n":1}"#);
    let mut other = one.another().unwrap();
    assert_eq!(filter(&mut other, "{}"), r#"{"n":1}"#);
    assert_eq!(filter(&mut one, "{}"), r#"{"n":2}"#);
}

#[test]
fn a_component_that_cannot_be_run_is_the_users_to_change() {
    let fails = component("", "(i32.const 32)", "(i32.const 48)");
    let traps = component("", "(unreachable)", "(i32.const 48)");
    let hangs = component("", "(loop $l (br $l)) (unreachable)", "(i32.const 48)");
    for (binary, expected) in [
        (&*fails, "broken"),
        (&traps, "init failed: wasm trap: wasm `unreachable` instruction executed"),
        (&hangs, "init failed: it took too long and was stopped"),
        (b"\0asm\x0d\0\x01\0", "k8s-audit-filter:filter/audit@0.1.0"),
        (b"#!/bin/sh", "cannot run test.wasm"),
    ] {
        let Err(error) = start(binary) else { panic!("{expected}: the component starts") };
        let text = format!("{error:#}");
        assert!(text.contains("test.wasm") && text.contains(expected), "{text}\ndoes not say {expected}");
        assert!(error.is::<Misconfigured>(), "{text}");
    }
}
