//! The resources of Kubernetes' own API groups, those of versions past included, for lints.

/// An API group that Kubernetes itself defines.
pub(super) struct Group {
    pub(super) name: &'static str,
    /// Whether no release will add to it: then what is not listed does not exist.
    pub(super) complete: bool,
    pub(super) resources: &'static [&'static str],
}

const fn complete(name: &'static str, resources: &'static [&'static str]) -> Group {
    Group { name, complete: true, resources }
}

const fn growing(name: &'static str, resources: &'static [&'static str]) -> Group {
    Group { name, complete: false, resources }
}

pub(super) const GROUPS: &[Group] = &[
    complete(
        "",
        &[
            "bindings",
            "componentstatuses",
            "configmaps",
            "endpoints",
            "events",
            "limitranges",
            "namespaces",
            "nodes",
            "persistentvolumeclaims",
            "persistentvolumes",
            "pods",
            "podtemplates",
            "replicationcontrollers",
            "resourcequotas",
            "secrets",
            "serviceaccounts",
            "services",
        ],
    ),
    growing(
        "admissionregistration.k8s.io",
        &[
            "externaladmissionhookconfigurations",
            "initializerconfigurations",
            "mutatingadmissionpolicies",
            "mutatingadmissionpolicybindings",
            "mutatingwebhookconfigurations",
            "validatingadmissionpolicies",
            "validatingadmissionpolicybindings",
            "validatingwebhookconfigurations",
        ],
    ),
    complete("apiextensions.k8s.io", &["customresourcedefinitions"]),
    complete("apiregistration.k8s.io", &["apiservices"]),
    complete("apps", &["controllerrevisions", "daemonsets", "deployments", "replicasets", "statefulsets"]),
    complete("auditregistration.k8s.io", &["auditsinks"]),
    complete("authentication.k8s.io", &["selfsubjectreviews", "tokenreviews"]),
    complete(
        "authorization.k8s.io",
        &[
            "localsubjectaccessreviews",
            "selfsubjectaccessreviews",
            "selfsubjectrulesreviews",
            "subjectaccessreviews",
        ],
    ),
    complete("autoscaling", &["horizontalpodautoscalers"]),
    complete("batch", &["cronjobs", "jobs", "scheduledjobs"]),
    growing(
        "certificates.k8s.io",
        &["certificatesigningrequests", "clustertrustbundles", "podcertificaterequests"],
    ),
    growing("coordination.k8s.io", &["leasecandidates", "leases"]),
    growing("custom.metrics.k8s.io", &[]),
    complete("discovery.k8s.io", &["endpointslices"]),
    complete("events.k8s.io", &["events"]),
    complete(
        "extensions",
        &[
            "daemonsets",
            "deployments",
            "horizontalpodautoscalers",
            "ingresses",
            "jobs",
            "networkpolicies",
            "podsecuritypolicies",
            "replicasets",
            "replicationcontrollers",
            "thirdpartyresources",
        ],
    ),
    growing("external.metrics.k8s.io", &[]),
    complete("flowcontrol.apiserver.k8s.io", &["flowschemas", "prioritylevelconfigurations"]),
    complete("internal.apiserver.k8s.io", &["storageversions"]),
    complete("metrics.k8s.io", &["nodes", "pods"]),
    growing(
        "networking.k8s.io",
        &["clustercidrs", "ingressclasses", "ingresses", "ipaddresses", "networkpolicies", "servicecidrs"],
    ),
    complete("node.k8s.io", &["runtimeclasses"]),
    complete("policy", &["poddisruptionbudgets", "podsecuritypolicies"]),
    complete("rbac.authorization.k8s.io", &["clusterrolebindings", "clusterroles", "rolebindings", "roles"]),
    growing(
        "resource.k8s.io",
        &[
            "deviceclasses",
            "devicetaintrules",
            "podschedulingcontexts",
            "resourceclaimparameters",
            "resourceclaims",
            "resourceclaimtemplates",
            "resourceclasses",
            "resourceclassparameters",
            "resourceslices",
        ],
    ),
    growing("scheduling.k8s.io", &["podgroups", "priorityclasses", "workloads"]),
    complete("settings.k8s.io", &["podpresets"]),
    growing(
        "storage.k8s.io",
        &[
            "csidrivers",
            "csinodes",
            "csistoragecapacities",
            "storageclasses",
            "volumeattachments",
            "volumeattributesclasses",
        ],
    ),
    growing("storagemigration.k8s.io", &["storageversionmigrations"]),
];

/// The subresources of core resources, and those that resources of other groups have.
pub(super) const SUBRESOURCES: &[&str] = &[
    "approval",
    "attach",
    "binding",
    "ephemeralcontainers",
    "eviction",
    "exec",
    "finalize",
    "log",
    "portforward",
    "proxy",
    "resize",
    "rollback",
    "scale",
    "status",
    "token",
];

/// The short names that kubectl resolves and policies do not.
const SHORT_NAMES: &[(&str, &str)] = &[
    ("cj", "cronjobs"),
    ("cm", "configmaps"),
    ("crd", "customresourcedefinitions"),
    ("crds", "customresourcedefinitions"),
    ("cs", "componentstatuses"),
    ("csr", "certificatesigningrequests"),
    ("deploy", "deployments"),
    ("ds", "daemonsets"),
    ("ep", "endpoints"),
    ("ev", "events"),
    ("hpa", "horizontalpodautoscalers"),
    ("ing", "ingresses"),
    ("limits", "limitranges"),
    ("netpol", "networkpolicies"),
    ("no", "nodes"),
    ("ns", "namespaces"),
    ("pc", "priorityclasses"),
    ("pdb", "poddisruptionbudgets"),
    ("po", "pods"),
    ("psp", "podsecuritypolicies"),
    ("pv", "persistentvolumes"),
    ("pvc", "persistentvolumeclaims"),
    ("quota", "resourcequotas"),
    ("rc", "replicationcontrollers"),
    ("rs", "replicasets"),
    ("sa", "serviceaccounts"),
    ("sc", "storageclasses"),
    ("sts", "statefulsets"),
    ("svc", "services"),
];

/// The group of that name.
pub(super) fn group(name: &str) -> Option<&'static Group> {
    GROUPS.iter().find(|group| group.name == name)
}

/// The groups that have a resource of that name.
pub(super) fn groups_with(resource: &str) -> impl Iterator<Item = &'static Group> {
    GROUPS.iter().filter(move |group| group.resources.contains(&resource))
}

/// What kubectl's short name stands for.
pub(super) fn short_name(name: &str) -> Option<&'static str> {
    SHORT_NAMES.iter().find(|(short, _)| *short == name).map(|(_, resource)| *resource)
}
