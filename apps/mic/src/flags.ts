import { DEFAULT_BUDGET } from "@podid/azure-assigner";
import {
  booleanFlag,
  choiceFlag,
  durationFlag,
  integerFlag,
  listFlag,
  LOGGING_FLAGS,
  numberFlag,
  portFlag,
  stringFlag,
  TRACING_FLAGS,
} from "@podid/service";

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** Every flag of MIC: upstream's spellings and defaults, and podid's own below. */
export const MIC_FLAGS = {
  kubeconfig: stringFlag({ default: "", help: "Path of a kubeconfig; empty: the pod's ServiceAccount." }),
  cloudconfig: stringFlag({
    default: "",
    help: "Path of azure.json, which is read again whenever it changes; empty: the environment variables CLOUD, TENANT_ID, CLIENT_ID and so on.",
  }),
  forceNamespaced: booleanFlag({
    default: false,
    env: "FORCENAMESPACED",
    help: "Identities and bindings serve pods of their own namespace only.",
  }),
  version: booleanFlag({ default: false, help: "Print the version and exit." }),
  help: booleanFlag({ default: false, help: "Print this text and exit." }),
  syncRetryDuration: durationFlag({
    default: 3600 * SECOND,
    min: SECOND,
    help: "How often everything is looked through again although nothing changed.",
  }),
  "leader-election-instance": stringFlag({
    default: "",
    help: "Name of this instance in the leader election; empty: the host name, which is the pod's.",
  }),
  "leader-election-namespace": stringFlag({
    default: "",
    help: "Namespace of the Lease; empty: MIC's own (upstream: default).",
  }),
  "leader-election-name": stringFlag({ default: "aad-pod-identity-mic", help: "Name of the Lease." }),
  "leader-election-duration": durationFlag({
    default: 15 * SECOND,
    min: SECOND,
    help: "How long a leader that died keeps the others waiting.",
  }),
  "http-probe-port": portFlag({ default: 8080, help: "Port of /healthz, /livez and /readyz." }),
  "prometheus-port": portFlag({ default: 8888, help: "Port of /metrics." }),
  enableProfile: booleanFlag({
    default: false,
    help: "Serve profiles of this process on 127.0.0.1:6060/debug/pprof/.",
  }),
  enableScaleFeatures: booleanFlag({
    default: false,
    help: "Features for large clusters.",
    ignored: "They are always on.",
  }),
  createDeleteBatch: integerFlag({
    default: 20,
    min: 1,
    help: "Writes to the API server in flight per VM or scale set.",
  }),
  clientQps: numberFlag({
    default: 0,
    min: 0,
    max: 100_000,
    help: "Most requests per second to the API server, with a burst of as many; 0: as many as the API server takes, whose 429 and Retry-After are obeyed (upstream: 5).",
  }),
  "immutable-user-msis": listFlag({
    default: [],
    help: "Client ids or ARM ids of identities that are never detached, and that NMI refuses to pods.",
  }),
  "config-map-name": stringFlag({
    default: "aad-pod-identity-config",
    help: "ConfigMap in MIC's namespace that records that objects from before 1.6 were rewritten.",
  }),
  "type-upgrade-status-key": stringFlag({
    default: "type-upgrade-status",
    help: "Key in that ConfigMap; its value is the version that did it.",
  }),
  "enable-type-upgrade": booleanFlag({
    default: true,
    help: "Rewrite objects from before 1.6 in the present spelling of their fields, once per cluster.",
  }),
  "update-user-msi-max-retry": integerFlag({
    default: 2,
    min: 0,
    help: "Retries of an ARM update within one attempt, after conflicts; five unless given.",
  }),
  "update-user-msi-retry-interval": durationFlag({
    default: SECOND,
    help: "Pause before the first of them; it doubles. Half a second unless given.",
  }),
  "identity-assignment-reconcile-interval": durationFlag({
    default: 3 * MINUTE,
    min: SECOND,
    help: "How often each VM and scale set is compared with what ARM says.",
  }),
  "custom-user-agent": stringFlag({ default: "", help: "Appended to the user agent of all requests." }),
  ...LOGGING_FLAGS,
  ...TRACING_FLAGS,
  "probe-host": stringFlag({ default: "", help: "Address that probes and metrics listen on; empty: all." }),
  "dry-run": booleanFlag({ default: false, help: "Log what would be attached and detached, and write nothing." }),
  "detach-delay": durationFlag({
    default: 0,
    max: 24 * 60 * MINUTE,
    help: "How long an identity that no pod needs any more stays attached, for instance between the runs of a CronJob. Begins anew when another MIC leads; does not hold what no AzureIdentity names any more.",
  }),
  "adopt-upstream": choiceFlag({
    default: "all",
    choices: ["all", "assigned", "none"],
    help: "Which AzureAssignedIdentities of aad-pod-identity tell what it attached, and so may be detached: all but those in Created, only Assigned ones, or none.",
  }),
  "compute-api-version": stringFlag({
    default: "",
    help: "Version of Azure's compute API; empty: the client library's. Sovereign clouds lag behind.",
  }),
  "arm-read-rate": numberFlag({
    default: DEFAULT_BUDGET.subscriptionReads.perSecond,
    min: 0.01,
    max: 10_000,
    help: "Requests to ARM that only read, polls of operations included, per second and subscription.",
  }),
  "arm-read-burst": integerFlag({
    default: DEFAULT_BUDGET.subscriptionReads.burst,
    min: 1,
    max: 100_000,
    help: "Most of them at once after a quiet time.",
  }),
  "arm-write-rate": numberFlag({
    default: DEFAULT_BUDGET.subscriptionWrites.perSecond,
    min: 0.01,
    max: 10_000,
    help: "Updates of VMs and scale sets per second and subscription.",
  }),
  "arm-write-burst": integerFlag({
    default: DEFAULT_BUDGET.subscriptionWrites.burst,
    min: 1,
    max: 100_000,
    help: "Most of them at once after a quiet time.",
  }),
  "arm-machine-writes-per-minute": numberFlag({
    default: DEFAULT_BUDGET.groupWrites.perSecond * 60,
    min: 0.01,
    max: 10_000,
    help: "Updates of one VM or scale set per minute.",
  }),
  "arm-machine-write-burst": integerFlag({
    default: DEFAULT_BUDGET.groupWrites.burst,
    min: 1,
    max: 10_000,
    help: "Most of them at once after a quiet time.",
  }),
  "start-jitter": durationFlag({
    default: 500,
    max: MINUTE,
    help: "Waits a random part of this before it lists anything, so that replicas and clusters that start together do not ask together.",
  }),
} as const;

/**
 * Environment variables that are no flags: upstream's, and those of a federated credential. For docs/flags.md.
 * @public
 */
export const MIC_ENVIRONMENT: Readonly<Record<string, string>> = {
  MIC_POD_NAMESPACE: "Namespace of MIC's pod, from metadata.namespace. Required.",
  CLOUD:
    "Without --cloudconfig: AzurePublicCloud (default), AzureUSGovernmentCloud, AzureChinaCloud or AzureStackCloud.",
  AZURE_ENVIRONMENT_FILEPATH: "JSON file with the endpoints of AzureStackCloud.",
  TENANT_ID: "Without --cloudconfig: tenant of MIC's own identity.",
  CLIENT_ID: "Without --cloudconfig: its client id.",
  CLIENT_SECRET: "Without --cloudconfig: its secret.",
  CLIENT_CERTIFICATE_PATH:
    "Without --cloudconfig: PEM file with its certificate and key, instead of a secret; read again when it changes.",
  CLIENT_CERTIFICATE_PASSWORD: "Password of the key in that file, if it is encrypted.",
  USE_MSI:
    "Without --cloudconfig: True for a managed identity, the system-assigned one unless USER_ASSIGNED_MSI_CLIENT_ID is set.",
  USER_ASSIGNED_MSI_CLIENT_ID:
    "Without --cloudconfig: client id of a user-assigned identity, which is then never detached.",
  SUBSCRIPTION_ID: "Accepted; the subscription comes from each node's providerID.",
  RESOURCE_GROUP: "Accepted; the resource group comes from each node's providerID.",
  VM_TYPE: "Accepted; the kind of machine comes from each node's providerID.",
  AZURE_FEDERATED_TOKEN_FILE:
    "Projected token of a federated ServiceAccount, used where there is neither secret nor certificate nor managed identity.",
  AZURE_CLIENT_ID: "Client id for it where neither azure.json nor CLIENT_ID has one.",
  AZURE_TENANT_ID: "Tenant for it where neither azure.json nor TENANT_ID has one.",
  AZURE_AUTHORITY_HOST: "Entra's address for it, where it is not the cloud's own.",
};
