import {
  BEHAVIOR_ANNOTATION,
  BEHAVIOR_NAMESPACED,
  KEEP_ANNOTATION,
  parseIdentityResourceId,
  preAssignedPools,
  specFingerprint,
  upgradeLegacyObject,
} from "@podid/crd-types";
import type { Kind } from "@podid/crd-types";
import { identityProblem } from "./identity-problem.ts";
import { identitySpec } from "./identity-spec.ts";
import { isObject, objectAt, stringAt, stringMembers } from "./json.ts";
import type { JsonObject } from "./json.ts";
import type { BindingRecord, ExceptionRecord, IdentityRecord } from "./records.ts";

/** An AzureIdentityBinding from the API; `undefined` when it has no namespace or name. Field names from before 1.6 are understood. */
export function bindingRecord(object: unknown): BindingRecord | undefined {
  const read = readObject("AzureIdentityBinding", object);
  if (read === undefined) return undefined;
  const { spec, namespace, name, uid, resourceVersion, annotations } = read;
  const weight = spec["weight"];
  const preAssign = preAssignedPools(annotations);
  return {
    uid,
    namespace,
    name,
    resourceVersion,
    azureIdentity: stringAt(spec, "azureIdentity") ?? "",
    selector: stringAt(spec, "selector") ?? "",
    weight: typeof weight === "number" && Number.isFinite(weight) ? weight : 0,
    ...(preAssign.length > 0 && { preAssign }),
  };
}

/** An AzureIdentity from the API; `undefined` when it has no namespace or name. Field names from before 1.6 are understood. */
export function identityRecord(object: unknown): IdentityRecord | undefined {
  const read = readObject("AzureIdentity", object);
  if (read === undefined) return undefined;
  const { namespace, name, uid, resourceVersion, annotations } = read;
  const spec = identitySpec(read.spec);
  const resourceId = parseIdentityResourceId(spec.resourceID ?? "");
  return {
    uid,
    namespace,
    name,
    resourceVersion,
    namespaced: annotations?.[BEHAVIOR_ANNOTATION] === BEHAVIOR_NAMESPACED,
    keep: isKept(stringAt(annotations, KEEP_ANNOTATION)),
    spec,
    fingerprint: specFingerprint(spec),
    resourceKey: resourceId.ok ? resourceId.value.key : undefined,
    problem: identityProblem(read.spec, spec),
  };
}

/** An AzurePodIdentityException from the API; `undefined` when it has no namespace or name. */
export function exceptionRecord(object: unknown): ExceptionRecord | undefined {
  const read = readObject("AzurePodIdentityException", object);
  if (read === undefined) return undefined;
  const { namespace, name } = read;
  return { namespace, name, podLabels: stringMembers(objectAt(read.spec, "podLabels")) };
}

interface ReadObject {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly annotations: JsonObject | undefined;
  readonly spec: JsonObject;
}

function readObject(kind: Kind, object: unknown): ReadObject | undefined {
  const metadata = objectAt(object, "metadata");
  const namespace = stringAt(metadata, "namespace");
  const name = stringAt(metadata, "name");
  if (!isObject(object) || !namespace || !name) return undefined;
  return {
    namespace,
    name,
    uid: stringAt(metadata, "uid") ?? "",
    resourceVersion: stringAt(metadata, "resourceVersion") ?? "",
    annotations: objectAt(metadata, "annotations"),
    spec: objectAt(upgradeLegacyObject(kind, object).object, "spec") ?? {},
  };
}

/** Protection is the safe side: only an explicit `false` switches it off. */
function isKept(value: string | undefined): boolean {
  return value !== undefined && value.toLowerCase() !== "false";
}
