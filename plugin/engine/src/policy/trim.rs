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
fn cut_member(src: &[u8], place: Place, out: &mut Vec<Range<usize>>) {
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
