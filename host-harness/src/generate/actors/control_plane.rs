//! The control plane: the API server's requests to itself, the scheduler, and the controllers, each of which has a
//! service account of its own.

use std::rc::Rc;

use serde_json::{Value, json};

use super::super::bodies::{self, kind};
use super::super::clock::{MILLISECOND, MINUTE, SECOND, time};
use super::super::cluster::{self, APPLICATION_NAMESPACES, Controller, NAMESPACES};
use super::super::day::Day;
use super::super::event::{Request, Resource};
use super::super::rng::uid_of;
use super::kubelet::{any_pod, pod_status};

pub(super) fn keep_leadership(day: &mut Day) {
    let callers = &day.cluster.callers;
    let (caller, name) = match day.rng.below(2) {
        0 => (Rc::clone(&callers.controller_manager), "kube-controller-manager"),
        _ => (Rc::clone(&callers.scheduler), "kube-scheduler"),
    };
    let holder = format!("{name}-0_{}", uid_of(name));
    let now = day.now();
    let before = day.cluster.version();
    let after = day.cluster.write();
    let lease = |version| bodies::lease(&day.cluster, "kube-system", name, &holder, version, now);
    let request = |verb| {
        Request::new(&caller, verb, kind::LEASES).namespace("kube-system").name(name).query("timeout=5s")
    };
    let read = request("get").answer(lease(before)).latency(1_900);
    let update = request("update").send(lease(before)).answer(lease(after));
    let update = if day.rng.chance(5) { update.conflict() } else { update };
    day.send(read);
    day.send_after(4 * MILLISECOND, update);
}

pub(super) fn look_after_itself(day: &mut Day) {
    let apiserver = Rc::clone(&day.cluster.callers.apiserver);
    let created = day.cluster.created;
    let version = day.cluster.version();
    let get = |resource: Resource, namespace: &str, name: &str, content: Value| {
        let mut object = bodies::object(resource, namespace, name, version, created);
        bodies::extend(&mut object, content);
        Request::new(&apiserver, "get", resource).namespace(namespace).name(name).answer(object).latency(900)
    };
    let request = match day.rng.below(6) {
        0 => {
            let name = *day.rng.pick(&["default", "kube-system", "kube-public", "kube-node-lease"]);
            get(
                kind::NAMESPACES,
                "",
                name,
                json!({ "spec": { "finalizers": ["kubernetes"] }, "status": { "phase": "Active" } }),
            )
        }
        1 => get(
            kind::SERVICES,
            "default",
            "kubernetes",
            json!({
                "spec": {
                    "ports": [{ "name": "https", "protocol": "TCP", "port": 443, "targetPort": 6443 }],
                    "clusterIP": "172.16.0.1", "clusterIPs": ["172.16.0.1"], "type": "ClusterIP",
                    "sessionAffinity": "None",
                },
                "status": { "loadBalancer": {} },
            }),
        ),
        2 => get(
            kind::ENDPOINTS,
            "default",
            "kubernetes",
            json!({
                "subsets": [{
                    "addresses": [{ "ip": "10.24.255.3" }],
                    "ports": [{ "name": "https", "port": 6443, "protocol": "TCP" }],
                }],
            }),
        ),
        3 => get(
            kind::SLICES,
            "default",
            "kubernetes",
            json!({
                "addressType": "IPv4",
                "endpoints": [{ "addresses": ["10.24.255.3"], "conditions": { "ready": true } }],
                "ports": [{ "name": "https", "port": 6443, "protocol": "TCP" }],
            }),
        ),
        4 => {
            let items = (0..14).map(|index| {
                let mut schema = bodies::object(kind::FLOW_SCHEMAS, "", &format!("schema-{index}"), version, created);
                bodies::extend(&mut schema, json!({
                    "spec": {
                        "priorityLevelConfiguration": { "name": "workload-low" },
                        "matchingPrecedence": 900 + index,
                        "distinguisherMethod": { "type": "ByUser" },
                        "rules": [{
                            "subjects": [{ "kind": "Group", "group": { "name": "system:serviceaccounts" } }],
                            "resourceRules": [{
                                "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": true,
                                "namespaces": ["*"],
                            }],
                        }],
                    },
                    "status": {
                        "conditions": [{
                            "type": "Dangling", "status": "False", "lastTransitionTime": time(created),
                            "reason": "Found",
                        }],
                    },
                }));
                schema
            });
            Request::new(&apiserver, "list", kind::FLOW_SCHEMAS)
                .query("limit=500&resourceVersion=0")
                .answer(bodies::list(kind::FLOW_SCHEMAS, version, items.collect()))
        }
        _ => {
            let name = format!("apiserver-{}", &uid_of("apiserver").replace('-', "")[..26]);
            let lease = |version| {
                bodies::lease(
                    &day.cluster,
                    "kube-system",
                    &name,
                    &format!("{name}_{}", uid_of("identity")),
                    version,
                    day.now(),
                )
            };
            Request::new(&apiserver, "update", kind::LEASES)
                .namespace("kube-system")
                .name(&name)
                .send(lease(version))
                .answer(lease(version + 1))
        }
    };
    day.send(request);
}

/// API groups and how many resources each has.
const GROUPS: [(&str, u64); 14] = [
    ("/api/v1", 52),
    ("/apis/apps/v1", 11),
    ("/apis/batch/v1", 4),
    ("/apis/autoscaling/v2", 2),
    ("/apis/networking.k8s.io/v1", 4),
    ("/apis/rbac.authorization.k8s.io/v1", 4),
    ("/apis/storage.k8s.io/v1", 9),
    ("/apis/policy/v1", 2),
    ("/apis/metrics.k8s.io/v1beta1", 2),
    ("/apis/cert-manager.io/v1", 8),
    ("/apis/argoproj.io/v1alpha1", 6),
    ("/apis/external-secrets.io/v1beta1", 8),
    ("/apis/monitoring.coreos.com/v1", 16),
    ("/apis/coordination.k8s.io/v1", 1),
];

pub(super) fn discover(day: &mut Day) {
    let name =
        *day.rng.pick(&["generic-garbage-collector", "resourcequota-controller", "namespace-controller"]);
    let caller = day.cluster.controller(name);
    let (path, count) = *day.rng.pick(&GROUPS);
    let group_version = path.trim_start_matches("/apis/").trim_start_matches("/api/");
    let request = Request::path(&caller, "get", path)
        .query("timeout=32s")
        .answer(bodies::api_resources(group_version, count));
    day.send(request.latency(700));
}

pub(super) fn update_endpoints(day: &mut Day) {
    let caller = day.cluster.controller("endpointslice-controller");
    let (index, _) = any_pod(day);
    let before = day.cluster.version();
    let after = day.cluster.write();
    let workload = &day.cluster.workloads[index];
    let sent = bodies::endpoint_slice(&day.cluster, workload, before, day.now());
    let request = Request::new(&caller, "update", kind::SLICES)
        .namespace(workload.namespace)
        .name(sent["metadata"]["name"].as_str().unwrap_or_default())
        .answer(bodies::endpoint_slice(&day.cluster, workload, after, day.now()))
        .send(sent);
    let request = if day.rng.chance(20) { request.conflict() } else { request };
    day.send(request.latency(5 * MILLISECOND));
}

/// Updates of the status of a workload and of what it owns.
pub(super) fn update_workload_status(day: &mut Day) {
    let (index, _) = any_pod(day);
    let before = day.cluster.version();
    let after = day.cluster.write();
    let now = day.now();
    let workload = &day.cluster.workloads[index];
    let (caller, resource, name, sent, answer) =
        if workload.controller == Controller::Deployment && day.rng.chance(500) {
            (
                "replicaset-controller",
                kind::REPLICA_SETS,
                format!("{}-{}", workload.name, workload.hash),
                bodies::replica_set(&day.cluster, workload, before, now),
                bodies::replica_set(&day.cluster, workload, after, now),
            )
        } else {
            let caller = match workload.controller {
                Controller::Deployment => "deployment-controller",
                Controller::StatefulSet => "statefulset-controller",
                Controller::DaemonSet => "daemon-set-controller",
            };
            (
                caller,
                bodies::controller_kind(workload),
                workload.name.to_owned(),
                bodies::workload(&day.cluster, workload, before, now),
                bodies::workload(&day.cluster, workload, after, now),
            )
        };
    let caller = day.cluster.controller(caller);
    let request = Request::new(&caller, "update", resource)
        .namespace(workload.namespace)
        .name(&name)
        .subresource("status")
        .send(sent)
        .answer(answer);
    let request = if day.rng.chance(25) { request.conflict() } else { request };
    day.send(request.latency(6 * MILLISECOND));
}

pub(super) fn scale_automatically(day: &mut Day) {
    let caller = day.cluster.controller("horizontal-pod-autoscaler");
    let (index, _) = any_pod(day);
    let load = day.rng.between(20, 95);
    let before = day.cluster.version();
    let after = day.cluster.write();
    let workload = &day.cluster.workloads[index];
    let (namespace, name, replicas) = (workload.namespace, workload.name, workload.pods.len());
    let (now, created) = (time(day.now()), day.cluster.created);
    let autoscaler = |version| {
        let mut object = bodies::object(kind::AUTOSCALERS, namespace, name, version, created);
        bodies::extend(
            &mut object,
            json!({
                "spec": {
                    "scaleTargetRef": { "kind": "Deployment", "name": name, "apiVersion": "apps/v1" },
                    "minReplicas": 1, "maxReplicas": 24,
                    "metrics": [{
                        "type": "Resource",
                        "resource": {
                            "name": "cpu",
                            "target": { "type": "Utilization", "averageUtilization": 70 },
                        },
                    }],
                },
                "status": { "lastScaleTime": now, "currentReplicas": replicas, "desiredReplicas": replicas, "currentMetrics": [{ "type": "Resource", "resource": { "name": "cpu", "current": { "averageValue": format!("{}m", load * 4), "averageUtilization": load } } }], "conditions": [
                    {
                        "type": "AbleToScale", "status": "True", "lastTransitionTime": now,
                        "reason": "ReadyForNewScale", "message": "recommended size matches current size",
                    },
                    {
                        "type": "ScalingActive", "status": "True", "lastTransitionTime": now,
                        "reason": "ValidMetricFound",
                        "message": "the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)",
                    },
                    {
                        "type": "ScalingLimited", "status": "False", "lastTransitionTime": now,
                        "reason": "DesiredWithinRange",
                        "message": "the desired count is within the acceptable range",
                    },
                ] },
            }),
        );
        object
    };
    let metrics = Request::new(&caller, "list", kind::POD_METRICS)
        .namespace(namespace)
        .query(format!("labelSelector=app.kubernetes.io%2Fname%3D{name}"))
        .answer(bodies::list(
            kind::POD_METRICS,
            before,
            workload
                .pods
                .iter()
                .map(|pod| {
                    json!({
                        "metadata": { "name": pod.name, "namespace": namespace },
                        "timestamp": now, "window": "15.42s",
                        "containers": [{
                            "name": name,
                            "usage": { "cpu": format!("{}n", load * 3_141_592), "memory": "512340Ki" },
                        }],
                    })
                })
                .collect(),
        ));
    let update = Request::new(&caller, "update", kind::AUTOSCALERS)
        .namespace(namespace)
        .name(name)
        .subresource("status")
        .send(autoscaler(before))
        .answer(autoscaler(after));
    day.send(metrics);
    day.send_after(8 * MILLISECOND, update);
}

pub(super) fn count_quota(day: &mut Day) {
    let caller = day.cluster.controller("resourcequota-controller");
    let namespace = *day.rng.pick(&APPLICATION_NAMESPACES);
    let used = day.rng.between(8, 40);
    let created = day.cluster.created;
    let quota = |version| {
        let mut object = bodies::object(kind::QUOTAS, namespace, "namespace-quota", version, created);
        let hard = json!({ "limits.cpu": "200", "limits.memory": "400Gi", "pods": "120" });
        bodies::extend(
            &mut object,
            json!({
                "spec": { "hard": hard },
                "status": {
                    "hard": hard,
                    "used": {
                        "limits.cpu": used.to_string(),
                        "limits.memory": format!("{}Gi", used * 2),
                        "pods": used.to_string(),
                    },
                },
            }),
        );
        object
    };
    let before = day.cluster.version();
    let after = day.cluster.write();
    let request = Request::new(&caller, "update", kind::QUOTAS)
        .namespace(namespace)
        .name("namespace-quota")
        .subresource("status");
    day.send(request.send(quota(before)).answer(quota(after)));
}

const WATCHED: [Resource; 13] = [
    kind::PODS,
    kind::NODES,
    kind::SERVICES,
    kind::SECRETS,
    kind::CONFIG_MAPS,
    kind::NAMESPACES,
    kind::VOLUMES,
    kind::CLAIMS,
    kind::REPLICA_SETS,
    kind::DEPLOYMENTS,
    kind::JOBS,
    kind::SLICES,
    kind::CRDS,
];

pub(super) fn watch(day: &mut Day) {
    let callers = &day.cluster.callers;
    let caller = match day.rng.below(3) {
        0 => Rc::clone(&callers.scheduler),
        1 => Rc::clone(&callers.apiserver),
        _ => Rc::clone(&callers.controller_manager),
    };
    let resource = *day.rng.pick(&WATCHED);
    let duration = day.rng.between(300, 599) * SECOND;
    day.send(Request::new(&caller, "watch", resource).watch(day.cluster.version(), duration));
}

/// A cron job's turn: job, pod, binding, status after status, and the clean-up.
pub(super) fn run_scheduled_job(day: &mut Day) {
    let (namespace, name) = *day.rng.pick(&[
        ("payments", "reconcile"),
        ("catalog", "reindex"),
        ("data", "backup"),
        ("logistics", "purge-labels"),
        ("shop", "abandoned-carts"),
    ]);
    let now = day.now();
    let job_name = format!("{name}-{}", now / MINUTE);
    let worker = cluster::Workload {
        namespace,
        name,
        controller: Controller::Deployment,
        image: "registry.example.com/base/jobs:2.4.0",
        variables: 8,
        hash: day.rng.suffix(9),
        generation: 1,
        pods: Vec::new(),
    };
    let mut pod = cluster::new_pod(&worker, 0, now, &mut day.rng);
    pod.name = format!("{job_name}-{}", day.rng.suffix(5));
    let created = day.cluster.created;
    let spec = json!({
        "parallelism": 1, "completions": 1, "backoffLimit": 2, "ttlSecondsAfterFinished": 300,
        "template": {
            "metadata": { "creationTimestamp": null, "labels": { "job-name": job_name } },
            "spec": bodies::pod_spec(&worker),
        },
    });
    let mut job = bodies::fresh(kind::JOBS, namespace, &job_name, json!({ "spec": spec, "status": {} }));
    job["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "batch/v1", "kind": "CronJob", "name": name,
        "uid": bodies::uid(kind::CRON_JOBS, namespace, name), "controller": true, "blockOwnerDeletion": true,
    }]);
    let cron = day.cluster.controller("cronjob-controller");
    let version = day.cluster.write();
    let stored_job = bodies::stored(kind::JOBS, &job, version, now, "kube-controller-manager");
    day.send(
        Request::new(&cron, "create", kind::JOBS)
            .namespace(namespace)
            .name(&job_name)
            .send(job)
            .answer(stored_job.clone()),
    );

    start_pod(day, 30 * MILLISECOND, "job-controller", (kind::JOBS, &job_name), &worker, &pod);

    let jobs = day.cluster.controller("job-controller");
    let runs = day.rng.between(8, 240) * SECOND;
    let mut done = stored_job.clone();
    let finished = time(now + runs);
    done["status"] = json!({
        "conditions": [{
            "type": "Complete", "status": "True", "lastProbeTime": finished, "lastTransitionTime": finished,
        }],
        "startTime": time(now), "completionTime": finished, "succeeded": 1, "ready": 0,
        "uncountedTerminatedPods": {},
    });
    let update =
        Request::new(&jobs, "update", kind::JOBS).namespace(namespace).name(&job_name).subresource("status");
    day.send_after(runs, update.send(done.clone()).answer(done));

    let mut cron_job = bodies::object(kind::CRON_JOBS, namespace, name, version, created);
    bodies::extend(
        &mut cron_job,
        json!({
            "spec": {
                "schedule": "*/15 * * * *", "concurrencyPolicy": "Forbid", "suspend": false,
                "jobTemplate": { "metadata": { "creationTimestamp": null }, "spec": spec },
                "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1,
            },
            "status": { "lastScheduleTime": time(now), "lastSuccessfulTime": finished },
        }),
    );
    let update =
        Request::new(&cron, "update", kind::CRON_JOBS).namespace(namespace).name(name).subresource("status");
    day.send_after(runs + 20 * MILLISECOND, update.send(cron_job.clone()).answer(cron_job));

    let cleaner = day.cluster.controller("ttl-after-finished-controller");
    let delete = Request::new(&cleaner, "delete", kind::JOBS).namespace(namespace).name(&job_name);
    day.send_after(
        runs + 300 * SECOND,
        delete.send(bodies::delete_options()).answer(bodies::deleted(kind::JOBS, namespace, &job_name)),
    );
    let collector = day.cluster.controller("generic-garbage-collector");
    let delete = Request::new(&collector, "delete", kind::PODS).namespace(namespace).name(&pod.name);
    day.send_after(
        runs + 301 * SECOND,
        delete.send(bodies::delete_options()).answer(bodies::pod(&day.cluster, &worker, &pod, version)),
    );
}

/// What follows when a controller wants a pod: creation, binding, the events, the kubelet's reports.
pub(super) fn start_pod(
    day: &mut Day,
    delay: u64,
    controller: &str,
    owner: (Resource, &str),
    workload: &cluster::Workload,
    pod: &cluster::Pod,
) {
    let namespace = workload.namespace;
    let controller = day.cluster.controller(controller);
    let sent = bodies::new_pod(workload, pod, owner.0, owner.1);
    let version = day.cluster.write();
    let mut stored = bodies::pod(&day.cluster, workload, pod, version);
    stored["status"] = json!({ "phase": "Pending", "qosClass": "Burstable" });
    // A generated name is in no reference.
    let name = sent["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let create = Request::new(&controller, "create", kind::PODS)
        .namespace(namespace)
        .name(&name)
        .send(sent)
        .answer(stored);
    day.send_after(
        delay,
        create
            .annotate("pod-security.kubernetes.io/enforce-policy", "privileged:latest")
            .latency(12 * MILLISECOND),
    );

    let scheduler = Rc::clone(&day.cluster.callers.scheduler);
    let node = day.cluster.nodes[pod.node].name.clone();
    let mut binding = json!({
        "kind": "Binding", "apiVersion": "v1",
        "metadata": {
            "name": pod.name, "namespace": namespace, "uid": bodies::uid(kind::PODS, namespace, &pod.name),
            "creationTimestamp": null,
        },
    });
    binding["target"] = json!({ "kind": "Node", "name": node });
    let bind = Request::new(&scheduler, "create", kind::PODS)
        .namespace(namespace)
        .name(&pod.name)
        .subresource("binding");
    day.send_after(
        delay + 18 * MILLISECOND,
        bind.send(binding).answer(
            json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 }),
        ),
    );

    let message = format!("Successfully assigned {namespace}/{} to {node}", pod.name);
    let event = bodies::event(
        (kind::PODS, namespace, &pod.name),
        "Scheduled",
        &message,
        "default-scheduler",
        "",
        day.now() + delay,
    );
    let tell = Request::new(&scheduler, "create", kind::EVENTS)
        .namespace(namespace)
        .name(event["metadata"]["name"].as_str().unwrap_or_default());
    let stored = bodies::stored(kind::EVENTS, &event, version, day.now(), "kube-scheduler");
    day.send_after(delay + 24 * MILLISECOND, tell.send(event).answer(stored));

    let first = pod_status(day, workload, pod);
    day.send_after(delay + 90 * MILLISECOND, first);
    let second = pod_status(day, workload, pod);
    let started = day.rng.between(2, 12) * SECOND;
    day.send_after(delay + started, second);
}

/// A pod dies and its replica set makes another.
pub(super) fn lose_a_pod(day: &mut Day) {
    let (index, lost) = any_pod(day);
    replace_pod(day, index, lost, 0);
}

/// Replaces one pod of a workload, beginning in `delay`.
pub(super) fn replace_pod(day: &mut Day, index: usize, lost: usize, delay: u64) {
    let now = day.now();
    let workload = &mut day.cluster.workloads[index];
    let pod = cluster::new_pod(workload, lost, now + delay, &mut day.rng);
    workload.pods[lost] = pod.clone();
    // A copy without its pods: what follows needs the template, and the cluster at the same time.
    let template = cluster::Workload { hash: workload.hash.clone(), pods: Vec::new(), ..*workload };
    let controller = match template.controller {
        Controller::Deployment => "replicaset-controller",
        Controller::StatefulSet => "statefulset-controller",
        Controller::DaemonSet => "daemon-set-controller",
    };
    let (owner, owner_name) = bodies::pod_owner(&template);
    start_pod(day, delay, controller, (owner, &owner_name), &template, &pod);
}

/// Deletion of what nobody owns any more.
pub(super) fn collect_garbage(day: &mut Day) {
    let caller = day.cluster.controller("generic-garbage-collector");
    let namespace = *day.rng.pick(&NAMESPACES);
    let name = format!("storefront-{}", day.rng.suffix(9));
    let resource = *day.rng.pick(&[kind::REPLICA_SETS, kind::PODS, kind::SLICES]);
    let read = Request::new(&caller, "get", resource).namespace(namespace).name(&name);
    if day.rng.chance(600) {
        day.send(read.not_found());
        return;
    }
    day.send(read.answer(bodies::object(
        resource,
        namespace,
        &name,
        day.cluster.version(),
        day.cluster.created,
    )));
    let delete = Request::new(&caller, "delete", resource).namespace(namespace).name(&name);
    day.send_after(
        12 * MILLISECOND,
        delete.send(bodies::delete_options()).answer(bodies::deleted(resource, namespace, &name)),
    );
}
