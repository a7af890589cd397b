//! Commands that ran inside containers, as what watches the kernel reports them. The audit API knows nothing of
//! them: `kubectl exec` shows the first command of a session, these show what was typed into it.
//!
//! | for rules | ACK container auditing (`advaudit`) | Tetragon `process_exec` | Falco |
//! | --- | --- | --- | --- |
//! | `objectRef.namespace` | `k8s.pod.namespace` | `process.pod.namespace` | `k8s.ns.name` |
//! | `objectRef.name` | `k8s.pod.name` | `process.pod.name` | `k8s.pod.name` |
//! | `user.username` | `k8s.user.username` | | |
//! | `user.groups` | `k8s.user.groups` | | |
//! | `audit.exec.container` | `k8s.container.name` | `process.pod.container.name` | `container.name` |
//! | `audit.exec.command` | `process.cmdline`, else `process.name` | `process.binary`, `process.arguments` | `proc.cmdline`, else `proc.name` |
//! | `auditID` | `eventId` | `process.exec_id` | `uuid` |
//! | `stageTimestamp` | `time` | `process.start_time`, else `time` | `time` |
//!
//! Each also has verb `exec` on `objectRef.resource: pods`, `objectRef.subresource: exec`, no `requestURI`, no
//! `level`, and the record's own members under their own names. The verb is none that the API server writes for an
//! exec, `create` or `get`: rules that count sessions do not count the commands in them.
//!
//! The account is the one that opened the session. Without one nobody knows who acted: the user in the container
//! is no user of the cluster.

use super::Member;
use super::shape::{Draft, Found, Nature, json_in, lookup};
use crate::json::{self, Kind, Raw, Text};
use crate::normalize::Exec;
use std::borrow::Cow;

/// Where an event of one kind has what.
struct Fields {
    namespace: &'static [u8],
    pod: &'static [u8],
    user: &'static [u8],
    groups: &'static [u8],
    container: &'static [u8],
    /// The whole command line; where it is absent or empty, the program and its arguments.
    line: &'static [u8],
    program: &'static [u8],
    arguments: &'static [u8],
    id: &'static [u8],
    time: &'static [u8],
}

const ACK: Fields = Fields {
    namespace: b"k8s.pod.namespace",
    pod: b"k8s.pod.name",
    user: b"k8s.user.username",
    groups: b"k8s.user.groups",
    container: b"k8s.container.name",
    line: b"process.cmdline",
    program: b"process.name",
    arguments: b"",
    id: b"eventId",
    time: b"time",
};

const TETRAGON: Fields = Fields {
    namespace: b"process_exec.process.pod.namespace",
    pod: b"process_exec.process.pod.name",
    user: b"",
    groups: b"",
    container: b"process_exec.process.pod.container.name",
    line: b"",
    program: b"process_exec.process.binary",
    arguments: b"process_exec.process.arguments",
    id: b"process_exec.process.exec_id",
    time: b"process_exec.process.start_time",
};

const FALCO: Fields = Fields {
    namespace: b"output_fields.k8s.ns.name",
    pod: b"output_fields.k8s.pod.name",
    user: b"",
    groups: b"",
    container: b"output_fields.container.name",
    line: b"output_fields.proc.cmdline",
    program: b"output_fields.proc.name",
    arguments: b"output_fields.proc.args",
    id: b"uuid",
    time: b"time",
};

/// Whether a member of that name is a sign that a record may be one of these.
pub(super) fn is_sign(name: &[u8]) -> bool {
    matches!(name, b"process_exec" | b"output_fields" | b"k8s") || name.starts_with(b"k8s.")
}

/// The event that a record stands for, if it tells of a command in a pod's container.
pub(super) fn event(record: &[u8]) -> Option<Found<'_>> {
    let source = Source::of(record);
    let fields = if source.at(b"process_exec").is_some() {
        &TETRAGON
    } else if source.at(b"output_fields").is_some() {
        &FALCO
    } else {
        &ACK
    };
    let pod = source.text(fields.pod)?;
    let exec = source.exec(fields)?;

    let mut draft = Draft::of_v1();
    draft.string(Member::AuditId, &source.text(fields.id).unwrap_or_default());
    draft.string(Member::Stage, b"ResponseComplete");
    draft.string(Member::Verb, b"exec");
    let user = source.text(fields.user).unwrap_or_default();
    let groups = source.at(fields.groups);
    draft.open(Member::User);
    draft.named_string("username", &user);
    if let Some(groups) = groups {
        match groups.text().map(json_in) {
            Some(Some(json)) => draft.raw(b"groups", &json),
            None if groups.kind() == Kind::Array => draft.raw(b"groups", groups.0),
            _ => {}
        }
    }
    draft.close();
    draft.open(Member::ObjectRef);
    draft.named_string("resource", b"pods");
    draft.named_string("namespace", &source.text(fields.namespace).unwrap_or_default());
    draft.named_string("name", &pod);
    draft.named_string("apiVersion", b"v1");
    draft.named_string("subresource", b"exec");
    draft.close();
    let time = source.text(fields.time).or_else(|| source.text(b"time")).unwrap_or_default();
    draft.string(Member::StageTimestamp, &time);
    for (name, value) in json::members(Raw(record)) {
        let name = name.decode();
        if Member::of_bytes(&name).is_none() {
            draft.raw(&name, value.0);
        }
    }
    Some(draft.finish(Nature::Command(exec)))
}

/// A record, and the two members that an export of Simple Log Service has as JSON in a string.
struct Source<'a> {
    record: Raw<'a>,
    k8s: Option<Cow<'a, [u8]>>,
    process: Option<Cow<'a, [u8]>>,
}

impl<'a> Source<'a> {
    fn of(record: &'a [u8]) -> Self {
        let record = Raw(record);
        let open = |name: &[u8]| record.get(name).and_then(Raw::text).and_then(json_in);
        Self { record, k8s: open(b"k8s"), process: open(b"process") }
    }

    /// The value at a path.
    fn at(&self, path: &[u8]) -> Option<Raw<'_>> {
        if path.is_empty() {
            return None;
        }
        lookup(self.record, path).or_else(|| {
            let (json, rest) = match path.strip_prefix(b"k8s.") {
                Some(rest) => (&self.k8s, rest),
                None => (&self.process, path.strip_prefix(b"process.")?),
            };
            lookup(Raw(json.as_deref()?), rest)
        })
    }

    /// The string at a path, unless it is empty or says that Falco could not find it out.
    fn text(&self, path: &[u8]) -> Option<Cow<'_, [u8]>> {
        self.at(path)?.text().map(Text::decode).filter(|text| !matches!(&**text, b"" | b"<NA>"))
    }

    /// What was run, if something was.
    fn exec(&self, fields: &Fields) -> Option<Exec> {
        let line = self.text(fields.line).unwrap_or_default();
        let arguments = self.text(fields.arguments).unwrap_or_default();
        let container = self.text(fields.container).map(Cow::into_owned);
        let exec = if line.trim_ascii().is_empty() {
            let program = self.text(fields.program)?.into_owned();
            Exec::of_process(container, std::iter::once(program).chain(words(&arguments)))
        } else {
            Exec::of_process(container, words(&line))
        };
        Some(exec)
    }
}

/// The words of a command line. Who watches the kernel joins arguments by spaces; Tetragon puts those in quotes
/// that have spaces themselves, which then stand for one argument.
fn words(line: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let mut rest = line.trim_ascii();
    // Where no quote ends a word, none further on does: looking again for each would take quadratic time.
    let mut has_quotes = true;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut word = None;
        if has_quotes && rest.starts_with(b"\"") {
            word = quoted(rest);
            has_quotes = word.is_some();
        }
        let (word, later) = word.unwrap_or_else(|| {
            let end = rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len());
            rest.split_at(end)
        });
        rest = later.trim_ascii_start();
        Some(word.to_vec())
    })
}

/// A word in quotes at the start of a line, and what follows it. The quote that ends it ends a word.
fn quoted(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = line.strip_prefix(b"\"")?;
    let ends = |at: usize| inner.get(at) == Some(&b'"') && matches!(inner.get(at + 1), None | Some(b' '));
    let end = (0..inner.len()).find(|&at| ends(at))?;
    Some((inner.get(..end)?, inner.get(end + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_have_words() {
        for (line, expected) in [
            ("", &[][..]),
            ("  ", &[]),
            ("id", &["id"]),
            ("curl  -s http://203.0.113.9/x ", &["curl", "-s", "http://203.0.113.9/x"]),
            (r#"-c "curl x | sh" y"#, &["-c", "curl x | sh", "y"]),
            (r#"-c "say "hello" now" y"#, &["-c", "say \"hello", "now\"", "y"]),
            (r#"echo "open"#, &["echo", "\"open"]),
            (r#"echo """#, &["echo", ""]),
        ] {
            let found: Vec<_> = words(line.as_bytes()).map(|word| String::from_utf8(word).unwrap()).collect();
            assert_eq!(found, expected, "{line}");
        }
    }
}
