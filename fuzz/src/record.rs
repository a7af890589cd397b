//! Records: whatever a collector may hand over, under configurations that differ in all that matters to their bytes.

use std::cell::RefCell;

use audit_filter_engine::config;
use audit_filter_engine::record::Event;
use audit_filter_engine::{Engine, Outcome};

use crate::{Given, oracle};

/// The configurations, each with the name of its output member and whether it keeps every event.
const CONFIGURATIONS: [(&str, &str, bool); 3] = [
    ("", "audit", false),
    (
        "policy: {apiVersion: audit.k8s.io/v1, kind: Policy, omitManagedFields: true, rules: [{level: RequestResponse}]}\n\
         output: {key: k8s_audit}\n\
         network: {trustedProxies: [10.0.0.0/8, fd00::/8], internal: [203.0.113.0/24], highRisk: [198.51.100.0/24]}\n\
         operators: {sharedAccounts: [kubernetes-admin]}\n\
         routes: [{name: siem, when: {audit.severity: [high, critical]}}, {name: people, when: {audit.operator_type: user}}]\n",
        "k8s_audit",
        true,
    ),
    (
        "policy: {apiVersion: audit.k8s.io/v1, kind: Policy, omitStages: [RequestReceived], rules: [{level: None, verbs: [get, list, watch]}, {level: Request}]}\n\
         omitResponseCodes: [404]\n\
         keepSeverity: medium\n",
        "audit",
        false,
    ),
];

/// An event that no rule is about, and that no configuration drops.
const GOOD: &[u8] = br#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"0b7c1d4e-8a3f-4f0e-9c55-6d2b7f3a9e10","stage":"ResponseComplete","requestURI":"/apis/apps/v1/namespaces/shop/deployments/web","verb":"update","user":{"username":"system:serviceaccount:kube-system:deployment-controller","groups":["system:serviceaccounts","system:serviceaccounts:kube-system","system:authenticated"]},"sourceIPs":["10.0.0.11"],"objectRef":{"resource":"deployments","namespace":"shop","name":"web","apiGroup":"apps","apiVersion":"v1","subresource":"status"},"responseStatus":{"metadata":{},"code":200},"requestObject":{"kind":"Deployment","metadata":{"name":"web","managedFields":[{"manager":"x"}]}},"responseObject":{"kind":"Deployment"},"requestReceivedTimestamp":"2026-03-02T00:00:00.000000Z","stageTimestamp":"2026-03-02T00:00:00.100000Z"}"#;

/// Members that the filter may cut or replace in an event, as JSON writes their names.
const TOUCHED: [&str; 3] = [r#""level""#, r#""requestObject""#, r#""responseObject""#];

/// A filter that is put to one record after the other.
struct Subject {
    engine: Engine,
    /// The same once more, which explains what the first does; none where the two see different events, since an
    /// explanation looks further at those that are dropped.
    explaining: Option<Engine>,
    key: &'static str,
    /// What a filter makes of [`GOOD`] that has seen nothing before.
    good: Vec<u8>,
}

impl Subject {
    fn new(yaml: &str, key: &'static str, keeps_all: bool) -> Self {
        let engine = || {
            let loaded = config::load(&Given(&[(config::FILE_NAME, yaml.as_bytes())]));
            assert!(loaded.config.is_some(), "{:?}", loaded.problems);
            loaded.config.map(Engine::new)
        };
        let mut good = Vec::new();
        let outcome = engine().map(|mut engine| engine.filter(GOOD, &mut good));
        assert_eq!(outcome, Some(Outcome::Kept));
        let Some(running) = engine() else { unreachable!("asserted above") };
        Self { engine: running, explaining: keeps_all.then(engine).flatten(), key, good }
    }

    fn put(&mut self, record: &[u8]) {
        let mut out = Vec::new();
        let outcome = self.engine.filter(record, &mut out);
        oracle::is_a_record(record, &out);
        assert_eq!(out.is_empty(), outcome == Outcome::Dropped, "{outcome:?}");
        self.untouched_members_are_the_same(record, outcome, &out);
        if let Some(explaining) = &mut self.explaining {
            let explanation = explaining.explain(record);
            assert_eq!(explanation.outcome, outcome);
            assert_eq!(text(&explanation.output), text(&out), "explained otherwise than filtered");
        }

        let mut good = Vec::new();
        self.engine.filter(GOOD, &mut good);
        assert_eq!(text(&good), text(&self.good), "the event after it is judged otherwise");
    }

    /// Of a record that is an event itself, or that is no event and holds no list of records.
    fn untouched_members_are_the_same(&self, record: &[u8], outcome: Outcome, out: &[u8]) {
        // What is no UTF-8 is mended.
        if outcome == Outcome::Dropped || std::str::from_utf8(record).is_err() {
            return;
        }
        let (Some(before), Some(after)) = (oracle::members(record), oracle::members(out)) else { return };
        let is_event = outcome == Outcome::Kept && Event::read(record, self.key.as_bytes()).is_ok();
        let is_list = before.iter().any(|(_, value)| value.starts_with('['));
        if !is_event && (outcome == Outcome::Kept || is_list) {
            return;
        }
        let key = format!("{:?}", self.key);
        // A name with escapes may be any.
        let stays = |(name, _): &(&str, &str)| {
            *name != key && !name.contains('\\') && !(is_event && TOUCHED.contains(name))
        };
        let before: Vec<_> = before.into_iter().filter(stays).collect();
        let after: Vec<_> = after.into_iter().filter(stays).collect();
        assert_eq!(before, after);
    }
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// A record from a collector, as one line or as anything else.
///
/// # Panics
/// Where what goes on is no line of JSON, where members are not what they were, where the record is explained
/// otherwise than filtered, or where it changes what becomes of the next.
pub fn record(data: &[u8]) {
    thread_local! {
        static SUBJECTS: RefCell<Vec<Subject>> = RefCell::new(
            CONFIGURATIONS.iter().map(|(yaml, key, keeps_all)| Subject::new(yaml, key, *keeps_all)).collect(),
        );
    }
    SUBJECTS.with_borrow_mut(|subjects| subjects.iter_mut().for_each(|subject| subject.put(data)));
}
