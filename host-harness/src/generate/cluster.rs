//! The invented cluster: its nodes, namespaces, workloads and everybody who talks to its API server.
//!
//! Names, numbers and data are made up. Addresses that would be public are from the ranges reserved for
//! documentation (RFC 5737). The same seed gives the same cluster.

use std::rc::Rc;

use super::clock::{DAY, HOUR, Micros};
use super::event::Caller;
use super::rng::{Rng, uid_of};

/// `gitVersion` of the API server and its companions.
pub(super) const VERSION: &str = "v1.30.7";
const BUILD: &str = "(linux/amd64) kubernetes/5c1d3a8";
/// Where the managed control plane runs.
const CONTROL_PLANE: &str = "10.24.255.3";

#[derive(Debug)]
pub(super) struct Node {
    pub name: String,
    pub address: String,
    pub kubelet: Rc<Caller>,
}

#[derive(Debug, Clone)]
pub(super) struct Pod {
    pub name: String,
    /// Index into [`Cluster::nodes`].
    pub node: usize,
    pub address: String,
    pub since: Micros,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Controller {
    Deployment,
    StatefulSet,
    DaemonSet,
}

#[derive(Debug)]
pub(super) struct Workload {
    pub namespace: &'static str,
    pub name: &'static str,
    pub controller: Controller,
    pub image: &'static str,
    /// Environment variables and other baggage: how big its pod template is.
    pub variables: u64,
    /// `pod-template-hash` of the current revision.
    pub hash: String,
    pub generation: u64,
    pub pods: Vec<Pod>,
}

impl Workload {
    /// The service account its pods run as.
    pub(super) fn service_account(&self) -> &'static str {
        self.name
    }
}

/// Everything that lasts from one request to the next.
#[derive(Debug)]
pub(super) struct Cluster {
    pub nodes: Vec<Node>,
    pub workloads: Vec<Workload>,
    pub callers: Callers,
    /// How long the cluster has existed when the day begins.
    pub created: Micros,
    resource_version: u64,
}

/// Those who talk to the API server, by what they are.
#[derive(Debug)]
pub(super) struct Callers {
    pub apiserver: Rc<Caller>,
    pub scheduler: Rc<Caller>,
    pub controller_manager: Rc<Caller>,
    /// The load balancer's health checks, and everybody else who shows no credentials.
    pub probe: Rc<Caller>,
    pub people: Vec<Rc<Caller>>,
    /// May edit in two namespaces only.
    pub developer: Rc<Caller>,
    pub dashboard: Rc<Caller>,
    pub robot: Rc<Caller>,
}

/// The namespaces people work in.
pub(super) const APPLICATION_NAMESPACES: [&str; 6] =
    ["catalog", "data", "logistics", "payments", "shop", "staging"];

/// All namespaces.
pub(super) const NAMESPACES: [&str; 15] = [
    "argocd",
    "catalog",
    "cert-manager",
    "data",
    "default",
    "external-secrets",
    "ingress",
    "kube-node-lease",
    "kube-public",
    "kube-system",
    "logistics",
    "monitoring",
    "payments",
    "shop",
    "staging",
];

use Controller::{DaemonSet, Deployment, StatefulSet};

/// Namespace, name, controller, image, replicas, environment variables.
const WORKLOADS: [(&str, &str, Controller, &str, usize, u64); 34] = [
    ("shop", "storefront", Deployment, "registry.example.com/shop/storefront:4.18.2", 6, 22),
    ("shop", "cart", Deployment, "registry.example.com/shop/cart:2.9.0", 4, 14),
    ("shop", "checkout", Deployment, "registry.example.com/shop/checkout:3.3.1", 3, 31),
    ("shop", "legacy-admin", Deployment, "registry.example.com/shop/legacy-admin:1.0.44", 1, 9),
    ("catalog", "search", Deployment, "registry.example.com/catalog/search:7.1.0", 4, 18),
    ("catalog", "images", Deployment, "registry.example.com/catalog/images:1.22.5", 3, 11),
    ("catalog", "indexer", Deployment, "registry.example.com/catalog/indexer:7.1.0", 2, 26),
    ("payments", "gateway", Deployment, "registry.example.com/payments/gateway:5.0.12", 4, 38),
    ("payments", "ledger", Deployment, "registry.example.com/payments/ledger:5.0.12", 3, 34),
    ("logistics", "tracker", Deployment, "registry.example.com/logistics/tracker:0.48.0", 3, 16),
    ("logistics", "router", Deployment, "registry.example.com/logistics/router:0.48.0", 2, 16),
    ("logistics", "labels", Deployment, "registry.example.com/logistics/labels:1.4.0", 1, 7),
    ("staging", "storefront", Deployment, "registry.example.com/shop/storefront:4.19.0-rc3", 1, 22),
    ("staging", "gateway", Deployment, "registry.example.com/payments/gateway:5.1.0-rc1", 1, 38),
    ("data", "postgres", StatefulSet, "registry.example.com/base/postgres:16.3", 3, 24),
    ("data", "kafka", StatefulSet, "registry.example.com/base/kafka:3.7.0", 3, 42),
    ("data", "redis", StatefulSet, "registry.example.com/base/redis:7.2.5", 3, 6),
    ("kube-system", "coredns", Deployment, "registry.example.com/system/coredns:1.11.3", 2, 0),
    ("kube-system", "metrics-server", Deployment, "registry.example.com/system/metrics-server:0.7.2", 1, 0),
    (
        "kube-system",
        "csi-provisioner",
        Deployment,
        "registry.example.com/system/csi-provisioner:1.30.4",
        2,
        8,
    ),
    ("kube-system", "csi-plugin", DaemonSet, "registry.example.com/system/csi-plugin:1.30.4", 0, 8),
    ("kube-system", "terway-eniip", DaemonSet, "registry.example.com/system/terway:1.11.6", 0, 5),
    ("kube-system", "kube-proxy-worker", DaemonSet, "registry.example.com/system/kube-proxy:1.30.7", 0, 1),
    ("kube-system", "logtail-ds", DaemonSet, "registry.example.com/system/logtail:2.0.9", 0, 15),
    ("kube-system", "node-problem-detector", DaemonSet, "registry.example.com/system/npd:0.8.19", 0, 2),
    ("kube-system", "cluster-autoscaler", Deployment, "registry.example.com/system/autoscaler:1.30.2", 1, 6),
    (
        "ingress",
        "nginx-ingress-controller",
        Deployment,
        "registry.example.com/system/nginx-ingress:1.11.3",
        2,
        4,
    ),
    ("cert-manager", "cert-manager", Deployment, "registry.example.com/system/cert-manager:1.15.3", 1, 2),
    (
        "argocd",
        "argocd-application-controller",
        StatefulSet,
        "registry.example.com/system/argocd:2.12.4",
        1,
        45,
    ),
    ("argocd", "argocd-server", Deployment, "registry.example.com/system/argocd:2.12.4", 1, 40),
    (
        "external-secrets",
        "external-secrets",
        Deployment,
        "registry.example.com/system/external-secrets:0.10.3",
        1,
        1,
    ),
    ("monitoring", "prometheus-k8s", StatefulSet, "registry.example.com/system/prometheus:2.54.1", 2, 3),
    (
        "monitoring",
        "kube-state-metrics",
        Deployment,
        "registry.example.com/system/kube-state-metrics:2.13.0",
        1,
        0,
    ),
    (
        "monitoring",
        "prometheus-operator",
        Deployment,
        "registry.example.com/system/prometheus-operator:0.76.1",
        1,
        1,
    ),
];

const NODES: usize = 9;

impl Cluster {
    /// The cluster as it is when the day begins at `start`.
    pub(super) fn new(rng: &mut Rng, start: Micros) -> Self {
        let nodes: Vec<Node> = (0..NODES)
            .map(|index| {
                let address = format!("10.24.0.{}", 31 + index * 7);
                let name = format!("cn-hangzhou.{address}");
                let user = format!("system:node:{name}");
                let kubelet = Caller::new(&user, "", &["system:nodes", "system:authenticated"], &[])
                    .from(&[&address])
                    .agent(&format!("kubelet/{VERSION} {BUILD}"));
                Node { name, address, kubelet: Rc::new(kubelet) }
            })
            .collect();
        let mut cluster = Self {
            nodes,
            workloads: Vec::new(),
            callers: Callers::new(),
            created: start.saturating_sub(220 * DAY),
            resource_version: 48_120_334 + rng.below(1_000_000),
        };
        for (namespace, name, controller, image, replicas, variables) in WORKLOADS {
            let replicas = if controller == DaemonSet { NODES } else { replicas };
            let mut workload = Workload {
                namespace,
                name,
                controller,
                image,
                variables,
                hash: rng.suffix(9),
                generation: rng.between(3, 60),
                pods: Vec::new(),
            };
            for index in 0..replicas {
                let since = start.saturating_sub(rng.between(HOUR, 20 * DAY));
                let pod = new_pod(&workload, index, since, rng);
                workload.pods.push(pod);
            }
            cluster.workloads.push(workload);
        }
        cluster
    }

    /// The store's version after a write.
    pub(super) fn write(&mut self) -> u64 {
        self.resource_version += 1;
        self.resource_version
    }

    /// The store's version now.
    pub(super) fn version(&self) -> u64 {
        self.resource_version
    }

    /// The index of a workload; the first one's where there is no such workload.
    pub(super) fn find(&self, namespace: &str, name: &str) -> usize {
        self.workloads
            .iter()
            .position(|workload| workload.namespace == namespace && workload.name == name)
            .unwrap_or_default()
    }

    /// What a workload's first pod is to the API server: its service account.
    pub(super) fn account(&self, namespace: &str, name: &str) -> Rc<Caller> {
        let workload = &self.workloads[self.find(namespace, name)];
        let Some(pod) = workload.pods.first() else {
            return Rc::clone(&self.callers.probe);
        };
        let node = &self.nodes[pod.node];
        let agent = format!("{name}/v0.0.0 (linux/amd64) kubernetes/$Format");
        let account = service_account(
            namespace,
            workload.service_account(),
            &[
                (
                    "authentication.kubernetes.io/credential-id",
                    &format!("JTI={}", uid_of(&format!("jti/{}", pod.name))),
                ),
                ("authentication.kubernetes.io/node-name", &node.name),
                ("authentication.kubernetes.io/node-uid", &uid_of(&format!("nodes/{}", node.name))),
                ("authentication.kubernetes.io/pod-name", &pod.name),
                ("authentication.kubernetes.io/pod-uid", &uid_of(&format!("pods/{namespace}/{}", pod.name))),
            ],
        );
        // Agents of nodes and the network speak from the node's address.
        let address = if workload.controller == DaemonSet { &node.address } else { &pod.address };
        Rc::new(account.from(&[address]).agent(&agent))
    }

    /// One of the controllers in kube-controller-manager, each with a service account of its own.
    pub(super) fn controller(&self, name: &str) -> Rc<Caller> {
        let role = format!("system:controller:{name}");
        let mut caller = service_account("kube-system", name, &[]).from(&[CONTROL_PLANE]).agent(&format!(
            "kube-controller-manager/{VERSION} {BUILD}/system:serviceaccount:kube-system:{name}"
        ));
        caller = caller.granted(
            &format!("ClusterRoleBinding \"{role}\""),
            &format!("ClusterRole \"{role}\""),
            &format!("ServiceAccount \"{name}/kube-system\""),
        );
        Rc::new(caller)
    }
}

/// A new pod of `workload`, somewhere in the cluster.
pub(super) fn new_pod(workload: &Workload, index: usize, since: Micros, rng: &mut Rng) -> Pod {
    let name = match workload.controller {
        Deployment => format!("{}-{}-{}", workload.name, workload.hash, rng.suffix(5)),
        StatefulSet => format!("{}-{index}", workload.name),
        DaemonSet => format!("{}-{}", workload.name, rng.suffix(5)),
    };
    let node = if workload.controller == DaemonSet { index % NODES } else { rng.index(NODES) };
    Pod { name, node, address: format!("10.25.{node}.{}", rng.between(2, 250)), since }
}

/// A service account's caller, allowed by a binding named after it.
pub(super) fn service_account(namespace: &str, name: &str, extra: &[(&str, &str)]) -> Caller {
    Caller::new(
        &format!("system:serviceaccount:{namespace}:{name}"),
        &uid_of(&format!("serviceaccounts/{namespace}/{name}")),
        &["system:serviceaccounts", &format!("system:serviceaccounts:{namespace}"), "system:authenticated"],
        extra,
    )
    .granted(
        &format!("ClusterRoleBinding \"{name}\""),
        &format!("ClusterRole \"{name}\""),
        &format!("ServiceAccount \"{name}/{namespace}\""),
    )
}

/// Somebody without credentials, from `address`.
pub(super) fn anonymous(address: &str, user_agent: &str) -> Caller {
    Caller::new("system:anonymous", "", &["system:unauthenticated"], &[])
        .from(&[address])
        .agent(user_agent)
        .granted(
            "ClusterRoleBinding \"system:public-info-viewer\"",
            "ClusterRole \"system:public-info-viewer\"",
            "Group \"system:unauthenticated\"",
        )
}

const KUBECTL: &str = "kubectl/v1.31.4 (darwin/arm64) kubernetes/a78aa47";

/// A person authenticated by the provider's account service.
fn ram_user(username: &str, uid: &str, account: &str) -> Caller {
    Caller::new(
        username,
        &format!("ack-ram-authenticator:c6e1f0a9b27d84d35ad1f1b3c5e2d7f40:{uid}"),
        &["system:users", "system:authenticated"],
        &[("arn", &format!("acs:ram::5123456789012345:user/{account}"))],
    )
}

impl Callers {
    fn new() -> Self {
        let companion = |name: &str, agent: &str| {
            Caller::new(name, "", &["system:authenticated"], &[]).from(&[CONTROL_PLANE]).agent(agent).granted(
                &format!("ClusterRoleBinding \"{name}\""),
                &format!("ClusterRole \"{name}\""),
                &format!("User \"{name}\""),
            )
        };
        let operations = ram_user("279812345678901234-1735689600", "279812345678901234", "lin.wei")
            .from(&["203.0.113.24"])
            .agent(KUBECTL)
            .granted(
                "ClusterRoleBinding \"279812345678901234-cluster-admin\"",
                "ClusterRole \"cluster-admin\"",
                "User \"279812345678901234-1735689600\"",
            );
        let shared = ram_user("kubernetes-admin", "281098765432109876", "deng.rui")
            .from(&["203.0.113.31"])
            .agent("kubectl/v1.28.15 (linux/amd64) kubernetes/841856f")
            .granted(
                "ClusterRoleBinding \"281098765432109876-cluster-admin\"",
                "ClusterRole \"cluster-admin\"",
                "User \"281098765432109876-1740787200\"",
            );
        let platform = Caller::new(
            "oidc:mara.novak@example.com",
            "",
            &["oidc:platform-team", "system:authenticated"],
            &[],
        )
        .from(&["198.51.100.7"])
        .agent("kubectl/v1.31.4 (linux/amd64) kubernetes/a78aa47")
        .granted(
            "ClusterRoleBinding \"platform-team\"",
            "ClusterRole \"platform-operator\"",
            "Group \"oidc:platform-team\"",
        );
        let developer = Caller::new(
            "oidc:tomas.hill@example.com",
            "",
            &["oidc:shop-developers", "system:authenticated"],
            &[],
        )
        .from(&["203.0.113.24"])
        .agent("k9s/v0.32.5 (darwin/arm64) kubernetes/$Format")
        .granted(
            "RoleBinding \"shop-developers/shop\"",
            "ClusterRole \"edit\"",
            "Group \"oidc:shop-developers\"",
        );
        let dashboard = service_account("kube-system", "console-proxy", &[])
            .from(&["203.0.113.31", "10.25.4.17"])
            .agent("Mozilla/5.0 (X11; Linux x86_64; rv:134.0) Gecko/20100101 Firefox/134.0");
        let robot = service_account("staging", "release-robot", &[])
            .from(&["198.51.100.82"])
            .agent("kubectl/v1.30.4 (linux/amd64) kubernetes/a51b3b7");
        Self {
            apiserver: Rc::new(
                Caller::new(
                    "system:apiserver",
                    &uid_of("system:apiserver"),
                    &["system:authenticated", "system:masters"],
                    &[],
                )
                .from(&["::1"])
                .agent(&format!("kube-apiserver/{VERSION} {BUILD}")),
            ),
            scheduler: Rc::new(companion(
                "system:kube-scheduler",
                &format!("kube-scheduler/{VERSION} {BUILD}/scheduler"),
            )),
            controller_manager: Rc::new(companion(
                "system:kube-controller-manager",
                &format!("kube-controller-manager/{VERSION} {BUILD}/leader-election"),
            )),
            probe: Rc::new(anonymous("100.117.64.9", "")),
            people: vec![Rc::new(operations), Rc::new(shared), Rc::new(platform)],
            developer: Rc::new(developer),
            dashboard: Rc::new(dashboard),
            robot: Rc::new(robot),
        }
    }
}
