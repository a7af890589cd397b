//! What a module declares: what is read of it before anybody touches code.

use anyhow::{Context, Result};
use wasmparser::{ExternalKind, FuncType, GlobalType, Operator, Parser, Payload, TypeRef};

/// The declarations of a core module, with every index space complete: imports come first in each, as in the format.
#[derive(Debug, Default)]
pub struct Outline {
    /// Function types, by type index.
    pub types: Vec<FuncType>,
    /// Type indices, by function index.
    pub functions: Vec<u32>,
    /// Globals, by global index.
    pub globals: Vec<Global>,
    /// Module, name and kind of every import.
    pub imports: Vec<Import>,
    /// Every export, in the module's order.
    pub exports: Vec<Export>,
}

/// A global.
#[derive(Debug)]
pub struct Global {
    /// Its type.
    pub ty: GlobalType,
    /// The value it begins with, where that is one `i32.const`.
    pub initial: Option<i32>,
}

/// An import.
#[derive(Debug)]
pub struct Import {
    /// The module it comes from.
    pub module: String,
    /// Its name there.
    pub name: String,
    /// Whether it is a function.
    pub is_function: bool,
}

/// An export.
#[derive(Debug)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ExternalKind,
    /// Its index among those of its kind.
    pub index: u32,
}

impl Outline {
    /// Reads a module's declarations, whatever features it uses.
    ///
    /// # Errors
    ///
    /// Where the bytes are no core module, or declare types that are no functions.
    pub fn read(module: &[u8]) -> Result<Self> {
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
    #[must_use]
    pub fn export(&self, name: &str) -> Option<&Export> {
        self.exports.iter().find(|export| export.name == name)
    }

    /// The type of the function with this index.
    #[must_use]
    pub fn function_type(&self, function: u32) -> Option<&FuncType> {
        let ty = self.functions.get(usize::try_from(function).ok()?)?;
        self.types.get(usize::try_from(*ty).ok()?)
    }
}
