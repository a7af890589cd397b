//! `cargo xtask tidy`: what no compiler checks. The same runs as a test of this package.
//!
//! - [`texts`]: how files open, what was left in them, how big they are
//! - [`links`]: relative links in Markdown lead somewhere
//! - [`code_map`]: `ARCHITECTURE.md` names what is there, and nothing else
//! - [`messages`]: the page on troubleshooting has every message of the filter
//!
//! Every check takes a [`Tree`] and returns problems; none stops at the first, and none fails on strange content.

mod code_map;
mod links;
mod messages;
mod texts;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Result, bail};

use crate::workspace;

/// What `cargo xtask tidy --help` ends with.
pub(crate) const HELP: &str = "\
Prints every problem as file:line: what is wrong.

Example:
  cargo xtask tidy";

/// Checks the checkout and prints what is wrong with it.
///
/// # Errors
///
/// Where anything is.
pub(crate) fn run() -> Result<()> {
    let tree = Tree::read(&workspace::root())?;
    let problems = problems(&tree);
    for problem in &problems {
        eprintln!("{problem}");
    }
    match problems.len() {
        0 => {
            eprintln!("tidy: {} files", tree.files.len());
            Ok(())
        }
        1 => bail!("1 problem"),
        count => bail!("{count} problems"),
    }
}

fn problems(tree: &Tree) -> Vec<Problem> {
    let mut problems = texts::check(tree);
    problems.extend(links::check(tree));
    problems.extend(code_map::check(tree));
    problems.extend(messages::check(tree));
    problems.sort();
    problems.dedup();
    problems
}

/// The files of a checkout.
#[derive(Debug, Default)]
struct Tree {
    /// Content by path, which is relative to the root and has `/` between its parts.
    files: BTreeMap<String, Vec<u8>>,
}

impl Tree {
    fn read(root: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        for path in workspace::files(root)? {
            // What a symbolic link leads to is listed in its own right or none of ours, and a file may just have gone.
            let absolute = root.join(&path);
            if !absolute.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
                continue;
            }
            let Ok(content) = fs::read(&absolute) else { continue };
            files.insert(path.to_string_lossy().replace('\\', "/"), content);
        }
        Ok(Self { files })
    }

    /// The content of a file that is text.
    fn text(&self, path: &str) -> Option<&str> {
        std::str::from_utf8(self.files.get(path)?).ok()
    }

    /// Every file that is text, with its content.
    fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter_map(|(path, content)| Some((path.as_str(), std::str::from_utf8(content).ok()?)))
    }

    /// Whether there is a file or a directory of this name. The root's is empty.
    fn has(&self, path: &str) -> bool {
        path.is_empty() || self.files.contains_key(path) || self.has_directory(path)
    }

    fn has_directory(&self, path: &str) -> bool {
        let inside = format!("{}/", path.trim_end_matches('/'));
        self.files.range(inside.clone()..).next().is_some_and(|(file, _)| file.starts_with(&inside))
    }
}

/// Something to put right. Ordered as people read: by file, by line.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Problem {
    file: String,
    /// From 1; 0 for the whole file.
    line: usize,
    what: String,
}

impl Problem {
    fn new(file: &str, line: usize, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.what),
            line => write!(f, "{}:{line}: {}", self.file, self.what),
        }
    }
}

/// The line, from 1, that a byte offset lies on.
fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// `path` as seen from the directory `base`, without `.` and `..`; nothing where it leaves the checkout.
fn resolve(base: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::{Tree, problems, resolve};
    use crate::workspace;

    impl Tree {
        /// A tree of these files, for the tests of every check.
        pub(super) fn of(files: &[(&str, &str)]) -> Self {
            let files =
                files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
            Self { files }
        }
    }

    /// One line for each problem.
    pub(super) fn lines(problems: &[super::Problem]) -> Vec<String> {
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_checkout_is_tidy() {
        let tree = Tree::read(&workspace::root()).unwrap();
        let problems = lines(&problems(&tree));
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }

    #[test]
    fn every_check_takes_strange_content() {
        for content in
            ["", "\n", "\u{0}", "[", "](", "# ", "```", "`/`", "[a](%zz#%)", "{{{", "\u{feff}", "../../.."]
        {
            let files = ["ARCHITECTURE.md", "Cargo.toml", "a.md", "a.rs", "xtask/Cargo.toml"];
            let mut tree = Tree::of(&files.map(|file| (file, content)));
            tree.files.insert("binary.rs".to_owned(), vec![0xff, 0xfe, 0]);
            problems(&tree);
            let map = format!("## Code map\n\n- `{content}/`\n\n```\n{content}\n  {content}/\n```\n");
            problems(&Tree::of(&[("ARCHITECTURE.md", &map), ("Cargo.toml", content)]));
        }
    }

    #[test]
    fn directories_are_what_files_lie_in() {
        let tree = Tree::of(&[("a/b/c.rs", ""), ("a-b/c.rs", "")]);
        for (path, there) in [
            ("", true),
            ("a", true),
            ("a/", true),
            ("a/b", true),
            ("a/b/c.rs", true),
            ("a/c.rs", false),
            ("b", false),
        ] {
            assert_eq!(tree.has(path), there, "{path}");
        }
    }

    #[test]
    fn paths_resolve_inside_of_the_checkout() {
        for (base, path, expected) in [
            ("", "a.md", Some("a.md")),
            ("docs", "a.md", Some("docs/a.md")),
            ("docs", "./../plugin/", Some("plugin")),
            ("docs/deep", "../..", Some("")),
            ("docs", "../../a.md", None),
        ] {
            assert_eq!(resolve(base, path).as_deref(), expected, "{base} {path}");
        }
    }
}
