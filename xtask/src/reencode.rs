//! Turns the module that the linker wrote into the one that hosts load.
//!
//! Three changes, none of them to what a function computes:
//!
//! - **Every number in its shortest form, no custom sections.** A linker pads what it may have to patch, the table
//!   index of `call_indirect` among it, and hosts without reference types (Fluent Bit before 4.0.3) read one zero byte
//!   there or refuse the module. Building with that feature off is not enough: the prebuilt standard library has it on.
//! - **No exports of the linker's own**, which all begin with two underscores, nor of what only the compiler calls.
//! - **Each call from the host begins with a fresh stack.** A trap leaves `__stack_pointer` where it was, and a host
//!   that goes on with the instance (Fluent Bit since 4.1) would lose a little more of the stack with every trap, until
//!   no record passes. So what a host calls for each record is wrapped:
//!
//! ```text
//! (func (export "malloc") (param i32) (result i32)
//!   i32.const 65536  global.set $__stack_pointer     ;; where the linker let it begin
//!   local.get 0      call $malloc)
//! ```
//!
//! Calls inside of the module go to the functions themselves. A wrapped function must therefore never be called by a
//! host function that the module itself called; no import of the module calls back.

use std::convert::Infallible;

use anyhow::{Context, Result, anyhow, bail};
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{CodeSection, ExportKind, ExportSection, Function, FunctionSection, Module};
use wasmparser::{
    CodeSectionReader, CustomSectionReader, ExternalKind, FunctionSectionReader, Parser, ValType,
};

use module_check::outline::{Export, Outline};

/// The linker's name for the global that holds the top of the stack in linear memory; the linker has to export it
/// (`--export`).
pub(crate) const STACK_POINTER: &str = "__stack_pointer";

/// What a host calls for every record, and with that after a trap. `_initialize` is not among them: where it traps,
/// hosts give the instance up.
const CALLED_PER_RECORD: [&str; 7] = [
    "audit_filter",
    "alert_dingtalk",
    "alert_slack",
    "alert_alertmanager",
    "partition_key",
    "malloc",
    "free",
];

/// How the linker marks its own exports.
const LINKERS_OWN: &str = "__";

/// What the module defines for the compiler: a name that links is one that is exported.
const COMPILERS_OWN: &str = "memcmp";

/// Makes the module that hosts load out of the one that the linker wrote.
///
/// # Errors
///
/// Where the bytes are no core module, or the stack pointer is not exported as an `i32` global that can change and
/// begins with a constant.
pub(crate) fn finish(linked: &[u8]) -> Result<Vec<u8>> {
    let plan = Plan::make(&Outline::read(linked)?)?;
    let mut module = Module::new();
    Finisher { plan }
        .parse_core_module(&mut module, Parser::new(0), linked)
        .map_err(|error| anyhow!("cannot re-encode the module: {error}"))?;
    Ok(module.finish())
}

/// What is appended, worked out before anything is written.
struct Plan {
    stack_pointer: u32,
    /// Where the stack begins: an address, as the bits of an `i32`.
    stack_start: i32,
    wrappers: Vec<Wrapper>,
}

/// A function that gives another one a fresh stack.
struct Wrapper {
    export: String,
    /// Its own function index.
    index: u32,
    /// The function it calls.
    callee: u32,
    /// The type of both.
    type_index: u32,
    parameters: u32,
}

impl Plan {
    fn make(outline: &Outline) -> Result<Self> {
        let Some(&Export { kind: ExternalKind::Global, index: stack_pointer, .. }) =
            outline.export(STACK_POINTER)
        else {
            bail!(
                "the linker did not export the global `{STACK_POINTER}`: link with --export={STACK_POINTER}"
            );
        };
        let global = outline.globals.get(usize::try_from(stack_pointer)?);
        let global = global.with_context(|| format!("there is no global {stack_pointer}"))?;
        let (ValType::I32, true, Some(stack_start)) =
            (global.ty.content_type, global.ty.mutable, global.initial)
        else {
            bail!("`{STACK_POINTER}` is no mutable i32 global that begins with a constant");
        };

        let mut wrappers = Vec::new();
        for name in CALLED_PER_RECORD {
            // That all are there is `verify`'s to say, with everything else that is missing.
            let Some(&Export { kind: ExternalKind::Func, index: callee, .. }) = outline.export(name) else {
                continue;
            };
            let function = outline.functions.get(usize::try_from(callee)?);
            let ty = outline.function_type(callee).with_context(|| format!("`{name}` has no type"))?;
            wrappers.push(Wrapper {
                export: name.to_owned(),
                index: u32::try_from(outline.functions.len() + wrappers.len())?,
                callee,
                type_index: *function.with_context(|| format!("there is no function {callee}"))?,
                parameters: u32::try_from(ty.params().len())?,
            });
        }
        Ok(Self { stack_pointer, stack_start, wrappers })
    }

    fn body(&self, wrapper: &Wrapper) -> Function {
        let mut body = Function::new([]);
        let mut code = body.instructions();
        code.i32_const(self.stack_start).global_set(self.stack_pointer);
        for parameter in 0..wrapper.parameters {
            code.local_get(parameter);
        }
        code.call(wrapper.callee).end();
        body
    }
}

struct Finisher {
    plan: Plan,
}

impl Reencode for Finisher {
    type Error = Infallible;

    fn parse_custom_section(
        &mut self,
        _module: &mut Module,
        _section: CustomSectionReader<'_>,
    ) -> Result<(), Error> {
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_function_section(self, functions, section)?;
        for wrapper in &self.plan.wrappers {
            functions.function(wrapper.type_index);
        }
        Ok(())
    }

    fn parse_export(
        &mut self,
        exports: &mut ExportSection,
        export: wasmparser::Export<'_>,
    ) -> Result<(), Error> {
        if export.name.starts_with(LINKERS_OWN) || export.name == COMPILERS_OWN {
            return Ok(());
        }
        match self.plan.wrappers.iter().find(|wrapper| wrapper.export == export.name) {
            Some(wrapper) => {
                exports.export(export.name, ExportKind::Func, wrapper.index);
                Ok(())
            }
            None => utils::parse_export(self, exports, export),
        }
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_code_section(self, code, section)?;
        for wrapper in &self.plan.wrappers {
            code.function(&self.plan.body(wrapper));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wasmparser::{ExternalKind, Operator, Parser, Payload};

    use super::{CALLED_PER_RECORD, finish};
    use module_check as verify;
    use module_check::outline::Outline;

    /// As small as a module can be that has everything the transformation looks at: an import before the functions,
    /// a wrapped function that another one calls, a table, the linker's exports.
    const LINKED: &str = r#"
        (module
          (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
          (global $other (mut i32) (i32.const 7))
          (global $stack (mut i32) (i32.const 65536))
          (memory 2)
          (table 1 funcref)
          (elem (i32.const 0) func $malloc)
          (type $alloc (func (param i32) (result i32)))
          (func $filter (param i32 i32 i32 i32 i32 i32) (result i32)
            (global.set $stack (i32.sub (global.get $stack) (i32.const 16)))
            (call $malloc (local.get 5)))
          (func $malloc (param i32) (result i32)
            (call_indirect (type $alloc) (local.get 0) (i32.const 0)))
          (func $free (param i32))
          (func $initialize)
          (export "memory" (memory 0))
          (export "__stack_pointer" (global $stack))
          (export "__heap_base" (global $other))
          (export "audit_filter" (func $filter))
          (export "alert_dingtalk" (func $filter))
          (export "alert_slack" (func $filter))
          (export "alert_alertmanager" (func $filter))
          (export "partition_key" (func $filter))
          (export "malloc" (func $malloc))
          (export "free" (func $free))
          (export "_initialize" (func $initialize)))"#;

    fn finished(text: &str) -> Vec<u8> {
        finish(&wat::parse_str(text).unwrap()).unwrap()
    }

    /// The operators of every function that is no import, in the text format's manner.
    fn bodies(module: &[u8]) -> Vec<Vec<String>> {
        let mut bodies = Vec::new();
        for payload in Parser::new(0).parse_all(module) {
            if let Payload::CodeSectionEntry(body) = payload.unwrap() {
                let operators = body.get_operators_reader().unwrap().into_iter();
                bodies.push(operators.map(|operator| format!("{:?}", operator.unwrap())).collect());
            }
        }
        bodies
    }

    /// The body that an export leads to.
    fn exported_body(module: &[u8], name: &str) -> Vec<String> {
        let outline = Outline::read(module).unwrap();
        let export = outline.export(name).unwrap();
        assert_eq!(export.kind, ExternalKind::Func, "{name}");
        let imported = outline.imports.iter().filter(|import| import.is_function).count();
        bodies(module).swap_remove(export.index as usize - imported)
    }

    #[test]
    fn what_is_called_per_record_begins_with_a_fresh_stack() {
        let module = finished(LINKED);
        // The import is function 0; `$filter`, `$malloc` and `$free` follow.
        for (name, parameters, callee) in
            [("audit_filter", 6, 1), ("alert_slack", 6, 1), ("malloc", 1, 2), ("free", 1, 3)]
        {
            let mut expected = vec![
                format!("{:?}", Operator::I32Const { value: 65536 }),
                format!("{:?}", Operator::GlobalSet { global_index: 1 }),
            ];
            expected.extend(
                (0..parameters).map(|index| format!("{:?}", Operator::LocalGet { local_index: index })),
            );
            expected.push(format!("{:?}", Operator::Call { function_index: callee }));
            expected.push(format!("{:?}", Operator::End));
            assert_eq!(exported_body(&module, name), expected, "{name}");
        }
    }

    #[test]
    fn wrappers_have_the_type_of_what_they_call() {
        let (before, after) = (
            Outline::read(&wat::parse_str(LINKED).unwrap()).unwrap(),
            Outline::read(&finished(LINKED)).unwrap(),
        );
        for name in CALLED_PER_RECORD {
            let ty = |outline: &Outline| outline.function_type(outline.export(name).unwrap().index).cloned();
            assert_eq!(ty(&before), ty(&after), "{name}");
        }
        assert_eq!(after.functions.len(), before.functions.len() + CALLED_PER_RECORD.len());
    }

    #[test]
    fn everything_else_stays_as_it_was() {
        let before = wat::parse_str(LINKED).unwrap();
        let after = finished(LINKED);
        let (old, new) = (bodies(&before), bodies(&after));
        assert_eq!(old, new[..old.len()]);
        assert_eq!(exported_body(&before, "_initialize"), exported_body(&after, "_initialize"));
    }

    #[test]
    fn the_linkers_exports_are_gone_and_the_others_keep_their_order() {
        let outline = Outline::read(&finished(LINKED)).unwrap();
        let names: Vec<&str> = outline.exports.iter().map(|export| export.name.as_str()).collect();
        let expected = [&["memory"], &CALLED_PER_RECORD[..], &["_initialize"]].concat();
        assert_eq!(names, expected);
    }

    #[test]
    fn custom_sections_are_gone() {
        // `wat` writes names into one.
        let custom = |module: &[u8]| {
            Parser::new(0)
                .parse_all(module)
                .filter(|payload| matches!(payload, Ok(Payload::CustomSection(_))))
                .count()
        };
        assert_eq!(custom(&wat::parse_str(LINKED).unwrap()), 1);
        assert_eq!(custom(&finished(LINKED)), 0);
    }

    #[test]
    fn a_padded_table_index_is_written_in_one_byte() {
        // `call_indirect`, type 0, table 0 in five bytes, as a linker writes it when reference types are on.
        let mut padded: Vec<u8> = b"\0asm\x01\0\0\0".to_vec();
        padded.extend(b"\x01\x04\x01\x60\0\0"); // types: a function of nothing
        padded.extend(b"\x03\x02\x01\0"); // functions: one
        padded.extend(b"\x04\x04\x01\x70\0\x01"); // tables: one of functions
        padded.extend(b"\x06\x08\x01\x7f\x01\x41\x80\x80\x04\x0b"); // globals: an i32 that begins with 65536
        padded.extend(b"\x07\x13\x01\x0f__stack_pointer\x03\0"); // exports: that global
        padded.extend(b"\x0a\x0d\x01\x0b\0\x41\0\x11\0\x80\x80\x80\x80\0\x0b"); // code
        let refused = verify::features(&padded).unwrap_err().to_string();
        assert!(refused.contains("zero byte expected"), "{refused}");
        let module = finish(&padded).unwrap();
        verify::features(&module).unwrap();
        assert!(module.ends_with(b"\x0a\x09\x01\x07\0\x41\0\x11\0\0\x0b"), "{module:x?}");
    }

    #[test]
    fn the_result_is_what_hosts_load() {
        verify::check(&finished(LINKED), &[]).unwrap();
    }

    #[test]
    fn without_a_usable_stack_pointer_there_is_no_module() {
        for (text, expected) in [
            ("(module)", "link with --export=__stack_pointer"),
            (r#"(module (func (export "__stack_pointer")))"#, "link with --export=__stack_pointer"),
            (r#"(module (global (export "__stack_pointer") i32 (i32.const 1)))"#, "no mutable i32 global"),
            (
                r#"(module (global (export "__stack_pointer") (mut i64) (i64.const 1)))"#,
                "no mutable i32 global",
            ),
            (
                r#"(module (import "env" "__stack_pointer" (global (mut i32))) (export "__stack_pointer" (global 0)))"#,
                "no mutable i32 global",
            ),
        ] {
            let error = finish(&wat::parse_str(text).unwrap()).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_no_module_is_refused() {
        for bytes in [&b""[..], b"\0asm", b"not a module", b"\0asm\x0d\0\x01\0"] {
            assert!(finish(bytes).is_err(), "{bytes:?}");
        }
    }
}
