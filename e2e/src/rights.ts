/** An object of RBAC as YAML has it; other kinds may be among them and count for nothing. */
export interface RbacObject {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules?: readonly PolicyRule[];
  readonly roleRef?: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly { readonly kind: string; readonly name: string; readonly namespace?: string }[];
}

export interface PolicyRule {
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
  readonly verbs: readonly string[];
}

/** The smallest part of a rule that can be taken away: one verb on one resource, of one name where the rule has names. */
export interface Grant {
  /** The role, as `ClusterRole podid-mic`. */
  readonly role: string;
  /** Absent: all namespaces. */
  readonly namespace?: string;
  readonly verb: string;
  readonly apiGroup: string;
  /** With its subresource, as `pods/log`; the path itself for a rule about a path. */
  readonly resource: string;
  readonly resourceName?: string;
}

/** What of an audit event (audit.k8s.io/v1) matters here. */
export interface AuditEvent {
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string };
  readonly objectRef?: {
    readonly resource?: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
    readonly apiGroup?: string;
  };
  readonly responseStatus?: { readonly code?: number };
}

export interface RightsReport {
  /** Requests that the rules do not allow or that the server refused with 403, each once. */
  readonly denied: readonly string[];
  /** Grants that no request needed: none was made, or a narrower grant allows it as well. */
  readonly unused: readonly string[];
  /** Grants for all namespaces or all names whose requests were all about one. */
  readonly tooWide: readonly string[];
}

/** The user name of a ServiceAccount. */
export function serviceAccountUser(account: { readonly namespace: string; readonly name: string }): string {
  return `system:serviceaccount:${account.namespace}:${account.name}`;
}

/** All that a ServiceAccount may do by these objects. @throws when a binding names a role that is not among them */
export function grantsOf(
  objects: readonly RbacObject[],
  account: { readonly namespace: string; readonly name: string },
): Grant[] {
  return objects
    .filter(({ kind }) => kind === "RoleBinding" || kind === "ClusterRoleBinding")
    .filter(({ subjects = [] }) =>
      subjects.some(
        ({ kind, name, namespace }) =>
          kind === "ServiceAccount" && name === account.name && namespace === account.namespace,
      ),
    )
    .flatMap(({ kind, metadata, roleRef }) => {
      const namespace = kind === "RoleBinding" ? metadata.namespace : undefined;
      const role = objects.find(
        (object) =>
          object.kind === roleRef?.kind &&
          object.metadata.name === roleRef.name &&
          (object.kind === "ClusterRole" || object.metadata.namespace === namespace),
      );
      if (role === undefined)
        throw new Error(`${kind} ${metadata.name} binds ${roleRef?.kind} ${roleRef?.name}, which is not there; add it`);
      return (role.rules ?? []).flatMap((rule) =>
        grantsOfRule(rule, {
          role: `${role.kind} ${role.metadata.name}`,
          ...(namespace !== undefined && { namespace }),
        }),
      );
    });
}

function grantsOfRule(rule: PolicyRule, of: Pick<Grant, "role" | "namespace">): Grant[] {
  const { apiGroups = [], resources = [], resourceNames, nonResourceURLs = [], verbs } = rule;
  const paths = verbs.flatMap((verb) =>
    nonResourceURLs.map((resource): Grant => ({ ...of, verb, apiGroup: "", resource })),
  );
  const names =
    resourceNames === undefined || resourceNames.length === 0
      ? [{}]
      : resourceNames.map((resourceName) => ({ resourceName }));
  return [
    ...paths,
    ...verbs.flatMap((verb) =>
      apiGroups.flatMap((apiGroup) =>
        resources.flatMap((resource) => names.map((name): Grant => ({ ...of, verb, apiGroup, resource, ...name }))),
      ),
    ),
  ];
}

/**
 * Compares what one ServiceAccount may do with what it asked for. Every request counts for the narrowest grant that allows it, so
 * that a wide grant beside a narrow one is found unused, and of two equal ones the second.
 */
export function compareRights(grants: readonly Grant[], events: readonly AuditEvent[]): RightsReport {
  const requests = new Map<string, Request & { refused: boolean }>();
  for (const event of events) {
    if (isDiscovery(event) && event.responseStatus?.code !== 403) continue;
    const request = requestOf(event);
    const key = describeRequest(request);
    const known = requests.get(key);
    requests.set(key, { ...request, refused: known?.refused === true || event.responseStatus?.code === 403 });
  }
  const denied: string[] = [];
  const uses = new Map<Grant, Request[]>();
  for (const [key, request] of requests) {
    const grant = narrowest(grants.filter((candidate) => allows(candidate, request)));
    if (grant !== undefined) uses.set(grant, [...(uses.get(grant) ?? []), request]);
    if (grant === undefined || request.refused) denied.push(key);
  }
  return {
    denied: denied.sort(),
    unused: grants.filter((grant) => !uses.has(grant)).map(describeGrant),
    tooWide: [...uses].flatMap(([grant, used]) => {
      const only = narrower(grant, used);
      return only === undefined ? [] : [`${describeGrant(grant)}, but only asked for ${only}`];
    }),
  };
}

/** What Kubernetes' own ClusterRole `system:discovery` gives to everybody: which kinds there are, and their schemas. */
function isDiscovery({ verb, requestURI, objectRef }: AuditEvent): boolean {
  return verb === "get" && objectRef?.resource === undefined && /^\/(?:apis?|openapi)(?:[/?]|$)/.test(requestURI);
}

/** What a grant could be limited to and still allow all these requests. */
function narrower(grant: Grant, used: readonly Request[]): string | undefined {
  const namespaces = new Set(used.map(({ namespace }) => namespace));
  if (grant.namespace === undefined && namespaces.size === 1 && !namespaces.has(undefined))
    return `in ${[...namespaces].join()}`;
  const names = new Set(used.map((request) => (hasName(request) ? request.name : undefined)));
  if (grant.resourceName === undefined && names.size === 1 && !names.has(undefined)) return [...names].join();
  return undefined;
}

/** Whether RBAC knows the name: what is being created has none yet, unless it is made of something that has, as a token is. */
function hasName({ verb, resource, name }: Request): boolean {
  return name !== undefined && (verb !== "create" || resource.includes("/"));
}

interface Request {
  readonly verb: string;
  readonly apiGroup: string;
  readonly resource: string;
  /** Absent: all namespaces, or an object that has none. */
  readonly namespace: string | undefined;
  readonly name: string | undefined;
}

function requestOf({ verb, requestURI, objectRef }: AuditEvent): Request {
  const { resource, subresource, namespace, name, apiGroup = "" } = objectRef ?? {};
  if (resource === undefined)
    return { verb, apiGroup: "", resource: requestURI.replace(/\?.*$/s, ""), namespace: undefined, name: undefined };
  return {
    verb,
    apiGroup,
    resource: subresource === undefined ? resource : `${resource}/${subresource}`,
    namespace,
    name,
  };
}

function allows(grant: Grant, request: Request): boolean {
  const is = (granted: string, asked: string): boolean => granted === "*" || granted === asked;
  return (
    is(grant.verb, request.verb) &&
    is(grant.apiGroup, request.apiGroup) &&
    is(grant.resource, request.resource) &&
    (grant.namespace === undefined || grant.namespace === request.namespace) &&
    (grant.resourceName === undefined || (hasName(request) && grant.resourceName === request.name))
  );
}

function narrowest(grants: readonly Grant[]): Grant | undefined {
  const width = (grant: Grant): number =>
    [grant.verb, grant.apiGroup, grant.resource].filter((part) => part === "*").length * 4 +
    (grant.namespace === undefined ? 2 : 0) +
    (grant.resourceName === undefined ? 1 : 0);
  return grants.reduce<Grant | undefined>(
    (best, grant) => (best === undefined || width(grant) < width(best) ? grant : best),
    undefined,
  );
}

/** As `create leases.coordination.k8s.io in kube-system (Role podid-mic-leader)`. */
export function describeGrant({ role, namespace, verb, apiGroup, resource, resourceName }: Grant): string {
  return `${verb} ${inGroup(resource, apiGroup)}${resourceName === undefined ? "" : ` ${resourceName}`}${namespace === undefined ? "" : ` in ${namespace}`} (${role})`;
}

function describeRequest(request: Request): string {
  const { verb, apiGroup, resource, namespace, name } = request;
  return `${verb} ${inGroup(resource, apiGroup)}${hasName(request) ? ` ${name}` : ""}${namespace === undefined ? "" : ` in ${namespace}`}`;
}

function inGroup(resource: string, apiGroup: string): string {
  return apiGroup === "" ? resource : `${resource}.${apiGroup}`;
}
