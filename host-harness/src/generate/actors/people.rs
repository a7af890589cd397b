//! People: operators and developers with `kubectl` and a dashboard, and the robot that releases for them.

use std::rc::Rc;

use serde_json::{Value, json};

use super::super::bodies::{self, kind};
use super::super::clock::{MILLISECOND, SECOND, time};
use super::super::day::Day;
use super::super::event::{Caller, Request, Resource};
use super::super::json::sorted;
use super::addons::items;
use super::control_plane::replace_pod;
use super::kubelet::any_pod;

fn anybody(day: &mut Day) -> Rc<Caller> {
    Rc::clone(day.rng.pick(&day.cluster.callers.people))
}

/// The addresses a person's request came through: mostly their office's, now and then a proxy's behind it.
fn way(day: &mut Day, request: Request, caller: &Caller) -> Request {
    let office = caller.source_ips.first().map_or("203.0.113.24", String::as_str);
    match day.rng.below(12) {
        0 => request.via(&[office, "10.24.0.5"]),
        // What a client puts into X-Forwarded-For itself comes first.
        1 => request.via(&["10.0.0.1", office, "10.24.0.5"]),
        _ => request,
    }
}

pub(super) fn look_around(day: &mut Day) {
    let caller = anybody(day);
    let resource = *day.rng.pick(&[
        kind::PODS,
        kind::PODS,
        kind::DEPLOYMENTS,
        kind::SERVICES,
        kind::EVENTS,
        kind::NODES,
        kind::INGRESSES,
        kind::JOBS,
        kind::APPLICATIONS,
        kind::SECRETS,
    ]);
    let everywhere = matches!(resource.kind, "Node") || day.rng.chance(250) && resource.kind != "Secret";
    let (index, _) = any_pod(day);
    let namespace = day.cluster.workloads[index].namespace;
    let objects: Vec<Value> = items(day, resource, if everywhere { None } else { Some(namespace) });
    let columns: &[&str] = match resource.kind {
        "Pod" => &["Name", "Ready", "Status", "Restarts", "Age"],
        _ => &["Name", "Ready", "Age"],
    };
    let version = day.cluster.version();
    let table = bodies::table(version, columns, objects, &mut day.rng);
    let request = Request::new(&caller, "list", resource).query("limit=500").answer(table);
    let request = if everywhere { request } else { request.namespace(namespace) };
    let latency = day.rng.long_tail(9, 220) * MILLISECOND;
    let request = way(day, request.latency(latency), &caller);
    day.send(request);
}

pub(super) fn describe(day: &mut Day) {
    let caller = anybody(day);
    let (index, pod) = any_pod(day);
    let version = day.cluster.version();
    let workload = &day.cluster.workloads[index];
    let pod = &workload.pods[pod];
    let get = Request::new(&caller, "get", kind::PODS).namespace(workload.namespace).name(&pod.name);
    let node = &day.cluster.nodes[pod.node].name;
    let about = (kind::PODS, workload.namespace, pod.name.as_str());
    let events = ["Pulled", "Created", "Started"].map(|reason| {
        bodies::event(
            about,
            reason,
            "Container image already present & container started",
            "kubelet",
            node,
            pod.since,
        )
    });
    let list = Request::new(&caller, "list", kind::EVENTS).namespace(workload.namespace).query(format!(
        "fieldSelector=involvedObject.name%3D{}%2CinvolvedObject.namespace%3D{}%2CinvolvedObject.uid%3D{}&limit=500",
        pod.name,
        workload.namespace,
        bodies::uid(kind::PODS, workload.namespace, &pod.name)
    ));
    let get = if day.rng.chance(120) {
        get.not_found()
    } else {
        get.answer(bodies::pod(&day.cluster, workload, pod, version))
    };
    day.send(get);
    day.send_after(70 * MILLISECOND, list.answer(bodies::list(kind::EVENTS, version, events.to_vec())));
}

/// A request for a subresource of some pod in a namespace people work in.
fn on_pod(
    day: &mut Day,
    caller: &Rc<Caller>,
    verb: &'static str,
    subresource: &'static str,
) -> (Request, String) {
    loop {
        let (index, pod) = any_pod(day);
        let workload = &day.cluster.workloads[index];
        if super::super::cluster::APPLICATION_NAMESPACES.contains(&workload.namespace) {
            let request = Request::new(caller, verb, kind::PODS)
                .namespace(workload.namespace)
                .name(&workload.pods[pod].name)
                .subresource(subresource);
            return (request, workload.name.to_owned());
        }
    }
}

pub(super) fn read_logs(day: &mut Day) {
    let caller = anybody(day);
    let (request, container) = on_pod(day, &caller, "get", "log");
    let request = if day.rng.chance(500) {
        let open = day.rng.between(10, 900) * SECOND;
        request.query(format!("container={container}&follow=true&tailLines=100")).streamed(open)
    } else {
        request.query(format!("container={container}&timestamps=true"))
    };
    day.send(request.latency(25 * MILLISECOND));
}

pub(super) fn apply(day: &mut Day) {
    let caller = anybody(day);
    let (index, _) = any_pod(day);
    let version = day.cluster.write();
    let now = day.now();
    let workload = &mut day.cluster.workloads[index];
    workload.generation += 1;
    let workload = &day.cluster.workloads[index];
    let resource = bodies::controller_kind(workload);
    let get = Request::new(&caller, "get", resource).namespace(workload.namespace).name(workload.name);
    let answer = bodies::workload(&day.cluster, workload, version, now);
    let before = bodies::workload(&day.cluster, workload, version - 1, now);
    let patch = json!({
        "metadata": {
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": answer["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"],
            },
        },
        "spec": {
            "template": {
                "spec": {
                    "$setElementOrder/containers": [{ "name": workload.name }],
                    "containers": [{
                        "image": workload.image, "name": workload.name,
                        "resources": { "limits": { "memory": "1536Mi" } },
                    }],
                },
            },
        },
    });
    let send = Request::new(&caller, "patch", resource)
        .namespace(workload.namespace)
        .name(workload.name)
        .query("fieldManager=kubectl-client-side-apply&fieldValidation=Strict")
        .send(patch)
        .answer(answer);
    day.send(Request::path(&caller, "get", "/openapi/v3").query("timeout=32s").latency(30 * MILLISECOND));
    day.send_after(180 * MILLISECOND, get.answer(before));
    day.send_after(260 * MILLISECOND, send.latency(24 * MILLISECOND));
}

/// `kubectl rollout restart`, and what it sets off.
pub(super) fn roll_out(day: &mut Day) {
    let caller = anybody(day);
    restart(day, &caller);
}

fn restart(day: &mut Day, caller: &Rc<Caller>) {
    let (index, _) = any_pod(day);
    let version = day.cluster.write();
    let now = day.now();
    let hash = day.rng.suffix(9);
    let workload = &mut day.cluster.workloads[index];
    workload.hash = hash;
    workload.generation += 1;
    // A long rollout is still going on when the next event is due; a few pods show what it looks like.
    let pods = workload.pods.len().min(3);
    let workload = &day.cluster.workloads[index];
    let resource = bodies::controller_kind(workload);
    let patch = json!({
        "spec": {
            "template": { "metadata": { "annotations": { "kubectl.kubernetes.io/restartedAt": time(now) } } },
        },
    });
    let request = Request::new(caller, "patch", resource)
        .namespace(workload.namespace)
        .name(workload.name)
        .query("fieldManager=kubectl-rollout")
        .send(patch)
        .answer(bodies::workload(&day.cluster, workload, version, now));
    if bodies::controller_kind(workload).kind == "Deployment" {
        let set = bodies::replica_set(&day.cluster, workload, version, now);
        let controller = day.cluster.controller("deployment-controller");
        let name = set["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let create =
            Request::new(&controller, "create", kind::REPLICA_SETS).namespace(workload.namespace).name(&name);
        day.send_after(40 * MILLISECOND, create.send(set.clone()).answer(set));
    }
    day.send(request);
    for pod in 0..pods {
        replace_pod(day, index, pod, (pod as u64 * 15 + 1) * SECOND);
    }
}

fn scale_request(
    day: &mut Day,
    caller: &Rc<Caller>,
    resource: Resource,
    namespace: &str,
    name: &str,
) -> Request {
    let replicas = day.rng.between(1, 8);
    let version = day.cluster.write();
    let mut scale = bodies::object(resource, namespace, name, version, day.cluster.created);
    bodies::extend(
        &mut scale,
        json!({
            "kind": "Scale", "apiVersion": "autoscaling/v1",
            "spec": { "replicas": replicas },
            "status": { "replicas": 2, "selector": format!("app.kubernetes.io/name={name}") },
        }),
    );
    Request::new(caller, "patch", resource)
        .namespace(namespace)
        .name(name)
        .subresource("scale")
        .send(json!({ "spec": { "replicas": replicas } }))
        .answer(scale)
}

pub(super) fn scale(day: &mut Day) {
    let caller = anybody(day);
    let (index, _) = any_pod(day);
    let (namespace, name) = (day.cluster.workloads[index].namespace, day.cluster.workloads[index].name);
    let resource = bodies::controller_kind(&day.cluster.workloads[index]);
    let request = scale_request(day, &caller, resource, namespace, name);
    day.send(request);
}

/// kubectl opens streams with SPDY (a POST) before 1.31 and with WebSocket (a GET) since.
fn upgrade_verb(caller: &Caller) -> &'static str {
    if caller.user_agent.contains("v1.31") { "get" } else { "create" }
}

pub(super) fn exec(day: &mut Day) {
    let caller = anybody(day);
    let (request, container) = on_pod(day, &caller, upgrade_verb(&caller), "exec");
    let command = *day.rng.pick(&[
        "command=sh",
        "command=bash",
        "command=ls&command=-la&command=%2Fvar%2Flog%2Fapp",
        "command=env",
        "command=psql&command=-U&command=ledger&command=-c&command=select+count%28%2A%29+from+entries%3B",
        "command=sh&command=-c&command=cat+%2Fproc%2Fmeminfo+%7C+head+-3",
    ]);
    let (stdin, tty) = if command.contains('&') { ("", "") } else { ("&stdin=true", "&tty=true") };
    let open = day.rng.long_tail(1, 1_200) * SECOND;
    let request = request
        .query(format!("{command}&container={container}&stderr=true{stdin}&stdout=true{tty}"))
        .upgraded(open);
    let request = way(day, request.latency(30 * MILLISECOND), &caller);
    day.send(request);
}

pub(super) fn forward_port(day: &mut Day) {
    let caller = anybody(day);
    let (request, _) = on_pod(day, &caller, upgrade_verb(&caller), "portforward");
    let open = day.rng.between(30, 1_800) * SECOND;
    day.send(request.upgraded(open));
}

/// `kubectl cp`: a `tar` behind an exec.
pub(super) fn copy_files(day: &mut Day) {
    let caller = anybody(day);
    let (request, container) = on_pod(day, &caller, upgrade_verb(&caller), "exec");
    let request = request
        .query(format!("command=tar&command=cf&command=-&command=%2Ftmp%2Fheap.hprof&container={container}&stderr=true&stdout=true"))
        .upgraded(8 * SECOND);
    day.send(request);
}

pub(super) fn delete_pod(day: &mut Day) {
    let caller = anybody(day);
    let (index, pod) = any_pod(day);
    let version = day.cluster.write();
    let workload = &day.cluster.workloads[index];
    let answer = bodies::pod(&day.cluster, workload, &workload.pods[pod], version);
    let request = Request::new(&caller, "delete", kind::PODS)
        .namespace(workload.namespace)
        .name(&workload.pods[pod].name);
    day.send(request.send(bodies::delete_options()).answer(answer));
    replace_pod(day, index, pod, 700 * MILLISECOND);
}

/// `kubectl auth can-i`.
pub(super) fn ask_permission(day: &mut Day) {
    let caller = anybody(day);
    let resource = *day.rng.pick(&["deployments", "secrets", "pods"]);
    let mut review = json!({
        "kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": { "creationTimestamp": null },
        "spec": { "resourceAttributes": { "namespace": "payments", "verb": "delete", "resource": resource } },
        "status": { "allowed": false },
    });
    let request = Request::new(&caller, "create", kind::SELF_ACCESS_REVIEWS).send(review.clone());
    review["status"] = json!({ "allowed": true, "reason": caller.reason });
    day.send(request.answer(review));
}

/// The dashboard acts as whoever is logged in there.
pub(super) fn use_dashboard(day: &mut Day) {
    let request = dashboard_request(day);
    day.send(request);
}

/// One of the dashboard's requests.
pub(in super::super) fn dashboard_request(day: &mut Day) -> Request {
    let caller = Rc::clone(&day.cluster.callers.dashboard);
    let user = *day.rng.pick(&[
        "oidc:mara.novak@example.com",
        "oidc:yuki.sato@example.com",
        "oidc:tomas.hill@example.com",
    ]);
    let resource = *day.rng.pick(&[kind::PODS, kind::DEPLOYMENTS, kind::INGRESSES, kind::JOBS]);
    let namespace = *day.rng.pick(&super::super::cluster::APPLICATION_NAMESPACES);
    let objects = items(day, resource, Some(namespace));
    Request::new(&caller, "list", resource)
        .namespace(namespace)
        .query("limit=50")
        .impersonate(json!({ "username": user, "groups": ["oidc:shop-developers", "system:authenticated"] }))
        .answer(bodies::list(resource, day.cluster.version(), objects))
        .latency(30 * MILLISECOND)
}

/// A developer in somebody else's namespace.
pub(super) fn be_refused(day: &mut Day) {
    let caller = Rc::clone(&day.cluster.callers.developer);
    let namespace = *day.rng.pick(&["payments", "data", "kube-system"]);
    let resource = *day.rng.pick(&[kind::PODS, kind::SECRETS, kind::DEPLOYMENTS]);
    let request = Request::new(&caller, "list", resource).namespace(namespace).query("limit=500").forbidden();
    let request = way(day, request, &caller);
    day.send(request);
}

/// The release robot: applies to staging, then watches the rollout.
pub(super) fn release_by_robot(day: &mut Day) {
    let caller = Rc::clone(&day.cluster.callers.robot);
    let index = day.cluster.find("staging", if day.rng.chance(500) { "storefront" } else { "gateway" });
    let version = day.cluster.write();
    let now = day.now();
    let workload = &day.cluster.workloads[index];
    let answer = bodies::workload(&day.cluster, workload, version, now);
    let request =
        |verb| Request::new(&caller, verb, kind::DEPLOYMENTS).namespace("staging").name(workload.name);
    let read = request("get").answer(answer.clone());
    let sent = sorted(json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "labels": answer["metadata"]["labels"], "name": workload.name, "namespace": "staging",
        },
        "spec": answer["spec"],
    }));
    let patch = request("patch")
        .query("fieldManager=release-robot&fieldValidation=Strict&force=false")
        .send(sent)
        .answer(answer);
    if day.rng.chance(50) {
        let create =
            Request::new(&caller, "create", kind::CONFIG_MAPS).namespace("staging").name("release-notes");
        day.send(
            create
                .send(bodies::fresh(
                    kind::CONFIG_MAPS,
                    "staging",
                    "release-notes",
                    json!({ "data": { "notes": "see the tracker" } }),
                ))
                .already_exists(),
        );
    }
    match day.rng.below(10) {
        0 => {
            day.send(patch.latency(20 * MILLISECOND));
            let watch = Request::new(&caller, "watch", kind::DEPLOYMENTS).namespace("staging");
            let open = day.rng.between(5, 120) * SECOND;
            day.send_after(90 * MILLISECOND, watch.selecting("storefront").watch(version, open));
        }
        1 => restart(day, &caller),
        _ => day.send(read),
    }
}
