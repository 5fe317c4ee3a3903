/** One kind of object and where the API server keeps it. */
export interface Resource {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

function resource(apiVersion: string, plural: string, kind: string, namespaced = true): Resource {
  const [group, version] = apiVersion.includes("/") ? apiVersion.split("/", 2) : ["", apiVersion];
  return Object.freeze({ group: group!, version: version!, plural, kind, namespaced });
}

/** The resources podid uses. */
export const RESOURCES = {
  pods: resource("v1", "pods", "Pod"),
  nodes: resource("v1", "nodes", "Node", false),
  configMaps: resource("v1", "configmaps", "ConfigMap"),
  secrets: resource("v1", "secrets", "Secret"),
  serviceAccounts: resource("v1", "serviceaccounts", "ServiceAccount"),
  events: resource("v1", "events", "Event"),
  endpoints: resource("v1", "endpoints", "Endpoints"),
  namespaces: resource("v1", "namespaces", "Namespace", false),
  leases: resource("coordination.k8s.io/v1", "leases", "Lease"),
  daemonSets: resource("apps/v1", "daemonsets", "DaemonSet"),
  azureIdentities: resource("aadpodidentity.k8s.io/v1", "azureidentities", "AzureIdentity"),
  azureIdentityBindings: resource("aadpodidentity.k8s.io/v1", "azureidentitybindings", "AzureIdentityBinding"),
  azureAssignedIdentities: resource("aadpodidentity.k8s.io/v1", "azureassignedidentities", "AzureAssignedIdentity"),
  azurePodIdentityExceptions: resource(
    "aadpodidentity.k8s.io/v1",
    "azurepodidentityexceptions",
    "AzurePodIdentityException",
  ),
  customResourceDefinitions: resource(
    "apiextensions.k8s.io/v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    false,
  ),
} as const satisfies Record<string, Resource>;

/** `v1`, `apps/v1`, … */
export function apiVersionOf(resource: Resource): string {
  return resource.group === "" ? resource.version : `${resource.group}/${resource.version}`;
}

/** The escaped path of a collection, an object or a subresource. Without namespace: all namespaces. */
export function resourcePath(
  resource: Resource,
  at: { namespace?: string | undefined; name?: string; subresource?: string } = {},
): string {
  const root = resource.group === "" ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  if (resource.namespaced && at.name !== undefined && !at.namespace)
    throw new TypeError(
      `${resource.plural}: namespace is ${JSON.stringify(at.namespace)}; pass the namespace of ${JSON.stringify(at.name)}`,
    );
  if (at.name === "") throw new TypeError(`${resource.plural}: name is empty; pass the object's name`);
  const segments = [
    ...(resource.namespaced && at.namespace ? ["namespaces", at.namespace] : []),
    resource.plural,
    ...(at.name === undefined ? [] : [at.name]),
    ...(at.subresource === undefined ? [] : [at.subresource]),
  ];
  return `${root}/${segments.map((segment) => encodeURIComponent(segment)).join("/")}`;
}
