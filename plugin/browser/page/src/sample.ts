// What the playground begins with: a rule, a configuration, and a few events to see them work on.

export const rules = `# Sigma rules, one document each
title: Scaling outside of working hours
id: scale-at-night
level: medium
tags: [attack.impact, audit.resource-delete]
logsource: {product: kubernetes, service: audit}
detection:
  selection:
    objectRef.subresource: scale
    verb: [update, patch]
  condition: selection
`;

export const configuration = `# audit-filter.yaml; every key is optional
rules:
  builtin: true
  files: [rules.yml]
network:
  trustedProxies: [10.0.0.0/8]
routes:
  - name: siem
    when: {audit.severity: [high, critical]}
  - name: default
`;

interface Request {
  user: string;
  groups?: string[];
  verb: string;
  uri: string;
  object: Record<string, string>;
  code: number;
  ip: string;
  /** What the object's body has beside its metadata, where the log has bodies. */
  body?: object;
}

/** An object as the API server logs it: a third of it says who manages which field. */
function object(request: Request, at: string): object {
  const fields = Object.fromEntries(
    ["image", "imagePullPolicy", "livenessProbe", "name", "ports", "readinessProbe", "resources", "securityContext"].map((name) => [`f:${name}`, {}]),
  );
  return {
    apiVersion: request.object.apiVersion,
    metadata: {
      name: request.object.name,
      namespace: request.object.namespace,
      uid: "0f7d3a5e-0000-4000-8000-000000000000",
      resourceVersion: "48153675",
      creationTimestamp: "2025-07-25T00:00:00Z",
      managedFields: ["kubectl-client-side-apply", "kube-controller-manager"].map((manager) => ({
        manager,
        operation: "Update",
        apiVersion: request.object.apiVersion,
        time: at,
        fieldsType: "FieldsV1",
        fieldsV1: { "f:metadata": { "f:annotations": {} }, "f:spec": { "f:template": { "f:spec": { "f:containers": { 'k:{"name":"app"}': fields } } } } },
      })),
    },
    ...request.body,
  };
}

/** What a kubelet says of a pod: an audit log is full of these, and they are a log of their own. */
const event = (verb: string, name: string): Request => ({
  user: "system:node:node-1",
  groups: ["system:nodes"],
  verb,
  uri: `/api/v1/namespaces/shop/events${verb === "create" ? "" : `/${name}`}`,
  object: { resource: "events", namespace: "shop", name, apiVersion: "v1" },
  code: verb === "create" ? 201 : 200,
  ip: "10.0.0.11",
  body: { reason: "BackOff", message: "Back-off restarting failed container app in pod cart-0_shop", type: "Warning" },
});

const requests: Request[] = [
  event("create", "cart-0.18a0f3b2"),
  event("patch", "cart-0.18a0f3b2"),
  {
    user: "system:node:node-1",
    groups: ["system:nodes"],
    verb: "update",
    uri: "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-1",
    object: { resource: "leases", namespace: "kube-node-lease", name: "node-1", apiGroup: "coordination.k8s.io", apiVersion: "v1" },
    code: 200,
    ip: "10.0.0.11",
    body: { spec: { holderIdentity: "node-1", leaseDurationSeconds: 40 } },
  },
  {
    user: "system:kube-controller-manager",
    verb: "watch",
    uri: "/api/v1/pods?watch=true",
    object: { resource: "pods", apiVersion: "v1" },
    code: 200,
    ip: "10.0.0.2",
  },
  {
    user: "jane@example.com",
    verb: "patch",
    uri: "/apis/apps/v1/namespaces/shop/deployments/cart",
    object: { resource: "deployments", namespace: "shop", name: "cart", apiGroup: "apps", apiVersion: "v1" },
    code: 200,
    ip: "203.0.113.7",
    body: { spec: { template: { spec: { containers: [{ name: "app", image: "registry.example.com/cart:2.1" }] } } } },
  },
  {
    user: "jane@example.com",
    verb: "create",
    uri: "/api/v1/namespaces/shop/pods/cart-0/exec?command=sh&command=-c&command=id&container=app&stdin=true&tty=true",
    object: { resource: "pods", namespace: "shop", name: "cart-0", apiVersion: "v1", subresource: "exec" },
    code: 101,
    ip: "203.0.113.7",
  },
  {
    user: "jane@example.com",
    verb: "patch",
    uri: "/apis/apps/v1/namespaces/shop/deployments/cart/scale",
    object: { resource: "deployments", namespace: "shop", name: "cart", apiGroup: "apps", apiVersion: "v1", subresource: "scale" },
    code: 200,
    ip: "203.0.113.7",
    body: { spec: { replicas: 0 } },
  },
  {
    user: "system:anonymous",
    groups: ["system:unauthenticated"],
    verb: "list",
    uri: "/api/v1/secrets",
    object: { resource: "secrets", apiVersion: "v1" },
    code: 403,
    ip: "198.51.100.23",
  },
  {
    user: "mallory@example.com",
    verb: "get",
    uri: "/api/v1/namespaces/kube-system/secrets/cloud-credentials",
    object: { resource: "secrets", namespace: "kube-system", name: "cloud-credentials", apiVersion: "v1" },
    code: 200,
    ip: "198.51.100.23",
  },
  {
    user: "mallory@example.com",
    verb: "delete",
    uri: "/api/v1/namespaces/shop",
    object: { resource: "namespaces", namespace: "shop", name: "shop", apiVersion: "v1" },
    code: 200,
    ip: "198.51.100.23",
  },
];

/** The events, a line each. */
export const log = requests
  .map((request, index) => {
    const at = new Date(Date.UTC(2026, 2, 2, 22, 10 + 3 * index)).toISOString();
    return JSON.stringify({
      kind: "Event",
      apiVersion: "audit.k8s.io/v1",
      level: "RequestResponse",
      auditID: `5d2c9f10-0000-4000-8000-0000000000${String(index).padStart(2, "0")}`,
      stage: "ResponseComplete",
      requestURI: request.uri,
      verb: request.verb,
      user: { username: request.user, groups: request.groups ?? ["system:authenticated"] },
      sourceIPs: [request.ip],
      userAgent: "kubectl/v1.30.7",
      objectRef: request.object,
      responseStatus: { metadata: {}, code: request.code },
      ...(request.body && { requestObject: object(request, at), responseObject: object(request, at) }),
      requestReceivedTimestamp: at,
      stageTimestamp: at,
    });
  })
  .join("\n");
