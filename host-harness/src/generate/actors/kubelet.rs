//! Kubelets: alive every ten seconds, each with the objects of its own node.

use std::rc::Rc;

use serde_json::json;

use super::super::bodies::{self, kind};
use super::super::clock::{MILLISECOND, MINUTE, SECOND, time};
use super::super::cluster::{Pod, Workload};
use super::super::day::Day;
use super::super::event::{Caller, Request};
use super::super::rng::uid_of;

fn any_node(day: &mut Day) -> (usize, Rc<Caller>) {
    let index = day.rng.index(day.cluster.nodes.len());
    (index, Rc::clone(&day.cluster.nodes[index].kubelet))
}

/// Indices of a workload and of one of its pods.
pub(in super::super) fn any_pod(day: &mut Day) -> (usize, usize) {
    loop {
        let workload = day.rng.index(day.cluster.workloads.len());
        let pods = day.cluster.workloads[workload].pods.len();
        if pods > 0 {
            return (workload, day.rng.index(pods));
        }
    }
}

pub(super) fn renew_lease(day: &mut Day) {
    let (index, kubelet) = any_node(day);
    let name = day.cluster.nodes[index].name.clone();
    let now = day.now();
    let before = day.cluster.version();
    let after = day.cluster.write();
    let request = Request::new(&kubelet, "update", kind::LEASES)
        .namespace("kube-node-lease")
        .name(&name)
        .query("timeout=10s")
        .send(bodies::lease(&day.cluster, "kube-node-lease", &name, &name, before, now));
    let answer = bodies::lease(&day.cluster, "kube-node-lease", &name, &name, after, now);
    let request = if day.rng.chance(4) { request.conflict() } else { request.answer(answer) };
    let latency = day.rng.long_tail(1_500, 60 * MILLISECOND);
    day.send(request.latency(latency));
}

pub(super) fn read_node(day: &mut Day) {
    let (index, kubelet) = any_node(day);
    let name = day.cluster.nodes[index].name.clone();
    let answer = bodies::node(&day.cluster, index, day.cluster.version(), day.now());
    day.send(
        Request::new(&kubelet, "get", kind::NODES)
            .name(&name)
            .query("resourceVersion=0&timeout=10s")
            .answer(answer)
            .latency(1_100),
    );
}

pub(super) fn report_node(day: &mut Day) {
    let (index, kubelet) = any_node(day);
    let name = day.cluster.nodes[index].name.clone();
    let now = day.now();
    let version = day.cluster.write();
    let request = Request::new(&kubelet, "patch", kind::NODES)
        .name(&name)
        .subresource("status")
        .query("timeout=10s")
        .send(bodies::node_status_patch(&day.cluster, now))
        .answer(bodies::node(&day.cluster, index, version, now));
    let latency = day.rng.long_tail(4_000, 80 * MILLISECOND);
    day.send(request.latency(latency));
}

/// The request with which a pod's kubelet reports its status.
pub(super) fn pod_status(day: &mut Day, workload: &Workload, pod: &Pod) -> Request {
    let node = &day.cluster.nodes[pod.node];
    let (kubelet, host) = (Rc::clone(&node.kubelet), node.address.clone());
    let version = day.cluster.write();
    Request::new(&kubelet, "patch", kind::PODS)
        .namespace(workload.namespace)
        .name(&pod.name)
        .subresource("status")
        .send(bodies::pod_status_patch(&host, workload, pod))
        .answer(bodies::pod(&day.cluster, workload, pod, version))
        .latency(6 * MILLISECOND)
}

pub(super) fn report_pod(day: &mut Day) {
    let (workload, pod) = any_pod(day);
    let version = day.cluster.write();
    let workload = &day.cluster.workloads[workload];
    let pod = &workload.pods[pod];
    let node = &day.cluster.nodes[pod.node];
    let path =
        |verb| Request::new(&node.kubelet, verb, kind::PODS).namespace(workload.namespace).name(&pod.name);
    let read = path("get").answer(bodies::pod(&day.cluster, workload, pod, version - 1));
    let patch = path("patch")
        .subresource("status")
        .send(bodies::pod_status_patch(&node.address, workload, pod))
        .answer(bodies::pod(&day.cluster, workload, pod, version));
    // A pod may be gone before its kubelet has told its end.
    if day.rng.chance(30) {
        day.send(read.not_found());
    } else {
        day.send(read);
        day.send_after(5 * MILLISECOND, patch);
    }
}

pub(super) fn watch_mounts(day: &mut Day) {
    let (workload, pod) = any_pod(day);
    let workload = &day.cluster.workloads[workload];
    let kubelet = Rc::clone(&day.cluster.nodes[workload.pods[pod].node].kubelet);
    let (namespace, name) = (workload.namespace, workload.name);
    let (resource, object) = match day.rng.below(3) {
        0 => (kind::SECRETS, format!("{name}-settings")),
        1 => (kind::CONFIG_MAPS, format!("{name}-config")),
        _ => (kind::CONFIG_MAPS, "kube-root-ca.crt".into()),
    };
    let duration = day.rng.between(5 * 60, 10 * 60) * SECOND;
    let version = day.cluster.version();
    let list = Request::new(&kubelet, "list", resource)
        .namespace(namespace)
        .selecting(&object)
        .answer(bodies::list(resource, version, Vec::new()));
    let watch = Request::new(&kubelet, "watch", resource)
        .namespace(namespace)
        .selecting(&object)
        .watch(version, duration);
    if day.rng.chance(250) {
        day.send(list);
    }
    day.send_after(4 * MILLISECOND, watch);
}

pub(super) fn read_secret(day: &mut Day) {
    let (workload, pod) = any_pod(day);
    let version = day.cluster.version();
    let workload = &day.cluster.workloads[workload];
    let kubelet = Rc::clone(&day.cluster.nodes[workload.pods[pod].node].kubelet);
    let name = format!("{}-settings", workload.name);
    let mut secret = bodies::object(kind::SECRETS, workload.namespace, &name, version, day.cluster.created);
    bodies::extend(&mut secret, json!({ "data": { "level": "aW52ZW50ZWQ=" }, "type": "Opaque" }));
    let request = Request::new(&kubelet, "get", kind::SECRETS).namespace(workload.namespace).name(&name);
    day.send(request.answer(secret));
}

pub(super) fn request_token(day: &mut Day) {
    let (workload, pod) = any_pod(day);
    let workload = &day.cluster.workloads[workload];
    let pod = &workload.pods[pod];
    let kubelet = Rc::clone(&day.cluster.nodes[pod.node].kubelet);
    let token = |status| {
        json!({
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": { "name": workload.name, "namespace": workload.namespace, "creationTimestamp": null },
            "spec": {
                "audiences": ["https://kubernetes.default.svc"],
                "expirationSeconds": 3607,
                "boundObjectRef": {
                    "kind": "Pod", "apiVersion": "v1", "name": pod.name,
                    "uid": bodies::uid(kind::PODS, workload.namespace, &pod.name),
                },
            },
            "status": status,
        })
    };
    let expires = time(day.now() + 3_607 * SECOND);
    let request = Request::new(&kubelet, "create", kind::SERVICE_ACCOUNTS)
        .namespace(workload.namespace)
        .name(workload.name)
        .subresource("token")
        .send(token(json!({ "token": "", "expirationTimestamp": null })))
        .answer(token(json!({ "token": "invented-not-a-credential", "expirationTimestamp": expires })))
        .latency(7 * MILLISECOND);
    day.send(request);
}

pub(super) fn ask_for_access(day: &mut Day) {
    let (_, kubelet) = any_node(day);
    let node = kubelet.username.trim_start_matches("system:node:").to_owned();
    let attributes = json!({
        "verb": "get", "version": "v1", "resource": "nodes",
        "subresource": if day.rng.chance(800) { "metrics" } else { "proxy" },
        "name": node,
    });
    let review = bodies::access_review(
        kind::ACCESS_REVIEWS,
        "system:serviceaccount:monitoring:prometheus-k8s",
        &["system:serviceaccounts", "system:serviceaccounts:monitoring", "system:authenticated"],
        attributes,
    );
    let mut answer = review.clone();
    answer["status"] = json!({
        "allowed": true,
        "reason": "RBAC: allowed by ClusterRoleBinding \"prometheus-k8s\" of ClusterRole \"prometheus-k8s\" to ServiceAccount \"prometheus-k8s/monitoring\"",
    });
    day.send(Request::new(&kubelet, "create", kind::ACCESS_REVIEWS).send(review).answer(answer));
}

pub(super) fn review_token(day: &mut Day) {
    let (_, kubelet) = any_node(day);
    let review = json!({
        "kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "metadata": { "creationTimestamp": null },
        "spec": { "token": "invented-not-a-credential" }, "status": { "user": {} },
    });
    day.send(Request::new(&kubelet, "create", kind::TOKEN_REVIEWS).send(review.clone()).answer(review));
}

pub(super) fn tell_event(day: &mut Day) {
    let (index, pod) = any_pod(day);
    let version = day.cluster.write();
    let workload = &day.cluster.workloads[index];
    let pod = &workload.pods[pod];
    let node = &day.cluster.nodes[pod.node];
    let (reason, message) = match day.rng.below(3) {
        0 => (
            "Unhealthy",
            format!(
                "Readiness probe failed: Get \"http://{}:8080/health?deep=false&verbose=true\": context deadline exceeded",
                pod.address
            ),
        ),
        1 => ("Pulled", format!("Container image \"{}\" already present on machine", workload.image)),
        _ => {
            ("BackOff", format!("Back-off restarting failed container {} in pod {}", workload.name, pod.name))
        }
    };
    let event = bodies::event(
        (kind::PODS, workload.namespace, &pod.name),
        reason,
        &message,
        "kubelet",
        &node.name,
        day.now(),
    );
    let request = Request::new(&node.kubelet, "create", kind::EVENTS)
        .namespace(workload.namespace)
        .name(event["metadata"]["name"].as_str().unwrap_or_default())
        .answer(bodies::stored(kind::EVENTS, &event, version, day.now(), "kubelet"))
        .send(event);
    day.send(request);
}

pub(super) fn watch_pods(day: &mut Day) {
    let (_, kubelet) = any_node(day);
    let node = kubelet.username.trim_start_matches("system:node:").to_owned();
    let duration = day.rng.between(5, 10) * MINUTE;
    let request = Request::new(&kubelet, "watch", kind::PODS)
        .query(format!("fieldSelector=spec.nodeName%3D{node}"))
        .watch(day.cluster.version(), duration);
    day.send(request);
}

pub(super) fn renew_certificate(day: &mut Day) {
    let (_, kubelet) = any_node(day);
    let name = format!("csr-{}", day.rng.suffix(5));
    let mut sent = bodies::fresh(
        kind::SIGNING_REQUESTS,
        "",
        &name,
        json!({
            "spec": {
                "request": "aW52ZW50ZWQgY2VydGlmaWNhdGUgc2lnbmluZyByZXF1ZXN0",
                "signerName": "kubernetes.io/kubelet-serving",
                "usages": ["digital signature", "server auth"],
                "username": kubelet.username,
                "groups": ["system:nodes", "system:authenticated"],
            },
            "status": {},
        }),
    );
    sent["metadata"]["uid"] = json!(uid_of(&name));
    let version = day.cluster.write();
    let stored = bodies::stored(kind::SIGNING_REQUESTS, &sent, version, day.now(), "kubelet");
    day.send(Request::new(&kubelet, "create", kind::SIGNING_REQUESTS).name(&name).send(sent).answer(stored));
}
