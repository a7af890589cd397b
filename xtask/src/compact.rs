//! Makes a module shorter without looking at what its functions do: of functions that are the same to the byte one is
//! kept, and the ones that are called from most places get the numbers that need one byte.
//!
//! Generic code leaves the first behind: a vector of one kind of eight bytes grows as one of any other.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::convert::Infallible;

use anyhow::{Result, anyhow};
use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{CodeSection, FunctionSection, Module};
use wasmparser::{CodeSectionReader, FunctionBody, FunctionSectionReader, Operator, Parser, Payload};

use module_check::outline::Outline;

/// Makes the shorter module.
///
/// # Errors
///
/// Where the bytes are no core module.
pub(crate) fn compact(module: &[u8]) -> Result<Vec<u8>> {
    let numbering = Numbering::of(module)?;
    let mut compacted = Module::new();
    Compactor { numbering }
        .parse_core_module(&mut compacted, Parser::new(0), module)
        .map_err(|error| anyhow!("cannot write the module shorter: {error}"))?;
    Ok(compacted.finish())
}

/// Which functions there will be, and what becomes of their indices.
struct Numbering {
    /// Those that are kept, in their new order; imports are not counted.
    kept: Vec<usize>,
    /// The new index for each old one, imports included.
    new: Vec<u32>,
}

impl Numbering {
    fn of(module: &[u8]) -> Result<Self> {
        let outline = Outline::read(module)?;
        let imported = outline.imports.iter().filter(|import| import.is_function).count();
        let mut bodies = Vec::new();
        for payload in Parser::new(0).parse_all(module) {
            if let Payload::CodeSectionEntry(body) = payload? {
                bodies.push(body);
            }
        }

        // For each function, the first that is the same.
        let mut firsts = HashMap::new();
        let mut same: Vec<usize> = (0..imported).collect();
        for (index, body) in bodies.iter().enumerate() {
            let function = (outline.functions.get(imported + index), body.as_bytes());
            same.push(*firsts.entry(function).or_insert(imported + index));
        }
        let mut calls = vec![0_usize; same.len()];
        for body in &bodies {
            for operator in body.get_operators_reader()? {
                if let Operator::Call { function_index } = operator? {
                    calls[same[function_index as usize]] += 1;
                }
            }
        }

        let mut kept: Vec<usize> = (imported..same.len()).filter(|&index| same[index] == index).collect();
        kept.sort_by_key(|&index| Reverse(calls[index]));
        let order = (0..imported).chain(kept.iter().copied());
        let numbers: HashMap<usize, u32> = order.zip(0..).collect();
        let new = same.iter().map(|index| numbers[index]).collect();
        Ok(Self { kept: kept.iter().map(|index| index - imported).collect(), new })
    }
}

struct Compactor {
    numbering: Numbering,
}

impl Reencode for Compactor {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error> {
        Ok(self.numbering.new[function as usize])
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        let types = section.into_iter().collect::<Result<Vec<u32>, _>>()?;
        for &index in &self.numbering.kept {
            functions.function(types[index]);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error> {
        let bodies = section.into_iter().collect::<Result<Vec<FunctionBody<'_>>, _>>()?;
        for index in self.numbering.kept.clone() {
            self.parse_function_body(code, bodies[index].clone())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wasmparser::Validator;

    use super::compact;

    #[test]
    fn of_equal_functions_one_is_left_and_what_is_called_most_comes_first() {
        let module = |text: &str| wat::parse_str(text).unwrap();
        let before = module(
            r#"(module
              (import "host" "call" (func $host (param i32)))
              (type $of_one (func (param i32) (result i32)))
              (table 3 funcref)
              (elem (i32.const 0) func $host $twin $often)
              (func (export "one") (param i32) (result i32) (call $twin (call $often (local.get 0))))
              (func $first (param i32) (result i32) (i32.add (local.get 0) (i32.const 7)))
              (func $other (param i32) (result i32) (i32.add (local.get 0) (i32.const 8)))
              (func $twin (param i32) (result i32) (i32.add (local.get 0) (i32.const 7)))
              (func $of_another_type (param i32) (param i32) (result i32) (i32.add (local.get 0) (i32.const 7)))
              (func $often (param i32) (result i32) (call $host (local.get 0)) (local.get 0))
              (func (export "two") (result i32)
                (call $of_another_type (call $often (i32.const 1)) (call $often (call $other (i32.const 2)))))
              (export "three" (func $first))
              (export "four" (func $twin)))"#,
        );
        let after = module(
            r#"(module
              (import "host" "call" (func $host (param i32)))
              (type $of_one (func (param i32) (result i32)))
              (table 3 funcref)
              (elem (i32.const 0) func $host $first $often)
              (func $often (param i32) (result i32) (call $host (local.get 0)) (local.get 0))
              (func $first (param i32) (result i32) (i32.add (local.get 0) (i32.const 7)))
              (func $other (param i32) (result i32) (i32.add (local.get 0) (i32.const 8)))
              (func $of_another_type (param i32) (param i32) (result i32) (i32.add (local.get 0) (i32.const 7)))
              (func $one (param i32) (result i32) (call $first (call $often (local.get 0))))
              (func $two (result i32)
                (call $of_another_type (call $often (i32.const 1)) (call $often (call $other (i32.const 2)))))
              (export "one" (func $one))
              (export "two" (func $two))
              (export "three" (func $first))
              (export "four" (func $first)))"#,
        );
        let compacted = compact(&before).unwrap();
        Validator::new().validate_all(&compacted).unwrap();
        // Only the names differ, which are not written anew.
        assert_eq!(without_names(&compacted), without_names(&after));
    }

    /// What a module has but for its custom sections, in text.
    fn without_names(module: &[u8]) -> Vec<String> {
        let payloads = wasmparser::Parser::new(0).parse_all(module).map(Result::unwrap);
        payloads
            .filter_map(|payload| payload.as_section())
            .filter(|(id, _)| *id != 0)
            .map(|(id, range)| format!("{id}: {:x?}", &module[range.start as usize..range.end as usize]))
            .collect()
    }

    #[test]
    fn what_is_no_module_is_refused() {
        for bytes in [&b""[..], b"\0asm", b"not a module", b"\0asm\x0d\0\x01\0"] {
            assert!(compact(bytes).is_err(), "{bytes:?}");
        }
    }
}
