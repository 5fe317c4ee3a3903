import { TOKEN_EXCHANGE_AUDIENCE } from "@podid/crd-types";
import { booleanFlag, choiceFlag, listFlag, stringFlag } from "@podid/service";

/** Flags about where tokens come from. */
export const SOURCE_FLAGS = {
  cloud: stringFlag({
    default: "",
    env: "CLOUD",
    help: "AzurePublicCloud (also when empty), AzureUSGovernmentCloud, AzureChinaCloud, or AzureStackCloud, whose endpoints are in the file that AZURE_ENVIRONMENT_FILEPATH names.",
  }),
  "allowed-authorities": listFlag({
    default: [],
    help: "Further https addresses that spec.adEndpoint may name; Microsoft's own and the cloud's always may.",
  }),
  "entra-endpoint": choiceFlag({
    default: "v2",
    choices: ["v2", "v1"],
    help: "Version of Entra's token endpoint; v1 asks as aad-pod-identity did, which AD FS needs.",
  }),
  "auxiliary-tenant-tokens": choiceFlag({
    default: "off",
    choices: ["off", "array"],
    help: "array: identities with auxiliaryTenantIDs get a JSON array of tokens, as from aad-pod-identity; no SDK can read it.",
  }),
  "secret-namespaces": listFlag({
    default: [],
    help: "Namespaces whose Secrets identities of other namespaces may name; * is all.",
  }),
  "token-request-credentials": choiceFlag({
    default: "kubelet",
    choices: ["kubelet", "service-account"],
    help: "Whose rights ask for tokens of pods (identities of type 3): kubelet's reach no further than this node's pods; NMI's own need Roles in the namespaces of these pods.",
  }),
  "kubelet-kubeconfig": stringFlag({
    default: "/var/lib/kubelet/kubeconfig",
    help: "kubelet's kubeconfig; the files that it names have to be there under the same paths.",
  }),
  "token-exchange-audience": stringFlag({
    default: TOKEN_EXCHANGE_AUDIENCE,
    help: "Audience of tokens that Entra exchanges; sovereign clouds have others.",
  }),
  "allow-cluster-wide-token-requests": booleanFlag({
    default: false,
    help: "Start although NMI's ServiceAccount may create tokens of every ServiceAccount of the cluster.",
  }),
  "immutable-user-msis": listFlag({
    default: [],
    help: "Client ids or resource ids of identities that others on the node use; pods are refused them.",
  }),
  "node-cloudconfig": stringFlag({
    default: "/etc/kubernetes/azure.json",
    help: "The cloud provider's file that says which identity the node's components use; pods are refused it. May be absent.",
  }),
  "allow-node-identities": listFlag({
    default: [],
    help: "NAMESPACE/ID of identities that pods of that namespace may have although they are the node's or immutable; ID may be *.",
  }),
} as const;
