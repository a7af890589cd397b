//! Checks each file by itself: its opening, what was left in it, its size.

use super::{Problem, Tree};

/// Bytes that a file may have. Bigger ones make every clone slower for good; generate or download them instead.
const LARGEST: usize = 1024 * 1024;

/// What says that work is unfinished; written in parts, so that this file does not have them.
const LEFTOVERS: [&str; 5] = [
    concat!("todo", "!"),
    concat!("unimplemented", "!"),
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XXX", ":"),
];

/// A file that a program wrote says so in its first lines.
const GENERATED: &str = concat!("@", "generated");

/// How many lines may come before that.
const GENERATED_WITHIN: usize = 5;

/// Recorded or measured data is kept as it came.
const DATA: [&str; 7] = ["json", "jsonl", "ndjson", "log", "csv", "svg", "lock"];

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (file, content) in &tree.files {
        if content.len() > LARGEST {
            let what = format!("{} bytes: more than {LARGEST} do not belong in git", content.len());
            problems.push(Problem::new(file, 0, what));
        }
    }
    for (file, text) in tree.texts() {
        let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
        let generated = text.lines().take(GENERATED_WITHIN).any(|line| line.contains(GENERATED));
        if generated || DATA.contains(&extension) {
            continue;
        }
        if extension == "rs" && !text.starts_with("//!") {
            problems.push(Problem::new(file, 1, "the file does not open with `//!`: say what it is for"));
        }
        for (number, line) in text.lines().enumerate() {
            if line.ends_with(char::is_whitespace) {
                problems.push(Problem::new(file, number + 1, "white space at the end of the line"));
            }
            for mark in LEFTOVERS {
                if has_word(line, mark) {
                    problems.push(Problem::new(
                        file,
                        number + 1,
                        format!("`{mark}`: finish it, or open an issue"),
                    ));
                }
            }
        }
    }
    problems
}

/// Whether `word` occurs in `line`, not as a part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let in_word = |character: Option<char>| character.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(start, _)| {
        let before = line.get(..start).and_then(|text| text.chars().next_back());
        let after = line.get(start + word.len()..).and_then(|text| text.chars().next());
        // A mark that ends in a sign ends there, whatever follows.
        let goes_on = in_word(word.chars().next_back()) && in_word(after);
        !in_word(before) && !goes_on
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::lines;
    use super::{GENERATED, LARGEST, LEFTOVERS, Tree, check};

    #[test]
    fn each_file_by_itself() {
        let leftover = |mark: &str| format!("//! a\nfn f() {{ {mark}(\"x\") }}\n");
        let generated = format!("// {GENERATED} by something  \n");
        let [todo, unimplemented, ..] = LEFTOVERS;
        for (file, text, expected) in [
            ("a.rs", "//! What it is for.\n", vec![]),
            ("a.rs", "fn main() {}\n", vec!["a.rs:1: the file does not open"]),
            ("a.rs", "", vec!["a.rs:1: the file does not open"]),
            ("a.rs", &generated, vec![]),
            ("a.rs", &leftover(todo), vec!["a.rs:2: `todo"]),
            ("a.rs", &leftover(unimplemented), vec!["a.rs:2: `unimplemented"]),
            ("a.rs", &leftover(&format!("not_{todo}")), vec![]),
            ("a.toml", "todo = \"warn\"\n", vec![]),
            ("a.md", "one \ntwo\t\nthree\n", vec!["a.md:1: white space", "a.md:2: white space"]),
            ("a.md", "one\r\ntwo\r\n", vec![]),
            ("a.jsonl", "{} \n", vec![]),
        ] {
            let problems = lines(&check(&Tree::of(&[(file, text)])));
            assert_eq!(problems.len(), expected.len(), "{file} {text:?}: {problems:?}");
            for (problem, expected) in problems.iter().zip(expected) {
                assert!(problem.starts_with(expected), "{file} {text:?}: {problem}");
            }
        }
    }

    #[test]
    fn a_big_file_is_a_problem_whatever_it_holds() {
        let mut tree = Tree::default();
        tree.files.insert("fits".to_owned(), vec![0xff; LARGEST]);
        tree.files.insert("too-big".to_owned(), vec![0xff; LARGEST + 1]);
        assert_eq!(lines(&check(&tree)), ["too-big: 1048577 bytes: more than 1048576 do not belong in git"]);
    }
}
