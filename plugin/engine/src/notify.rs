//! Notifications: what a chat or an alert manager takes, made from a record that the filter has kept.
//!
//! Stands beside the way of a record, not in it: a collector sends some of the filtered records through here a second
//! time, where it cannot make such bodies itself. Fluent Bit's `http` output posts the string `body` of a record as it
//! is, with the headers in `headers`; for Alertmanager it posts a list of whole records.
//!
//! All texts are an attacker's in part. They go out as plain text: without Markdown, links, or mentions.

use crate::json::{self, Raw};

/// The longest text of a notification in bytes. Commands and names are as long as an attacker likes, and what the
/// services refuse as too long is never seen: `DingTalk` takes 20,000 bytes, Slack shows 4,000 characters.
const MAX_TEXT: usize = 3_000;

/// Who takes the notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receiver {
    /// A robot of a `DingTalk` group: a `text` message.
    DingTalk,
    /// An incoming webhook of Slack: `text` with its control characters escaped.
    Slack,
    /// Prometheus Alertmanager: one alert of `POST /api/v2/alerts`.
    Alertmanager,
}

/// Appends the notification of a record, a JSON object, to `out`; nothing where the record has no `audit` object.
pub fn notification(receiver: Receiver, record: &[u8], out: &mut Vec<u8>) {
    let record = Raw(record.trim_ascii());
    let Some(audit) = record.get(b"audit") else { return };
    let notice = Notice { record, audit };
    match receiver {
        Receiver::DingTalk => {
            let mut body = br#"{"msgtype":"text","text":{"content":"#.to_vec();
            json::push_string(&mut body, &notice.text());
            body.extend_from_slice(b"}}");
            push_post(out, &body);
        }
        Receiver::Slack => {
            let mut body = br#"{"text":"#.to_vec();
            json::push_string(&mut body, &escape_for_slack(&notice.text()));
            body.extend_from_slice(br#","mrkdwn":false}"#);
            push_post(out, &body);
        }
        Receiver::Alertmanager => notice.push_alert(out),
    }
}

/// Appends the record with the client's address as its member `partition_key`, so that a message queue can keep what
/// comes from one address together. A record without an address is appended as it is.
pub fn with_partition_key(record: &[u8], out: &mut Vec<u8>) {
    let record = record.trim_ascii();
    let address = Raw(record).get(b"audit").and_then(|audit| audit.get(b"source_ip")).and_then(Raw::text);
    match (address, record.strip_suffix(b"}")) {
        (Some(address), Some(open)) => {
            out.extend_from_slice(open);
            out.extend_from_slice(br#","partition_key":"#);
            json::push_string(out, &address.decode());
            out.push(b'}');
        }
        _ => out.extend_from_slice(record),
    }
}

/// A record that Fluent Bit posts: its body and its headers.
fn push_post(out: &mut Vec<u8>, body: &[u8]) {
    out.extend_from_slice(br#"{"headers":{"Content-Type":"application/json"},"body":"#);
    json::push_string(out, body);
    out.push(b'}');
}

/// Slack reads `<…>` as a link or a mention and `&…;` as a character.
fn escape_for_slack(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for &byte in text {
        match byte {
            b'&' => escaped.extend_from_slice(b"&amp;"),
            b'<' => escaped.extend_from_slice(b"&lt;"),
            b'>' => escaped.extend_from_slice(b"&gt;"),
            _ => escaped.push(byte),
        }
    }
    escaped
}

/// The record to notify of.
struct Notice<'a> {
    record: Raw<'a>,
    audit: Raw<'a>,
}

impl<'a> Notice<'a> {
    /// The text of a person's message: severity and sentence, correlations, tags, time.
    fn text(&self) -> Vec<u8> {
        let mut text = b"Kubernetes audit [".to_vec();
        text.extend_from_slice(self.severity());
        text.extend_from_slice(b"]: ");
        push_text(&mut text, self.audit.get(b"message"));
        self.push_correlations(&mut text);
        text.truncate(whole_characters(&text, MAX_TEXT));
        let mut tags = Vec::new();
        self.push_tags(&mut tags, b", ");
        for (name, value) in
            [(&b"\ntags: "[..], tags), (b"\ntime: ", decoded(self.record.get(b"stageTimestamp")))]
        {
            if !value.is_empty() {
                text.extend_from_slice(name);
                text.extend_from_slice(value.get(..whole_characters(&value, 500)).unwrap_or_default());
            }
        }
        text
    }

    /// A line for each correlation that fired.
    fn push_correlations(&self, text: &mut Vec<u8>) {
        for alert in self.alerts() {
            text.extend_from_slice(b"\ncorrelation ");
            push_text(text, alert.get(b"rule"));
            for (before, name, after) in [
                (&b": "[..], &b"count"[..], &b" events"[..]),
                (b" in ", b"window_seconds", b" s"),
                (b" of ", b"group", b""),
            ] {
                if let Some(value) = alert.get(name) {
                    text.extend_from_slice(before);
                    text.extend_from_slice(value.0);
                    text.extend_from_slice(after);
                }
            }
        }
    }

    /// One alert of Alertmanager's API. Its labels tell alerts apart: the same of them again is the same alert.
    fn push_alert(&self, out: &mut Vec<u8>) {
        let rule = self.alerts().next().and_then(|alert| alert.get(b"rule"));
        let name: &[u8] =
            if rule.is_some() { b"KubernetesAuditCorrelation" } else { b"KubernetesAuditEvent" };
        let first_rule = self.audit.get(b"rules").and_then(|rules| json::elements(rules).next());
        let object = self.record.get(b"objectRef");
        let of_object = |name: &[u8]| decoded(object.and_then(|object| object.get(name)));
        let labels = [
            (&b"alertname"[..], name.to_vec()),
            (b"severity", self.severity().to_vec()),
            (b"rule", decoded(rule.or(first_rule))),
            (b"operator", decoded(self.audit.get(b"operator"))),
            (b"source_ip", decoded(self.audit.get(b"source_ip"))),
            (b"namespace", of_object(b"namespace")),
            (b"resource", of_object(b"resource")),
        ];
        out.extend_from_slice(br#"{"labels":"#);
        push_object(out, &labels);
        let mut tags = Vec::new();
        self.push_tags(&mut tags, b", ");
        let annotations = [
            (&b"summary"[..], decoded(self.audit.get(b"message"))),
            (b"description", self.text()),
            (b"tags", tags),
            (b"audit_id", decoded(self.record.get(b"auditID"))),
        ];
        out.extend_from_slice(br#","annotations":"#);
        push_object(out, &annotations);
        out.push(b'}');
    }

    fn alerts(&self) -> impl Iterator<Item = Raw<'a>> {
        self.audit.get(b"alerts").into_iter().flat_map(json::elements)
    }

    /// The highest severity of the event's rules and of the correlations that fired on it.
    fn severity(&self) -> &'static [u8] {
        const LEVELS: [&[u8]; 5] = [b"informational", b"low", b"medium", b"high", b"critical"];
        let found = self.alerts().chain([self.audit]).filter_map(|found| found.get(b"severity")?.text());
        let level = found.filter_map(|text| LEVELS.iter().position(|level| text.is(level))).max();
        LEVELS.get(level.unwrap_or_default()).copied().unwrap_or_default()
    }

    fn push_tags(&self, text: &mut Vec<u8>, between: &[u8]) {
        let tags = self.audit.get(b"tags").into_iter().flat_map(json::elements);
        for tag in tags.filter_map(Raw::text) {
            if !text.is_empty() {
                text.extend_from_slice(between);
            }
            text.extend_from_slice(&tag.decode());
        }
    }
}

/// A JSON object of strings, without those that are empty: Alertmanager has no empty labels.
fn push_object(out: &mut Vec<u8>, members: &[(&[u8], Vec<u8>)]) {
    out.push(b'{');
    let mut first = true;
    for (name, value) in members.iter().filter(|(_, value)| !value.is_empty()) {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        json::push_string(out, name);
        out.push(b':');
        json::push_string(out, value.get(..whole_characters(value, MAX_TEXT)).unwrap_or_default());
    }
    out.push(b'}');
}

fn decoded(value: Option<Raw<'_>>) -> Vec<u8> {
    let mut text = Vec::new();
    push_text(&mut text, value);
    text
}

/// Appends a string's characters; nothing of what is none.
fn push_text(text: &mut Vec<u8>, value: Option<Raw<'_>>) {
    if let Some(string) = value.and_then(Raw::text) {
        text.extend_from_slice(&string.decode());
    }
}

/// The largest length up to `limit` that does not cut a character of UTF-8 in two.
fn whole_characters(text: &[u8], limit: usize) -> usize {
    if text.len() <= limit {
        return text.len();
    }
    // What continues a character begins with the bits 10.
    (0..=limit).rev().find(|&end| text.get(end).is_none_or(|byte| byte & 0xc0 != 0x80)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{MAX_TEXT, Receiver, notification, whole_characters, with_partition_key};
    use serde_json::{Value, json};

    fn event() -> Value {
        json!({
            "auditID": "6f2c", "stageTimestamp": "2026-03-02T18:28:13.789095Z",
            "objectRef": {"resource": "pods", "namespace": "shop", "name": "web-0"},
            "audit": {
                "operator": "jane@example.com", "source_ip": "203.0.113.7", "severity": "high",
                "rules": ["0ed4"], "tags": ["attack.execution", "exec"],
                "message": "jane@example.com ran [sh -c \"<!channel> & *all*\"] in container app of pod shop/web-0 from 203.0.113.7: 101",
            },
        })
    }

    fn notified(receiver: Receiver, record: &Value) -> Value {
        let mut out = Vec::new();
        notification(receiver, record.to_string().as_bytes(), &mut out);
        serde_json::from_slice(&out).unwrap()
    }

    /// What Fluent Bit posts: the string `body`, itself JSON.
    fn posted(receiver: Receiver, record: &Value) -> Value {
        let post = notified(receiver, record);
        assert_eq!(post["headers"], json!({"Content-Type": "application/json"}));
        serde_json::from_str(post["body"].as_str().unwrap()).unwrap()
    }

    #[test]
    fn dingtalk_gets_a_text_message() {
        // https://open.dingtalk.com/document/orgapp/custom-robots-send-group-messages
        assert_eq!(
            posted(Receiver::DingTalk, &event()),
            json!({"msgtype": "text", "text": {"content":
                "Kubernetes audit [high]: jane@example.com ran [sh -c \"<!channel> & *all*\"] in container app of pod \
                 shop/web-0 from 203.0.113.7: 101\ntags: attack.execution, exec\ntime: 2026-03-02T18:28:13.789095Z"}})
        );
    }

    #[test]
    fn slack_gets_a_text_without_mentions_or_links() {
        // https://docs.slack.dev/messaging/formatting-message-text: `&`, `<` and `>` are control characters.
        let body = posted(Receiver::Slack, &event());
        assert_eq!(body["mrkdwn"], json!(false));
        let text = body["text"].as_str().unwrap();
        assert!(text.contains("[sh -c \"&lt;!channel&gt; &amp; *all*\"]"), "{text}");
        assert!(!text.contains(['<', '>']), "{text}");
    }

    #[test]
    fn alertmanager_gets_labels_that_tell_alerts_apart_and_annotations_that_explain() {
        // https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml: postableAlert.
        let alert = notified(Receiver::Alertmanager, &event());
        assert_eq!(
            alert["labels"],
            json!({"alertname": "KubernetesAuditEvent", "severity": "high", "rule": "0ed4", "operator": "jane@example.com",
                "source_ip": "203.0.113.7", "namespace": "shop", "resource": "pods"})
        );
        assert_eq!(alert["annotations"]["summary"], event()["audit"]["message"]);
        assert_eq!(alert["annotations"]["tags"], json!("attack.execution, exec"));
        assert_eq!(alert["annotations"]["audit_id"], json!("6f2c"));
    }

    #[test]
    fn correlations_raise_the_severity_and_say_what_they_counted() {
        let mut record = event();
        record["audit"]["severity"] = json!("low");
        record["audit"]["alerts"] = json!([{"rule": "mass-delete", "severity": "critical",
            "group": {"audit.operator": "jane@example.com"}, "count": 20, "window_seconds": 300}]);
        let text = posted(Receiver::DingTalk, &record)["text"]["content"].as_str().unwrap().to_owned();
        assert!(text.starts_with("Kubernetes audit [critical]: "), "{text}");
        let line = r#"correlation mass-delete: 20 events in 300 s of {"audit.operator":"jane@example.com"}"#;
        assert!(text.lines().any(|found| found == line), "{text}");
        let labels = &notified(Receiver::Alertmanager, &record)["labels"];
        assert_eq!(
            (&labels["alertname"], &labels["rule"]),
            (&json!("KubernetesAuditCorrelation"), &json!("mass-delete"))
        );
    }

    #[test]
    fn texts_have_a_bound_and_stay_whole_characters() {
        let mut record = event();
        record["audit"]["message"] = json!("é".repeat(100_000));
        record["audit"]["tags"] = json!(vec!["x"; 100_000]);
        for receiver in [Receiver::DingTalk, Receiver::Slack, Receiver::Alertmanager] {
            let out = notified(receiver, &record).to_string();
            assert!(out.len() < 4 * MAX_TEXT, "{receiver:?}: {} bytes", out.len());
            assert!(!out.contains('\u{fffd}'), "{receiver:?} cut a character in two");
        }
        for (text, limit, expected) in [("abc", 5, 3), ("abc", 2, 2), ("aé", 2, 1), ("é", 1, 0), ("", 0, 0)]
        {
            assert_eq!(whole_characters(text.as_bytes(), limit), expected, "{text:?} {limit}");
        }
    }

    #[test]
    fn what_the_filter_has_not_kept_makes_no_notification() {
        for record in ["", "{}", "null", "[1]", r#"{"log":"audit"}"#, r#"{"audit""#] {
            for receiver in [Receiver::DingTalk, Receiver::Slack, Receiver::Alertmanager] {
                let mut out = Vec::new();
                notification(receiver, record.as_bytes(), &mut out);
                assert!(out.is_empty(), "{record:?}: {}", String::from_utf8_lossy(&out));
            }
        }
        // What is not what it should be is left out, and the rest is still JSON.
        for audit in ["null", "7", "[]", r#"{"tags":7,"alerts":[7],"severity":"grave","message":{}}"#] {
            for receiver in [Receiver::DingTalk, Receiver::Slack, Receiver::Alertmanager] {
                let mut out = Vec::new();
                notification(receiver, format!(r#"{{"audit":{audit}}}"#).as_bytes(), &mut out);
                serde_json::from_slice::<Value>(&out).unwrap();
            }
        }
    }

    #[test]
    fn the_partition_key_is_the_clients_address() {
        for (record, expected) in [
            (
                r#"{"a":1,"audit":{"source_ip":"203.0.113.7"}}"#,
                r#"{"a":1,"audit":{"source_ip":"203.0.113.7"},"partition_key":"203.0.113.7"}"#,
            ),
            (r#"{"audit":{}}"#, r#"{"audit":{}}"#),
            (r#"{"a":1}"#, r#"{"a":1}"#),
            ("{}", "{}"),
            ("", ""),
        ] {
            let mut out = Vec::new();
            with_partition_key(record.as_bytes(), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }
}
