//! Checks that the relative links of Markdown files lead to a file of the checkout, and to a heading of it.

use std::collections::{BTreeMap, BTreeSet};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{Problem, Tree, line_at, resolve};

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let pages: BTreeMap<&str, Page> = tree
        .texts()
        .filter(|(file, _)| file.ends_with(".md"))
        .map(|(file, text)| (file, Page::read(text)))
        .collect();
    let mut problems = Vec::new();
    for (file, page) in &pages {
        for (line, destination) in &page.links {
            if let Some(what) = wrong(tree, &pages, file, destination) {
                problems.push(Problem::new(file, *line, format!("link to `{destination}`: {what}")));
            }
        }
    }
    problems
}

/// What is wrong with a link, if anything.
fn wrong(tree: &Tree, pages: &BTreeMap<&str, Page>, file: &str, destination: &str) -> Option<String> {
    if leads_elsewhere(destination) {
        return None;
    }
    let (path, anchor) = destination.split_once('#').unwrap_or((destination, ""));
    let target = if path.is_empty() {
        file.to_owned()
    } else {
        // From the root where it begins with a slash, as the sites that show repositories have it.
        let base =
            if path.starts_with('/') { "" } else { file.rsplit_once('/').map_or("", |(base, _)| base) };
        match resolve(base, &path.replace("%20", " ")) {
            Some(target) => target,
            None => return Some("it leaves the repository".to_owned()),
        }
    };
    if !tree.has(&target) {
        return Some(format!("there is no `{target}`"));
    }
    let page = pages.get(target.as_str())?;
    if anchor.is_empty() || page.anchors.contains(anchor) {
        return None;
    }
    Some(format!("`{target}` has no heading `#{anchor}`"))
}

/// Whether a link names a scheme (`https:`, `mailto:`) or a host.
fn leads_elsewhere(destination: &str) -> bool {
    let scheme = destination.split_once(':').is_some_and(|(scheme, _)| {
        !scheme.is_empty()
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    });
    scheme || destination.starts_with("//")
}

/// What of a Markdown file links are about.
#[derive(Default)]
struct Page {
    /// Line and destination.
    links: Vec<(usize, String)>,
    /// What can stand after `#`.
    anchors: BTreeSet<String>,
}

impl Page {
    fn read(text: &str) -> Self {
        let mut page = Self::default();
        let mut heading: Option<String> = None;
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_TASKLISTS;
        for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push((line_at(text, range.start), dest_url.into_string()));
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let slug = slug(&heading.take().unwrap_or_default());
                    // The second of two equal headings gets `-1`, the third `-2`.
                    let count = seen.entry(slug.clone()).or_insert(0);
                    page.anchors.insert(if *count == 0 { slug } else { format!("{slug}-{count}") });
                    *count += 1;
                }
                Event::Text(part) | Event::Code(part) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&part);
                    }
                }
                Event::Html(html) | Event::InlineHtml(html) => page.anchors.extend(identifiers(&html)),
                _ => {}
            }
        }
        page
    }
}

/// A heading as it stands in a link: lower case, blanks as hyphens, without punctuation.
fn slug(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The values of `id="…"` and `name="…"`.
fn identifiers(html: &str) -> Vec<String> {
    let values = [" id=\"", " name=\""].into_iter().flat_map(|attribute| html.split(attribute).skip(1));
    values.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::lines;
    use super::{Tree, check};

    #[test]
    fn links_lead_somewhere() {
        let page = "# One `way` through!\n\n## Twice\n\n## Twice\n\n<a id=\"marked\"></a>\n";
        for (link, expected) in [
            ("[a](page.md)", None),
            ("[a](page.md#one-way-through)", None),
            ("[a](page.md#twice-1)", None),
            ("[a](page.md#marked)", None),
            ("[a](../plugin/engine)", None),
            ("[a](../plugin/engine/)", None),
            ("[a](/plugin/engine/lib.rs#L10)", None),
            ("[a](https://example.com/nothing)", None),
            ("[a](mailto:a@example.com)", None),
            ("`[a](nothing.md)`", None),
            ("```\n[a](nothing.md)\n```", None),
            ("[a](nothing.md)", Some("there is no `docs/nothing.md`")),
            ("![a](nothing.png)", Some("there is no `docs/nothing.png`")),
            ("[a][b]\n\n[b]: nothing.md", Some("there is no `docs/nothing.md`")),
            ("[a](page.md#twice-2)", Some("`docs/page.md` has no heading `#twice-2`")),
            ("[a](#nothing)", Some("`docs/index.md` has no heading `#nothing`")),
            ("[a](../../elsewhere)", Some("it leaves the repository")),
        ] {
            let text = format!("first line\n\n{link}\n");
            let tree =
                Tree::of(&[("docs/index.md", &text), ("docs/page.md", page), ("plugin/engine/lib.rs", "")]);
            let problems = lines(&check(&tree));
            match expected {
                None => assert!(problems.is_empty(), "{link}: {problems:?}"),
                Some(expected) => {
                    assert_eq!(problems.len(), 1, "{link}: {problems:?}");
                    assert!(
                        problems.iter().all(|problem| problem.ends_with(expected)),
                        "{link}: {problems:?}"
                    );
                    assert!(
                        problems.iter().all(|problem| problem.starts_with("docs/index.md:3: ")),
                        "{problems:?}"
                    );
                }
            }
        }
    }
}
