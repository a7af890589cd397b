//! Rewrites a module so that an interpreter takes fewer steps through it. What functions compute stays the same.
//!
//! A compiler writes code for other compilers, to which the two sides of an arrow below are the same. The interpreter
//! that Fluent Bit has, WAMR's fast one, makes instructions of its own when it loads a module: `local.get` and constants
//! become operands, `local.set` the destination of what computes the value right before it, and none of them is a step
//! any more. `local.tee` stays one, and every tenth step was one of them:
//!
//! ```text
//! i32.add  local.tee 0              ─▶   i32.add  local.set 0  local.get 0
//! i32.const 8  i32.add  i32.load    ─▶   i32.load offset=8
//! i32.const 0  local.set 1          ─▶   nothing, where local 1 is 0 because nobody has set it yet
//! ```
//!
//! The first takes two bytes more, so it is done where records come by: in what the host's calls for each record lead to
//! without `_initialize` or a table of functions in between. And only where the value is used before another block
//! begins or the local gets another value: the interpreter would have to put it aside, in a larger frame.
//!
//! The second differs where the sum is beyond 32 bits: added, it comes out small; as an offset, it is out of bounds. So it
//! is done for sums that would then be less than [`NOTHING_BELOW`], where no object of the module is.

use std::collections::HashSet;
use std::convert::Infallible;

use anyhow::{Result, anyhow};
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{CodeSection, Instruction, Module};
use wasmparser::{ExternalKind, FunctionBody, MemArg, Operator, OperatorsReader, Parser};
use wasmparser::{ValidPayload, Validator};

use module_check::outline::Outline;

/// What a host calls once, before the first record.
const START: &str = "_initialize";

/// No object has an address below this: the linker puts the stack first (`--stack-first`), and its end is never reached.
const NOTHING_BELOW: i32 = 1024;

/// Makes a module of which an interpreter takes fewer steps.
///
/// # Errors
///
/// Where the bytes are no valid core module.
pub(crate) fn rewrite(module: &[u8]) -> Result<Vec<u8>> {
    let outline = Outline::read(module)?;
    let functions = read(module, &outline)?;
    let imported = outline.imports.iter().filter(|import| import.is_function).count();
    let per_record = per_record(&outline, imported, &functions);
    let mut rewritten = Module::new();
    Rewriter { functions: functions.into_iter().zip(per_record) }
        .parse_core_module(&mut rewritten, Parser::new(0), module)
        .map_err(|error| anyhow!("cannot rewrite the module: {error}"))?;
    Ok(rewritten.finish())
}

/// A function's body.
struct Body<'a> {
    operators: Vec<Operator<'a>>,
    /// For each operator, how many values there are on the stack before it, and how many of them it does not touch.
    stack: Vec<(u32, u32)>,
    /// How many of the locals are parameters.
    parameters: u32,
}

impl Body<'_> {
    /// Whether the value that stays on the stack at this `local.tee` may as well be read from the local.
    fn may_be_read_back(&self, tee: usize, local: u32) -> bool {
        let (height, _) = self.stack[tee];
        for (operator, (_, untouched)) in self.operators.iter().zip(&self.stack).skip(tee + 1) {
            if *untouched < height && !matches!(operator, Operator::If { .. }) {
                return true;
            }
            match operator {
                Operator::LocalSet { local_index } | Operator::LocalTee { local_index }
                    if *local_index == local =>
                {
                    return false;
                }
                Operator::Block { .. }
                | Operator::Loop { .. }
                | Operator::If { .. }
                | Operator::Else
                | Operator::End => return false,
                _ => {}
            }
        }
        false
    }
}

/// Reads every function that is not imported.
fn read<'a>(module: &'a [u8], outline: &Outline) -> Result<Vec<Body<'a>>> {
    let mut validator = Validator::new();
    let mut functions = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let ValidPayload::Func(function, body) = validator.payload(&payload?)? else { continue };
        let parameters = outline.types.get(function.ty as usize).map_or(0, |ty| ty.params().len());
        let mut function = function.into_validator(Default::default());
        let mut reader = body.get_binary_reader();
        function.read_locals(&mut reader)?;
        let mut reader = OperatorsReader::new(reader);
        let parameters = u32::try_from(parameters)?;
        let mut body = Body { operators: Vec::new(), stack: Vec::new(), parameters };
        while !reader.eof() {
            let (operator, offset) = reader.read_with_offset()?;
            let height = function.operand_stack_height();
            let (takes, _) = operator.operator_arity(&function).unwrap_or_default();
            body.stack.push((height, height.saturating_sub(takes)));
            function.op(offset, &operator)?;
            body.operators.push(operator);
        }
        functions.push(body);
    }
    Ok(functions)
}

/// Which functions the host's calls for a record lead to.
fn per_record(outline: &Outline, imported: usize, functions: &[Body<'_>]) -> Vec<bool> {
    let defined = |index: u32| usize::try_from(index).ok()?.checked_sub(imported);
    let exported = outline.exports.iter().filter(|export| export.kind == ExternalKind::Func);
    let (start, called): (Vec<_>, Vec<_>) = exported.partition(|export| export.name == START);
    let start: Vec<u32> = start.iter().map(|export| export.index).collect();
    let mut reached = vec![false; functions.len()];
    let mut ahead: Vec<u32> = called.iter().map(|export| export.index).collect();
    while let Some(index) = ahead.pop() {
        let Some(function) = defined(index) else { continue };
        if start.contains(&index) || std::mem::replace(&mut reached[function], true) {
            continue;
        }
        ahead.extend(functions[function].operators.iter().filter_map(|operator| match operator {
            Operator::Call { function_index } => Some(*function_index),
            _ => None,
        }));
    }
    reached
}

/// Writes each function anew.
struct Rewriter<F> {
    /// Those to come, in the module's order, and whether a record leads to it.
    functions: F,
}

impl<'a, F: Iterator<Item = (Body<'a>, bool)>> Reencode for Rewriter<F> {
    type Error = Infallible;

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        original: FunctionBody<'_>,
    ) -> Result<(), Error> {
        // The same module has as many of them.
        let Some((body, per_record)) = self.functions.next() else {
            return utils::parse_function_body(self, code, original);
        };
        let mut function = self.new_function_with_parsed_locals(&original)?;
        let mut untouched = Untouched::new(body.parameters);
        let mut operators = &*body.operators;
        while let Some(operator) = operators.first() {
            let at = body.operators.len() - operators.len();
            let computed = at.checked_sub(1).is_some_and(|last| computes(&body.operators[last]));
            let mut taken = 1;
            untouched.pass(operator);
            match operators {
                [
                    Operator::I32Const { value: 0 } | Operator::I64Const { value: 0 },
                    Operator::LocalSet { local_index },
                    ..,
                ] if untouched.is_zero(*local_index) => taken = 2,
                [Operator::I32Const { value: bytes @ 1..NOTHING_BELOW }, Operator::I32Add, load, ..]
                    if let Some(load) = further(load, *bytes) =>
                {
                    function.instruction(&self.instruction(load)?);
                    taken = 3;
                }
                [Operator::LocalTee { local_index }, ..]
                    if per_record && computed && body.may_be_read_back(at, *local_index) =>
                {
                    function.instruction(&Instruction::LocalSet(*local_index));
                    function.instruction(&Instruction::LocalGet(*local_index));
                }
                _ => {
                    function.instruction(&self.instruction(operator.clone())?);
                }
            }
            operators = operators.get(taken..).unwrap_or_default();
        }
        code.function(&function);
        Ok(())
    }
}

/// The locals that have the value with which they begin, wherever the code is read from its beginning to here.
struct Untouched {
    parameters: u32,
    set: HashSet<u32>,
    /// For each block around here, whether it is a loop: it may have been gone through before, with what follows.
    loops: Vec<bool>,
}

impl Untouched {
    fn new(parameters: u32) -> Self {
        Self { parameters, set: HashSet::new(), loops: Vec::new() }
    }

    fn pass(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Block { .. } | Operator::If { .. } => self.loops.push(false),
            Operator::Loop { .. } => self.loops.push(true),
            Operator::End => {
                self.loops.pop();
            }
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                self.set.insert(*local_index);
            }
            _ => {}
        }
    }

    fn is_zero(&self, local: u32) -> bool {
        local >= self.parameters && !self.set.contains(&local) && !self.loops.contains(&true)
    }
}

/// Where the operator loads from, beside an address, if it is one that loads a number.
fn loads_from<'o>(operator: &'o mut Operator<'_>) -> Option<&'o mut MemArg> {
    use Operator::*;
    match operator {
        I32Load { memarg }
        | I32Load8S { memarg }
        | I32Load8U { memarg }
        | I32Load16S { memarg }
        | I32Load16U { memarg }
        | I64Load { memarg }
        | I64Load8S { memarg }
        | I64Load8U { memarg }
        | I64Load16S { memarg }
        | I64Load16U { memarg }
        | I64Load32S { memarg }
        | I64Load32U { memarg } => Some(memarg),
        _ => None,
    }
}

/// The same load from so many bytes further on.
fn further<'a>(load: &Operator<'a>, bytes: i32) -> Option<Operator<'a>> {
    let mut load = load.clone();
    let memarg = loads_from(&mut load)?;
    memarg.offset += u64::try_from(bytes).ok()?;
    u32::try_from(memarg.offset).ok()?;
    Some(load)
}

/// Whether the interpreter lets the operator write its result where the `local.set` behind it says.
fn computes(operator: &Operator<'_>) -> bool {
    use Operator::*;
    let computes = matches!(
        operator,
        I32Eqz
            | I32Eq
            | I32Ne
            | I32LtS
            | I32LtU
            | I32GtS
            | I32GtU
            | I32LeS
            | I32LeU
            | I32GeS
            | I32GeU
            | I64Eqz
            | I64Eq
            | I64Ne
            | I64LtS
            | I64LtU
            | I64GtS
            | I64GtU
            | I64LeS
            | I64LeU
            | I64GeS
            | I64GeU
            | I32Clz
            | I32Ctz
            | I32Popcnt
            | I32Add
            | I32Sub
            | I32Mul
            | I32DivS
            | I32DivU
            | I32RemS
            | I32RemU
            | I32And
            | I32Or
            | I32Xor
            | I32Shl
            | I32ShrS
            | I32ShrU
            | I32Rotl
            | I32Rotr
            | I64Clz
            | I64Ctz
            | I64Popcnt
            | I64Add
            | I64Sub
            | I64Mul
            | I64DivS
            | I64DivU
            | I64RemS
            | I64RemU
            | I64And
            | I64Or
            | I64Xor
            | I64Shl
            | I64ShrS
            | I64ShrU
            | I64Rotl
            | I64Rotr
            | I32WrapI64
            | I64ExtendI32S
            | I64ExtendI32U
    );
    computes || loads_from(&mut operator.clone()).is_some()
}

#[cfg(test)]
mod tests {
    use module_check::outline::Outline;
    use wasmparser::Validator;

    use super::rewrite;

    /// The module's text, a function to each line, after rewriting.
    fn rewritten(text: &str) -> Vec<String> {
        let module = rewrite(&wat::parse_str(text).unwrap()).unwrap();
        Validator::new().validate_all(&module).unwrap();
        super::read(&module, &Outline::read(&module).unwrap())
            .unwrap()
            .iter()
            .map(super::tests::text)
            .collect()
    }

    /// A body's operators by their names in the text format, with indices.
    fn text(body: &super::Body<'_>) -> String {
        use wasmparser::Operator::*;
        let words = body.operators.iter().map(|operator| match operator {
            LocalGet { local_index } => format!("get {local_index}"),
            LocalSet { local_index } => format!("set {local_index}"),
            LocalTee { local_index } => format!("tee {local_index}"),
            Call { function_index } => format!("call {function_index}"),
            I32Const { value } => format!("{value}"),
            I32Load { memarg } => format!("i32load+{}", memarg.offset),
            I64Load8U { memarg } => format!("i64load8u+{}", memarg.offset),
            other => {
                let name = format!("{other:?}");
                name.split([' ', '{']).next().unwrap_or_default().to_lowercase()
            }
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// What becomes of one function that records come by, which has two `i32` parameters and no result.
    fn body(code: &str) -> String {
        let exported =
            format!(r#"(module (memory 1) (func (export "audit_filter") (param i32 i32) {code}))"#);
        rewritten(&exported).concat()
    }

    #[test]
    fn what_is_kept_and_used_goes_to_its_local_at_once() {
        for (code, expected) in [
            (
                "(drop (local.tee 0 (i32.add (local.get 0) (i32.const 1))))",
                "get 0 1 i32add set 0 get 0 drop end",
            ),
            // The interpreter makes these two steps in either case.
            ("(drop (local.tee 0 (local.get 1)))", "get 1 tee 0 drop end"),
            (
                "(drop (local.tee 0 (select (local.get 0) (local.get 1) (i32.const 1))))",
                "get 0 get 1 1 select tee 0 drop end",
            ),
            // A condition is one more value that a block begins with.
            ("(local.tee 0 (i32.ctz (local.get 0))) if end", "get 0 i32ctz tee 0 if end end"),
            // The local has another value, or may have, by the time that this one is used.
            (
                "(drop (i32.add (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (local.tee 0 (local.get 1))))",
                "get 0 1 i32add tee 0 get 1 tee 0 i32add drop end",
            ),
            (
                "(drop (i32.add (local.tee 0 (i32.ctz (local.get 0))) (block (result i32) (local.get 1))))",
                "get 0 i32ctz tee 0 block get 1 end i32add drop end",
            ),
            (
                "(i32.store (local.tee 0 (i32.ctz (local.get 0))) (local.tee 1 (i32.ctz (local.get 0))))",
                "get 0 i32ctz set 0 get 0 get 0 i32ctz set 1 get 1 i32store end",
            ),
        ] {
            assert_eq!(body(code), expected, "{code}");
        }
    }

    #[test]
    fn what_is_added_to_an_address_is_a_part_of_the_load() {
        for (code, expected) in [
            ("(drop (i32.load (i32.add (local.get 0) (i32.const 8))))", "get 0 i32load+8 drop end"),
            (
                "(drop (i64.load8_u offset=3 (i32.add (local.get 0) (i32.const 1023))))",
                "get 0 i64load8u+1026 drop end",
            ),
            // Beyond 32 bits that would be something else.
            (
                "(drop (i32.load (i32.add (local.get 0) (i32.const 1024))))",
                "get 0 1024 i32add i32load+0 drop end",
            ),
            (
                "(drop (i32.load (i32.add (local.get 0) (i32.const -8))))",
                "get 0 -8 i32add i32load+0 drop end",
            ),
            ("(drop (i32.load (i32.sub (local.get 0) (i32.const 8))))", "get 0 8 i32sub i32load+0 drop end"),
            (
                "(drop (i32.load offset=0xffffffff (i32.add (local.get 0) (i32.const 8))))",
                "get 0 8 i32add i32load+4294967295 drop end",
            ),
        ] {
            assert_eq!(body(code), expected, "{code}");
        }
    }

    #[test]
    fn a_local_that_is_zero_is_not_made_zero() {
        let with_local = |code: &str| body(&format!("(local i32 i64) {code}"));
        for (code, expected) in [
            ("i32.const 0 local.set 2", "end"),
            ("block local.get 0 br_if 0 i64.const 0 local.set 3 end", "block get 0 brif end end"),
            // A parameter, another value, a second time.
            ("i32.const 0 local.set 0", "0 set 0 end"),
            ("i32.const 1 local.set 2", "1 set 2 end"),
            ("i32.const 0 local.tee 2 drop", "0 tee 2 drop end"),
            ("local.get 0 local.set 2 i32.const 0 local.set 2", "get 0 set 2 0 set 2 end"),
            ("local.get 0 local.tee 2 drop i32.const 0 local.set 2", "get 0 tee 2 drop 0 set 2 end"),
            // What follows may come before.
            (
                "loop i32.const 0 local.set 2 local.get 0 local.set 2 br 0 end",
                "loop 0 set 2 get 0 set 2 br end end",
            ),
            ("loop block i32.const 0 local.set 2 end end", "loop block 0 set 2 end end end"),
            ("loop end i32.const 0 local.set 2", "loop end end"),
        ] {
            assert_eq!(with_local(code), expected, "{code}");
        }
    }

    #[test]
    fn only_what_a_record_leads_to_may_grow() {
        const TEE: &str = "(drop (local.tee 0 (i32.add (local.get 0) (i32.const 1))))";
        let text = format!(
            r#"(module
              (import "host" "call" (func (param i32)))
              (func (export "audit_filter") (param i32) (call 0 (local.get 0)) (call 2 (local.get 0)) (call 3))
              (func (param i32) (call 2 (local.get 0)) {TEE})
              (func (export "_initialize") (call 4 (i32.const 0)))
              (func (param i32) {TEE}))"#
        );
        assert_eq!(
            rewritten(&text),
            [
                "get 0 call 0 get 0 call 2 call 3 end",
                "get 0 call 2 get 0 1 i32add set 0 get 0 drop end",
                "0 call 4 end",
                "get 0 1 i32add tee 0 drop end",
            ]
        );
    }

    #[test]
    fn what_is_no_module_is_refused() {
        for bytes in [&b""[..], b"\0asm", b"not a module", b"\0asm\x0d\0\x01\0"] {
            assert!(rewrite(bytes).is_err(), "{bytes:?}");
        }
    }
}
