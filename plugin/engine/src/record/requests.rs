//! Kinds of request that come again: who wants what done, to which kind of thing, in which namespace.
//!
//! Most of what a policy and rules say of a request follows from these alone. They are put together once, and each
//! combination has a number that no other ever has, by which later stages know what they have found out about it.

use super::{Event, Member};
use crate::buffer::Buffer;
use crate::recent::{Recent, push_part};

/// How many combinations are remembered. A power of two.
const REQUESTS: usize = 4096;

/// The combinations that are known.
#[derive(Debug)]
pub(crate) struct Requests {
    numbers: Recent<u32>,
    /// How many there have been.
    count: u32,
    key: Buffer,
}

impl Default for Requests {
    fn default() -> Self {
        Self { numbers: Recent::new(REQUESTS), count: 0, key: Buffer::default() }
    }
}

impl Requests {
    /// The number of the event's request, by `user`, `verb` and all of `objectRef` but what tells one object from another.
    /// None where it is not of a resource, or who makes it has no number, or a member is not as it has to be.
    pub(crate) fn number(&mut self, event: &Event<'_>) -> Option<u32> {
        let user = event.number(Member::User)?;
        let reference = event.object_ref.as_ref()?;
        if reference.is_odd || event.user.is_odd {
            return None;
        }
        let Self { numbers, count, key } = self;
        key.clear();
        key.push_both(user.to_le_bytes(), event.get(Member::Verb).map_or(b"", |verb| verb.0));
        for part in [
            reference.resource,
            reference.subresource,
            reference.api_group,
            reference.api_version,
            reference.namespace,
        ] {
            push_part(key, 0, part.raw());
        }
        numbers.get(0, key.bytes()).or_else(|| {
            *count = count.checked_add(1)?;
            numbers.put(0, key.bytes(), *count);
            Some(*count)
        })
    }
}

/// What has been found out about kinds of request, by their [numbers](Event::request).
#[derive(Debug)]
pub(crate) struct ByRequest<T> {
    /// Each with its number, by the last bits of that. Empty until the first has come.
    known: Vec<Option<(u32, T)>>,
}

impl<T> Default for ByRequest<T> {
    fn default() -> Self {
        Self { known: Vec::new() }
    }
}

impl<T: Clone> ByRequest<T> {
    /// What is known of the kind of request with that number.
    #[inline(always)]
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        match self.known.get(number as usize & (REQUESTS - 1)) {
            Some(Some((known, found))) if *known == number => Some(found),
            _ => None,
        }
    }

    /// Remembers what is known of it; what shares its place is forgotten.
    #[inline(always)]
    pub(crate) fn put(&mut self, number: u32, found: T) {
        self.known.resize(REQUESTS, None);
        if let Some(place) = self.known.get_mut(number as usize & (REQUESTS - 1)) {
            *place = Some((number, found));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ByRequest, REQUESTS, Requests};
    use crate::record::{Event, Familiar};

    /// The numbers of events one after the other, each a change to the same one.
    fn numbers(changes: &[(&str, &str)]) -> Vec<Option<u32>> {
        const EVENT: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"1","stage":"ResponseComplete","requestURI":"/","verb":"get","user":{"username":"jane","groups":["dev","system:authenticated"],"extra":{"authentication.kubernetes.io/credential-id":["1"]}},"objectRef":{"resource":"pods","namespace":"shop","name":"web-0","apiGroup":"x","apiVersion":"v1","subresource":"log"}}"#;
        let (mut familiar, mut requests) = (Familiar::default(), Requests::default());
        let mut number = |(from, to): &(&str, &str)| {
            assert!(EVENT.contains(from), "{from}");
            let text = EVENT.replace(from, to);
            let mut event = Event::unread(text.as_bytes());
            event.read_head(b"audit", Some(&mut familiar)).unwrap();
            requests.number(&event)
        };
        changes.iter().map(&mut number).collect()
    }

    #[test]
    fn requests_of_one_number_are_alike() {
        let same =
            [("", ""), ("web-0", "web-1"), (r#""auditID":"1""#, r#""auditID":"2""#), (":\"/\"", ":\"/x\"")];
        assert_eq!(numbers(&same), [Some(1); 4]);
        let others = [
            ("get", "list"),
            ("jane", "joan"),
            ("dev", "ops"),
            ("pods", "nodes"),
            ("shop", "team"),
            (r#""x""#, r#""y""#),
            (r#""apiVersion":"v1","s"#, r#""apiVersion":"v2","s"#),
            (r#""log""#, r#""exec""#),
            (r#""verb":"get","#, ""),
            (r#","subresource":"log""#, ""),
            // One part is no other.
            (r#""resource":"pods","namespace":"shop""#, r#""resource":"podss","namespace":"hop""#),
        ];
        let twice = [&others[..], &others[..]].concat();
        let expected: Vec<_> = (1..=11).chain(1..=11).map(Some).collect();
        assert_eq!(numbers(&twice), expected);
    }

    #[test]
    fn what_is_known_is_that_of_the_number_or_nothing() {
        let mut known = ByRequest::default();
        assert_eq!(known.get(1), None);
        let places = REQUESTS as u32;
        for number in 0..3 * places {
            known.put(number, u64::from(number) + 7);
            for other in (number % places..4 * places).step_by(REQUESTS) {
                let expected = (other == number).then_some(u64::from(number) + 7);
                assert_eq!(known.get(other).copied(), expected);
            }
        }
        assert_eq!(known.known.len(), REQUESTS);
    }

    #[test]
    fn what_is_not_as_it_has_to_be_has_no_number() {
        let odd = [
            (r#","objectRef":{"#, r#","other":{"#),
            (r#""resource":"pods""#, r#""resource":7"#),
            (r#""namespace":"shop""#, r#""namespace":"""#),
            (r#""username":"jane""#, r#""username":"""#),
            (r#""user":{"#, r#""users":{"#),
        ];
        assert_eq!(numbers(&odd), [None; 5]);
    }
}
