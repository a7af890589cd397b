//! What happened to a record and why, for whoever asks about one: the same way through the stages as that of
//! [`Engine::filter`], with a witness who looks on.
//!
//! The witness takes part in nothing that is decided, so an explanation cannot disagree with the filter. Of an
//! event that is dropped, it sees further than the filter goes: which rules would have held, had it been kept.

use crate::detect::Rule;
use crate::engine::{Engine, Outcome};
use crate::json::Raw;
use crate::normalize::Normalizer;
use crate::policy::{Considered, Decision, Level, Policy, trim};
use crate::record::{Event, Member};
use std::ops::Range;
use std::sync::Arc;

/// Why an event is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The policy, or the rule that matches, omits the event's stage.
    Stage,
    /// The policy's level is None.
    Level,
    /// The configuration omits events with that response code.
    ResponseCode(i64),
    /// The policy's level is None, and no rule that is grave enough to keep the event all the same holds.
    Severity,
}

/// Who looks on while a record goes through the stages. Does nothing unless it says so.
pub(crate) trait Witness {
    /// The policy has decided.
    fn decided(&mut self, _policy: &Policy, _event: &Event<'_>, _decision: &Decision) {}

    /// The event is dropped, the first time that it is called. Whether its way ends here.
    fn drops(&mut self, _cause: Cause) -> bool {
        true
    }

    /// Whether its way has not ended although the event is dropped.
    fn has_seen_it_dropped(&self) -> bool {
        false
    }

    /// All has been found, and `audit` is the object that says so.
    fn finds<'r>(
        &mut self,
        _event: &Event<'_>,
        _normalizer: &Normalizer,
        _rules: impl Iterator<Item = &'r Rule>,
        _alerts: impl Iterator<Item = &'r Rule>,
        _audit: &[u8],
    ) {
    }
}

/// Nobody.
pub(crate) struct Unwatched;

impl Witness for Unwatched {}

/// What happened to a record, and why.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Explanation {
    /// What became of it.
    pub outcome: Outcome,
    /// Why it was dropped, if it was.
    pub cause: Option<Cause>,
    /// What goes on, byte for byte as [`Engine::filter`] writes it; empty where it was dropped.
    pub output: Vec<u8>,
    /// What the policy said; none where the record could not be treated as an audit event.
    pub verdict: Option<Verdict>,
    /// What the stages after the policy found; none where they could not read the event. Of an event that was
    /// dropped, this is what they would have found.
    pub findings: Option<Findings>,
}

/// What the policy said about an event.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Verdict {
    /// `auditID`
    pub audit_id: String,
    /// `stage`
    pub stage: String,
    /// The level at which the event came in, if it says one.
    pub written_at: Option<Level>,
    /// The file that the policy is from, as the user named it.
    pub file: Arc<str>,
    /// The rules up to the one that matched.
    pub considered: Vec<Considered>,
    /// What came of that.
    pub decision: Decision,
    /// The event's level after the policy.
    pub level: Level,
}

impl Verdict {
    /// The policy's rule that matched.
    #[must_use]
    pub fn matched(&self) -> Option<&Considered> {
        self.considered.last().filter(|considered| considered.mismatch.is_none())
    }
}

/// What the stages after the policy found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Findings {
    /// What the event is about.
    pub subject: Subject,
    /// What goes from the event's bytes, in the event's order.
    pub cuts: Vec<Cut>,
    /// Whether the client's address is a trusted proxy's too, because all addresses are.
    pub source_is_trusted_proxy: bool,
    /// The Sigma rules that hold.
    pub rules: Vec<Rule>,
    /// The correlations that the event completes. An event that is dropped completes none.
    pub alerts: Vec<Rule>,
    /// The `audit` object, JSON.
    pub audit: Vec<u8>,
}

/// What an event is about, as the event itself says; empty where it does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subject {
    /// `stageTimestamp`
    pub time: String,
    /// `verb`
    pub verb: String,
    /// `objectRef.namespace`
    pub namespace: String,
    /// The resource as kubectl names it: `deployments.apps`, `pods/exec`.
    pub resource: String,
    /// `objectRef.name`
    pub name: String,
    /// `responseStatus.code`
    pub code: Option<i64>,
}

impl Subject {
    /// Of that event.
    #[must_use]
    pub fn of(event: &Event<'_>) -> Self {
        let text = |member| event.text(member).unwrap_or_default().to_str().into_owned();
        let mut subject = Self {
            time: text(Member::StageTimestamp),
            verb: text(Member::Verb),
            code: event.response_code(),
            ..Self::default()
        };
        if let Some(reference) = &event.object_ref {
            subject.namespace = reference.namespace.to_str().into_owned();
            subject.name = reference.name.to_str().into_owned();
            subject.resource = reference.resource.to_str().into_owned();
            for (sign, part) in [('.', reference.api_group), ('/', reference.subresource)] {
                if !part.is_empty() {
                    subject.resource.push(sign);
                    subject.resource.push_str(&part.to_str());
                }
            }
        }
        subject
    }
}

/// Bytes that go from an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// What they are: `requestObject`, `responseObject`, or the `managedFields` of one of them.
    pub what: &'static str,
    /// How many go.
    pub bytes: usize,
}

impl Engine {
    /// Says what [`filter`](Self::filter) makes of a record, and why. Never fails and never panics.
    #[must_use]
    pub fn explain(&mut self, record: &[u8]) -> Explanation {
        let mut observer = Observer::default();
        let mut output = Vec::new();
        let mut outcome = self.filter_watched(record, &mut output, &mut observer);
        let Observer { cause, verdict, findings } = observer;
        if cause.is_some() {
            outcome = Outcome::Dropped;
            output.clear();
        }
        Explanation { outcome, cause, output, verdict, findings }
    }
}

/// A witness who remembers, and who follows an event beyond its end.
#[derive(Default)]
struct Observer {
    cause: Option<Cause>,
    verdict: Option<Verdict>,
    findings: Option<Findings>,
}

impl Witness for Observer {
    fn decided(&mut self, policy: &Policy, event: &Event<'_>, decision: &Decision) {
        let text = |member| event.text(member).unwrap_or_default().to_str().into_owned();
        self.verdict = Some(Verdict {
            audit_id: text(Member::AuditId),
            stage: text(Member::Stage),
            written_at: Level::of(event),
            file: Arc::clone(policy.file()),
            considered: policy.explain(event),
            decision: *decision,
            level: decision.level_of(event),
        });
    }

    fn drops(&mut self, cause: Cause) -> bool {
        self.cause.get_or_insert(cause);
        false
    }

    fn has_seen_it_dropped(&self) -> bool {
        self.cause.is_some()
    }

    fn finds<'r>(
        &mut self,
        event: &Event<'_>,
        normalizer: &Normalizer,
        rules: impl Iterator<Item = &'r Rule>,
        alerts: impl Iterator<Item = &'r Rule>,
        audit: &[u8],
    ) {
        let cuts = self.verdict.as_ref().map_or_else(Vec::new, |verdict| cuts(event, verdict));
        let source = normalizer.normalize(event).source_ip;
        self.findings = Some(Findings {
            subject: Subject::of(event),
            cuts,
            source_is_trusted_proxy: source
                .is_some_and(|source| normalizer.trusts(&String::from_utf8_lossy(&source))),
            rules: rules.cloned().collect(),
            alerts: alerts.cloned().collect(),
            audit: audit.to_vec(),
        });
    }
}

/// What goes from an event that is kept, called by its names.
fn cuts(event: &Event<'_>, verdict: &Verdict) -> Vec<Cut> {
    let mut ranges = Vec::new();
    trim::cuts(event, verdict.level, verdict.decision.omit_managed_fields, &mut ranges);
    let bodies = [
        (Member::RequestObject, "managedFields of requestObject"),
        (Member::ResponseObject, "managedFields of responseObject"),
    ];
    bodies
        .into_iter()
        .filter_map(|(member, managed_fields)| cut(event, member, managed_fields, &ranges))
        .collect()
}

/// What of a body the ranges take away: all of it, or else its `managedFields`.
fn cut(
    event: &Event<'_>,
    member: Member,
    managed_fields: &'static str,
    ranges: &[Range<usize>],
) -> Option<Cut> {
    let Raw(body) = event.get(member)?;
    let start = body.as_ptr().addr().checked_sub(event.object().0.as_ptr().addr())?;
    let end = start + body.len();
    if ranges.iter().any(|range| range.start <= start && end <= range.end) {
        return Some(Cut { what: member.name(), bytes: body.len() });
    }
    let within = |range: &&Range<usize>| start <= range.start && range.end <= end;
    let bytes = ranges.iter().filter(within).map(Range::len).sum();
    (bytes > 0).then_some(Cut { what: managed_fields, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Files};

    /// A policy and a configuration as files.
    struct Texts(&'static str, &'static str);

    impl Files for Texts {
        fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
            Ok(match path {
                config::FILE_NAME => Some(self.0.into()),
                config::POLICY_FILE_NAME => Some(self.1.into()),
                _ => None,
            })
        }

        fn list(&self, _: &str) -> Result<Option<Vec<String>>, String> {
            Ok(None)
        }
    }

    const POLICY: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
  - level: None
    users: [kubelet]
  - level: Request
    resources: [{group: '', resources: [pods, pods/exec]}]
";

    fn engine(configuration: &'static str) -> Engine {
        let loaded = config::load(&Texts(configuration, POLICY));
        Engine::new(loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.problems)))
    }

    fn event(stage: &str, user: &str, resource: &str, more: &str) -> String {
        format!(
            r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"a-1","stage":"{stage}","requestURI":"/api/v1/namespaces/shop/{resource}","verb":"create","user":{{"username":"{user}"}},"sourceIPs":["198.51.100.7","10.0.0.1"],"objectRef":{{"resource":"{resource}","namespace":"shop","apiVersion":"v1"}},"responseStatus":{{"code":201}}{more}}}"#
        )
    }

    #[test]
    fn each_way_of_dropping_has_its_cause() {
        let plain = "{}";
        for (configuration, event, expected) in [
            (plain, event("ResponseComplete", "jane", "pods", ""), None),
            (plain, event("RequestReceived", "jane", "pods", ""), Some(Cause::Stage)),
            // What omits the stage comes before the level.
            (plain, event("RequestReceived", "kubelet", "pods", ""), Some(Cause::Stage)),
            (plain, event("ResponseComplete", "kubelet", "pods", ""), Some(Cause::Level)),
            (plain, event("ResponseComplete", "jane", "nodes", ""), Some(Cause::Level)),
            (
                "omitResponseCodes: [201]",
                event("ResponseComplete", "jane", "pods", ""),
                Some(Cause::ResponseCode(201)),
            ),
            (
                "{omitResponseCodes: [201], keepSeverity: critical}",
                event("ResponseComplete", "kubelet", "pods", ""),
                Some(Cause::ResponseCode(201)),
            ),
            (
                "keepSeverity: critical",
                event("ResponseComplete", "kubelet", "pods", ""),
                Some(Cause::Severity),
            ),
        ] {
            let mut engine = engine(configuration);
            let explanation = engine.explain(event.as_bytes());
            assert_eq!(explanation.cause, expected, "{configuration} {event}");
            let mut out = Vec::new();
            assert_eq!(explanation.outcome, engine.filter(event.as_bytes(), &mut out), "{event}");
            assert_eq!(explanation.output, out, "{event}");
            let findings = explanation.findings.expect("also of what is dropped");
            assert!(findings.audit.starts_with(br#"{"level":""#), "{event}");
        }
    }

    #[test]
    fn the_rules_up_to_the_match_are_named_with_their_lines() {
        let explanation = engine("{}").explain(event("ResponseComplete", "jane", "pods", "").as_bytes());
        let verdict = explanation.verdict.unwrap();
        assert_eq!((&*verdict.audit_id, &*verdict.stage), ("a-1", "ResponseComplete"));
        assert_eq!((verdict.written_at, verdict.level), (Some(Level::RequestResponse), Level::Request));
        let lines: Vec<_> =
            verdict.considered.iter().map(|rule| (rule.rule, rule.line, rule.level)).collect();
        assert_eq!(lines, [(0, 7, Level::None), (1, 9, Level::Request)]);
        assert_eq!(verdict.matched().map(|rule| rule.rule), Some(1));
        assert_eq!(&*verdict.file, config::POLICY_FILE_NAME);
    }

    #[test]
    fn the_subject_is_what_the_event_says() {
        for (object_ref, expected) in [
            (r#"{"resource":"pods"}"#, ("", "pods", "")),
            (
                r#"{"resource":"pods","subresource":"exec","namespace":"shop","name":"web-0"}"#,
                ("shop", "pods/exec", "web-0"),
            ),
            (
                r#"{"resource":"deployments","apiGroup":"apps","subresource":"scale"}"#,
                ("", "deployments.apps/scale", ""),
            ),
        ] {
            let event = format!(
                r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a","stage":"ResponseComplete","verb":"get","objectRef":{object_ref},"responseStatus":{{"code":200}},"stageTimestamp":"2026-03-02T08:00:00Z"}}"#
            );
            let subject = engine("{}").explain(event.as_bytes()).findings.unwrap().subject;
            let Subject { time, verb, namespace, resource, name, code } = &subject;
            assert_eq!((&**namespace, &**resource, &**name), expected);
            assert_eq!((&**time, &**verb, *code), ("2026-03-02T08:00:00Z", "get", Some(200)));
        }
    }

    #[test]
    fn what_is_cut_is_called_by_its_name() {
        let managed = r#"{"metadata":{"managedFields":[1,2,3],"name":"web-0"}}"#;
        for (more, expected) in [
            (String::new(), &[][..]),
            (format!(r#","requestObject":{managed}"#), &[("managedFields of requestObject", 24)]),
            (
                format!(r#","requestObject":{managed},"responseObject":{{"a":1}}"#),
                &[("managedFields of requestObject", 24), ("responseObject", 7)],
            ),
        ] {
            let event = event("ResponseComplete", "jane", "pods", &more);
            let findings = engine("{}").explain(event.as_bytes()).findings.unwrap();
            let cuts: Vec<_> = findings.cuts.iter().map(|cut| (cut.what, cut.bytes)).collect();
            assert_eq!(cuts, expected, "{more}");
        }
    }

    #[test]
    fn a_proxy_is_the_client_only_where_there_is_nobody_else() {
        let event = event("ResponseComplete", "jane", "pods", "");
        for (trusted, source, expected) in [
            ("{}", "10.0.0.1", false),
            ("network: {trustedProxies: [10.0.0.0/8]}", "198.51.100.7", false),
            ("network: {trustedProxies: [10.0.0.0/8, 198.51.100.0/24]}", "198.51.100.7", true),
        ] {
            let findings = engine(trusted).explain(event.as_bytes()).findings.unwrap();
            assert_eq!(findings.source_is_trusted_proxy, expected, "{trusted}");
            let audit = String::from_utf8(findings.audit).unwrap();
            assert!(audit.contains(&format!(r#""source_ip":"{source}""#)), "{audit}");
        }
    }

    #[test]
    fn explaining_is_filtering_whatever_the_record() {
        let mut latin1 = event("ResponseComplete", "jane", "pods", "").into_bytes();
        let at = latin1.windows(4).position(|bytes| bytes == b"jane").unwrap();
        latin1[at] = 0xe9;
        let mut dropped_latin1 = event("RequestReceived", "jane", "pods", "").into_bytes();
        dropped_latin1[at - 1] = 0xe9;
        let cut = event("ResponseComplete", "jane", "pods", ",\"requestObject\":{");
        let dropped_cut = event("ResponseComplete", "kubelet", "pods", ",\"requestObject\":{");
        for record in [
            b"".as_slice(),
            b"{}",
            b"not JSON",
            b"\"\xff\"",
            &latin1,
            &dropped_latin1,
            cut.as_bytes(),
            dropped_cut.as_bytes(),
        ] {
            let mut engine = engine("{}");
            let mut out = Vec::new();
            let outcome = engine.filter(record, &mut out);
            let explanation = engine.explain(record);
            let record = String::from_utf8_lossy(record);
            assert_eq!(explanation.outcome, outcome, "{record}");
            assert_eq!(explanation.output, out, "{record}");
            assert_eq!(explanation.cause.is_some(), outcome == Outcome::Dropped, "{record}");
        }
    }
}
