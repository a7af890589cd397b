//! The borrowed view of one audit event (`audit.k8s.io` v1, v1beta1 and v1alpha1).
//!
//! Reading an event is one pass over its bytes that proves them to be JSON, notes where each member of
//! `Event` stands and looks into the small ones. Bodies stay spans that nobody has looked into.

use super::familiar::{self, Familiar, Known};
use super::{Name, TopLevel, Unreadable, tail};
use crate::json::{self, Kind, Raw, Text, skip_string, stands_at};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::ops::Range;

macro_rules! members {
    ($($(#[$meta:meta])* $variant:ident = $name:literal;)*) => {
        /// The members of `Event` (k8s.io/apiserver/pkg/apis/audit/v1) that the engine reads, in the order in
        /// which kube-apiserver writes them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Member {
            $(#[doc = concat!("`", $name, "`")] $(#[$meta])* $variant,)*
        }

        impl Member {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The member of that name, in bytes that may be anything.
            pub(super) fn of_bytes(name: &[u8]) -> Option<Self> {
                $(if name == $name.as_bytes() {
                    return Some(Self::$variant);
                })*
                None
            }

            /// What stands in compact JSON before the member's value where it is not the first.
            const fn introduction(self) -> &'static [u8] {
                match self {
                    $(Self::$variant => concat!(",\"", $name, "\":").as_bytes(),)*
                }
            }

            /// The member's name in the event.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

members! {
    Kind = "kind";
    ApiVersion = "apiVersion";
    Level = "level";
    /// Which v1alpha1 and v1beta1 have beside `stageTimestamp`.
    Timestamp = "timestamp";
    AuditId = "auditID";
    Stage = "stage";
    RequestUri = "requestURI";
    Verb = "verb";
    User = "user";
    ImpersonatedUser = "impersonatedUser";
    SourceIps = "sourceIPs";
    UserAgent = "userAgent";
    ObjectRef = "objectRef";
    ResponseStatus = "responseStatus";
    RequestObject = "requestObject";
    ResponseObject = "responseObject";
    RequestReceivedTimestamp = "requestReceivedTimestamp";
    StageTimestamp = "stageTimestamp";
    Annotations = "annotations";
}

impl Member {
    const COUNT: usize = Self::ALL.len();

    /// The member of that name, as it is written.
    fn of_text(name: Text<'_>) -> Option<Self> {
        Self::of_bytes(name.raw()).or_else(|| match name.decode() {
            Cow::Borrowed(_) => None,
            Cow::Owned(name) => Self::of_bytes(&name),
        })
    }

    /// The member of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::of_bytes(name.as_bytes())
    }

    /// Whether an event in which the member is of another kind is none that can be filtered.
    fn is_typed(self) -> bool {
        !matches!(
            self,
            Self::Kind
                | Self::ApiVersion
                | Self::AuditId
                | Self::Timestamp
                | Self::RequestObject
                | Self::ResponseObject
                | Self::RequestReceivedTimestamp
                | Self::StageTimestamp
        )
    }

    /// How the member's value is read.
    const fn form(self) -> Form {
        match self {
            Self::Level => Form::Level,
            Self::RequestObject | Self::ResponseObject => Form::Body,
            Self::ObjectRef => Form::Reference,
            Self::AuditId => Form::Id,
            Self::Stage => Form::Stage,
            Self::RequestReceivedTimestamp | Self::StageTimestamp => Form::Time,
            _ if familiar::index(self).is_some() => Form::Familiar,
            _ => Form::Text,
        }
    }

    /// What kind of value the member has where it is not null.
    pub(super) const fn kind(self) -> Option<Kind> {
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

/// How a member's value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    /// A string that is mostly as long as `cb2f1a2e-2ba4-4d7c-a9ed-6f0a7b4a3a55`.
    Id,
    /// One that is mostly `ResponseComplete`.
    Stage,
    /// One that is mostly as long as `2026-03-02T08:00:00.000001Z`.
    Time,
    /// A string that may have to be changed.
    Level,
    /// One that is paused at.
    Body,
    Reference,
    /// One that [`Familiar`] knows.
    Familiar,
}

/// A member as kube-apiserver writes it.
struct Usual {
    /// What stands before the value and the value's first byte, by words, the last of which is the upper part of one.
    words: [u64; 4],
    /// How long that is.
    length: u8,
    /// How many bits of the last word are none of it.
    unused: u8,
    member: Member,
    form: Form,
}

/// The members as kube-apiserver writes them, by their number.
static USUAL: [Usual; Member::COUNT] = {
    const UNSET: Usual =
        Usual { words: [0; 4], length: 0, unused: 0, member: Member::Kind, form: Form::Text };
    let mut all = [UNSET; Member::COUNT];
    let mut number = 0;
    while number < Member::COUNT {
        let member = Member::ALL[number];
        let first_byte = match member.kind() {
            Some(Kind::String) => b'"',
            Some(Kind::Array) => b'[',
            _ => b'{',
        };
        let name = member.introduction();
        let mut words = [0; 4];
        let mut at = 0;
        while at <= name.len() {
            let byte = if at < name.len() { name[at] } else { first_byte };
            words[at / 8] |= (byte as u64) << (at % 8 * 8);
            at += 1;
        }
        all[number] = Usual {
            words,
            length: at as u8,
            unused: (at.next_multiple_of(8) - at) as u8 * 8,
            member,
            form: member.form(),
        };
        number += 1;
    }
    all
};

impl Usual {
    /// Whether the member's name and the value's first byte are what a part of a record begins with.
    ///
    /// By words, since a comparison of slices is a call. The first word tells most members that stand elsewhere.
    #[inline(always)]
    fn begins(&self, part: &[[u8; 8]; 4]) -> bool {
        let [first, second, third, fourth] = part;
        let differ = |word: &[u8; 8], expected: u64| u64::from_le_bytes(*word) ^ expected;
        let [a, b, c, d] = self.words;
        differ(first, a) == 0
            && match self.length {
                0..=16 => differ(second, b) << self.unused == 0,
                17..=24 => differ(second, b) | differ(third, c) << self.unused == 0,
                _ => differ(second, b) | differ(third, c) | differ(fourth, d) << self.unused == 0,
            }
    }
}

/// What nearly every event begins with.
const BEGINNING: &[u8] = br#"{"kind":"Event","apiVersion":"audit.k8s.io/v1""#;

/// Where the values of its members stand.
const KIND: Range<usize> = 8..15;
const API_VERSION: Range<usize> = 29..BEGINNING.len();

/// The members that a policy and the rules' index ask for, a bit for each. An event without `objectRef` has small bodies if
/// any, so it is not worth telling late from absent.
const HEAD: u32 = 1 << Member::ApiVersion as u32
    | 1 << Member::Level as u32
    | 1 << Member::AuditId as u32
    | 1 << Member::Stage as u32
    | 1 << Member::RequestUri as u32
    | 1 << Member::Verb as u32
    | 1 << Member::User as u32
    | 1 << Member::ObjectRef as u32;

/// Where a member stands in the event's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Whether there are other members than these four.
    pub(crate) has_more: bool,
    /// Whether `username` or `uid` is there and is no string, or an empty one.
    pub(crate) is_odd: bool,
}

impl<'a> User<'a> {
    /// The groups in their order.
    pub fn groups(&self) -> impl Iterator<Item = Text<'a>> + use<'a> {
        strings(self.groups)
    }

    pub(super) fn read(object: Raw<'a>) -> Self {
        let mut user = Self::default();
        for (name, value) in json::members(object) {
            match &*name.decode() {
                b"username" => {
                    user.username = value.text().unwrap_or_default();
                    user.is_odd |= user.username.is_empty();
                }
                b"uid" => {
                    user.uid = value.text().unwrap_or_default();
                    user.is_odd |= user.uid.is_empty();
                }
                b"groups" => user.groups = Some(value),
                b"extra" => user.extra = Some(value),
                _ => user.has_more = true,
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
    /// Whether any of them is there and is no string, or an empty one.
    pub(crate) is_odd: bool,
}

impl<'a> ObjectRef<'a> {
    /// Reads the reference that begins at `start` in a record, where it has only members that the audit API knows, in
    /// the API server's order, each a string, and no spaces. Returns where it ends; what has been read is JSON.
    fn read_usual(src: &'a [u8], start: usize, high_bits: &mut u64) -> Option<(Self, usize)> {
        // With what stands before them: each reference is to a resource. Of eight bytes and more, most are told by words.
        const NAMES: [&[u8]; 8] = [
            b"{\"resource\":\"",
            b",\"namespace\":\"",
            b",\"name\":\"",
            b",\"uid\":\"",
            b",\"apiGroup\":\"",
            b",\"apiVersion\":\"",
            b",\"resourceVersion\":\"",
            b",\"subresource\":\"",
        ];
        let mut texts = [Text::default(); 8];
        let mut is_odd = false;
        let mut pos = start;
        for (name, text) in NAMES.iter().zip(&mut texts) {
            if !stands_at(src, pos, name) {
                continue;
            }
            let value = pos + name.len();
            pos = skip_string(src, value, high_bits).ok()?;
            *text = Text::new(src.get(value..pos - 1)?);
            is_odd |= text.is_empty();
            match src.get(pos) {
                Some(b',') => {}
                Some(b'}') => {
                    let [
                        resource,
                        namespace,
                        name,
                        uid,
                        api_group,
                        api_version,
                        resource_version,
                        subresource,
                    ] = texts;
                    let reference = Self {
                        resource,
                        namespace,
                        name,
                        uid,
                        api_group,
                        api_version,
                        resource_version,
                        subresource,
                        is_odd,
                    };
                    return Some((reference, pos + 1));
                }
                _ => return None,
            }
        }
        None
    }

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
            reference.is_odd |= field.is_empty();
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
    /// The first value of each member; empty where that is null.
    first: [Raw<'a>; Member::COUNT],
    /// The members that have been seen, a bit for each, and those of them that are null.
    seen: u32,
    null: u32,
    /// `user`; empty where authentication failed or the member is missing.
    pub user: User<'a>,
    /// `impersonatedUser`
    pub impersonated_user: Option<User<'a>>,
    /// `objectRef`: there for resource requests only.
    pub object_ref: Option<ObjectRef<'a>>,
    /// The number of its kind of request, if [`Requests`](super::Requests) knows one: another event of the same engine
    /// with that number has the same `user`, the same `verb`, and the same `objectRef` but for `name`, `uid` and
    /// `resourceVersion`.
    pub(crate) request: Option<u32>,
    /// Where each `level`, `requestObject` and `responseObject` stands, and each member that is called
    /// as the engine's own output is, in their order.
    pub(crate) places: Vec<(Touched, Place)>,
    scanner: TopLevel<'a>,
    /// What is known of members whose values have come before.
    known: [Known; familiar::COUNT],
    /// Where bodies stand that have not been read, and what they turn out to be if somebody asks all the same.
    unread: Option<Range<usize>>,
    read_late: OnceCell<Late>,
    /// `responseStatus.code`, once everything has been read.
    code: Option<Raw<'a>>,
    /// The body at which reading has paused.
    paused: Option<(Member, Name)>,
    /// The first member of another kind than it has to be.
    wrong: Option<Member>,
    /// The last known member read, and whether all so far came in the order of [`Member`].
    last: Option<Member>,
    in_order: bool,
    /// Whether a member's name is a path into one of `Event`'s: an export of Simple Log Service.
    in_parts: bool,
}

/// The bodies in what was passed over.
#[derive(Debug, Clone, Default)]
struct Late {
    request: Option<Range<usize>>,
    response: Option<Range<usize>>,
}

/// The members that the engine may have to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Touched {
    Level,
    RequestObject,
    ResponseObject,
    Output,
}

impl Touched {
    fn of(member: Member) -> Option<Self> {
        match member {
            Member::Level => Some(Self::Level),
            Member::RequestObject => Some(Self::RequestObject),
            Member::ResponseObject => Some(Self::ResponseObject),
            _ => None,
        }
    }
}

/// Which bodies go on. What does not need not be read, unless a rule asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bodies {
    /// Both.
    Both,
    /// Only `requestObject`: the other will be cut.
    Request,
    /// None: both will be cut.
    Neither,
}

impl<'a> Event<'a> {
    /// Reads the whole event that `object` holds: a JSON object, and nothing else but whitespace.
    ///
    /// `output_key` is the name of the member that the engine will write.
    ///
    /// # Errors
    /// Bytes that are no JSON object, or an object that is no audit event or has a member of another type
    /// than `Event` has.
    pub fn read(object: &'a [u8], output_key: &[u8]) -> Result<Self, Unreadable> {
        let mut event = Self::unread(object);
        event.read_head(output_key, None)?;
        event.read_rest(output_key, Bodies::Both, None)?;
        Ok(event)
    }

    /// The event that `object` holds, of which nothing has been read.
    #[inline(always)]
    pub(crate) fn unread(object: &'a [u8]) -> Self {
        const ABSENT: Raw<'static> = Raw(b"");
        Self {
            object: Raw(object),
            first: [ABSENT; Member::COUNT],
            seen: 0,
            null: 0,
            user: User::default(),
            impersonated_user: None,
            object_ref: None,
            request: None,
            places: Vec::new(),
            scanner: TopLevel::within(object, &(0..object.len())),
            known: [Known::default(); familiar::COUNT],
            unread: None,
            read_late: OnceCell::new(),
            code: None,
            paused: None,
            wrong: None,
            last: None,
            in_order: true,
            in_parts: false,
        }
    }

    /// Reads the event up to its first body if by then everything that a policy asks for has been seen,
    /// else to its end. [`read_rest`](Self::read_rest) goes on from there; until then the event's JSON is
    /// proven only so far. What is `familiar` need not be read.
    pub(crate) fn read_head(
        &mut self,
        output_key: &[u8],
        familiar: Option<&mut Familiar>,
    ) -> Result<(), Unreadable> {
        let is_usual = self.begins_as_usual();
        if !is_usual {
            self.scanner = TopLevel::new(self.object.0)?;
        }
        self.scan(output_key, familiar)?;
        let is_whole = self.get(Member::User).is_some() && self.get(Member::ObjectRef).is_some();
        let in_parts = self.in_parts && !is_whole;
        if in_parts || !is_usual && !self.is_audit_event() {
            return Err(Unreadable::NotAnAuditEvent);
        }
        self.look_into_small_members(is_usual)
    }

    /// Takes the members that nearly every event begins with, if this one does. Returns whether it did: then it is an audit
    /// event of the current version.
    fn begins_as_usual(&mut self) -> bool {
        if !self.scanner.skip_beginning(BEGINNING) {
            return false;
        }
        for (member, place) in [(Member::Kind, KIND), (Member::ApiVersion, API_VERSION)] {
            self.seen |= 1 << member as u32;
            if let (Some(slot), Some(value)) = (self.first.get_mut(member as usize), self.object.0.get(place))
            {
                *slot = Raw(value);
            }
        }
        self.last = Some(Member::ApiVersion);
        true
    }

    /// Reads what [`read_head`](Self::read_head) has left. A body that does not go on is not read where its
    /// end can be told otherwise; [`get`](Self::get) reads it should somebody ask.
    pub(crate) fn read_rest(
        &mut self,
        output_key: &[u8],
        wanted: Bodies,
        mut familiar: Option<&mut Familiar>,
    ) -> Result<(), Unreadable> {
        while let Some((body, name)) = self.paused.take() {
            let unwanted = match wanted {
                Bodies::Both => false,
                Bodies::Request => body == Member::ResponseObject,
                Bodies::Neither => true,
            };
            let end =
                if unwanted && self.in_order { tail::after_bodies(self.object.0, name.value) } else { None };
            let Some(end) = end else {
                let place = self.scanner.skip_value(name)?;
                self.note(body, place);
                self.scan(output_key, familiar.as_deref_mut())?;
                continue;
            };
            // What precedes is in kube-apiserver's order and so is what follows: between them are bodies.
            let place = self.scanner.skip_to(name, end);
            self.unread = Some(place.name..place.end);
            self.places.extend(Touched::of(body).map(|touched| (touched, place)));
            if self.scan(output_key, familiar.as_deref_mut()).is_err() {
                // The member found is not the record's own, or the record is no JSON: read it all and see.
                *self = Self::read(self.object.0, output_key)?;
            }
        }
        self.code =
            self.get(Member::ResponseStatus).and_then(|status| match self.known(Member::ResponseStatus) {
                Some(known) => known.code(status),
                None => status.get(b"code"),
            });
        self.check_types()
    }

    /// Notes members up to the next body, if it is worth pausing there, or the end.
    fn scan(&mut self, output_key: &[u8], mut familiar: Option<&mut Familiar>) -> Result<(), Unreadable> {
        loop {
            self.scan_usual(familiar.as_deref_mut())?;
            if self.paused.is_some() {
                return Ok(());
            }
            let Some((text, name)) = self.scanner.next_name()? else { return Ok(()) };
            let Some(member) = Member::of_text(text) else {
                self.pass_foreign(output_key, text, name)?;
                continue;
            };
            self.in_order &= self.last.is_none_or(|last| last < member);
            self.last = Some(member);
            if member.form() == Form::Body && self.pauses_at(member, name) {
                return Ok(());
            }
            let place = match familiar.as_deref_mut() {
                Some(familiar) if member.form() == Form::Familiar && self.is_first(member) => {
                    let end = self.unexpected_end(member, name.value, familiar)?;
                    self.scanner.skip_to(name, end)
                }
                _ => self.scanner.skip_value(name)?,
            };
            self.note(member, place);
        }
    }

    /// Notes the members that come as kube-apiserver writes them, in its order and without spaces, and pauses as
    /// [`scan`](Self::scan) does. What comes otherwise has not been read then.
    ///
    /// Where a member's name, in its order, and the first byte of such a value stand, the member is known to be the first of
    /// its name and of the right type. To ask for all that at once takes half the time, where the module is interpreted.
    #[inline(always)]
    fn scan_usual(&mut self, mut familiar: Option<&mut Familiar>) -> Result<(), Unreadable> {
        let src = self.object.0;
        let words_at = |pos: usize| src.get(pos..)?.as_chunks().0.first_chunk();
        let mut start = self.scanner.offset();
        // There is a comma before each member but the first, which has to have been read.
        let (true, Some(mut last), Some(mut words)) = (self.in_order, self.last, words_at(start)) else {
            return Ok(());
        };
        for usual in USUAL.get(last as usize + 1..).unwrap_or_default() {
            if !usual.begins(words) {
                continue;
            }
            let member = usual.member;
            let name = Name { start: start + 1, value: start + usize::from(usual.length) - 1 };
            let end = match (usual.form, familiar.as_deref_mut()) {
                (Form::Text | Form::Level, _) => self.scanner.string_end(name.value)?,
                (Form::Id, _) => self.scanner.end_of_string_of::<36>(name.value)?,
                (Form::Stage, _) => self.scanner.end_of_string_of::<16>(name.value)?,
                (Form::Time, _) => self.scanner.end_of_string_of::<27>(name.value)?,
                (Form::Familiar, Some(familiar)) => self.familiar_end(member, name.value, familiar)?,
                (Form::Familiar, None) => self.scanner.value_end(name.value)?,
                (Form::Reference, _) => self.reference_end(name.value)?,
                (Form::Body, _) => {
                    if self.pauses_at(member, name) {
                        last = member;
                    }
                    break;
                }
            };
            if usual.form == Form::Level {
                self.places.push((Touched::Level, Place { name: name.start, value: name.value, end }));
            }
            self.set_first(member, Raw(src.get(name.value..end).unwrap_or_default()));
            last = member;
            start = end;
            let Some(next) = words_at(start) else { break };
            words = next;
        }
        self.last = Some(last);
        self.scanner.go_to(start);
        Ok(())
    }

    /// Goes past a member that `Event` does not have.
    fn pass_foreign(&mut self, output_key: &[u8], text: Text<'a>, name: Name) -> Result<(), Unreadable> {
        let name_begins = |what| text.raw().starts_with(what);
        self.in_parts |= name_begins(b"user.") || name_begins(b"objectRef.");
        let place = self.scanner.skip_value(name)?;
        if text.is(output_key) {
            self.places.push((Touched::Output, place));
        }
        Ok(())
    }

    /// The end of the first `objectRef`, of which is kept what it says if that can be had at once.
    #[inline(always)]
    fn reference_end(&mut self, start: usize) -> Result<usize, Unreadable> {
        if let Some((reference, end)) = self.scanner.read_value(start, ObjectRef::read_usual) {
            self.object_ref = Some(reference);
            return Ok(end);
        }
        self.scanner.value_end(start)
    }

    /// The end of the first value of a member, which need not be looked at if it is known.
    #[inline(always)]
    fn familiar_end(
        &mut self,
        member: Member,
        start: usize,
        familiar: &mut Familiar,
    ) -> Result<usize, Unreadable> {
        let src = self.object.0;
        let path = self.first.get(Member::RequestUri as usize).map_or(&[][..], |path| path.0);
        let Some((end, known)) = familiar.find(member, src, start, path) else {
            return self.unexpected_end(member, start, familiar);
        };
        self.set_known(member, *known);
        Ok(end)
    }

    /// The same for a value that is not the one expected, which is kept if it is new. Out of line, since that is rare.
    #[inline(never)]
    fn unexpected_end(
        &mut self,
        member: Member,
        start: usize,
        familiar: &mut Familiar,
    ) -> Result<usize, Unreadable> {
        let src = self.object.0;
        let (end, known) = match familiar.find_elsewhere(member, src, start) {
            Some((end, known)) => (end, Some(known)),
            None => {
                let end = self.scanner.value_end(start)?;
                (end, familiar.keep(member, src, start..end))
            }
        };
        if let Some(known) = known {
            self.set_known(member, *known);
        }
        Ok(end)
    }

    /// Takes note of what is known of a member's value.
    #[inline(always)]
    fn set_known(&mut self, member: Member, known: Known) {
        if let Some(slot) = familiar::index(member).and_then(|at| self.known.get_mut(at)) {
            *slot = known;
        }
    }

    /// Whether the event has had no such member so far.
    fn is_first(&self, member: Member) -> bool {
        self.seen >> member as u32 & 1 == 0
    }

    /// What is known of a member's value, if it has come before.
    fn known(&self, member: Member) -> Option<&Known> {
        self.known.get(familiar::index(member)?).filter(|known| known.number != 0)
    }

    /// The number of a member's value, if it has one: another event of the same engine with that number has the same
    /// value.
    pub(crate) fn number(&self, member: Member) -> Option<u64> {
        self.known(member).map(|known| known.number)
    }

    /// Keeps what a member holds that is the first of its name.
    #[inline(always)]
    fn set_first(&mut self, member: Member, value: Raw<'a>) {
        self.seen |= 1 << member as u32;
        if let Some(slot) = self.first.get_mut(member as usize) {
            *slot = value;
        }
    }

    /// Keeps where a member stands, if it may have to be changed, and what it holds, if it is the first.
    fn note(&mut self, member: Member, place: Place) {
        if let Some(touched) = Touched::of(member) {
            self.places.push((touched, place));
        }
        if !self.is_first(member) {
            return;
        }
        self.seen |= 1 << member as u32;
        let value = self.value_at(place);
        let kind = value.kind();
        if kind == Kind::Null {
            self.null |= 1 << member as u32;
            return;
        }
        if member.kind() != Some(kind) && member.is_typed() {
            self.wrong = self.wrong.or(Some(member));
        }
        self.set_first(member, value);
    }

    /// The value that stands there.
    fn value_at(&self, place: Place) -> Raw<'a> {
        Raw(self.object.0.get(place.value..place.end).unwrap_or_default())
    }

    /// Pauses at a body if that is worth it. Returns whether it is.
    #[inline(always)]
    fn pauses_at(&mut self, body: Member, name: Name) -> bool {
        let pauses = self.seen & !self.null & HEAD == HEAD;
        if pauses {
            self.paused = Some((body, name));
        }
        pauses
    }

    /// Whether a byte above 0x7f may stand in what has been read: only then can it be other than UTF-8.
    pub(crate) fn non_ascii(&self) -> bool {
        self.scanner.non_ascii()
    }

    /// Offset of the closing brace, once everything has been read.
    pub(crate) fn close(&self) -> usize {
        self.scanner.close()
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

    fn look_into_small_members(&mut self, is_v1: bool) -> Result<(), Unreadable> {
        self.check_types()?;
        self.user = self.user_in(Member::User).unwrap_or_default();
        // Seldom there, and to ask for it is a call.
        if !self.is_first(Member::ImpersonatedUser) {
            self.impersonated_user = self.user_in(Member::ImpersonatedUser);
        }
        if self.object_ref.is_none() {
            self.object_ref = self.get(Member::ObjectRef).map(ObjectRef::read);
        }
        let is_v1alpha1 = !is_v1
            && self.text(Member::ApiVersion).is_some_and(|version| version.is(b"audit.k8s.io/v1alpha1"));
        if is_v1alpha1 && let Some(reference) = &mut self.object_ref {
            reference.split_group_from_version();
        }
        Ok(())
    }

    /// The user that a member has.
    fn user_in(&self, member: Member) -> Option<User<'a>> {
        let value = self.get(member)?;
        Some(self.known(member).map_or_else(|| User::read(value), |known| known.user(value)))
    }

    fn check_types(&self) -> Result<(), Unreadable> {
        self.wrong.map_or(Ok(()), |member| Err(Unreadable::WrongType(member.name())))
    }

    /// The event's bytes.
    #[must_use]
    pub fn object(&self) -> Raw<'a> {
        self.object
    }

    /// A member's value, unless it is absent or null.
    #[must_use]
    #[inline(always)]
    pub fn get(&self, member: Member) -> Option<Raw<'a>> {
        if let (Member::RequestObject | Member::ResponseObject, Some(unread)) = (member, &self.unread) {
            return self.body_late(member, unread);
        }
        self.first.get(member as usize).copied().filter(|value| !value.0.is_empty())
    }

    /// A body in a part of the event that has been passed over.
    fn body_late(&self, body: Member, unread: &Range<usize>) -> Option<Raw<'a>> {
        let late = self.read_late(unread);
        let range = if body == Member::RequestObject { &late.request } else { &late.response };
        let value = Raw(self.object.0.get(range.clone()?)?);
        (value.kind() != Kind::Null).then_some(value)
    }

    /// The bodies in a part of the event that has been passed over, as far as they are JSON.
    fn read_late(&self, unread: &Range<usize>) -> &Late {
        self.read_late.get_or_init(|| {
            let mut late = Late::default();
            let mut members = TopLevel::within(self.object.0, unread);
            while let Ok(Some((name, place))) = members.next() {
                let body = match Member::of_text(name) {
                    Some(Member::RequestObject) => &mut late.request,
                    Some(Member::ResponseObject) => &mut late.response,
                    _ => continue,
                };
                body.get_or_insert(place.value..place.end);
            }
            late
        })
    }

    /// A member's value as a string.
    #[must_use]
    pub fn text(&self, member: Member) -> Option<Text<'a>> {
        self.get(member)?.text()
    }

    /// Whether [`get`](Self::get) may give the member. Of a body that has been passed over, nobody knows.
    pub(crate) fn may_have(&self, member: Member) -> bool {
        let is_body = matches!(member, Member::RequestObject | Member::ResponseObject);
        self.unread.is_some() && is_body || self.get(member).is_some()
    }

    /// `responseStatus.code`
    #[must_use]
    pub fn response_code(&self) -> Option<i64> {
        self.raw_response_code()?.integer()
    }

    /// `responseStatus.code`, whatever it is.
    pub(crate) fn raw_response_code(&self) -> Option<Raw<'a>> {
        self.code
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

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"a1","stage":"ResponseComplete","requestURI":"/api/v1/pods","verb":"list","user":{"username":"jane","groups":["dev","system:authenticated"]},"sourceIPs":["10.0.0.1"],"objectRef":{"resource":"pods","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":200}"#;
    const TAIL: &str = r#","requestReceivedTimestamp":"2026-03-02T08:00:00.000001Z","stageTimestamp":"2026-03-02T08:00:00.000002Z","annotations":{"authorization.k8s.io/decision":"allow"}}"#;

    /// The bytes of each body that is known, and whether it has been looked at.
    fn bodies(record: &str, wanted: Bodies) -> Vec<(Touched, String)> {
        let mut event = Event::unread(record.as_bytes());
        event.read_head(b"audit", None).unwrap();
        event.read_rest(b"audit", wanted, None).unwrap();
        assert_eq!(event.close(), record.len() - 1);
        assert!(event.annotation(b"authorization.k8s.io/decision").is_some());
        let bodies = event.places.iter().filter(|(touched, _)| *touched != Touched::Level);
        bodies.map(|(touched, place)| (*touched, record[place.value..place.end].to_owned())).collect()
    }

    #[test]
    fn bodies_nobody_wants_are_found_without_reading_them() {
        use Touched::{RequestObject, ResponseObject};
        let (request, response) = (r#"{"a":[1,{"b":"}"}]}"#, r#"{"kind":"PodList","items":[]}"#);
        let both = format!(r#"{HEAD},"requestObject":{request},"responseObject":{response}{TAIL}"#);
        let spanning = format!(r#"{request},"responseObject":{response}"#);
        for (wanted, expected) in [
            (Bodies::Both, vec![(RequestObject, request), (ResponseObject, response)]),
            (Bodies::Request, vec![(RequestObject, request), (ResponseObject, response)]),
            (Bodies::Neither, vec![(RequestObject, spanning.as_str())]),
        ] {
            let expected: Vec<_> =
                expected.into_iter().map(|(touched, body)| (touched, body.to_owned())).collect();
            assert_eq!(bodies(&both, wanted), expected, "{wanted:?}");
        }
    }

    #[test]
    fn a_body_that_was_passed_over_is_read_when_asked_for() {
        let (request, response) = (r#"{"a":1}"#, r#"{"b":[2]}"#);
        let record = format!(r#"{HEAD},"requestObject":{request},"responseObject":{response}{TAIL}"#);
        let mut event = Event::unread(record.as_bytes());
        event.read_head(b"audit", None).unwrap();
        event.read_rest(b"audit", Bodies::Neither, None).unwrap();
        assert_eq!(event.get(Member::RequestObject), Some(Raw(request.as_bytes())));
        assert_eq!(event.get(Member::ResponseObject), Some(Raw(response.as_bytes())));
    }

    #[test]
    fn a_timestamp_inside_a_body_is_not_taken_for_the_events_own() {
        // Somebody sends audit events as bodies: the last such name is the body's, and closes one brace early.
        let inner = format!("{{\"x\":{HEAD}{TAIL}}}");
        let own_first =
            HEAD.replace(r#""level""#, r#""requestReceivedTimestamp":"2026-03-02T08:00:00Z","level""#);
        let record = format!(
            r#"{own_first},"responseObject":{inner},"stageTimestamp":"2026-03-02T08:00:00.000002Z","annotations":{{"authorization.k8s.io/decision":"allow"}}}}"#
        );
        assert_eq!(bodies(&record, Bodies::Neither), [(Touched::ResponseObject, inner.clone())]);
        let record = format!(r#"{HEAD},"responseObject":{inner}{TAIL}"#);
        assert_eq!(bodies(&record, Bodies::Neither), [(Touched::ResponseObject, inner)]);
    }

    #[test]
    fn members_in_another_order_are_all_read() {
        let record = format!(
            r#"{{"annotations":{{"authorization.k8s.io/decision":"allow"}},"requestObject":{{}},"later":{{"x":1}},{}}}"#,
            &HEAD[1..]
        );
        let event = Event::read(record.as_bytes(), b"audit").unwrap();
        assert_eq!(event.get(Member::RequestObject), Some(Raw(b"{}")));
        assert_eq!(bodies(&record, Bodies::Neither), [(Touched::RequestObject, "{}".to_owned())]);
    }

    #[test]
    fn members_are_the_same_with_and_without_spaces() {
        let value = |member: Member| match member.kind() {
            Some(Kind::String) => r#""a""#,
            Some(Kind::Array) => r#"["a"]"#,
            _ => r#"{"resource":"a"}"#,
        };
        for odd in Member::ALL.iter().skip(2) {
            for (value_of_odd, space) in [(value(*odd), " "), (value(*odd), ""), ("null", "")] {
                let mut record = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1""#.to_owned();
                for member in Member::ALL.iter().skip(2) {
                    let (value, space) =
                        if member == odd { (value_of_odd, space) } else { (value(*member), "") };
                    record += &format!(r#","{}":{space}{value}"#, member.name());
                }
                record += "}";
                let event = Event::read(record.as_bytes(), b"audit").unwrap();
                assert_eq!(event.places.len(), 3, "{record}");
                for member in Member::ALL.iter().skip(2) {
                    let value = if member == odd { value_of_odd } else { value(*member) };
                    let expected = (value != "null").then_some(Raw(value.as_bytes()));
                    assert_eq!(event.get(*member), expected, "{record}");
                }
            }
        }
    }

    #[test]
    fn strings_of_usual_lengths_are_strings_like_others() {
        let values = [
            (Member::AuditId, "cb2f1a2e-2ba4-4d7c-a9ed-6f0a7b4a3a55"),
            (Member::Stage, "ResponseComplete"),
            (Member::StageTimestamp, "2026-03-02T08:00:00.000002Z"),
        ];
        for (member, usual) in values {
            // Characters as they stand in JSON, and what the event then has.
            for (odd, is_json) in
                [("x", true), ("\\\"", true), ("\\\\", true), ("é", true), ("\n", false), ("\"", false)]
            {
                for at in 0..=usual.len() - odd.len() {
                    let value = format!("\"{}{odd}{}\"", &usual[..at], &usual[at + odd.len()..]);
                    let record = format!(
                        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","{}":{value},"annotations":{{}}}}"#,
                        member.name()
                    );
                    let event = Event::read(record.as_bytes(), b"audit");
                    let found = event.as_ref().map(|event| (event.get(member).unwrap().0, event.non_ascii()));
                    let expected = (value.as_bytes(), odd == "é");
                    assert_eq!(found.ok(), is_json.then_some(expected), "{record}");
                }
            }
        }
    }

    #[test]
    fn a_reference_without_its_brace_is_not_json() {
        let record = HEAD.replace(r#""objectRef":{"#, r#""objectRef":["#) + "}";
        assert!(matches!(Event::read(record.as_bytes(), b"audit"), Err(Unreadable::NotJson(_))));
    }

    #[test]
    fn a_torn_record_is_found_out() {
        let whole = format!(r#"{HEAD},"responseObject":{{"a":"b"}}{TAIL}"#);
        for end in HEAD.len()..whole.len() {
            let torn = &whole.as_bytes()[..end];
            let mut event = Event::unread(torn);
            let read = event
                .read_head(b"audit", None)
                .and_then(|()| event.read_rest(b"audit", Bodies::Neither, None));
            assert!(matches!(read, Err(Unreadable::NotJson(_))), "cut at {end}");
        }
    }

    #[test]
    fn what_is_no_audit_event_says_so() {
        for (record, why) in [
            ("", "not JSON: expected a value at byte 0"),
            ("{", "not JSON: expected a member name at byte 1"),
            ("hello", "not JSON: expected a value at byte 0"),
            ("[1,2]", "not a JSON object"),
            ("{} x", "not JSON: expected the end of the record at byte 3"),
            ("{}", "not an audit event: neither apiVersion audit.k8s.io/… nor auditID and stage"),
            (
                r#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[]}"#,
                "not an audit event: neither apiVersion audit.k8s.io/… nor auditID and stage",
            ),
            (
                r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","user":"jane"}"#,
                "user has another type than in audit.k8s.io",
            ),
        ] {
            let error = Event::read(record.as_bytes(), b"audit").map(|_| ()).unwrap_err();
            assert_eq!(error.to_string(), why, "{record}");
        }
    }

    #[test]
    fn v1alpha1_has_its_group_in_the_version() {
        let record = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1alpha1","stage":"ResponseComplete","auditID":"x","objectRef":{"resource":"deployments","apiVersion":"apps/v1"}}"#;
        let reference = Event::read(record.as_bytes(), b"audit").unwrap().object_ref.unwrap();
        assert!(reference.api_group.is(b"apps") && reference.api_version.is(b"v1"));
    }

    #[test]
    fn names_with_escapes_are_the_same_names() {
        let record = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","\u0072equestObject":{"secret":1},"auditID":"x"}"#;
        let event = Event::read(record.as_bytes(), b"audit").unwrap();
        assert_eq!(event.places.first().map(|(touched, _)| *touched), Some(Touched::RequestObject));
    }
}
