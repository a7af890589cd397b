//! Checks that the guide's page on troubleshooting has every message of the filter.
//!
//! A message is a string of three words or more on one line, in the sources of the engine and of the module around it,
//! tests left out. What is filled in stands as `…` on the page, and is not compared.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::{Problem, Tree};

const PAGE: &str = "docs/guide/troubleshooting.md";

/// Where the messages are.
const SOURCES: [&str; 2] = ["plugin/engine/src/", "plugin/fluent-bit/src/"];

/// Files below with sentences about events, which are no messages about mistakes, and files of tests alone.
const OTHERS: [&str; 8] = [
    "/builtin_rules.rs",
    "/explain.rs",
    "/message.rs",
    "/notify.rs",
    "/oracle.rs",
    "/published.rs",
    "/generate.rs",
    "/tests.rs",
];

/// Where there are fewer words, they are names or parts of a message that stands elsewhere.
const WORDS: usize = 3;

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let Some(page) = tree.text(PAGE).map(comparable) else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    for (file, text) in tree.texts() {
        let holds_messages = SOURCES.iter().any(|source| file.starts_with(source))
            && !OTHERS.iter().any(|other| file.ends_with(other));
        if !holds_messages || !file.ends_with(".rs") {
            continue;
        }
        let Ok(tokens) = text.parse::<TokenStream>() else {
            continue; // The compiler says it better.
        };
        let mut strings = Vec::new();
        collect(tokens, &mut strings);
        for (line, string) in strings {
            let message = comparable(&string);
            // A remedy may follow, which is a string of its own.
            let message = message.strip_suffix('…').filter(|head| !head.ends_with(' ')).unwrap_or(&message);
            if message.split(' ').count() >= WORDS && !page.contains(message) {
                problems.push(Problem::new(
                    file,
                    line,
                    format!("{PAGE} does not have the message `{message}`"),
                ));
            }
        }
    }
    problems
}

/// Every string on one line with its place, without those of attributes, which documentation is as well, and of tests.
fn collect(tokens: TokenStream, strings: &mut Vec<(usize, String)>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(mark) if mark.as_char() == '#' => {
                // `#![…]` has a further mark.
                tokens.next_if(|next| matches!(next, TokenTree::Punct(_)));
                let attribute = tokens.next_if(|next| matches!(next, TokenTree::Group(_)));
                if attribute.is_some_and(|attribute| attribute.to_string() == "[cfg (test)]") {
                    let ends_item = |token: &TokenTree| match token {
                        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                        TokenTree::Punct(mark) => mark.as_char() == ';',
                        _ => false,
                    };
                    tokens.find(ends_item);
                }
            }
            TokenTree::Group(group) => collect(group.stream(), strings),
            TokenTree::Literal(literal) => {
                let source = literal.to_string();
                let Some(string) = source.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
                    continue;
                };
                if !string.contains(r"\n") {
                    let string = string.replace("\\\n", "").replace(r#"\""#, "\"").replace(r"\\", r"\");
                    strings.push((literal.span().start().line, string));
                }
            }
            _ => {}
        }
    }
}

/// A text with `…` for what is filled in, or looks like it, and single blanks.
fn comparable(text: &str) -> String {
    let mut filled = String::new();
    let mut depth = 0_usize;
    for character in text.chars() {
        match character {
            '{' => depth += 1,
            // A brace that nothing closes is a character like any other, and ends with its line.
            '\n' => {
                depth = 0;
                filled.push(' ');
            }
            '}' => {
                depth = depth.saturating_sub(1);
                filled.push('…');
            }
            _ if depth == 0 => filled.push(character),
            _ => {}
        }
    }
    while filled.contains("……") {
        filled = filled.replace("……", "…");
    }
    filled.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::tests::lines;
    use super::{PAGE, Tree, check};

    #[test]
    fn a_message_is_on_the_page_or_a_problem() {
        let source = r##"
            //! No message of three words.
            #[doc = "no message of three words"]
            const JSON: &str = r#"no message of three words"#;
            fn f() { g(format!("expected {what}, found {}{remedy}; see \
                               {{a: b}}", x), "two words", "none on\none line"); }
            #[cfg(test)]
            mod tests { const A: &str = "no message of three words"; }
            #[cfg(test)]
            use a::b;
            const C: &str = "as it \"stands\"";
        "##;
        for (page, missing) in [
            ("- `expected …, found …; see {x: 10}`\n- `as it\n  \"stands\"`", vec![]),
            ("- `as it \"stands\"`", vec!["plugin/engine/src/a.rs:5", "`expected …, found …; see …`"]),
            ("- `expected …, found …; see …`", vec!["plugin/engine/src/a.rs:11", "`as it \"stands\"`"]),
        ] {
            let files =
                [(PAGE, page), ("plugin/engine/src/a.rs", source), ("plugin/engine/src/tests.rs", source)];
            let problems = lines(&check(&Tree::of(&files))).join("\n");
            assert_eq!(problems.lines().count(), usize::from(!missing.is_empty()), "{page}: {problems}");
            assert!(missing.iter().all(|part| problems.contains(part)), "{page}: {problems}");
        }
    }
}
