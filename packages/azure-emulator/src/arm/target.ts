/** What a path of ARM means. All ids keep the casing of the request. */
export interface ArmTarget {
  /** Namespace and types, lower-cased: `microsoft.compute/virtualmachines`. */
  readonly type: string;
  readonly names: readonly string[];
  /** `item` names one resource, `list` a collection, anything else is the action of a POST, lower-cased. */
  readonly shape: string;
  /** Id of the resource, or of the scope that a list covers. */
  readonly id: string;
  /** Id of what the provider's part of the path hangs on: a subscription, a resource group, a resource. */
  readonly scope: string;
  readonly subscriptionId: string | undefined;
  readonly resourceGroup: string | undefined;
}

/** undefined for a path without meaning. Repeated and trailing slashes do not count. */
export function parseTarget(method: string, path: string): ArmTarget | undefined {
  const segments = decode(path);
  if (segments === undefined) return undefined;
  const lower = segments.map((segment) => segment.toLowerCase());
  const subscriptionId = lower[0] === "subscriptions" ? segments[1] : undefined;
  const resourceGroup = lower[2] === "resourcegroups" ? segments[3] : undefined;
  const shared = { subscriptionId, resourceGroup };
  const provider = lower.lastIndexOf("providers");
  if (provider < 0) return builtIn(segments, lower, shared);
  const namespace = lower[provider + 1];
  const rest = segments.slice(provider + 2);
  if (namespace === undefined || rest.length === 0) return undefined;
  const odd = rest.length % 2 === 1;
  const scope = `/${segments.slice(0, provider).join("/")}`;
  const action = odd && method === "POST" ? (rest.pop() ?? "").toLowerCase() : undefined;
  const types = rest.filter((_, index) => index % 2 === 0).map((type) => type.toLowerCase());
  const names = rest.filter((_, index) => index % 2 === 1);
  const list = odd && action === undefined;
  const path_ = segments.slice(0, provider + 2 + rest.length - (list ? 1 : 0));
  return {
    ...shared,
    type: [namespace, ...types].join("/"),
    names,
    shape: action ?? (list ? "list" : "item"),
    // A list at the top of a provider covers its whole scope; one below a resource belongs to that resource.
    id: list && rest.length === 1 ? scope : `/${path_.join("/")}`,
    scope,
  };
}

/** Paths of Microsoft.Resources, which need no `/providers/`. */
function builtIn(
  segments: readonly string[],
  lower: readonly string[],
  shared: { subscriptionId: string | undefined; resourceGroup: string | undefined },
): ArmTarget | undefined {
  const target = (type: string, shape: string): ArmTarget => ({
    ...shared,
    type: `microsoft.resources/${type}`,
    names: segments.slice(-1),
    shape,
    id: shape === "list" ? `/${segments.slice(0, -1).join("/")}` : `/${segments.join("/")}`,
    scope: "/",
  });
  if (lower[0] === "tenants" && lower.length === 1) return target("tenants", "list");
  if (lower[0] !== "subscriptions") return undefined;
  if (lower.length === 1) return target("subscriptions", "list");
  if (lower.length === 2) return target("subscriptions", "item");
  if (lower[2] !== "resourcegroups") return undefined;
  if (lower.length === 3) return target("subscriptions/resourcegroups", "list");
  return lower.length === 4 ? target("subscriptions/resourcegroups", "item") : undefined;
}

function decode(path: string): string[] | undefined {
  try {
    return path
      .split("/")
      .filter((segment) => segment !== "")
      .map(decodeURIComponent);
  } catch {
    return undefined;
  }
}
