import { isObject, objectAt, stringAt, stringMembers } from "./json.ts";
import type { JsonObject } from "./json.ts";
import type { PodRecord } from "./records.ts";

export interface PodProjectionOptions {
  /** Labels to keep; all when absent. Matching needs `aadpodidbinding` alone, exceptions whatever they name. */
  readonly labels?: readonly string[];
  /** Whether to keep the pod's addresses; `true` when absent. Matching does not need them. */
  readonly podIPs?: boolean;
}

/** A Pod from the API, reduced to what matching needs; `undefined` when it has no UID, namespace or name. */
export function podRecord(object: unknown): PodRecord | undefined {
  return project(object, {}, (text) => text);
}

/**
 * Like {@link podRecord}, for many pods: what they have in common (namespaces, nodes, ServiceAccounts, label values) is held once.
 * Every projector has a memory of its own, which is bounded.
 */
export function createPodProjector(options: PodProjectionOptions = {}): (object: unknown) => PodRecord | undefined {
  const intern = createInterner();
  return (object) => project(object, options, intern);
}

const NO_ADDRESSES: readonly string[] = Object.freeze([]);

function project(
  object: unknown,
  { labels: kept, podIPs = true }: PodProjectionOptions,
  intern: (text: string) => string,
): PodRecord | undefined {
  const metadata = objectAt(object, "metadata");
  const uid = stringAt(metadata, "uid");
  const namespace = stringAt(metadata, "namespace");
  const name = stringAt(metadata, "name");
  if (!uid || !namespace || !name) return undefined;
  const spec = objectAt(object, "spec");
  const status = objectAt(object, "status");
  const nodeName = stringAt(spec, "nodeName");
  const phase = stringAt(status, "phase");
  const created = Date.parse(stringAt(metadata, "creationTimestamp") ?? "");
  return {
    uid,
    namespace: intern(namespace),
    name,
    nodeName: nodeName ? intern(nodeName) : undefined,
    labels: labelsOf(objectAt(metadata, "labels"), kept, intern),
    phase: phase === undefined ? undefined : intern(phase),
    hostNetwork: spec?.["hostNetwork"] === true,
    deleting: stringAt(metadata, "deletionTimestamp") !== undefined,
    createdAt: Number.isNaN(created) ? 0 : created,
    serviceAccountName: intern(stringAt(spec, "serviceAccountName") ?? ""),
    podIPs: podIPs ? addressesOf(status) : NO_ADDRESSES,
  };
}

function labelsOf(
  labels: JsonObject | undefined,
  kept: readonly string[] | undefined,
  intern: (text: string) => string,
): Readonly<Record<string, string>> {
  const result: Record<string, string> = {};
  for (const key of kept ?? Object.keys(labels ?? {})) {
    const value = stringAt(labels, key);
    if (value !== undefined) result[key] = intern(value);
  }
  return Object.keys(result).length === 0 ? stringMembers(undefined) : result;
}

function addressesOf(status: JsonObject | undefined): readonly string[] {
  const list = status?.["podIPs"];
  const addresses = (Array.isArray(list) ? (list as readonly unknown[]) : [])
    .map((entry) => (isObject(entry) ? stringAt(entry, "ip") : undefined))
    .filter((ip): ip is string => ip !== undefined && ip !== "");
  if (addresses.length > 0) return addresses;
  const single = stringAt(status, "podIP");
  return single ? [single] : NO_ADDRESSES;
}

const MOST_INTERNED = 20_000;

/** Gives equal texts back as one. Label values of Deployments never end, so it forgets everything when it is full: that costs sharing, not correctness. */
function createInterner(): (text: string) => string {
  const known = new Map<string, string>();
  return (text) => {
    const same = known.get(text);
    if (same !== undefined) return same;
    if (known.size >= MOST_INTERNED) known.clear();
    known.set(text, text);
    return text;
  };
}
