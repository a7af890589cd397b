//! `metadata.managedFields`: who set which field, worked out from the object itself.
//!
//! A good part of what an API server logs is this bookkeeping, and leaving it out is one of the first things a
//! policy does, so it has to be there in its true shape and size.

use serde_json::{Value, json};

use super::json::text;

/// One manager's share of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manager<'a> {
    pub name: &'a str,
    /// `Update` or `Apply`.
    pub operation: &'a str,
    pub subresource: &'a str,
    /// RFC 3339 time of the last change.
    pub time: &'a str,
    /// The top-level fields it owns: `metadata` stands for labels, annotations and owners.
    pub roots: &'a [&'a str],
}

/// Parts of `metadata` that have an owner; the rest is the API server's own.
const OWNED_METADATA: [&str; 5] = ["annotations", "finalizers", "generateName", "labels", "ownerReferences"];

/// Fields that are always there in the schema, so nobody owns their mere existence.
const NO_PRESENCE: [&str; 12] = [
    "metadata",
    "spec",
    "status",
    "template",
    "data",
    "containers",
    "conditions",
    "jobTemplate",
    "env",
    "volumeMounts",
    "volumes",
    "ports",
];

/// Appends `managedFields` to the object's metadata.
pub(super) fn manage(object: &mut Value, managers: &[Manager<'_>]) {
    let entries: Vec<Value> = managers
        .iter()
        .map(|manager| {
            let mut fields: Vec<(String, Value)> = Vec::new();
            for root in manager.roots {
                let owned = match (*root, &object[*root]) {
                    (_, Value::Null) => continue,
                    ("metadata", Value::Object(metadata)) => fields_of(
                        "metadata",
                        &metadata
                            .iter()
                            .filter(|(key, _)| OWNED_METADATA.contains(&key.as_str()))
                            .map(|(key, value)| (key.clone(), value.clone()))
                            .collect::<Value>(),
                    ),
                    (root, value) => fields_of(root, value),
                };
                if owned.as_object().is_some_and(|owned| !owned.is_empty()) || !object[*root].is_object() {
                    fields.push((format!("f:{root}"), owned));
                }
            }
            fields.sort_by(|(left, _), (right, _)| left.cmp(right));
            let mut entry = json!({
                "manager": manager.name,
                "operation": manager.operation,
                "apiVersion": object["apiVersion"],
                "time": manager.time,
                "fieldsType": "FieldsV1",
                "fieldsV1": Value::Object(fields.into_iter().collect()),
            });
            if !manager.subresource.is_empty() {
                entry["subresource"] = json!(manager.subresource);
            }
            entry
        })
        .collect();
    object["metadata"]["managedFields"] = json!(entries);
}

/// The ownership set of `value`, found under `key`.
fn fields_of(key: &str, value: &Value) -> Value {
    let mut fields: Vec<(String, Value)> = match value {
        Value::Object(object) => {
            object.iter().map(|(key, value)| (format!("f:{key}"), fields_of(key, value))).collect()
        }
        Value::Array(items) if key == "finalizers" => {
            items.iter().map(|item| (format!("v:{}", text(item)), json!({}))).collect()
        }
        Value::Array(items) => match list_keys(key, items.first()) {
            [] => return json!({}),
            keys => items
                .iter()
                .map(|item| {
                    let id: Value = keys.iter().map(|key| ((*key).to_owned(), item[*key].clone())).collect();
                    (format!("k:{}", text(&id)), fields_of("", item))
                })
                .collect(),
        },
        _ => return json!({}),
    };
    if fields.is_empty() {
        return json!({});
    }
    if !NO_PRESENCE.contains(&key) {
        fields.push((".".into(), json!({})));
    }
    fields.sort_by(|(left, _), (right, _)| left.cmp(right));
    Value::Object(fields.into_iter().collect())
}

/// The fields that identify an item of the list under `key`; none where the list is owned as a whole.
fn list_keys(key: &str, first: Option<&Value>) -> &'static [&'static str] {
    match key {
        "containers" | "initContainers" | "ephemeralContainers" | "volumes" | "env" | "imagePullSecrets" => {
            &["name"]
        }
        "ports" if first.is_some_and(|port| port.get("containerPort").is_some()) => {
            &["containerPort", "protocol"]
        }
        "ports" => &["port", "protocol"],
        "volumeMounts" => &["mountPath"],
        "conditions" | "addresses" => &["type"],
        "ownerReferences" => &["uid"],
        "hostIPs" | "podIPs" => &["ip"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ownership_follows_the_object() {
        let mut object = json!({
            "apiVersion": "v1",
            "metadata": {"name": "web", "uid": "u", "labels": {"app": "web"}, "finalizers": ["x/y"]},
            "spec": {"replicas": 2, "containers": [{"name": "app", "args": ["-v"], "ports": [{"containerPort": 80, "protocol": "TCP"}]}]},
            "status": {"phase": "Running"},
        });
        let spec = Manager {
            name: "kubectl",
            operation: "Update",
            subresource: "",
            time: "2026-03-02T00:00:00Z",
            roots: &["spec", "metadata", "nowhere"],
        };
        let status = Manager { name: "kubelet", subresource: "status", roots: &["status"], ..spec };
        manage(&mut object, &[spec, status]);
        let fields = &object["metadata"]["managedFields"];
        assert_eq!(
            text(&fields[0]["fieldsV1"]),
            concat!(
                r#"{"f:metadata":{"f:finalizers":{".":{},"v:\"x/y\"":{}},"f:labels":{".":{},"f:app":{}}},"#,
                r#""f:spec":{"f:containers":{"k:{\"name\":\"app\"}":{".":{},"f:args":{},"f:name":{},"#,
                r#""f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:protocol":{}}}}},"#,
                r#""f:replicas":{}}}"#
            )
        );
        assert_eq!(text(&fields[1]["fieldsV1"]), r#"{"f:status":{"f:phase":{}}}"#);
        assert_eq!(fields[0].get("subresource"), None);
        assert_eq!(fields[1]["subresource"], "status");
    }
}
