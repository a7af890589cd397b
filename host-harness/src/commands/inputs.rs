//! What a command reads: the files that were named, in their order, or stdin.

use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::exit::Misconfigured;
use crate::lines::{Line, Lines};
use crate::progress::Progress;

/// Something to read.
pub(super) struct Input {
    /// None is stdin.
    pub(super) path: Option<PathBuf>,
    /// In bytes, where it is a file.
    pub(super) size: Option<u64>,
}

/// Looks whether all that was named can be read, before anything is.
///
/// # Errors
/// [`Misconfigured`] with the first that cannot.
pub(super) fn inputs(files: &[PathBuf]) -> Result<Vec<Input>, Misconfigured> {
    if files.is_empty() {
        return Ok(vec![Input { path: None, size: None }]);
    }
    files
        .iter()
        .map(|path| {
            if path == Path::new("-") {
                return Ok(Input { path: None, size: None });
            }
            let cannot_read =
                |why: &dyn std::fmt::Display| Misconfigured(format!("cannot read {}: {why}", path.display()));
            let metadata = fs::metadata(path).map_err(|error| cannot_read(&error))?;
            if metadata.is_dir() {
                return Err(cannot_read(&"it is a directory; name the files in it"));
            }
            // Opening a pipe waits for its writer, and then it must not be closed again.
            if metadata.is_file() {
                File::open(path).map_err(|error| cannot_read(&error))?;
            }
            Ok(Input { path: Some(path.clone()), size: metadata.is_file().then_some(metadata.len()) })
        })
        .collect()
}

/// A line, and where it stands.
pub(super) struct Record<'l> {
    /// The input's name.
    pub(super) source: &'l str,
    /// The line's number, from 1.
    pub(super) number: u64,
    /// Without the line's end.
    pub(super) bytes: &'l [u8],
}

/// Hands out the lines of all inputs until `each` wants no more of them. Lines that are too long are left out and
/// said on stderr; returns how many there were.
///
/// # Errors
/// Those of reading and of `each`.
pub(super) fn each_record(
    inputs: &[Input],
    max_line_bytes: u64,
    progress: &Progress,
    mut each: impl FnMut(Record<'_>) -> anyhow::Result<ControlFlow<()>>,
) -> anyhow::Result<u64> {
    let mut too_long = 0;
    let mut record = Vec::new();
    for input in inputs {
        let mut lines = open(input, max_line_bytes, progress)?;
        let source = lines.name().to_owned();
        while let Some(line) = lines.next(|| Ok(()))? {
            let bytes = match line {
                Line::Record(bytes) => {
                    record.clear();
                    record.extend_from_slice(bytes);
                    let (source, number) = (&*source, lines.number());
                    if each(Record { source, number, bytes: &record })?.is_break() {
                        return Ok(too_long);
                    }
                    continue;
                }
                Line::TooLong { bytes } => bytes,
            };
            too_long += 1;
            progress.say(format_args!(
                "{source}, line {}: left out, since it has {bytes} bytes and --max-line-bytes is {max_line_bytes}",
                lines.number()
            ));
        }
    }
    Ok(too_long)
}

fn open<'r>(input: &Input, max_line_bytes: u64, progress: &'r Progress) -> anyhow::Result<Lines<'r>> {
    match &input.path {
        None => Lines::new("stdin", progress.counting(io::stdin().lock()), max_line_bytes),
        Some(path) => {
            let name = path.display().to_string();
            let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
            Lines::new(&name, progress.counting(file), max_line_bytes)
        }
    }
}
