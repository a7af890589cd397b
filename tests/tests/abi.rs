//! The module's C ABI as the least obliging hosts use it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

use end_to_end_tests::{engine_in_a_hurry, module};
use std::sync::LazyLock;
use wasmtime::{ExternType, Instance, Linker, Memory, Module, Store, TypedFunc, Val};

/// WASI's answer where a host has opened no directory.
const BADF: i32 = 8;

type FilterArguments = (u32, u32, u32, u32, u32, u32);

/// The module in a host that offers WASI in name only.
struct Host {
    store: Store<()>,
    instance: Instance,
    memory: Memory,
    malloc: TypedFunc<u32, u32>,
    free: TypedFunc<u32, ()>,
    filter: TypedFunc<FilterArguments, u32>,
}

impl Host {
    fn new() -> Self {
        // Compiled once for all tests: that takes longer than they do.
        static MODULE: LazyLock<Module> =
            LazyLock::new(|| Module::new(&engine_in_a_hurry(), module()).unwrap());
        let (module, engine) = (&*MODULE, MODULE.engine());
        let mut linker: Linker<()> = Linker::new(engine);
        for import in module.imports() {
            let ExternType::Func(signature) = import.ty() else { panic!("{} is no function", import.name()) };
            let answer = |_: wasmtime::Caller<'_, ()>, _: &[Val], results: &mut [Val]| {
                results.fill(Val::I32(BADF));
                Ok(())
            };
            linker.func_new(import.module(), import.name(), signature, answer).unwrap();
        }
        let mut store = Store::new(engine, ());
        let instance: Instance = linker.instantiate(&mut store, module).unwrap();
        let initialize = instance.get_typed_func::<(), ()>(&mut store, "_initialize").unwrap();
        initialize.call(&mut store, ()).unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        let malloc = instance.get_typed_func(&mut store, "malloc").unwrap();
        let free = instance.get_typed_func(&mut store, "free").unwrap();
        let filter = instance.get_typed_func(&mut store, "audit_filter").unwrap();
        Self { store, instance, memory, malloc, free, filter }
    }

    /// Hands the module a copy, NUL-terminated, and returns its address.
    fn hand_over(&mut self, bytes: &[u8]) -> u32 {
        let size = u32::try_from(bytes.len() + 1).unwrap();
        let address = self.malloc.call(&mut self.store, size).unwrap();
        let start = address as usize;
        self.memory.write(&mut self.store, start, bytes).unwrap();
        self.memory.write(&mut self.store, start + bytes.len(), &[0]).unwrap();
        address
    }

    fn filter(&mut self, record: &[u8], free_afterwards: bool) -> Vec<u8> {
        self.call(&self.filter.clone(), record, free_afterwards)
    }

    /// Calls another of the functions that take and return a record.
    fn export(&mut self, name: &str, record: &[u8]) -> Vec<u8> {
        let function = self.instance.get_typed_func(&mut self.store, name).unwrap();
        self.call(&function, record, true)
    }

    fn call(
        &mut self,
        function: &TypedFunc<FilterArguments, u32>,
        record: &[u8],
        free_afterwards: bool,
    ) -> Vec<u8> {
        let tag = self.hand_over(b"tag");
        let address = self.hand_over(record);
        let arguments = (tag, 3, 1_772_409_600, 5, address, u32::try_from(record.len()).unwrap());
        let result = function.call(&mut self.store, arguments).unwrap() as usize;
        let output = self.memory.data(&self.store).get(result..).unwrap();
        let output = output.iter().take_while(|byte| **byte != 0).copied().collect();
        if free_afterwards {
            self.free.call(&mut self.store, tag).unwrap();
            self.free.call(&mut self.store, address).unwrap();
        }
        output
    }

    fn memory_bytes(&self) -> usize {
        self.memory.data_size(&self.store)
    }
}

/// Events of many sizes, up to half a megabyte.
fn events() -> Vec<Vec<u8>> {
    let options = host_harness::generate::Options { events: 300, seed: 3, ..Default::default() };
    let mut log = Vec::new();
    host_harness::generate::generate(&options, &mut log).unwrap();
    let mut events: Vec<Vec<u8>> =
        log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect();
    events.push(format!(r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"x","stage":"ResponseComplete","verb":"create","requestURI":"/","requestObject":"{}"}}"#, "x".repeat(500_000)).into_bytes());
    events
}

#[test]
fn memory_stays_flat_whether_the_host_frees_or_not() {
    let events = events();
    let largest = events.iter().map(Vec::len).max().unwrap();
    for frees in [true, false] {
        let mut host = Host::new();
        let mut pass = || {
            for event in &events {
                host.filter(event, frees);
            }
            host.memory_bytes()
        };
        let warm = pass();
        for round in 1..5 {
            assert_eq!(pass(), warm, "round {round}, host frees: {frees}");
        }
        assert!(warm <= 4 * largest + (4 << 20), "{warm} bytes for events of up to {largest}");
    }
}

#[test]
fn results_are_the_same_each_time_and_whether_the_host_frees_or_not() {
    // Two instances, as alerts depend on what an instance has seen before.
    let (mut frees, mut keeps) = (Host::new(), Host::new());
    for event in events() {
        let first = frees.filter(&event, true);
        assert_eq!(String::from_utf8(keeps.filter(&event, false)), String::from_utf8(first.clone()));
        assert!(first.is_empty() || first.last() == Some(&b'}'));
    }
}

#[test]
fn records_without_an_address_or_a_length_do_no_harm() {
    let mut host = Host::new();
    for (address, length) in [(0, 0), (0, 10)] {
        let result = host.filter.call(&mut host.store, (0, 0, 0, 0, address, length)).unwrap() as usize;
        let output = host.memory.data(&host.store).get(result..).unwrap();
        assert!(output.starts_with(br#"{"log":"","audit":"#), "address {address}, length {length}");
    }
    // Memory that cannot be had is refused, and the module goes on.
    assert_eq!(host.malloc.call(&mut host.store, u32::MAX).unwrap(), 0);
    assert!(host.filter(b"{}", true).starts_with(br#"{"audit":"#));
}

/// Each is a filter of its own in Fluent Bit, on records that the first has kept.
#[test]
fn what_was_kept_becomes_notifications_and_messages_with_a_key() {
    let mut host = Host::new();
    let mut notified = 0;
    for event in events().iter().step_by(5) {
        let kept = host.filter(event, true);
        if kept.is_empty() {
            continue;
        }
        for name in ["alert_dingtalk", "alert_slack"] {
            let post: serde_json::Value = serde_json::from_slice(&host.export(name, &kept)).unwrap();
            serde_json::from_str::<serde_json::Value>(post["body"].as_str().unwrap()).unwrap();
        }
        let alert: serde_json::Value =
            serde_json::from_slice(&host.export("alert_alertmanager", &kept)).unwrap();
        assert!(alert["labels"]["alertname"].is_string(), "{alert}");

        let record: serde_json::Value = serde_json::from_slice(&kept).unwrap();
        let message: serde_json::Value =
            serde_json::from_slice(&host.export("partition_key", &kept)).unwrap();
        assert_eq!(message["partition_key"], record["audit"]["source_ip"]);
        notified += 1;
    }
    assert!(notified > 20, "{notified} records were kept");
}
