//! Checks a finished module against what hosts load and what the project promises.
//!
//! A module that breaks one of these rules does harm quietly: Fluent Bit before 4.1 logs an error and then passes every
//! record unfiltered. So it fails here, where it is built.

pub mod outline;

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use wasmparser::{ExternalKind, ValType, Validator, WasmFeatures};

use crate::outline::Outline;

/// The largest module, in bytes, that travels in a Kubernetes `ConfigMap`: those are limited to 1 MiB, and base64 takes a
/// third more than it encodes.
pub const MOST_BYTES: usize = 700 * 1024;

/// What every supported host understands: Fluent Bit from 2.2 on is the strictest. Of bulk memory only copy and fill,
/// of reference types nothing, a table index in more than one byte included.
const FEATURES: WasmFeatures = WasmFeatures::MVP
    .union(WasmFeatures::MUTABLE_GLOBAL)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::BULK_MEMORY_OPT)
    .union(WasmFeatures::MULTI_VALUE);

/// The only module that hosts offer functions of.
const IMPORTED_MODULE: &str = "wasi_snapshot_preview1";

/// The functions that hosts call.
const FUNCTIONS: [(&str, &[ValType], &[ValType]); 8] = [
    // tag, its length, seconds, nanoseconds, record, its length
    ("audit_filter", &[ValType::I32; 6], &[ValType::I32]),
    ("alert_dingtalk", &[ValType::I32; 6], &[ValType::I32]),
    ("alert_slack", &[ValType::I32; 6], &[ValType::I32]),
    ("alert_alertmanager", &[ValType::I32; 6], &[ValType::I32]),
    ("partition_key", &[ValType::I32; 6], &[ValType::I32]),
    ("malloc", &[ValType::I32], &[ValType::I32]),
    ("free", &[ValType::I32], &[]),
    ("_initialize", &[], &[]),
];

/// The memory that hosts put records into.
const MEMORY: &str = "memory";

/// Checks everything.
///
/// `machine_paths` are directories that must not be named in the module: it would differ from one machine to the next,
/// and tell about the one it was built on.
///
/// # Errors
///
/// One message with every rule that the module breaks.
pub fn check(module: &[u8], machine_paths: &[PathBuf]) -> Result<()> {
    features(module)?;
    let outline = Outline::read(module)?;
    let problems = interface(&outline);
    if !problems.is_empty() {
        bail!("the module would not do its work in every host:\n- {}", problems.join("\n- "));
    }
    paths(module, machine_paths)
}

/// Checks that a binary names none of the directories.
///
/// # Errors
///
/// The first that it names.
pub fn paths(binary: &[u8], machine_paths: &[PathBuf]) -> Result<()> {
    for path in machine_paths {
        let path = path.to_string_lossy();
        if contains(binary, path.as_bytes()) {
            bail!("it names a directory of this machine, `{path}`: remap that prefix");
        }
    }
    Ok(())
}

/// Validates the module with exactly the [`FEATURES`] of the strictest host.
///
/// # Errors
///
/// Where it is invalid, or uses another feature.
pub fn features(module: &[u8]) -> Result<()> {
    Validator::new_with_features(FEATURES).validate_all(module).map_err(|error| {
        anyhow!(
            "the module would not load in every host: {} (at byte {:#x})",
            error.message(),
            error.offset()
        )
    })?;
    Ok(())
}

fn interface(outline: &Outline) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, parameters, results) in FUNCTIONS {
        let wanted = signature(parameters, results);
        match outline.export(name) {
            None => problems.push(format!("it does not export the function `{name}`: {wanted}")),
            Some(export) if export.kind != ExternalKind::Func => {
                problems.push(format!("its export `{name}` is no function: {wanted} is expected"));
            }
            Some(export) => {
                let Some(ty) = outline.function_type(export.index) else {
                    problems.push(format!("its export `{name}` has no type"));
                    continue;
                };
                if ty.params() != parameters || ty.results() != results {
                    let found = signature(ty.params(), ty.results());
                    problems.push(format!("its export `{name}` is {found}: {wanted} is expected"));
                }
            }
        }
    }
    if !outline.export(MEMORY).is_some_and(|export| export.kind == ExternalKind::Memory) {
        problems.push(format!("it does not export its memory as `{MEMORY}`"));
    }
    for import in &outline.imports {
        if import.module != IMPORTED_MODULE || !import.is_function {
            problems.push(format!(
                "it imports `{}` from `{}`: hosts offer the functions of {IMPORTED_MODULE} only",
                import.name, import.module
            ));
        }
    }
    problems
}

fn signature(parameters: &[ValType], results: &[ValType]) -> String {
    let list = |types: &[ValType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    format!("({}) -> ({})", list(parameters), list(results))
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{check, features};

    /// A module that keeps every rule, with room for one more thing.
    fn with(more: &str) -> String {
        format!(
            r#"(module
                 {more}
                 (memory (export "memory") 1)
                 (data (i32.const 8) "/rustc/abc/library/core/src/lib.rs")
                 (func (export "audit_filter") (export "alert_dingtalk") (export "alert_slack")
                       (export "alert_alertmanager") (export "partition_key")
                       (param i32 i32 i32 i32 i32 i32) (result i32) i32.const 0)
                 (func (export "malloc") (param i32) (result i32) i32.const 0)
                 (func (export "free") (param i32))
                 (func (export "_initialize")))"#
        )
    }

    fn problems(text: &str) -> String {
        let paths = [PathBuf::from("/home/someone/project"), PathBuf::from("/rustc/abc/library")];
        check(&wat::parse_str(text).unwrap(), &paths[..1])
            .map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn features_of_every_host_pass() {
        for code in [
            "(func (param i32) (result i32) local.get 0 i32.extend8_s)",
            "(func (param f64) (result i32) local.get 0 i32.trunc_sat_f64_s)",
            "(func i32.const 0 i32.const 8 i32.const 16 memory.copy)",
            "(func i32.const 0 i32.const 0 i32.const 16 memory.fill)",
            "(func (result i32 i32) i32.const 1 i32.const 2)",
            "(table 1 funcref) (func (param i32) local.get 0 call_indirect)",
        ] {
            assert_eq!(problems(&with(code)), "", "{code}");
        }
    }

    #[test]
    fn features_of_some_hosts_do_not() {
        for (name, code) in [
            ("reference types", "(table 1 externref)"),
            ("reference types", "(func (result funcref) ref.null func)"),
            ("two tables", "(table 1 funcref) (table 1 funcref)"),
            ("table operations", "(table 1 funcref) (func i32.const 0 i32.const 0 i32.const 0 table.copy)"),
            ("passive data", r#"(data $d "x") (func i32.const 0 i32.const 0 i32.const 1 memory.init $d)"#),
            ("simd", "(func (result v128) v128.const i64x2 0 0)"),
            ("tail calls", "(func $f return_call $f)"),
            ("extended constants", "(global i32 (i32.add (i32.const 1) (i32.const 2)))"),
            ("several memories", "(memory 1)"),
            ("64-bit memory", "(memory $big i64 1)"),
            ("exceptions", "(tag $t)"),
            ("threads", "(memory $shared 1 1 shared)"),
        ] {
            let module = wat::parse_str(with(code)).unwrap();
            let error = features(&module).expect_err(name).to_string();
            assert!(error.starts_with("the module would not load in every host"), "{name}: {error}");
        }
    }

    #[test]
    fn every_broken_rule_is_named() {
        for (text, expected) in [
            ("(module)".to_owned(), "it does not export the function `audit_filter`"),
            ("(module)".to_owned(), "it does not export the function `malloc`: (i32) -> (i32)"),
            ("(module)".to_owned(), "it does not export its memory as `memory`"),
            (
                r#"(module (func (export "free") (param i64)))"#.to_owned(),
                "its export `free` is (i64) -> (): (i32) -> () is expected",
            ),
            (r#"(module (memory (export "malloc") 1))"#.to_owned(), "its export `malloc` is no function"),
            (with(r#"(import "env" "puts" (func))"#), "it imports `puts` from `env`"),
            (
                with(r#"(import "wasi_snapshot_preview1" "base" (global i32))"#),
                "it imports `base` from `wasi_snapshot_preview1`",
            ),
            (
                with(r#"(data (i32.const 99) "/home/someone/project/plugin/engine/src/lib.rs")"#),
                "it names a directory of this machine, `/home/someone/project`",
            ),
        ] {
            let found = problems(&text);
            assert!(found.contains(expected), "{text}\n{found}");
        }
    }
}
