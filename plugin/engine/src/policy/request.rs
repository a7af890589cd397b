//! The request as kube-apiserver saw it when it evaluated its policy, told from the event it wrote later.
//!
//! Auditing begins before impersonation and before a body is read, so three things differ from what the
//! event says at first sight:
//!
//! - The user is `user`, never `impersonatedUser`. A failed authentication leaves no user at all.
//! - `objectRef.namespace` and, for a create, `objectRef.name` may have been completed from the body
//!   (`LogRequestObject` in k8s.io/apiserver/pkg/audit). They count only if the path has them.
//! - The path is percent-decoded.
//!
//! What needs no telling: the verb is `RequestInfo`'s already (`list` for a GET of a collection, `get` for a
//! HEAD of an object), and a list or watch with `fieldSelector=metadata.name=x` has its name in `objectRef`.
//! A deletecollection has none, whatever its selector.

use crate::json::Text;
use crate::record::{Event, Member, ObjectRef, User};
use std::borrow::Cow;

/// What a policy is evaluated on: `authorizer.Attributes` of k8s.io/apiserver, as far as policies look at it.
#[derive(Debug, Clone)]
pub(super) struct Request<'a> {
    pub(super) user: Option<Requester<'a>>,
    pub(super) verb: Cow<'a, [u8]>,
    pub(super) path: Cow<'a, [u8]>,
    /// The resource, if the request is for one.
    pub(super) resource: Option<Target<'a>>,
}

#[derive(Debug, Clone)]
pub(super) struct Requester<'a> {
    pub(super) name: Cow<'a, [u8]>,
    pub(super) groups: Vec<Cow<'a, [u8]>>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Target<'a> {
    pub(super) group: Cow<'a, [u8]>,
    pub(super) resource: Cow<'a, [u8]>,
    pub(super) subresource: Cow<'a, [u8]>,
    pub(super) namespace: Cow<'a, [u8]>,
    pub(super) name: Cow<'a, [u8]>,
}

impl<'a> Request<'a> {
    pub(super) fn of(event: &Event<'a>) -> Self {
        let path = path(event);
        let resource = event.object_ref.map(|reference| Target {
            group: reference.api_group.decode(),
            resource: reference.resource.decode(),
            subresource: reference.subresource.decode(),
            namespace: namespace(&reference, &path).decode(),
            name: name(event, &reference, &path).decode(),
        });
        let user = is_there(&event.user).then(|| Requester {
            name: event.user.username.decode(),
            groups: event.user.groups().map(Text::decode).collect(),
        });
        Self { user, verb: verb(event).decode(), path, resource }
    }
}

/// Whether authentication gave a user. The API server writes `"user":{}` where it did not, and every user
/// that it authenticates, `system:anonymous` among them, has a name or a group.
pub(super) fn is_there(user: &User<'_>) -> bool {
    !user.username.is_empty() || !user.uid.is_empty() || user.groups().next().is_some()
}

/// The verb; empty where there is none, as for OPTIONS on a resource.
pub(super) fn verb<'a>(event: &Event<'a>) -> Text<'a> {
    event.text(Member::Verb).unwrap_or_default()
}

/// The decoded path of the request.
pub(super) fn path<'a>(event: &Event<'a>) -> Cow<'a, [u8]> {
    match event.text(Member::RequestUri).unwrap_or_default().decode() {
        Cow::Borrowed(uri) => percent_decode(before_query(uri)),
        Cow::Owned(uri) => Cow::Owned(percent_decode(before_query(&uri)).into_owned()),
    }
}

/// The namespace of the request. Without a path that says which resource it was for, the event is trusted.
pub(super) fn namespace<'a>(reference: &ObjectRef<'a>, path: &[u8]) -> Text<'a> {
    match ResourcePath::parse(path) {
        Some(path) if !reference.namespace.is(path.namespace) => Text::default(),
        _ => reference.namespace,
    }
}

/// The name of the object requested, which the path has to have where the body may have completed it.
pub(super) fn name<'a>(event: &Event<'a>, reference: &ObjectRef<'a>, path: &[u8]) -> Text<'a> {
    if !is_named_by_body(event, reference) {
        return reference.name;
    }
    match ResourcePath::parse(path) {
        Some(path) if reference.name.is(path.name) => reference.name,
        _ => Text::default(),
    }
}

/// Whether the name may be the body's: a create is for a collection, but a create of a subresource is for
/// an object's.
pub(super) fn is_named_by_body(event: &Event<'_>, reference: &ObjectRef<'_>) -> bool {
    reference.subresource.is_empty() && verb(event).is(b"create")
}

/// Whether a request for that path is one for a resource.
pub(super) fn is_for_resource(path: &[u8]) -> bool {
    ResourcePath::parse(path).is_some()
}

fn before_query(uri: &[u8]) -> &[u8] {
    uri.split(|&byte| byte == b'?').next().unwrap_or_default()
}

/// Undoes percent-encoding. `+` stays; so does what is no escape, which the API server would have refused.
fn percent_decode(encoded: &[u8]) -> Cow<'_, [u8]> {
    if !encoded.contains(&b'%') {
        return Cow::Borrowed(encoded);
    }
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((&byte, tail)) = rest.split_first() {
        match escaped(rest) {
            Some((byte, tail)) => {
                decoded.push(byte);
                rest = tail;
            }
            None => {
                decoded.push(byte);
                rest = tail;
            }
        }
    }
    Cow::Owned(decoded)
}

/// The byte that an escape at the start of `bytes` stands for, and what follows it.
fn escaped(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, rest @ ..] = bytes else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?;
    Some((byte, rest))
}

/// What a path for a resource says, as `RequestInfoFactory` takes it apart.
#[derive(Debug, PartialEq, Eq)]
struct ResourcePath<'p> {
    /// Empty where the path has none.
    namespace: &'p [u8],
    /// Empty where the path is a collection's.
    name: &'p [u8],
}

impl<'p> ResourcePath<'p> {
    /// None where the path is not one for a resource:
    /// `/api/{version}/…` or `/apis/{group}/{version}/…`, optionally with `watch` or `proxy` next, then
    /// `namespaces/{namespace}` or not, then `{resource}/{name}/…`.
    fn parse(path: &'p [u8]) -> Option<Self> {
        let mut parts = trim_slashes(path).split(|&byte| byte == b'/');
        match parts.next()? {
            b"api" => {}
            b"apis" => {
                let _group = parts.next()?;
            }
            _ => return None,
        }
        let _version = parts.next()?;
        let mut resource = parts.next()?;
        if let b"watch" | b"proxy" = resource {
            resource = parts.next()?;
        }
        let mut namespace: &[u8] = b"";
        let mut name = parts.next();
        if resource == b"namespaces"
            && let Some(named) = name
        {
            namespace = named;
            // These two are subresources of the namespace itself; anything else is a resource in it.
            match parts.next() {
                None | Some(b"status" | b"finalize") => {}
                Some(_resource) => name = parts.next(),
            }
        }
        Some(Self { namespace, name: name.unwrap_or_default() })
    }
}

fn trim_slashes(mut path: &[u8]) -> &[u8] {
    while let [b'/', rest @ ..] | [rest @ .., b'/'] = path {
        path = rest;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_decoded_once_and_not_cleaned() {
        for (encoded, decoded) in [
            ("/healthz", "/healthz"),
            ("/%68ealthz", "/healthz"),
            ("/a%2Fb%2fc", "/a/b/c"),
            ("/a+b%2B", "/a+b+"),
            ("/%25%34%31", "/%41"),
            ("//a//../b", "//a//../b"),
            ("/%", "/%"),
            ("/%4", "/%4"),
            ("/%zz", "/%zz"),
            ("/%c3%a9", "/é"),
        ] {
            assert_eq!(&*percent_decode(encoded.as_bytes()), decoded.as_bytes(), "{encoded}");
        }
    }

    #[test]
    fn a_resource_path_is_taken_apart_as_request_info_does() {
        for (path, expected) in [
            ("/api/v1/namespaces/shop/pods/web-0/log", Some(("shop", "web-0"))),
            ("/api/v1/namespaces/shop/pods", Some(("shop", ""))),
            ("/api/v1/namespaces/shop", Some(("shop", "shop"))),
            ("/api/v1/namespaces/shop/status", Some(("shop", "shop"))),
            ("/api/v1/namespaces/shop/finalize", Some(("shop", "shop"))),
            ("/api/v1/namespaces", Some(("", ""))),
            ("/api/v1/nodes/n1", Some(("", "n1"))),
            ("/apis/apps/v1/namespaces/shop/deployments/web", Some(("shop", "web"))),
            ("/apis/apps/v1/deployments", Some(("", ""))),
            ("/api/v1/watch/namespaces/shop/pods/web-0", Some(("shop", "web-0"))),
            ("/api/v1/proxy/namespaces/shop/services/web", Some(("shop", "web"))),
            ("///api/v1/pods///", Some(("", ""))),
            ("/api/v1/namespaces//pods/x", Some(("", "x"))),
            ("/api/v1", None),
            ("/apis/apps/v1", None),
            ("/api/v1/watch", None),
            ("/healthz/a/b/c", None),
            ("/", None),
            ("", None),
        ] {
            let found = ResourcePath::parse(path.as_bytes());
            let expected = expected.map(|(namespace, name): (&str, &str)| ResourcePath {
                namespace: namespace.as_bytes(),
                name: name.as_bytes(),
            });
            assert_eq!(found, expected, "{path}");
        }
    }
}
