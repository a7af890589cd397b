//! What a field of a rule names in an event, and where its values come from.
//!
//! | a field | names |
//! | --- | --- |
//! | `audit.severity`, `audit.exec.command` … | what the earlier stages found: [`AuditField`] |
//! | `verb`, `objectRef.resource`, `annotations.authorization.k8s.io/decision` … | the values to which the path leads in the event |
//! | `hostPath`, `apiGroup` … (one name that `Event` does not have) | the record's member of that name; where it has none, every member of that name in `objectRef` and the bodies, at any depth |
//!
//! A path leads to every value whose member names, joined by dots, read like the path: a dot in a
//! member's name (`authorization.k8s.io/decision`) is thus no different from a step into an object. An
//! array stands for its elements, wherever it stands. Names are case-sensitive. Of a member that stands
//! twice within another, each counts, so that nobody hides one behind the other.

use crate::json::{Kind, Raw, Text};
use crate::normalize::{self, FieldValue, Normalized, OperatorSource};
use crate::record::{Event, Member};
use std::borrow::Cow;

macro_rules! audit_fields {
    (normalized: $($normalized:ident)* ; later: $($later:ident = $name:literal)*) => {
        /// A value in the `audit` object that rules or routes can ask for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum AuditField {
            $(#[doc = concat!("As [`normalize::AuditField::", stringify!($normalized), "`].")] $normalized,)*
            $(#[doc = concat!("`", $name, "`")] $later,)*
        }

        impl AuditField {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$normalized,)* $(Self::$later,)*];

            /// The field's name, without the leading `audit.`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$normalized => normalize::AuditField::$normalized.name(),)*
                    $(Self::$later => $name,)*
                }
            }

            /// The field of the stage before this one, if that is where its values come from. Only such
            /// fields are there before the rules are evaluated, so that rules may ask for them; routes may
            /// ask for every field.
            #[must_use]
            pub fn normalized(self) -> Option<normalize::AuditField> {
                match self {
                    $(Self::$normalized => Some(normalize::AuditField::$normalized),)*
                    $(Self::$later => None,)*
                }
            }
        }
    };
}

audit_fields! {
    normalized:
        Operator OperatorSource OperatorType
        SourceIp SourceIps SourceScope SourceHighRisk
        ResourceClass Action Outcome DryRun
        ExecContainer ExecCommand ExecStdin ExecTty ExecPorts ExecImage ExecCopy;
    later:
        Level = "level"
        PolicyRule = "policy_rule"
        Severity = "severity"
        Rules = "rules"
        Tags = "tags"
        Alerts = "alerts"
        AlertRule = "alerts.rule"
        AlertSeverity = "alerts.severity"
        AlertCount = "alerts.count"
        AlertValue = "alerts.value"
        Message = "message"
        Error = "error"
}

impl AuditField {
    /// The field of that name, without the leading `audit.`.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.name() == name)
    }
}

/// How many steps a path may have. A rule's author could otherwise make each walk keep thousands of steps.
const MAX_STEPS: usize = 64;

/// The field of that name, without the leading `audit.`; `before_rules` if it has to be there before the rules are
/// evaluated.
///
/// # Errors
/// Why there is none.
pub(crate) fn audit_field(name: &str, before_rules: bool) -> Result<AuditField, String> {
    let known = |field: &AuditField| !before_rules || field.normalized().is_some();
    match AuditField::of_name(name) {
        Some(field) if known(&field) => Ok(field),
        Some(_) => {
            Err(format!("audit.{name} follows from the rules, so only a route's \"when\" can ask for it"))
        }
        None => {
            let names: Vec<String> = AuditField::ALL
                .iter()
                .filter(|field| known(field))
                .map(|field| format!("audit.{}", field.name()))
                .collect();
            Err(format!("there is no field audit.{name}; there are: {}", names.join(", ")))
        }
    }
}

/// Finds out whether a path is one.
///
/// # Errors
/// Why it is not.
pub(crate) fn check_path(name: &str) -> Result<(), String> {
    if name.contains(['[', ']']) {
        return Err(format!(
            "the field {name:?} has brackets; an array stands for its elements, so leave them out"
        ));
    }
    if name.split('.').any(str::is_empty) {
        return Err(format!("the field {name:?} has an empty step; join names by single dots"));
    }
    if name.split('.').count() > MAX_STEPS {
        return Err(format!("the field {name:?} has more than {MAX_STEPS} steps"));
    }
    Ok(())
}

/// One value of an [`AuditField`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditValue<'a> {
    /// A string.
    Text(&'a [u8]),
    /// A number.
    Integer(i64),
    /// A boolean.
    Bool(bool),
}

/// What the earlier stages found about the event at hand.
pub trait AuditFields {
    /// Gives each value of the field to `each`; none where the field does not apply.
    fn values(&self, field: AuditField, each: &mut dyn FnMut(AuditValue<'_>));

    /// What there is to know about fields with few values without asking for each, if that is to be had.
    fn few(&self) -> Option<Few> {
        None
    }
}

/// The fields that have few values, and no lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Few {
    /// A byte for each, and one for what makes some of them absent.
    pub(crate) values: [u8; 9],
    /// Whether any of `exec.*` has a value.
    pub(crate) has_exec: bool,
    /// The member from which alone the operator follows, if it is one.
    pub(crate) operator: Option<Member>,
}

/// Nothing was found.
impl AuditFields for () {
    fn values(&self, _: AuditField, _: &mut dyn FnMut(AuditValue<'_>)) {}
}

/// What the stage before this one found. Every element of a list is a value; of a command, so is the whole
/// line, joined by spaces.
impl AuditFields for Normalized<'_> {
    fn values(&self, field: AuditField, each: &mut dyn FnMut(AuditValue<'_>)) {
        match field.normalized().and_then(|field| self.get(field)) {
            Some(FieldValue::Text(text)) => each(AuditValue::Text(text)),
            Some(FieldValue::Bool(value)) => each(AuditValue::Bool(value)),
            Some(FieldValue::List(items)) => {
                items.iter().for_each(|item| each(AuditValue::Text(item)));
                if field == AuditField::ExecCommand && items.len() > 1 {
                    each(AuditValue::Text(&items.join(&b' ')));
                }
            }
            None => {}
        }
    }

    fn few(&self) -> Option<Few> {
        let operator = match self.operator_source {
            OperatorSource::Username => Some(Member::User),
            OperatorSource::Impersonation => Some(Member::ImpersonatedUser),
            OperatorSource::RbacReason => None,
        };
        Some(Few { values: self.few_values(), has_exec: self.exec.is_some(), operator })
    }
}

/// A value as matchers see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value<'a> {
    pub(crate) kind: Kind,
    /// What a string says; how a number or a boolean is written; otherwise empty.
    pub(crate) text: &'a [u8],
}

impl Value<'_> {
    /// Gives the value that `raw` is to `each`. An array is one value here; its elements are the walk's.
    #[inline]
    pub(crate) fn with<R>(raw: Raw<'_>, each: impl FnOnce(Value<'_>) -> R) -> R {
        let (kind, text) = Found::Raw(raw).decode();
        each(Value { kind, text: &text })
    }
}

/// When an event's values of a field are known, cheapest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// By the classes of the event's values.
    Class,
    /// At once: the view of the event or an earlier stage has it.
    Immediate,
    /// After a walk through the event's small members.
    Head,
    /// After a walk through the bodies.
    Body,
}

impl Stage {
    /// A bit for each.
    pub(crate) fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Where a field's values come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Audit(AuditField),
    /// A single value that the view of the event has found, by its number in `Program::views`.
    View(u32),
    /// `user.groups`, and what is in it.
    Groups,
    /// Whatever a walk finds at this node of the tree of paths.
    Path(u32),
    /// Whatever a walk finds under this name, anywhere.
    Bare,
    /// Every string and number of the event.
    Keyword,
}

/// A value that the view of the event gives without a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    Top(Member),
    Reference(Reference),
    Username,
    Uid,
    ImpersonatedUsername,
    ResponseCode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reference {
    Resource,
    Namespace,
    Name,
    ApiGroup,
    ApiVersion,
    Subresource,
}

impl View {
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        Some(match path {
            "level" => Self::Top(Member::Level),
            "auditID" => Self::Top(Member::AuditId),
            "stage" => Self::Top(Member::Stage),
            "requestURI" => Self::Top(Member::RequestUri),
            "verb" => Self::Top(Member::Verb),
            "userAgent" => Self::Top(Member::UserAgent),
            "requestReceivedTimestamp" => Self::Top(Member::RequestReceivedTimestamp),
            "stageTimestamp" => Self::Top(Member::StageTimestamp),
            "objectRef.resource" => Self::Reference(Reference::Resource),
            "objectRef.namespace" => Self::Reference(Reference::Namespace),
            "objectRef.name" => Self::Reference(Reference::Name),
            "objectRef.apiGroup" => Self::Reference(Reference::ApiGroup),
            "objectRef.apiVersion" => Self::Reference(Reference::ApiVersion),
            "objectRef.subresource" => Self::Reference(Reference::Subresource),
            "user.username" => Self::Username,
            "user.uid" => Self::Uid,
            "impersonatedUser.username" => Self::ImpersonatedUsername,
            "responseStatus.code" => Self::ResponseCode,
            _ => return None,
        })
    }

    /// The value, if the event has one.
    ///
    /// What the view has is taken from there, because it also understands events of audit.k8s.io/v1alpha1,
    /// which have no `apiGroup`. An empty string looks to it like an absent one, and other types than
    /// strings it does not keep, so those are looked up.
    #[inline]
    pub(crate) fn value<'a>(self, event: &Event<'a>) -> Option<Found<'a>> {
        let (seen, is_odd) = match self {
            Self::Top(member) => return event.get(member).map(Found::Raw),
            Self::ResponseCode => {
                return event.raw_response_code().map(Found::Raw);
            }
            Self::Username => (event.user.username, event.user.is_odd),
            Self::Uid => (event.user.uid, event.user.is_odd),
            Self::ImpersonatedUsername => {
                let user = event.impersonated_user?;
                (user.username, user.is_odd)
            }
            Self::Reference(part) => {
                let reference = event.object_ref.as_ref()?;
                let seen = match part {
                    Reference::Resource => reference.resource,
                    Reference::Namespace => reference.namespace,
                    Reference::Name => reference.name,
                    Reference::ApiGroup => reference.api_group,
                    Reference::ApiVersion => reference.api_version,
                    Reference::Subresource => reference.subresource,
                };
                (seen, reference.is_odd)
            }
        };
        if !seen.is_empty() {
            return Some(Found::Text(seen));
        }
        if is_odd { self.look_up(event) } else { None }
    }

    /// The value where it is no string, or an empty one. Out of line, where its names cost the others nothing: an
    /// interpreter copies all constants of a function at each call.
    #[cold]
    #[inline(never)]
    fn look_up<'a>(self, event: &Event<'a>) -> Option<Found<'a>> {
        let (member, name): (_, &[u8]) = match self {
            Self::Top(_) | Self::ResponseCode => return None,
            Self::Username => (Member::User, b"username"),
            Self::Uid => (Member::User, b"uid"),
            Self::ImpersonatedUsername => (Member::ImpersonatedUser, b"username"),
            Self::Reference(Reference::Resource) => (Member::ObjectRef, b"resource"),
            Self::Reference(Reference::Namespace) => (Member::ObjectRef, b"namespace"),
            Self::Reference(Reference::Name) => (Member::ObjectRef, b"name"),
            Self::Reference(Reference::ApiGroup) => (Member::ObjectRef, b"apiGroup"),
            Self::Reference(Reference::ApiVersion) => (Member::ObjectRef, b"apiVersion"),
            Self::Reference(Reference::Subresource) => (Member::ObjectRef, b"subresource"),
        };
        event.get(member)?.get(name).map(Found::Raw)
    }
}

/// What a view found.
pub(crate) enum Found<'a> {
    Text(Text<'a>),
    Raw(Raw<'a>),
}

/// The kind of a value, and its text as [`Value`] has it.
pub(crate) type Decoded<'a> = (Kind, Cow<'a, [u8]>);

impl<'a> Found<'a> {
    /// What it says.
    pub(crate) fn decode(self) -> Decoded<'a> {
        match self {
            Self::Text(text) => (Kind::String, text.decode()),
            Self::Raw(raw) => {
                let kind = raw.kind();
                let text = match kind {
                    Kind::String => raw.text().unwrap_or_default().decode(),
                    Kind::Number | Kind::Bool => Cow::Borrowed(raw.0),
                    Kind::Object | Kind::Array | Kind::Null => Cow::Borrowed(&b""[..]),
                };
                (kind, text)
            }
        }
    }
}
