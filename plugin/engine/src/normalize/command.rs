//! What was run in a container, as far as the request tells: its query for `exec`, `attach` and
//! `portforward`, its body for a new ephemeral container.
//!
//! The query is read exactly as kube-apiserver reads it (Go's `url.ParseQuery`, then the conversions of
//! k8s.io/apimachinery/pkg/runtime), because whatever is read otherwise is a way to run one command and
//! show another.

use super::classify::Subresource;
use crate::json::{self, Kind, Raw};
use crate::record::{Event, Member, ObjectRef};

/// How many arguments of a command, or ports, are kept. A request may have a megabyte of empty ones.
const MOST_ARGUMENTS: usize = 1024;

/// How many bytes of a command are kept, all arguments together: as many as Linux takes for one. A request
/// may have a megabyte of them.
const MOST_COMMAND_BYTES: usize = 128 * 1024;

/// What was run in a container, attached to it, or forwarded from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exec {
    /// The container, where the request names one.
    pub container: Option<Vec<u8>>,
    /// The decoded arguments; of an ephemeral container, its command and its arguments.
    pub command: Vec<Vec<u8>>,
    /// Whether the client's input goes in; none for port forwarding.
    pub stdin: Option<bool>,
    /// Whether a terminal was asked for; none for port forwarding.
    pub tty: Option<bool>,
    /// The ports to forward, in decimal. Clients that open a SPDY stream name them only inside it.
    pub ports: Vec<Vec<u8>>,
    /// The image of a new ephemeral container.
    pub image: Option<Vec<u8>>,
    /// Which way files go, where the command is that of `kubectl cp`.
    pub copy: Option<Copying>,
    /// Whether the command or the ports were too long to be kept whole.
    pub truncated: bool,
}

/// Which way `kubectl cp` copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copying {
    /// Files leave the pod.
    FromPod,
    /// Files are put into the pod.
    ToPod,
}

impl Copying {
    /// The value of `exec.copy`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FromPod => "from-pod",
            Self::ToPod => "to-pod",
        }
    }
}

/// What was run, if the event is about running something.
pub(super) fn exec(event: &Event<'_>, subresource: Subresource) -> Option<Box<Exec>> {
    if subresource == Subresource::None || !is_pod(event.object_ref.as_ref()?) {
        return None;
    }
    let exec = match subresource {
        Subresource::Exec => of_query(event, Stream::Command),
        Subresource::Attach => of_query(event, Stream::Container),
        Subresource::PortForward => of_query(event, Stream::Ports),
        Subresource::EphemeralContainers => of_body(event.get(Member::RequestObject)?)?,
        _ => return None,
    };
    (exec != Exec::default()).then(|| Box::new(exec))
}

fn is_pod(reference: &ObjectRef<'_>) -> bool {
    reference.api_group.is_empty() && reference.resource.is(b"pods")
}

/// What a request opens a stream to: each has parameters of its own and ignores those of the others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stream {
    Command,
    Container,
    Ports,
}

fn of_query(event: &Event<'_>, stream: Stream) -> Exec {
    let uri = event.text(Member::RequestUri).unwrap_or_default().decode();
    let mut exec = Exec::default();
    let has_container = stream != Stream::Ports;
    if has_container {
        exec.stdin = Some(false);
        exec.tty = Some(false);
    }
    // Of a parameter that is no list, the first value counts.
    let (mut stdin_seen, mut tty_seen) = (false, false);
    let mut room = MOST_COMMAND_BYTES;
    for (name, value) in parameters(&uri) {
        match &*name {
            b"command" if stream == Stream::Command => exec.push_argument(value, &mut room),
            b"container" if has_container && exec.container.is_none() => exec.container = Some(value),
            b"stdin" if has_container && !stdin_seen => {
                stdin_seen = true;
                exec.stdin = Some(is_true(&value));
            }
            b"tty" if has_container && !tty_seen => {
                tty_seen = true;
                exec.tty = Some(is_true(&value));
            }
            b"ports" if stream == Stream::Ports => exec.push_ports(&value),
            _ => {}
        }
    }
    if exec.container.as_ref().is_some_and(Vec::is_empty) {
        exec.container = None;
    }
    exec.copy = copying(&exec.command);
    exec
}

impl Exec {
    /// What a process was started with, as something that watches containers reports it.
    pub(crate) fn of_process(container: Option<Vec<u8>>, arguments: impl Iterator<Item = Vec<u8>>) -> Self {
        let mut exec = Self { container, ..Self::default() };
        let mut room = MOST_COMMAND_BYTES;
        for argument in arguments {
            exec.push_argument(argument, &mut room);
        }
        exec
    }

    /// The member `exec`, after a comma.
    #[cold]
    #[inline(never)]
    pub(super) fn member(&self) -> Vec<u8> {
        let mut object = br#","exec":"#.to_vec();
        let out = &mut object;
        let mut separator = b'{';
        let mut member = |out: &mut Vec<u8>, name: &[u8]| {
            out.push(separator);
            separator = b',';
            json::push_string(out, name);
            out.push(b':');
        };
        if let Some(container) = &self.container {
            member(out, b"container");
            json::push_string(out, container);
        }
        if !self.command.is_empty() {
            member(out, b"command");
            push_list(out, &self.command, json::push_string);
        }
        for (name, flag) in [(&b"stdin"[..], self.stdin), (b"tty", self.tty)] {
            if let Some(flag) = flag {
                member(out, name);
                out.extend_from_slice(if flag { b"true" } else { b"false" });
            }
        }
        if !self.ports.is_empty() {
            member(out, b"ports");
            push_list(out, &self.ports, |out, digits| out.extend_from_slice(digits));
        }
        if let Some(image) = &self.image {
            member(out, b"image");
            json::push_string(out, image);
        }
        if let Some(copy) = self.copy {
            member(out, b"copy");
            json::push_string(out, copy.as_str().as_bytes());
        }
        if separator == b'{' {
            out.push(b'{');
        }
        out.push(b'}');
        object
    }

    fn push_argument(&mut self, mut argument: Vec<u8>, room: &mut usize) {
        if self.command.len() >= MOST_ARGUMENTS || (*room == 0 && !argument.is_empty()) {
            self.truncated = true;
            return;
        }
        if argument.len() > *room {
            argument.truncate(*room);
            self.truncated = true;
        }
        *room -= argument.len();
        self.command.push(argument);
    }

    /// Takes the port numbers of a comma-separated list and leaves out what is none.
    fn push_ports(&mut self, list: &[u8]) {
        for port in list.split(|&byte| byte == b',') {
            let number = std::str::from_utf8(port).ok().and_then(|digits| digits.parse::<u16>().ok());
            let Some(number) = number else { continue };
            if self.ports.len() >= MOST_ARGUMENTS {
                self.truncated = true;
                return;
            }
            let mut digits = Vec::new();
            json::push_number(&mut digits, number.into());
            self.ports.push(digits);
        }
    }
}

fn push_list(out: &mut Vec<u8>, items: &[Vec<u8>], push: impl Fn(&mut Vec<u8>, &[u8])) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push(out, item);
    }
    out.push(b']');
}

/// How k8s.io/apimachinery reads a boolean parameter that is there: nothing but `0` and `false` is false.
fn is_true(value: &[u8]) -> bool {
    value != b"0" && !value.eq_ignore_ascii_case(b"false")
}

/// The parameters of a URI's query, decoded, in their order. A part with a semicolon or a bad escape is
/// no parameter, and does no harm to the others.
pub(super) fn parameters(uri: &[u8]) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let query =
        uri.iter().position(|&byte| byte == b'?').and_then(|at| uri.get(at + 1..)).unwrap_or_default();
    query.split(|&byte| byte == b'&').filter_map(|part| {
        if part.is_empty() || part.contains(&b';') {
            return None;
        }
        let equals = part.iter().position(|&byte| byte == b'=').unwrap_or(part.len());
        let (name, value) = part.split_at_checked(equals)?;
        Some((decode(name)?, decode(value.strip_prefix(b"=").unwrap_or_default())?))
    })
}

/// Undoes the encoding of a query; none where an escape is none.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let (&[high, low], tail) = tail.split_first_chunk()?;
                let digit = |byte: u8| char::from(byte).to_digit(16);
                out.push(u8::try_from(digit(high)? << 4 | digit(low)?).ok()?);
                rest = tail;
            }
            byte => out.push(byte),
        }
    }
    Some(out)
}

/// The ephemeral container that a request adds, out of the body of a patch (of any kind) or an update.
/// Containers can only be appended, so the new one is the last; of several, the last stands for all.
fn of_body(body: Raw<'_>) -> Option<Exec> {
    let container = match body.kind() {
        Kind::Object => {
            // Kubernetes before 1.22 took an object of its own instead of the pod.
            let list = last(last(body, b"spec").unwrap_or(body), b"ephemeralContainers")?;
            json::elements(list).last()?
        }
        Kind::Array => json::elements(body).filter_map(added_by).last()?,
        _ => return None,
    };
    let text = |name| Some(last(container, name)?.text()?.decode().into_owned());
    let flag = |name| Some(last(container, name).and_then(Raw::boolean).unwrap_or(false));
    let mut exec = Exec {
        container: text(b"name"),
        image: text(b"image"),
        stdin: flag(b"stdin"),
        tty: flag(b"tty"),
        ..Exec::default()
    };
    let mut room = MOST_COMMAND_BYTES;
    for list in [&b"command"[..], b"args"] {
        for argument in last(container, list).into_iter().flat_map(json::elements).filter_map(Raw::text) {
            exec.push_argument(argument.decode().into_owned(), &mut room);
        }
    }
    Some(exec)
}

/// The container that one operation of a JSON Patch adds.
fn added_by(operation: Raw<'_>) -> Option<Raw<'_>> {
    let path = last(operation, b"path")?.text()?;
    let path = path.decode();
    let path = path.strip_prefix(b"/spec").unwrap_or(&path);
    if !path.starts_with(b"/ephemeralContainers") {
        return None;
    }
    let value = last(operation, b"value")?;
    match value.kind() {
        Kind::Array => json::elements(value).last(),
        Kind::Object => Some(value),
        _ => None,
    }
}

/// The value of an object's last member of that name: the one that counts for Go, whoever wrote the body.
fn last<'a>(object: Raw<'a>, name: &[u8]) -> Option<Raw<'a>> {
    json::members(object).filter(|(key, _)| key.is(name)).last().map(|(_, value)| value)
}

/// Recognises what `kubectl cp` runs: `tar cf - PATH`, with `sh -c` around it where it retries, to read;
/// `tar -xmf - -C DIR` to write.
fn copying(command: &[Vec<u8>]) -> Option<Copying> {
    let mut words = command.iter().map(Vec::as_slice);
    let program = words.next()?;
    let name = program.rsplit(|&byte| byte == b'/').next()?;
    if name != b"tar" {
        let is_retry = words.next() == Some(b"-c") && words.next()?.starts_with(b"tar cf - ");
        return is_retry.then_some(Copying::FromPod);
    }
    let mut words = words.skip_while(|word| word.starts_with(b"--"));
    let options = words.next()?;
    let options = options.strip_prefix(b"-").unwrap_or(options);
    if words.next() != Some(b"-") || !options.ends_with(b"f") {
        return None;
    }
    match (options.contains(&b'c'), options.contains(&b'x')) {
        (true, false) => Some(Copying::FromPod),
        (false, true) => Some(Copying::ToPod),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Normalizer;
    use super::*;
    use proptest::prelude::*;

    /// What an event about a subresource of a pod says, with that query and body.
    fn read(subresource: &str, query: &str, body: &str) -> Option<Exec> {
        let uri = format!("/api/v1/namespaces/shop/pods/web-0/{subresource}{query}");
        let mut record =
            br#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","verb":"create","requestURI":"#.to_vec();
        json::push_string(&mut record, uri.as_bytes());
        record.extend_from_slice(
            format!(
                r#","objectRef":{{"resource":"pods","namespace":"shop","name":"web-0","apiVersion":"v1","subresource":"{subresource}"}}"#
            )
            .as_bytes(),
        );
        if !body.is_empty() {
            record.extend_from_slice(format!(r#","requestObject":{body}"#).as_bytes());
        }
        record.push(b'}');
        // kube-apiserver escapes these in strings.
        let record = String::from_utf8(record).unwrap();
        let record = record.replace('&', r"\u0026");
        let event = Event::read(record.as_bytes(), b"audit").unwrap();
        Normalizer::default().normalize(&event).exec.map(|exec| *exec)
    }

    fn words(list: &[Vec<u8>]) -> Vec<String> {
        list.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }

    #[test]
    fn the_query_is_read_as_the_api_server_reads_it() {
        for (query, container, command, stdin, tty) in [
            // kubectl exec, SPDY and WebSocket alike.
            (
                "?command=sh&command=-c&command=cat+%2Fvar%2Flog%2Faudit.log+%7C+tail+-n+100&container=app&stderr=true&stdout=true",
                Some("app"),
                &["sh", "-c", "cat /var/log/audit.log | tail -n 100"][..],
                false,
                false,
            ),
            (
                "?command=bash&container=app&stdin=true&stdout=true&tty=true",
                Some("app"),
                &["bash"],
                true,
                true,
            ),
            ("?container=&command=id", None, &["id"], false, false),
            // Booleans: nothing but 0 and false is false; the first counts.
            ("?command=sh&stdin=1&tty=0", None, &["sh"], true, false),
            ("?command=sh&stdin&tty=FALSE", None, &["sh"], true, false),
            ("?command=sh&stdin=no&tty=", None, &["sh"], true, true),
            ("?command=sh&tty=false&tty=true&stdin=true&stdin=false", None, &["sh"], true, false),
            ("?command=sh&container=app&container=decoy", Some("app"), &["sh"], false, false),
            // Encodings.
            ("?comm%61nd=%73%68", None, &["sh"], false, false),
            ("?command=a%2Bb&command=a+b&command=%26%3D%3F", None, &["a+b", "a b", "&=?"], false, false),
            ("?command=r%C3%A9n%c3%a9e", None, &["rénée"], false, false),
            ("?command=a=b?c", None, &["a=b?c"], false, false),
            ("?command=&command", None, &["", ""], false, false),
            // What Go does not take for a parameter.
            ("?command=sh;x&command=id", None, &["id"], false, false),
            ("?command=%&command=%4&command=%zz&command=id", None, &["id"], false, false),
            ("?&&command=id&", None, &["id"], false, false),
            ("?Command=sh", None, &[], false, false),
            ("", None, &[], false, false),
            ("?", None, &[], false, false),
        ] {
            let exec = read("exec", query, "").unwrap();
            assert_eq!(exec.container.as_deref(), container.map(str::as_bytes), "{query}");
            assert_eq!(words(&exec.command), command, "{query}");
            assert_eq!((exec.stdin, exec.tty), (Some(stdin), Some(tty)), "{query}");
            assert!(!exec.truncated, "{query}");
        }
    }

    #[test]
    fn what_is_too_long_is_cut_and_said_to_be() {
        let exec = read("exec", &format!("?{}", "command&".repeat(MOST_ARGUMENTS + 1)), "").unwrap();
        assert_eq!((exec.command.len(), exec.truncated), (MOST_ARGUMENTS, true));
        let exec = read("exec", &format!("?{}", "command&".repeat(MOST_ARGUMENTS)), "").unwrap();
        assert_eq!((exec.command.len(), exec.truncated), (MOST_ARGUMENTS, false));

        let long = "x".repeat(MOST_COMMAND_BYTES);
        let exec = read("exec", &format!("?command={long}"), "").unwrap();
        assert_eq!((exec.command[0].len(), exec.truncated), (MOST_COMMAND_BYTES, false));
        let exec = read("exec", &format!("?command=sh&command={long}&command=id"), "").unwrap();
        assert_eq!((exec.command.len(), exec.truncated), (2, true));
        assert_eq!(exec.command[0].len() + exec.command[1].len(), MOST_COMMAND_BYTES);

        let exec = read("portforward", &format!("?ports={}", "1,".repeat(MOST_ARGUMENTS + 1)), "").unwrap();
        assert_eq!((exec.ports.len(), exec.truncated), (MOST_ARGUMENTS, true));
    }

    #[test]
    fn attaching_has_no_command_and_forwarding_has_ports() {
        let attach = read("attach", "?container=app&stdin=true&tty=true&command=decoy&ports=1", "").unwrap();
        assert_eq!(attach.container.as_deref(), Some(&b"app"[..]));
        assert_eq!((attach.command.len(), attach.ports.len()), (0, 0));
        assert_eq!((attach.stdin, attach.tty), (Some(true), Some(true)));

        for (query, ports) in [
            ("?ports=8080", &["8080"][..]),
            ("?ports=8080&ports=443", &["8080", "443"]),
            ("?ports=8080,443", &["8080", "443"]),
            ("?ports=http&ports=99999&ports=-1&ports=080", &["80"]),
        ] {
            let forward = read("portforward", query, "").unwrap();
            assert_eq!(words(&forward.ports), ports, "{query}");
            assert_eq!((forward.stdin, forward.tty, forward.container), (None, None, None), "{query}");
        }
        assert_eq!(read("portforward", "", ""), None);
        assert_eq!(read("log", "?container=app&command=sh", ""), None);
        assert_eq!(read("status", "", r#"{"spec":{"ephemeralContainers":[{"name":"x"}]}}"#), None);
    }

    #[test]
    fn the_new_ephemeral_container_is_found_in_every_kind_of_body() {
        const CONTAINER: &str = r#"{"name":"debugger-x","image":"busybox","command":["sh"],"args":["-c","id"],"stdin":true,"tty":true}"#;
        for body in [
            // Strategic merge patch, as kubectl debug sends it.
            format!(r#"{{"spec":{{"ephemeralContainers":[{CONTAINER}]}}}}"#),
            format!(
                r#"{{"spec":{{"$setElementOrder/ephemeralContainers":[{{"name":"debugger-x"}}],"ephemeralContainers":[{CONTAINER}]}}}}"#
            ),
            // Update of the pod, earlier containers included.
            format!(
                r#"{{"kind":"Pod","spec":{{"containers":[{{"name":"app"}}],"ephemeralContainers":[{{"name":"old","image":"alpine"}},{CONTAINER}]}}}}"#
            ),
            // JSON Patch.
            format!(
                r#"[{{"op":"test","path":"/metadata/name","value":"web-0"}},{{"op":"add","path":"/spec/ephemeralContainers/-","value":{CONTAINER}}}]"#
            ),
            format!(
                r#"[{{"op":"add","path":"/spec/ephemeralContainers","value":[{{"name":"old"}},{CONTAINER}]}}]"#
            ),
            // Before Kubernetes 1.22.
            format!(r#"{{"kind":"EphemeralContainers","ephemeralContainers":[{CONTAINER}]}}"#),
            format!(r#"[{{"op":"add","path":"/ephemeralContainers/-","value":{CONTAINER}}}]"#),
            // Of a member that stands twice, Go takes the last.
            format!(
                r#"{{"spec":{{}},"spec":{{"ephemeralContainers":[],"ephemeralContainers":[{CONTAINER}]}}}}"#
            ),
        ] {
            let exec = read("ephemeralcontainers", "", &body).unwrap();
            assert_eq!(exec.container.as_deref(), Some(&b"debugger-x"[..]), "{body}");
            assert_eq!(exec.image.as_deref(), Some(&b"busybox"[..]), "{body}");
            assert_eq!(words(&exec.command), ["sh", "-c", "id"], "{body}");
            assert_eq!((exec.stdin, exec.tty), (Some(true), Some(true)), "{body}");
        }
        for body in [
            "",
            "{}",
            "[]",
            "null",
            "\"text\"",
            r#"{"spec":{}}"#,
            r#"{"spec":{"ephemeralContainers":[]}}"#,
            r#"{"spec":{"ephemeralContainers":{}}}"#,
            r#"[{"op":"add","path":"/metadata/labels/x","value":"y"}]"#,
            r#"[{"op":"remove","path":"/spec/ephemeralContainers/0"}]"#,
            r#"[1,null,{"path":7}]"#,
        ] {
            assert_eq!(read("ephemeralcontainers", "", body), None, "{body}");
        }
    }

    #[test]
    fn kubectl_cp_is_recognised() {
        use Copying::*;
        for (command, expected) in [
            (&["tar", "cf", "-", "/etc/passwd"][..], Some(FromPod)),
            (&["sh", "-c", "tar cf - /etc/passwd | tail -c+1024"], Some(FromPod)),
            (&["tar", "-xmf", "-", "-C", "/tmp"], Some(ToPod)),
            (&["tar", "xmf", "-"], Some(ToPod)),
            (&["tar", "--no-same-permissions", "--no-same-owner", "-xmf", "-", "-C", "/tmp"], Some(ToPod)),
            (&["/bin/tar", "cf", "-", "/data"], Some(FromPod)),
            (&["tar", "cf", "/tmp/x.tar", "/data"], None),
            (&["tar", "tf", "-"], None),
            (&["tar"], None),
            (&["tar", "--help"], None),
            (&["sh", "-c", "tar"], None),
            (&["sh"], None),
            (&["star", "cf", "-"], None),
            (&[], None),
        ] {
            let command: Vec<Vec<u8>> = command.iter().map(|word| word.as_bytes().to_vec()).collect();
            assert_eq!(copying(&command), expected, "{:?}", words(&command));
        }
    }

    proptest! {
        #[test]
        fn whatever_a_client_encodes_comes_back(arguments in prop::collection::vec(any::<Vec<u8>>(), 1..5)) {
            let query: String = arguments
                .iter()
                .flat_map(|argument| {
                    let encoded = argument.iter().map(|byte| format!("%{byte:02X}"));
                    ["&command=".to_owned()].into_iter().chain(encoded)
                })
                .collect();
            prop_assert_eq!(read("exec", &format!("?{query}"), "").unwrap().command, arguments);
        }

        #[test]
        fn no_query_makes_it_panic(query in prop::collection::vec(any::<u8>(), 0..80)) {
            for _ in parameters(&[b"/?command=", &query[..]].concat()) {}
        }
    }
}
