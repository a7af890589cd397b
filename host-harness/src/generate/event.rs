//! A request as the API server sees it, and the audit events it leaves behind.
//!
//! An actor says who asks what and what the answer is; everything an audit event repeats from that (path, object
//! reference, refusal texts, RBAC reasons, stages) is worked out here, in one place, in the order of the fields of
//! `audit.k8s.io/v1` `Event`.

use std::rc::Rc;

use serde_json::{Value, json};

use super::clock::{MILLISECOND, Micros, SECOND, micro_time};
use super::json::{append_string, append_value};

/// A kind of object and where the API has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resource {
    /// API group; empty for the core group.
    pub group: &'static str,
    pub version: &'static str,
    pub plural: &'static str,
    pub kind: &'static str,
}

impl Resource {
    pub(super) const fn new(
        group: &'static str,
        version: &'static str,
        plural: &'static str,
        kind: &'static str,
    ) -> Self {
        Self { group, version, plural, kind }
    }

    /// `apiVersion` of its objects: `v1`, `apps/v1`.
    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.into() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `deployments.apps`: its name in the API server's messages.
    fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.into() } else { format!("{}.{}", self.plural, self.group) }
    }
}

/// Who asks, from where, with what: the part of a request that its sender repeats in all of them.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub username: String,
    /// The `user` object, ready to be written.
    pub user: String,
    pub source_ips: Vec<String>,
    pub user_agent: String,
    /// `authorization.k8s.io/reason` of what it may do.
    pub reason: String,
}

impl Caller {
    /// A caller by name, with the groups and extra attributes its authenticator gave it.
    pub(super) fn new(username: &str, uid: &str, groups: &[&str], extra: &[(&str, &str)]) -> Self {
        let mut user = json!({ "username": username });
        if !uid.is_empty() {
            user["uid"] = json!(uid);
        }
        user["groups"] = json!(groups);
        if !extra.is_empty() {
            user["extra"] = extra.iter().map(|(key, value)| ((*key).to_owned(), json!([value]))).collect();
        }
        Self {
            username: username.into(),
            user: super::json::text(&user),
            source_ips: Vec::new(),
            user_agent: String::new(),
            reason: String::new(),
        }
    }

    pub(super) fn from(mut self, addresses: &[&str]) -> Self {
        self.source_ips = addresses.iter().map(|&address| address.to_owned()).collect();
        self
    }

    pub(super) fn agent(mut self, user_agent: &str) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// Allowed by a binding of `role` to `subject`, such as `User "jane"`.
    pub(super) fn granted(mut self, binding: &str, role: &str, subject: &str) -> Self {
        self.reason = format!("RBAC: allowed by {binding} of {role} to {subject}");
        self
    }
}

/// How the answer comes, which decides the stages that are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// At once.
    Whole,
    /// Bit by bit for this long: watches, logs, exec.
    Streamed(Micros),
    /// Refused before anybody knew who asks: ResponseStarted only, and an empty user.
    Unauthenticated,
}

/// Where a request says which object it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NameIn {
    Path,
    /// A create: the API server knows the name only after it has read the body.
    Body,
    Query,
}

/// One request with its answer.
#[derive(Debug, Clone)]
pub(super) struct Request {
    caller: Rc<Caller>,
    impersonated: Option<Value>,
    verb: &'static str,
    /// Path of a non-resource request; empty where `resource` says it.
    path: String,
    resource: Option<Resource>,
    namespace: String,
    name: String,
    name_in: NameIn,
    subresource: &'static str,
    /// What follows the subresource in the path of a proxy request.
    rest: String,
    query: String,
    /// `uid` and `resourceVersion` of the object an update carries.
    precondition: Option<(String, String)>,
    sent: Option<Value>,
    answered: Option<Value>,
    code: u16,
    refusal: Option<Value>,
    allowed: bool,
    answer: Answer,
    latency: Micros,
    annotations: Vec<(&'static str, String)>,
    addresses: Option<Vec<String>>,
}

impl Request {
    /// A request for a resource.
    pub(super) fn new(caller: &Rc<Caller>, verb: &'static str, resource: Resource) -> Self {
        Self {
            caller: Rc::clone(caller),
            impersonated: None,
            verb,
            path: String::new(),
            resource: Some(resource),
            namespace: String::new(),
            name: String::new(),
            name_in: if verb == "create" { NameIn::Body } else { NameIn::Path },
            subresource: "",
            rest: String::new(),
            query: String::new(),
            precondition: None,
            sent: None,
            answered: None,
            code: if verb == "create" { 201 } else { 200 },
            refusal: None,
            allowed: true,
            answer: Answer::Whole,
            latency: 3 * MILLISECOND,
            annotations: Vec::new(),
            addresses: None,
        }
    }

    /// A request for a path that is no resource, such as `/healthz`. The verb is the HTTP method in lower case.
    pub(super) fn path(caller: &Rc<Caller>, verb: &'static str, path: &str) -> Self {
        let mut request = Self::new(caller, verb, Resource::new("", "", "", ""));
        (request.resource, request.path, request.code) = (None, path.into(), 200);
        request
    }

    pub(super) fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = namespace.into();
        self
    }

    pub(super) fn name(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// A subresource; a create of one has the name in the path.
    pub(super) fn subresource(mut self, subresource: &'static str) -> Self {
        (self.subresource, self.name_in) = (subresource, NameIn::Path);
        self
    }

    /// A list or watch that selects one object by its name, which then is the request's name.
    pub(super) fn selecting(mut self, name: &str) -> Self {
        (self.name, self.name_in) = (name.into(), NameIn::Query);
        self.query = format!("fieldSelector=metadata.name%3D{name}");
        self
    }

    /// The path behind a proxy.
    pub(super) fn rest(mut self, rest: &str) -> Self {
        self.rest = rest.into();
        self
    }

    /// Query parameters, percent-encoded, without the question mark.
    pub(super) fn query(mut self, query: impl Into<String>) -> Self {
        self.query = query.into();
        self
    }

    pub(super) fn send(mut self, body: Value) -> Self {
        if self.verb == "update"
            && let (Some(uid), Some(version)) =
                (body["metadata"]["uid"].as_str(), body["metadata"]["resourceVersion"].as_str())
        {
            self.precondition = Some((uid.into(), version.into()));
        }
        self.sent = Some(body);
        self
    }

    pub(super) fn answer(mut self, body: Value) -> Self {
        self.answered = Some(body);
        self
    }

    /// Another status code than the usual 200 or 201, without a failure.
    pub(super) fn code(mut self, code: u16) -> Self {
        self.code = code;
        self
    }

    pub(super) fn annotate(mut self, key: &'static str, value: &str) -> Self {
        self.annotations.push((key, value.into()));
        self
    }

    /// Acting as someone else: the `impersonatedUser` object.
    pub(super) fn impersonate(mut self, user: Value) -> Self {
        self.impersonated = Some(user);
        self
    }

    /// From other addresses than the caller's usual ones.
    pub(super) fn via(mut self, addresses: &[&str]) -> Self {
        self.addresses = Some(addresses.iter().map(|&address| address.to_owned()).collect());
        self
    }

    pub(super) fn latency(mut self, latency: Micros) -> Self {
        self.latency = latency;
        self
    }

    /// Answered after `per_mille` thousandths of its usual latency: no two requests take equally long.
    pub(super) fn paced(mut self, per_mille: u64) -> Self {
        self.latency = self.latency * per_mille / 1000;
        self
    }

    /// An answer that takes its time: ResponseStarted now, ResponseComplete after `duration`.
    pub(super) fn streamed(mut self, duration: Micros) -> Self {
        self.answer = Answer::Streamed(duration);
        self
    }

    /// A connection that changes protocol: exec, attach, port-forward.
    pub(super) fn upgraded(self, duration: Micros) -> Self {
        self.code(101).streamed(duration)
    }

    /// A watch that the client opens at `resource_version` and that ends after `duration`.
    pub(super) fn watch(mut self, resource_version: u64, duration: Micros) -> Self {
        let seconds = duration / SECOND;
        let separator = if self.query.is_empty() { "" } else { "&" };
        self.query = format!(
            "allowWatchBookmarks=true{separator}{}&resourceVersion={resource_version}&timeout={}m{}s&timeoutSeconds={seconds}&watch=true",
            self.query,
            seconds / 60,
            seconds % 60
        );
        self.streamed(duration)
    }

    /// 401: nobody knows who asked.
    pub(super) fn unauthenticated(mut self) -> Self {
        self.answer = Answer::Unauthenticated;
        self.fail(401, "Unauthorized", "Unauthorized".into(), false)
    }

    /// 403 by the authorizer.
    pub(super) fn forbidden(mut self) -> Self {
        self.allowed = false;
        let user = &self.caller.username;
        let (what, cannot) = match self.resource {
            None => (String::new(), format!("User \"{user}\" cannot {} path \"{}\"", self.verb, self.path)),
            Some(resource) => {
                let target = if self.subresource.is_empty() {
                    resource.plural.to_owned()
                } else {
                    format!("{}/{}", resource.plural, self.subresource)
                };
                let scope = if self.namespace.is_empty() {
                    "at the cluster scope".to_owned()
                } else {
                    format!("in the namespace \"{}\"", self.namespace)
                };
                let name = if self.name.is_empty() || self.name_in == NameIn::Body {
                    String::new()
                } else {
                    format!(" \"{}\"", self.name)
                };
                let text = format!(
                    "User \"{user}\" cannot {} resource \"{target}\" in API group \"{}\" {scope}",
                    self.verb, resource.group
                );
                (resource.qualified() + &name, text)
            }
        };
        let message = if what.is_empty() {
            format!("forbidden: {cannot}")
        } else {
            format!("{what} is forbidden: {cannot}")
        };
        self.fail(403, "Forbidden", message, true)
    }

    /// 403 by admission: the authorizer said yes.
    pub(super) fn rejected(self, why: &str) -> Self {
        let message = format!("{} \"{}\" is forbidden: {why}", self.qualified(), self.name);
        self.fail(403, "Forbidden", message, true)
    }

    pub(super) fn not_found(self) -> Self {
        let message = if self.resource.is_some() {
            format!("{} \"{}\" not found", self.qualified(), self.name)
        } else {
            "the server could not find the requested resource".into()
        };
        self.fail(404, "NotFound", message, true)
    }

    pub(super) fn already_exists(self) -> Self {
        let message = format!("{} \"{}\" already exists", self.qualified(), self.name);
        self.fail(409, "AlreadyExists", message, true)
    }

    pub(super) fn conflict(self) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{}\": the object has been modified; please apply your changes to the latest version and try again",
            self.qualified(),
            self.name
        );
        self.fail(409, "Conflict", message, true)
    }

    fn qualified(&self) -> String {
        self.resource.map_or_else(String::new, |resource| resource.qualified())
    }

    fn fail(mut self, code: u16, reason: &str, message: String, details: bool) -> Self {
        let mut status = json!({ "metadata": {}, "status": "Failure", "message": message, "reason": reason });
        if details {
            let mut about = json!({});
            if !self.name.is_empty() && (self.allowed || self.name_in != NameIn::Body) {
                about["name"] = json!(self.name);
            }
            if let Some(resource) = self.resource {
                if !resource.group.is_empty() {
                    about["group"] = json!(resource.group);
                }
                about["kind"] = json!(resource.plural);
            }
            status["details"] = about;
        }
        status["code"] = json!(code);
        let mut body = json!({ "kind": "Status", "apiVersion": "v1" });
        for (key, value) in status.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        // A refused request's body has not been read.
        if !self.allowed {
            self.sent = None;
        }
        (self.code, self.refusal, self.answered) = (code, Some(status), Some(body));
        self
    }

    fn uri(&self) -> String {
        let mut uri = self.path.clone();
        if let Some(resource) = self.resource {
            uri =
                if resource.group.is_empty() { "/api/".into() } else { format!("/apis/{}/", resource.group) };
            uri.push_str(resource.version);
            // A namespace is its own scope.
            if !self.namespace.is_empty() && resource.plural != "namespaces" {
                uri = format!("{uri}/namespaces/{}", self.namespace);
            }
            uri = format!("{uri}/{}", resource.plural);
            if !self.name.is_empty() && self.name_in == NameIn::Path {
                uri = format!("{uri}/{}", self.name);
            }
            if !self.subresource.is_empty() {
                uri = format!("{uri}/{}", self.subresource);
            }
            uri.push_str(&self.rest);
        }
        if !self.query.is_empty() {
            uri.push('?');
            uri.push_str(&self.query);
        }
        uri
    }

    /// Whether only metadata is logged about it, as ACK's default policy has it: its body is or holds a credential.
    fn is_sensitive(&self) -> bool {
        self.resource.is_some_and(|resource| {
            matches!(
                (resource.group, resource.plural),
                ("", "secrets" | "configmaps") | ("authentication.k8s.io", "tokenreviews")
            )
        })
    }

    /// The reference as the path has it, or completed from the body once that was read.
    fn append_object_ref(&self, out: &mut String, completed: bool) {
        let Some(resource) = self.resource else { return };
        let name = if completed || self.name_in != NameIn::Body { self.name.as_str() } else { "" };
        let namespace = if resource.plural == "namespaces" { name } else { &self.namespace };
        let (uid, version) = match &self.precondition {
            Some((uid, version)) if completed => (uid.as_str(), version.as_str()),
            _ => ("", ""),
        };
        out.push_str(",\"objectRef\":{\"resource\":");
        append_string(out, resource.plural);
        for (key, value) in [
            ("namespace", namespace),
            ("name", name),
            ("uid", uid),
            ("apiGroup", resource.group),
            ("apiVersion", resource.version),
            ("resourceVersion", version),
            ("subresource", self.subresource),
        ] {
            if !value.is_empty() {
                out.push_str(&format!(",\"{key}\":"));
                append_string(out, value);
            }
        }
        out.push('}');
    }

    /// The events of this request, received at `received`: when each is written, and its line.
    pub(super) fn events(&self, received: Micros, settings: &Settings<'_>) -> Vec<(Micros, String)> {
        let mut events = Vec::new();
        let answered = received + self.latency;
        if settings.with_request_received && self.answer != Answer::Unauthenticated {
            events.push((received, self.line("RequestReceived", received, received, settings)));
        }
        match self.answer {
            Answer::Whole => {
                events.push((answered, self.line("ResponseComplete", received, answered, settings)));
            }
            Answer::Unauthenticated => {
                events.push((answered, self.line("ResponseStarted", received, answered, settings)));
            }
            Answer::Streamed(duration) => {
                events.push((answered, self.line("ResponseStarted", received, answered, settings)));
                let end = (answered + duration).min(settings.end).max(answered);
                events.push((end, self.line("ResponseComplete", received, end, settings)));
            }
        }
        events
    }

    fn line(&self, stage: &str, received: Micros, at: Micros, settings: &Settings<'_>) -> String {
        let bodies = stage == "ResponseComplete" && (settings.sensitive_bodies || !self.is_sensitive());
        let mut line = self.line_with(stage, received, at, settings, bodies, false);
        if settings.max_event_bytes.is_some_and(|max| line.len() as u64 > max) {
            line = self.line_with(stage, received, at, settings, false, true);
        }
        line
    }

    fn line_with(
        &self,
        stage: &str,
        received: Micros,
        at: Micros,
        settings: &Settings<'_>,
        bodies: bool,
        truncated: bool,
    ) -> String {
        let level =
            if self.is_sensitive() && !settings.sensitive_bodies { "Metadata" } else { "RequestResponse" };
        let known = stage != "RequestReceived";
        let mut out = format!(
            "{{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"level\":\"{level}\",\"auditID\":\"{}\",\"stage\":\"{stage}\",\"requestURI\":",
            settings.audit_id
        );
        append_string(&mut out, &self.uri());
        out.push_str(&format!(",\"verb\":\"{}\",\"user\":", self.verb));
        out.push_str(if self.answer == Answer::Unauthenticated { "{}" } else { &self.caller.user });
        // Impersonation happens after the request was received.
        if let (Some(user), true) = (&self.impersonated, known) {
            out.push_str(",\"impersonatedUser\":");
            append_value(&mut out, user);
        }
        out.push_str(",\"sourceIPs\":[");
        for (index, address) in self.addresses.as_ref().unwrap_or(&self.caller.source_ips).iter().enumerate()
        {
            if index > 0 {
                out.push(',');
            }
            append_string(&mut out, address);
        }
        out.push(']');
        if !self.caller.user_agent.is_empty() {
            out.push_str(",\"userAgent\":");
            append_string(&mut out, &self.caller.user_agent);
        }
        self.append_object_ref(&mut out, known && self.allowed);
        if known {
            out.push_str(",\"responseStatus\":");
            match &self.refusal {
                Some(status) => append_value(&mut out, status),
                None => out.push_str(&format!("{{\"metadata\":{{}},\"code\":{}}}", self.code)),
            }
        }
        if bodies {
            for (key, body) in [("requestObject", &self.sent), ("responseObject", &self.answered)] {
                if let Some(body) = body {
                    out.push_str(&format!(",\"{key}\":"));
                    append_value(&mut out, body);
                }
            }
        }
        out.push_str(&format!(
            ",\"requestReceivedTimestamp\":\"{}\",\"stageTimestamp\":\"{}\"",
            micro_time(received),
            micro_time(at)
        ));
        if known && self.answer != Answer::Unauthenticated {
            let mut annotations: Vec<(&str, &str)> = vec![
                ("authorization.k8s.io/decision", if self.allowed { "allow" } else { "forbid" }),
                ("authorization.k8s.io/reason", if self.allowed { &self.caller.reason } else { "" }),
            ];
            annotations.extend(self.annotations.iter().map(|(key, value)| (*key, value.as_str())));
            if truncated {
                annotations.push(("audit.k8s.io/truncated", "true"));
            }
            annotations.sort_unstable();
            out.push_str(",\"annotations\":{");
            for (index, (key, value)) in annotations.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                append_string(&mut out, key);
                out.push(':');
                append_string(&mut out, value);
            }
            out.push('}');
        }
        out.push_str("}\n");
        out
    }
}

/// What the log, not the request, decides about an event.
#[derive(Debug)]
pub(super) struct Settings<'a> {
    pub audit_id: &'a str,
    pub with_request_received: bool,
    pub sensitive_bodies: bool,
    pub max_event_bytes: Option<u64>,
    /// When a stream ends that has not ended by itself.
    pub end: Micros,
}
