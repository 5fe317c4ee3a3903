import type { Condition } from "@podid/crd-types";

/** What the status of an AzureIdentity or AzureIdentityBinding says now. */
export interface WrittenStatus {
  /** Of the object; counts up with its spec where the CRD has the subresource. */
  readonly generation: number | undefined;
  readonly matched: number | undefined;
  readonly assigned: number | undefined;
  readonly failed: number | undefined;
  readonly conditions: readonly Condition[];
}

/** A record of an object together with its status. */
export interface WithStatus {
  readonly written?: WrittenStatus;
}

/** From an API object. */
export function writtenStatus(object: unknown): WrittenStatus {
  const { metadata, status } = object as {
    readonly metadata?: { readonly generation?: unknown };
    readonly status?: Readonly<Record<string, unknown>>;
  };
  const conditions = status?.["conditions"];
  return {
    generation: number(metadata?.generation),
    matched: number(status?.["matched"]),
    assigned: number(status?.["assigned"]),
    failed: number(status?.["failed"]),
    conditions: Array.isArray(conditions) ? (conditions as readonly unknown[]).filter(isCondition) : [],
  };
}

/** Adds its status to what a projection made of an object. */
export function withStatus<T extends object>(
  project: (object: unknown) => T | undefined,
): (object: unknown) => (T & WithStatus) | undefined {
  return (object) => {
    const record = project(object);
    return record && { ...record, written: writtenStatus(object) };
  };
}

function number(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

function isCondition(value: unknown): value is Condition {
  return typeof value === "object" && value !== null && typeof (value as Partial<Condition>).type === "string";
}
