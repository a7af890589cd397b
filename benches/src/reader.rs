//! The least that a program could do which reads the events with `serde_json`: every member that the audit API names,
//! borrowed from the line, the bodies as text that nobody looks into. It writes nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// `audit.k8s.io` `Event`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the audit API documents its members")]
pub struct Event<'a> {
    #[serde(borrow)]
    pub level: Cow<'a, str>,
    #[serde(borrow, rename = "auditID")]
    pub audit_id: Cow<'a, str>,
    #[serde(borrow)]
    pub stage: Cow<'a, str>,
    #[serde(borrow, rename = "requestURI")]
    pub request_uri: Cow<'a, str>,
    #[serde(borrow)]
    pub verb: Cow<'a, str>,
    #[serde(borrow)]
    pub user: User<'a>,
    #[serde(borrow)]
    pub impersonated_user: Option<User<'a>>,
    #[serde(borrow, rename = "sourceIPs", default)]
    pub source_ips: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    pub user_agent: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub object_ref: Option<ObjectRef<'a>>,
    #[serde(borrow)]
    pub response_status: Option<&'a RawValue>,
    #[serde(borrow)]
    pub request_object: Option<&'a RawValue>,
    #[serde(borrow)]
    pub response_object: Option<&'a RawValue>,
    #[serde(borrow)]
    pub request_received_timestamp: Cow<'a, str>,
    #[serde(borrow)]
    pub stage_timestamp: Cow<'a, str>,
    #[serde(borrow, default)]
    pub annotations: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

/// `authentication/v1.UserInfo`
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "the authentication API documents its members")]
pub struct User<'a> {
    #[serde(borrow)]
    pub username: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub uid: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub groups: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    pub extra: Option<&'a RawValue>,
}

/// `audit/v1.ObjectReference`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the audit API documents its members")]
pub struct ObjectRef<'a> {
    #[serde(borrow)]
    pub resource: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub namespace: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub uid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub api_group: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub api_version: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub subresource: Option<Cow<'a, str>>,
}

/// Reads an event.
///
/// # Errors
/// Where it is none.
pub fn read(line: &[u8]) -> serde_json::Result<Event<'_>> {
    serde_json::from_slice(line)
}
