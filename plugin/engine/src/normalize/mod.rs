//! Third stage: who, from where, what. Everything that the `audit` object says about an event before any
//! rule has looked at it.
//!
//! - `operator`: who really acted, and what kind of operator that is
//! - `address` and `networks`: from where
//! - `classify`, `command` and `dry_run`: what
//! - `kind`: what of this comes again with each request of its kind
//! - `message`: all of it in one line for a person, written for kept events only
//!
//! Nothing here looks into a body, with one exception: what an ephemeral container runs stands nowhere else.

mod address;
mod classify;
mod command;
mod dry_run;
mod kind;
mod message;
mod networks;
mod operator;

pub use address::Scope;
pub use classify::{Action, Outcome, ResourceClass};
pub use command::{Copying, Exec};
pub use networks::{Network, NetworkError, Networks, lines};
pub use operator::{OperatorSource, OperatorType};

use kind::Kind;

use crate::buffer::{Room, Short};
use crate::record::{Event, User};
use std::borrow::Cow;

/// What the configuration says about addresses and accounts.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Proxies to skip, from the right, when finding the client's address.
    pub trusted_proxies: Networks,
    /// The user's own public ranges.
    pub internal: Networks,
    /// Addresses known to be bad.
    pub high_risk: Networks,
    /// Names of accounts that several people share. A configured list replaces the default one.
    pub shared_accounts: Vec<String>,
}

impl Default for Settings {
    /// No networks; the account that ACK gives to every administrator.
    fn default() -> Self {
        Self {
            trusted_proxies: Networks::default(),
            internal: Networks::default(),
            high_risk: Networks::default(),
            shared_accounts: vec!["kubernetes-admin".to_owned()],
        }
    }
}

/// The stage, set up.
#[derive(Debug, Clone, Default)]
pub struct Normalizer {
    settings: Settings,
}

/// What the stage remembers from event to event.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    origins: address::Origins,
    kinds: kind::Kinds,
}

/// What was found out about one event. The fields are those of the `audit` object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Normalized<'a> {
    /// Who really acted; empty where nobody authenticated, and then absent from the `audit` object.
    pub operator: Cow<'a, [u8]>,
    /// Where the operator's name was found.
    pub operator_source: OperatorSource,
    /// What kind of operator it is.
    pub operator_type: OperatorType,
    /// The client's address in canonical form.
    pub source_ip: Option<Cow<'a, [u8]>>,
    /// All addresses as delivered, comma-separated.
    pub source_ips: Option<Cow<'a, [u8]>>,
    /// What kind of address the client's is.
    pub source_scope: Option<Scope>,
    /// Whether a list of bad addresses has it.
    pub source_high_risk: bool,
    /// The class of resource.
    pub resource_class: ResourceClass,
    /// What was done, or tried.
    pub action: Action,
    /// How it ended, if it has.
    pub outcome: Option<Outcome>,
    /// Whether it was only to be tried, and changed nothing.
    pub dry_run: bool,
    /// What was run, if something was.
    pub exec: Option<Box<Exec>>,
    /// The user under whose name the request was authorised.
    user: User<'a>,
    /// Whether this is a process that something saw in a container, and no request.
    is_process: bool,
    kind: Kind,
    /// `responseStatus.code`
    code: Option<i64>,
    has_panicked: bool,
}

impl Normalizer {
    /// The stage with these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// Whether a trusted proxy has the address, written in canonical form.
    pub(crate) fn trusts(&self, address: &str) -> bool {
        address.parse().is_ok_and(|ip| self.settings.trusted_proxies.contains(ip))
    }

    /// Finds out who did what from where.
    #[must_use]
    pub fn normalize<'a>(&self, event: &Event<'a>) -> Normalized<'a> {
        self.normalize_with(event, &mut Memory::default())
    }

    /// The same, with a memory that serves this stage and one engine's events.
    pub(crate) fn normalize_with<'a>(&self, event: &Event<'a>, memory: &mut Memory) -> Normalized<'a> {
        let kind = memory.kinds.of(event, &self.settings);
        let operator = operator::operator(event, &kind);
        let origin = memory.origins.of(event, &self.settings);
        let code = event.response_code();
        let has_panicked = classify::has_panicked(event);
        Normalized {
            operator_type: match operator.source {
                OperatorSource::Username => kind.user_type,
                _ => OperatorType::of(&operator.name),
            },
            operator_source: operator.source,
            operator: operator.name,
            source_scope: origin.scope,
            source_high_risk: origin.high_risk,
            source_ip: origin.client,
            source_ips: origin.all,
            resource_class: kind.class,
            action: kind.action,
            outcome: classify::outcome(has_panicked, code),
            dry_run: dry_run::is_dry_run(event, kind.verb, kind.subresource),
            exec: command::exec(event, kind.subresource),
            user: operator.user,
            is_process: false,
            kind,
            code,
            has_panicked,
        }
    }
}

/// A field of the `audit` object that this stage finds, to be looked up by name once and read often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditField {
    /// `operator`
    Operator,
    /// `operator_source`
    OperatorSource,
    /// `operator_type`
    OperatorType,
    /// `source_ip`
    SourceIp,
    /// `source_ips`
    SourceIps,
    /// `source_scope`
    SourceScope,
    /// `source_high_risk`
    SourceHighRisk,
    /// `resource_class`
    ResourceClass,
    /// `action`
    Action,
    /// `outcome`
    Outcome,
    /// `dry_run`
    DryRun,
    /// `exec.container`
    ExecContainer,
    /// `exec.command`
    ExecCommand,
    /// `exec.stdin`
    ExecStdin,
    /// `exec.tty`
    ExecTty,
    /// `exec.ports`
    ExecPorts,
    /// `exec.image`
    ExecImage,
    /// `exec.copy`
    ExecCopy,
}

impl AuditField {
    /// All of them, in the order in which they are written.
    pub const ALL: &[Self] = &[
        Self::Operator,
        Self::OperatorSource,
        Self::OperatorType,
        Self::SourceIp,
        Self::SourceIps,
        Self::SourceScope,
        Self::SourceHighRisk,
        Self::ResourceClass,
        Self::Action,
        Self::Outcome,
        Self::DryRun,
        Self::ExecContainer,
        Self::ExecCommand,
        Self::ExecStdin,
        Self::ExecTty,
        Self::ExecPorts,
        Self::ExecImage,
        Self::ExecCopy,
    ];

    /// The field of that name within the `audit` object, dots between a field and its member.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.name() == name)
    }

    /// The field's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::OperatorSource => "operator_source",
            Self::OperatorType => "operator_type",
            Self::SourceIp => "source_ip",
            Self::SourceIps => "source_ips",
            Self::SourceScope => "source_scope",
            Self::SourceHighRisk => "source_high_risk",
            Self::ResourceClass => "resource_class",
            Self::Action => "action",
            Self::Outcome => "outcome",
            Self::DryRun => "dry_run",
            Self::ExecContainer => "exec.container",
            Self::ExecCommand => "exec.command",
            Self::ExecStdin => "exec.stdin",
            Self::ExecTty => "exec.tty",
            Self::ExecPorts => "exec.ports",
            Self::ExecImage => "exec.image",
            Self::ExecCopy => "exec.copy",
        }
    }
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldValue<'n> {
    /// A string.
    Text(&'n [u8]),
    /// A boolean.
    Bool(bool),
    /// A list of strings; ports are in decimal.
    List(&'n [Vec<u8>]),
}

impl Normalized<'_> {
    /// A field's value; none where it does not apply.
    #[must_use]
    pub fn get(&self, field: AuditField) -> Option<FieldValue<'_>> {
        let text = |text: &'static str| FieldValue::Text(text.as_bytes());
        let exec = self.exec.as_deref();
        Some(match field {
            AuditField::Operator if self.operator.is_empty() => return None,
            AuditField::Operator => FieldValue::Text(&self.operator),
            AuditField::OperatorSource if self.operator.is_empty() => return None,
            AuditField::OperatorSource => text(self.operator_source.as_str()),
            AuditField::OperatorType if self.is_nobodys() => return None,
            AuditField::OperatorType => text(self.operator_type.as_str()),
            AuditField::SourceIp => FieldValue::Text(self.source_ip.as_deref()?),
            AuditField::SourceIps => FieldValue::Text(self.source_ips.as_deref()?),
            AuditField::SourceScope => text(self.source_scope?.as_str()),
            AuditField::SourceHighRisk => FieldValue::Bool(self.source_high_risk.then_some(true)?),
            AuditField::ResourceClass => text(self.resource_class.as_str()),
            AuditField::Action => text(self.action.as_str()),
            AuditField::Outcome => text(self.outcome?.as_str()),
            AuditField::DryRun => FieldValue::Bool(self.dry_run.then_some(true)?),
            AuditField::ExecContainer => FieldValue::Text(exec?.container.as_deref()?),
            AuditField::ExecCommand => list(&exec?.command)?,
            AuditField::ExecStdin => FieldValue::Bool(exec?.stdin?),
            AuditField::ExecTty => FieldValue::Bool(exec?.tty?),
            AuditField::ExecPorts => list(&exec?.ports)?,
            AuditField::ExecImage => FieldValue::Text(exec?.image.as_deref()?),
            AuditField::ExecCopy => text(exec?.copy?.as_str()),
        })
    }

    /// What all fields say that have few values and are no lists: where it is the same, so are they.
    pub(crate) fn few_values(&self) -> [u8; 9] {
        [
            self.operator_source as u8,
            self.operator_type as u8,
            self.source_scope.map_or(u8::MAX, |scope| scope as u8),
            u8::from(self.source_high_risk),
            self.resource_class as u8,
            self.action as u8,
            self.outcome.map_or(u8::MAX, |outcome| outcome as u8),
            u8::from(self.dry_run),
            u8::from(self.operator.is_empty()) << 1 | u8::from(self.is_process),
        ]
    }

    /// The value of the field of that name; to read one often, resolve it once with [`AuditField::named`].
    #[must_use]
    pub fn field(&self, name: &str) -> Option<FieldValue<'_>> {
        self.get(AuditField::named(name)?)
    }

    /// Takes note that the event is no request, but a process that was started in a container.
    pub(crate) fn set_process(&mut self, exec: Exec) {
        self.exec = Some(Box::new(exec));
        self.outcome = Some(Outcome::Success);
        self.is_process = true;
    }

    /// Forgets what only the query of a request tells, where the request has come without its query.
    pub(crate) fn set_without_query(&mut self) {
        self.exec.take_if(|exec| exec.image.is_none() && exec.command.is_empty());
    }

    /// Whether this is a process of which nobody knows who started it, which is not the same as nobody having
    /// authenticated.
    fn is_nobodys(&self) -> bool {
        self.is_process && self.operator.is_empty()
    }

    /// Whether the operator is a user of Alibaba Cloud's Resource Access Management.
    #[must_use]
    pub fn is_ram_user(&self) -> bool {
        operator::is_ram_user(&self.operator, &self.user)
    }

    /// What could not be said in full, for `error`.
    #[must_use]
    pub fn note(&self) -> Option<&'static str> {
        let truncated = self.exec.as_ref().is_some_and(|exec| exec.truncated);
        truncated.then_some("exec is cut short; requestURI or requestObject has all of it")
    }

    /// Appends the members that this stage adds to the `audit` object, each after a comma.
    #[inline(always)]
    pub(crate) fn write_members(&self, out: &mut Room<'_>) -> Result<(), Short> {
        if !self.operator.is_empty() {
            push_text(out, br#","operator":""#, &self.operator)?;
            out.push(self.operator_source.as_member().as_bytes())?;
        }
        if !self.is_nobodys() {
            out.push(self.operator_type.as_member().as_bytes())?;
        }
        if let Some(ip) = &self.source_ip {
            push_text(out, br#","source_ip":""#, ip)?;
        }
        if let Some(ips) = &self.source_ips {
            push_text(out, br#","source_ips":""#, ips)?;
        }
        if let Some(scope) = self.source_scope {
            out.push(scope.as_member().as_bytes())?;
        }
        if self.source_high_risk {
            out.push(br#","source_high_risk":true"#)?;
        }
        out.push(self.resource_class.as_member().as_bytes())?;
        out.push(self.action.as_member().as_bytes())?;
        if let Some(outcome) = self.outcome {
            out.push(outcome.as_member().as_bytes())?;
        }
        if let Some(exec) = &self.exec {
            out.push_owned(exec.member())?;
        }
        Ok(())
    }

    /// Writes a line for a person: who did what to which object, from where, with what result. It is UTF-8 without control
    /// characters, and bounded; whether it is known to need no escapes in JSON, is returned. `event` is the one that was
    /// normalised.
    pub(crate) fn write_message(&self, event: &Event<'_>, out: &mut Room<'_>) -> Result<bool, Short> {
        message::write(self, event, out)
    }
}

fn list(items: &[Vec<u8>]) -> Option<FieldValue<'_>> {
    (!items.is_empty()).then_some(FieldValue::List(items))
}

/// Appends a member; `name` ends in the quote that opens the value.
#[inline(always)]
#[expect(clippy::ptr_arg, reason = "what is borrowed is written otherwise than what is not")]
fn push_text(out: &mut Room<'_>, name: &[u8], value: &Cow<'_, [u8]>) -> Result<(), Short> {
    out.push(name)?;
    match value {
        // Part of a string of the event, whose JSON had nothing to decode.
        Cow::Borrowed(text) => out.push(text)?,
        Cow::Owned(text) => out.push_escaped(text)?,
    }
    out.push(b"\"")
}

/// The word in a member that says one, as it is written into the `audit` object.
fn word_of(member: &'static str) -> &'static str {
    member.split('"').nth(3).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Buffer;
    use crate::json;
    use proptest::prelude::*;

    fn normalizer() -> Normalizer {
        let networks = |list: &[&str]| list.iter().map(|entry| entry.parse::<Network>().unwrap()).collect();
        Normalizer::new(Settings {
            trusted_proxies: networks(&["10.0.0.0/8"]),
            internal: networks(&["203.0.113.0/28"]),
            high_risk: networks(&["198.51.100.0/24"]),
            ..Settings::default()
        })
    }

    fn members(event: &str) -> String {
        let record = format!(r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1",{event}}}"#);
        let event = Event::read(record.as_bytes(), b"audit").unwrap();
        let normalized = normalizer().normalize(&event);
        let mut out = Buffer::default();
        out.write(|out| normalized.write_members(out));
        String::from_utf8(out.bytes().to_vec()).unwrap()
    }

    #[test]
    fn events_give_the_members_of_the_audit_object() {
        for (event, expected) in [
            (
                r#""verb":"create","stage":"ResponseStarted","user":{"username":"kubernetes-admin"},"sourceIPs":["198.51.100.9","10.0.0.1"],"requestURI":"/api/v1/namespaces/default/pods/web-0/exec?command=sh\u0026command=-c\u0026command=id\u0026container=app\u0026stdin=true","objectRef":{"resource":"pods","namespace":"default","name":"web-0","apiVersion":"v1","subresource":"exec"},"responseStatus":{"code":101},"annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"RBAC: allowed by ClusterRoleBinding \"a\" of ClusterRole \"b\" to User \"203\""}"#,
                r#","operator":"203","operator_source":"rbac-reason","operator_type":"user","source_ip":"198.51.100.9","source_ips":"198.51.100.9,10.0.0.1","source_scope":"public","source_high_risk":true,"resource_class":"compute","action":"access","outcome":"success","exec":{"container":"app","command":["sh","-c","id"],"stdin":true,"tty":false}"#,
            ),
            (
                r#""verb":"patch","user":{"username":"bob"},"impersonatedUser":{"username":"system:serviceaccount:ci:robot"},"sourceIPs":["203.0.113.7"],"requestURI":"/api/v1/namespaces/default/secrets/db","objectRef":{"resource":"secrets","namespace":"default","name":"db","apiVersion":"v1"},"responseStatus":{"code":403}"#,
                r#","operator":"system:serviceaccount:ci:robot","operator_source":"impersonation","operator_type":"serviceaccount","source_ip":"203.0.113.7","source_ips":"203.0.113.7","source_scope":"internal","resource_class":"storage","action":"update","outcome":"failure""#,
            ),
            (
                r#""verb":"get","stage":"RequestReceived","user":{},"sourceIPs":["::1"],"requestURI":"/healthz""#,
                r#","operator_type":"anonymous","source_ip":"::1","source_ips":"::1","source_scope":"loopback","resource_class":"non-resource","action":"access""#,
            ),
            (
                r#""verb":"get","user":{"username":"bob"},"sourceIPs":["@"],"requestURI":"/x?ports=80","objectRef":{"resource":"pods","name":"web","subresource":"portforward"}"#,
                r#","operator":"bob","operator_source":"username","operator_type":"user","source_ips":"@","resource_class":"compute","action":"access","exec":{"ports":[80]}"#,
            ),
            (
                r#""verb":"get","user":{"username":"bob"},"requestURI":"/x?command=tar\u0026command=cf\u0026command=-\u0026command=/etc","objectRef":{"resource":"pods","name":"web","subresource":"exec"}"#,
                r#","operator":"bob","operator_source":"username","operator_type":"user","resource_class":"compute","action":"access","exec":{"command":["tar","cf","-","/etc"],"stdin":false,"tty":false,"copy":"from-pod"}"#,
            ),
        ] {
            assert_eq!(members(event), expected);
        }
    }

    #[test]
    fn fields_are_found_by_name() {
        let record = br#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","user":{"username":"bob"},"sourceIPs":["198.51.100.9"],"requestURI":"/x?command=sh\u0026tty=1","objectRef":{"resource":"pods","subresource":"exec"}}"#;
        let event = Event::read(record, b"audit").unwrap();
        let normalized = normalizer().normalize(&event);
        for (name, expected) in [
            ("operator", Some(FieldValue::Text(b"bob"))),
            ("source_scope", Some(FieldValue::Text(b"public"))),
            ("source_high_risk", Some(FieldValue::Bool(true))),
            ("outcome", None),
            ("exec.command", Some(FieldValue::List(&[b"sh".to_vec()]))),
            ("exec.tty", Some(FieldValue::Bool(true))),
            ("exec.container", None),
            ("exec.ports", None),
            ("exec", None),
            ("severity", None),
            ("", None),
        ] {
            assert_eq!(normalized.field(name), expected, "{name}");
        }
        for &field in AuditField::ALL {
            assert_eq!(AuditField::named(field.name()), Some(field));
        }
        assert_eq!(AuditField::ALL.len(), AuditField::ExecCopy as usize + 1);
    }

    #[test]
    fn a_command_cut_short_is_noted() {
        for (arguments, noted) in [(1, false), (100_000, true)] {
            let uri = format!("/x?{}", "command&".repeat(arguments));
            let record = format!(
                r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","requestURI":"{uri}","objectRef":{{"resource":"pods","subresource":"exec"}}}}"#
            );
            let event = Event::read(record.as_bytes(), b"audit").unwrap();
            assert_eq!(normalizer().normalize(&event).note().is_some(), noted);
        }
    }

    /// A string that is sometimes what components write and sometimes anything.
    fn text(usual: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::sample::select(usual).prop_map(|text| text.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..40),
        ]
    }

    fn string(text: &[u8]) -> String {
        let mut out = Vec::new();
        json::push_string(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn whatever_an_event_says_the_members_are_json_and_the_message_is_one_line(
            verb in text(&["get", "create", "patch", "delete", "deletecollection"]),
            user in text(&["", "bob", "kubernetes-admin", "system:anonymous", "system:node:n1"]),
            impersonated in prop::option::of(text(&["carol", "system:serviceaccount:a:b"])),
            reason in text(&["RBAC: allowed by RoleBinding \"a/b\" of Role \"c\" to User \"d\""]),
            ips in prop::collection::vec(text(&["10.0.0.1", "203.0.113.7", "::1", "[fe80::1%e]:1"]), 0..4),
            uri in text(&["/x?command=sh&command=-c&container=a&tty=1", "/x?ports=1,2", "/healthz"]),
            resource in text(&["pods", "secrets", "networkpolicies", "ies"]),
            names in (text(&["web"]), text(&["", "shop"]), text(&["", "apps"])),
            subresource in text(&["", "exec", "attach", "portforward", "proxy", "ephemeralcontainers", "status"]),
            container in text(&["debugger"]),
            code in prop::option::of(any::<i64>()),
        ) {
            let ips: Vec<_> = ips.iter().map(|ip| string(ip)).collect();
            let mut record = format!(
                r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","verb":{},"user":{{"username":{}}},"annotations":{{"authorization.k8s.io/reason":{}}},"sourceIPs":[{}],"requestURI":{},"objectRef":{{"resource":{},"name":{},"namespace":{},"apiGroup":{},"subresource":{}}},"requestObject":{{"spec":{{"ephemeralContainers":[{{"name":{}}}]}}}}"#,
                string(&verb), string(&user), string(&reason), ips.join(","), string(&uri), string(&resource),
                string(&names.0), string(&names.1), string(&names.2), string(&subresource), string(&container),
            );
            if let Some(impersonated) = impersonated {
                record += &format!(r#","impersonatedUser":{{"username":{}}}"#, string(&impersonated));
            }
            if let Some(code) = code {
                record += &format!(r#","responseStatus":{{"code":{code}}}"#);
            }
            record.push('}');
            let event = Event::read(record.as_bytes(), b"audit").unwrap();
            let normalized = normalizer().normalize(&event);

            let mut object = Buffer::default();
            object.write(|out| {
                out.push(br#"{"level":"Metadata""#)?;
                normalized.write_members(out)?;
                out.push(b"}")
            });
            let object = object.bytes();
            prop_assert!(std::str::from_utf8(object).is_ok());
            prop_assert_eq!(json::scan(object, 0).map(|scanned| scanned.end), Ok(object.len()));
            for &field in AuditField::ALL {
                let mut at = Some(json::Raw(object));
                for name in field.name().split('.') {
                    at = at.and_then(|value| value.get(name.as_bytes()));
                }
                prop_assert_eq!(at.is_some(), normalized.get(field).is_some(), "{}", field.name());
            }

            let mut message = Buffer::default();
            let is_plain = message.write(|out| normalized.write_message(&event, out));
            let message = std::str::from_utf8(message.bytes()).unwrap();
            prop_assert!(!is_plain || string(message.as_bytes()) == format!("\"{message}\""), "{message:?}");
            prop_assert!(!message.contains(char::is_control), "{message:?}");
            prop_assert!(message.len() < 16 * 1024);
        }
    }
}
