import { own, value } from "./value-types.ts";
import type { Group, Value } from "./value-types.ts";

/** The values that MIC and NMI have in common: their pods. */
function pod(of: "mic" | "nmi", priority: string, memory: string): Value[] {
  const program = of.toUpperCase();
  return [
    value(`${of}.image`, "text", of, "Name of the image."),
    value(`${of}.tag`, "text", "", "Tag of the image; empty: the chart's appVersion."),
    value(`${of}.priorityClassName`, "text", priority, "PriorityClass of the pods."),
    value(
      `${of}.logVerbosity`,
      "count",
      0,
      "0 is for operators, from 1 on decisions are logged, from 5 on every step.",
    ),
    value(`${of}.loggingFormat`, "text", "", "text or json.", { schema: { enum: ["", "text", "json"] } }),
    value(
      `${of}.resources`,
      "object",
      { requests: { cpu: "100m", memory: "256Mi" }, limits: { memory } },
      "Resources. No CPU limit: a process that is throttled makes every pod wait.",
    ),
    value(`${of}.podAnnotations`, "labels", {}, "Annotations of the pods."),
    value(`${of}.podLabels`, "labels", {}, "Labels of the pods."),
    value(`${of}.nodeSelector`, "labels", { "kubernetes.io/os": "linux" }, "Nodes to run on."),
    own(`${of}.extraArgs`, "args", [], `Further flags of ${program}, as --name=value.`),
    own(`${of}.extraEnv`, "list", [], "Further environment variables.", {
      example: "[{ name: NODE_OPTIONS, value: --max-old-space-size=512 }]",
    }),
    own(`${of}.extraVolumes`, "list", [], "Further volumes of the pods."),
    own(`${of}.extraVolumeMounts`, "list", [], "Where they are mounted."),
    own(`${of}.serviceAccount.annotations`, "labels", {}, "Annotations of the ServiceAccount."),
  ];
}

/** Paths on the node that are mounted: with anything else the API server refuses the pods. */
const PATH: Partial<Value> = { schema: { pattern: "^/" } };
const PATH_OR_NONE: Partial<Value> = { schema: { pattern: "^(/.*)?$" } };

export const MIC_VALUES: readonly (Value | Group)[] = [
  { key: "mic", help: "The controller, which attaches identities to VMs and scale sets. In standard mode only." },
  ...pod("mic", "system-cluster-critical", "1024Mi"),
  value("mic.replicas", "count", 2, "One leads, the others stand by."),
  value("mic.tolerations", "list", [], "Taints to tolerate."),
  value(
    "mic.affinity",
    "object",
    {
      podAntiAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          {
            weight: 1,
            podAffinityTerm: {
              topologyKey: "kubernetes.io/hostname",
              labelSelector: {
                matchExpressions: [{ key: "app.kubernetes.io/component", operator: "In", values: ["mic"] }],
              },
            },
          },
        ],
      },
    },
    "Where to run in relation to others.",
  ),
  value(
    "mic.topologySpreadConstraints",
    "list",
    [{ maxSkew: 1, topologyKey: "topology.kubernetes.io/zone", whenUnsatisfiable: "ScheduleAnyway" }],
    "How to spread over zones; a constraint without labelSelector is about MIC's own pods.",
  ),
  own("mic.podDisruptionBudget.enabled", "flag", true, "Whether there is one."),
  value("mic.podDisruptionBudget.minAvailable", "text", undefined, "Pods that must stay.", {
    schema: { type: ["integer", "string"] },
    example: "1",
  }),
  own(
    "mic.podDisruptionBudget.maxUnavailable",
    "text",
    undefined,
    "Pods that may go at a time; 1 unless minAvailable is given.",
    { schema: { type: ["integer", "string"] }, example: "1" },
  ),
  value("mic.leaderElection.instance", "text", "", "Name of an instance; empty: the pod's name."),
  value("mic.leaderElection.namespace", "text", "", "Namespace of the Lease; empty: the release's."),
  value("mic.leaderElection.name", "text", "", "Name of the Lease; empty: aad-pod-identity-mic."),
  value(
    "mic.leaderElection.duration",
    "duration",
    "",
    "How long a leader that died keeps the others waiting; empty: 15s.",
  ),
  value("mic.probePort", "port", "", "Port of /healthz, /livez and /readyz; empty: 8080."),
  value("mic.prometheusPort", "port", "", "Port of /metrics; empty: 8888."),
  value(
    "mic.syncRetryDuration",
    "duration",
    "",
    "How often everything is looked through again although nothing changed; empty: 3600s.",
  ),
  value(
    "mic.immutableUserMSIs",
    "strings",
    [],
    "Client ids or ARM ids of identities that are never detached and that NMI refuses to pods.",
  ),
  value("mic.createDeleteBatch", "count", "", "Writes to the API server in flight per VM or scale set; empty: 20."),
  value(
    "mic.clientQps",
    "number",
    "",
    "Most requests to the API server per second; empty: no limit but the API server's own.",
  ),
  value(
    "mic.cloudConfig",
    "text",
    "/etc/kubernetes/azure.json",
    "azure.json on the node; root alone can read it, so MIC runs as root, without any capability, unless adminsecret is set.",
    PATH_OR_NONE,
  ),
  value("mic.customCloud.enabled", "flag", false, "An Azure cloud of one's own, as Azure Stack."),
  value("mic.customCloud.configPath", "text", "/etc/kubernetes/akscustom.json", "Its description on the node.", PATH),
  value("mic.updateUserMSIMaxRetry", "count", "", "Retries of an ARM update after conflicts; empty: 5."),
  value("mic.updateUserMSIRetryInterval", "duration", "", "Pause before the first of them; empty: 500ms."),
  value(
    "mic.identityAssignmentReconcileInterval",
    "duration",
    "",
    "How often each VM and scale set is compared with what ARM says; empty: 3m.",
  ),
  own("mic.dryRun", "flag", false, "Log what would be attached and detached, and write nothing."),
  own(
    "mic.adoptUpstream",
    "text",
    "",
    "Which AzureAssignedIdentities of aad-pod-identity tell what it attached; empty: all.",
    { schema: { enum: ["", "all", "assigned", "none"] } },
  ),
  own(
    "mic.detachDelay",
    "duration",
    "",
    "How long an identity that no pod needs any more stays attached, for CronJobs; empty: not at all.",
  ),
  own("mic.computeApiVersion", "text", "", "Version of Azure's compute API, for clouds that lag behind."),
];

export const NMI_VALUES: readonly (Value | Group)[] = [
  { key: "nmi", help: "The agent on every node, which answers the pods' requests." },
  ...pod("nmi", "system-node-critical", "512Mi"),
  value("nmi.tolerations", "list", [{ operator: "Exists" }], "Taints to tolerate."),
  value("nmi.affinity", "object", {}, "Nodes to run on."),
  value(
    "nmi.updateStrategy",
    "object",
    {},
    "How an upgrade goes over the nodes; empty: the new pod of a node starts, takes over, and then the old one stops.",
  ),
  own(
    "nmi.terminationGracePeriodSeconds",
    "seconds",
    80,
    "Requests that wait for an identity are answered by the process that took them: up to 55 s.",
    { schema: { minimum: 75 } },
  ),
  value(
    "nmi.ipTableUpdateTimeIntervalInSeconds",
    "count",
    "",
    "Seconds between checks of the iptables rules; empty: 60.",
  ),
  value("nmi.micNamespace", "text", "", "Namespace of MIC and of the ConfigMap podid-lifecycle; empty: the release's."),
  value("nmi.probePort", "port", "8085", "Port of /healthz, /livez and /readyz on the node."),
  value("nmi.prometheusPort", "port", "", "Port of /metrics on the node; empty: 9090."),
  value(
    "nmi.retryAttemptsForCreated",
    "count",
    "",
    "With one of the three, requests wait as aad-pod-identity's did: (created + assigned) attempts of that interval.",
  ),
  value("nmi.retryAttemptsForAssigned", "count", "", "See retryAttemptsForCreated."),
  value("nmi.findIdentityRetryIntervalInSeconds", "count", "", "See retryAttemptsForCreated."),
  value("nmi.enableScaleFeatures", "flag", true, "Watch only the node's own AzureAssignedIdentities."),
  value("nmi.blockInstanceMetadata", "flag", "", "Answer /metadata/instance with 403."),
  value("nmi.metadataHeaderRequired", "flag", true, "Refuse requests without the header Metadata: true."),
  value(
    "nmi.allowNetworkPluginKubenet",
    "flag",
    false,
    "Start on a kubenet node, where a pod can take another's address.",
  ),
  value(
    "nmi.kubeletConfig",
    "text",
    "/etc/default/kubelet",
    "kubelet's options on the node, searched for kubenet. Mounted only if this is not the default: kubelet has had no such option since 1.24.",
    PATH,
  ),
  value(
    "nmi.setRetryAfterHeader",
    "flag",
    false,
    "Answer 503 with Retry-After: 20 when an identity is not attached in time.",
  ),
  value(
    "nmi.enableConntrackDeletion",
    "flag",
    false,
    "Without effect: connections from before the rules are always forgotten.",
  ),
  own("nmi.maxWait", "duration", "", "How long a request waits for an identity; empty: 55s."),
  own(
    "nmi.bindingGrace",
    "duration",
    "",
    "How long after a pod's creation its binding may still be on its way; empty: 60s.",
  ),
  own("nmi.foreignIdentityStatus", "text", "", "Status for an identity that the pod is not bound to; empty: 403.", {
    schema: { enum: ["", "403", "404"] },
  }),
  own("nmi.tokenCache", "flag", true, "Keep tokens; false asks the source for every request."),
  own(
    "nmi.imdsRate",
    "count",
    "",
    "Token requests to the metadata service per second and node; empty: 10 of the 20 that it allows.",
  ),
  own(
    "nmi.imdsConcurrency",
    "count",
    "",
    "Token requests to the metadata service at a time; empty: 3 of the 5 that it allows.",
  ),
  own(
    "nmi.listenAddress",
    "text",
    "",
    "IPv4 address to listen on; empty: 127.0.0.1, which needs net.ipv4.conf.all.route_localnet. A link-local one, as 169.254.25.79, needs no sysctl.",
  ),
  own(
    "nmi.routeLocalnet",
    "flag",
    true,
    "Set that sysctl in an init container, the one privileged container of the chart. Not done for a listenAddress that is none of the loopback.",
  ),
  own("nmi.stateDir", "text", "/run/podid", "Folder on the node where two agents meet during an upgrade.", PATH),
  own(
    "nmi.interceptHostNetwork",
    "flag",
    false,
    "Redirect requests of pods with hostNetwork and of the node's processes as well.",
  ),
  own(
    "nmi.hostNetworkAllow",
    "strings",
    [],
    "Control groups that are left alone then, as system.slice and kubelet.slice.",
  ),
  own("nmi.blockWireserver", "flag", false, "Keep pods away from Azure's WireServer, 168.63.129.16."),
  own(
    "nmi.startupTaint",
    "text",
    "",
    "Taint of new nodes that NMI takes off when it is ready, as podid.dev/agent-not-ready. Empty: none.",
  ),
  own(
    "nmi.startupCanary",
    "flag",
    false,
    "Take it off only after a request of a pod has arrived: that of a canary, which the chart runs on every node.",
  ),
  own(
    "nmi.immutableUserMSIs",
    "strings",
    [],
    "Client ids or ARM ids of identities that pods are refused, besides those of mic.immutableUserMSIs.",
  ),
  own(
    "nmi.nodeCloudConfig",
    "text",
    "",
    "The node's azure.json, as /etc/kubernetes/azure.json, which has to be on every node: pods are refused the identity that it names. Empty: not mounted.",
    PATH_OR_NONE,
  ),
  own(
    "nmi.allowNodeIdentities",
    "strings",
    [],
    "Refused identities that pods of a namespace may have all the same, as NAMESPACE/ID; ID may be *.",
  ),
  own(
    "nmi.secretNamespaces",
    "strings",
    [],
    "Namespaces whose Secrets AzureIdentities of other namespaces may name, as all could in aad-pod-identity; * is all. Besides, NMI has to be allowed to read them: rbac.secrets.",
  ),
  own(
    "nmi.tokenRequests.credentials",
    "text",
    "kubelet",
    "Whose rights ask for tokens of pods, for identities of type 3: kubelet (this node's pods alone; its kubeconfig and certificates are mounted) or service-account (nmi.tokenRequests.namespaces). Empty: nobody's, and type 3 is not served.",
    { schema: { enum: ["", "kubelet", "service-account"] } },
  ),
  own(
    "nmi.tokenRequests.namespaces",
    "strings",
    [],
    "With service-account, the namespaces of these pods; of every pod in them, on whatever node.",
  ),
  own(
    "nmi.tokenRequests.audience",
    "text",
    "",
    "Audience of the tokens; empty: api://AzureADTokenExchange. Sovereign clouds have others.",
  ),
  own(
    "nmi.tokenRequests.kubeletKubeconfig",
    "text",
    "/var/lib/kubelet/kubeconfig",
    "kubelet's kubeconfig on the node; kubeadm's is /etc/kubernetes/kubelet.conf. A node without it serves the other types.",
    PATH,
  ),
  own(
    "nmi.tokenRequests.kubeletPki",
    "text",
    "/var/lib/kubelet/pki",
    "Folder of the certificates that it names.",
    PATH,
  ),
  {
    key: "nodeGuard",
    help: "A systemd unit on every node that closes the way to the metadata service before kubelet starts, for the time between a reboot and NMI. Uninstalling leaves the unit; see docs/install.md.",
  },
  own(
    "nodeGuard.enabled",
    "flag",
    false,
    "Install it: by an init container of NMI's that writes to the node's /etc/systemd/system and /etc/podid as root.",
  ),
];
