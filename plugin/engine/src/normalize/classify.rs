//! What: the class of resource, the kind of action and the outcome, as audit reports count them.

use crate::record::{Event, Member};

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
        match self {
            Self::Compute => "compute",
            Self::Network => "network",
            Self::Storage => "storage",
            Self::AccessControl => "access-control",
            Self::Other => "other",
            Self::NonResource => "non-resource",
        }
    }

    /// The class of a resource by its API group, empty for the core group, and its plural name.
    #[must_use]
    pub fn of(group: &[u8], resource: &[u8]) -> Self {
        match group {
            b"" => Self::of_core(resource),
            b"extensions" => match resource {
                b"ingresses" | b"networkpolicies" => Self::Network,
                b"podsecuritypolicies" => Self::AccessControl,
                _ => Self::Compute,
            },
            b"policy" => match resource {
                b"podsecuritypolicies" => Self::AccessControl,
                _ => Self::Compute,
            },
            b"apps" | b"batch" | b"autoscaling" | b"metrics.k8s.io" | b"scheduling.k8s.io" => Self::Compute,
            b"networking.k8s.io" | b"discovery.k8s.io" => Self::Network,
            b"storage.k8s.io" => Self::Storage,
            b"rbac.authorization.k8s.io"
            | b"authorization.k8s.io"
            | b"authentication.k8s.io"
            | b"certificates.k8s.io" => Self::AccessControl,
            b"coordination.k8s.io" | b"events.k8s.io" | b"apiextensions.k8s.io" => Self::Other,
            // AlbConfig; the groups below this one are of several classes.
            b"alibabacloud.com" => Self::Network,
            _ => Self::of_other_group(group),
        }
    }

    fn of_core(resource: &[u8]) -> Self {
        match resource {
            b"pods" | b"nodes" | b"replicationcontrollers" | b"podtemplates" | b"bindings" => Self::Compute,
            b"services" | b"endpoints" => Self::Network,
            b"configmaps" | b"secrets" | b"persistentvolumeclaims" | b"persistentvolumes" => Self::Storage,
            b"serviceaccounts" => Self::AccessControl,
            _ => Self::Other,
        }
    }

    fn of_other_group(group: &[u8]) -> Self {
        GROUPS
            .iter()
            .find(|(name, _)| {
                group
                    .strip_suffix(name.as_bytes())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with(b"."))
            })
            .map_or(Self::Other, |&(_, class)| class)
    }
}

/// The classes of less frequent API groups; a group that ends in a dot and one of these is of its class as
/// well.
const GROUPS: &[(&str, ResourceClass)] = &[
    ("networking.k8s.io", ResourceClass::Network),
    ("storage.k8s.io", ResourceClass::Storage),
    ("autoscaling.k8s.io", ResourceClass::Compute),
    ("metrics.k8s.io", ResourceClass::Compute),
    ("node.k8s.io", ResourceClass::Compute),
    ("resource.k8s.io", ResourceClass::Compute),
    ("cluster.x-k8s.io", ResourceClass::Compute),
    // Alibaba Cloud.
    ("ramauthenticator.k8s.alibabacloud", ResourceClass::AccessControl),
    ("network.alibabacloud.com", ResourceClass::Network),
    ("storage.alibabacloud.com", ResourceClass::Storage),
    ("csi.aliyun.com", ResourceClass::Storage),
    ("kruise.io", ResourceClass::Compute),
    // What clusters of every provider run.
    ("security.istio.io", ResourceClass::AccessControl),
    ("networking.istio.io", ResourceClass::Network),
    ("cilium.io", ResourceClass::Network),
    ("projectcalico.org", ResourceClass::Network),
    ("k8s.cni.cncf.io", ResourceClass::Network),
    ("metallb.io", ResourceClass::Network),
    ("traefik.io", ResourceClass::Network),
    ("traefik.containo.us", ResourceClass::Network),
    ("projectcontour.io", ResourceClass::Network),
    ("rook.io", ResourceClass::Storage),
    ("longhorn.io", ResourceClass::Storage),
    ("argoproj.io", ResourceClass::Compute),
    ("karpenter.sh", ResourceClass::Compute),
    ("keda.sh", ResourceClass::Compute),
    ("knative.dev", ResourceClass::Compute),
    ("kubeflow.org", ResourceClass::Compute),
    ("kubevirt.io", ResourceClass::Compute),
    ("volcano.sh", ResourceClass::Compute),
    ("authorization.openshift.io", ResourceClass::AccessControl),
    ("oauth.openshift.io", ResourceClass::AccessControl),
    ("security.openshift.io", ResourceClass::AccessControl),
    ("user.openshift.io", ResourceClass::AccessControl),
    ("apps.openshift.io", ResourceClass::Compute),
    ("machine.openshift.io", ResourceClass::Compute),
    ("route.openshift.io", ResourceClass::Network),
    ("network.openshift.io", ResourceClass::Network),
];

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
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Access => "access",
        }
    }

    /// The action behind a verb.
    ///
    /// Kubernetes calls some things `create` that make nothing, or worse: entering a container or going
    /// through the proxy is access, by whatever verb; so is asking who may do what; and a pod's eviction is
    /// its deletion.
    #[must_use]
    pub fn of(verb: &[u8], group: &[u8], resource: &[u8], subresource: &[u8]) -> Self {
        match subresource {
            b"" => {}
            b"exec" | b"attach" | b"portforward" | b"proxy" => return Self::Access,
            b"eviction" if verb == b"create" => return Self::Delete,
            _ => {}
        }
        match verb {
            b"create" if is_review(group, resource) => Self::Access,
            b"create" => Self::Create,
            b"update" | b"patch" | b"put" => Self::Update,
            b"delete" | b"deletecollection" => Self::Delete,
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
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

/// How the request ended; none where the event is from before its end.
pub(super) fn outcome(event: &Event<'_>) -> Option<Outcome> {
    if has_panicked(event) {
        return Some(Outcome::Failure);
    }
    let code = event.response_code()?;
    Some(if code < 400 { Outcome::Success } else { Outcome::Failure })
}

/// Whether the request made the API server panic.
pub(super) fn has_panicked(event: &Event<'_>) -> bool {
    event.text(Member::Stage).is_some_and(|stage| stage.is(b"Panic"))
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
    fn no_group_hides_a_later_one() {
        for (index, &(later, class)) in GROUPS.iter().enumerate() {
            let hidden = GROUPS[..index].iter().find(|(earlier, _)| {
                later.strip_suffix(earlier).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            });
            assert_eq!(hidden, None, "{later}");
            assert_eq!(ResourceClass::of(later.as_bytes(), b"things"), class, "{later}");
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
            let of =
                Action::of(verb.as_bytes(), group.as_bytes(), resource.as_bytes(), subresource.as_bytes());
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
            assert_eq!(outcome(&event), expected, "{rest}");
        }
    }
}
