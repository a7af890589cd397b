//! Reads the module that rustc made of `plugin/browser` and writes what a browser takes: the module without
//! wasm-bindgen's notes, the JavaScript through which it is called, and the types of that.
//!
//! ```text
//! page-bindgen linked.wasm directory ─▶ directory/engine.js, engine.d.ts, engine_bg.wasm
//! ```
//!
//! wasm-bindgen's own command does the same; this one has its version from a lock file, and needs no installing.
//! `cargo xtask page` runs it.

use std::env;
use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [module, directory] = arguments.as_slice() else {
        eprintln!("usage: page-bindgen MODULE DIRECTORY");
        return ExitCode::from(2);
    };
    let mut bindgen = Bindgen::new();
    // The page has the module inside, and asks for no other.
    let prepared = bindgen.input_path(module).out_name("engine").typescript(true).omit_default_module_path(true).web(true);
    match prepared.and_then(|bindgen| bindgen.generate(directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{module}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
