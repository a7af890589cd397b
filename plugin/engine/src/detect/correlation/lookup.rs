//! The values of one field of an event: what events are grouped by and what is counted of them.
//!
//! Names mean what they mean in rules (see [`fields`](super::super::fields)). Rules compare all of their fields in
//! one walk through the event; a correlation asks for one or two fields of the few events that it counts, so it looks
//! for each by itself.

use super::super::fields::{self, AuditField, AuditFields, AuditValue, Found, Value, View};
use crate::json::{self, Kind, Raw, skip_string, skip_value, skip_whitespace};
use crate::record::{Event, Member};

/// How many values of a field are looked at. Whoever can create an object can give a list a hundred thousand elements.
const MAX_VALUES: usize = 256;

/// How many parts of an event are looked into on the way to the values, for the same reason.
const MAX_PARTS: usize = 4096;

/// How many arrays may stand directly or indirectly within each other on a path. Each is passed over once more than
/// the one around it, which somebody might nest by the thousand.
const MAX_ARRAYS: usize = 8;

/// Where a field's values are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lookup {
    Audit(AuditField),
    View(View),
    /// Below a member of `Event`, or of the record if it is none.
    Path(Option<Member>, Box<[u8]>),
    /// The record's own member of that name, else any of that name in the reference and the bodies.
    Bare(Box<[u8]>),
}

/// Gives values on until there are too many.
struct Taker<'t> {
    each: &'t mut dyn FnMut(&[u8]),
    left: usize,
}

impl Taker<'_> {
    fn take(&mut self, raw: Raw<'_>) {
        Value::with(raw, |value| {
            if matches!(value.kind, Kind::String | Kind::Number | Kind::Bool) && self.left > 0 {
                self.left -= 1;
                (self.each)(value.text);
            }
        });
    }
}

impl Lookup {
    /// How to find the values of the field of that name.
    ///
    /// # Errors
    /// Why there is no such field.
    pub(super) fn of_name(name: &str) -> Result<Self, String> {
        if let Some(field) = name.strip_prefix("audit.") {
            return fields::audit_field(field, true).map(Self::Audit);
        }
        fields::check_path(name)?;
        if let Some(view) = View::of_path(name) {
            return Ok(Self::View(view));
        }
        let (first, rest) = name.split_once('.').unwrap_or((name, ""));
        Ok(match Member::named(first) {
            Some(member) => Self::Path(Some(member), rest.as_bytes().into()),
            None if rest.is_empty() => Self::Bare(name.as_bytes().into()),
            None => Self::Path(None, name.as_bytes().into()),
        })
    }

    /// Gives each string, number and boolean that the field has to `each`, in the event's order. Returns whether that
    /// was all of them.
    pub(super) fn values(
        &self,
        event: &Event<'_>,
        audit: &dyn AuditFields,
        each: &mut dyn FnMut(&[u8]),
    ) -> bool {
        let mut taker = Taker { each, left: MAX_VALUES };
        match self {
            Self::Audit(field) => {
                audit.values(*field, &mut |value| match value {
                    AuditValue::Text(text) => (taker.each)(text),
                    AuditValue::Integer(number) => (taker.each)(number.to_string().as_bytes()),
                    AuditValue::Bool(value) => (taker.each)(if value { b"true" } else { b"false" }),
                });
                true
            }
            Self::View(view) => {
                match view.value(event) {
                    Some(Found::Text(text)) => (taker.each)(&text.decode()),
                    Some(Found::Raw(raw)) => taker.take(raw),
                    None => {}
                }
                true
            }
            Self::Path(None, path) => follow(event.object(), path, &mut taker),
            Self::Path(Some(member), path) => {
                event.get(*member).is_none_or(|value| follow(value, path, &mut taker))
            }
            Self::Bare(name) => {
                let own: Vec<_> =
                    json::members(event.object()).filter(|(of, _)| of.is(name)).map(|(_, raw)| raw).collect();
                if !own.is_empty() {
                    return own.into_iter().all(|raw| follow(raw, b"", &mut taker));
                }
                [Member::ObjectRef, Member::RequestObject, Member::ResponseObject]
                    .into_iter()
                    .filter_map(|member| event.get(member))
                    .all(|raw| search(raw, name, &mut taker))
            }
        }
    }
}

/// Takes what a path leads to from `start`. Returns whether it got to the end.
fn follow(start: Raw<'_>, path: &[u8], taker: &mut Taker<'_>) -> bool {
    let mut parts = vec![(start, path, 0)];
    let mut looked_into = 0;
    while let Some((raw, path, arrays)) = parts.pop() {
        looked_into += 1;
        if looked_into > MAX_PARTS || arrays > MAX_ARRAYS || taker.left == 0 {
            return false;
        }
        let before = parts.len();
        if raw.kind() == Kind::Array {
            parts.extend(json::elements(raw).take(MAX_PARTS).map(|element| (element, path, arrays + 1)));
        } else if path.is_empty() {
            taker.take(raw);
        } else {
            for (name, value) in json::members(raw) {
                // A dot in a name is no different from a step.
                match path.strip_prefix(&*name.decode()) {
                    Some([]) => parts.push((value, &[], arrays)),
                    Some([b'.', rest @ ..]) => parts.push((value, rest, arrays)),
                    _ => {}
                }
            }
        }
        // The last is taken first.
        parts.get_mut(before..).unwrap_or_default().reverse();
    }
    true
}

/// Takes every member of that name within a value, at any depth. Returns whether it got to the end.
fn search(within: Raw<'_>, name: &[u8], taker: &mut Taker<'_>) -> bool {
    let src = within.0;
    let mut pos = 0;
    let mut left = MAX_VALUES;
    while let Some(&byte) = src.get(pos) {
        pos += 1;
        if byte != b'"' {
            continue;
        }
        let start = pos;
        let Ok(end) = skip_string(src, start, &mut 0) else { return true };
        pos = skip_whitespace(src, end);
        let key = json::Text::new(src.get(start..end - 1).unwrap_or_default());
        if src.get(pos) == Some(&b':') && key.is(name) {
            let value = skip_whitespace(src, pos + 1);
            let Ok(end) = skip_value(src, value, &mut 0) else { return true };
            left -= 1;
            if left == 0 || !follow(Raw(src.get(value..end).unwrap_or_default()), b"", taker) {
                return false;
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","verb":"get","cluster":"c1","user":{"username":"jane","groups":["a","b"]},"objectRef":{"resource":"pods","name":"x"},"responseStatus":{"code":200},"requestObject":{"spec":{"containers":[{"image":"i1","ports":[1,2]},{"image":"i2"}],"hostPath":{"path":"/"}}},"annotations":{"a.b/c":"yes","d":{"e":null}},"labels":{"team":"shop"}}"#;

    #[test]
    fn fields_lead_to_their_values() {
        let event = Event::read(EVENT.as_bytes(), b"audit").unwrap();
        for (field, expected) in [
            ("verb", &["get"][..]),
            ("responseStatus.code", &["200"]),
            ("user.username", &["jane"]),
            ("user.groups", &["a", "b"]),
            ("objectRef.name", &["x"]),
            ("objectRef.namespace", &[]),
            ("annotations.a.b/c", &["yes"]),
            ("annotations.d.e", &[]),
            ("annotations.d", &[]),
            ("requestObject.spec.containers.image", &["i1", "i2"]),
            ("requestObject.spec.containers.ports", &["1", "2"]),
            ("responseObject.metadata.name", &[]),
            ("cluster", &["c1"]),
            ("labels.team", &["shop"]),
            ("image", &["i1", "i2"]),
            ("path", &["/"]),
            ("resource", &["pods"]),
            ("nothing", &[]),
        ] {
            let mut found = Vec::new();
            let whole = Lookup::of_name(field).unwrap().values(&event, &(), &mut |value| {
                found.push(String::from_utf8_lossy(value).into_owned());
            });
            assert_eq!(found, expected, "{field}");
            assert!(whole, "{field}");
        }
    }

    #[test]
    fn what_is_no_field_says_so() {
        for (field, part) in [
            ("audit.colour", "no field audit.colour"),
            ("audit.severity", "follows from the rules"),
            ("a[0]", "brackets"),
            ("a..b", "empty step"),
            ("", "empty step"),
        ] {
            let error = Lookup::of_name(field).unwrap_err();
            assert!(error.contains(part), "{field}: {error}");
        }
    }

    #[test]
    fn hostile_bodies_are_looked_at_within_limits() {
        let nested =
            |open: &str, close: &str, times: usize| format!("{}1{}", open.repeat(times), close.repeat(times));
        for (field, body, whole) in [
            ("requestObject.a", format!(r#"{{"a":[{}0]}}"#, "1,".repeat(100_000)), false),
            ("requestObject.a", format!(r#"{{"a":{}}}"#, nested("[", "]", 100_000)), false),
            ("x", nested(r#"{"x":"#, "}", 50_000), false),
            ("x", format!(r#"{{"x":[{}0]}}"#, "1,".repeat(100_000)), false),
        ] {
            let event =
                format!(r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","requestObject":{body}}}"#);
            let event = Event::read(event.as_bytes(), b"audit").unwrap();
            let mut count = 0;
            let found_all = Lookup::of_name(field).unwrap().values(&event, &(), &mut |_| count += 1);
            assert_eq!((found_all, count <= MAX_VALUES), (whole, true), "{field} in {body:.40}");
        }
    }
}
