//! Audit events as Alibaba Cloud's Simple Log Service exports them: a log there is a flat list of names and strings.
//! Objects of the event have become names with dots, or JSON in a string, and numbers have become strings.
//!
//! ```text
//! "user.username": "alice", "objectRef.resource": "pods", "sourceIPs": "[\"203.0.113.7\"]",
//! "responseStatus.code": "200", "requestObject": "{\"kind\":\"Pod\"}"
//! ```
//!
//! Each name of `Event` is taken whole, or gathered from the names that begin with it and a dot. What stands in
//! both forms is there twice, so that what the policy removes goes twice.

use super::shape::{Draft, Found, Nature, json_in, raw};
use super::{Member, Place, TopLevel};
use crate::json::{Kind, Raw, Text};
use crate::sort::sort;
use std::borrow::Cow;

/// The event that an export holds, if it holds one.
pub(super) fn event(record: &[u8]) -> Option<Found<'_>> {
    let mut members = TopLevel::new(record).ok()?;
    let mut fields = Vec::new();
    while let Ok(Some((name, place))) = members.next() {
        let (name, value) = (name.decode(), raw(record, place)?);
        let (member, rest) = match name.iter().position(|&byte| byte == b'.') {
            Some(dot) => name.split_at(dot),
            None => (&*name, &b""[..]),
        };
        if let Some(member) = Member::of_bytes(member) {
            let rest = rest.len();
            fields.push(Field { member, name, rest, value, place });
        }
    }
    let has = |member| fields.iter().any(|field| field.member == member);
    if !has(Member::AuditId) || !has(Member::Stage) {
        return None;
    }
    // The order of the audit API, each name whole before its parts.
    let key = |(index, field): (usize, &Field<'_>)| (field.member, field.rest != 0, index);
    let mut order: Vec<_> = fields.iter().enumerate().map(key).collect();
    sort(&mut order);

    let mut draft = Draft::new();
    for group in order.chunk_by(|one, next| (one.0, one.1) == (next.0, next.1)) {
        let Some(&(member, in_parts, _)) = group.first() else { continue };
        if in_parts {
            draft.open(member);
        }
        for field in group.iter().filter_map(|&(_, _, index)| fields.get(index)) {
            if in_parts { field.write_part(&mut draft) } else { field.write_whole(&mut draft) }
        }
        if in_parts {
            draft.close();
        }
    }
    Some(draft.finish(Nature::Mapped))
}

/// A name of the record that is one of the event's, or a part of one.
struct Field<'a> {
    member: Member,
    name: Cow<'a, [u8]>,
    /// How many bytes of the name follow that of the member, the dot included.
    rest: usize,
    value: Raw<'a>,
    place: Place,
}

impl Field<'_> {
    /// Writes a member that is one in the record.
    fn write_whole(&self, draft: &mut Draft) {
        let name = self.member.name().as_bytes();
        let text = self.value.text();
        let opened = text.and_then(json_in);
        match (self.member.kind(), opened) {
            (Some(Kind::String), _) => draft.piece(name, self.value.0, self.place, false),
            (_, Some(json)) => draft.piece(name, &json, self.place, true),
            // What the API server leaves out, an export may have as nothing, or as the word for it.
            (Some(_), None) if text.is_some_and(says_nothing) => {}
            (Some(Kind::Array), None) if text.is_some() => {
                draft.raw(name, &[b"[", self.value.0, b"]"].concat())
            }
            _ => draft.piece(name, self.value.0, self.place, false),
        }
    }

    /// Writes a part of a member, within that.
    fn write_part(&self, draft: &mut Draft) {
        let dot = self.name.len() - self.rest;
        let name = self.name.get(dot + 1..).unwrap_or_default();
        let text = self.value.text();
        if let Some(json) = text.and_then(json_in) {
            return draft.piece(name, &json, self.place, true);
        }
        let is_code = self.member == Member::ResponseStatus && name == b"code";
        let is_body = matches!(self.member, Member::RequestObject | Member::ResponseObject);
        let literal = text.map(Text::raw).filter(|said| match *said {
            b"true" | b"false" => is_body,
            digits => is_code && matches!(digits.len(), 1..=3) && is_number(digits),
        });
        draft.piece(name, literal.unwrap_or(self.value.0), self.place, literal.is_some());
    }
}

fn says_nothing(text: Text<'_>) -> bool {
    matches!(text.raw(), b"" | b"null" | b"-")
}

/// Whether these are digits as JSON writes a number.
fn is_number(digits: &[u8]) -> bool {
    digits.iter().all(u8::is_ascii_digit) && (digits.len() == 1 || digits.first() != Some(&b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_is_the_event_that_it_was() {
        for (export, expected) in [
            (
                r#"{"auditID":"a1","stage":"ResponseComplete","verb":"get"}"#,
                r#"{"auditID":"a1","stage":"ResponseComplete","verb":"get"}"#,
            ),
            (
                r#"{"__time__":"1","verb":"list","stage":"Panic","auditID":"a","user.username":"alice","user.groups":"[\"dev\"]","sourceIPs":"[\"203.0.113.7\",\"10.0.0.1\"]"}"#,
                r#"{"auditID":"a","stage":"Panic","verb":"list","user":{"username":"alice","groups":["dev"]},"sourceIPs":["203.0.113.7","10.0.0.1"]}"#,
            ),
            (
                r#"{"auditID":"a","stage":"Panic","user":"{\"username\":\"a\\\"b\"}","sourceIPs":"203.0.113.7","impersonatedUser":"","objectRef":"null"}"#,
                r#"{"auditID":"a","stage":"Panic","user":{"username":"a\"b"},"sourceIPs":["203.0.113.7"]}"#,
            ),
            (
                r#"{"auditID":"a","stage":"Panic","responseStatus.code":"403","responseStatus.reason":"Forbidden","requestObject.spec.hostNetwork":"true","requestObject.spec.containers":"[{\"name\":\"c\"}]","annotations.authorization.k8s.io/decision":"forbid"}"#,
                r#"{"auditID":"a","stage":"Panic","responseStatus":{"code":403,"reason":"Forbidden"},"requestObject":{"spec.hostNetwork":true,"spec.containers":[{"name":"c"}]},"annotations":{"authorization.k8s.io/decision":"forbid"}}"#,
            ),
            (
                r#"{"auditID":"a","stage":"Panic","responseStatus.code":"007","requestObject":"skipped"}"#,
                r#"{"auditID":"a","stage":"Panic","responseStatus":{"code":"007"},"requestObject":"skipped"}"#,
            ),
        ] {
            let found = event(export.as_bytes()).unwrap();
            assert_eq!(String::from_utf8_lossy(&found.text), expected, "{export}");
        }
        assert!(event(br#"{"user.username":"alice","stage":"Panic"}"#).is_none());
    }
}
