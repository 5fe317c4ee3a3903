/** A values file to render the chart with. */
export interface Case {
  readonly name: string;
  readonly values: Readonly<Record<string, unknown>>;
}

const RESOURCE_ID =
  "/subscriptions/00000000-0000-0000-0000-000000000001/resourcegroups/group/providers/Microsoft.ManagedIdentity/userAssignedIdentities/demo1";
const CLIENT_ID = "00000000-0000-0000-0000-00000000c1d1";
const TENANT_ID = "00000000-0000-0000-0000-00000000aaaa";

const POD = {
  tag: "0.0.9",
  priorityClassName: "mine",
  logVerbosity: 5,
  loggingFormat: "json",
  resources: { requests: { cpu: "1" } },
  podAnnotations: { "example.com/note": "true" },
  podLabels: { team: "identity" },
  nodeSelector: { pool: "system" },
  extraEnv: [{ name: "NODE_OPTIONS", value: "--max-old-space-size=512" }],
  extraVolumes: [{ name: "extra", emptyDir: {} }],
  extraVolumeMounts: [{ name: "extra", mountPath: "/extra" }],
  serviceAccount: { annotations: { "azure.workload.identity/client-id": CLIENT_ID } },
};

/** What one entry of azureIdentities may hold, by type. */
export const IDENTITIES = {
  managed: {
    type: 0,
    resourceID: RESOURCE_ID,
    clientID: CLIENT_ID,
    annotations: { "aadpodidentity.k8s.io/Behavior": "namespaced" },
    binding: { name: "managed-binding", selector: "demo", weight: 2 },
  },
  secret: {
    name: "service-principal",
    namespace: "team-a",
    type: 1,
    tenantID: TENANT_ID,
    clientID: CLIENT_ID,
    clientPassword: { name: "password", namespace: "team-a" },
    auxiliaryTenantIDs: [TENANT_ID],
    adEndpoint: "https://login.microsoftonline.us/",
    binding: { name: "secret-binding", selector: "secret" },
  },
  certificate: {
    type: 2,
    tenantID: TENANT_ID,
    clientID: CLIENT_ID,
    clientPassword: { name: "certificate", namespace: "team-a" },
    binding: { name: "certificate-binding", selector: "certificate" },
  },
  federated: {
    type: 3,
    tenantID: TENANT_ID,
    clientID: CLIENT_ID,
    serviceAccounts: ["worker"],
    binding: { name: "federated-binding", selector: "federated" },
  },
} as const;

/** Values files that together set every key; a test sees to that. */
export const CASES: readonly Case[] = [
  { name: "defaults", values: {} },
  { name: "managed mode", values: { operationMode: "managed", rbac: { createUserFacingClusterRoles: true } } },
  {
    name: "names, images and labels",
    values: {
      nameOverride: "aad-pod-identity",
      fullnameOverride: "people",
      image: { repository: "registry.example/podid", imagePullPolicy: "Always" },
      imagePullSecrets: [{ name: "registry" }],
      commonLabels: { "example.com/owner": "platform" },
      commonAnnotations: { "example.com/contact": "platform@example.com" },
      customUserAgent: "cluster-7",
      installMICException: "false",
      forceNamespaced: "true",
      mic: { image: "controller" },
      nmi: { image: "agent" },
    },
  },
  {
    name: "service principal for MIC",
    values: {
      adminsecret: {
        cloud: "AzurePublicCloud",
        subscriptionID: "00000000-0000-0000-0000-000000000001",
        resourceGroup: "group",
        vmType: "vmss",
        tenantID: TENANT_ID,
        clientID: CLIENT_ID,
        clientSecret: "not-a-secret",
      },
    },
  },
  {
    name: "managed identity for MIC",
    values: {
      adminsecret: {
        cloud: "AzurePublicCloud",
        subscriptionID: "00000000-0000-0000-0000-000000000001",
        resourceGroup: "group",
        vmType: "vmss",
        tenantID: TENANT_ID,
        clientID: "msi",
        clientSecret: "msi",
        useMSI: true,
        userAssignedMSIClientID: CLIENT_ID,
      },
    },
  },
  {
    name: "every value of MIC",
    values: {
      mic: {
        ...POD,
        replicas: 3,
        tolerations: [{ key: "system", operator: "Exists" }],
        affinity: { nodeAffinity: {} },
        topologySpreadConstraints: [{ maxSkew: 2, topologyKey: "zone", whenUnsatisfiable: "DoNotSchedule" }],
        podDisruptionBudget: { enabled: true, minAvailable: 1 },
        leaderElection: { instance: "one", namespace: "leases", name: "mine", duration: "30s" },
        probePort: 8081,
        prometheusPort: "8889",
        syncRetryDuration: "30m",
        immutableUserMSIs: [CLIENT_ID, TENANT_ID],
        createDeleteBatch: 40,
        clientQps: "10",
        cloudConfig: "/etc/kubernetes/cloud.json",
        customCloud: { enabled: true, configPath: "/etc/kubernetes/stack.json" },
        updateUserMSIMaxRetry: 3,
        updateUserMSIRetryInterval: "2s",
        identityAssignmentReconcileInterval: "5m",
        dryRun: true,
        adoptUpstream: "assigned",
        detachDelay: "10m",
        computeApiVersion: "2021-03-01",
        extraArgs: ["--probe-host=127.0.0.1"],
      },
    },
  },
  { name: "one MIC that may go", values: { mic: { replicas: 1, podDisruptionBudget: { maxUnavailable: "50%" } } } },
  {
    name: "every value of NMI",
    values: {
      nmi: {
        ...POD,
        tolerations: [],
        affinity: { nodeAffinity: {} },
        updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1 } },
        terminationGracePeriodSeconds: 90,
        ipTableUpdateTimeIntervalInSeconds: 30,
        micNamespace: "identity",
        probePort: "8086",
        prometheusPort: 9091,
        retryAttemptsForCreated: 10,
        retryAttemptsForAssigned: "2",
        findIdentityRetryIntervalInSeconds: 3,
        enableScaleFeatures: false,
        blockInstanceMetadata: "true",
        metadataHeaderRequired: false,
        allowNetworkPluginKubenet: true,
        kubeletConfig: "/etc/sysconfig/kubelet",
        setRetryAfterHeader: true,
        enableConntrackDeletion: true,
        maxWait: "30s",
        bindingGrace: "10s",
        foreignIdentityStatus: "404",
        tokenCache: false,
        imdsRate: 5,
        imdsConcurrency: "2",
        listenAddress: "169.254.25.79",
        routeLocalnet: false,
        stateDir: "/var/run/podid",
        interceptHostNetwork: true,
        hostNetworkAllow: ["system.slice", "kubelet.slice"],
        blockWireserver: true,
        startupTaint: "podid.dev/agent-not-ready",
        startupCanary: true,
        immutableUserMSIs: ["00000000-0000-0000-0000-00000000000b"],
        nodeCloudConfig: "/etc/kubernetes/azure.json",
        secretNamespaces: ["vault"],
        allowNodeIdentities: ["team-a/00000000-0000-0000-0000-00000000000b"],
        tokenRequests: {
          credentials: "kubelet",
          audience: "api://AzureADTokenExchangeChina",
          kubeletKubeconfig: "/etc/kubernetes/kubelet.conf",
          kubeletPki: "/var/lib/kubelet/pki",
        },
        extraArgs: ["--drain-timeout=5s"],
      },
      nodeGuard: { enabled: true },
    },
  },
  {
    name: "tokens of pods by NMI's own rights",
    values: { nmi: { tokenRequests: { credentials: "service-account", namespaces: ["team-a", "team-b"] } } },
  },
  {
    name: "rights",
    values: {
      rbac: {
        enabled: "true",
        allowAccessToSecrets: true,
        pspEnabled: false,
        createUserFacingClusterRoles: true,
        secrets: [{ namespace: "team-a", names: ["password"] }, { namespace: "team-b" }],
      },
    },
  },
  { name: "no rights", values: { rbac: { enabled: false } } },
  { name: "identities as a map", values: { azureIdentities: IDENTITIES } },
  { name: "identities as a list", values: { azureIdentities: [{ ...IDENTITIES.managed, name: "demo1" }] } },
  {
    name: "policies",
    values: {
      admissionPolicies: {
        resourceIDs: true,
        crossNamespaceSecrets: "true",
        allowedIdentities: { "team-a": [RESOURCE_ID.toUpperCase()], "*": [] },
      },
      networkPolicy: { enabled: true, metricsFrom: [{ namespaceSelector: { matchLabels: { name: "monitoring" } } }] },
    },
  },
  {
    name: "observation",
    values: {
      serviceMonitor: { enabled: true, labels: { release: "prometheus" }, interval: "1m" },
      prometheusRule: { enabled: true, labels: { release: "prometheus" } },
      grafanaDashboard: { enabled: true, labels: { dashboards: "yes" } },
    },
  },
  {
    name: "drain and test",
    values: {
      drain: { timeoutSeconds: 60, onTimeout: "continue", tolerations: [] },
      test: {
        selector: "demo",
        clientID: CLIENT_ID,
        subscriptionID: "00000000-0000-0000-0000-000000000001",
        resourceGroup: "group",
        image: "demo-app",
        tag: "1",
        extraEnv: [{ name: "NODE_EXTRA_CA_CERTS", value: "/ca/ca.pem" }],
        extraVolumes: [{ name: "ca", configMap: { name: "ca" } }],
        extraVolumeMounts: [{ name: "ca", mountPath: "/ca", readOnly: true }],
      },
    },
  },
  { name: "no drain", values: { drain: { enabled: false } } },
];
