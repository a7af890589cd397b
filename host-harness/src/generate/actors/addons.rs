//! What a cluster is delivered with: DNS, network, storage, metrics. Mostly watches, and the big lists.

use std::rc::Rc;

use serde_json::{Value, json};

use super::super::bodies::{self, kind};
use super::super::clock::{MILLISECOND, SECOND, time};
use super::super::day::Day;
use super::super::event::{Request, Resource};

const WATCHERS: [(&str, &str, &[Resource]); 8] = [
    ("kube-system", "coredns", &[kind::SLICES, kind::SERVICES, kind::NAMESPACES]),
    ("kube-system", "kube-proxy-worker", &[kind::SLICES, kind::SERVICES]),
    ("kube-system", "metrics-server", &[kind::NODES, kind::PODS]),
    ("kube-system", "csi-provisioner", &[kind::CLAIMS, kind::VOLUMES, kind::VOLUME_ATTACHMENTS]),
    ("kube-system", "terway-eniip", &[kind::PODS, kind::NODES]),
    (
        "ingress",
        "nginx-ingress-controller",
        &[kind::INGRESSES, kind::SECRETS, kind::SLICES, kind::CONFIG_MAPS],
    ),
    ("monitoring", "kube-state-metrics", &[kind::PODS, kind::JOBS, kind::INGRESSES, kind::QUOTAS]),
    ("argocd", "argocd-application-controller", &[kind::APPLICATIONS, kind::DEPLOYMENTS, kind::CERTIFICATES]),
];

pub(super) fn watch(day: &mut Day) {
    let (namespace, name, resources) = *day.rng.pick(&WATCHERS);
    let caller = day.cluster.account(namespace, name);
    let resource = *day.rng.pick(resources);
    let duration = day.rng.between(300, 599) * SECOND;
    day.send(Request::new(&caller, "watch", resource).watch(day.cluster.version(), duration));
}

pub(super) fn read_metrics(day: &mut Day) {
    let caller = day.cluster.account("kube-system", "metrics-server");
    let index = day.rng.index(day.cluster.nodes.len());
    let name = day.cluster.nodes[index].name.clone();
    day.send(
        Request::new(&caller, "get", kind::NODES)
            .name(&name)
            .subresource("proxy")
            .rest("/metrics/resource")
            .latency(20 * MILLISECOND),
    );
}

/// The lists with which an informer begins, or begins again: up to everything there is.
pub(super) fn list(day: &mut Day) {
    let (namespace, name, resources) = *day.rng.pick(&WATCHERS);
    let caller = day.cluster.account(namespace, name);
    let resource = *day.rng.pick(resources);
    let items = items(day, resource, None);
    let request = Request::new(&caller, "list", resource)
        .query("limit=500&resourceVersion=0")
        .answer(bodies::list(resource, day.cluster.version(), items));
    day.send(request.latency(45 * MILLISECOND));
}

/// Objects of a kind, for a list, of one namespace or of all: workloads, their pods and nodes as they are, of other
/// kinds one for each workload.
pub(super) fn items(day: &mut Day, resource: Resource, namespace: Option<&str>) -> Vec<Value> {
    let version = day.cluster.version();
    // Lists are of all sizes: a selector or the page limit often narrows them.
    let most = day.rng.long_tail(8, 160) as usize;
    let (cluster, now) = (&day.cluster, day.now());
    let workloads =
        cluster.workloads.iter().filter(|workload| namespace.is_none_or(|name| name == workload.namespace));
    match resource.kind {
        "Pod" => workloads
            .flat_map(|workload| {
                workload.pods.iter().map(move |pod| bodies::pod(cluster, workload, pod, version))
            })
            .take(most)
            .collect(),
        "Node" => (0..cluster.nodes.len()).map(|index| bodies::node(cluster, index, version, now)).collect(),
        "Deployment" => {
            workloads.map(|workload| bodies::workload(cluster, workload, version, now)).take(most).collect()
        }
        "EndpointSlice" => workloads
            .map(|workload| bodies::endpoint_slice(cluster, workload, version, now))
            .take(most)
            .collect(),
        _ => workloads
            .map(|workload| {
                let mut object =
                    bodies::object(resource, workload.namespace, workload.name, version, cluster.created);
                object["spec"] =
                    json!({ "className": "standard", "limits": { "count": workload.variables } });
                object
            })
            .take(most)
            .collect(),
    }
}

pub(super) fn tend_volumes(day: &mut Day) {
    let caller = day.cluster.account("kube-system", "csi-plugin");
    let name = format!("csi-{}{}", day.rng.hex(32), day.rng.hex(32));
    let version = day.cluster.write();
    let mut attachment = bodies::object(kind::VOLUME_ATTACHMENTS, "", &name, version, day.cluster.created);
    let node = &day.cluster.nodes[day.rng.index(day.cluster.nodes.len())].name;
    bodies::extend(
        &mut attachment,
        json!({
            "spec": {
                "attacher": "disk.csi.example.com",
                "source": { "persistentVolumeName": format!("d-{}", &name[4..24]) },
                "nodeName": node,
            },
            "status": { "attached": true },
        }),
    );
    let patch = json!({ "status": { "attached": true, "attachmentMetadata": { "devicePath": "/dev/vdb" } } });
    let request = Request::new(&caller, "patch", kind::VOLUME_ATTACHMENTS).name(&name).subresource("status");
    day.send(request.send(patch).answer(attachment));
}

/// Aggregated API servers ask the main one about everybody who calls them.
pub(super) fn review_requests(day: &mut Day) {
    let caller = day.cluster.account("kube-system", "metrics-server");
    let review = bodies::access_review(
        kind::ACCESS_REVIEWS,
        "system:serviceaccount:kube-system:horizontal-pod-autoscaler",
        &["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
        json!({
            "namespace": "shop", "verb": "list", "group": "metrics.k8s.io", "version": "v1beta1",
            "resource": "pods",
        }),
    );
    let mut answer = review.clone();
    answer["status"] = json!({
        "allowed": true,
        "reason": "RBAC: allowed by ClusterRoleBinding \"system:controller:horizontal-pod-autoscaler\" of ClusterRole \"system:controller:horizontal-pod-autoscaler\" to ServiceAccount \"horizontal-pod-autoscaler/kube-system\"",
    });
    day.send(
        Request::new(&caller, "create", kind::ACCESS_REVIEWS)
            .query("timeout=10s")
            .send(review)
            .answer(answer),
    );
}

pub(super) fn mark_node(day: &mut Day) {
    let caller = day.cluster.account("kube-system", "node-problem-detector");
    let index = day.rng.index(day.cluster.nodes.len());
    let name = day.cluster.nodes[index].name.clone();
    let version = day.cluster.write();
    let now = time(day.now());
    let patch = json!({
        "status": {
            "conditions": [{
                "type": "KernelDeadlock", "status": "False", "lastHeartbeatTime": now,
                "lastTransitionTime": now, "reason": "KernelHasNoDeadlock",
                "message": "kernel has no deadlock",
            }],
        },
    });
    let request =
        Request::new(&Rc::clone(&caller), "patch", kind::NODES).name(&name).subresource("status").send(patch);
    day.send(request.answer(bodies::node(&day.cluster, index, version, day.now())));
}
