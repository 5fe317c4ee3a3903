import { own, value } from "./value-types.ts";
import type { Group, Schema, Value } from "./value-types.ts";

const ENTRY_FIELDS: Schema = {
  name: { type: "string", description: "Name of the AzureIdentity; in the map form the key is the default." },
  namespace: { type: "string", description: "Namespace of both objects; the release's by default." },
  type: {
    enum: [0, 1, 2, 3],
    description: "0: managed identity, 1: client secret, 2: certificate, 3: federation with the pod's ServiceAccount.",
  },
  resourceID: { type: "string", description: "ARM id of the managed identity. Type 0." },
  clientID: { type: "string", description: "Client id." },
  tenantID: { type: "string", description: "Tenant. Types 1, 2 and 3." },
  clientPassword: {
    type: "object",
    description: "The Secret. Types 1 and 2.",
    additionalProperties: false,
    properties: { name: { type: "string" }, namespace: { type: "string" } },
  },
  auxiliaryTenantIDs: {
    type: "array",
    items: { type: "string" },
    description: "One to three further tenants. Types 1 and 2.",
  },
  adEndpoint: { type: "string", description: "Entra's address in another cloud. Types 1, 2 and 3." },
  serviceAccounts: {
    type: "array",
    items: { type: "string" },
    description: "ServiceAccounts whose pods may use it; all of the binding's pods without. Type 3.",
  },
  annotations: {
    type: "object",
    additionalProperties: { type: "string" },
    description: "Annotations of the AzureIdentity.",
  },
  binding: {
    type: "object",
    description: "The AzureIdentityBinding.",
    additionalProperties: false,
    properties: {
      name: { type: "string", description: "Its name." },
      selector: { type: "string", description: "Value of the pods' label aadpodidbinding." },
      weight: { type: "integer", description: "Of several identities for one pod the greatest weight is the default." },
    },
  },
};

const ENTRY: Schema = {
  type: "object",
  additionalProperties: false,
  propertyNames: { enum: Object.keys(ENTRY_FIELDS).sort() },
  properties: ENTRY_FIELDS,
};

/** The values that concern the whole installation. */
export const COMMON_VALUES: readonly (Value | Group)[] = [
  value(
    "nameOverride",
    "text",
    "",
    "Part of the names of all objects; empty: the chart's name. The release's name is no part of them.",
  ),
  value("fullnameOverride", "text", "", "Only for the user-facing ClusterRoles; empty: made of release and chart."),
  {
    key: "image",
    help: "The images are `<repository>/<mic.image>:<mic.tag>` and `<repository>/<nmi.image>:<nmi.tag>`.",
  },
  value(
    "image.repository",
    "text",
    "ghcr.io/podid",
    "Registry and path of all images. Images of aad-pod-identity are refused.",
  ),
  value("image.imagePullPolicy", "text", "IfNotPresent", "When kubelet pulls.", {
    schema: { enum: ["Always", "IfNotPresent", "Never", ""] },
  }),
  value("imagePullSecrets", "list", undefined, "Secrets for a private registry.", {
    example: "[{ name: my-registry }]",
  }),
  own("commonLabels", "labels", {}, "Labels for every object."),
  own("commonAnnotations", "labels", {}, "Annotations for every object."),
  value(
    "operationMode",
    "text",
    "standard",
    "standard: MIC attaches identities to VMs and scale sets; managed: somebody else has, and there is no MIC.",
    {
      schema: { enum: ["standard", "managed"] },
    },
  ),
  value("forceNamespaced", "flag", "false", "Every AzureIdentity serves pods of its own namespace only."),
  value(
    "installMICException",
    "flag",
    "true",
    "Pods of MIC, and in kube-system those that AKS manages, talk to the metadata service as the node does.",
  ),
  value("customUserAgent", "text", "", "Appended to the user agent of requests to Kubernetes and Azure."),
  {
    key: "adminsecret",
    help: "MIC's own access to Azure, instead of the node's azure.json. With any of these set, cloud, subscriptionID, resourceGroup, vmType, tenantID, clientID and clientSecret are required.",
  },
  value("adminsecret.cloud", "text", undefined, "Azure cloud, as AzurePublicCloud.", { example: "AzurePublicCloud" }),
  value("adminsecret.subscriptionID", "text", undefined, "Subscription of the cluster.", {
    example: "00000000-0000-0000-0000-000000000000",
  }),
  value("adminsecret.resourceGroup", "text", undefined, "Resource group of the nodes.", {
    example: "MC_group_cluster_region",
  }),
  value("adminsecret.vmType", "text", undefined, "standard for VMs, vmss for scale sets.", { example: "vmss" }),
  value("adminsecret.tenantID", "text", undefined, "Tenant of the service principal.", {
    example: "00000000-0000-0000-0000-000000000000",
  }),
  value(
    "adminsecret.clientID",
    "text",
    undefined,
    "Client id of the service principal; `msi` with a managed identity.",
    { example: "00000000-0000-0000-0000-000000000000" },
  ),
  value("adminsecret.clientSecret", "text", undefined, "Its secret; `msi` with a managed identity.", {
    example: "secret",
  }),
  value("adminsecret.useMSI", "flag", undefined, "Use a managed identity of the node.", { example: "true" }),
  value(
    "adminsecret.userAssignedMSIClientID",
    "text",
    undefined,
    "Client id of that identity; empty: the system-assigned one.",
    { example: "00000000-0000-0000-0000-000000000000" },
  ),
];

/** What a release may bring besides MIC and NMI. */
export const OPTION_VALUES: readonly (Value | Group)[] = [
  { key: "rbac", help: "Rights." },
  value(
    "rbac.enabled",
    "flag",
    true,
    "false: the ServiceAccounts are made, and somebody else gives them their rights; also that of the drain, which exists only while it runs.",
  ),
  value("rbac.allowAccessToSecrets", "flag", true, "Whether NMI may read the Secrets that `rbac.secrets` names."),
  own(
    "rbac.secrets",
    "list",
    [],
    "Secrets of identities of type 1 and 2. Without names: every Secret of that namespace. There is no right to all Secrets of a cluster.",
    {
      example: "[{ namespace: team-a, names: [client-secret] }]",
      schema: {
        items: {
          type: "object",
          additionalProperties: false,
          properties: {
            namespace: { type: "string" },
            // An empty list would mean every Secret, which nobody means by it.
            names: { type: "array", minItems: 1, items: { type: "string", minLength: 1 } },
          },
        },
      },
    },
  ),
  value("rbac.pspEnabled", "flag", false, "PodSecurityPolicies are gone since Kubernetes 1.25; true is refused."),
  value(
    "rbac.createUserFacingClusterRoles",
    "flag",
    false,
    "ClusterRoles to see and edit identities and bindings, which add to view, edit and admin.",
  ),
  value(
    "azureIdentities",
    "object",
    undefined,
    "AzureIdentities with their bindings: a map from name to fields, or a list.",
    {
      schema: { type: ["object", "array"], additionalProperties: ENTRY, items: ENTRY },
      example: `
  demo1:
    type: 0
    resourceID: /subscriptions/SUBSCRIPTION/resourcegroups/GROUP/providers/Microsoft.ManagedIdentity/userAssignedIdentities/demo1
    clientID: 00000000-0000-0000-0000-000000000000
    binding: { name: demo1-binding, selector: demo }`,
    },
  ),
  {
    key: "admissionPolicies",
    help: "ValidatingAdmissionPolicies (Kubernetes 1.30) for AzureIdentities; off, because they refuse what was accepted before.",
  },
  own("admissionPolicies.resourceIDs", "flag", false, "Refuse a managed identity whose resourceID is not one."),
  own(
    "admissionPolicies.crossNamespaceSecrets",
    "flag",
    false,
    "Refuse a clientPassword in another namespace than its AzureIdentity.",
  ),
  own(
    "admissionPolicies.allowedIdentities",
    "object",
    {},
    "By namespace, the identities that its AzureIdentities may name: ARM ids, or client ids of types 1 to 3. A namespace that is not listed may name those under `*`; once there is any entry, nothing else is allowed.",
    {
      example: `{ team-a: [/subscriptions/…/userAssignedIdentities/a], "*": [] }`,
      schema: { additionalProperties: { type: "array", items: { type: "string", minLength: 1 } } },
    },
  ),
  own(
    "networkPolicy.enabled",
    "flag",
    false,
    "Let nobody reach MIC but for probes and metrics. NMI shares the node's network, which no NetworkPolicy governs.",
  ),
  own("networkPolicy.metricsFrom", "list", [], "Peers that may read MIC's metrics; empty: all.", {
    example: "[{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: monitoring } } }]",
  }),
  own("serviceMonitor.enabled", "flag", false, "Services and ServiceMonitors for the Prometheus operator."),
  own("serviceMonitor.labels", "labels", {}, "Labels by which the operator finds them."),
  own("serviceMonitor.interval", "duration", "30s", "Pause between two scrapes."),
  own("prometheusRule.enabled", "flag", false, "Alerts for the Prometheus operator."),
  own("prometheusRule.labels", "labels", {}, "Labels by which the operator finds them."),
  own("grafanaDashboard.enabled", "flag", false, "A ConfigMap with a dashboard."),
  own("grafanaDashboard.labels", "labels", { grafana_dashboard: "1" }, "Labels by which Grafana's sidecar finds it."),
  {
    key: "drain",
    help: "What `helm uninstall` does before it deletes anything: MIC detaches what it attached, and NMI is told to take its rules out when it stops.",
  },
  own(
    "drain.enabled",
    "flag",
    true,
    "false: the attached identities stay attached, and the nodes' rules stay until `nmi cleanup`.",
  ),
  own(
    "drain.timeoutSeconds",
    "seconds",
    240,
    "How long it may take; `helm uninstall --timeout` must be longer (5m by default).",
  ),
  own(
    "drain.onTimeout",
    "text",
    "abort",
    "abort: the release stays and goes on as before; continue: what is left is printed, and the release goes.",
    {
      schema: { enum: ["abort", "continue"] },
    },
  ),
  own("drain.tolerations", "list", [{ operator: "Exists" }], "Tolerations of its pod."),
  {
    key: "test",
    help: "What `helm test` does: a pod that fetches a token. It needs an identity that pods of the release's namespace may use.",
  },
  own(
    "test.selector",
    "text",
    "",
    "The pod's label aadpodidbinding; empty: that of the first entry of azureIdentities of type 0.",
  ),
  own("test.clientID", "text", "", "Client id of the identity; empty: as above."),
  own("test.subscriptionID", "text", "", "Subscription whose VMs the demo lists; empty: that of the identity."),
  own("test.resourceGroup", "text", "", "Resource group whose VMs the demo lists; empty: that of the identity."),
  own("test.image", "text", "demo", "Image of the demo."),
  own("test.tag", "text", "", "Tag of the demo's image; empty: the chart's appVersion."),
  own("test.extraEnv", "list", [], "Further environment variables, as of a proxy or an authority of one's own."),
  own("test.extraVolumes", "list", [], "Further volumes of the pod."),
  own("test.extraVolumeMounts", "list", [], "Where they are mounted."),
];
