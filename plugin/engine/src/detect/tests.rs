//! What Sigma text means, as tables: a detection, an event, whether it holds.

use super::*;
use crate::problem::{Problem, Severity as Gravity};

/// Findings of earlier stages, by name.
pub(super) struct Findings<'a>(pub(super) &'a [(AuditField, AuditValue<'a>)]);

impl AuditFields for Findings<'_> {
    fn values(&self, field: AuditField, each: &mut dyn FnMut(AuditValue<'_>)) {
        for (of, value) in self.0 {
            if *of == field {
                each(*value);
            }
        }
    }
}

/// An audit event with these members.
pub(super) fn event_of(members: &str) -> String {
    let comma = if members.is_empty() { "" } else { "," };
    format!(r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1"{comma}{members}}}"#)
}

/// A rule with that detection, given in YAML's flow or block style.
pub(super) fn rule_of(detection: &str) -> String {
    let detection: String = detection.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "title: A rule\nid: 00000000-0000-4000-8000-000000000001\nlevel: low\n\
         logsource: {{product: kubernetes, service: audit}}\ndetection:\n{detection}"
    )
}

fn compile(text: &str) -> (RuleSet, Vec<Problem>) {
    let mut problems = Problems::default();
    let mut builder = RuleSet::builder(Vec::new());
    builder.add(&Arc::from("rule.yml"), text, &mut problems);
    (builder.finish(&mut problems), problems.into_iter().collect())
}

pub(super) fn hits(
    rules: &RuleSet,
    scratch: &mut Scratch,
    event: &str,
    audit: &dyn AuditFields,
) -> Vec<RuleId> {
    let event = Event::read(event.as_bytes(), b"audit").unwrap();
    let mut hits = Vec::new();
    rules.evaluate(scratch, &event, audit, &mut hits);
    hits
}

/// Checks a detection of one selection against events.
#[track_caller]
fn selects(selection: &str, expectations: &[(&str, bool)]) {
    detects(&format!("selection: {selection}\ncondition: selection"), expectations);
}

#[track_caller]
fn detects(detection: &str, expectations: &[(&str, bool)]) {
    let (rules, problems) = compile(&rule_of(detection));
    let errors: Vec<_> = problems.iter().filter(|problem| problem.severity == Gravity::Error).collect();
    assert!(errors.is_empty(), "{detection}\n{errors:?}");
    let mut scratch = Scratch::default();
    for (members, expected) in expectations {
        let found = !hits(&rules, &mut scratch, &event_of(members), &()).is_empty();
        assert_eq!(found, *expected, "{detection}\n{members}");
    }
}

#[test]
fn strings_compare_without_case() {
    selects(
        "{verb: Create}",
        &[
            (r#""verb":"create""#, true),
            (r#""verb":"CREATE""#, true),
            (r#""verb":"creates""#, false),
            (r#""verb":"""#, false),
            (r#""verb":null"#, false),
            ("", false),
        ],
    );
    selects("{verb|cased: Create}", &[(r#""verb":"Create""#, true), (r#""verb":"create""#, false)]);
    selects(
        "{user.username: É}",
        &[(r#""user":{"username":"É"}"#, true), (r#""user":{"username":"é"}"#, false)],
    );
    // What the API server writes as an escape is compared as what it says.
    selects(r#"{userAgent: "a&b"}"#, &[(r#""userAgent":"a\u0026b""#, true)]);
}

#[test]
fn wildcards_stand_for_characters() {
    selects(
        "{userAgent: 'kube*/v?.*'}",
        &[
            (r#""userAgent":"kubectl/v1.30""#, true),
            (r#""userAgent":"KUBE/v1.""#, true),
            (r#""userAgent":"kube/v12.""#, false),
            (r#""userAgent":"akube/v1.0""#, false),
        ],
    );
    // A question mark takes a character, however many bytes that has.
    selects("{userAgent: 'a?c'}", &[(r#""userAgent":"aéc""#, true), (r#""userAgent":"ac""#, false)]);
    selects("{userAgent: '*??'}", &[(r#""userAgent":"é""#, false), (r#""userAgent":"éa""#, true)]);
    selects("{userAgent: '*ab*ab'}", &[(r#""userAgent":"xababab""#, true), (r#""userAgent":"xab""#, false)]);
    selects("{userAgent: 'ab*'}", &[(r#""userAgent":"abc""#, true), (r#""userAgent":"ab""#, true)]);
    selects("{userAgent: '*bc'}", &[(r#""userAgent":"abc""#, true), (r#""userAgent":"bcd""#, false)]);
    selects("{userAgent: '*b*'}", &[(r#""userAgent":"abc""#, true), (r#""userAgent":"ac""#, false)]);
}

#[test]
fn backslashes_escape_wildcards_and_themselves() {
    for (pattern, matching, other) in [
        (r"a\*", "a*", "ab"),
        (r"a\?", "a?", "ab"),
        (r"a\b", r"a\\b", "ab"),
        (r"a\\b", r"a\\b", r"a\\\\b"),
        (r"a\\*", r"a\\x", "a*"),
        (r"a\\\*", r"a\\*", r"a\\x"),
        (r"a\", r"a\\", "a"),
    ] {
        let agent = |says: &str| format!(r#""userAgent":"{says}""#);
        selects(&format!("{{userAgent: '{pattern}'}}"), &[(&agent(matching), true), (&agent(other), false)]);
    }
}

#[test]
fn a_star_takes_whatever_is_there() {
    selects(
        "{requestObject.spec.a: '*'}",
        &[
            (r#""requestObject":{"spec":{"a":""}}"#, true),
            (r#""requestObject":{"spec":{"a":0}}"#, true),
            (r#""requestObject":{"spec":{"a":false}}"#, true),
            (r#""requestObject":{"spec":{"a":{}}}"#, true),
            (r#""requestObject":{"spec":{"a":[1]}}"#, true),
            (r#""requestObject":{"spec":{"a":[]}}"#, false),
            (r#""requestObject":{"spec":{"a":null}}"#, false),
            (r#""requestObject":{"spec":{"b":1}}"#, false),
            ("", false),
        ],
    );
}

#[test]
fn null_empty_and_exists_differ() {
    let absent = (r#""requestObject":{"spec":{}}"#, r#""objectRef":{}"#);
    let null = (r#""requestObject":{"spec":{"a":null}}"#, r#""objectRef":{"name":null}"#);
    let empty = (r#""requestObject":{"spec":{"a":""}}"#, r#""objectRef":{"name":""}"#);
    let full = (r#""requestObject":{"spec":{"a":"x"}}"#, r#""objectRef":{"name":"x"}"#);
    for (suffix, values) in [
        (": null", [true, true, false, false]),
        (": ''", [false, false, true, false]),
        ("|exists: true", [false, true, true, true]),
        ("|exists: false", [true, false, false, false]),
        (": '*'", [false, false, true, true]),
        ("|neq: null", [false, false, true, true]),
        ("|neq: x", [true, true, true, false]),
    ] {
        for ((body, reference), expected) in [absent, null, empty, full].into_iter().zip(values) {
            selects(&format!("{{requestObject.spec.a{suffix}}}"), &[(body, expected)]);
            selects(&format!("{{objectRef.name{suffix}}}"), &[(reference, expected)]);
        }
    }
    // An empty list leads to no value.
    selects("{requestObject.a: null}", &[(r#""requestObject":{"a":[]}"#, true)]);
    selects("{requestObject.a|exists: true}", &[(r#""requestObject":{"a":[]}"#, true)]);
}

#[test]
fn numbers_and_booleans_compare_by_value_or_as_written() {
    let code = |code: &str| format!(r#""responseStatus":{{"code":{code}}}"#);
    selects(
        "{responseStatus.code: 403}",
        &[(&code("403"), true), (&code("\"403\""), true), (&code("4.03e2"), true), (&code("404"), false)],
    );
    selects("{responseStatus.code: [401, 403]}", &[(&code("401"), true), (&code("200"), false)]);
    selects("{responseStatus.code: '40?'}", &[(&code("403"), true), (&code("4031"), false)]);
    selects("{responseStatus.code|startswith: 40}", &[(&code("403"), true), (&code("500"), false)]);
    selects("{responseStatus.code: ALLOW}", &[(&code("\"ALLOW\""), true), (&code("200"), false)]);
    selects(
        "{requestObject.a: true}",
        &[
            (r#""requestObject":{"a":true}"#, true),
            (r#""requestObject":{"a":"True"}"#, true),
            (r#""requestObject":{"a":1}"#, false),
        ],
    );
    // Sigma's YAML takes single letters for strings.
    selects("{requestObject.a: y}", &[(r#""requestObject":{"a":"y"}"#, true)]);
    selects("{requestObject.a: 'true'}", &[(r#""requestObject":{"a":true}"#, true)]);
    selects("{requestObject.a: 1.5}", &[(r#""requestObject":{"a":1.50}"#, true)]);
    // Beyond 2^53 floats would say that these are the same.
    selects(
        "{requestObject.a: 9007199254740993}",
        &[
            (r#""requestObject":{"a":9007199254740993}"#, true),
            (r#""requestObject":{"a":9007199254740992}"#, false),
        ],
    );
}

#[test]
fn lists_are_alternatives_unless_all_are_wanted() {
    selects(
        "{verb: [get, list, 'wat*']}",
        &[(r#""verb":"list""#, true), (r#""verb":"watch""#, true), (r#""verb":"create""#, false)],
    );
    selects(
        "{requestURI|contains|all: ['command=sh', 'stdin=true']}",
        &[
            (r#""requestURI":"/exec?command=sh&stdin=true""#, true),
            (r#""requestURI":"/exec?command=sh""#, false),
        ],
    );
    // Each of several may be met by another element.
    selects(
        "{sourceIPs|all: [10.0.0.1, 10.0.0.2]}",
        &[(r#""sourceIPs":["10.0.0.2","10.0.0.1"]"#, true), (r#""sourceIPs":["10.0.0.1"]"#, false)],
    );
}

#[test]
fn modifiers_say_where_a_value_stands() {
    let agent = |says: &str| format!(r#""userAgent":"{says}""#);
    for (selection, hit, miss) in [
        ("{userAgent|contains: 'BeCt'}", "kubectl", "kube"),
        ("{userAgent|contains|cased: beCt}", "beCt", "bect"),
        ("{userAgent|startswith: Kube}", "kubectl", "akube"),
        ("{userAgent|endswith: Ctl}", "kubectl", "ctl2"),
        ("{userAgent|startswith: 'k?b'}", "kubectl", "kuubectl"),
        ("{userAgent|contains: ''}", "anything", ""),
    ] {
        selects(selection, &[(&agent(hit), true)]);
        if !miss.is_empty() {
            selects(selection, &[(&agent(miss), false)]);
        }
    }
}

#[test]
fn regular_expressions_are_searched_for() {
    let uri = |says: &str| format!(r#""requestURI":"{says}""#);
    for (selection, hit, miss) in [
        ("{requestURI|re: 'command=(ba)?sh'}", "/exec?command=bash", "/exec?command=Bash"),
        ("{requestURI|re: '^/api$'}", "/api", "/apis"),
        ("{requestURI|re|i: 'BASH'}", "bash", "dash"),
        ("{requestURI|re: 'a.b'}", "a-b", "a\\nb"),
        ("{requestURI|re|s: 'a.b'}", "a\\nb", "ab"),
        ("{requestURI|re|m: '^b'}", "a\\nb", "ab"),
        ("{requestURI|re|i|m|s: '^B.c'}", "a\\nb\\nc", "ab"),
        ("{requestURI|re: '\\.\\./'}", "/../x", "/a/x"),
    ] {
        selects(selection, &[(&uri(hit), true), (&uri(miss), false)]);
    }
}

#[test]
fn addresses_are_within_networks() {
    let ip = |says: &str| format!(r#""sourceIPs":["{says}"]"#);
    for (network, hit, miss) in [
        ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
        ("10.0.0.0/8", "::ffff:10.0.0.1", "::10.0.0.1"),
        ("[10.0.0.0/8, 192.168.0.0/16]", "192.168.0.1", "nonsense"),
        ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
        ("'2001:db8::/32'", "2001:db8:1::1", "2001:db9::1"),
        ("0.0.0.0/0", "1.2.3.4", "2001:db8::1"),
        ("'::/0'", "2001:db8::1", "1.2.3.4"),
    ] {
        selects(&format!("{{sourceIPs|cidr: {network}}}"), &[(&ip(hit), true), (&ip(miss), false)]);
    }
}

#[test]
fn numbers_are_ordered() {
    let code = |code: &str| format!(r#""responseStatus":{{"code":{code}}}"#);
    for (modifier, below, same, above) in [
        ("lt", true, false, false),
        ("lte", true, true, false),
        ("gt", false, false, true),
        ("gte", false, true, true),
    ] {
        selects(
            &format!("{{responseStatus.code|{modifier}: 400}}"),
            &[
                (&code("399.5"), below),
                (&code("\"400\""), same),
                (&code("401"), above),
                (&code("\"x\""), false),
                (&code("null"), false),
                ("", false),
            ],
        );
    }
}

#[test]
fn fields_are_compared_with_fields() {
    let names = |user: &str, name: &str| {
        format!(
            r#""user":{{"username":"{user}"}},"requestObject":{{"a":[1,"{name}"]}},"annotations":{{"n":"{name}"}}"#
        )
    };
    for (modifiers, user, name, expected) in [
        ("", "Jane", "jane", true),
        ("|cased", "Jane", "jane", false),
        ("|startswith", "jane-2", "jane", true),
        ("|startswith", "jane", "jane-2", false),
        ("|endswith", "a-jane", "jane", true),
        ("|contains", "a-jane-2", "jane", true),
        ("|contains", "june", "jane", false),
        ("|neq", "jane", "june", true),
        ("|neq", "jane", "jane", false),
    ] {
        for other in ["requestObject.a", "annotations.n"] {
            selects(
                &format!("{{user.username|fieldref{modifiers}: {other}}}"),
                &[(&names(user, name), expected)],
            );
        }
    }
    selects("{requestObject.a|fieldref: annotations.n}", &[(&names("", "x"), true)]);
    selects("{user.username|fieldref: impersonatedUser.username}", &[(&names("", "x"), false)]);
}

#[test]
fn encodings_are_applied_in_order() {
    let value = |says: &str| format!(r#""requestObject":{{"a":"{says}"}}"#);
    for (selection, hit, miss) in [
        ("{requestObject.a|base64: 'foo'}", "Zm9v", "foo"),
        ("{requestObject.a|base64: 'fo'}", "Zm8=", "Zm9v"),
        // "system:masters" after no, one and two other bytes.
        ("{requestObject.a|base64offset|contains: 'system:masters'}", "c3lzdGVtOm1hc3RlcnM=", "c3lzdGVt"),
        ("{requestObject.a|base64offset|contains: 'system:masters'}", "eHN5c3RlbTptYXN0ZXJz", "eHN5c3RlbQ=="),
        ("{requestObject.a|base64offset|contains: 'system:masters'}", "eHlzeXN0ZW06bWFzdGVycy4=", "eHk="),
        ("{requestObject.a|wide|base64: 'ab'}", "YQBiAA==", "YWI="),
        ("{requestObject.a|utf16le|base64: 'ab'}", "YQBiAA==", "YWI="),
        ("{requestObject.a|utf16be|base64: 'ab'}", "AGEAYg==", "YWI="),
        ("{requestObject.a|utf16|base64: 'ab'}", "//5hAGIA", "YWI="),
        ("{requestObject.a|windash|contains: ' -enc'}", "ps \u{2013}enc x", "ps =enc"),
        ("{requestObject.a|windash|contains: ' -a -b'}", "x /a \u{2015}b", "x /a b"),
    ] {
        selects(selection, &[(&value(hit), true), (&value(miss), false)]);
    }
}

#[test]
fn times_have_parts() {
    for (selection, hit, miss) in [
        ("{stageTimestamp|minute: 7}", "2025-06-01T12:07:56.789Z", "2025-06-01T12:08:00Z"),
        ("{stageTimestamp|hour: [0, 1]}", "2025-06-01T01:07:56Z", "2025-06-01T02:00:00Z"),
        ("{stageTimestamp|day: 31}", "2025-12-31T00:00:00Z", "nonsense"),
        ("{stageTimestamp|month: 2}", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"),
        ("{stageTimestamp|year: 2024}", "2024-02-29T00:00:00Z", "2025-03-01T00:00:00Z"),
        // ISO 8601: the last days of a year may lie in the next one's first week, and the other way round.
        ("{stageTimestamp|week: 1}", "2024-12-30T00:00:00Z", "2024-12-29T00:00:00Z"),
        ("{stageTimestamp|week: 53}", "2021-01-03T00:00:00Z", "2021-01-04T00:00:00Z"),
        ("{stageTimestamp|week: 52}", "2023-01-01T00:00:00Z", "2023-01-02T00:00:00Z"),
        ("{stageTimestamp|week: 10}", "2024-03-10T00:00:00Z", "2024-03-11T00:00:00Z"),
    ] {
        let at = |time: &str| format!(r#""stageTimestamp":"{time}""#);
        selects(selection, &[(&at(hit), true), (&at(miss), false)]);
    }
}

#[test]
fn paths_lead_through_objects_arrays_and_dotted_names() {
    selects(
        "{requestObject.spec.containers.securityContext.privileged: true}",
        &[
            (r#""requestObject":{"spec":{"containers":[{},{"securityContext":{"privileged":true}}]}}"#, true),
            (
                r#""requestObject":{"spec":{"containers":{"securityContext":{"privileged":[[false],[true]]}}}}"#,
                true,
            ),
            (r#""requestObject":{"spec":{"containers":[{"securityContext":{"privileged":false}}]}}"#, false),
            (
                r#""requestObject":{"spec":{"initContainers":[{"securityContext":{"privileged":true}}]}}"#,
                false,
            ),
            (r#""responseObject":{"spec":{"containers":[{"securityContext":{"privileged":true}}]}}"#, false),
        ],
    );
    selects(
        "{annotations.authorization.k8s.io/decision: forbid}",
        &[
            (r#""annotations":{"authorization.k8s.io/decision":"forbid"}"#, true),
            (r#""annotations":{"authorization.k8s.io/decision":"allow"}"#, false),
            (r#""annotations":{"authorization":{"k8s.io/decision":"forbid"}}"#, true),
            (r#""annotations":{"decision":"forbid"}"#, false),
        ],
    );
    selects(
        "{requestObject.metadata.labels.app.kubernetes.io/name: x}",
        &[(r#""requestObject":{"metadata":{"labels":{"app":"y","app.kubernetes.io/name":"x"}}}"#, true)],
    );
    // One path may be the beginning of another.
    selects(
        "{requestObject.a: 1, requestObject.a.b: 2}",
        &[(r#""requestObject":{"a":[1,{"b":2}]}"#, true), (r#""requestObject":{"a":{"b":2}}"#, false)],
    );
    // Of a member that stands twice, each counts.
    selects("{requestObject.a: evil}", &[(r#""requestObject":{"a":"evil","a":"good"}"#, true)]);
    selects("{requestObject.a: evil}", &[(r#""requestObject":{"\u0061":"evil"}"#, true)]);
    selects("{user.groups: 'system:masters'}", &[(r#""user":{"groups":["a","system:masters"]}"#, true)]);
    selects("{user.extra.arn|contains: ram}", &[(r#""user":{"extra":{"arn":["acs:ram::1"]}}"#, true)]);
    selects("{requestObject|exists: true}", &[(r#""requestObject":{}"#, true), ("", false)]);
    selects("{requestObject: '*'}", &[(r#""requestObject":[1]"#, true), (r#""requestObject":[]"#, false)]);
    selects("{kubernetes.labels.team: x}", &[(r#""kubernetes":{"labels":{"team":"x"}}"#, true)]);
    // Names are case-sensitive.
    selects("{Verb: get}", &[(r#""verb":"get""#, false)]);
}

#[test]
fn a_bare_name_is_found_wherever_it_stands() {
    selects(
        "{hostPath: '*'}",
        &[
            (r#""requestObject":{"spec":{"volumes":[{"name":"a","hostPath":{"path":"/"}}]}}"#, true),
            (r#""responseObject":{"items":[{"x":{"hostPath":"/"}}]}"#, true),
            (r#""requestObject":{"spec":{"volumes":[{"hostPath":null}]}}"#, false),
            (r#""annotations":{"hostPath":"x"}"#, false),
            (r#""user":{"extra":{"hostPath":["x"]}}"#, false),
        ],
    );
    selects(
        "{apiGroup: apps}",
        &[
            (r#""objectRef":{"apiGroup":"apps"}"#, true),
            (r#""objectRef":{"apiGroup":"batch"}"#, false),
            (r#""objectRef":{"resource":"x"},"requestObject":{"roleRef":{"apiGroup":"apps"}}"#, true),
        ],
    );
    // A member of the record itself comes first.
    selects(
        "{cluster: prod}",
        &[
            (r#""cluster":"prod""#, true),
            (r#""requestObject":{"cluster":"prod"}"#, true),
            (r#""requestObject":{"cluster":"prod"},"cluster":"test""#, false),
        ],
    );
    // What `Event` itself has is that and nothing else.
    selects("{level: high}", &[(r#""requestObject":{"level":"high"}"#, false)]);
}

#[test]
fn events_of_v1alpha1_have_their_group_in_the_version() {
    let (rules, _) = compile(&rule_of("s: {objectRef.apiGroup: apps}\ncondition: s"));
    let event = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1alpha1","auditID":"1","stage":"ResponseComplete","objectRef":{"resource":"deployments","apiVersion":"apps/v1"}}"#;
    assert_eq!(hits(&rules, &mut Scratch::default(), event, &()).len(), 1);
}

#[test]
fn keywords_are_contained_anywhere() {
    detects(
        "keywords: [evil, 'b?d*y']\ncondition: keywords",
        &[
            (r#""requestObject":{"a":[{"b":"so EVIL!"}]}"#, true),
            (r#""userAgent":"evil""#, true),
            (r#""userAgent":"a bad guy""#, true),
            (r#""requestObject":{"evil":1}"#, false),
            (r#""note":"evil""#, true),
            ("", false),
        ],
    );
    detects(
        "keywords:\n  '|all': [one, two]\ncondition: keywords",
        &[(r#""userAgent":"one","requestObject":{"a":"two"}"#, true), (r#""userAgent":"one""#, false)],
    );
    detects("keywords:\n  '|re': 'e.il$'\ncondition: keywords", &[(r#""userAgent":"an evil""#, true)]);
    detects("keywords: evil\ncondition: keywords", &[(r#""userAgent":"evil""#, true)]);
    detects("keywords: 4625\ncondition: keywords", &[(r#""requestObject":{"a":46251}"#, true)]);
}

#[test]
fn selections_combine() {
    let get_pods = r#""verb":"get","objectRef":{"resource":"pods"}"#;
    let get = r#""verb":"get""#;
    let pods = r#""verb":"x","objectRef":{"resource":"pods"}"#;
    let neither = r#""verb":"x""#;
    // What holds: [get and pods, get, pods, neither]
    for (condition, expected) in [
        ("sel_a", [true, true, false, false]),
        ("sel_a and sel_b", [true, false, false, false]),
        ("sel_a or sel_b", [true, true, true, false]),
        ("not sel_a", [false, false, true, true]),
        ("not not sel_a", [true, true, false, false]),
        ("sel_a and not sel_b", [false, true, false, false]),
        ("not sel_a and not sel_b", [false, false, false, true]),
        ("not (sel_a and sel_b)", [false, true, true, true]),
        ("not (sel_a or sel_b)", [false, false, false, true]),
        ("sel_b or sel_a and not sel_b", [true, true, true, false]),
        ("(sel_b or sel_a) and not sel_b", [false, true, false, false]),
        ("1 of them", [true, true, true, false]),
        ("any of sel*", [true, true, true, false]),
        ("all of them", [true, false, false, false]),
        ("all of sel_*", [true, false, false, false]),
        ("1 of *_b", [true, false, true, false]),
        ("1 of sel_a", [true, true, false, false]),
        ("not 1 of sel_*", [false, false, false, true]),
        ("not all of sel_*", [false, true, true, true]),
        ("1 of _h*", [true, true, true, true]),
        ("sel_a AND NOT sel_b", [false, true, false, false]),
        ("((sel_a))and(sel_b)", [true, false, false, false]),
        ("[sel_a, sel_b]", [true, true, true, false]),
    ] {
        let detection = format!(
            "sel_a: {{verb: get}}\nsel_b: {{objectRef.resource: pods}}\n_hidden: {{kind: Event}}\ncondition: {condition}"
        );
        for (event, expected) in [get_pods, get, pods, neither].into_iter().zip(expected) {
            detects(&detection, &[(event, expected)]);
        }
    }
    selects(
        "[{verb: get, level: Request}, {verb: list}]",
        &[
            (r#""verb":"get","level":"Request""#, true),
            (r#""verb":"get""#, false),
            (r#""verb":"list""#, true),
        ],
    );
    selects("[{verb: get}, evil]", &[(r#""userAgent":"evil""#, true), (r#""verb":"get""#, true)]);
}

#[test]
fn rules_ask_for_findings() {
    let (rules, problems) = compile(&rule_of(
        "s: {audit.source_scope: public, audit.source_high_risk: true, audit.operator_type|neq: node}\ncondition: s",
    ));
    assert!(problems.is_empty(), "{problems:?}");
    let scope = (AuditField::SourceScope, AuditValue::Text(b"public"));
    let risk = (AuditField::SourceHighRisk, AuditValue::Bool(true));
    let node = (AuditField::OperatorType, AuditValue::Text(b"node"));
    for (findings, expected) in
        [(vec![scope, risk], 1), (vec![scope], 0), (vec![risk], 0), (vec![scope, risk, node], 0)]
    {
        let hits = hits(&rules, &mut Scratch::default(), &event_of(""), &Findings(&findings));
        assert_eq!(hits.len(), expected, "{findings:?}");
    }
}

#[test]
fn routes_take_the_first_selection_that_is_met() {
    let mut problems = Problems::default();
    let mut builder = Selections::builder();
    for selection in [
        "{audit.severity: [high, critical]}",
        "[{audit.tags: exec}, {verb: delete, requestObject.a: 1}]",
        "{audit.tags|contains: x}",
    ] {
        let node = yaml::parse(selection).unwrap().remove(0);
        builder.add(&Arc::from("audit-filter.yaml"), "routes[0].when", &node, &mut problems);
    }
    builder.add_always();
    assert!(problems.as_slice().is_empty(), "{problems:?}");
    let selections = builder.finish();
    let severity = (AuditField::Severity, AuditValue::Text(b"high"));
    let tags = [
        (AuditField::Tags, AuditValue::Text(b"attack.t1609")),
        (AuditField::Tags, AuditValue::Text(b"exec")),
    ];
    let mut scratch = Scratch::default();
    for (findings, members, expected) in [
        (vec![severity, tags[0], tags[1]], "", 0),
        (tags.to_vec(), "", 1),
        (vec![], r#""verb":"delete","requestObject":{"a":1}"#, 1),
        (vec![tags[0]], r#""verb":"delete","requestObject":{"a":2}"#, 3),
        (vec![], "", 3),
    ] {
        let event = event_of(members);
        let event = Event::read(event.as_bytes(), b"audit").unwrap();
        let first = selections.first_match(&mut scratch, &event, &Findings(&findings));
        assert_eq!(first, Some(expected), "{findings:?} {members}");
    }
}

#[test]
fn what_lies_too_deep_or_is_too_long_is_reported() {
    let (rules, _) = compile(&rule_of("s: {deep: 1}\nt: {requestURI|re: x$}\ncondition: s or t"));
    let nested = |depth: usize| {
        format!(r#""requestObject":{}{{"deep":1}}{}"#, r#"{"a":"#.repeat(depth), "}".repeat(depth))
    };
    let long = |length: usize| format!(r#""requestURI":"{}x""#, "a".repeat(length));
    for (members, holds, cut) in [
        (nested(100), true, false),
        (nested(200), false, true),
        (long(1000), true, false),
        (long(100_000), false, true),
        (format!(r#""requestObject":{}{}"#, "[".repeat(100_000), "]".repeat(100_000)), false, true),
    ] {
        let mut scratch = Scratch::default();
        let found = hits(&rules, &mut scratch, &event_of(&members), &());
        assert_eq!((!found.is_empty(), scratch.cut_short()), (holds, cut), "{:.60}", members);
    }
    // More values than are kept for a comparison.
    let (rules, _) = compile(&rule_of("s: {requestObject.a|fieldref: requestObject.b}\ncondition: s"));
    let many = format!(r#""requestObject":{{"a":[{}0],"b":1}}"#, "2,".repeat(1000));
    let mut scratch = Scratch::default();
    assert!(hits(&rules, &mut scratch, &event_of(&many), &()).is_empty());
    assert!(scratch.cut_short());
}

#[test]
fn many_rules_are_told_apart_by_what_they_ask_for() {
    let mut problems = Problems::default();
    let mut builder = RuleSet::builder(Vec::new());
    let shapes = [
        "{verb: create, objectRef.resource: pods, objectRef.name: xN}",
        "{verb: create, objectRef.resource: pods, userAgent|contains: agent-N-}",
        "{userAgent|startswith: [tool-N-, 'other-N-*x']}",
        "{requestURI: '*/N/*/exec', verb: [get, create]}",
        "{user.username: [uN, vN], requestObject.a: 1}",
        "{verb: delete, requestObject.spec.N: true}",
    ];
    for number in 0..100 {
        for shape in shapes {
            let detection = format!("s: {}\ncondition: s", shape.replace('N', &number.to_string()));
            let id = format!("r{}", builder.rules.len());
            let text = rule_of(&detection).replace("00000000-0000-4000-8000-000000000001", &id);
            builder.add(&Arc::from("rule.yml"), &text, &mut problems);
        }
    }
    assert!(problems.as_slice().is_empty(), "{problems:?}");
    let rules = builder.finish(&mut problems);
    let mut scratch = Scratch::default();
    let pods = r#""objectRef":{"resource":"pods","name":"x7"}"#;
    for (members, expected) in [
        (format!(r#""verb":"create",{pods}"#), vec![7 * 6]),
        (format!(r#""verb":"get",{pods}"#), vec![]),
        (format!(r#""verb":"create","userAgent":"an Agent-42-x",{pods}"#), vec![7 * 6, 42 * 6 + 1]),
        (r#""userAgent":"tool-3-tool-3-tool-4-""#.to_owned(), vec![3 * 6 + 2]),
        (r#""userAgent":"other-5-.x""#.to_owned(), vec![5 * 6 + 2]),
        (r#""verb":"get","requestURI":"/pods/9/x/exec""#.to_owned(), vec![9 * 6 + 3]),
        (r#""user":{"username":"V11"},"requestObject":{"a":1}"#.to_owned(), vec![11 * 6 + 4]),
        (
            r#""verb":"delete","requestObject":{"spec":{"1":true,"99":true}}"#.to_owned(),
            vec![6 + 5, 99 * 6 + 5],
        ),
    ] {
        let found = hits(&rules, &mut scratch, &event_of(&members), &());
        assert_eq!(found, expected.into_iter().map(RuleId).collect::<Vec<_>>(), "{members}");
    }
}

#[test]
fn mistakes_are_pointed_at() {
    let base = "title: A rule\nid: x\nlevel: low\nlogsource: {product: kubernetes, service: audit}\n";
    let of = |selection: &str| format!("{base}detection:\n  s: {selection}\n  condition: s\n");
    let when = |condition: &str| format!("{base}detection:\n  s: {{verb: x}}\n  condition: {condition}\n");
    for (text, line, field, message) in [
        ("title: a: b".to_owned(), 1, "", "not YAML"),
        ("- a".to_owned(), 1, "", "expected a Sigma rule, found a list"),
        (
            "id: x\nlogsource: {product: kubernetes}\ndetection: {s: {verb: x}, condition: s}\n".to_owned(),
            1,
            "title",
            "missing",
        ),
        (
            "title: 3\nid: x\nlogsource: {product: kubernetes}\ndetection: {s: {verb: x}, condition: s}\n"
                .to_owned(),
            1,
            "title",
            "the number 3",
        ),
        (of("{verb: x}").replace("level: low", "level: severe"), 3, "level", "found the string \"severe\""),
        (
            of("{verb: x}").replace("product: kubernetes", "product: windows"),
            4,
            "logsource.product",
            "\"windows\" is another log",
        ),
        (
            of("{verb: x}").replace("service: audit", "service: security"),
            4,
            "logsource.service",
            "\"security\"",
        ),
        (
            of("{verb: x}").replace("product: kubernetes, service: audit", "definition: x"),
            4,
            "logsource",
            "names no log",
        ),
        (of("{verb: x}").replace("logsource", "source"), 1, "logsource", "missing"),
        (of("{verb: x}").replace("level: low", "status: unsupported"), 3, "status", "cannot be used"),
        (of("{verb: x}").replace("level: low", "status: fine"), 3, "status", "found the string \"fine\""),
        (of("{verb: x}").replace("level: low", "tags: [a b]"), 3, "tags", "\"a b\" is no tag"),
        (base.to_owned(), 1, "detection", "missing"),
        (format!("{base}detection: x\n"), 5, "detection", "expected a mapping"),
        (format!("{base}detection:\n  s: {{verb: x}}\n"), 6, "detection.condition", "missing"),
        (
            format!("{base}detection:\n  s: {{verb: x}}\n  s: {{verb: y}}\n  condition: s\n"),
            7,
            "detection.s",
            "given twice",
        ),
        (
            format!("{base}detection:\n  s: {{verb: x}}\n  timeframe: 5m\n  condition: s\n"),
            7,
            "detection.timeframe",
            "correlation",
        ),
        (of("{}"), 6, "detection.s", "empty map"),
        (of("[]"), 6, "detection.s", "empty list"),
        (of("[[a]]"), 6, "detection.s[0]", "a list within a list"),
        (of("{verb: []}"), 6, "detection.s.verb", "empty list"),
        (of("{verb: {a: b}}"), 6, "detection.s.verb", "joined by dots"),
        (of("{verb: [a, [b]]}"), 6, "detection.s.verb", "expected a plain value, found a list"),
        (of("{verb: x, verb: y}"), 6, "detection.s.verb", "given twice"),
        (of("{verb|contain: x}"), 6, "detection.s.verb|contain", "unknown modifier \"contain\"; known: all,"),
        (of("{verb|expand: '%x%'}"), 6, "detection.s.verb|expand", "placeholders"),
        (of("{verb|cased|cased: x}"), 6, "detection.s.verb|cased|cased", "given twice"),
        (of("{verb|contains|startswith: x}"), 6, "detection.s.verb|contains|startswith", "\"startswith\""),
        (of("{verb|i: x}"), 6, "detection.s.verb|i", "re|i"),
        (of("{verb|re|contains: x}"), 6, "detection.s.verb|re|contains", "anchor it"),
        (of("{verb|re|cased: x}"), 6, "detection.s.verb|re|cased", "case-sensitive"),
        (of("{verb|re|cidr: x}"), 6, "detection.s.verb|re|cidr", "cannot be combined with \"re\""),
        (of("{verb|contains|base64: x}"), 6, "detection.s.verb|contains|base64", "write it before"),
        (of("{verb|base64|gt: 1}"), 6, "detection.s.verb|base64|gt", "cannot be combined with \"base64\""),
        (of("{verb|base64: 'a*'}"), 6, "detection.s.verb|base64", "wildcards"),
        (of("{verb|re: '('}"), 6, "detection.s.verb|re", "regular expression \"(\""),
        (of("{verb|re: '(?=a)'}"), 6, "detection.s.verb|re", "look-around"),
        (
            of(&format!("{{verb|re: '{}a{}'}}", "(".repeat(15), ")".repeat(15))),
            6,
            "detection.s.verb|re",
            "nest deeper than 3",
        ),
        (of("{verb|re: '(a{1000}){1000}'}"), 6, "detection.s.verb|re", "regular expression"),
        (of("{verb|cidr: 10.0.0.0/33}"), 6, "detection.s.verb|cidr", "0 to 32"),
        (
            of("{verb|gt: x}"),
            6,
            "detection.s.verb|gt",
            "\"gt\" compares with a number, found the string \"x\"",
        ),
        (of("{verb|hour: 1.5}"), 6, "detection.s.verb|hour", "whole number"),
        (of("{verb|exists: maybe}"), 6, "detection.s.verb|exists", "true or false"),
        (of("{verb|exists|all: true}"), 6, "detection.s.verb|exists|all", "no other"),
        (of("{verb|contains: null}"), 6, "detection.s.verb|contains", "null cannot be combined"),
        (of("{verb|windash: ' -a -b -c -d -e'}"), 6, "detection.s.verb|windash", "at most 4"),
        (of("{'|exists': true}"), 6, "detection.s.|exists", "needs a field"),
        (of("[null]"), 6, "detection.s", "null needs a field"),
        (of("{a..b: x}"), 6, "detection.s.a..b", "empty step"),
        (of("{'a.b[].c': x}"), 6, "detection.s.a.b[].c", "brackets"),
        (
            of("{audit.scope: x}"),
            6,
            "detection.s.audit.scope",
            "there is no field audit.scope; there are: audit.operator,",
        ),
        (of("{audit.tags: x}"), 6, "detection.s.audit.tags", "only a route's"),
        (when("s and t"), 7, "detection.condition", "no selection is named \"t\"; there are: s"),
        (when("s t"), 7, "detection.condition", "before \"t\""),
        (when("s and"), 7, "detection.condition", "ends where"),
        (when("and s"), 7, "detection.condition", "expected a selection before \"and\""),
        (when("(s"), 7, "detection.condition", "opening bracket"),
        (when("s)"), 7, "detection.condition", "closing bracket"),
        (when("1 of t*"), 7, "detection.condition", "named like \"t*\"; there are: s"),
        (when("2 of them"), 7, "detection.condition", "1 of, any of or all of"),
        (when("s | count() > 5"), 7, "detection.condition", "write a correlation"),
        (when("''"), 7, "detection.condition", "expected a condition"),
        (when("[]"), 7, "detection.condition", "empty list"),
        (when(&format!("{}s", "not ".repeat(100))), 7, "detection.condition", "nests deeper"),
        (when(&"s or ".repeat(1000)), 7, "detection.condition", "more than 1000 words"),
        (format!("{}---\n{}", of("{verb: x}"), of("{verb: y}")), 9, "id", "x is taken by rule.yml:1"),
        ("title: x\nfilter: {rules: []}\n".to_owned(), 1, "filter", "not supported"),
        ("action: global\ntitle: x\n".to_owned(), 1, "action", "not supported"),
    ] {
        let (_, problems) = compile(&text);
        let errors: Vec<_> = problems.iter().filter(|problem| problem.severity == Gravity::Error).collect();
        let [error] = errors.as_slice() else { panic!("{text}\n{problems:#?}") };
        assert_eq!((error.line, error.field.as_str()), (line, field), "{text}\n{error}");
        assert!(error.message.contains(message), "{text}\n{error}");
    }
}

#[test]
fn oddities_are_warned_of() {
    let base = "title: A rule\nlogsource: {product: kubernetes, service: audit}\n";
    let of = |rest: &str| format!("{base}{rest}");
    for (text, line, field, message) in [
        (of("detection: {s: {verb: x}, condition: s}"), 1, "id", "UUID"),
        (
            of("id: x\ndetection:\n  s: {verb: x}\n  t: {verb: y}\n  condition: s"),
            6,
            "detection.t",
            "not used",
        ),
        (
            of("id: x\ndetection:\n  s: {verb|all: x}\n  condition: s"),
            5,
            "detection.s.verb|all",
            "single value",
        ),
        (
            of("id: x\ndetection:\n  s: {verb: [x, null]}\n  condition: s"),
            5,
            "detection.s.verb",
            "of its own",
        ),
        (of("id: x\ntags: [exec]\ndetection: {s: {verb: x}, condition: s}"), 4, "tags", "write audit.exec"),
    ] {
        let (rules, problems) = compile(&text);
        let [warning] = problems.as_slice() else { panic!("{text}\n{problems:#?}") };
        assert_eq!(warning.severity, Gravity::Warning);
        assert_eq!((warning.line, warning.field.as_str()), (line, field), "{text}\n{warning}");
        assert!(warning.message.contains(message), "{text}\n{warning}");
        assert_eq!(rules.rules().len(), 1);
    }
}

#[test]
fn a_rule_says_who_it_is() {
    let text = "title: T\nid: 1-2\nname: en\nlevel: high\ntags: [attack.t1609, audit.exec, attack.t1609]\n\
                logsource: {category: application, product: kubernetes, service: audit}\n\
                detection: {s: {verb: x}, condition: s}\n";
    let (rules, problems) = compile(text);
    assert!(problems.is_empty(), "{problems:?}");
    let rule = rules.rule(RuleId(0)).unwrap();
    assert_eq!((&*rule.id, rule.name.as_deref(), &*rule.title), ("1-2", Some("en"), "T"));
    assert_eq!((rule.level, &*rule.file, rule.line), (Severity::High, "rule.yml", 1));
    assert_eq!(rule.tags.iter().map(|tag| &**tag).collect::<Vec<_>>(), ["attack.t1609", "exec"]);
    // Without an id, the name stands in, then the title.
    let named = compile(&text.replace("id: 1-2\n", "")).0;
    assert_eq!(&*named.rules()[0].id, "en");
    let titled = compile(&text.replace("id: 1-2\nname: en\n", "")).0;
    assert_eq!(&*titled.rules()[0].id, "T");
}

#[test]
fn a_disabled_rule_is_checked_and_left_out() {
    let mut problems = Problems::default();
    let mut builder = RuleSet::builder(["1".to_owned(), "3".to_owned()].into());
    let file = Arc::from("rules.yml");
    for id in ["1", "2"] {
        let text = rule_of("s: {verb: get}\ncondition: s")
            .replace("00000000-0000-4000-8000-000000000001", &format!("'{id}'"));
        builder.add(&file, &text, &mut problems);
    }
    assert!(problems.as_slice().is_empty(), "{problems:?}");
    assert_eq!(builder.disabled_in_vain().collect::<Vec<_>>(), ["3"]);
    let rules = builder.finish(&mut problems);
    assert_eq!(rules.rules().iter().map(|rule| &*rule.id).collect::<Vec<_>>(), ["2"]);
    let found = hits(&rules, &mut Scratch::default(), &event_of(r#""verb":"get""#), &());
    assert_eq!(found, [RuleId(0)]);
}
