import { READINESS_GATE } from "@podid/crd-types";
import { isObject, objectAt, stringAt, stringMembers } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { createPool } from "./pool.ts";
import type { IdentityGate, PodRecord } from "./records.ts";

export interface PodProjectionOptions {
  /** Labels to keep; all when absent. Matching needs `aadpodidbinding` alone, exceptions whatever they name. */
  readonly labels?: readonly string[];
  /** Whether to keep the pod's addresses; `true` when absent. Matching does not need them. */
  readonly podIPs?: boolean;
  /** Whether to keep when the pod was scheduled; `false` when absent. */
  readonly scheduledAt?: boolean;
}

type Labels = Readonly<Record<string, string>>;

/** How a pod's parts are read; projectors differ in what they keep and share. */
interface Readers {
  readonly text: (text: string) => string;
  readonly labels: (labels: JsonObject | undefined) => Labels;
  readonly podIPs: (status: JsonObject | undefined) => readonly string[];
  readonly scheduledAt: boolean;
}

/** A Pod from the API, reduced to what matching needs; `undefined` when it has no UID, namespace or name. */
export function podRecord(object: unknown): PodRecord | undefined {
  return project(object, { text: (text) => text, labels: stringMembers, podIPs: addressesOf, scheduledAt: true });
}

/**
 * Like {@link podRecord}, for many pods: what they have in common (namespaces, nodes, ServiceAccounts, label values, and where
 * only certain labels are kept those as a whole) is held once. Every projector has a memory of its own, which is bounded.
 */
export function createPodProjector({ labels: kept, podIPs = true, scheduledAt = false }: PodProjectionOptions = {}): (
  object: unknown,
) => PodRecord | undefined {
  const text = createPool<string>();
  const intern = (value: string): string => text(value, () => value);
  const readers: Readers = {
    text: intern,
    labels: kept === undefined ? (labels) => internedLabels(labels, intern) : keepingLabels(kept, intern),
    podIPs: podIPs ? addressesOf : () => NO_ADDRESSES,
    scheduledAt,
  };
  return (object) => project(object, readers);
}

const NO_ADDRESSES: readonly string[] = Object.freeze([]);

function project(object: unknown, readers: Readers): PodRecord | undefined {
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
  const scheduled = readers.scheduledAt ? scheduledAt(status) : undefined;
  const identityGate = gateOf(spec, status);
  return {
    uid,
    namespace: readers.text(namespace),
    name,
    nodeName: nodeName ? readers.text(nodeName) : undefined,
    labels: readers.labels(objectAt(metadata, "labels")),
    phase: phase === undefined ? undefined : readers.text(phase),
    hostNetwork: spec?.["hostNetwork"] === true,
    deleting: stringAt(metadata, "deletionTimestamp") !== undefined,
    createdAt: Number.isNaN(created) ? 0 : created,
    serviceAccountName: readers.text(stringAt(spec, "serviceAccountName") ?? ""),
    podIPs: readers.podIPs(status),
    ...(scheduled !== undefined && { scheduledAt: scheduled }),
    ...(identityGate !== undefined && { identityGate }),
  };
}

function gateOf(spec: JsonObject | undefined, status: JsonObject | undefined): IdentityGate | undefined {
  const declared = objectsIn(spec?.["readinessGates"]).some((gate) => gate["conditionType"] === READINESS_GATE);
  if (!declared) return undefined;
  const condition = conditionOf(status, READINESS_GATE);
  const text = stringAt(condition, "status");
  return {
    status: text === "True" || text === "False" || text === "Unknown" ? text : undefined,
    reason: stringAt(condition, "reason") ?? "",
    message: stringAt(condition, "message") ?? "",
  };
}

function scheduledAt(status: JsonObject | undefined): number | undefined {
  const condition = conditionOf(status, "PodScheduled");
  if (condition?.["status"] !== "True") return undefined;
  const at = Date.parse(stringAt(condition, "lastTransitionTime") ?? "");
  return Number.isNaN(at) ? undefined : at;
}

function conditionOf(status: JsonObject | undefined, type: string): JsonObject | undefined {
  return objectsIn(status?.["conditions"]).find((condition) => condition["type"] === type);
}

function objectsIn(value: unknown): readonly JsonObject[] {
  return Array.isArray(value) ? (value as readonly unknown[]).filter(isObject) : [];
}

function internedLabels(labels: JsonObject | undefined, intern: (text: string) => string): Labels {
  const entries = Object.entries(stringMembers(labels));
  return entries.length === 0
    ? stringMembers(undefined)
    : Object.fromEntries(entries.map(([key, value]) => [key, intern(value)]));
}

/** Of the kept labels alone there are few combinations, so pods share whole objects. */
function keepingLabels(
  kept: readonly string[],
  intern: (text: string) => string,
): (labels: JsonObject | undefined) => Labels {
  const pool = createPool<Labels>();
  return (labels) => {
    const own = kept.map((key) => [key, stringAt(labels, key)] as const).filter(([, value]) => value !== undefined);
    return pool(JSON.stringify(own), () => internedLabels(Object.fromEntries(own), intern));
  };
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
