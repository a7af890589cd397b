//! One line for a person: who did what to which object, from where, with what result.
//!
//! ```text
//! alice@example.com ran [sh -c id] in container app of pod default/web-0 from 203.0.113.7: 101
//! system:serviceaccount:ci:robot deleted deployment shop/cart from 10.0.0.5: 200
//! bob was denied (403) listing secrets in namespace kube-system from 203.0.113.9
//! ```
//!
//! The line goes to terminals and chats, and most words in it are an attacker's. So each is bounded, written
//! in quotes where it could be taken for several, and without anything that moves a cursor, breaks a line or
//! turns the direction of writing. Only kept events get a message.

use super::command::Exec;
use super::{Normalized, OperatorSource, Outcome, classify};
use crate::json;
use crate::record::{Event, Member, ObjectRef};

/// How many bytes of one word are written. Names in Kubernetes have at most 253.
const LONGEST_WORD: usize = 256;

/// How many bytes of a command are written, all arguments together; `exec.command` has the rest.
const LONGEST_COMMAND: usize = 512;

/// A verb's past ("deleted") and present participle ("deleting").
struct Phrase {
    past: &'static str,
    doing: &'static str,
}

const fn phrase(past: &'static str, doing: &'static str) -> Phrase {
    Phrase { past, doing }
}

/// What is said between the operator and the object.
enum Deed {
    /// A verb with its own words.
    Known(Phrase),
    /// A verb with its own words, to a part of the object.
    Part(Phrase),
    /// A verb that is cited.
    Other,
}

fn of_verb(verb: &[u8]) -> Option<Phrase> {
    Some(match verb {
        b"get" => phrase("read", "reading"),
        b"list" => phrase("listed", "listing"),
        b"watch" => phrase("watched", "watching"),
        b"create" => phrase("created", "creating"),
        b"update" => phrase("updated", "updating"),
        b"patch" => phrase("patched", "patching"),
        b"delete" => phrase("deleted", "deleting"),
        b"deletecollection" => phrase("deleted a collection of", "deleting a collection of"),
        b"post" => phrase("posted to", "posting to"),
        _ => return None,
    })
}

/// What a verb means where the subresource says more than it.
fn of_subresource(subresource: &[u8], verb: &[u8]) -> Option<Phrase> {
    Some(match (subresource, verb) {
        (b"exec", _) => phrase("ran", "running"),
        (b"attach", _) => phrase("attached to", "attaching to"),
        (b"portforward", _) => phrase("forwarded", "forwarding"),
        (b"proxy", _) => phrase("went through the proxy to", "going through the proxy to"),
        (b"ephemeralcontainers", b"patch" | b"update") => phrase("added", "adding"),
        (b"eviction", b"create") => phrase("evicted", "evicting"),
        (b"binding", b"create") => phrase("bound", "binding"),
        (b"token", b"create") => phrase("requested a token for", "requesting a token for"),
        (b"log", b"get") => phrase("read the log of", "reading the log of"),
        (b"scale", b"patch" | b"update") => phrase("scaled", "scaling"),
        _ => return None,
    })
}

pub(super) fn write(normalized: &Normalized<'_>, event: &Event<'_>, out: &mut Vec<u8>) {
    let verb = event.text(Member::Verb).unwrap_or_default().decode();
    let reference = event.object_ref.unwrap_or_default();
    let subresource = reference.subresource.decode();
    let deed = match of_subresource(&subresource, &verb) {
        Some(phrase) => Deed::Known(phrase),
        None => match of_verb(&verb) {
            Some(phrase) if subresource.is_empty() => Deed::Known(phrase),
            Some(phrase) => Deed::Part(phrase),
            None => Deed::Other,
        },
    };

    push_operator(normalized, event, out);
    let code = event.response_code();
    let denied = normalized.outcome == Some(Outcome::Failure) && matches!(code, Some(401 | 403));
    let past = match normalized.outcome {
        Some(Outcome::Success) => true,
        Some(Outcome::Failure) if denied => {
            out.extend_from_slice(b" was denied (");
            json::push_number(out, code.unwrap_or_default());
            out.push(b')');
            false
        }
        Some(Outcome::Failure) => {
            out.extend_from_slice(b" failed");
            false
        }
        // The event is from before the answer.
        None => {
            out.extend_from_slice(b" began");
            false
        }
    };
    out.push(b' ');
    match &deed {
        Deed::Known(phrase) | Deed::Part(phrase) => {
            let words = if past { phrase.past } else { phrase.doing };
            out.extend_from_slice(words.as_bytes());
        }
        Deed::Other => {
            out.extend_from_slice(if past { b"used verb " } else { b"using verb " });
            push_word(out, &verb, LONGEST_WORD);
            out.extend_from_slice(b" on");
        }
    }
    out.push(b' ');
    match normalized.exec.as_deref() {
        _ if event.object_ref.is_none() => push_path(event, out),
        exec => {
            push_part(exec, &subresource, &deed, out);
            push_object(&reference, &verb, out);
            if &*subresource == b"proxy" {
                out.extend_from_slice(b" at ");
                push_path(event, out);
            }
        }
    }
    if normalized.dry_run {
        out.extend_from_slice(b" (asking for a dry run)");
    }
    if let Some(ip) = &normalized.source_ip {
        out.extend_from_slice(b" from ");
        out.extend_from_slice(ip);
    }
    if classify::has_panicked(event) {
        out.extend_from_slice(b": the API server panicked");
    } else if let Some(code) = code
        && !denied
    {
        out.extend_from_slice(b": ");
        json::push_number(out, code);
    }
}

fn push_operator(normalized: &Normalized<'_>, event: &Event<'_>, out: &mut Vec<u8>) {
    if normalized.is_nobodys() {
        out.extend_from_slice(b"a process");
    } else if normalized.operator.is_empty() {
        out.extend_from_slice(b"an unauthenticated client");
    } else {
        push_word(out, &normalized.operator, LONGEST_WORD);
    }
    let how: &[u8] = match normalized.operator_source {
        OperatorSource::Username => return,
        OperatorSource::Impersonation => b" (impersonated by ",
        OperatorSource::RbacReason => b" (as ",
    };
    out.extend_from_slice(how);
    push_word(out, &event.user.username.decode(), LONGEST_WORD);
    out.push(b')');
}

/// What part of an object was used: the command in the container of a pod, the ports of it, its status.
fn push_part(exec: Option<&Exec>, subresource: &[u8], deed: &Deed, out: &mut Vec<u8>) {
    match subresource {
        b"" => {}
        b"exec" => {
            match exec {
                Some(exec) if !exec.command.is_empty() => push_command(&exec.command, out),
                _ => out.extend_from_slice(b"a command"),
            }
            out.extend_from_slice(b" in ");
            push_container(exec, out);
        }
        b"attach" => push_container(exec, out),
        b"portforward" => {
            match exec.map(|exec| exec.ports.as_slice()).unwrap_or_default() {
                [] => out.extend_from_slice(b"ports"),
                [port] => {
                    out.extend_from_slice(b"port ");
                    out.extend_from_slice(port);
                }
                [first, rest @ ..] => {
                    out.extend_from_slice(b"ports ");
                    out.extend_from_slice(first);
                    // A handful tells enough.
                    for port in rest.iter().take(9) {
                        out.extend_from_slice(b", ");
                        out.extend_from_slice(port);
                    }
                    if rest.len() > 9 {
                        out.extend_from_slice("…".as_bytes());
                    }
                }
            }
            out.extend_from_slice(b" of ");
        }
        b"ephemeralcontainers" if matches!(deed, Deed::Known(_)) => {
            out.extend_from_slice(b"ephemeral container ");
            if let Some(exec) = exec {
                if let Some(name) = &exec.container {
                    push_word(out, name, LONGEST_WORD);
                    out.push(b' ');
                }
                if let Some(image) = &exec.image {
                    out.extend_from_slice(b"with image ");
                    push_word(out, image, LONGEST_WORD);
                    out.push(b' ');
                }
            }
            out.extend_from_slice(b"to ");
        }
        _ if matches!(deed, Deed::Known(_)) => {}
        _ => {
            push_word(out, subresource, LONGEST_WORD);
            out.extend_from_slice(b" of ");
        }
    }
}

fn push_container(exec: Option<&Exec>, out: &mut Vec<u8>) {
    if let Some(container) = exec.and_then(|exec| exec.container.as_ref()) {
        out.extend_from_slice(b"container ");
        push_word(out, container, LONGEST_WORD);
        out.extend_from_slice(b" of ");
    }
}

/// The arguments in brackets, each in quotes where it is not one plain word.
fn push_command(arguments: &[Vec<u8>], out: &mut Vec<u8>) {
    let mut room = LONGEST_COMMAND;
    out.push(b'[');
    for (index, argument) in arguments.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        if room == 0 {
            out.extend_from_slice("…".as_bytes());
            break;
        }
        push_word(out, argument, room);
        // Empty arguments take room as well.
        room = room.saturating_sub(argument.len().max(1));
    }
    out.push(b']');
}

/// The object: `pod shop/web-0`, `node n1`, `a pod in namespace shop`, `secrets`.
fn push_object(reference: &ObjectRef<'_>, verb: &[u8], out: &mut Vec<u8>) {
    let resource = reference.resource.decode();
    let (namespace, name) = (reference.namespace.decode(), reference.name.decode());
    // A namespace's own request is in that namespace.
    let namespace = if &*resource == b"namespaces" { &[] } else { &*namespace };
    if name.is_empty() {
        // The server is yet to give the name.
        if verb == b"create" {
            out.extend_from_slice(b"a new ");
            push_singular(out, &resource);
        } else {
            push_word(out, &resource, LONGEST_WORD);
        }
        if !namespace.is_empty() {
            out.extend_from_slice(b" in namespace ");
            push_word(out, namespace, LONGEST_WORD);
        }
        return;
    }
    push_singular(out, &resource);
    out.push(b' ');
    if !namespace.is_empty() {
        push_word(out, namespace, LONGEST_WORD);
        out.push(b'/');
    }
    push_word(out, &name, LONGEST_WORD);
}

/// The request's path without its query.
fn push_path(event: &Event<'_>, out: &mut Vec<u8>) {
    let uri = event.text(Member::RequestUri).unwrap_or_default().decode();
    let path = uri.split(|&byte| byte == b'?').next().unwrap_or_default();
    push_word(out, path, LONGEST_WORD);
}

/// Plurals that the rules of [`push_singular`] get wrong.
const IRREGULAR: &[(&[u8], &[u8])] = &[
    (b"endpoints", b"endpoints"),
    (b"securitycontextconstraints", b"securitycontextconstraints"),
    (b"prometheuses", b"prometheus"),
    (b"componentstatuses", b"componentstatus"),
    (b"caches", b"cache"),
];

/// The singular of a resource's name: `policies`, `ingresses`, `pods`.
fn push_singular(out: &mut Vec<u8>, plural: &[u8]) {
    if let Some((_, singular)) = IRREGULAR.iter().find(|(irregular, _)| *irregular == plural) {
        return out.extend_from_slice(singular);
    }
    if let Some(stem) = plural.strip_suffix(b"ies") {
        push_word(out, &[stem, b"y"].concat(), LONGEST_WORD);
        return;
    }
    let sibilant = [&b"sses"[..], b"shes", b"ches", b"xes"].iter().any(|ending| plural.ends_with(ending));
    let ending: &[u8] = if sibilant { b"es" } else { b"s" };
    push_word(out, plural.strip_suffix(ending).unwrap_or(plural), LONGEST_WORD);
}

/// Appends text as one word that can do no harm: in quotes, with escapes, if it has anything but visible
/// characters; not more of it than `limit` bytes.
fn push_word(out: &mut Vec<u8>, text: &[u8], limit: usize) {
    if !text.is_empty() && text.len() <= limit && json::is_plain(text, b'!') {
        return out.extend_from_slice(text);
    }
    let start = out.len();
    let mut quoted = text.is_empty();
    let mut room = limit;
    'text: for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            let size = character.len_utf8();
            if size > room {
                break 'text;
            }
            room -= size;
            quoted |= push_character(out, character);
        }
        if !chunk.invalid().is_empty() {
            if room == 0 {
                break;
            }
            room -= 1;
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    if text.len() > limit {
        out.extend_from_slice("…".as_bytes());
    }
    if quoted {
        out.insert(start, b'"');
        out.push(b'"');
    }
}

/// Appends a character, escaped if it must be; returns whether the word now needs quotes.
fn push_character(out: &mut Vec<u8>, character: char) -> bool {
    match character {
        '"' | '\\' => out.extend_from_slice(&[b'\\', character as u8]),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        ' ' => out.push(b' '),
        _ if is_invisible(character) => {
            out.extend_from_slice(b"\\u{");
            let code = u32::from(character);
            let mut shift = 24_u32;
            while shift > 4 && code >> (shift - 4) == 0 {
                shift -= 4;
            }
            while shift > 0 {
                shift -= 4;
                let digit = char::from_digit(code >> shift & 15, 16).unwrap_or('0');
                out.push(digit as u8);
            }
            out.push(b'}');
        }
        _ => {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            return false;
        }
    }
    true
}

/// Whether a character shows nothing, or changes how others show: controls, spaces of every kind, marks for
/// the direction of writing, joiners, variation selectors, tags.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || character.is_whitespace()
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::super::{Normalizer, Settings};
    use super::*;
    use proptest::prelude::*;

    fn message(members: &str) -> String {
        let record = format!(r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1",{members}}}"#);
        let event = Event::read(record.as_bytes(), b"audit").unwrap();
        let mut out = Vec::new();
        Normalizer::new(Settings::default()).normalize(&event).write_message(&event, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_message_says_who_did_what_to_which_object_from_where_with_what_result() {
        for (members, expected) in [
            (
                r#""verb":"create","user":{"username":"alice@example.com"},"sourceIPs":["203.0.113.7"],"requestURI":"/api/v1/namespaces/default/pods/web-0/exec?command=sh\u0026command=-c\u0026command=id\u0026container=app\u0026stdout=true","objectRef":{"resource":"pods","namespace":"default","name":"web-0","apiVersion":"v1","subresource":"exec"},"responseStatus":{"code":101}"#,
                "alice@example.com ran [sh -c id] in container app of pod default/web-0 from 203.0.113.7: 101",
            ),
            (
                r#""verb":"get","user":{"username":"alice"},"sourceIPs":["203.0.113.7"],"requestURI":"/x?command=sh\u0026command=-c\u0026command=cat+/etc/passwd+%7C+head","objectRef":{"resource":"pods","namespace":"default","name":"web-0","subresource":"exec"},"responseStatus":{"code":403}"#,
                r#"alice was denied (403) running [sh -c "cat /etc/passwd | head"] in pod default/web-0 from 203.0.113.7"#,
            ),
            (
                r#""verb":"create","user":{"username":"alice"},"requestURI":"/x?container=app","objectRef":{"resource":"pods","namespace":"default","name":"web-0","subresource":"attach"},"responseStatus":{"code":101}"#,
                "alice attached to container app of pod default/web-0: 101",
            ),
            (
                r#""verb":"create","user":{"username":"alice"},"requestURI":"/x?ports=80\u0026ports=443","objectRef":{"resource":"pods","namespace":"default","name":"web-0","subresource":"portforward"},"responseStatus":{"code":101}"#,
                "alice forwarded ports 80, 443 of pod default/web-0: 101",
            ),
            (
                r#""verb":"create","user":{"username":"alice"},"requestURI":"/x","objectRef":{"resource":"pods","namespace":"default","name":"web-0","subresource":"portforward"},"responseStatus":{"code":101}"#,
                "alice forwarded ports of pod default/web-0: 101",
            ),
            (
                r#""verb":"patch","user":{"username":"alice"},"requestURI":"/x","objectRef":{"resource":"pods","namespace":"default","name":"web-0","subresource":"ephemeralcontainers"},"requestObject":{"spec":{"ephemeralContainers":[{"name":"debugger-x","image":"busybox"}]}},"responseStatus":{"code":200}"#,
                "alice added ephemeral container debugger-x with image busybox to pod default/web-0: 200",
            ),
            (
                r#""verb":"patch","user":{"username":"alice"},"requestURI":"/x","objectRef":{"resource":"pods","namespace":"default","name":"web-0","subresource":"ephemeralcontainers"},"responseStatus":{"code":200}"#,
                "alice added ephemeral container to pod default/web-0: 200",
            ),
            (
                r#""verb":"create","user":{"username":"bob"},"requestURI":"/api/v1/nodes/n1/proxy/run/a/b/c?cmd=id","objectRef":{"resource":"nodes","name":"n1","subresource":"proxy"},"responseStatus":{"code":200}"#,
                "bob went through the proxy to node n1 at /api/v1/nodes/n1/proxy/run/a/b/c: 200",
            ),
            (
                r#""verb":"delete","user":{"username":"system:serviceaccount:ci:robot"},"sourceIPs":["10.0.0.5"],"objectRef":{"resource":"deployments","namespace":"shop","name":"cart","apiGroup":"apps"},"responseStatus":{"code":200}"#,
                "system:serviceaccount:ci:robot deleted deployment shop/cart from 10.0.0.5: 200",
            ),
            (
                r#""verb":"list","user":{"username":"bob"},"sourceIPs":["203.0.113.9"],"objectRef":{"resource":"secrets","namespace":"kube-system"},"responseStatus":{"code":403}"#,
                "bob was denied (403) listing secrets in namespace kube-system from 203.0.113.9",
            ),
            (
                r#""verb":"deletecollection","user":{"username":"bob"},"objectRef":{"resource":"pods","namespace":"shop"},"responseStatus":{"code":200}"#,
                "bob deleted a collection of pods in namespace shop: 200",
            ),
            (
                r#""verb":"delete","user":{"username":"bob"},"objectRef":{"resource":"namespaces","namespace":"shop","name":"shop"},"responseStatus":{"code":404}"#,
                "bob failed deleting namespace shop: 404",
            ),
            (
                r#""verb":"create","user":{"username":"bob"},"objectRef":{"resource":"pods","namespace":"shop"},"responseStatus":{"code":201}"#,
                "bob created a new pod in namespace shop: 201",
            ),
            (
                r#""verb":"create","user":{"username":"bob"},"requestURI":"/x?fieldManager=k\u0026dryRun=All","objectRef":{"resource":"pods","namespace":"shop","name":"web"},"responseStatus":{"code":201}"#,
                "bob created pod shop/web (asking for a dry run): 201",
            ),
            (
                r#""verb":"create","user":{"username":"bob"},"requestURI":"/x?command=id\u0026dryRun=All","objectRef":{"resource":"pods","namespace":"shop","name":"web","subresource":"exec"},"responseStatus":{"code":101}"#,
                "bob ran [id] in pod shop/web: 101",
            ),
            (
                r#""verb":"delete","user":{"username":"bob"},"requestURI":"/x?dryRun=All","objectRef":{"resource":"pods","namespace":"shop","name":"web"},"responseStatus":{"code":200}"#,
                "bob deleted pod shop/web: 200",
            ),
            (
                r#""verb":"create","user":{"username":"bob"},"objectRef":{"resource":"serviceaccounts","namespace":"shop","name":"robot","subresource":"token"},"responseStatus":{"code":201}"#,
                "bob requested a token for serviceaccount shop/robot: 201",
            ),
            (
                r#""verb":"update","user":{"username":"system:node:n1"},"objectRef":{"resource":"nodes","name":"n1","subresource":"status"},"responseStatus":{"code":200}"#,
                "system:node:n1 updated status of node n1: 200",
            ),
            (
                r#""verb":"get","user":{"username":"system:anonymous"},"sourceIPs":["203.0.113.7"],"requestURI":"/api?timeout=32s","responseStatus":{"code":200}"#,
                "system:anonymous read /api from 203.0.113.7: 200",
            ),
            (
                r#""verb":"get","user":{},"sourceIPs":["203.0.113.7"],"requestURI":"/api","responseStatus":{"code":401}"#,
                "an unauthenticated client was denied (401) reading /api from 203.0.113.7",
            ),
            (
                r#""verb":"approve","user":{"username":"bob"},"objectRef":{"resource":"signers","name":"x"},"responseStatus":{"code":200}"#,
                "bob used verb approve on signer x: 200",
            ),
            (
                r#""verb":"get","stage":"RequestReceived","user":{"username":"bob"},"objectRef":{"resource":"nodes","name":"n1"}"#,
                "bob began reading node n1",
            ),
            (
                r#""verb":"get","stage":"Panic","user":{"username":"bob"},"objectRef":{"resource":"nodes","name":"n1"},"responseStatus":{"code":500}"#,
                "bob failed reading node n1: the API server panicked",
            ),
            (
                r#""verb":"get","user":{"username":"bob"},"impersonatedUser":{"username":"carol"},"objectRef":{"resource":"nodes","name":"n1"},"responseStatus":{"code":200}"#,
                "carol (impersonated by bob) read node n1: 200",
            ),
            (
                r#""verb":"get","user":{"username":"kubernetes-admin"},"annotations":{"authorization.k8s.io/reason":"RBAC: allowed by ClusterRoleBinding \"a\" of ClusterRole \"b\" to User \"alice\""},"objectRef":{"resource":"nodes","name":"n1"},"responseStatus":{"code":200}"#,
                "alice (as kubernetes-admin) read node n1: 200",
            ),
        ] {
            assert_eq!(message(members), expected);
        }
    }

    #[test]
    fn hostile_words_stay_one_word_on_one_line() {
        for (name, word) in [
            (r"web", "web"),
            (r"renée", "renée"),
            (r"x deleted pod a\/b from 1.2.3.4: 200", r#""x deleted pod a/b from 1.2.3.4: 200""#),
            (r"a\nb\r\tc", r#""a\nb\r\tc""#),
            (r"\u001b[2J", r#""\u{1b}[2J""#),
            (r"\u007f\u0085\u009b", r#""\u{7f}\u{85}\u{9b}""#),
            (r"a\u202eb\u2066c\u200fd", r#""a\u{202e}b\u{2066}c\u{200f}d""#),
            (r"a\u00a0b\u3000c\u2028d\ufeffe", r#""a\u{a0}b\u{3000}c\u{2028}d\u{feff}e""#),
            (r"a\udb40\udc41b", r#""a\u{e0041}b""#),
            (r#"a\"b\\c"#, r#""a\"b\\c""#),
        ] {
            let members = format!(
                r#""verb":"get","user":{{"username":"bob"}},"objectRef":{{"resource":"pods","namespace":"shop","name":"{name}"}},"responseStatus":{{"code":200}}"#
            );
            assert_eq!(message(&members), format!("bob read pod shop/{word}: 200"));
        }
        let mut out = Vec::new();
        push_word(&mut out, b"a\xffb", 10);
        push_word(&mut out, b"", 10);
        assert_eq!(String::from_utf8(out).unwrap(), "a\u{fffd}b\"\"");
    }

    #[test]
    fn long_words_and_commands_are_cut() {
        for (text, limit, expected) in
            [("abcdef", 6, "abcdef"), ("abcdef", 5, "abcde…"), ("abc def", 5, "\"abc d…\""), ("éé", 3, "é…")]
        {
            let mut out = Vec::new();
            push_word(&mut out, text.as_bytes(), limit);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{text} within {limit}");
        }
        let mut out = Vec::new();
        push_command(&[b"sh".to_vec(), vec![b'x'; 1000], b"id".to_vec()], &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("[sh {}… …]", "x".repeat(LONGEST_COMMAND - 2)));
        let mut out = Vec::new();
        push_command(&vec![Vec::new(); 100_000], &mut out);
        assert!(out.len() < 4 * LONGEST_COMMAND);
    }

    #[test]
    fn plurals_have_singulars() {
        for (plural, singular) in [
            ("pods", "pod"),
            ("ingresses", "ingress"),
            ("storageclasses", "storageclass"),
            ("networkpolicies", "networkpolicy"),
            ("endpoints", "endpoints"),
            ("endpointslices", "endpointslice"),
            ("leases", "lease"),
            ("proxies", "proxy"),
            ("gateways", "gateway"),
            ("indexes", "index"),
            ("componentstatuses", "componentstatus"),
            ("certificatesigningrequests", "certificatesigningrequest"),
            ("helm", "helm"),
        ] {
            let mut out = Vec::new();
            push_singular(&mut out, plural.as_bytes());
            assert_eq!(String::from_utf8(out).unwrap(), singular);
        }
    }

    proptest! {
        #[test]
        fn a_word_is_visible_utf8_within_bounds(text in any::<Vec<u8>>(), limit in 0_usize..40) {
            let mut out = Vec::new();
            push_word(&mut out, &text, limit);
            // The longest escape of one byte has seven.
            prop_assert!(out.len() <= 7 * limit + 5);
            let out = String::from_utf8(out).unwrap();
            let hidden = |c: char| c != ' ' && is_invisible(c);
            prop_assert!(!out.contains(hidden), "{out:?}");
            if out.contains(' ') || out.is_empty() {
                prop_assert!(out.starts_with('"') && out.ends_with('"'), "{out:?}");
            }
        }
    }
}
