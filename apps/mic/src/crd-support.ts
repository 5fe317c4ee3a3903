import { GROUP, KINDS, VERSION } from "@podid/crd-types";
import type { Kind } from "@podid/crd-types";
import { KubeError } from "@podid/kube";
import type { KubeTransport } from "@podid/kube";

/** What the cluster's CustomResourceDefinitions can hold: podid's, or those that aad-pod-identity left. */
export interface CrdSupport {
  /** Plural names of the kinds that are not served at all. */
  readonly missing: readonly string[];
  /** Kinds whose `status` is a subresource; on the others a status would be part of the object, and is not written. */
  readonly status: ReadonlySet<Kind>;
  /** Fields that the API server would drop, such as `azureidentities spec.serviceAccounts`; empty where the schemas may not be read. */
  readonly pruned: readonly string[];
}

/** Everything is there: what holds for podid's own definitions. */
export const FULL_CRD_SUPPORT: CrdSupport = {
  missing: [],
  status: new Set<Kind>(["AzureIdentity", "AzureIdentityBinding"]),
  pruned: [],
};

/** What podid reads or writes and aad-pod-identity's definitions of any version may not know. */
const FIELDS: Readonly<Record<Kind, readonly string[]>> = {
  AzureIdentity: ["spec.auxiliaryTenantIDs", "spec.serviceAccounts", "status.conditions"],
  AzureIdentityBinding: ["spec.weight", "status.conditions"],
  AzureAssignedIdentity: [
    "spec.azureIdentityRef.spec.resourceID",
    "spec.azureBindingRef.spec.selector",
    "status.status",
  ],
  AzurePodIdentityException: ["spec.podLabels"],
};

/**
 * Asks the API server, with what every authenticated client may read: discovery and the published schemas.
 * @throws {KubeError} when discovery cannot be read
 */
export async function readCrdSupport(transport: KubeTransport, signal?: AbortSignal): Promise<CrdSupport> {
  const get = async (path: string): Promise<unknown> => {
    try {
      return await transport.request({ method: "GET", path, signal, timeoutMs: 10_000 });
    } catch (error) {
      if (KubeError.is(error, 403, 404)) return undefined;
      throw error;
    }
  };
  const [resources, schemas] = await Promise.all([
    get(`/apis/${GROUP}/${VERSION}`),
    get(`/openapi/v3/apis/${GROUP}/${VERSION}`),
  ]);
  return crdSupport(resources, schemas);
}

/**
 * @param resources an APIResourceList; undefined where the group is not served
 * @param openApi the group's OpenAPI v3 document; undefined where it may not be read
 */
export function crdSupport(resources: unknown, openApi: unknown): CrdSupport {
  const names = new Set(asArray(asObject(resources)["resources"]).map((resource) => asObject(resource)["name"]));
  const kinds = Object.keys(KINDS) as Kind[];
  const served = kinds.filter((kind) => names.has(KINDS[kind]));
  return {
    missing: kinds.filter((kind) => !served.includes(kind)).map((kind) => KINDS[kind]),
    status: new Set(served.filter((kind) => names.has(`${KINDS[kind]}/status`))),
    pruned: served.flatMap((kind) => {
      const schema = schemaOf(openApi, kind);
      if (schema === undefined) return [];
      return FIELDS[kind].filter((field) => !keeps(schema, field.split("."))).map((field) => `${KINDS[kind]} ${field}`);
    }),
  };
}

/** What does not work because of the definitions, with the remedy; undefined when nothing is amiss. */
export function crdProblem({ missing, status, pruned }: CrdSupport): string | undefined {
  const problems: string[] = [];
  if (missing.length > 0) problems.push(`${missing.join(", ")} are not there, and nothing works without them`);
  const withoutStatus = [...FULL_CRD_SUPPORT.status]
    .map((kind) => ({ kind, plural: KINDS[kind] }))
    .filter(({ kind, plural }) => !status.has(kind) && !missing.includes(plural));
  if (withoutStatus.length > 0)
    problems.push(
      `${withoutStatus.map(({ plural }) => plural).join(", ")} have no status subresource, so that no conditions and counts are written to them`,
    );
  // Without the subresource nothing is written there, whatever the schema says.
  const dropped = pruned.filter((field) => !field.endsWith("status.conditions"));
  if (dropped.length > 0) problems.push(`the API server drops ${dropped.join(", ")}`);
  return problems.length === 0
    ? undefined
    : `the CustomResourceDefinitions are not podid's: ${problems.join("; ")}. To bring them up to date: kubectl apply --server-side --force-conflicts --filename charts/podid/crds`;
}

type Json = Readonly<Record<string, unknown>>;

function asObject(value: unknown): Json {
  return typeof value === "object" && value !== null ? (value as Json) : {};
}

function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function schemaOf(openApi: unknown, kind: Kind): Json | undefined {
  const schemas = Object.values(asObject(asObject(asObject(openApi)["components"])["schemas"])).map(asObject);
  return schemas.find((schema) =>
    asArray(schema["x-kubernetes-group-version-kind"]).some((gvk) => asObject(gvk)["kind"] === kind),
  );
}

function keeps(schema: Json, [field, ...rest]: readonly string[]): boolean {
  if (field === undefined || schema["x-kubernetes-preserve-unknown-fields"] === true) return true;
  if (schema["additionalProperties"] !== undefined && schema["additionalProperties"] !== false) return true;
  const property = asObject(schema["properties"])[field];
  return property !== undefined && keeps(asObject(property), rest);
}
