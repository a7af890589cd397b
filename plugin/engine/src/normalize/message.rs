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

use super::classify::{Subresource, Verb};
use super::command::Exec;
use super::kind::{Kind, Words};
use super::{Normalized, OperatorSource, Outcome};
use crate::buffer::{Room, Short};
use crate::json::{self, Raw, Text};
use crate::record::{Event, Member, ObjectRef};

/// How many bytes of one word are written. Names in Kubernetes have at most 253.
const LONGEST_WORD: usize = 256;

/// How many bytes of a command are written, all arguments together; `exec.command` has the rest.
const LONGEST_COMMAND: usize = 512;

/// A verb's past ("deleted") and present participle ("deleting").
type Phrase = [&'static str; 2];

/// What is said of a verb; nothing of those that are cited.
const OF_VERBS: [Phrase; Verb::COUNT] = {
    let mut phrases = [["", ""]; Verb::COUNT];
    phrases[Verb::Get as usize] = ["read", "reading"];
    phrases[Verb::List as usize] = ["listed", "listing"];
    phrases[Verb::Watch as usize] = ["watched", "watching"];
    phrases[Verb::Create as usize] = ["created", "creating"];
    phrases[Verb::Update as usize] = ["updated", "updating"];
    phrases[Verb::Patch as usize] = ["patched", "patching"];
    phrases[Verb::Delete as usize] = ["deleted", "deleting"];
    phrases[Verb::DeleteCollection as usize] = ["deleted a collection of", "deleting a collection of"];
    phrases[Verb::Post as usize] = ["posted to", "posting to"];
    phrases
};

/// What is said where the subresource says more than the verb.
const OF_SUBRESOURCES: [Phrase; Subresource::COUNT] = {
    let mut phrases = [["", ""]; Subresource::COUNT];
    phrases[Subresource::Exec as usize] = ["ran", "running"];
    phrases[Subresource::Attach as usize] = ["attached to", "attaching to"];
    phrases[Subresource::PortForward as usize] = ["forwarded", "forwarding"];
    phrases[Subresource::Proxy as usize] = ["went through the proxy to", "going through the proxy to"];
    phrases[Subresource::EphemeralContainers as usize] = ["added", "adding"];
    phrases[Subresource::Eviction as usize] = ["evicted", "evicting"];
    phrases[Subresource::Binding as usize] = ["bound", "binding"];
    phrases[Subresource::Token as usize] = ["requested a token for", "requesting a token for"];
    phrases[Subresource::Log as usize] = ["read the log of", "reading the log of"];
    phrases[Subresource::Scale as usize] = ["scaled", "scaling"];
    phrases
};

/// Whether the subresource says more than the verb: what is done is not done to a part of the object.
fn says_more(subresource: Subresource, verb: Verb) -> bool {
    match subresource {
        Subresource::Exec | Subresource::Attach | Subresource::PortForward | Subresource::Proxy => true,
        Subresource::EphemeralContainers | Subresource::Scale => matches!(verb, Verb::Patch | Verb::Update),
        Subresource::Eviction | Subresource::Binding | Subresource::Token => verb == Verb::Create,
        Subresource::Log => verb == Verb::Get,
        Subresource::None | Subresource::Other => false,
    }
}

/// Writes the line; returns whether it is known to need no escapes in JSON.
pub(super) fn write(
    normalized: &Normalized<'_>,
    event: &Event<'_>,
    out: &mut Room<'_>,
) -> Result<bool, Short> {
    let Kind { verb, subresource, words, .. } = normalized.kind;
    let says_more = says_more(subresource, verb);
    let phrase =
        if says_more { OF_SUBRESOURCES.get(subresource as usize) } else { OF_VERBS.get(verb as usize) };
    let mut is_plain = put_operator(normalized, &words, event, out)?;
    let code = normalized.code;
    let denied = normalized.outcome == Some(Outcome::Failure) && matches!(code, Some(401 | 403));
    let past = match normalized.outcome {
        Some(Outcome::Success) => true,
        Some(Outcome::Failure) if denied => {
            out.push(b" was denied (")?;
            out.push_number(code.unwrap_or_default())?;
            out.push(b")")?;
            false
        }
        Some(Outcome::Failure) => {
            out.push(b" failed")?;
            false
        }
        // The event is from before the answer.
        None => {
            out.push(b" began")?;
            false
        }
    };
    out.push(b" ")?;
    match phrase {
        Some([did, doing]) if !doing.is_empty() => {
            out.push(if past { did } else { doing }.as_bytes())?;
        }
        _ => {
            out.push(if past { b"used verb " } else { b"using verb " })?;
            is_plain &= put_word(out, event.text(Member::Verb).unwrap_or_default(), false)?;
            out.push(b" on")?;
        }
    }
    out.push(b" ")?;
    if let Some(reference) = &event.object_ref {
        if subresource != Subresource::None && !says_more {
            is_plain &= put_word(out, reference.subresource, words.subresource)?;
            out.push(b" of ")?;
        } else if let Subresource::Exec
        | Subresource::Attach
        | Subresource::PortForward
        | Subresource::EphemeralContainers = subresource
        {
            out.push_owned(used_part(normalized.exec.as_deref(), subresource))?;
            is_plain = false;
        }
        is_plain &= put_object(reference, verb, &words, out)?;
        if subresource == Subresource::Proxy {
            out.push(b" at ")?;
            is_plain &= put_path(event, out)?;
        }
    } else {
        is_plain &= put_path(event, out)?;
    }
    if normalized.dry_run {
        out.push(b" (asking for a dry run)")?;
    }
    if let Some(ip) = &normalized.source_ip {
        out.push(b" from ")?;
        out.push(ip)?;
    }
    if normalized.has_panicked {
        out.push(b": the API server panicked")?;
    } else if let Some(code) = code
        && !denied
    {
        out.push(b": ")?;
        match event.raw_response_code() {
            // That is how it would be written.
            Some(Raw(digits @ [b'1'..=b'9', ..])) => out.push(digits)?,
            _ => out.push_number(code)?,
        }
    }
    Ok(is_plain)
}

#[inline(always)]
fn put_operator(
    normalized: &Normalized<'_>,
    words: &Words,
    event: &Event<'_>,
    out: &mut Room<'_>,
) -> Result<bool, Short> {
    let operator = &*normalized.operator;
    let is_user = normalized.operator_source == OperatorSource::Username;
    let mut is_plain = true;
    if operator.is_empty() {
        out.push(if normalized.is_process { b"a process" } else { b"an unauthenticated client" })?;
    } else if is_user && words.user {
        out.push(operator)?;
    } else {
        out.push_owned(quoted(operator))?;
        is_plain = false;
    }
    let how: &[u8] = match normalized.operator_source {
        OperatorSource::Username => return Ok(is_plain),
        OperatorSource::Impersonation => b" (impersonated by ",
        OperatorSource::RbacReason => b" (as ",
    };
    out.push(how)?;
    is_plain &= put_word(out, event.user.username, words.user)?;
    out.push(b")")?;
    Ok(is_plain)
}

/// What part of a pod was used, and where that is said before the pod: the command in a container, the ports of it.
#[cold]
#[inline(never)]
fn used_part(exec: Option<&Exec>, subresource: Subresource) -> Vec<u8> {
    let mut text = Vec::new();
    let out = &mut text;
    match subresource {
        Subresource::Exec => {
            match exec {
                Some(exec) if !exec.command.is_empty() => push_command(&exec.command, out),
                _ => out.extend_from_slice(b"a command"),
            }
            out.extend_from_slice(b" in ");
            push_container(exec, out);
        }
        Subresource::Attach => push_container(exec, out),
        Subresource::PortForward => {
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
        _ => {
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
    }
    text
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
#[inline(always)]
fn put_object(
    reference: &ObjectRef<'_>,
    verb: Verb,
    words: &Words,
    out: &mut Room<'_>,
) -> Result<bool, Short> {
    let &ObjectRef { resource, mut namespace, name, .. } = reference;
    // A namespace's own request is in that namespace.
    if !namespace.is_empty() && resource.is(b"namespaces") {
        namespace = Text::default();
    }
    let mut is_plain;
    if name.is_empty() {
        // The server is yet to give the name.
        if verb == Verb::Create {
            out.push(b"a new ")?;
            is_plain = put_singular(out, resource, words)?;
        } else {
            is_plain = put_word(out, resource, words.resource.is_some())?;
        }
        if !namespace.is_empty() {
            out.push(b" in namespace ")?;
            is_plain &= put_word(out, namespace, words.namespace)?;
        }
        return Ok(is_plain);
    }
    is_plain = put_singular(out, resource, words)?;
    out.push(b" ")?;
    if !namespace.is_empty() {
        is_plain &= put_word(out, namespace, words.namespace)?;
        out.push(b"/")?;
    }
    is_plain &= put_word(out, name, is_word(name.raw()))?;
    Ok(is_plain)
}

/// The request's path without its query.
#[inline(always)]
fn put_path(event: &Event<'_>, out: &mut Room<'_>) -> Result<bool, Short> {
    let uri = event.text(Member::RequestUri).unwrap_or_default();
    let path = before_query(uri.raw());
    // What has escapes is no word.
    let is_word = is_word(path);
    if is_word {
        out.push(path)?;
    } else {
        out.hand_on(|out| quoted_into(out, uri, |uri| before_query(uri).to_vec()))?;
    }
    Ok(is_word)
}

fn before_query(uri: &[u8]) -> &[u8] {
    json::position(uri, b'?').and_then(|query| uri.get(..query)).unwrap_or(uri)
}

/// Appends the singular of a resource's name, as [`put_word`] does.
#[inline(always)]
fn put_singular(out: &mut Room<'_>, plural: Text<'_>, words: &Words) -> Result<bool, Short> {
    if let Some((length, ends_in_y)) = words.resource {
        out.push(plural.raw().get(..usize::from(length)).unwrap_or_default())?;
        out.push(if ends_in_y { b"y" } else { b"" })?;
    } else {
        out.hand_on(|out| quoted_into(out, plural, |plural| <[&[u8]; 2]>::from(singular(plural)).concat()))?;
    }
    Ok(words.resource.is_some())
}

/// Plurals that the rules of [`singular`] get wrong, each with what the singular lacks.
const IRREGULAR: &[(&str, usize)] = &[
    ("endpoints", 0),
    ("securitycontextconstraints", 0),
    ("prometheuses", 2),
    ("componentstatuses", 2),
    ("caches", 1),
];

/// The singular of a resource's name, in two parts: `policies`, `ingresses`, `pods`.
pub(super) fn singular(plural: &[u8]) -> (&[u8], &'static [u8]) {
    if let Some((_, less)) = IRREGULAR.iter().find(|(irregular, _)| irregular.as_bytes() == plural) {
        return (plural.get(..plural.len() - less).unwrap_or_default(), b"");
    }
    match plural {
        [stem @ .., b'i', b'e', b's'] => (stem, b"y"),
        [stem @ .., b'e', b's'] if is_sibilant(stem) => (stem, b""),
        [stem @ .., b's'] => (stem, b""),
        _ => (plural, b""),
    }
}

/// Whether a noun that ends so has `es` added to it.
fn is_sibilant(stem: &[u8]) -> bool {
    matches!(stem, [.., b's', b's'] | [.., b's' | b'c', b'h'] | [.., b'x'])
}

/// Whether text can do no harm as it stands in JSON, and is one word. What has escapes is none.
#[inline(always)]
pub(super) fn is_word(text: &[u8]) -> bool {
    !text.is_empty() && text.len() <= LONGEST_WORD && json::is_plain(text, b'!')
}

/// Appends text as [`push_word`] does, and at once where it [is one word](is_word); returns whether it is, so that it needs
/// no escapes in JSON.
#[inline(always)]
fn put_word(out: &mut Room<'_>, text: Text<'_>, is_word: bool) -> Result<bool, Short> {
    if is_word {
        out.push(text.raw())?;
    } else {
        out.hand_on(|out| quoted_into(out, text, <[u8]>::to_vec))?;
    }
    Ok(is_word)
}

/// Appends `part` of a text as [`push_word`] does.
#[cold]
#[inline(never)]
fn quoted_into<'b>(mut out: Room<'b>, text: Text<'_>, part: fn(&[u8]) -> Vec<u8>) -> Result<Room<'b>, Short> {
    out.push_owned(quoted(&part(&text.decode())))?;
    Ok(out)
}

#[cold]
#[inline(never)]
fn quoted(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    push_word(&mut out, text, LONGEST_WORD);
    out
}

/// Appends text as one word that can do no harm: in quotes, with escapes, if it has anything but visible
/// characters; not more of it than `limit` bytes.
fn push_word(out: &mut Vec<u8>, text: &[u8], limit: usize) {
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
    use crate::buffer::Buffer;
    use proptest::prelude::*;

    fn message(members: &str) -> String {
        let record = format!(r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1",{members}}}"#);
        let event = Event::read(record.as_bytes(), b"audit").unwrap();
        let normalized = Normalizer::new(Settings::default()).normalize(&event);
        let mut out = Buffer::default();
        out.write(|out| normalized.write_message(&event, out));
        String::from_utf8(out.bytes().to_vec()).unwrap()
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
        for (plural, expected) in [
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
            let (stem, ending) = singular(plural.as_bytes());
            assert_eq!([stem, ending].concat(), expected.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn a_word_that_needs_nothing_is_taken_as_it_stands(
            text in prop_oneof!["[!-~]{0,9}", "[!-~]{250,260}", "[ -~é\u{7f}\u{202e}]{0,9}"],
        ) {
            let mut escaped = Vec::new();
            json::push_escaped(&mut escaped, text.as_bytes());
            let mut expected = Vec::new();
            push_word(&mut expected, text.as_bytes(), LONGEST_WORD);
            let mut out = Buffer::default();
            let is_plain = out.write(|out| put_word(out, Text::new(&escaped), is_word(&escaped)));
            prop_assert_eq!(out.bytes(), &expected);
            prop_assert!(!is_plain || escaped == expected);
        }

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
