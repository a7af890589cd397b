//! The borrowed view of one audit event (`audit.k8s.io` v1, v1beta1 and v1alpha1).
//!
//! Reading an event is one pass over its bytes that proves them to be JSON, notes where each member of
//! `Event` stands and looks into the small ones. Bodies stay spans that nobody has looked into.

use super::Unreadable;
use crate::json::{self, Kind, Raw, Text};

/// The members of `Event` (k8s.io/apiserver/pkg/apis/audit/v1) that the engine reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// `kind`
    Kind,
    /// `apiVersion`
    ApiVersion,
    /// `level`
    Level,
    /// `auditID`
    AuditId,
    /// `stage`
    Stage,
    /// `requestURI`
    RequestUri,
    /// `verb`
    Verb,
    /// `user`
    User,
    /// `impersonatedUser`
    ImpersonatedUser,
    /// `sourceIPs`
    SourceIps,
    /// `userAgent`
    UserAgent,
    /// `objectRef`
    ObjectRef,
    /// `responseStatus`
    ResponseStatus,
    /// `requestObject`
    RequestObject,
    /// `responseObject`
    ResponseObject,
    /// `requestReceivedTimestamp`
    RequestReceivedTimestamp,
    /// `stageTimestamp`
    StageTimestamp,
    /// `timestamp`, which v1alpha1 and v1beta1 have instead of the two above or beside them
    Timestamp,
    /// `annotations`
    Annotations,
}

impl Member {
    const COUNT: usize = Self::Annotations as usize + 1;

    /// The member of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::of_bytes(name.as_bytes())
    }

    fn of_bytes(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"kind" => Self::Kind,
            b"apiVersion" => Self::ApiVersion,
            b"level" => Self::Level,
            b"auditID" => Self::AuditId,
            b"stage" => Self::Stage,
            b"requestURI" => Self::RequestUri,
            b"verb" => Self::Verb,
            b"user" => Self::User,
            b"impersonatedUser" => Self::ImpersonatedUser,
            b"sourceIPs" => Self::SourceIps,
            b"userAgent" => Self::UserAgent,
            b"objectRef" => Self::ObjectRef,
            b"responseStatus" => Self::ResponseStatus,
            b"requestObject" => Self::RequestObject,
            b"responseObject" => Self::ResponseObject,
            b"requestReceivedTimestamp" => Self::RequestReceivedTimestamp,
            b"stageTimestamp" => Self::StageTimestamp,
            b"timestamp" => Self::Timestamp,
            b"annotations" => Self::Annotations,
            _ => return None,
        })
    }

    /// The member's name in the event.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::ApiVersion => "apiVersion",
            Self::Level => "level",
            Self::AuditId => "auditID",
            Self::Stage => "stage",
            Self::RequestUri => "requestURI",
            Self::Verb => "verb",
            Self::User => "user",
            Self::ImpersonatedUser => "impersonatedUser",
            Self::SourceIps => "sourceIPs",
            Self::UserAgent => "userAgent",
            Self::ObjectRef => "objectRef",
            Self::ResponseStatus => "responseStatus",
            Self::RequestObject => "requestObject",
            Self::ResponseObject => "responseObject",
            Self::RequestReceivedTimestamp => "requestReceivedTimestamp",
            Self::StageTimestamp => "stageTimestamp",
            Self::Timestamp => "timestamp",
            Self::Annotations => "annotations",
        }
    }

    /// What kind of value the member has where it is not null.
    fn kind(self) -> Option<Kind> {
        match self {
            Self::User
            | Self::ImpersonatedUser
            | Self::ObjectRef
            | Self::ResponseStatus
            | Self::Annotations => Some(Kind::Object),
            Self::SourceIps => Some(Kind::Array),
            Self::RequestObject | Self::ResponseObject => None,
            _ => Some(Kind::String),
        }
    }
}

/// Where a member stands in the event's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Offset of the quote that opens the name.
    pub name: usize,
    /// Offset of the value's first byte.
    pub value: usize,
    /// Offset just past the value.
    pub end: usize,
}

/// `authentication/v1.UserInfo`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct User<'a> {
    /// `username`; empty where authentication failed.
    pub username: Text<'a>,
    /// `uid`
    pub uid: Text<'a>,
    /// `groups`, an array of strings
    pub groups: Option<Raw<'a>>,
    /// `extra`, an object of arrays of strings
    pub extra: Option<Raw<'a>>,
}

impl<'a> User<'a> {
    /// The groups in their order.
    pub fn groups(&self) -> impl Iterator<Item = Text<'a>> + use<'a> {
        strings(self.groups)
    }

    fn read(object: Raw<'a>) -> Self {
        let mut user = Self::default();
        for (name, value) in json::members(object) {
            match &*name.decode() {
                b"username" => user.username = value.text().unwrap_or_default(),
                b"uid" => user.uid = value.text().unwrap_or_default(),
                b"groups" => user.groups = Some(value),
                b"extra" => user.extra = Some(value),
                _ => {}
            }
        }
        user
    }
}

/// `audit/v1.ObjectReference`; what is absent is empty, as in Go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ObjectRef<'a> {
    /// `resource`
    pub resource: Text<'a>,
    /// `namespace`
    pub namespace: Text<'a>,
    /// `name`
    pub name: Text<'a>,
    /// `uid`
    pub uid: Text<'a>,
    /// `apiGroup`; for v1alpha1 events, what stands before the slash of `apiVersion`
    pub api_group: Text<'a>,
    /// `apiVersion`, without the group
    pub api_version: Text<'a>,
    /// `resourceVersion`
    pub resource_version: Text<'a>,
    /// `subresource`
    pub subresource: Text<'a>,
}

impl<'a> ObjectRef<'a> {
    fn read(object: Raw<'a>) -> Self {
        let mut reference = Self::default();
        for (name, value) in json::members(object) {
            let field = match &*name.decode() {
                b"resource" => &mut reference.resource,
                b"namespace" => &mut reference.namespace,
                b"name" => &mut reference.name,
                b"uid" => &mut reference.uid,
                b"apiGroup" => &mut reference.api_group,
                b"apiVersion" => &mut reference.api_version,
                b"resourceVersion" => &mut reference.resource_version,
                b"subresource" => &mut reference.subresource,
                _ => continue,
            };
            *field = value.text().unwrap_or_default();
        }
        reference
    }

    /// v1alpha1 has no `apiGroup`; its `apiVersion` is `group/version`.
    fn split_group_from_version(&mut self) {
        let version = self.api_version.raw();
        if let Some(slash) = version.iter().position(|&byte| byte == b'/')
            && let Some((group, rest)) = version.split_at_checked(slash)
        {
            self.api_group = Text::new(group);
            self.api_version = Text::new(rest.get(1..).unwrap_or_default());
        }
    }
}

/// One audit event.
///
/// Of a member that stands twice the first counts, for reading; a body or a level that stands twice is
/// trimmed or rewritten twice.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    object: Raw<'a>,
    first: [Raw<'a>; Member::COUNT],
    /// `user`; empty where authentication failed or the member is missing.
    pub user: User<'a>,
    /// `impersonatedUser`
    pub impersonated_user: Option<User<'a>>,
    /// `objectRef`: there for resource requests only.
    pub object_ref: Option<ObjectRef<'a>>,
    /// Where each `level`, `requestObject` and `responseObject` stands, and each member that is called
    /// as the engine's own output is, in their order.
    pub(crate) places: Vec<(Touched, Place)>,
    /// Offset of the closing brace.
    pub(crate) close: usize,
    /// Whether a byte above 0x7f may stand in it: only then can the event be other than UTF-8.
    pub(crate) non_ascii: bool,
}

/// The members that the engine may have to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Touched {
    Level,
    RequestObject,
    ResponseObject,
    Output,
}

impl<'a> Event<'a> {
    /// Reads the event that `object` holds, a JSON object from its first byte to its last.
    ///
    /// `output_key` is the name of the member that the engine will write.
    ///
    /// # Errors
    /// Bytes that are no JSON object, or an object that is no audit event or has a member of another type
    /// than `Event` has.
    pub fn read(object: &'a [u8], output_key: &[u8]) -> Result<Self, Unreadable> {
        const ABSENT: Raw<'static> = Raw(b"");
        let mut event = Self {
            object: Raw(object),
            first: [ABSENT; Member::COUNT],
            user: User::default(),
            impersonated_user: None,
            object_ref: None,
            places: Vec::new(),
            close: 0,
            non_ascii: false,
        };
        event.scan(object, output_key)?;
        if !event.is_audit_event() {
            return Err(Unreadable::NotAnAuditEvent);
        }
        event.look_into_small_members()?;
        Ok(event)
    }

    fn scan(&mut self, src: &'a [u8], output_key: &[u8]) -> Result<(), Unreadable> {
        let mut scanner = super::TopLevel::new(src)?;
        while let Some((name, place)) = scanner.next()? {
            let member = Member::of_bytes(&name.decode());
            let touched = match member {
                Some(Member::Level) => Some(Touched::Level),
                Some(Member::RequestObject) => Some(Touched::RequestObject),
                Some(Member::ResponseObject) => Some(Touched::ResponseObject),
                _ if name.is(output_key) => Some(Touched::Output),
                _ => None,
            };
            if let Some(touched) = touched {
                self.places.push((touched, place));
            }
            if let Some(member) = member
                && let Some(slot) = self.first.get_mut(member as usize)
                && slot.0.is_empty()
            {
                *slot = Raw(src.get(place.value..place.end).unwrap_or_default());
            }
        }
        self.close = scanner.close();
        self.non_ascii = scanner.non_ascii();
        Ok(())
    }

    /// kube-apiserver always writes both members; a pipeline may have dropped the version.
    fn is_audit_event(&self) -> bool {
        match self.text(Member::ApiVersion) {
            Some(version) if version.decode().starts_with(b"audit.k8s.io/") => {
                self.text(Member::Kind).is_none_or(|kind| kind.is(b"Event"))
            }
            Some(_) => false,
            None => self.text(Member::AuditId).is_some() && self.text(Member::Stage).is_some(),
        }
    }

    fn look_into_small_members(&mut self) -> Result<(), Unreadable> {
        for member in [
            Member::Level,
            Member::Stage,
            Member::RequestUri,
            Member::Verb,
            Member::User,
            Member::ImpersonatedUser,
            Member::SourceIps,
            Member::UserAgent,
            Member::ObjectRef,
            Member::ResponseStatus,
            Member::Annotations,
        ] {
            if let Some(value) = self.get(member)
                && member.kind().is_some_and(|kind| kind != value.kind())
            {
                return Err(Unreadable::WrongType(member.name()));
            }
        }
        self.user = self.get(Member::User).map(User::read).unwrap_or_default();
        self.impersonated_user = self.get(Member::ImpersonatedUser).map(User::read);
        self.object_ref = self.get(Member::ObjectRef).map(ObjectRef::read);
        let v1alpha1 =
            self.text(Member::ApiVersion).is_some_and(|version| version.is(b"audit.k8s.io/v1alpha1"));
        if v1alpha1 && let Some(reference) = &mut self.object_ref {
            reference.split_group_from_version();
        }
        Ok(())
    }

    /// The event's bytes.
    #[must_use]
    pub fn object(&self) -> Raw<'a> {
        self.object
    }

    /// A member's value, unless it is absent or null.
    #[must_use]
    pub fn get(&self, member: Member) -> Option<Raw<'a>> {
        self.first.get(member as usize).copied().filter(|value| value.kind() != Kind::Null)
    }

    /// A member's value as a string.
    #[must_use]
    pub fn text(&self, member: Member) -> Option<Text<'a>> {
        self.get(member)?.text()
    }

    /// `responseStatus.code`
    #[must_use]
    pub fn response_code(&self) -> Option<i64> {
        self.get(Member::ResponseStatus)?.get(b"code")?.integer()
    }

    /// `sourceIPs` in their order.
    pub fn source_ips(&self) -> impl Iterator<Item = Text<'a>> + use<'a> {
        strings(self.get(Member::SourceIps))
    }

    /// The annotation of that name.
    #[must_use]
    pub fn annotation(&self, name: &[u8]) -> Option<Text<'a>> {
        self.get(Member::Annotations)?.get(name)?.text()
    }
}

fn strings(array: Option<Raw<'_>>) -> impl Iterator<Item = Text<'_>> {
    array.into_iter().flat_map(json::elements).filter_map(Raw::text)
}
