//! Which bytes of an event go once its level is known: bodies, and `managedFields` in the bodies that stay.

use super::model::Level;
use crate::json::{self, Kind, Raw, Text};
use crate::record::{Event, Member, Place, TopLevel, Touched};
use std::ops::Range;

/// Appends the ranges of the event's bytes that go at `level`, each with the one comma that has to go with
/// it: what is left is JSON again, the same to the byte. The ranges are sorted and do not overlap.
///
/// At Metadata (or None) both bodies go, at Request the response's. With `omit_managed_fields`,
/// `managedFields` goes from the bodies that stay, where kube-apiserver takes it from
/// (`copyWithoutManagedFields` in k8s.io/apiserver/pkg/audit): an object's `metadata`, the `metadata` of each
/// of its `items`, and of each row's `object` in a Table. A patch is logged as it was sent, so the request
/// of a patch keeps whatever it has.
///
/// Of a body or a `managedFields` that stands twice, both go.
pub fn cuts(event: &Event<'_>, level: Level, omit_managed_fields: bool, out: &mut Vec<Range<usize>>) {
    let src = event.object().0;
    for &(touched, place) in &event.places {
        let (lowest, is_patch) = match touched {
            Touched::RequestObject => {
                (Level::Request, event.text(Member::Verb).is_some_and(|verb| verb.is(b"patch")))
            }
            Touched::ResponseObject => (Level::RequestResponse, false),
            Touched::Level | Touched::Output => continue,
        };
        if level < lowest {
            cut_member(src, place, out);
        } else if omit_managed_fields && !is_patch {
            cut_managed_fields(src, place.value..place.end, out);
        }
    }
}

/// Cuts a member of an object with the comma after it, or, where none follows, with the one before it.
/// Members of one object have to be cut in their order.
pub(crate) fn cut_member(src: &[u8], place: Place, out: &mut Vec<Range<usize>>) {
    let after = json::skip_whitespace(src, place.end);
    if src.get(after) == Some(&b',') {
        out.push(place.name..json::skip_whitespace(src, after + 1));
        return;
    }
    // The last member. If those before it have been cut, the comma is before the first of them.
    let mut start = place.name;
    while let Some(previous) = out.pop_if(|previous| previous.end == start) {
        start = previous.start;
    }
    let before = src.get(..start).unwrap_or_default().trim_ascii_end();
    if before.last() == Some(&b',') {
        start = before.len() - 1;
    }
    out.push(start..place.end);
}

/// The parts of a body in which objects have their `metadata`.
enum Part {
    Metadata,
    Items,
    Rows,
}

/// Cuts `managedFields` in the body that stands at `body`.
#[inline(never)]
fn cut_managed_fields(src: &[u8], body: Range<usize>, out: &mut Vec<Range<usize>>) {
    let mut parts = Vec::new();
    let (mut kind, mut api_version) = (None, None);
    each_member(src, body, |name, place| match &*name.decode() {
        b"metadata" => parts.push((Part::Metadata, place)),
        b"items" => parts.push((Part::Items, place)),
        b"rows" => parts.push((Part::Rows, place)),
        b"kind" => kind = kind.or(text(src, place)),
        b"apiVersion" => api_version = api_version.or(text(src, place)),
        _ => {}
    });
    // Elsewhere `rows` is a field like any other.
    let is_table = kind.is_some_and(|kind| kind.is(b"Table"))
        && api_version.is_none_or(|version| version.decode().starts_with(b"meta.k8s.io/"));
    let before = out.len();
    for (part, place) in parts {
        match part {
            Part::Metadata => cut_from_metadata(src, place, out),
            Part::Items => {
                for item in Elements::of(src, place) {
                    if !is_object(src, &item) {
                        // A custom resource with `items` of its own: the API server gives up on it whole.
                        out.truncate(before);
                        return;
                    }
                    cut_from_object(src, item, out);
                }
            }
            Part::Rows if is_table => {
                for row in Elements::of(src, place) {
                    each_member(src, row, |name, place| {
                        if name.is(b"object") {
                            cut_from_object(src, place.value..place.end, out);
                        }
                    });
                }
            }
            Part::Rows => {}
        }
    }
}

fn cut_from_object(src: &[u8], object: Range<usize>, out: &mut Vec<Range<usize>>) {
    each_member(src, object, |name, place| {
        if name.is(b"metadata") {
            cut_from_metadata(src, place, out);
        }
    });
}

fn cut_from_metadata(src: &[u8], metadata: Place, out: &mut Vec<Range<usize>>) {
    each_member(src, metadata.value..metadata.end, |name, place| {
        if name.is(b"managedFields") {
            cut_member(src, place, out);
        }
    });
}

/// Calls with each member of the object at `object`, by its place in `src`; of anything else, there is none.
fn each_member<'s>(src: &'s [u8], object: Range<usize>, mut member: impl FnMut(Text<'s>, Place)) {
    if !is_object(src, &object) {
        return;
    }
    let start = object.start;
    let Ok(mut members) = TopLevel::new(src.get(object).unwrap_or_default()) else { return };
    while let Ok(Some((name, place))) = members.next() {
        let Place { name: at, value, end } = place;
        member(name, Place { name: start + at, value: start + value, end: start + end });
    }
}

fn is_object(src: &[u8], value: &Range<usize>) -> bool {
    src.get(value.start) == Some(&b'{')
}

fn text(src: &[u8], place: Place) -> Option<Text<'_>> {
    Raw(src.get(place.value..place.end)?).text()
}

/// The elements of an array by their place; of anything else, none.
struct Elements<'s> {
    src: &'s [u8],
    pos: usize,
}

impl<'s> Elements<'s> {
    fn of(src: &'s [u8], array: Place) -> Self {
        let value = Raw(src.get(array.value..array.end).unwrap_or_default());
        let pos = if value.kind() == Kind::Array { array.value + 1 } else { src.len() };
        Self { src, pos }
    }
}

impl Iterator for Elements<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let mut start = json::skip_whitespace(self.src, self.pos);
        if self.src.get(start) == Some(&b',') {
            start = json::skip_whitespace(self.src, start + 1);
        }
        if let Some(b']') | None = self.src.get(start) {
            self.pos = self.src.len();
            return None;
        }
        self.pos = json::skip_value(self.src, start, &mut 0).unwrap_or(self.src.len());
        Some(start..self.pos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn cut(text: &str, level: Level, omit_managed_fields: bool) -> String {
        let event = Event::read(text.as_bytes(), b"audit").unwrap();
        let mut ranges = Vec::new();
        cuts(&event, level, omit_managed_fields, &mut ranges);
        let mut kept = Vec::new();
        let mut from = 0;
        for range in ranges {
            assert!(from <= range.start && range.start < range.end, "{range:?} after {from} in {text}");
            kept.extend_from_slice(&text.as_bytes()[from..range.start]);
            from = range.end;
        }
        kept.extend_from_slice(&text.as_bytes()[from..]);
        String::from_utf8(kept).unwrap()
    }

    /// An event with these members after those that make it one, and before `stage`.
    fn event(members: &str) -> String {
        format!(r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1",{members}"stage":"Panic"}}"#)
    }

    #[test]
    fn bodies_go_with_one_comma_each() {
        use Level::{Metadata, None, Request, RequestResponse};
        let start = r#"{"auditID":"1","stage":"Panic""#;
        for (rest, level, expected) in [
            (
                r#","requestObject":{"a":1},"responseObject":[2],"verb":"get"}"#,
                RequestResponse,
                r#","requestObject":{"a":1},"responseObject":[2],"verb":"get"}"#,
            ),
            (
                r#","requestObject":{"a":1},"responseObject":[2],"verb":"get"}"#,
                Request,
                r#","requestObject":{"a":1},"verb":"get"}"#,
            ),
            (r#","requestObject":{"a":1},"responseObject":[2],"verb":"get"}"#, Metadata, r#","verb":"get"}"#),
            (r#","requestObject":{"a":1},"responseObject":[2],"verb":"get"}"#, None, r#","verb":"get"}"#),
            (r#","requestObject":{"a":1},"responseObject":[2]}"#, Metadata, "}"),
            (r#","requestObject":{"a":1},"responseObject":[2]}"#, Request, r#","requestObject":{"a":1}}"#),
            (r#","responseObject":[2],"requestObject":{"a":1}}"#, Request, r#","requestObject":{"a":1}}"#),
            (" , \"requestObject\" : null , \"responseObject\" : 1 }\n", Metadata, "  }\n"),
            (" ,\n \"requestObject\": {},\n \"verb\": \"get\"\n}", Metadata, " ,\n \"verb\": \"get\"\n}"),
            (
                r#","requestObject":{"a":"}]\","},"requestObject":2,"verb":"x","requestObject":3}"#,
                Metadata,
                r#","verb":"x"}"#,
            ),
            (r#","\u0072equestObject":{"a":1}}"#, Metadata, "}"),
        ] {
            assert_eq!(
                cut(&format!("{start}{rest}"), level, false),
                format!("{start}{expected}"),
                "{rest} at {level:?}"
            );
        }
        let first = r#"{"requestObject":1,"responseObject":2,"auditID":"1","stage":"Panic"}"#;
        assert_eq!(cut(first, Metadata, false), r#"{"auditID":"1","stage":"Panic"}"#);
        assert_eq!(cut(first, Request, true), r#"{"requestObject":1,"auditID":"1","stage":"Panic"}"#);
    }

    #[test]
    fn managed_fields_go_where_kube_apiserver_takes_them_from() {
        let mf = r#""managedFields":[{"manager":"kubectl","fieldsV1":{"f:spec":{}}}]"#;
        for (what, body, expected) in [
            (
                "first",
                format!(r#"{{"kind":"Pod","metadata":{{{mf},"name":"a"}}}}"#),
                r#"{"kind":"Pod","metadata":{"name":"a"}}"#,
            ),
            (
                "middle",
                format!(r#"{{"metadata":{{"name":"a",{mf},"uid":"b"}}}}"#),
                r#"{"metadata":{"name":"a","uid":"b"}}"#,
            ),
            (
                "last",
                format!(r#"{{"metadata":{{"name":"a",{mf}}},"spec":{{}}}}"#),
                r#"{"metadata":{"name":"a"},"spec":{}}"#,
            ),
            ("alone", format!(r#"{{"metadata":{{{mf}}}}}"#), r#"{"metadata":{}}"#),
            (
                "twice",
                format!(r#"{{"metadata":{{"name":"a",{mf},{mf}}},"metadata":{{{mf}}}}}"#),
                r#"{"metadata":{"name":"a"},"metadata":{}}"#,
            ),
            (
                "spaces",
                format!("{{ \"metadata\" : {{ \"name\" : 1 , {mf} }} }}"),
                "{ \"metadata\" : { \"name\" : 1  } }",
            ),
            (
                "escaped",
                r#"{"metad\u0061ta":{"managed\u0046ields":[]}}"#.to_owned(),
                r#"{"metad\u0061ta":{}}"#,
            ),
            (
                "a list",
                format!(
                    r#"{{"kind":"PodList","metadata":{{}},"items":[{{"metadata":{{{mf},"name":"a"}}}},{{"metadata":{{"name":"b"}}}},{{"metadata":{{"name":"c",{mf}}}}}]}}"#
                ),
                r#"{"kind":"PodList","metadata":{},"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}},{"metadata":{"name":"c"}}]}"#,
            ),
            (
                "a table",
                format!(
                    r#"{{"kind":"Table","apiVersion":"meta.k8s.io/v1","rows":[{{"cells":["a"],"object":{{"metadata":{{{mf}}}}}}},{{"object":null}},{{}},3]}}"#
                ),
                r#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","rows":[{"cells":["a"],"object":{"metadata":{}}},{"object":null},{},3]}"#,
            ),
            (
                "a table that says so late",
                format!(r#"{{"rows":[{{"object":{{"metadata":{{{mf}}}}}}}],"kind":"Table"}}"#),
                r#"{"rows":[{"object":{"metadata":{}}}],"kind":"Table"}"#,
            ),
        ] {
            for member in ["requestObject", "responseObject"] {
                let text = event(&format!(r#""{member}":{body},"#));
                let expected = event(&format!(r#""{member}":{expected},"#));
                assert_eq!(cut(&text, Level::RequestResponse, true), expected, "{what}");
                assert_eq!(cut(&text, Level::RequestResponse, false), text, "{what}");
            }
        }
    }

    #[test]
    fn managed_fields_stay_elsewhere() {
        let metadata = r#""metadata":{"managedFields":[1]}"#;
        for body in [
            r#"{"managedFields":[1]}"#.to_owned(),
            format!(r#"{{"spec":{{"template":{{{metadata}}}}}}}"#),
            r#"{"metadata":{"annotations":{"managedFields":"x"}}}"#.to_owned(),
            format!(r#"{{"items":{{{metadata}}}}}"#),
            format!(r#"{{"items":[{{"spec":{{{metadata}}}}}]}}"#),
            format!(r#"{{"items":[{{"items":[{{{metadata}}}]}}]}}"#),
            format!(r#"{{"kind":"Widget","rows":[{{"object":{{{metadata}}}}}]}}"#),
            format!(
                r#"{{"kind":"Table","apiVersion":"example.com/v1","rows":[{{"object":{{{metadata}}}}}]}}"#
            ),
            format!(r#"{{"kind":"Table","rows":[{{{metadata}}}]}}"#),
            // The API server fails on such a custom resource and keeps all of it.
            format!(r#"{{{metadata},"items":[{{{metadata}}},1]}}"#),
            format!("[{{{metadata}}}]"),
            "\"managedFields\"".to_owned(),
            r#"{"metadata":[{"managedFields":1}]}"#.to_owned(),
        ] {
            let text = event(&format!(r#""responseObject":{body},"#));
            assert_eq!(cut(&text, Level::RequestResponse, true), text);
        }
    }

    #[test]
    fn a_patch_stays_as_it_was_sent() {
        let body = r#"{"metadata":{"managedFields":[1]}}"#;
        let text = event(&format!(r#""verb":"patch","requestObject":{body},"responseObject":{body},"#));
        let expected =
            event(&format!(r#""verb":"patch","requestObject":{body},"responseObject":{{"metadata":{{}}}},"#));
        assert_eq!(cut(&text, Level::RequestResponse, true), expected);
    }

    /// Bodies in which the names that matter stand in all kinds of places.
    fn body() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            Just(json!("Table")),
            Just(json!("meta.k8s.io/v1")),
            any::<u8>().prop_map(|n| json!(n))
        ];
        let name = prop::sample::select(
            &["metadata", "items", "rows", "object", "managedFields", "kind", "apiVersion", "x\"é"][..],
        );
        leaf.prop_recursive(5, 40, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::vec((name.clone(), inner), 0..6).prop_map(|members| {
                    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
                }),
            ]
        })
    }

    /// The same on a tree.
    fn expected(mut event: Value, level: Level, omit: bool) -> Value {
        let members = event.as_object_mut().unwrap();
        if level < Level::Request {
            members.remove("requestObject");
        }
        if level < Level::RequestResponse {
            members.remove("responseObject");
        }
        for name in ["requestObject", "responseObject"] {
            if let Some(body) = members.get_mut(name).filter(|_| omit) {
                without_managed_fields(body);
            }
        }
        event
    }

    fn without_managed_fields(body: &mut Value) {
        let items = body.get("items").and_then(Value::as_array);
        if items.is_some_and(|items| !items.iter().all(Value::is_object)) {
            return;
        }
        let is_table = body.get("kind") == Some(&json!("Table"))
            && body
                .get("apiVersion")
                .is_none_or(|version| !version.is_string() || version == "meta.k8s.io/v1");
        fn from_object(object: &mut Value) {
            if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.remove("managedFields");
            }
        }
        if body.is_object() {
            from_object(body);
        }
        for item in body.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten() {
            from_object(item);
        }
        for row in
            body.get_mut("rows").and_then(Value::as_array_mut).into_iter().flatten().filter(|_| is_table)
        {
            if let Some(object) = row.get_mut("object") {
                from_object(object);
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_left_is_the_event_without_what_goes(
            request in prop::option::of(body()),
            response in prop::option::of(body()),
            bodies_first in any::<bool>(),
            pretty in any::<bool>(),
            level in prop::sample::select(&Level::ALL[..]),
            omit in any::<bool>(),
        ) {
            let mut members = vec![("auditID", json!("1")), ("stage", json!("Panic"))];
            let bodies = [("requestObject", request), ("responseObject", response)];
            let bodies = bodies.into_iter().filter_map(|(name, body)| Some((name, body?)));
            let at = if bodies_first { 0 } else { members.len() };
            members.splice(at..at, bodies);
            let written: Vec<String> = members
                .iter()
                .map(|(name, value)| {
                    let value = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
                    format!("{name:?}: {}", value.unwrap())
                })
                .collect();
            let text = format!("{{{}}}", written.join(if pretty { "\n , " } else { "," }));
            let whole: Value = serde_json::from_str(&text).unwrap();
            let left: Value = serde_json::from_str(&cut(&text, level, omit)).unwrap();
            prop_assert_eq!(left, expected(whole, level, omit), "{}", text);
        }
    }
}
