//! Checks the code map of `ARCHITECTURE.md`, its section "Rooms": what it names exists, and it names every crate.
//!
//! Maps rot when nobody compares them with the land. Two notations are read: names in backticks, and trees in code
//! blocks, where indentation says what lies inside of what:
//!
//! ```text
//! plugin/
//!   engine/      the library
//!   fluent-bit/  the core module
//! Cargo.toml, README.md
//! ```
//!
//! A name in backticks is taken for a path where it ends in a slash or in the ending of a source file, or where it
//! begins with a directory that exists. It may be seen from the root or from any directory named before it.

use std::collections::BTreeSet;

use pulldown_cmark::{Event, HeadingLevel, Parser, Tag, TagEnd};
use toml::Table;

use super::{Problem, Tree, line_at, resolve};

const MAP: &str = "ARCHITECTURE.md";

/// What the section may be called, in lower case.
const HEADINGS: [&str; 2] = ["rooms", "code map"];
const MANIFEST: &str = "Cargo.toml";

/// Endings that make a name in backticks a file's.
const SOURCES: [&str; 8] = [".rs", ".toml", ".md", ".sh", ".yaml", ".yml", ".wit", ".html"];

/// What builds make, and no checkout has.
const BUILT: &str = "target/";

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let Some(text) = tree.text(MAP) else {
        return vec![Problem::new(MAP, 0, "there is no such file: it is where a reader begins")];
    };
    let Some(mut map) = Map::read(tree, text) else {
        let what = "it has no heading `Rooms` or `Code map`: that section says which directory holds what";
        return vec![Problem::new(MAP, 0, what)];
    };
    match members(tree) {
        Err(problem) => map.problems.push(problem),
        Ok(members) => {
            for (directory, package) in members {
                if !map.paths.contains(&directory) && !map.names.contains(&package) {
                    let what =
                        format!("the code map does not name the crate `{directory}` (package `{package}`)");
                    map.problems.push(Problem::new(MAP, 0, what));
                }
            }
        }
    }
    map.problems
}

/// What the section names.
#[derive(Default)]
struct Map {
    /// Files and directories, from the root.
    paths: BTreeSet<String>,
    /// Everything in backticks, as it stands.
    names: BTreeSet<String>,
    problems: Vec<Problem>,
}

impl Map {
    fn read(tree: &Tree, text: &str) -> Option<Self> {
        let mut map: Option<Self> = None;
        // The level of the section's heading, while inside of it.
        let mut section: Option<HeadingLevel> = None;
        let mut heading: Option<String> = None;
        let mut in_block = false;
        for (event, range) in Parser::new(text).into_offset_iter() {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(level)) => {
                    let title = heading.take().unwrap_or_default();
                    if HEADINGS.contains(&title.trim().to_lowercase().as_str()) {
                        section = Some(level);
                        map.get_or_insert_default();
                    } else if section.is_some_and(|outer| level <= outer) {
                        section = None;
                    }
                }
                Event::Start(Tag::CodeBlock(_)) => in_block = true,
                Event::End(TagEnd::CodeBlock) => in_block = false,
                Event::Text(part) | Event::Code(part) if heading.is_some() => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&part);
                    }
                    if let (Some(map), Some(_)) = (&mut map, section) {
                        map.add_name(tree, &part, line_at(text, range.start));
                    }
                }
                Event::Code(name) => {
                    if let (Some(map), Some(_)) = (&mut map, section) {
                        map.add_name(tree, &name, line_at(text, range.start));
                    }
                }
                Event::Text(block) if in_block => {
                    if let (Some(map), Some(_)) = (&mut map, section) {
                        map.add_tree(tree, &block, line_at(text, range.start));
                    }
                }
                _ => {}
            }
        }
        map
    }

    fn add_name(&mut self, tree: &Tree, name: &str, line: usize) {
        self.names.insert(name.to_owned());
        if !is_path(name) {
            return;
        }
        let mut bases = vec![""];
        bases.extend(self.paths.iter().map(String::as_str));
        let seen_from = |base: &&str| resolve(base, name).filter(|path| tree.has(path));
        if let Some(path) = bases.iter().find_map(seen_from) {
            self.paths.insert(path);
            return;
        }
        let first = name.split('/').next().unwrap_or_default();
        let begins_here =
            || bases.iter().any(|base| resolve(base, first).is_some_and(|path| tree.has_directory(&path)));
        let surely = name.ends_with('/') || SOURCES.iter().any(|ending| name.ends_with(ending));
        if surely || (name.contains('/') && begins_here()) {
            self.problems.push(Problem::new(MAP, line, format!("there is no `{name}`")));
        }
    }

    fn add_tree(&mut self, tree: &Tree, block: &str, first_line: usize) {
        // Directories around the current line, with their indentation.
        let mut around: Vec<(usize, String)> = Vec::new();
        for (number, line) in block.lines().enumerate() {
            // Lines that draw the tree may be hyphens.
            let Some(indentation) = line.find(|c| is_path_character(c) && c != '-') else { continue };
            around.retain(|(outer, _)| *outer < indentation);
            let base = around.last().map_or(String::new(), |(_, directory)| directory.clone());
            for name in names_of(line.get(indentation..).unwrap_or_default()) {
                let Some(path) = resolve(&base, name).filter(|path| tree.has(path)) else {
                    self.problems.push(Problem::new(
                        MAP,
                        first_line + number,
                        format!("there is no `{base}{name}`"),
                    ));
                    continue;
                };
                if name.ends_with('/') {
                    around.push((indentation, format!("{path}/")));
                }
                self.paths.insert(path);
            }
        }
    }
}

/// The paths that a line of a tree begins with, separated by commas; what follows them explains.
fn names_of(line: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for word in line.split_whitespace() {
        let name = word.trim_end_matches(',');
        if !is_path(name) || !(name.contains('/') || name.contains('.')) {
            break;
        }
        names.push(name);
        if !word.ends_with(',') {
            break;
        }
    }
    names
}

fn is_path(name: &str) -> bool {
    !name.is_empty()
        && name.chars().all(|c| is_path_character(c) || c == '/')
        && !name.starts_with(['/', '-'])
        && !name.starts_with(BUILT)
}

fn is_path_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-')
}

/// Directory and package name of every crate of the workspace.
fn members(tree: &Tree) -> Result<Vec<(String, String)>, Problem> {
    let workspace = manifest(tree, MANIFEST)?;
    let members = workspace.get("workspace").and_then(|table| table.get("members")?.as_array());
    let members = members.ok_or_else(|| Problem::new(MANIFEST, 0, "there is no list `workspace.members`"))?;
    let mut crates = Vec::new();
    for member in members {
        let directory = member.as_str().unwrap_or_default().trim_end_matches('/');
        let file = format!("{directory}/{MANIFEST}");
        let package = manifest(tree, &file)?;
        let name = package.get("package").and_then(|table| table.get("name")?.as_str());
        let name = name.ok_or_else(|| Problem::new(&file, 0, "there is no `package.name`"))?;
        crates.push((directory.to_owned(), name.to_owned()));
    }
    Ok(crates)
}

fn manifest(tree: &Tree, file: &str) -> Result<Table, Problem> {
    let text =
        tree.text(file).ok_or_else(|| Problem::new(file, 0, "there is no such file, or it is no text"))?;
    text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(0, |span| line_at(text, span.start));
        Problem::new(file, line, format!("it is no manifest: {}", error.message()))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::lines;
    use super::{Tree, check};

    fn problems(map: &str) -> Vec<String> {
        lines(&check(&Tree::of(&[
            ("ARCHITECTURE.md", map),
            ("Cargo.toml", "[workspace]\nmembers = [\"plugin/engine\", \"xtask\"]\n"),
            ("plugin/engine/Cargo.toml", "[package]\nname = \"the-engine\"\n"),
            ("plugin/engine/src/emit.rs", ""),
            ("plugin/rules/a.yml", ""),
            ("xtask/Cargo.toml", "[package]\nname = \"xtask\"\n"),
        ])))
    }

    #[test]
    fn a_map_that_fits_has_no_problems() {
        for map in [
            "## Code map\n\n- `plugin/engine`: the library\n- `xtask`: automation\n",
            "## Code map\n\n- `the-engine`\n- `xtask/`\n",
            "# Rooms\n\n### `plugin/engine/`\n\n`src/emit.rs` writes; `audit.k8s.io/v1`, `policy`, `a::b`\n\n`xtask`",
            "## Code map\n\n```\nCargo.toml, ARCHITECTURE.md\nplugin/\n  engine/   the library, pure\n    src/emit.rs\n  rules/\nxtask/  automation\n```\n",
            "## Code map\n\n```text\n├── plugin/\n│   ├── engine/  the library\n│   └── rules/\n└── xtask/\n```\n",
            "## Code map\n\n`the-engine`, `xtask`; builds make `target/plugin/x.wasm`\n\n## After\n\n`gone/`\n",
        ] {
            assert_eq!(problems(map), [""; 0], "{map}");
        }
    }

    #[test]
    fn a_map_that_does_not_fit_has() {
        const BOTH: &str = "`the-engine` and `xtask`";
        for (map, expected) in [
            ("# Something else\n".to_owned(), "ARCHITECTURE.md: it has no heading `Rooms`"),
            (
                "## Code map\n\n`xtask`\n".to_owned(),
                "ARCHITECTURE.md: the code map does not name the crate `plugin/engine` (package `the-engine`)",
            ),
            (format!("## Code map\n\n{BOTH}\n\n- `gone/`\n"), "ARCHITECTURE.md:5: there is no `gone/`"),
            (
                format!("## Code map\n\n{BOTH} `plugin/gone`\n"),
                "ARCHITECTURE.md:3: there is no `plugin/gone`",
            ),
            (format!("## Code map\n\n{BOTH} `gone.rs`\n"), "ARCHITECTURE.md:3: there is no `gone.rs`"),
            (
                format!("## Code map\n\n{BOTH}\n\n```\nplugin/\n  gone/  what was here\n```\n"),
                "ARCHITECTURE.md:7: there is no `plugin/gone/`",
            ),
        ] {
            let found = problems(&map);
            assert_eq!(found.len(), 1, "{map}: {found:?}");
            assert!(found.iter().all(|problem| problem.starts_with(expected)), "{map}: {found:?}");
        }
    }

    #[test]
    fn what_is_missing_or_broken_is_a_problem() {
        let map = ("ARCHITECTURE.md", "## Code map\n");
        for (files, expected) in [
            (vec![], "ARCHITECTURE.md: there is no such file"),
            (vec![map], "Cargo.toml: there is no such file"),
            (vec![map, ("Cargo.toml", "x = 1\n[")], "Cargo.toml:2: it is no manifest"),
            (vec![map, ("Cargo.toml", "x = 1\n")], "Cargo.toml: there is no list `workspace.members`"),
            (
                vec![map, ("Cargo.toml", "[workspace]\nmembers = [\"gone\"]\n")],
                "gone/Cargo.toml: there is no such file",
            ),
        ] {
            let found = lines(&check(&Tree::of(&files)));
            assert_eq!(found.len(), 1, "{files:?}: {found:?}");
            assert!(found.iter().all(|problem| problem.starts_with(expected)), "{files:?}: {found:?}");
        }
    }
}
