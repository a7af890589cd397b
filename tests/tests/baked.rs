//! A module with its configuration inside answers as the module with that configuration does, and reads no files.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

use std::fs;
use std::sync::OnceLock;

use end_to_end_tests::{configuration, engine_in_a_hurry, filter, module, root};
use host_harness::configuration::FileSet;
use host_harness::generate::{Options, generate};
use host_harness::host::bake::bake;
use host_harness::host::wasmtime::{Limits, WasmtimeHost};
use wasmtime::{Linker, Module, Store};

/// Nothing of it is a default.
const CONFIGURATION: &str = "
# Read once: why the routes are as they are.
policy:
  apiVersion: audit.k8s.io/v1
  kind: Policy
  rules:
  - {level: None, verbs: [watch]}
  - {level: RequestResponse, resources: [{group: '', resources: [pods, secrets]}]}
  - {level: Metadata}
output: {key: k8s_audit}
network: {highRisk: [203.0.113.0/24]}
routes:
- {name: siem, when: {k8s_audit.severity: [high, critical]}}
- {name: rest}
";

fn configured() -> FileSet {
    configuration(CONFIGURATION).files
}

fn baked() -> &'static [u8] {
    static BAKED: OnceLock<Vec<u8>> = OnceLock::new();
    BAKED.get_or_init(|| bake("audit_filter.wasm", module(), &configured()).unwrap())
}

fn host(module: &[u8], files: &FileSet) -> WasmtimeHost {
    WasmtimeHost::new("test.wasm", module, files, Limits::default())
        .unwrap_or_else(|error| panic!("{error:#}"))
}

#[test]
fn baked_equals_configured() {
    let mut log = fs::read(root().join("tests/fixtures/sample-audit.jsonl")).unwrap();
    generate(&Options { events: 500, seed: 11, ..Options::default() }, &mut log).unwrap();
    let mut configured = host(module(), &configured());
    let mut baked = host(baked(), &FileSet::default());
    let mut kept = 0;
    for line in log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let expected = filter(&mut configured, line);
        assert!(filter(&mut baked, line) == expected, "{:.300}", String::from_utf8_lossy(line));
        kept += usize::from(expected.is_some());
    }
    assert!(kept > 0);
}

#[test]
fn what_is_in_the_directory_then_does_not_count() {
    let event = br#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"1","stage":"ResponseComplete","requestURI":"/api","verb":"get","user":{"username":"jane"}}"#;
    let mut other = FileSet::default();
    other.insert("audit-filter.yaml", "output: {key: other}\n");
    let output = filter(&mut host(baked(), &other), event).unwrap();
    assert!(String::from_utf8_lossy(&output).contains(r#""k8s_audit":{"level":"Metadata""#));
}

#[test]
fn it_asks_the_host_for_nothing() {
    let engine = engine_in_a_hurry();
    let module = Module::new(&engine, baked()).unwrap();
    let mut linker: Linker<()> = Linker::new(&engine);
    linker.define_unknown_imports_as_traps(&module).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let initialize = instance.get_typed_func::<(), ()>(&mut store, "_initialize").unwrap();
    initialize.call(&mut store, ()).unwrap();
    let malloc = instance.get_typed_func::<u32, u32>(&mut store, "malloc").unwrap();
    let filter =
        instance.get_typed_func::<(u32, u32, u32, u32, u32, u32), u32>(&mut store, "audit_filter").unwrap();
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    let record = malloc.call(&mut store, 3).unwrap();
    memory.write(&mut store, record as usize, b"{}\0").unwrap();
    let result = filter.call(&mut store, (0, 0, 0, 0, record, 2)).unwrap() as usize;
    assert!(memory.data(&store).get(result..).unwrap().starts_with(br#"{"k8s_audit":{"#));
}

#[test]
fn what_only_the_start_needed_is_not_in_it() {
    let has = |text: &str| baked().windows(text.len()).any(|window| window == text.as_bytes());
    assert!(!has("Read once: why the routes"), "the text of the configuration");
    assert!(has("k8s_audit"), "what has become of it");
}

#[test]
fn every_host_loads_it() {
    module_check::check(baked(), &[]).unwrap();
}

#[cfg(feature = "wamr")]
#[test]
fn wamr_filters_the_same_with_it() {
    use host_harness::host::wamr::WamrHost;
    let log = fs::read(root().join("tests/fixtures/sample-audit.jsonl")).unwrap();
    let mut configured = host(module(), &configured());
    let mut baked = WamrHost::new("test.wasm", baked(), &FileSet::default(), Limits::default()).unwrap();
    for line in log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        assert!(filter(&mut baked, line) == filter(&mut configured, line));
    }
}

#[test]
fn what_cannot_start_cannot_be_baked() {
    let mut wrong = FileSet::default();
    wrong.insert("audit-filter.yaml", "polcy: {}\n");
    let error = format!("{:#}", bake("test.wasm", module(), &wrong).unwrap_err());
    assert!(error.contains("test.wasm does not start"), "{error}");
    let error = format!("{:#}", bake("test.wasm", b"\0asm", &wrong).unwrap_err());
    assert!(error.contains("cannot bake test.wasm"), "{error}");
}
