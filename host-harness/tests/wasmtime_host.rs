//! What the wasmtime host does with modules that behave, and with those that do not: each written by hand.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

use std::time::Duration;

use host_harness::configuration::FileSet;
use host_harness::exit::{ExitStatus, Misconfigured};
use host_harness::host::wasmtime::{Limits, WasmtimeHost};
use host_harness::host::{Failure, Host, Verdict};

/// A module whose `malloc` hands out what follows the last buffer, as far as the memory goes, and starts again when
/// something is freed. `$filter` is the body of `audit_filter`, which has `$record` and `$len`.
///
/// The first page is the module's own: it begins with an empty string, and has what `data` puts there.
fn module(data: &str, filter: &str) -> String {
    format!(
        r#"(module
            (memory (export "memory") 4)
            (global $next (mut i32) (i32.const 0x10000))
            (global $calls (mut i32) (i32.const 0))
            {data}
            (func (export "malloc") (param $size i32) (result i32)
                (local $start i32)
                (local.set $start (global.get $next))
                (global.set $next (i32.add (global.get $next) (local.get $size)))
                (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 0x10000)))
                    (then (return (i32.const 0))))
                (local.get $start))
            (func (export "free") (param i32) (global.set $next (i32.const 0x10000)))
            (func (export "audit_filter")
                (param $tag i32) (param $tag_len i32) (param i32 i32) (param $record i32) (param $len i32)
                (result i32)
                (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
                {filter}))"#
    )
}

fn start(wat: &str, limits: Limits) -> anyhow::Result<WasmtimeHost> {
    let module = wat::parse_str(wat).expect("the module is written correctly");
    WasmtimeHost::new("test.wasm", &module, &FileSet::default(), limits)
}

/// What a record becomes: the output, `dropped`, or why it failed.
fn filter(host: &mut WasmtimeHost, record: &str) -> String {
    let mut out = b"before ".to_vec();
    let verdict = host.filter(record.as_bytes(), &mut out);
    let added = String::from_utf8(out).unwrap();
    let added = added.strip_prefix("before ").expect("what was there before is kept");
    match verdict {
        Ok(Verdict::Kept) => added.to_owned(),
        Ok(Verdict::Dropped) => {
            assert_eq!(added, "");
            "dropped".to_owned()
        }
        Err(failure @ (Failure::Record(_) | Failure::Host(_))) => {
            assert_eq!(added, "", "a failure leaves nothing behind");
            failure.to_string()
        }
    }
}

/// The module answers records that begin with `{` as they are; what it does with others is the case.
fn unless_object(otherwise: &str) -> String {
    format!(
        r#"(if (result i32) (i32.eq (i32.load8_u (local.get $record)) (i32.const 0x7b))
            (then (local.get $record))
            (else {otherwise}))"#
    )
}

#[test]
fn a_bad_record_costs_itself_alone() {
    for (name, data, otherwise, expected) in [
        ("an empty result", "", "(i32.const 0)", "dropped"),
        ("a result", r#"(data (i32.const 8) "{\"a\":1}\00")"#, "(i32.const 8)", r#"{"a":1}"#),
        (
            "a result on several lines",
            r#"(data (i32.const 8) "{\n \"a\\n\":1\r\n}\n\00")"#,
            "(i32.const 8)",
            "{  \"a\\n\":1  } ",
        ),
        (
            "a trap",
            "",
            "(unreachable)",
            "audit_filter failed: wasm trap: wasm `unreachable` instruction executed",
        ),
        (
            "a read outside of the memory",
            "",
            "(i32.load (i32.const -1))",
            "audit_filter failed: wasm trap: out of bounds memory access",
        ),
        (
            "endless recursion",
            "(func $f (result i32) (i32.add (call $f) (call $f)))",
            "(call $f)",
            "audit_filter failed: wasm trap: call stack exhausted",
        ),
        (
            "an endless loop",
            "",
            "(loop $l (br $l)) (unreachable)",
            "audit_filter failed: it took too long and was stopped",
        ),
        (
            "an address outside of the memory",
            "",
            "(i32.const 0x40001)",
            "the result's address, 262145, is outside of the memory",
        ),
        (
            "an address at the memory's end",
            "",
            "(i32.const 0x40000)",
            "the result has no end: no NUL follows",
        ),
        (
            "no NUL up to the memory's end",
            "",
            "(memory.fill (i32.const 8) (i32.const 0x20) (i32.const 0x3fff8)) (i32.const 8)",
            "the result has no end: no NUL follows",
        ),
        (
            "a result that is not JSON",
            r#"(data (i32.const 8) "{\"a\":}\00")"#,
            "(i32.const 8)",
            "the result is not JSON: expected a value at byte 5",
        ),
        ("an array", r#"(data (i32.const 8) "[]\00")"#, "(i32.const 8)", "the result is no JSON object"),
        (
            "two objects",
            r#"(data (i32.const 8) "{} {}\00")"#,
            "(i32.const 8)",
            "the result goes on after byte 2",
        ),
    ] {
        let wat = module(data, &unless_object(otherwise));
        let limits = Limits { max_time: Duration::from_millis(200), ..Limits::default() };
        let mut host = start(&wat, limits).unwrap();
        for round in 1..=2 {
            assert_eq!(filter(&mut host, r#"{"before":1}"#), r#"{"before":1}"#, "{name}, round {round}");
            assert_eq!(filter(&mut host, "bad"), expected, "{name}, round {round}");
            assert_eq!(filter(&mut host, r#"{"after":1}"#), r#"{"after":1}"#, "{name}, round {round}");
        }
    }
}

#[test]
fn tag_and_record_come_as_fluent_bit_gives_them() {
    // A trap where the tag or the record is not followed by a NUL, or has another length.
    let mut host = start(
        &module(
            "",
            r#"(if (i32.load8_u (i32.add (local.get $tag) (local.get $tag_len))) (then unreachable))
               (if (i32.load8_u (i32.add (local.get $record) (local.get $len))) (then unreachable))
               (if (i32.eqz (local.get $tag_len)) (then unreachable))
               (if (i32.ne (i32.load8_u (i32.sub (i32.add (local.get $record) (local.get $len)) (i32.const 1)))
                           (i32.const 0x7d))
                   (then unreachable))
               (local.get $record)"#,
        ),
        Limits::default(),
    )
    .unwrap();
    for record in [r#"{"a":1}"#, r#"{"a":123456}"#, "{}"] {
        assert_eq!(filter(&mut host, record), record);
    }
    // A NUL within the record is the module's to see, and cuts what is returned.
    assert_eq!(filter(&mut host, "{}\0}"), "{}");
}

#[test]
fn what_an_instance_knew_goes_with_its_trap() {
    // Answers {"n":1}, {"n":2} … and traps on what is no object.
    let count = r#"(i32.store8 (i32.const 13) (i32.add (global.get $calls) (i32.const 0x30))) (i32.const 8)"#;
    let wat = module(
        r#"(data (i32.const 8) "{\"n\":0}\00")"#,
        &format!(
            "(if (i32.ne (i32.load8_u (local.get $record)) (i32.const 0x7b)) (then unreachable)) {count}"
        ),
    );
    let mut host = start(&wat, Limits::default()).unwrap();
    assert_eq!(filter(&mut host, "{}"), r#"{"n":1}"#);
    assert_eq!(filter(&mut host, "{}"), r#"{"n":2}"#);
    assert!(filter(&mut host, "bad").contains("unreachable"));
    assert_eq!(filter(&mut host, "{}"), r#"{"n":1}"#);
}

#[test]
fn buffers_come_from_the_module_and_go_back_to_it() {
    // 3 pages are to be handed out: hundreds of records of a page only pass if each is freed.
    let mut host = start(&module("", "(local.get $record)"), Limits::default()).unwrap();
    let page = format!("{{\"a\":\"{}\"}}", "x".repeat(0x10000));
    for _ in 0..300 {
        assert_eq!(filter(&mut host, &page), page);
    }
    let four_pages = "x".repeat(0x40000);
    assert_eq!(filter(&mut host, &four_pages), "malloc has no 262145 bytes");
    assert_eq!(filter(&mut host, &page), page);
}

#[test]
fn malloc_is_not_believed() {
    let lying = module("", "(local.get $record)").replace("(local.get $start))", "(i32.const 0x3ffff))");
    let mut host = start(&lying, Limits::default()).unwrap();
    let why = filter(&mut host, "{}");
    assert!(why.contains("at 262143, which is outside of the memory"), "{why}");
}

#[test]
fn memory_grows_up_to_its_limit() {
    // Grows by a page for each record; where it cannot, it traps.
    let growing = module(
        "",
        "(if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable)) (local.get $record)",
    );
    let limits = Limits { max_memory_bytes: 6 * 0x10000, ..Limits::default() };
    let mut host = start(&growing, limits).unwrap();
    for round in 1..=2 {
        assert_eq!(filter(&mut host, "{}"), "{}", "round {round}");
        assert_eq!(filter(&mut host, "{}"), "{}", "round {round}");
        assert!(filter(&mut host, "{}").contains("unreachable"), "round {round}");
    }
    assert_eq!(filter(&mut host, "{}"), "{}");
}

#[test]
fn a_module_that_cannot_be_run_is_the_users_to_change() {
    let good = module("", "(local.get $record)");
    let without = |export: &str| good.replace(&format!("(export \"{export}\")"), "");
    for (wat, expected) in [
        (without("memory"), "it exports no memory named \"memory\""),
        (without("malloc"), "it does not export malloc(i32) -> i32"),
        (without("free"), "it does not export free(i32)"),
        (without("audit_filter"), "it does not export audit_filter(i32, i32, i32, i32, i32, i32) -> i32"),
        (good.replace("(param $tag i32)", "(param $tag i64)"), "it does not export audit_filter("),
        (
            good.replace("(module", "(module (func (export \"_initialize\") unreachable)"),
            "_initialize failed: wasm trap: wasm `unreachable` instruction executed",
        ),
        (
            good.replace("(module", "(module (func (export \"_initialize\") (loop $l (br $l)))"),
            "_initialize failed: it took too long and was stopped",
        ),
        (
            good.replace("(module", "(module (func (export \"_initialize\") (param i32))"),
            "it does not export _initialize()",
        ),
        (good.replace("(module", "(module (import \"env\" \"f\" (func))"), "env::f"),
        (good.replace("(memory (export \"memory\") 4)", "(memory (export \"memory\") 64)"), "memory"),
        ("(component)".to_owned(), "it is a component"),
    ] {
        let limits = Limits { max_memory_bytes: 16 * 0x10000, max_time: Duration::from_millis(200) };
        let Err(error) = start(&wat, limits) else { panic!("{expected}: the module starts") };
        let text = format!("{error:#}");
        assert!(text.contains("test.wasm") && text.contains(expected), "{text}\ndoes not say {expected}");
        assert!(error.is::<Misconfigured>(), "{text}");
        assert_eq!(ExitStatus::of(&error), ExitStatus::Usage);
    }
    let Err(error) = WasmtimeHost::new("x", b"#!/bin/sh", &FileSet::default(), Limits::default()) else {
        panic!("a script starts");
    };
    assert_eq!(ExitStatus::of(&error), ExitStatus::Usage);
}

/// Reads `audit-filter.yaml` in its first directory at start, through WASI, and answers every record with it.
const READS_ITS_CONFIGURATION: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 4)
    (data (i32.const 8) "audit-filter.yaml")
    (data (i32.const 40) "\00\01\00\00\00\10\00\00") ;; up to 4096 bytes to 256
    (data (i32.const 256) "{\"none\":1}")
    (func (export "_initialize")
        (if (call $path_open (i32.const 3) (i32.const 0) (i32.const 8) (i32.const 17) (i32.const 0)
                (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 64))
            (then (return)))
        (if (call $fd_read (i32.load (i32.const 64)) (i32.const 40) (i32.const 1) (i32.const 68))
            (then unreachable)))
    (func (export "malloc") (param i32) (result i32) (i32.const 0x10000))
    (func (export "free") (param i32))
    (func (export "audit_filter") (param i32 i32 i32 i32 i32 i32) (result i32)
        (if (i32.eq (i32.load8_u (i32.const 0x10000)) (i32.const 0x78)) (then unreachable))
        (i32.const 256)))"#;

#[test]
fn the_module_reads_its_configuration() {
    let module = wat::parse_str(READS_ITS_CONFIGURATION).unwrap();
    let mut files = FileSet::default();
    let mut host = WasmtimeHost::new("test.wasm", &module, &files, Limits::default()).unwrap();
    assert_eq!(filter(&mut host, "{}"), r#"{"none":1}"#);

    files.insert("audit-filter.yaml", r#"{"configured": true}"#);
    files.insert("rules/own.yml", "title: x");
    let mut host = WasmtimeHost::new("test.wasm", &module, &files, Limits::default()).unwrap();
    assert_eq!(filter(&mut host, "{}"), r#"{"configured": true}"#);
    // An instance that is made anew reads it again.
    assert!(filter(&mut host, "x").contains("unreachable"));
    assert_eq!(filter(&mut host, "{}"), r#"{"configured": true}"#);
}
