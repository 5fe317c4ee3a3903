import type { KubeObject } from "@podid/kube";

/** What chart and MIC say to all node agents, in the lifecycle ConfigMap. */
export interface LifecycleRecord {
  /** Empty: none. */
  readonly phase: string;
  /** Client ids and ARM ids of identities that are not for pods; undefined: MIC has not said. */
  readonly nodeIdentities: readonly string[] | undefined;
}

export function lifecycleRecord(object: KubeObject): LifecycleRecord {
  const { phase, nodeIdentities } = (object["data"] ?? {}) as Readonly<Record<string, unknown>>;
  return {
    phase: typeof phase === "string" ? phase : "",
    nodeIdentities:
      typeof nodeIdentities === "string" ? nodeIdentities.split(/\s+/).filter((id) => id !== "") : undefined,
  };
}
