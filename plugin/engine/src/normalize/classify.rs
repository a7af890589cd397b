//! What: the class of resource, the kind of action and the outcome, as audit reports count them.

use super::word_of;
use crate::json::Text;
use crate::record::{Event, Member};

macro_rules! words {
    ($(#[$meta:meta])* $type:ident { $($variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum $type {
            $($variant,)*
            /// Any other.
            Other,
        }

        impl $type {
            /// How many there are.
            pub(super) const COUNT: usize = Self::Other as usize + 1;

            /// What a text says.
            pub(super) fn of(text: Text<'_>) -> Self {
                match Self::of_bytes(text.raw()) {
                    Self::Other => Self::of_bytes(&text.decode()),
                    known => known,
                }
            }

            fn of_bytes(word: &[u8]) -> Self {
                $(if word == $word {
                    return Self::$variant;
                })*
                Self::Other
            }
        }
    };
}

words! {
    /// A verb that means something here.
    Verb {
        Get = b"get",
        List = b"list",
        Watch = b"watch",
        Create = b"create",
        Update = b"update",
        Patch = b"patch",
        Delete = b"delete",
        DeleteCollection = b"deletecollection",
        Post = b"post",
        Put = b"put",
    }
}

words! {
    /// A subresource that means something here.
    Subresource {
        None = b"",
        Exec = b"exec",
        Attach = b"attach",
        PortForward = b"portforward",
        Proxy = b"proxy",
        EphemeralContainers = b"ephemeralcontainers",
        Eviction = b"eviction",
        Binding = b"binding",
        Token = b"token",
        Log = b"log",
        Scale = b"scale",
    }
}

impl Subresource {
    /// Whether what is done is done by what the request leads to, and not by the API server.
    pub(super) fn leads_on(self) -> bool {
        matches!(self, Self::Exec | Self::Attach | Self::PortForward | Self::Proxy)
    }
}

/// The class of resource that an event is about. A subresource belongs to its resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceClass {
    /// Workloads, and what they run on.
    Compute,
    /// Services, routes, and what restricts traffic.
    Network,
    /// Volumes, and objects mounted like them: secrets and config maps, as in ACK's reports.
    Storage,
    /// Who may do what, and who is who.
    AccessControl,
    /// Any other resource.
    Other,
    /// A path that is no resource, such as `/healthz` or `/apis`.
    NonResource,
}

impl ResourceClass {
    /// The value of `resource_class`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        word_of(self.as_member())
    }

    /// The member that says it, after a comma.
    pub(super) fn as_member(self) -> &'static str {
        match self {
            Self::Compute => r#","resource_class":"compute""#,
            Self::Network => r#","resource_class":"network""#,
            Self::Storage => r#","resource_class":"storage""#,
            Self::AccessControl => r#","resource_class":"access-control""#,
            Self::Other => r#","resource_class":"other""#,
            Self::NonResource => r#","resource_class":"non-resource""#,
        }
    }

    /// The class of a resource by its API group, empty for the core group, and its plural name.
    #[must_use]
    pub fn of(group: &[u8], resource: &[u8]) -> Self {
        if group.is_empty() {
            return find(CORE, resource).map_or(Self::Other, |known| known.class);
        }
        let Some(known) = find(GROUPS, group) else { return Self::Other };
        match resource {
            b"ingresses" | b"networkpolicies" if known.name == "extensions" => Self::Network,
            b"podsecuritypolicies" if matches!(known.name, "extensions" | "policy") => Self::AccessControl,
            _ => known.class,
        }
    }
}

/// A name whose class is known.
struct Known {
    /// What tells what the name ends in from most others, without a call.
    end: u32,
    name: &'static str,
    class: ResourceClass,
    /// Whether names that end in a dot and this one are of its class as well.
    with_prefix: bool,
}

const fn only(name: &'static str, class: ResourceClass) -> Known {
    Known { end: end(name.as_bytes()), name, class, with_prefix: false }
}

const fn also_with_prefix(name: &'static str, class: ResourceClass) -> Known {
    Known { end: end(name.as_bytes()), name, class, with_prefix: true }
}

/// A sum of the last eight bytes of a name, which has dots before it.
const fn end(name: &[u8]) -> u32 {
    let mut end = u64::from_be_bytes([b'.'; 8]);
    if let Some(last) = name.last_chunk() {
        end = u64::from_be_bytes(*last);
    } else {
        let mut rest = name;
        while let Some((&first, after)) = rest.split_first() {
            end = end << 8 | first as u64;
            rest = after;
        }
    }
    end as u32 ^ (end >> 32) as u32
}

fn find(table: &'static [Known], name: &[u8]) -> Option<&'static Known> {
    let end = end(name);
    table.iter().find(|known| {
        known.end == end
            && name
                .strip_suffix(known.name.as_bytes())
                .is_some_and(|rest| rest.is_empty() || known.with_prefix && rest.ends_with(b"."))
    })
}

/// The classes of the core group's resources.
const CORE: &[Known] = {
    use ResourceClass::*;
    &[
        only("pods", Compute),
        only("nodes", Compute),
        only("configmaps", Storage),
        only("secrets", Storage),
        only("services", Network),
        only("endpoints", Network),
        only("serviceaccounts", AccessControl),
        only("persistentvolumeclaims", Storage),
        only("persistentvolumes", Storage),
        only("replicationcontrollers", Compute),
        only("podtemplates", Compute),
        only("bindings", Compute),
    ]
};

/// The classes of API groups.
const GROUPS: &[Known] = {
    use ResourceClass::*;
    &[
        only("coordination.k8s.io", Other),
        only("apps", Compute),
        only("authorization.k8s.io", AccessControl),
        only("batch", Compute),
        only("discovery.k8s.io", Network),
        only("rbac.authorization.k8s.io", AccessControl),
        only("authentication.k8s.io", AccessControl),
        only("certificates.k8s.io", AccessControl),
        only("events.k8s.io", Other),
        only("apiextensions.k8s.io", Other),
        only("autoscaling", Compute),
        only("policy", Compute),
        only("extensions", Compute),
        only("scheduling.k8s.io", Compute),
        also_with_prefix("networking.k8s.io", Network),
        also_with_prefix("storage.k8s.io", Storage),
        also_with_prefix("autoscaling.k8s.io", Compute),
        also_with_prefix("metrics.k8s.io", Compute),
        also_with_prefix("node.k8s.io", Compute),
        also_with_prefix("resource.k8s.io", Compute),
        also_with_prefix("cluster.x-k8s.io", Compute),
        // AlbConfig; the groups below this one are of several classes.
        only("alibabacloud.com", Network),
        // Alibaba Cloud.
        also_with_prefix("ramauthenticator.k8s.alibabacloud", AccessControl),
        also_with_prefix("network.alibabacloud.com", Network),
        also_with_prefix("storage.alibabacloud.com", Storage),
        also_with_prefix("csi.aliyun.com", Storage),
        also_with_prefix("kruise.io", Compute),
        // What clusters of every provider run.
        also_with_prefix("security.istio.io", AccessControl),
        also_with_prefix("networking.istio.io", Network),
        also_with_prefix("cilium.io", Network),
        also_with_prefix("projectcalico.org", Network),
        also_with_prefix("k8s.cni.cncf.io", Network),
        also_with_prefix("metallb.io", Network),
        also_with_prefix("traefik.io", Network),
        also_with_prefix("traefik.containo.us", Network),
        also_with_prefix("projectcontour.io", Network),
        also_with_prefix("rook.io", Storage),
        also_with_prefix("longhorn.io", Storage),
        also_with_prefix("argoproj.io", Compute),
        also_with_prefix("karpenter.sh", Compute),
        also_with_prefix("keda.sh", Compute),
        also_with_prefix("knative.dev", Compute),
        also_with_prefix("kubeflow.org", Compute),
        also_with_prefix("kubevirt.io", Compute),
        also_with_prefix("volcano.sh", Compute),
        also_with_prefix("authorization.openshift.io", AccessControl),
        also_with_prefix("oauth.openshift.io", AccessControl),
        also_with_prefix("security.openshift.io", AccessControl),
        also_with_prefix("user.openshift.io", AccessControl),
        also_with_prefix("apps.openshift.io", Compute),
        also_with_prefix("machine.openshift.io", Compute),
        also_with_prefix("route.openshift.io", Network),
        also_with_prefix("network.openshift.io", Network),
    ]
};

/// What was done, or tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Something was made.
    Create,
    /// Something was changed.
    Update,
    /// Something was removed.
    Delete,
    /// Something was looked at or used.
    Access,
}

impl Action {
    /// The value of `action`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        word_of(self.as_member())
    }

    /// The member that says it, after a comma.
    pub(super) fn as_member(self) -> &'static str {
        match self {
            Self::Create => r#","action":"create""#,
            Self::Update => r#","action":"update""#,
            Self::Delete => r#","action":"delete""#,
            Self::Access => r#","action":"access""#,
        }
    }

    /// The action behind a verb.
    ///
    /// Kubernetes calls some things `create` that make nothing, or worse: entering a container or going
    /// through the proxy is access, by whatever verb; so is asking who may do what; and a pod's eviction is
    /// its deletion.
    pub(super) fn of(verb: Verb, group: &[u8], resource: &[u8], subresource: Subresource) -> Self {
        if subresource.leads_on() {
            return Self::Access;
        }
        match verb {
            Verb::Create if subresource == Subresource::Eviction => Self::Delete,
            Verb::Create if is_review(group, resource) => Self::Access,
            Verb::Create => Self::Create,
            Verb::Update | Verb::Patch | Verb::Put => Self::Update,
            Verb::Delete | Verb::DeleteCollection => Self::Delete,
            _ => Self::Access,
        }
    }
}

/// Whether a resource is a question in an object's clothes, such as a `SubjectAccessReview`.
fn is_review(group: &[u8], resource: &[u8]) -> bool {
    (group.starts_with(b"authorization.") || group.starts_with(b"authentication."))
        && resource.ends_with(b"reviews")
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered with a code below 400; 101 opens a stream.
    Success,
    /// It was answered with another code, or made the server panic.
    Failure,
}

impl Outcome {
    /// The value of `outcome`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        word_of(self.as_member())
    }

    /// The member that says it, after a comma.
    pub(super) fn as_member(self) -> &'static str {
        match self {
            Self::Success => r#","outcome":"success""#,
            Self::Failure => r#","outcome":"failure""#,
        }
    }
}

/// How the request ended, by the answer's code; none where the event is from before its end.
pub(super) fn outcome(has_panicked: bool, code: Option<i64>) -> Option<Outcome> {
    if has_panicked {
        return Some(Outcome::Failure);
    }
    Some(if code? < 400 { Outcome::Success } else { Outcome::Failure })
}

/// Whether the request made the API server panic.
pub(super) fn has_panicked(event: &Event<'_>) -> bool {
    event.get(Member::Stage).is_some_and(|stage| {
        // Nearly every other begins with another letter.
        matches!(stage.0.get(1), Some(b'P' | b'\\')) && stage.text().is_some_and(|stage| stage.is(b"Panic"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_have_classes() {
        use ResourceClass::*;
        for (class, resources) in [
            (
                Compute,
                &[
                    ("", "pods"),
                    ("", "nodes"),
                    ("", "replicationcontrollers"),
                    ("apps", "deployments"),
                    ("apps", "statefulsets"),
                    ("apps", "daemonsets"),
                    ("apps", "replicasets"),
                    ("extensions", "deployments"),
                    ("batch", "jobs"),
                    ("batch", "cronjobs"),
                    ("autoscaling", "horizontalpodautoscalers"),
                    ("policy", "poddisruptionbudgets"),
                    ("scheduling.k8s.io", "priorityclasses"),
                    ("metrics.k8s.io", "pods"),
                    ("apps.kruise.io", "clonesets"),
                ][..],
            ),
            (
                Network,
                &[
                    ("", "services"),
                    ("", "endpoints"),
                    ("discovery.k8s.io", "endpointslices"),
                    ("networking.k8s.io", "ingresses"),
                    ("networking.k8s.io", "networkpolicies"),
                    ("extensions", "ingresses"),
                    ("gateway.networking.k8s.io", "httproutes"),
                    ("policy.networking.k8s.io", "adminnetworkpolicies"),
                    ("networking.istio.io", "virtualservices"),
                    ("crd.projectcalico.org", "globalnetworkpolicies"),
                    ("route.openshift.io", "routes"),
                    ("alibabacloud.com", "albconfigs"),
                ],
            ),
            (
                Storage,
                &[
                    ("", "configmaps"),
                    ("", "secrets"),
                    ("", "persistentvolumeclaims"),
                    ("", "persistentvolumes"),
                    ("storage.k8s.io", "storageclasses"),
                    ("storage.k8s.io", "volumeattachments"),
                    ("storage.k8s.io", "csinodes"),
                    ("snapshot.storage.k8s.io", "volumesnapshots"),
                    ("csi.storage.k8s.io", "csinodeinfos"),
                    ("storage.alibabacloud.com", "nodelocalstorages"),
                ],
            ),
            (
                AccessControl,
                &[
                    ("rbac.authorization.k8s.io", "roles"),
                    ("rbac.authorization.k8s.io", "clusterrolebindings"),
                    ("", "serviceaccounts"),
                    ("authorization.k8s.io", "selfsubjectaccessreviews"),
                    ("authentication.k8s.io", "tokenreviews"),
                    ("certificates.k8s.io", "certificatesigningrequests"),
                    ("policy", "podsecuritypolicies"),
                    ("security.openshift.io", "securitycontextconstraints"),
                    ("ramauthenticator.k8s.alibabacloud", "ramidentitymappings"),
                ],
            ),
            (
                Other,
                &[
                    ("", "events"),
                    ("", "namespaces"),
                    ("", "limitranges"),
                    ("coordination.k8s.io", "leases"),
                    ("log.alibabacloud.com", "aliyunlogconfigs"),
                    ("apiextensions.k8s.io", "customresourcedefinitions"),
                    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
                    ("example.com", "pods"),
                    ("notcilium.io", "things"),
                ],
            ),
        ] {
            for &(group, resource) in resources {
                assert_eq!(
                    ResourceClass::of(group.as_bytes(), resource.as_bytes()),
                    class,
                    "{group}/{resource}"
                );
            }
        }
    }

    #[test]
    fn every_name_is_found_with_a_prefix_or_without() {
        for (table, known) in [(CORE, CORE), (GROUPS, GROUPS)]
            .iter()
            .flat_map(|(table, all)| all.iter().map(move |known| (table, known)))
        {
            let class = |name: &str| find(table, name.as_bytes()).map(|known| known.class);
            assert_eq!(class(known.name), Some(known.class), "{}", known.name);
            let prefixed = class(&format!("x.{}", known.name));
            assert_eq!(prefixed, known.with_prefix.then_some(known.class), "{}", known.name);
            assert_eq!(class(&format!("x{}", known.name)), None, "{}", known.name);
            // With less than that before it, the last eight bytes would not tell names with a prefix.
            assert!(!known.with_prefix || known.name.len() >= 7, "{}", known.name);
        }
    }

    #[test]
    fn verbs_are_actions() {
        use Action::*;
        for (verb, group, resource, subresource, expected) in [
            ("create", "", "pods", "", Create),
            ("update", "", "pods", "status", Update),
            ("patch", "apps", "deployments", "scale", Update),
            ("delete", "", "pods", "", Delete),
            ("deletecollection", "", "pods", "", Delete),
            ("get", "", "pods", "log", Access),
            ("list", "", "pods", "", Access),
            ("watch", "", "pods", "", Access),
            ("create", "", "pods", "exec", Access),
            ("get", "", "pods", "exec", Access),
            ("create", "", "pods", "attach", Access),
            ("create", "", "pods", "portforward", Access),
            ("create", "", "nodes", "proxy", Access),
            ("delete", "", "services", "proxy", Access),
            ("create", "", "pods", "eviction", Delete),
            ("create", "", "pods", "binding", Create),
            ("create", "", "serviceaccounts", "token", Create),
            ("patch", "", "pods", "ephemeralcontainers", Update),
            ("create", "authorization.k8s.io", "selfsubjectaccessreviews", "", Access),
            ("create", "authorization.k8s.io", "selfsubjectrulesreviews", "", Access),
            ("create", "authentication.k8s.io", "tokenreviews", "", Access),
            ("create", "example.com", "reviews", "", Create),
            ("get", "", "", "", Access),
            ("post", "", "", "", Access),
            ("put", "", "", "", Update),
            ("approve", "certificates.k8s.io", "signers", "", Access),
            ("", "", "", "", Access),
        ] {
            let (verb_read, subresource_read) =
                (Verb::of(Text::new(verb.as_bytes())), Subresource::of(Text::new(subresource.as_bytes())));
            let of = Action::of(verb_read, group.as_bytes(), resource.as_bytes(), subresource_read);
            assert_eq!(of, expected, "{verb} {group}/{resource}/{subresource}");
        }
    }

    #[test]
    fn codes_are_outcomes() {
        use Outcome::*;
        for (rest, expected) in [
            (r#""stage":"RequestReceived""#, None),
            (r#""stage":"ResponseComplete","responseStatus":{"metadata":{},"code":200}"#, Some(Success)),
            (r#""stage":"ResponseStarted","responseStatus":{"code":101}"#, Some(Success)),
            (r#""stage":"ResponseComplete","responseStatus":{"code":302}"#, Some(Success)),
            (r#""stage":"ResponseComplete","responseStatus":{"status":"Failure","code":404}"#, Some(Failure)),
            (r#""stage":"ResponseComplete","responseStatus":{"code":500}"#, Some(Failure)),
            (r#""stage":"Panic","responseStatus":{"code":200}"#, Some(Failure)),
            (r#""stage":"Panic""#, Some(Failure)),
            (r#""stage":"ResponseComplete","responseStatus":{}"#, None),
        ] {
            let record = format!(r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1",{rest}}}"#);
            let event = Event::read(record.as_bytes(), b"audit").unwrap();
            assert_eq!(outcome(has_panicked(&event), event.response_code()), expected, "{rest}");
        }
    }
}
