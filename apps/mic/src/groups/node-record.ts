import { parseProviderId } from "@podid/crd-types";
import type { NodeGroup } from "@podid/crd-types";

/** What the controller needs of a Node: what its identities attach to, or why that is unknown. */
export interface NodeRecord {
  readonly name: string;
  readonly group: NodeGroup | undefined;
  readonly problem: string | undefined;
}

export function nodeRecord(object: unknown): NodeRecord | undefined {
  const { metadata, spec } = object as { metadata?: { name?: string }; spec?: { providerID?: unknown } };
  if (!metadata?.name) return undefined;
  const parsed = parseProviderId(typeof spec?.providerID === "string" ? spec.providerID : "");
  return {
    name: metadata.name,
    group: parsed.ok ? parsed.value.group : undefined,
    problem: parsed.ok ? undefined : `node ${metadata.name}: ${parsed.errors.map(({ message }) => message).join("; ")}`,
  };
}
