//! Google Kubernetes Engine's audit log: entries of Cloud Logging, in which the API server's event has become a
//! `google.cloud.audit.AuditLog`.
//!
//! | audit event | entry |
//! | --- | --- |
//! | `auditID` | `insertId` |
//! | `stage` | `ResponseStarted` where `operation` is `first` and not `last`, else `ResponseComplete` |
//! | `verb` | the last word of `protoPayload.methodName`: `io.k8s.core.v1.pods.exec.create` |
//! | `objectRef` | `protoPayload.resourceName`: `core/v1/namespaces/default/pods/web-0/exec`; none for `io.k8s.get` |
//! | `requestURI` | the path that `resourceName` stands for; entries have no query |
//! | `user.username` | `authenticationInfo.principalEmail`, else `principalSubject` |
//! | `user.groups` | the groups that Kubernetes gives every such user; entries have none |
//! | `impersonatedUser.username` | `authenticationInfo.authoritySelector` |
//! | `sourceIPs`, `userAgent` | `requestMetadata.callerIp`, `callerSuppliedUserAgent` |
//! | `responseStatus.code` | that of a `Status` in `response`; else what `status.code`, of gRPC, stands for |
//! | `requestObject`, `responseObject` | `protoPayload.request`, `protoPayload.response` |
//! | `annotations` | `labels` |
//! | `level` | what the bodies that are there amount to |
//! | `stageTimestamp` | `timestamp` |

use super::shape::{Draft, Found, Nature, each_member, lookup, raw};
use super::{Member, Place};
use crate::json::{Kind, Raw};
use std::borrow::Cow;

/// The event that an entry stands for, if it is one of Kubernetes. `payload` is the place of `protoPayload`.
pub(super) fn event<'a>(entry: &'a [u8], payload: Place) -> Option<Found<'a>> {
    let proto = raw(entry, payload)?;
    let is_audit_log = text(proto, b"@type").ends_with(b"google.cloud.audit.AuditLog");
    if !is_audit_log || *text(proto, b"serviceName") != *b"k8s.io" {
        return None;
    }
    let method = text(proto, b"methodName");
    let verb = method.rsplit(|&byte| byte == b'.').next().filter(|verb| !verb.is_empty())?;
    let resource_name = text(proto, b"resourceName");
    let target = Target::of(&method, &resource_name);
    let (mut request, mut response) = (None, None);
    each_member(entry, payload.value..payload.end, |name, place| {
        let body = match &*name.decode() {
            b"request" => &mut request,
            b"response" => &mut response,
            _ => return,
        };
        if raw(entry, place).is_some_and(|value| value.kind() != Kind::Null) {
            body.get_or_insert(place);
        }
    });

    let record = Raw(entry);
    let mut draft = Draft::of_v1();
    let level = match (request, response) {
        (_, Some(_)) => "RequestResponse",
        (Some(_), None) => "Request",
        (None, None) => "Metadata",
    };
    draft.string(Member::Level, level.as_bytes());
    draft.string(Member::AuditId, &text(record, b"insertId"));
    let began = lookup(record, b"operation.first").and_then(Raw::boolean) == Some(true)
        && lookup(record, b"operation.last").and_then(Raw::boolean) != Some(true);
    draft.string(Member::Stage, if began { b"ResponseStarted" } else { b"ResponseComplete" });
    draft.string(Member::RequestUri, &path(&resource_name, target.is_some()));
    draft.string(Member::Verb, verb);
    write_user(&mut draft, lookup(proto, b"authenticationInfo"));
    let address = text(proto, b"requestMetadata.callerIp");
    if !address.is_empty() {
        draft.strings(Member::SourceIps.name(), &[&address]);
    }
    draft.string(Member::UserAgent, &text(proto, b"requestMetadata.callerSuppliedUserAgent"));
    if let Some(target) = &target {
        target.write(&mut draft);
    }
    write_status(&mut draft, proto, verb, target.as_ref());
    for (member, place) in [(Member::RequestObject, request), (Member::ResponseObject, response)] {
        if let Some(place) = place
            && let Some(body) = raw(entry, place)
        {
            draft.piece(member.name().as_bytes(), body.0, place, false);
        }
    }
    draft.string(Member::StageTimestamp, &text(record, b"timestamp"));
    if let Some(labels) = lookup(record, b"labels").filter(|labels| labels.kind() == Kind::Object) {
        draft.raw(Member::Annotations.name().as_bytes(), labels.0);
    }
    Some(draft.finish(Nature::Rebuilt))
}

/// The string at a path; empty where there is none.
fn text<'a>(object: Raw<'a>, path: &[u8]) -> Cow<'a, [u8]> {
    lookup(object, path).and_then(Raw::text).unwrap_or_default().decode()
}

fn write_user(draft: &mut Draft, authentication: Option<Raw<'_>>) {
    let Some(info) = authentication else { return };
    let mut name = text(info, b"principalEmail");
    if name.is_empty() {
        name = text(info, b"principalSubject");
    }
    if !name.is_empty() {
        draft.open(Member::User);
        draft.named_string("username", &name);
        let mut groups: Vec<&[u8]> = Vec::new();
        let namespace = namespace_of_account(&name);
        let of_namespace = [b"system:serviceaccounts:", namespace.unwrap_or_default()].concat();
        if namespace.is_some() {
            groups.extend([b"system:serviceaccounts".as_slice(), &of_namespace]);
        } else if name.starts_with(b"system:node:") {
            groups.push(b"system:nodes");
        }
        groups.push(match &*name {
            b"system:anonymous" => b"system:unauthenticated",
            _ => b"system:authenticated",
        });
        draft.strings("groups", &groups);
        if let Some(chain) = lookup(info, b"serviceAccountDelegationInfo")
            && chain.kind() == Kind::Array
        {
            draft.raw(b"extra", &[br#"{"serviceAccountDelegationInfo":"#, chain.0, b"}"].concat());
        }
        draft.close();
    }
    let impersonated = text(info, b"authoritySelector");
    if !impersonated.is_empty() {
        draft.open(Member::ImpersonatedUser);
        draft.named_string("username", &impersonated);
        draft.close();
    }
}

/// The namespace of the service account that a user name stands for.
fn namespace_of_account(name: &[u8]) -> Option<&[u8]> {
    let account = name.strip_prefix(b"system:serviceaccount:")?;
    let colon = account.iter().position(|&byte| byte == b':')?;
    account.get(..colon)
}

/// The path of a request; resources of the core group have a prefix of their own.
fn path(resource_name: &[u8], is_resource: bool) -> Vec<u8> {
    match resource_name.strip_prefix(b"core/") {
        Some(rest) if is_resource => [b"/api/", rest].concat(),
        _ if is_resource => [b"/apis/", resource_name].concat(),
        _ => [b"/", resource_name.strip_prefix(b"/").unwrap_or(resource_name)].concat(),
    }
}

/// What a request was for.
#[derive(Debug, PartialEq, Eq)]
struct Target<'a> {
    group: &'a [u8],
    version: &'a [u8],
    namespace: &'a [u8],
    resource: &'a [u8],
    name: &'a [u8],
    subresource: &'a [u8],
}

impl<'a> Target<'a> {
    /// Takes apart `<group>/<version>/[namespaces/<namespace>/]<resource>[/<name>[/<subresource>]]`. None where
    /// the method names no version, as for `io.k8s.get` of a path.
    fn of(method: &[u8], resource_name: &'a [u8]) -> Option<Self> {
        let mut parts = resource_name.split(|&byte| byte == b'/');
        let (group, version) = (parts.next()?, parts.next()?);
        // The method of a group that ends in k8s.io begins with it backwards; so does that of any other.
        let mut words = method.split(|&byte| byte == b'.').skip_while(|&word| word != version);
        words.next().filter(|version| is_version(version))?;
        let named = words.next()?;
        let mut namespace: &[u8] = b"";
        let mut resource = parts.next()?;
        let mut name = parts.next();
        if resource == b"namespaces" {
            namespace = name.unwrap_or_default();
            if named != b"namespaces" {
                resource = parts.next()?;
                name = parts.next();
            }
        }
        Some(Self {
            group: if group == b"core" { b"" } else { group },
            version,
            namespace,
            resource,
            name: name.unwrap_or_default(),
            subresource: parts.next().unwrap_or_default(),
        })
    }

    fn write(&self, draft: &mut Draft) {
        draft.open(Member::ObjectRef);
        draft.named_string("resource", self.resource);
        draft.named_string("namespace", self.namespace);
        draft.named_string("name", self.name);
        draft.named_string("apiGroup", self.group);
        draft.named_string("apiVersion", self.version);
        draft.named_string("subresource", self.subresource);
        draft.close();
    }
}

/// Whether a word is a version of an API: `v1`, `v1beta2`.
fn is_version(word: &[u8]) -> bool {
    word.strip_prefix(b"v").is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit))
}

fn write_status(draft: &mut Draft, proto: Raw<'_>, verb: &[u8], target: Option<&Target<'_>>) {
    let status = lookup(proto, b"status").filter(|status| status.kind() == Kind::Object);
    let of_response = lookup(proto, b"response")
        .filter(|response| {
            lookup(*response, b"kind").and_then(Raw::text).is_some_and(|kind| kind.is(b"Status"))
        })
        .and_then(|response| lookup(response, b"code")?.integer());
    // An empty status is a success; without any, nobody knows.
    let of_status = || {
        let code = lookup(status?, b"code").map_or(Some(0), Raw::integer)?;
        Some(http_code(code, verb, target.map_or(b"", |target| target.subresource)))
    };
    let Some(code) = of_response.or_else(of_status) else { return };
    draft.open(Member::ResponseStatus);
    if let Some(status) = status {
        draft.named_string("message", &text(status, b"message"));
    }
    draft.number("code", code);
    draft.close();
}

/// The HTTP status that a code of `google.rpc.Code` stands for, as that enumeration documents it.
fn http_code(code: i64, verb: &[u8], subresource: &[u8]) -> i64 {
    match code {
        0 => match (verb, subresource) {
            (_, b"exec" | b"attach" | b"portforward") => 101,
            (b"create", _) => 201,
            _ => 200,
        },
        1 => 499,
        3 | 9 | 11 => 400,
        4 => 504,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        // Entries with a status of HTTP are not documented, but would be no mystery.
        100..=599 => code,
        _ => 500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_names_are_taken_apart() {
        let target = |group, version, namespace, resource, name, subresource| {
            let [group, version, namespace, resource, name, subresource] =
                [group, version, namespace, resource, name, subresource].map(str::as_bytes);
            Some(Target { group, version, namespace, resource, name, subresource })
        };
        for (method, name, path_of, expected) in [
            (
                "io.k8s.core.v1.pods.exec.create",
                "core/v1/namespaces/shop/pods/web-0/exec",
                "/api/v1/namespaces/shop/pods/web-0/exec",
                target("", "v1", "shop", "pods", "web-0", "exec"),
            ),
            (
                "io.k8s.core.v1.nodes.list",
                "core/v1/nodes",
                "/api/v1/nodes",
                target("", "v1", "", "nodes", "", ""),
            ),
            (
                "io.k8s.core.v1.namespaces.delete",
                "core/v1/namespaces/shop",
                "/api/v1/namespaces/shop",
                target("", "v1", "shop", "namespaces", "shop", ""),
            ),
            (
                "io.k8s.authorization.rbac.v1.clusterrolebindings.create",
                "rbac.authorization.k8s.io/v1/clusterrolebindings/ops",
                "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/ops",
                target("rbac.authorization.k8s.io", "v1", "", "clusterrolebindings", "ops", ""),
            ),
            (
                "com.coreos.database.etcd.v1beta2.etcdbackups.create",
                "etcd.database.coreos.com/v1beta2/namespaces/db/etcdbackups",
                "/apis/etcd.database.coreos.com/v1beta2/namespaces/db/etcdbackups",
                target("etcd.database.coreos.com", "v1beta2", "db", "etcdbackups", "", ""),
            ),
            ("io.k8s.get", "readyz", "/readyz", None),
            ("io.k8s.get", "api/v1", "/api/v1", None),
            ("", "", "/", None),
        ] {
            let found = Target::of(method.as_bytes(), name.as_bytes());
            assert_eq!(found, expected, "{method} {name}");
            assert_eq!(path(name.as_bytes(), found.is_some()), path_of.as_bytes(), "{method} {name}");
        }
    }

    #[test]
    fn codes_of_grpc_are_codes_of_http() {
        for (code, verb, subresource, expected) in [
            (0, "get", "", 200),
            (0, "create", "", 201),
            (0, "create", "exec", 101),
            (5, "get", "", 404),
            (6, "create", "", 409),
            (7, "create", "exec", 403),
            (16, "list", "", 401),
            (2, "list", "", 500),
            (403, "list", "", 403),
            (-1, "list", "", 500),
        ] {
            assert_eq!(http_code(code, verb.as_bytes(), subresource.as_bytes()), expected, "{code} {verb}");
        }
    }
}
