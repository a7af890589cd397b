//! Objects as the API server has them: what is in `requestObject` and `responseObject`.
//!
//! Typed objects keep the field order of their Go structs (`kind`, `apiVersion`, `metadata` …); custom resources
//! are maps to the API server and come with sorted keys. Items of a typed list have neither `kind` nor `apiVersion`.

use serde_json::{Value, json};

use super::clock::{Micros, SECOND, micro_time, time};
use super::cluster::{Cluster, Controller, Pod, VERSION, Workload};
use super::event::Resource;
use super::json::{sorted, text};
use super::managed_fields::{Manager, manage};
use super::rng::{Rng, uid_of};

/// The kinds of object the log talks about.
pub(super) mod kind {
    use super::Resource;

    pub(in super::super) const PODS: Resource = Resource::new("", "v1", "pods", "Pod");
    pub(in super::super) const NODES: Resource = Resource::new("", "v1", "nodes", "Node");
    pub(in super::super) const SECRETS: Resource = Resource::new("", "v1", "secrets", "Secret");
    pub(in super::super) const CONFIG_MAPS: Resource = Resource::new("", "v1", "configmaps", "ConfigMap");
    pub(in super::super) const SERVICES: Resource = Resource::new("", "v1", "services", "Service");
    pub(in super::super) const ENDPOINTS: Resource = Resource::new("", "v1", "endpoints", "Endpoints");
    pub(in super::super) const EVENTS: Resource = Resource::new("", "v1", "events", "Event");
    pub(in super::super) const NAMESPACES: Resource = Resource::new("", "v1", "namespaces", "Namespace");
    pub(in super::super) const SERVICE_ACCOUNTS: Resource =
        Resource::new("", "v1", "serviceaccounts", "ServiceAccount");
    pub(in super::super) const QUOTAS: Resource = Resource::new("", "v1", "resourcequotas", "ResourceQuota");
    pub(in super::super) const VOLUMES: Resource =
        Resource::new("", "v1", "persistentvolumes", "PersistentVolume");
    pub(in super::super) const CLAIMS: Resource =
        Resource::new("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim");
    pub(in super::super) const DEPLOYMENTS: Resource =
        Resource::new("apps", "v1", "deployments", "Deployment");
    pub(in super::super) const REPLICA_SETS: Resource =
        Resource::new("apps", "v1", "replicasets", "ReplicaSet");
    pub(in super::super) const STATEFUL_SETS: Resource =
        Resource::new("apps", "v1", "statefulsets", "StatefulSet");
    pub(in super::super) const DAEMON_SETS: Resource = Resource::new("apps", "v1", "daemonsets", "DaemonSet");
    pub(in super::super) const JOBS: Resource = Resource::new("batch", "v1", "jobs", "Job");
    pub(in super::super) const CRON_JOBS: Resource = Resource::new("batch", "v1", "cronjobs", "CronJob");
    pub(in super::super) const LEASES: Resource =
        Resource::new("coordination.k8s.io", "v1", "leases", "Lease");
    pub(in super::super) const SLICES: Resource =
        Resource::new("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice");
    pub(in super::super) const AUTOSCALERS: Resource =
        Resource::new("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler");
    pub(in super::super) const INGRESSES: Resource =
        Resource::new("networking.k8s.io", "v1", "ingresses", "Ingress");
    pub(in super::super) const ROLES: Resource =
        Resource::new("rbac.authorization.k8s.io", "v1", "roles", "Role");
    pub(in super::super) const ROLE_BINDINGS: Resource =
        Resource::new("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding");
    pub(in super::super) const CLUSTER_ROLES: Resource =
        Resource::new("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole");
    pub(in super::super) const CLUSTER_ROLE_BINDINGS: Resource =
        Resource::new("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding");
    pub(in super::super) const TOKEN_REVIEWS: Resource =
        Resource::new("authentication.k8s.io", "v1", "tokenreviews", "TokenReview");
    pub(in super::super) const ACCESS_REVIEWS: Resource =
        Resource::new("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview");
    pub(in super::super) const SELF_ACCESS_REVIEWS: Resource =
        Resource::new("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview");
    pub(in super::super) const SELF_RULES_REVIEWS: Resource =
        Resource::new("authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview");
    pub(in super::super) const SIGNING_REQUESTS: Resource =
        Resource::new("certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest");
    pub(in super::super) const VALIDATING_WEBHOOKS: Resource = Resource::new(
        "admissionregistration.k8s.io",
        "v1",
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
    );
    pub(in super::super) const FLOW_SCHEMAS: Resource =
        Resource::new("flowcontrol.apiserver.k8s.io", "v1", "flowschemas", "FlowSchema");
    pub(in super::super) const CRDS: Resource =
        Resource::new("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition");
    pub(in super::super) const API_SERVICES: Resource =
        Resource::new("apiregistration.k8s.io", "v1", "apiservices", "APIService");
    pub(in super::super) const VOLUME_ATTACHMENTS: Resource =
        Resource::new("storage.k8s.io", "v1", "volumeattachments", "VolumeAttachment");
    pub(in super::super) const CERTIFICATES: Resource =
        Resource::new("cert-manager.io", "v1", "certificates", "Certificate");
    pub(in super::super) const APPLICATIONS: Resource =
        Resource::new("argoproj.io", "v1alpha1", "applications", "Application");
    pub(in super::super) const EXTERNAL_SECRETS: Resource =
        Resource::new("external-secrets.io", "v1beta1", "externalsecrets", "ExternalSecret");
    pub(in super::super) const POD_METRICS: Resource =
        Resource::new("metrics.k8s.io", "v1beta1", "pods", "PodMetrics");
}

/// The UID of an object of the cluster.
pub(super) fn uid(resource: Resource, namespace: &str, name: &str) -> String {
    if namespace.is_empty() {
        uid_of(&format!("{}/{name}", resource.plural))
    } else {
        uid_of(&format!("{}/{namespace}/{name}", resource.plural))
    }
}

/// An object without content: `kind`, `apiVersion` and the metadata the API server gives it.
pub(super) fn object(
    resource: Resource,
    namespace: &str,
    name: &str,
    version: u64,
    created: Micros,
) -> Value {
    let mut metadata = json!({ "name": name });
    if !namespace.is_empty() {
        metadata["namespace"] = json!(namespace);
    }
    metadata["uid"] = json!(uid(resource, namespace, name));
    metadata["resourceVersion"] = json!(version.to_string());
    metadata["creationTimestamp"] = json!(time(created));
    json!({ "kind": resource.kind, "apiVersion": resource.api_version(), "metadata": metadata })
}

/// An object as a client sends it to be created, with `content` (such as `{"spec": …}`) after its metadata.
pub(super) fn fresh(resource: Resource, namespace: &str, name: &str, content: Value) -> Value {
    let mut metadata = json!({ "name": name });
    if !namespace.is_empty() {
        metadata["namespace"] = json!(namespace);
    }
    metadata["creationTimestamp"] = Value::Null;
    let mut object =
        json!({ "kind": resource.kind, "apiVersion": resource.api_version(), "metadata": metadata });
    extend(&mut object, content);
    object
}

/// `sent` as the API server stored it for `manager`.
pub(super) fn stored(resource: Resource, sent: &Value, version: u64, now: Micros, manager: &str) -> Value {
    let name = sent["metadata"]["name"].as_str().unwrap_or_default();
    let namespace = sent["metadata"]["namespace"].as_str().unwrap_or_default();
    let mut object = object(resource, namespace, name, version, now);
    for key in ["labels", "annotations", "ownerReferences"] {
        if let Some(value) = sent["metadata"].get(key) {
            object["metadata"][key] = value.clone();
        }
    }
    let mut roots = vec!["metadata"];
    for (key, value) in sent.as_object().into_iter().flatten() {
        if !matches!(key.as_str(), "kind" | "apiVersion" | "metadata") {
            object[key] = value.clone();
            roots.push(key);
        }
    }
    let manager =
        Manager { name: manager, operation: "Update", subresource: "", time: &time(now), roots: &roots };
    manage(&mut object, &[manager]);
    object
}

/// Adds the fields of `content` to `object`.
pub(super) fn extend(object: &mut Value, content: Value) {
    if let Value::Object(fields) = content {
        for (key, value) in fields {
            object[&key] = value;
        }
    }
}

/// A list of `items`, which are shown without their kind where the list is typed.
pub(super) fn list(resource: Resource, version: u64, mut items: Vec<Value>) -> Value {
    for item in items.iter_mut().filter_map(Value::as_object_mut) {
        // `shift_remove` keeps the order of what stays.
        item.shift_remove("kind");
        item.shift_remove("apiVersion");
    }
    json!({
        "kind": format!("{}List", resource.kind),
        "apiVersion": resource.api_version(),
        "metadata": { "resourceVersion": version.to_string() },
        "items": items,
    })
}

/// What `kubectl get` asks for: columns instead of objects, but with all metadata of each object.
pub(super) fn table(version: u64, columns: &[&str], objects: Vec<Value>, rng: &mut Rng) -> Value {
    let definitions: Vec<Value> = columns
        .iter()
        .map(|name| {
            let format = if *name == "Name" { "name" } else { "" };
            json!({
                "name": name, "type": "string", "format": format,
                "description": format!("The {} of the object, as kubectl shows it by default", name.to_lowercase()),
                "priority": 0,
            })
        })
        .collect();
    let rows: Vec<Value> = objects
        .into_iter()
        .map(|object| {
            let cells: Vec<Value> = columns
                .iter()
                .map(|column| match *column {
                    "Name" => object["metadata"]["name"].clone(),
                    "Ready" => json!("1/1"),
                    "Status" => json!("Running"),
                    "Age" => json!(format!("{}d", rng.between(1, 40))),
                    _ => json!(rng.below(4).to_string()),
                })
                .collect();
            let partial = json!({
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
            });
            json!({ "cells": cells, "object": partial })
        })
        .collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": { "resourceVersion": version.to_string() },
        "columnDefinitions": definitions,
        "rows": rows,
    })
}

/// The body of a delete.
pub(super) fn delete_options() -> Value {
    json!({
        "kind": "DeleteOptions", "apiVersion": "meta.k8s.io/__internal", "propagationPolicy": "Background",
    })
}

/// What a delete of an object answers that is gone at once.
pub(super) fn deleted(resource: Resource, namespace: &str, name: &str) -> Value {
    let mut details = json!({ "name": name });
    if !resource.group.is_empty() {
        details["group"] = json!(resource.group);
    }
    details["kind"] = json!(resource.plural);
    details["uid"] = json!(uid(resource, namespace, name));
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details })
}

fn owner(resource: Resource, namespace: &str, name: &str) -> Value {
    json!([{
        "apiVersion": resource.api_version(),
        "kind": resource.kind,
        "name": name,
        "uid": uid(resource, namespace, name),
        "controller": true,
        "blockOwnerDeletion": true,
    }])
}

const VARIABLE_NAMES: [&str; 14] = [
    "LOG_LEVEL",
    "HTTP_PORT",
    "UPSTREAM_TIMEOUT_MS",
    "CACHE_URL",
    "FEATURE_NEW_BASKET",
    "MAX_CONNECTIONS",
    "TRACE_ENDPOINT",
    "REGION",
    "CURRENCY",
    "QUEUE_BROKERS",
    "RETRY_BUDGET",
    "SEARCH_SHARDS",
    "SESSION_TTL",
    "JAVA_TOOL_OPTIONS",
];

/// A pod template's `spec`. The same workload always has the same.
pub(super) fn pod_spec(workload: &Workload) -> Value {
    let variables: Vec<Value> = (0..workload.variables)
        .map(|index| {
            let name = VARIABLE_NAMES[(index % 14) as usize];
            match index % 7 {
                3 => json!({
                    "name": format!("{name}_{index}"),
                    "valueFrom": {
                        "secretKeyRef": {
                            "name": format!("{}-settings", workload.name),
                            "key": name.to_lowercase(),
                        },
                    },
                }),
                _ => json!({
                    "name": format!("{name}_{index}"),
                    "value": format!("{}.{}.svc:{}", workload.name, workload.namespace, 7000 + index * 3),
                }),
            }
        })
        .collect();
    let mut spec = json!({ "containers": [{ "name": workload.name, "image": workload.image }] });
    if workload.controller == Controller::DaemonSet {
        spec = json!({
            "volumes": [{ "name": "host-log", "hostPath": { "path": "/var/log", "type": "" } }],
            "containers": [{
                "name": workload.name, "image": workload.image, "args": ["--v=2", "--node=$(NODE_NAME)"],
            }],
        });
    }
    let container = &mut spec["containers"][0];
    container["ports"] = json!([
        { "name": "http", "containerPort": 8080, "protocol": "TCP" },
        { "name": "metrics", "containerPort": 9102, "protocol": "TCP" },
    ]);
    if !variables.is_empty() {
        container["env"] = json!(variables);
    }
    container["resources"] = json!({
        "limits": { "cpu": "1", "memory": "1Gi" },
        "requests": { "cpu": "250m", "memory": "512Mi" },
    });
    container["volumeMounts"] = json!([{ "name": "config", "mountPath": "/etc/app", "readOnly": true }]);
    for probe in ["livenessProbe", "readinessProbe"] {
        container[probe] = json!({
            "httpGet": { "path": "/health?deep=false&verbose=true", "port": "http", "scheme": "HTTP" },
            "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3,
        });
    }
    extend(
        container,
        json!({
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "IfNotPresent",
            "securityContext": {
                "capabilities": { "drop": ["ALL"] }, "runAsNonRoot": true, "readOnlyRootFilesystem": true,
                "allowPrivilegeEscalation": false,
            },
        }),
    );
    let volume = json!({
        "name": "config",
        "configMap": { "name": format!("{}-config", workload.name), "defaultMode": 420 },
    });
    match spec["volumes"].as_array_mut() {
        Some(volumes) => volumes.push(volume),
        None => spec["volumes"] = json!([volume]),
    }
    extend(
        &mut spec,
        json!({
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "serviceAccountName": workload.service_account(),
            "serviceAccount": workload.service_account(),
            "securityContext": {},
            "schedulerName": "default-scheduler",
            "tolerations": [
                {
                    "key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute",
                    "tolerationSeconds": 300,
                },
                {
                    "key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute",
                    "tolerationSeconds": 300,
                },
            ],
        }),
    );
    spec
}

fn labels(workload: &Workload) -> Value {
    json!({
        "app.kubernetes.io/name": workload.name,
        "app.kubernetes.io/part-of": workload.namespace,
        "app.kubernetes.io/managed-by": "argocd",
    })
}

/// A pod as a controller creates it: not yet placed, and without a name where the API server makes one.
pub(super) fn new_pod(workload: &Workload, pod: &Pod, owned_by: Resource, owner_name: &str) -> Value {
    let mut labels = labels(workload);
    labels["pod-template-hash"] = json!(workload.hash);
    let mut metadata = json!({});
    if workload.controller == Controller::StatefulSet {
        metadata["name"] = json!(pod.name);
    }
    extend(
        &mut metadata,
        json!({
            "generateName": format!("{owner_name}-"),
            "namespace": workload.namespace,
            "creationTimestamp": null,
            "labels": labels,
            "annotations": { "prometheus.io/scrape": "true", "prometheus.io/port": "9102" },
            "ownerReferences": owner(owned_by, workload.namespace, owner_name),
        }),
    );
    json!({
        "kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": pod_spec(workload),
        "status": {},
    })
}

/// The name and kind of what directly owns a workload's pods.
pub(super) fn pod_owner(workload: &Workload) -> (Resource, String) {
    match workload.controller {
        Controller::Deployment => (kind::REPLICA_SETS, format!("{}-{}", workload.name, workload.hash)),
        Controller::StatefulSet => (kind::STATEFUL_SETS, workload.name.into()),
        Controller::DaemonSet => (kind::DAEMON_SETS, workload.name.into()),
    }
}

/// A running pod.
pub(super) fn pod(cluster: &Cluster, workload: &Workload, pod: &Pod, version: u64) -> Value {
    let (owned_by, owner_name) = pod_owner(workload);
    let sent = new_pod(workload, pod, owned_by, &owner_name);
    let mut object = object(kind::PODS, workload.namespace, &pod.name, version, pod.since);
    for key in ["generateName", "labels", "annotations", "ownerReferences"] {
        object["metadata"][key] = sent["metadata"][key].clone();
    }
    let node = &cluster.nodes[pod.node];
    object["spec"] = sent["spec"].clone();
    object["spec"]["nodeName"] = json!(node.name);
    object["status"] = pod_status(&node.address, workload, pod);
    let born = time(pod.since);
    let manager = Manager {
        name: "kube-controller-manager",
        operation: "Update",
        subresource: "",
        time: &born,
        roots: &["metadata", "spec"],
    };
    let kubelet = Manager {
        name: "kubelet",
        subresource: "status",
        time: &time(pod.since + 9 * SECOND),
        roots: &["status"],
        ..manager
    };
    manage(&mut object, &[manager, kubelet]);
    object
}

fn pod_status(host: &str, workload: &Workload, pod: &Pod) -> Value {
    let conditions: Vec<Value> =
        ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"]
            .iter()
            .map(|name| {
                json!({
                    "type": name, "status": "True", "lastProbeTime": null,
                    "lastTransitionTime": time(pod.since + 6 * SECOND),
                })
            })
            .collect();
    json!({
        "phase": "Running",
        "conditions": conditions,
        "hostIP": host,
        "hostIPs": [{ "ip": host }],
        "podIP": pod.address,
        "podIPs": [{ "ip": pod.address }],
        "startTime": time(pod.since),
        "containerStatuses": [{
            "name": workload.name,
            "state": { "running": { "startedAt": time(pod.since + 5 * SECOND) } },
            "lastState": {},
            "ready": true,
            "restartCount": 0,
            "image": workload.image,
            "imageID": format!("registry.example.com/image@sha256:{}{}", uid_of(workload.image).replace('-', ""), uid_of(workload.name).replace('-', "")),
            "containerID": format!("containerd://{}{}", uid_of(&pod.name).replace('-', ""), uid_of(&pod.address).replace('-', "")),
            "started": true,
        }],
        "qosClass": "Burstable",
    })
}

/// The patch with which a kubelet tells that a pod runs.
pub(super) fn pod_status_patch(host: &str, workload: &Workload, pod: &Pod) -> Value {
    let mut status = pod_status(host, workload, pod);
    let order: Vec<Value> = status["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|condition| json!({ "type": condition["type"] }))
        .collect();
    status["$setElementOrder/conditions"] = json!(order);
    sorted(json!({ "metadata": { "uid": uid(kind::PODS, workload.namespace, &pod.name) }, "status": status }))
}

/// The deployment, stateful set or daemon set behind a workload.
pub(super) fn workload(cluster: &Cluster, workload: &Workload, version: u64, now: Micros) -> Value {
    let resource = controller_kind(workload);
    let mut object = object(resource, workload.namespace, workload.name, version, cluster.created);
    object["metadata"]["generation"] = json!(workload.generation);
    object["metadata"]["labels"] = labels(workload);
    let template = json!({
        "metadata": { "creationTimestamp": null, "labels": labels(workload) },
        "spec": pod_spec(workload),
    });
    let applied = sorted(json!({
        "apiVersion": "apps/v1", "kind": resource.kind,
        "metadata": { "name": workload.name, "namespace": workload.namespace, "labels": labels(workload) },
        "spec": { "replicas": workload.pods.len(), "template": template },
    }));
    object["metadata"]["annotations"] = json!({
        "deployment.kubernetes.io/revision": workload.generation.to_string(),
        "kubectl.kubernetes.io/last-applied-configuration": text(&applied) + "\n",
    });
    let replicas = workload.pods.len();
    object["spec"] = json!({
        "replicas": replicas,
        "selector": { "matchLabels": { "app.kubernetes.io/name": workload.name } },
        "template": template,
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": { "maxUnavailable": "25%", "maxSurge": "25%" },
        },
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
    });
    object["status"] = json!({
        "observedGeneration": workload.generation,
        "replicas": replicas, "updatedReplicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas,
        "conditions": [
            {
                "type": "Available", "status": "True", "lastUpdateTime": time(now),
                "lastTransitionTime": time(cluster.created), "reason": "MinimumReplicasAvailable",
                "message": "Deployment has minimum availability.",
            },
            {
                "type": "Progressing", "status": "True", "lastUpdateTime": time(now),
                "lastTransitionTime": time(cluster.created), "reason": "NewReplicaSetAvailable",
                "message": format!("ReplicaSet \"{}-{}\" has successfully progressed.", workload.name, workload.hash),
            },
        ],
    });
    let born = time(cluster.created);
    let argo = Manager {
        name: "argocd-controller",
        operation: "Update",
        subresource: "",
        time: &born,
        roots: &["metadata", "spec"],
    };
    let manager = Manager {
        name: "kube-controller-manager",
        subresource: "status",
        time: &time(now),
        roots: &["status"],
        ..argo
    };
    manage(&mut object, &[argo, manager]);
    object
}

/// The kind of a workload's controller.
pub(super) fn controller_kind(workload: &Workload) -> Resource {
    match workload.controller {
        Controller::Deployment => kind::DEPLOYMENTS,
        Controller::StatefulSet => kind::STATEFUL_SETS,
        Controller::DaemonSet => kind::DAEMON_SETS,
    }
}

/// A deployment's current replica set.
pub(super) fn replica_set(cluster: &Cluster, of: &Workload, version: u64, now: Micros) -> Value {
    let name = format!("{}-{}", of.name, of.hash);
    let mut object = object(kind::REPLICA_SETS, of.namespace, &name, version, now);
    object["metadata"]["generation"] = json!(1);
    object["metadata"]["labels"] = labels(of);
    object["metadata"]["annotations"] =
        json!({ "deployment.kubernetes.io/desired-replicas": of.pods.len().to_string() });
    object["metadata"]["ownerReferences"] = owner(kind::DEPLOYMENTS, of.namespace, of.name);
    object["spec"] = json!({
        "replicas": of.pods.len(),
        "selector": { "matchLabels": { "app.kubernetes.io/name": of.name, "pod-template-hash": of.hash } },
        "template": { "metadata": { "creationTimestamp": null, "labels": labels(of) }, "spec": pod_spec(of) },
    });
    object["status"] = json!({
        "replicas": of.pods.len(), "fullyLabeledReplicas": of.pods.len(), "readyReplicas": of.pods.len(),
        "availableReplicas": of.pods.len(), "observedGeneration": 1,
    });
    let born = time(cluster.created);
    let spec = Manager {
        name: "kube-controller-manager",
        operation: "Update",
        subresource: "",
        time: &born,
        roots: &["metadata", "spec"],
    };
    let status = Manager { subresource: "status", time: &time(now), roots: &["status"], ..spec };
    manage(&mut object, &[spec, status]);
    object
}

/// The conditions of a node, last confirmed at `now`.
fn node_conditions(now: Micros, since: Micros) -> Vec<Value> {
    [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ]
    .iter()
    .map(|(name, status, reason, message)| {
        json!({
            "type": name, "status": status, "lastHeartbeatTime": time(now), "lastTransitionTime": time(since),
            "reason": reason, "message": message,
        })
    })
    .collect()
}

/// A node with its images: a big object that kubelets read all day.
pub(super) fn node(cluster: &Cluster, index: usize, version: u64, now: Micros) -> Value {
    let node = &cluster.nodes[index];
    let mut object = object(kind::NODES, "", &node.name, version, cluster.created);
    object["metadata"]["labels"] = json!({
        "beta.kubernetes.io/arch": "amd64",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": node.name,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": "ecs.g7.2xlarge",
        "topology.kubernetes.io/region": "cn-hangzhou",
        "topology.kubernetes.io/zone": "cn-hangzhou-k",
    });
    object["metadata"]["annotations"] = json!({
        "csi.volume.kubernetes.io/nodeid": format!("{{\"disk.csi.example.com\":\"i-{}\"}}", uid_of(&node.name).replace('-', "")),
        "node.alpha.kubernetes.io/ttl": "0",
        "volumes.kubernetes.io/controller-managed-attach-detach": "true",
    });
    object["spec"] = json!({
        "podCIDR": format!("10.25.{index}.0/24"),
        "podCIDRs": [format!("10.25.{index}.0/24")],
        "providerID": format!("cn-hangzhou.i-{}", uid_of(&node.name).replace('-', "")),
    });
    let images: Vec<Value> = cluster
        .workloads
        .iter()
        .filter(|workload| workload.pods.iter().any(|pod| pod.node == index))
        .map(|workload| json!({
            "names": [
                format!("{}@sha256:{}{}", workload.image, uid_of(workload.image).replace('-', ""), uid_of(workload.name).replace('-', "")),
                workload.image,
            ],
            "sizeBytes": 40_000_000 + 1_234_567 * workload.variables,
        }))
        .collect();
    object["status"] = json!({
        "capacity": { "cpu": "8", "ephemeral-storage": "123722704Ki", "memory": "32394036Ki", "pods": "64" },
        "allocatable": {
            "cpu": "7910m", "ephemeral-storage": "114022843818", "memory": "29215412Ki", "pods": "64",
        },
        "conditions": node_conditions(now, cluster.created),
        "addresses": [
            { "type": "InternalIP", "address": node.address },
            { "type": "Hostname", "address": node.name },
        ],
        "daemonEndpoints": { "kubeletEndpoint": { "Port": 10250 } },
        "nodeInfo": {
            "machineID": uid_of(&node.address).replace('-', ""), "kernelVersion": "5.10.134-17.al8.x86_64",
            "osImage": "Linux", "containerRuntimeVersion": "containerd://1.6.36", "kubeletVersion": VERSION,
            "kubeProxyVersion": VERSION, "operatingSystem": "linux", "architecture": "amd64",
        },
        "images": images,
    });
    let born = time(cluster.created);
    let manager = Manager {
        name: "kube-controller-manager",
        operation: "Update",
        subresource: "",
        time: &born,
        roots: &["metadata", "spec"],
    };
    let kubelet =
        Manager { name: "kubelet", subresource: "status", time: &time(now), roots: &["status"], ..manager };
    manage(&mut object, &[manager, kubelet]);
    object
}

/// The patch with which a kubelet says that it is alive.
pub(super) fn node_status_patch(cluster: &Cluster, now: Micros) -> Value {
    let order: Vec<Value> =
        node_conditions(now, now).iter().map(|condition| json!({ "type": condition["type"] })).collect();
    let beats: Vec<Value> = node_conditions(now, cluster.created)
        .into_iter()
        .map(|condition| {
            json!({
                "lastHeartbeatTime": condition["lastHeartbeatTime"], "type": condition["type"],
            })
        })
        .collect();
    json!({ "status": { "$setElementOrder/conditions": order, "conditions": beats } })
}

/// A lease held by `holder`, renewed at `now`.
pub(super) fn lease(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    holder: &str,
    version: u64,
    now: Micros,
) -> Value {
    let mut object = object(kind::LEASES, namespace, name, version, cluster.created);
    object["spec"] = json!({
        "holderIdentity": holder,
        "leaseDurationSeconds": if namespace == "kube-node-lease" { 40 } else { 15 },
        "acquireTime": micro_time(cluster.created),
        "renewTime": micro_time(now),
        "leaseTransitions": 4,
    });
    let manager = if namespace == "kube-node-lease" { "kubelet" } else { name };
    let manager =
        Manager { name: manager, operation: "Update", subresource: "", time: &time(now), roots: &["spec"] };
    manage(&mut object, &[manager]);
    object
}

/// A core event about an object.
pub(super) fn event(
    about: (Resource, &str, &str),
    reason: &str,
    message: &str,
    component: &str,
    host: &str,
    now: Micros,
) -> Value {
    let (resource, namespace, name) = about;
    let event_name = format!("{name}.{:016x}", now * 1000);
    let mut source = json!({ "component": component });
    if !host.is_empty() {
        source["host"] = json!(host);
    }
    fresh(
        kind::EVENTS,
        if namespace.is_empty() { "default" } else { namespace },
        &event_name,
        json!({
            "involvedObject": {
                "kind": resource.kind, "namespace": namespace, "name": name,
                "uid": uid(resource, namespace, name), "apiVersion": resource.api_version(),
            },
            "reason": reason,
            "message": message,
            "source": source,
            "firstTimestamp": time(now),
            "lastTimestamp": time(now),
            "count": 1,
            "type": if matches!(reason, "Unhealthy" | "BackOff" | "FailedScheduling") { "Warning" } else { "Normal" },
            "eventTime": null,
            "reportingComponent": component,
            "reportingInstance": host,
        }),
    )
}

/// A service's endpoint slice, listing a workload's pods.
pub(super) fn endpoint_slice(cluster: &Cluster, workload: &Workload, version: u64, now: Micros) -> Value {
    let name = format!("{}-{}", workload.name, &uid_of(workload.name)[..5]);
    let mut object = object(kind::SLICES, workload.namespace, &name, version, cluster.created);
    object["metadata"]["generateName"] = json!(format!("{}-", workload.name));
    object["metadata"]["labels"] = json!({
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        "kubernetes.io/service-name": workload.name,
    });
    object["metadata"]["ownerReferences"] = owner(kind::SERVICES, workload.namespace, workload.name);
    object["addressType"] = json!("IPv4");
    object["endpoints"] = workload
        .pods
        .iter()
        .map(|pod| {
            json!({
                "addresses": [pod.address],
                "conditions": { "ready": true, "serving": true, "terminating": false },
                "targetRef": {
                    "kind": "Pod", "namespace": workload.namespace, "name": pod.name,
                    "uid": uid(kind::PODS, workload.namespace, &pod.name),
                },
                "nodeName": cluster.nodes[pod.node].name,
                "zone": "cn-hangzhou-k",
            })
        })
        .collect();
    object["ports"] = json!([{ "name": "http", "port": 8080, "protocol": "TCP" }]);
    let manager = Manager {
        name: "kube-controller-manager",
        operation: "Update",
        subresource: "",
        time: &time(now),
        roots: &["metadata", "addressType", "endpoints", "ports"],
    };
    manage(&mut object, &[manager]);
    object
}

/// Discovery: what there is in one API group.
pub(super) fn api_resources(group_version: &str, count: u64) -> Value {
    let resources: Vec<Value> = (0..count)
        .map(|index| {
            let singular = VARIABLE_NAMES[(index % 14) as usize].to_lowercase().replace('_', "");
            json!({
                "name": format!("{singular}{index}s"), "singularName": singular, "namespaced": index % 3 > 0, "kind": format!("Kind{index}"),
                "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
                "storageVersionHash": &uid_of(&singular).replace('-', "")[..12],
            })
        })
        .collect();
    json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources,
    })
}

/// A custom resource definition with a schema of about `properties` properties of some 600 bytes each.
pub(super) fn definition(name: &str, properties: u64, version: u64, created: Micros) -> Value {
    let mut groups = json!({});
    for index in 0..properties {
        let group = VARIABLE_NAMES[(index % 14) as usize].to_lowercase();
        if groups.get(&group).is_none() {
            groups[&group] = json!({
                "type": "object",
                "properties": {},
                "description": "Settings that belong together.",
            });
        }
        groups[&group]["properties"][format!("option{index}")] = json!({
            "description": "What the controller does with this option where the object says nothing about it. Values outside of the range are refused by the API server; an empty value means the default of the controller, which its release notes name for each version. Changing it restarts the pods & their sidecars where the rollout strategy is <Recreate>.",
            "type": "object",
            "properties": {
                "enabled": { "type": "boolean" },
                "limit": { "type": "integer", "format": "int32", "minimum": 0 },
                "selector": { "type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" },
            },
            "required": ["enabled"],
        });
    }
    let (plural, group) = name.split_once('.').unwrap_or((name, "example.com"));
    let mut object = object(kind::CRDS, "", name, version, created);
    object["spec"] = json!({
        "group": group,
        "names": {
            "plural": plural, "singular": plural.trim_end_matches('s'), "kind": plural,
            "listKind": format!("{plural}List"),
        },
        "scope": "Namespaced",
        "versions": [{
            "name": "v1", "served": true, "storage": true,
            "schema": {
                "openAPIV3Schema": {
                    "type": "object",
                    "properties": { "spec": { "type": "object", "properties": groups } },
                },
            },
            "subresources": { "status": {} },
        }],
        "conversion": { "strategy": "None" },
    });
    object["status"] = json!({
        "conditions": [{
            "type": "Established", "status": "True", "lastTransitionTime": time(created),
            "reason": "InitialNamesAccepted", "message": "the initial names have been accepted",
        }],
        "storedVersions": ["v1"],
    });
    let born = time(created);
    let apply = Manager {
        name: "argocd-controller",
        operation: "Apply",
        subresource: "",
        time: &born,
        roots: &["metadata", "spec"],
    };
    let status = Manager {
        name: "kube-apiserver",
        operation: "Update",
        subresource: "status",
        roots: &["status"],
        ..apply
    };
    manage(&mut object, &[apply, status]);
    object
}

/// A subject access review: may `user` do this?
pub(super) fn access_review(resource: Resource, user: &str, groups: &[&str], attributes: Value) -> Value {
    json!({
        "kind": resource.kind,
        "apiVersion": resource.api_version(),
        "metadata": { "creationTimestamp": null },
        "spec": { "resourceAttributes": attributes, "user": user, "groups": groups },
        "status": { "allowed": false },
    })
}
