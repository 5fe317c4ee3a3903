import {
  booleanFlag,
  choiceFlag,
  durationFlag,
  integerFlag,
  listFlag,
  LOGGING_FLAGS,
  portFlag,
  stringFlag,
  TRACING_FLAGS,
} from "@podid/service";
import { SOURCE_FLAGS } from "./sources/source-flags.ts";

/** Every flag of aad-pod-identity's NMI with its default, then podid's own. */
export const FLAGS = {
  version: booleanFlag({ default: false, help: "Print the version and exit." }),
  help: booleanFlag({ default: false, help: "Print this text and exit." }),
  kubeconfig: stringFlag({
    default: "",
    env: "KUBECONFIG",
    help: "Kubeconfig file; inside a pod its ServiceAccount is used without one.",
  }),
  node: stringFlag({ default: "", env: "NODE_NAME", help: "Name of the node whose pods are served. Required." }),
  "nmi-listen-address": stringFlag({
    default: "127.0.0.1",
    help: "IPv4 address to listen on; 0.0.0.0 listens on all, and the rules lead to 127.0.0.1.",
  }),
  "nmi-port": portFlag({ default: 2579, help: "Port to listen on." }),
  "metadata-ip": stringFlag({ default: "169.254.169.254", help: "Address of the instance metadata service." }),
  "metadata-port": portFlag({ default: 80, help: "Port of the instance metadata service." }),
  "ipt-update-interval-sec": integerFlag({
    default: 60,
    min: 0,
    help: "Seconds between checks of the iptables rules; 0 puts them in once and checks no more.",
  }),
  forceNamespaced: booleanFlag({
    default: false,
    env: "FORCENAMESPACED",
    help: "Every AzureIdentity serves pods of its own namespace only.",
  }),
  MICNamespace: stringFlag({ default: "default", help: "Namespace of MIC and of the lifecycle ConfigMap." }),
  "http-probe-port": portFlag({ default: 8080, help: "Port of /healthz, /livez and /readyz." }),
  "retry-attempts-for-created": integerFlag({
    default: 16,
    min: 0,
    help: "With one of the three retry flags given, requests wait as upstream's did: (created + assigned) attempts of that interval, then 404.",
  }),
  "retry-attempts-for-assigned": integerFlag({ default: 4, min: 0, help: "See --retry-attempts-for-created." }),
  "find-identity-retry-interval": integerFlag({
    default: 5,
    min: 0,
    help: "Seconds; see --retry-attempts-for-created.",
  }),
  enableProfile: booleanFlag({
    default: false,
    help: "Serve CPU and allocation profiles, in V8's formats, on 127.0.0.1:6060.",
  }),
  enableScaleFeatures: booleanFlag({
    default: true,
    help: "Watch only this node's AzureAssignedIdentities, by their label nodename.",
  }),
  "block-instance-metadata": booleanFlag({ default: false, help: "Answer /metadata/instance with 403." }),
  "metadata-header-required": booleanFlag({
    default: true,
    help: "Refuse requests without the header Metadata: true.",
  }),
  "prometheus-port": portFlag({ default: 9090, help: "Port of /metrics." }),
  "operation-mode": {
    ...choiceFlag({
      default: "standard",
      choices: ["standard", "managed"],
      help: "standard: MIC attaches identities; managed: somebody else has.",
    }),
    parse: (text: string) => {
      const mode = text.toLowerCase();
      if (mode === "standard" || mode === "managed") return { value: mode } as const;
      return { expected: `standard or managed: operation mode ${text} not supported` };
    },
  },
  "allow-network-plugin-kubenet": booleanFlag({
    default: false,
    help: "Start on a kubenet node, where a pod can take another's address.",
  }),
  "kubelet-config": stringFlag({
    default: "/etc/default/kubelet",
    help: "kubelet's command line options, searched for kubenet; may be absent.",
  }),
  "set-retry-after-header": booleanFlag({
    default: false,
    help: "Answer 503 with Retry-After: 20, as upstream did, when an identity is not attached in time.",
  }),
  "enable-conntrack-deletion": booleanFlag({
    default: true,
    help: "Forget connections to the metadata service from before the rules.",
    ignored: "podid always does.",
  }),
  "custom-user-agent": stringFlag({ default: "", help: "Appended to the User-Agent of requests to the API server." }),

  "max-wait": durationFlag({
    default: 55_000,
    min: 0,
    max: 3_600_000,
    help: "How long a request waits for an identity; most SDKs give up at 60s.",
  }),
  "binding-grace": durationFlag({
    default: 60_000,
    min: 0,
    max: 3_600_000,
    help: "How long after a pod's creation its binding may still be on its way.",
  }),
  "foreign-identity-status": choiceFlag({
    default: "403",
    choices: ["403", "404"],
    help: "Status for an identity that the pod is not bound to.",
  }),
  "token-cache": booleanFlag({ default: true, help: "Keep tokens; false asks the source for every request." }),
  "imds-rate": integerFlag({
    default: 10,
    min: 1,
    max: 20,
    help: "Token requests to IMDS per second; IMDS allows 20 for the whole machine.",
  }),
  "imds-concurrency": integerFlag({
    default: 3,
    min: 1,
    max: 5,
    help: "Token requests to IMDS at a time; IMDS allows 5 for the whole machine.",
  }),
  "mic-service-account": stringFlag({
    default: "",
    help: "ServiceAccount of MIC in --MICNamespace; its pods talk to IMDS as the node does.",
  }),
  "host-token": choiceFlag({
    default: "on",
    choices: ["on", "off", "unix"],
    help: "Who may ask /host/token for a pod's token. on: processes of the host, over its loopback address; unix: whoever may open the socket of --host-token-socket.",
  }),
  "host-token-socket": stringFlag({
    default: "/run/podid/host-token.sock",
    help: "Unix socket for --host-token=unix; only NMI's own user may open it.",
  }),
  "allow-scheduled-events-approval": booleanFlag({
    default: false,
    help: "Let pods POST to /metadata/scheduledevents, by which they approve maintenance of their node.",
  }),
  "audit-log": stringFlag({
    default: "stdout",
    help: "Where the audit goes, JSON lines about who got or was refused which token: stdout, a file's path, or off.",
  }),
  "drain-timeout": durationFlag({
    default: 2_000,
    min: 0,
    max: 75_000,
    help: "How long running requests may take after SIGTERM before they are told to try again.",
  }),
  "state-dir": stringFlag({
    default: "",
    help: "Directory of root's own on the node, as /run/podid, where a node agent and its successor meet on an upgrade; empty: they do not.",
  }),
  "hand-over-port": portFlag({
    default: 2580,
    help: "Port to listen on while another process holds --nmi-port; if that is taken as well, any.",
  }),
  "probe-socket": stringFlag({
    default: "",
    env: "NMI_PROBE_SOCKET",
    help: "Unix socket in the pod's own volume that nmi probe asks; empty: none.",
  }),
  "cni-cache-dir": stringFlag({
    default: "/var/lib/cni/results",
    help: "Where the container runtime writes down which pod got which address; read if it exists, empty: not.",
  }),
  "cni-config-dir": stringFlag({
    default: "/etc/cni/net.d",
    help: "The node's network configuration, searched for kubenet; may be absent.",
  }),
  "block-wireserver": booleanFlag({
    default: false,
    help: "Refuse pods Azure's WireServer, 168.63.129.16 on ports 80 and 32526.",
  }),
  "intercept-host-network": booleanFlag({
    default: false,
    help: "Refuse the metadata service to processes in the node's own network, but for --host-network-allow; needs control groups v2.",
  }),
  "host-network-allow": listFlag({
    default: [],
    help: "Control groups v2 whose processes still reach the metadata service, as system.slice/kubelet.service; NMI's own is added.",
  }),
  "startup-taint": stringFlag({
    default: "",
    help: "Key of a taint to take off this node once NMI is ready; new nodes have it so that no workload comes first.",
  }),
  "startup-canary": booleanFlag({
    default: false,
    help: "Take the taint off only after a request of some pod of this node has arrived here.",
  }),
  ...TRACING_FLAGS,
  ...SOURCE_FLAGS,
  ...LOGGING_FLAGS,
} as const;
