//! Values of members that come again, byte for byte: where such a value ends and what stands in it is known without
//! reading it once more.
//!
//! In an audit log that is who asks, from where, with which program, and why that was allowed: half of what there is to
//! read of most events. A value is known by its bytes, all of which are compared: what starts as a known object or
//! string does ends with it, since no JSON is the beginning of other JSON of these kinds. Each value has a number that no
//! other ever has, by which later stages know what they have found out about it.
//!
//! Where to look for a value is told by what it came with the last time or the one before that, and only then by a hash of
//! its bytes: the same path is mostly asked for by the same user, and a user comes from the same address with the same
//! program, and may do what one of two bindings allows.

use super::{Member, User};
use crate::json::{Raw, Text, equal, hash_of_words, position};
use crate::recent::WAYS;
use std::ops::Range;

/// How many members these are.
pub(super) const COUNT: usize = 6;

const USER: usize = 0;

/// The place of a member among those that are remembered.
#[inline]
pub(super) const fn index(member: Member) -> Option<usize> {
    Some(match member {
        Member::User => USER,
        Member::ImpersonatedUser => 1,
        Member::SourceIps => 2,
        Member::UserAgent => 3,
        Member::ResponseStatus => 4,
        Member::Annotations => 5,
        _ => return None,
    })
}

/// How many values of a member are remembered. A power of two.
const VALUES: usize = 512;

/// How long a value may be that is remembered.
const LONGEST: usize = 4 << 10;

/// How long the status of a success is at most.
const SHORT_STATUS: usize = 32;

/// How many bytes all values together may have before all are forgotten.
const MOST_BYTES: usize = 512 << 10;

/// How many parts of a value are known.
const PARTS: usize = 4;

/// How many beginnings of paths are told apart to guess who asks. A power of two.
const PATHS: usize = 1024;

/// How much of a path is looked at for that, in bytes.
const BEGINNING: usize = 64;

/// The place where a value was last, and the one before that.
type Guesses = [u16; 2];

/// The values that are known.
#[derive(Debug, Default)]
pub(crate) struct Familiar {
    members: [Vec<Value>; COUNT],
    /// For each beginning of a path where those users stand who asked last.
    users: Vec<Guesses>,
    /// For each user where those values of other members stand that came with it last.
    company: Vec<[Guesses; COUNT]>,
    /// Where among `users` those stand who ask for what the last event asks for.
    path: usize,
    /// Where the last user stands, unless that one is not remembered.
    user: u16,
    bytes: usize,
    /// How many values there have been.
    count: u64,
}

#[derive(Debug, Default)]
struct Value {
    bytes: Box<[u8]>,
    known: Known,
}

/// What is known of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Known {
    /// The value's number; 0 if it has none.
    pub(crate) number: u64,
    parts: Parts,
}

/// Where parts of a value stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Parts {
    /// Start and end, the same where there is no such part.
    places: [(u16, u16); PARTS],
    flags: [bool; 2],
}

impl Familiar {
    /// Where the member's value ends that starts at `start`, and what is known of it, if it came in the usual company.
    /// `path` is what the event asks for.
    #[inline(always)]
    pub(super) fn find(
        &mut self,
        member: Member,
        src: &[u8],
        start: usize,
        path: &[u8],
    ) -> Option<(usize, &Known)> {
        let at = index(member)?;
        if at == USER {
            let beginning = path.get(..BEGINNING).unwrap_or(path);
            self.path = hash_of_words(beginning) as usize & (PATHS - 1);
        }
        let [last, _] = self.guesses(at).copied().unwrap_or_default();
        if at == USER {
            self.user = last;
        }
        let value = self.value(at, last.into())?;
        equal(value.counterpart(src, start)?, &value.bytes).then(|| value.ending(start))
    }

    /// The same if it is known at all.
    pub(super) fn find_elsewhere(
        &mut self,
        member: Member,
        src: &[u8],
        start: usize,
    ) -> Option<(usize, &Known)> {
        let at = index(member)?;
        let [_, last_but_one] = self.guesses(at).copied().unwrap_or_default();
        let is_at = |place: &usize| {
            let value = self.value(at, *place);
            value.is_some_and(|value| value.counterpart(src, start) == Some(&value.bytes))
        };
        let guess = Some(usize::from(last_but_one)).filter(is_at);
        let place = guess.or_else(|| places(member, src, start).find(is_at))?;
        self.came(at, place);
        self.value(at, place).map(|value| value.ending(start))
    }

    /// The value at `place` of the member at `at`.
    #[inline(always)]
    fn value(&self, at: usize, place: usize) -> Option<&Value> {
        self.members.get(at)?.get(place)
    }

    /// Remembers the member's value that stands there.
    pub(super) fn keep(&mut self, member: Member, src: &[u8], value: Range<usize>) -> Option<&Known> {
        let start = value.start;
        let bytes = src.get(value)?;
        // The status of a failure names the object.
        let longest = if member == Member::ResponseStatus { SHORT_STATUS } else { LONGEST };
        let worth_it =
            bytes.len() <= longest && matches!(bytes.first(), Some(b'{' | b'[' | b'"')) && bytes.is_ascii();
        if !worth_it {
            return None;
        }
        if self.bytes + bytes.len() > MOST_BYTES {
            self.members = Default::default();
            self.bytes = 0;
        }
        self.bytes += bytes.len();
        self.count += 1;
        let parts = match member {
            Member::User | Member::ImpersonatedUser => Parts::of_user(Raw(bytes)),
            Member::ResponseStatus => Parts::of_status(Raw(bytes)),
            _ => Parts::default(),
        };
        let known = Known { number: self.count, parts };
        let at = index(member)?;
        let table = self.members.get_mut(at)?;
        table.resize_with(VALUES, Value::default);
        let places = places(member, src, start);
        let first = places.start;
        let values = table.get_mut(places)?;
        values.rotate_right(1);
        let value = values.first_mut()?;
        self.bytes -= value.bytes.len();
        *value = Value { bytes: bytes.into(), known };
        self.came(at, first);
        self.value(at, first).map(|value| &value.known)
    }

    /// Where the value of the member at `at` may stand, if it came in the usual company.
    #[inline(always)]
    fn guesses(&mut self, at: usize) -> Option<&mut Guesses> {
        if at == USER {
            self.users.get_mut(self.path)
        } else {
            self.company.get_mut(usize::from(self.user))?.get_mut(at)
        }
    }

    /// Takes note of where it stands.
    #[inline(never)]
    fn came(&mut self, at: usize, place: usize) {
        let place = u16::try_from(place).unwrap_or_default();
        if at == USER {
            self.user = place;
            self.users.resize(PATHS, Guesses::default());
            self.company.resize(VALUES, Default::default());
        }
        if let Some(guesses) = self.guesses(at) {
            *guesses = [place, guesses[0]];
        }
    }
}

impl Value {
    /// What is to be compared with it where a value starts; nothing if it is none.
    #[inline(always)]
    fn counterpart<'a>(&self, src: &'a [u8], start: usize) -> Option<&'a [u8]> {
        src.get(start..start + self.bytes.len()).filter(|_| self.known.number != 0)
    }

    /// Where it ends that starts at `start`, and what is known of it.
    #[inline(always)]
    fn ending(&self, start: usize) -> (usize, &Known) {
        (start + self.bytes.len(), &self.known)
    }
}

/// Where among the values of a member the one may be that starts at `start`.
#[inline(never)]
fn places(member: Member, src: &[u8], start: usize) -> Range<usize> {
    let first = hash_of_telling(member, src, start) as usize & (VALUES - 1) & !(WAYS - 1);
    first..first + WAYS
}

/// A hash of those bytes of the value that starts at `start` by which most can be told apart, where kube-apiserver wrote
/// it; else of any, which are as good as long as they are the same each time.
fn hash_of_telling(member: Member, src: &[u8], start: usize) -> u64 {
    let rest = src.get(start..).unwrap_or_default();
    let first = |length| rest.get(..length).unwrap_or(rest);
    let last_before = |end: usize| rest.get(end.saturating_sub(96)..end).unwrap_or_default();
    let up_to = |byte| position(first(LONGEST).get(1..).unwrap_or_default(), byte).map_or(96, |at| at + 1);
    match member {
        // Names come first, and last what each pod of a service account has of its own.
        Member::User | Member::ImpersonatedUser => {
            hash_of_words(first(64)) ^ hash_of_words(last_before(up_to(b'}')))
        }
        Member::UserAgent => hash_of_words(last_before(up_to(b'"'))),
        // They come last, and begin alike.
        Member::Annotations => hash_of_words(last_before(rest.len())),
        Member::SourceIps => hash_of_words(first(16)),
        _ => hash_of_words(first(SHORT_STATUS)),
    }
}

impl Known {
    /// The user that the value is.
    pub(super) fn user<'a>(&self, value: Raw<'a>) -> User<'a> {
        let part = |at: usize| {
            let &(start, end) = self.parts.places.get(at)?;
            value.0.get(usize::from(start)..usize::from(end)).filter(|part| !part.is_empty())
        };
        let [has_more, is_odd] = self.parts.flags;
        User {
            username: part(0).map(Text::new).unwrap_or_default(),
            uid: part(1).map(Text::new).unwrap_or_default(),
            groups: part(2).map(Raw),
            extra: part(3).map(Raw),
            has_more,
            is_odd,
        }
    }

    /// `code` in the status that the value is.
    pub(super) fn code<'a>(&self, value: Raw<'a>) -> Option<Raw<'a>> {
        let &(start, end) = self.parts.places.first()?;
        value.0.get(usize::from(start)..usize::from(end)).filter(|part| !part.is_empty()).map(Raw)
    }
}

impl Parts {
    fn of_user(value: Raw<'_>) -> Self {
        let user = User::read(value);
        let place = |part: &[u8]| value.place_of(part).unwrap_or_default();
        let raw = |part: Option<Raw<'_>>| place(part.map(|part| part.0).unwrap_or_default());
        let places = [place(user.username.raw()), place(user.uid.raw()), raw(user.groups), raw(user.extra)];
        Self { places, flags: [user.has_more, user.is_odd] }
    }

    fn of_status(value: Raw<'_>) -> Self {
        let mut parts = Self::default();
        if let (Some(first), Some(code)) = (parts.places.first_mut(), value.get(b"code")) {
            *first = value.place_of(code.0).unwrap_or_default();
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Event;
    use proptest::prelude::*;

    /// A user as components write it and as somebody might.
    fn user() -> impl Strategy<Value = String> {
        let username = prop::sample::select(vec![
            r#""username":"jane","#,
            r#""username":"system:node:n1","#,
            r#""username":"","#,
            r#""username":7,"#,
            r#""username":"caf\u00e9","#,
            r#""username":"é","#,
            "",
        ]);
        let uid = prop::sample::select(vec![r#""uid":"u1","#, r#""uid":"u2","#, r#""uid":null,"#, ""]);
        let extra = prop::sample::select(vec![r#","extra":{"a":["b"]}"#, r#","other":1"#, ""]);
        (username, uid, extra)
            .prop_map(|(username, uid, extra)| format!(r#"{{{username}{uid}"groups":["g","h"]{extra}}}"#))
    }

    fn record() -> impl Strategy<Value = String> {
        let ips = prop::sample::select(vec![r#"["10.0.0.1"]"#, r#"["10.0.0.1","10.0.0.2"]"#, "[]", "null"]);
        let status = prop::sample::select(vec![
            r#"{"metadata":{},"code":200}"#,
            r#"{"metadata":{},"code":201}"#,
            r#"{"metadata":{}}"#,
            r#"{"code":null}"#,
            "null",
        ]);
        let agent = prop::sample::select(vec!["kubectl/v1.31.0", "kubectl/v1.31.0 (linux/amd64)", "é", ""]);
        (user(), prop::option::of(user()), ips, agent, status).prop_map(|(user, impersonated, ips, agent, status)| {
            let impersonated =
                impersonated.map(|user| format!(r#""impersonatedUser":{user},"#)).unwrap_or_default();
            format!(
                r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","user":{user},{impersonated}"sourceIPs":{ips},"userAgent":"{agent}","responseStatus":{status},"annotations":{{"a":"{agent}"}}}}"#
            )
        })
    }

    fn what_is_read(event: &Event<'_>) -> String {
        let members: Vec<_> = Member::ALL.iter().map(|&member| event.get(member)).collect();
        format!("{:?} {:?} {:?} {members:?}", event.user, event.impersonated_user, event.raw_response_code())
    }

    proptest! {
        #[test]
        fn what_is_known_reads_like_what_is_read(records in prop::collection::vec(record(), 1..12)) {
            let mut familiar = Familiar::default();
            for record in &records {
                let read = Event::read(record.as_bytes(), b"audit").unwrap();
                for _ in 0..2 {
                    let mut known = Event::unread(record.as_bytes());
                    known.read_head(b"audit", Some(&mut familiar)).unwrap();
                    known.read_rest(b"audit", super::super::Bodies::Both, Some(&mut familiar)).unwrap();
                    prop_assert_eq!(what_is_read(&known), what_is_read(&read));
                }
            }
        }
    }

    #[test]
    fn what_starts_like_a_known_value_and_goes_on_is_another() {
        let mut familiar = Familiar::default();
        let kept = br#"{"username":"jane"}"#;
        let known = *familiar.keep(Member::User, kept, 0..kept.len()).unwrap();
        assert_eq!(familiar.find(Member::User, kept, 0, b""), Some((kept.len(), &known)));
        assert_eq!(familiar.find(Member::User, kept, 0, b"/api"), None);
        assert_eq!(familiar.find_elsewhere(Member::User, kept, 0), Some((kept.len(), &known)));
        assert_eq!(familiar.find(Member::User, kept, 0, b"/api"), Some((kept.len(), &known)));
        for other in
            [&br#"{"username":"jane","groups":[]}"#[..], br#"{"username":"janet"}"#, br#"{"username":"jane""#]
        {
            assert_eq!(familiar.find(Member::User, other, 0, b""), None);
            assert_eq!(familiar.find_elsewhere(Member::User, other, 0), None);
        }
        assert_eq!(familiar.find_elsewhere(Member::Annotations, kept, 0), None);
    }

    #[test]
    fn values_that_never_come_again_do_not_fill_the_memory() {
        let mut familiar = Familiar::default();
        for number in 0..10_000 {
            let value = format!(r#"{{"username":"{number}","groups":["{}"]}}"#, "g".repeat(2000));
            assert!(familiar.keep(Member::User, value.as_bytes(), 0..value.len()).is_some());
            let kept: usize = familiar.members.iter().flatten().map(|value| value.bytes.len()).sum();
            assert_eq!(kept, familiar.bytes);
            assert!(kept <= MOST_BYTES);
        }
        let long = format!(r#"{{"username":"{}"}}"#, "x".repeat(LONGEST));
        assert_eq!(familiar.keep(Member::User, long.as_bytes(), 0..long.len()), None);
    }
}
