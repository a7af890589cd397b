//! What a module declares: the outline that [`crate::reencode`] and [`crate::verify`] read before they touch code.

use anyhow::{Context, Result};
use wasmparser::{ExternalKind, FuncType, GlobalType, Operator, Parser, Payload, TypeRef};

/// The declarations of a core module, with every index space complete: imports come first in each, as in the format.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    /// Function types, by type index.
    pub(crate) types: Vec<FuncType>,
    /// Type indices, by function index.
    pub(crate) functions: Vec<u32>,
    /// Globals, by global index.
    pub(crate) globals: Vec<Global>,
    /// Module, name and kind of every import.
    pub(crate) imports: Vec<Import>,
    /// Every export, in the module's order.
    pub(crate) exports: Vec<Export>,
}

#[derive(Debug)]
pub(crate) struct Global {
    pub(crate) ty: GlobalType,
    /// The value it begins with, where that is one `i32.const`.
    pub(crate) initial: Option<i32>,
}

#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) module: String,
    pub(crate) name: String,
    pub(crate) is_function: bool,
}

#[derive(Debug)]
pub(crate) struct Export {
    pub(crate) name: String,
    pub(crate) kind: ExternalKind,
    pub(crate) index: u32,
}

impl Outline {
    /// Reads a module's declarations, whatever features it uses.
    ///
    /// # Errors
    ///
    /// Where the bytes are no core module, or declare types that are no functions.
    pub(crate) fn read(module: &[u8]) -> Result<Self> {
        let mut outline = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            outline.add(payload?).context("cannot read the module")?;
        }
        Ok(outline)
    }

    fn add(&mut self, payload: Payload<'_>) -> Result<(), wasmparser::Error> {
        match payload {
            Payload::TypeSection(section) => {
                for ty in section.into_iter_err_on_gc_types() {
                    self.types.push(ty?);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    let is_function = match import.ty {
                        TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                            self.functions.push(ty);
                            true
                        }
                        TypeRef::Global(ty) => {
                            self.globals.push(Global { ty, initial: None });
                            false
                        }
                        TypeRef::Table(_) | TypeRef::Memory(_) | TypeRef::Tag(_) => false,
                    };
                    let (module, name) = (import.module.to_owned(), import.name.to_owned());
                    self.imports.push(Import { module, name, is_function });
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    self.functions.push(ty?);
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    let global = global?;
                    let mut operators = global.init_expr.get_operators_reader();
                    let initial = match (operators.read()?, operators.read()?) {
                        (Operator::I32Const { value }, Operator::End) => Some(value),
                        _ => None,
                    };
                    self.globals.push(Global { ty: global.ty, initial });
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    let name = export.name.to_owned();
                    self.exports.push(Export { name, kind: export.kind, index: export.index });
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The export of this name.
    pub(crate) fn export(&self, name: &str) -> Option<&Export> {
        self.exports.iter().find(|export| export.name == name)
    }

    /// The type of the function with this index.
    pub(crate) fn function_type(&self, function: u32) -> Option<&FuncType> {
        let ty = self.functions.get(usize::try_from(function).ok()?)?;
        self.types.get(usize::try_from(*ty).ok()?)
    }
}
