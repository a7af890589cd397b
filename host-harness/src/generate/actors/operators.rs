//! What teams install: certificates, GitOps, secret synchronisation, ingress.

use serde_json::{Value, json};

use super::super::bodies::{self, kind};
use super::super::clock::{DAY, MILLISECOND, time};
use super::super::cluster::APPLICATION_NAMESPACES;
use super::super::day::Day;
use super::super::event::Request;
use super::super::json::sorted;
use super::super::rng::uid_of;
use super::kubelet::any_pod;

pub(super) fn keep_leadership(day: &mut Day) {
    let (namespace, name) = *day.rng.pick(&[
        ("cert-manager", "cert-manager"),
        ("ingress", "nginx-ingress-controller"),
        ("kube-system", "cluster-autoscaler"),
        ("kube-system", "csi-provisioner"),
        ("external-secrets", "external-secrets"),
    ]);
    let caller = day.cluster.account(namespace, name);
    let holder = format!("{name}-0_{}", uid_of(name));
    let before = day.cluster.version();
    let after = day.cluster.write();
    let lease = |version| {
        bodies::lease(&day.cluster, namespace, &format!("{name}-leader"), &holder, version, day.now())
    };
    let request =
        Request::new(&caller, "update", kind::LEASES).namespace(namespace).name(&format!("{name}-leader"));
    let request = request.send(lease(before)).answer(lease(after));
    let request = if day.rng.chance(12) { request.conflict() } else { request };
    day.send(request);
}

pub(super) fn renew_certificate(day: &mut Day) {
    let caller = day.cluster.account("cert-manager", "cert-manager");
    let namespace = *day.rng.pick(&APPLICATION_NAMESPACES);
    let name = format!("{namespace}-example-com");
    let version = day.cluster.write();
    let secret =
        bodies::object(kind::SECRETS, namespace, &format!("{name}-tls"), version, day.cluster.created);
    day.send(
        Request::new(&caller, "get", kind::SECRETS)
            .namespace(namespace)
            .name(&format!("{name}-tls"))
            .answer(secret),
    );
    let (now, later) = (time(day.now()), time(day.now() + 60 * DAY));
    let created = day.cluster.created;
    let certificate = |version| {
        let mut object = bodies::object(kind::CERTIFICATES, namespace, &name, version, created);
        bodies::extend(
            &mut object,
            json!({
                "spec": {
                    "secretName": format!("{name}-tls"),
                    "dnsNames": [format!("{namespace}.example.com")],
                    "issuerRef": { "name": "acme", "kind": "ClusterIssuer" },
                },
                "status": {
                    "conditions": [{
                        "type": "Ready", "status": "True", "lastTransitionTime": now, "reason": "Ready",
                        "message": "Certificate is up to date and has not expired", "observedGeneration": 1,
                    }],
                    "notAfter": later, "renewalTime": later, "revision": 7,
                },
            }),
        );
        sorted(object)
    };
    let update = Request::new(&caller, "update", kind::CERTIFICATES)
        .namespace(namespace)
        .name(&name)
        .subresource("status");
    let update = update.send(certificate(version)).answer(certificate(version + 1));
    let update = if day.rng.chance(60) { update.conflict() } else { update };
    day.send_after(14 * MILLISECOND, update);
}

/// An application's status after a sync: long, because it names every resource of the application.
pub(super) fn sync_application(day: &mut Day) {
    let caller = day.cluster.account("argocd", "argocd-application-controller");
    let name = *day.rng.pick(&APPLICATION_NAMESPACES);
    let count = day.rng.long_tail(12, 320);
    let version = day.cluster.write();
    let now = time(day.now());
    let resources: Vec<Value> = (0..count)
        .map(|index| {
            json!({
                "group": "apps",
                "health": { "status": "Healthy" },
                "kind": "Deployment",
                "name": format!("{name}-{index}"),
                "namespace": name,
                "status": if index % 11 == 0 { "OutOfSync" } else { "Synced" },
                "version": "v1",
            })
        })
        .collect();
    let revision = format!("{}{}", uid_of(&now).replace('-', ""), "c0ffee42");
    let status = json!({
        "health": { "lastTransitionTime": now, "status": "Healthy" },
        "history": (0..10).map(|id| json!({
            "deployedAt": now, "id": id,
            "initiatedBy": { "automated": true },
            "revision": revision,
            "source": {
                "path": format!("clusters/hangzhou/{name}"),
                "repoURL": "https://git.example.com/platform/deployments.git", "targetRevision": "main",
            },
        })).collect::<Vec<_>>(),
        "reconciledAt": now,
        "resources": resources,
        "sync": {
            "comparedTo": {
                "destination": { "namespace": name, "server": "https://kubernetes.default.svc" },
            },
            "revision": revision, "status": "Synced",
        },
    });
    let mut application = bodies::object(kind::APPLICATIONS, "argocd", name, version, day.cluster.created);
    bodies::extend(
        &mut application,
        json!({
            "spec": {
                "destination": { "namespace": name, "server": "https://kubernetes.default.svc" },
                "project": "default",
                "source": {
                    "path": format!("clusters/hangzhou/{name}"),
                    "repoURL": "https://git.example.com/platform/deployments.git", "targetRevision": "main",
                },
                "syncPolicy": { "automated": { "prune": true, "selfHeal": true } },
            },
            "status": status,
        }),
    );
    let request = Request::new(&caller, "patch", kind::APPLICATIONS)
        .namespace("argocd")
        .name(name)
        .send(json!({ "status": { "reconciledAt": now, "resources": status["resources"] } }));
    day.send(request.answer(sorted(application)).latency(18 * MILLISECOND));
    // What it syncs, it applies.
    let (index, _) = any_pod(day);
    let workload = &day.cluster.workloads[index];
    let answer = bodies::workload(&day.cluster, workload, version, day.now());
    let sent = sorted(json!({
        "apiVersion": "apps/v1", "kind": answer["kind"],
        "metadata": {
            "labels": answer["metadata"]["labels"], "name": workload.name,
            "namespace": workload.namespace,
        },
        "spec": answer["spec"],
    }));
    let patch = Request::new(&caller, "patch", bodies::controller_kind(workload))
        .namespace(workload.namespace)
        .name(workload.name)
        .query("fieldManager=argocd-controller&force=true")
        .send(sent)
        .answer(answer);
    day.send_after(60 * MILLISECOND, patch.latency(22 * MILLISECOND));
}

/// A definition with a large schema, applied, and all of them listed: the biggest events of the day.
pub(super) fn apply_definition(day: &mut Day) {
    let caller = day.cluster.account("argocd", "argocd-application-controller");
    let name = *day.rng.pick(&[
        "prometheuses.monitoring.example.com",
        "applicationsets.argoproj.io",
        "clusters.data.example.com",
    ]);
    let properties = day.rng.long_tail(90, 1_600);
    let version = day.cluster.write();
    if day.rng.chance(500) {
        let definition = bodies::definition(name, properties, version, day.cluster.created);
        let sent = sorted(json!({
            "apiVersion": definition["apiVersion"], "kind": definition["kind"],
            "metadata": { "name": name },
            "spec": definition["spec"],
        }));
        let patch = Request::new(&caller, "patch", kind::CRDS)
            .name(name)
            .query("fieldManager=argocd-controller&force=true")
            .send(sent);
        day.send(patch.answer(definition).latency(160 * MILLISECOND));
    } else {
        let items = ["certificates.cert-manager.io", "externalsecrets.external-secrets.io", name]
            .into_iter()
            .map(|name| bodies::definition(name, properties / 2, version, day.cluster.created))
            .collect();
        let list = Request::new(&caller, "list", kind::CRDS).query("limit=500&resourceVersion=0");
        day.send(list.answer(bodies::list(kind::CRDS, version, items)).latency(140 * MILLISECOND));
    }
}

pub(super) fn sync_secret(day: &mut Day) {
    let caller = day.cluster.account("external-secrets", "external-secrets");
    let (index, _) = any_pod(day);
    let version = day.cluster.write();
    let workload = &day.cluster.workloads[index];
    let (namespace, name) = (workload.namespace, format!("{}-settings", workload.name));
    let mut secret = bodies::object(kind::SECRETS, namespace, &name, version, day.cluster.created);
    bodies::extend(&mut secret, json!({ "data": { "level": "aW52ZW50ZWQ=" }, "type": "Opaque" }));
    let request = |verb| Request::new(&caller, verb, kind::SECRETS).namespace(namespace).name(&name);
    let read = request("get").answer(secret.clone());
    let update = request("update").send(secret.clone()).answer(secret);
    let now = time(day.now());
    let mut external = bodies::object(kind::EXTERNAL_SECRETS, namespace, &name, version, day.cluster.created);
    bodies::extend(
        &mut external,
        json!({
            "spec": {
                "refreshInterval": "15m",
                "secretStoreRef": { "kind": "ClusterSecretStore", "name": "vault" },
                "target": { "creationPolicy": "Owner", "name": name },
            },
            "status": {
                "conditions": [{
                    "lastTransitionTime": now, "message": "Secret was synced", "reason": "SecretSynced",
                    "status": "True", "type": "Ready",
                }],
                "refreshTime": now,
            },
        }),
    );
    let external = sorted(external);
    let status = Request::new(&caller, "update", kind::EXTERNAL_SECRETS)
        .namespace(namespace)
        .name(&name)
        .subresource("status");
    let status = status.send(external.clone()).answer(external);
    day.send(read);
    if day.rng.chance(300) {
        day.send_after(9 * MILLISECOND, update);
    }
    day.send_after(22 * MILLISECOND, status);
}

pub(super) fn publish_ingress(day: &mut Day) {
    let caller = day.cluster.account("ingress", "nginx-ingress-controller");
    let namespace = *day.rng.pick(&APPLICATION_NAMESPACES);
    let version = day.cluster.write();
    let created = day.cluster.created;
    let ingress = |version| {
        let mut object = bodies::object(kind::INGRESSES, namespace, namespace, version, created);
        object["metadata"]["annotations"] = json!({ "cert-manager.io/cluster-issuer": "acme" });
        bodies::extend(
            &mut object,
            json!({
                "spec": {
                    "ingressClassName": "nginx",
                    "tls": [{
                        "hosts": [format!("{namespace}.example.com")],
                        "secretName": format!("{namespace}-example-com-tls"),
                    }],
                    "rules": [{
                        "host": format!("{namespace}.example.com"),
                        "http": {
                            "paths": [{
                                "path": "/", "pathType": "Prefix",
                                "backend": { "service": { "name": "storefront", "port": { "number": 80 } } },
                            }],
                        },
                    }],
                },
                "status": { "loadBalancer": { "ingress": [{ "ip": "203.0.113.200" }] } },
            }),
        );
        object
    };
    let update = Request::new(&caller, "update", kind::INGRESSES)
        .namespace(namespace)
        .name(namespace)
        .subresource("status");
    day.send(update.send(ingress(version)).answer(ingress(version + 1)));
}

/// Somebody forgot a rule in a role, and the client keeps trying.
pub(super) fn lack_permission(day: &mut Day) {
    let caller = day.cluster.account("logistics", "labels");
    let request = Request::new(&caller, "list", kind::CONFIG_MAPS)
        .namespace("shop")
        .query("limit=500&resourceVersion=0");
    day.send(request.forbidden());
}
