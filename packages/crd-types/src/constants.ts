/** API group of the four custom resources (aad-pod-identity v1.8.17, `pkg/apis/aadpodidentity/v1`). */
export const GROUP = "aadpodidentity.k8s.io";
/** The only served and stored version. */
export const VERSION = "v1";
/** `apiVersion` of every object of the group. */
export const API_VERSION = "aadpodidentity.k8s.io/v1";

/** The pod label whose value bindings select. */
export const BINDING_LABEL = "aadpodidbinding";
/** On an AzureIdentity: with the value {@link BEHAVIOR_NAMESPACED} it serves pods of its own namespace only. Case-sensitive. */
export const BEHAVIOR_ANNOTATION = "aadpodidentity.k8s.io/Behavior";
export const BEHAVIOR_NAMESPACED = "namespaced";
/** Label on an AzureAssignedIdentity that lets a node watch its own. */
export const NODE_LABEL = "nodename";
/** Finalizer on an AzureAssignedIdentity: MIC removes it once the identity is released. */
export const ASSIGNED_IDENTITY_FINALIZER = "azureassignedidentity.finalizers.aadpodidentity.k8s.io";
/** On an AzureAssignedIdentity: UID of the pod it was made for. Absent on objects that upstream made. */
export const POD_UID_ANNOTATION = "podid.dev/pod-uid";
/** On an AzureIdentity: MIC never detaches it. */
export const KEEP_ANNOTATION = "podid.dev/keep";
/** On an AzureAssignedIdentity: digest of the identity's spec that its copy was made from, because a schema may have dropped fields of the copy. */
export const SPEC_DIGEST_ANNOTATION = "podid.dev/identity-spec";
/** On an AzureIdentityBinding: node pools that hold its identity before any pod needs it, separated by commas; `*` is every node. */
export const PRE_ASSIGN_ANNOTATION = "podid.dev/pre-assign";
/** Labels of AKS that name a node's pool; the first that a node carries counts. */
export const NODE_POOL_LABELS = ["kubernetes.azure.com/agentpool", "agentpool"] as const;
/** Readiness gate and condition of pods: whether every identity that the pod is given is assigned. */
export const READINESS_GATE = "podid.dev/identity-assigned";
/** Component name of the events that MIC records. */
export const EVENT_COMPONENT = "aadpodidentity.k8s.io";
/** Audience of tokens that Entra accepts as federated assertions. */
export const TOKEN_EXCHANGE_AUDIENCE = "api://AzureADTokenExchange";

/** Status of an AzureAssignedIdentity. The empty string is what MIC before 1.5 left. */
export const ASSIGNED_IDENTITY_STATUSES = ["", "Created", "Assigned", "Unassigned"] as const;

/** `spec.type` of an AzureIdentity. 3 is podid's own. */
export const IDENTITY_TYPE = {
  /** User-assigned managed identity, asked from IMDS. */
  userAssigned: 0,
  /** Service principal with a client secret. */
  clientSecret: 1,
  /** Service principal with a certificate. */
  certificate: 2,
  /** Service principal or managed identity with a federated credential for the pod's ServiceAccount. */
  federated: 3,
} as const;
