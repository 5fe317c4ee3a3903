import { NODE_POOL_LABELS, parseProviderId } from "@podid/crd-types";
import type { NodeGroup } from "@podid/crd-types";

/** What the controller needs of a Node: what its identities attach to, or why that is unknown. */
export interface NodeRecord {
  readonly name: string;
  readonly group: NodeGroup | undefined;
  readonly problem: string | undefined;
  /** Name of its node pool. */
  readonly pool?: string;
}

export function nodeRecord(object: unknown): NodeRecord | undefined {
  const { metadata, spec } = object as {
    metadata?: { name?: string; labels?: Readonly<Record<string, unknown>> };
    spec?: { providerID?: unknown };
  };
  if (!metadata?.name) return undefined;
  const parsed = parseProviderId(typeof spec?.providerID === "string" ? spec.providerID : "");
  const pool = NODE_POOL_LABELS.map((label) => metadata.labels?.[label]).find(Boolean);
  return {
    name: metadata.name,
    group: parsed.ok ? parsed.value.group : undefined,
    problem: parsed.ok ? undefined : `node ${metadata.name}: ${parsed.errors.map(({ message }) => message).join("; ")}`,
    ...(typeof pool === "string" && { pool }),
  };
}
