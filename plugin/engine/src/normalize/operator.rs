//! Who: the operator behind an event, and what kind of operator it is.
//!
//! An account that several people share says little. ACK's API server tells them apart by the reason why
//! the request was allowed, which names the user that the role binding is for:
//!
//! ```text
//! RBAC: allowed by ClusterRoleBinding "ops" of ClusterRole "cluster-admin" to User "alice@example.com"
//! ```
//!
//! The names in it are whatever somebody called a binding, so the reason is read by its grammar, from its
//! first byte to its last; nothing is searched for in it.

use super::kind::Kind;
use super::word_of;
use crate::json::position;
use crate::record::{Event, User};
use std::borrow::Cow;

/// Where the operator's name was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperatorSource {
    /// The user that the request was made in the name of.
    Impersonation,
    /// The user that authenticated.
    Username,
    /// The subject of the role binding that allowed a shared account's request.
    RbacReason,
}

impl OperatorSource {
    /// The value of `operator_source`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        word_of(self.as_member())
    }

    /// The member that says it, after a comma.
    pub(super) fn as_member(self) -> &'static str {
        match self {
            Self::Impersonation => r#","operator_source":"impersonation""#,
            Self::Username => r#","operator_source":"username""#,
            Self::RbacReason => r#","operator_source":"rbac-reason""#,
        }
    }
}

/// What kind of operator a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperatorType {
    /// Whoever is none of the others; also a name that begins with `system:` and is not known, because it
    /// may be a person's certificate.
    User,
    /// A service account: exactly `system:serviceaccount:<namespace>:<name>`.
    ServiceAccount,
    /// A kubelet: `system:node:<name>`.
    Node,
    /// A component of the control plane, by its exact name.
    ControlPlane,
    /// Nobody in particular: `system:anonymous`, or no name at all.
    Anonymous,
}

impl OperatorType {
    /// The value of `operator_type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        word_of(self.as_member())
    }

    /// The member that says it, after a comma.
    pub(super) fn as_member(self) -> &'static str {
        match self {
            Self::User => r#","operator_type":"user""#,
            Self::ServiceAccount => r#","operator_type":"serviceaccount""#,
            Self::Node => r#","operator_type":"node""#,
            Self::ControlPlane => r#","operator_type":"control-plane""#,
            Self::Anonymous => r#","operator_type":"anonymous""#,
        }
    }

    /// The kind of operator that a user name stands for (k8s.io/apiserver/pkg/authentication).
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        let Some(rest) = name.strip_prefix(b"system:") else {
            return if name.is_empty() { Self::Anonymous } else { Self::User };
        };
        if let Some(account) = rest.strip_prefix(b"serviceaccount:") {
            // A namespace, and behind the one colon a name.
            let colon = position(account, b':').unwrap_or_default();
            let name = account.get(colon + 1..).unwrap_or_default();
            let is_one = colon > 0 && !name.is_empty() && position(name, b':').is_none();
            return if is_one { Self::ServiceAccount } else { Self::User };
        }
        if let Some(node) = rest.strip_prefix(b"node:") {
            return if node.is_empty() { Self::User } else { Self::Node };
        }
        match rest {
            b"anonymous" => Self::Anonymous,
            // The names that kube-apiserver, its installers and cloud providers give to components.
            b"apiserver"
            | b"kube-apiserver"
            | b"kube-controller-manager"
            | b"kube-scheduler"
            | b"kube-proxy"
            | b"cloud-controller-manager"
            | b"aggregator"
            | b"kube-aggregator"
            | b"konnectivity-server"
            | b"volume-scheduler"
            | b"addon-manager"
            | b"cluster-autoscaler"
            | b"node-problem-detector" => Self::ControlPlane,
            _ => Self::User,
        }
    }
}

/// Who acted, as far as an event tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Operator<'a> {
    pub(super) name: Cow<'a, [u8]>,
    pub(super) source: OperatorSource,
    /// The user under whose name the request was authorised.
    pub(super) user: User<'a>,
}

/// Who acted: the impersonated user; else the authenticated one; for a shared account, the user named by the
/// reason why the request was allowed, if it names one.
pub(super) fn operator<'a>(event: &Event<'a>, kind: &Kind) -> Operator<'a> {
    if let Some(user) = event.impersonated_user
        && !user.username.is_empty()
    {
        return Operator { name: user.username.decode(), source: OperatorSource::Impersonation, user };
    }
    let user = event.user;
    if kind.is_shared
        && let Some(reason) = event.annotation(b"authorization.k8s.io/reason")
        && let Some(name) = user_of_reason(&reason.decode())
    {
        return Operator { name: Cow::Owned(name), source: OperatorSource::RbacReason, user };
    }
    // What is a word has no escapes.
    let name = if kind.words.user { Cow::Borrowed(user.username.raw()) } else { user.username.decode() };
    Operator { name, source: OperatorSource::Username, user }
}

/// The user that an RBAC reason names; a service account by its user name; none where it names a group.
///
/// The grammar is that of the describers in k8s.io/kubernetes/pkg/registry/rbac/validation, with names as
/// Go's `%q` writes them.
fn user_of_reason(reason: &[u8]) -> Option<Vec<u8>> {
    let rest = reason.strip_prefix(b"RBAC: allowed by ")?;
    let rest = strip_one_of(rest, &[b"ClusterRoleBinding ", b"RoleBinding "])?;
    let (_, rest) = unquote(rest)?;
    let rest = strip_one_of(rest, &[b" of ClusterRole ", b" of Role "])?;
    let (_, rest) = unquote(rest)?;
    let rest = rest.strip_prefix(b" to ")?;
    if let Some(rest) = rest.strip_prefix(b"User ") {
        let (name, rest) = unquote(rest)?;
        return (rest.is_empty() && !name.is_empty()).then_some(name);
    }
    let (subject, rest) = unquote(rest.strip_prefix(b"ServiceAccount ")?)?;
    if !rest.is_empty() {
        return None;
    }
    // Neither a service account's name nor a namespace has a slash or a colon.
    let mut parts = subject.split(|&byte| byte == b'/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(name), Some(namespace), None)
            if !name.is_empty() && !namespace.is_empty() && !subject.contains(&b':') =>
        {
            Some([b"system:serviceaccount:", namespace, b":", name].concat())
        }
        _ => None,
    }
}

fn strip_one_of<'t>(text: &'t [u8], prefixes: &[&[u8]]) -> Option<&'t [u8]> {
    prefixes.iter().find_map(|prefix| text.strip_prefix(*prefix))
}

/// Reads a string in the form of Go's `strconv.Quote` at the start of `text`; returns it and what follows.
fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = text.strip_prefix(b"\"")?;
    let mut out = Vec::new();
    loop {
        let special = rest.iter().position(|&byte| byte == b'"' || byte == b'\\')?;
        let (plain, tail) = rest.split_at_checked(special)?;
        out.extend_from_slice(plain);
        let (&special, tail) = tail.split_first()?;
        if special == b'"' {
            return Some((out, tail));
        }
        let (&kind, tail) = tail.split_first()?;
        let digits = match kind {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            _ => 0,
        };
        let (digits, tail) = tail.split_at_checked(digits)?;
        rest = tail;
        match kind {
            b'\\' | b'"' => out.push(kind),
            b'a' => out.push(0x07),
            b'b' => out.push(0x08),
            b'f' => out.push(0x0c),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(0x0b),
            // Go writes a byte that is no UTF-8 this way.
            b'x' => out.push(u8::try_from(hexadecimal(digits)?).ok()?),
            b'u' | b'U' => {
                let character = char::from_u32(hexadecimal(digits)?)?;
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => return None,
        }
    }
}

/// The value of at most eight hexadecimal digits.
fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, &digit| Some(value << 4 | char::from(digit).to_digit(16)?))
}

/// Whether a user is one of Alibaba Cloud's Resource Access Management, by what ACK's API server calls it:
/// the name is a numeric id, perhaps with the time when its certificate was issued; or the authenticator
/// for RAM set the uid or the `arn`.
pub(super) fn is_ram_user(name: &[u8], user: &User<'_>) -> bool {
    let all_digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let mut parts = name.split(|&byte| byte == b'-');
    let numeric = match (parts.next(), parts.next(), parts.next()) {
        (Some(id), issued, None) => all_digits(id) && issued.is_none_or(all_digits),
        _ => false,
    };
    numeric
        || user.uid.decode().starts_with(b"ack-ram-authenticator:")
        || user.extra.and_then(|extra| extra.get(b"arn")).is_some_and(|arns| {
            crate::json::elements(arns)
                .filter_map(crate::json::Raw::text)
                .any(|arn| arn.decode().starts_with(b"acs:ram::"))
        })
}

#[cfg(test)]
mod tests {
    use super::super::Normalizer;
    use super::*;
    use crate::json;
    use proptest::prelude::*;

    #[test]
    fn a_name_tells_what_kind_of_operator_it_is() {
        use OperatorType::*;
        for (name, expected) in [
            ("", Anonymous),
            ("system:anonymous", Anonymous),
            ("alice@example.com", User),
            ("kubernetes-admin", User),
            ("kube:admin", User),
            ("203456789012345678-1600000000", User),
            ("system:serviceaccount:kube-system:coredns", ServiceAccount),
            ("system:serviceaccount:kube-system:", User),
            ("system:serviceaccount::coredns", User),
            ("system:serviceaccount:kube-system:core:dns", User),
            ("system:serviceaccount:kube-system", User),
            ("system:serviceaccount:", User),
            ("system:node:cn-hangzhou.192.168.0.1", Node),
            ("system:node:", User),
            ("system:nodes", User),
            ("system:apiserver", ControlPlane),
            ("system:kube-controller-manager", ControlPlane),
            ("system:kube-scheduler", ControlPlane),
            ("system:kube-proxy", ControlPlane),
            ("system:cloud-controller-manager", ControlPlane),
            ("system:kube-scheduler2", User),
            ("system:admin", User),
            ("system:bootstrap:abcdef", User),
            ("system:", User),
            ("System:anonymous", User),
        ] {
            assert_eq!(OperatorType::of(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn the_reason_names_a_user_only_where_its_grammar_has_one() {
        for (reason, expected) in [
            (
                r#"RBAC: allowed by ClusterRoleBinding "203-clusterrolebinding" of ClusterRole "cs:ops" to User "203456789012345678""#,
                Some("203456789012345678"),
            ),
            (
                r#"RBAC: allowed by RoleBinding "deploy/shop" of Role "deployer" to User "alice@example.com""#,
                Some("alice@example.com"),
            ),
            (
                r#"RBAC: allowed by RoleBinding "a/b" of ClusterRole "edit" to ServiceAccount "robot/ci""#,
                Some("system:serviceaccount:ci:robot"),
            ),
            (
                r#"RBAC: allowed by ClusterRoleBinding "system:discovery" of ClusterRole "system:discovery" to Group "system:authenticated""#,
                None,
            ),
            // A binding or a role may be called nearly anything.
            (
                r#"RBAC: allowed by ClusterRoleBinding "x\" of ClusterRole \"y\" to User \"alice\"" of ClusterRole "z" to User "mallory""#,
                Some("mallory"),
            ),
            (
                r#"RBAC: allowed by ClusterRoleBinding "x" of ClusterRole "y\" to User \"alice" to Group "team""#,
                None,
            ),
            (
                r#"RBAC: allowed by ClusterRoleBinding "x\\" of ClusterRole "y" to User "mallory""#,
                Some("mallory"),
            ),
            (
                r#"RBAC: allowed by ClusterRoleBinding "x" of ClusterRole "y" to Group "g\" to User \"alice""#,
                None,
            ),
            // Names as %q writes them.
            (
                r#"RBAC: allowed by ClusterRoleBinding "x" of ClusterRole "y" to User "a\"b\\c\td\u200be\U000e0001f""#,
                Some("a\"b\\c\td\u{200b}e\u{e0001}f"),
            ),
            (r#"RBAC: allowed by ClusterRoleBinding "x" of ClusterRole "y" to User "renée""#, Some("renée")),
            // What no API server writes.
            (r#"RBAC: allowed by ClusterRoleBinding "x" of ClusterRole "y" to User "alice" "#, None),
            (r#"RBAC: allowed by ClusterRoleBinding "x" of ClusterRole "y" to User "alice"#, None),
            (r#"RBAC: allowed by ClusterRoleBinding "x" of ClusterRole "y" to User """#, None),
            (r#"RBAC: allowed by ClusterRoleBinding "x" of ClusterRole "y" to User "\q""#, None),
            (r#"RBAC: allowed by ClusterRoleBinding "x" of ClusterRole "y" to User "\ud83d""#, None),
            (r#"RBAC: allowed by ClusterRoleBinding "x" of ClusterRole "y" to User "\x""#, None),
            (r#"RBAC: allowed by ClusterRoleBinding "x" of ClusterRole "y" to User alice"#, None),
            (r#"RBAC: allowed by ClusterRoleBinding "x" of ClusterRole "y" to ServiceAccount "robot""#, None),
            (
                r#"RBAC: allowed by ClusterRoleBinding "x" of ClusterRole "y" to ServiceAccount "robot/""#,
                None,
            ),
            (r#"RBAC: allowed by ClusterRoleBinding "x" of ClusterRole "y" to ServiceAccount "a/b/c""#, None),
            (r#"RBAC: allowed by ClusterRoleBinding "x" of ClusterRole "y" to ServiceAccount "a:b/c""#, None),
            (r#"RBAC: allowed by ClusterRoleBinding "x" of Gadget "y" to User "alice""#, None),
            (r#"allowed by ClusterRoleBinding "x" of ClusterRole "y" to User "alice""#, None),
            (r#"rule: to User "alice""#, None),
            ("", None),
        ] {
            let user = user_of_reason(reason.as_bytes());
            assert_eq!(user.as_deref(), expected.map(str::as_bytes), "{reason}");
        }
        // A byte that is no UTF-8 comes back as it was.
        let reason = br#"RBAC: allowed by ClusterRoleBinding "x" of ClusterRole "y" to User "a\xff""#;
        assert_eq!(user_of_reason(reason), Some(b"a\xff".to_vec()));
    }

    fn event(user: &str, impersonated: Option<&str>, reason: Option<&str>) -> String {
        let mut event =
            r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","user":{"username":"#.as_bytes().to_vec();
        json::push_string(&mut event, user.as_bytes());
        event.push(b'}');
        if let Some(impersonated) = impersonated {
            event.extend_from_slice(br#","impersonatedUser":{"username":"#);
            json::push_string(&mut event, impersonated.as_bytes());
            event.push(b'}');
        }
        if let Some(reason) = reason {
            event.extend_from_slice(br#","annotations":{"authorization.k8s.io/reason":"#);
            json::push_string(&mut event, reason.as_bytes());
            event.push(b'}');
        }
        event.push(b'}');
        String::from_utf8(event).unwrap()
    }

    #[test]
    fn impersonation_counts_before_the_username_and_the_reason_only_for_shared_accounts() {
        use OperatorSource::*;
        const TO_ALICE: Option<&str> = Some(
            r#"RBAC: allowed by ClusterRoleBinding "ops" of ClusterRole "cluster-admin" to User "alice""#,
        );
        const TO_GROUP: Option<&str> = Some(
            r#"RBAC: allowed by ClusterRoleBinding "ops" of ClusterRole "cluster-admin" to Group "system:masters""#,
        );
        for (user, impersonated, reason, expected, source) in [
            ("bob", None, None, "bob", Username),
            ("bob", None, TO_ALICE, "bob", Username),
            ("bob", Some("carol"), TO_ALICE, "carol", Impersonation),
            ("bob", Some(""), None, "bob", Username),
            ("kubernetes-admin", None, TO_ALICE, "alice", RbacReason),
            ("kubernetes-admin", None, TO_GROUP, "kubernetes-admin", Username),
            ("kubernetes-admin", None, None, "kubernetes-admin", Username),
            ("kubernetes-admin", Some("carol"), TO_ALICE, "carol", Impersonation),
            ("", None, None, "", Username),
        ] {
            let record = event(user, impersonated, reason);
            let event = Event::read(record.as_bytes(), b"audit").unwrap();
            let found = Normalizer::default().normalize(&event);
            assert_eq!((&*found.operator, found.operator_source), (expected.as_bytes(), source), "{record}");
        }
    }

    #[test]
    fn ram_users_are_known_by_id_uid_or_arn() {
        for (user, expected) in [
            (r#"{"username":"203456789012345678"}"#, true),
            (r#"{"username":"203456789012345678-1600000000"}"#, true),
            (r#"{"username":"203456789012345678-"}"#, false),
            (r#"{"username":"203456789012345678-1-2"}"#, false),
            (r#"{"username":"-1600000000"}"#, false),
            (r#"{"username":"alice"}"#, false),
            (r#"{"username":"alice","uid":"ack-ram-authenticator:203456789012345678:1"}"#, true),
            (r#"{"username":"alice","extra":{"arn":["acs:ram::1234:user/alice"]}}"#, true),
            (r#"{"username":"alice","extra":{"arn":["arn:aws:iam::1234:user/alice"]}}"#, false),
            (r#"{"username":""}"#, false),
        ] {
            let record = format!(r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","user":{user}}}"#);
            let event = Event::read(record.as_bytes(), b"audit").unwrap();
            assert_eq!(is_ram_user(&event.user.username.decode(), &event.user), expected, "{user}");
        }
    }

    proptest! {
        /// Whatever a binding and a role are called, the reason is about the subject.
        #[test]
        fn no_name_of_a_binding_or_a_role_forges_a_user(
            binding in r#"(" to User "alice"?|\\|"|[a-z /]){0,6}"#,
            role in r#"(" to User "alice"?|\\|"|[a-z /]){0,6}"#,
            kind in prop::sample::select(vec!["User", "Group"]),
            subject in r#"(" to User "alice"?|\\|"|[a-z /]){1,6}"#,
        ) {
            // These strings have nothing that Rust and Go quote differently.
            let reason =
                format!("RBAC: allowed by ClusterRoleBinding {binding:?} of ClusterRole {role:?} to {kind} {subject:?}");
            let expected = (kind == "User").then(|| subject.into_bytes());
            prop_assert_eq!(user_of_reason(reason.as_bytes()), expected);
        }

        #[test]
        fn no_reason_makes_it_panic(tail in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = user_of_reason(&tail);
            let _ = user_of_reason(&[b"RBAC: allowed by ClusterRoleBinding \"", &tail[..]].concat());
        }
    }
}
