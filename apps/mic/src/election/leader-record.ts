import type { KubeObject } from "@podid/kube";

/**
 * client-go's LeaderElectionRecord, as its Endpoints and ConfigMap locks keep it. Times are RFC 3339 to the second.
 * Source: k8s.io/client-go v0.23 tools/leaderelection/resourcelock/interface.go
 */
export interface LeaderRecord {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaderTransitions?: number;
}

export const RECORD_ANNOTATION = "control-plane.alpha.kubernetes.io/leader";

/** Undefined when there is none that can be read, which client-go treats as free too. */
export function readRecord(object: KubeObject): LeaderRecord | undefined {
  const text = object.metadata.annotations?.[RECORD_ANNOTATION];
  if (text === undefined) return undefined;
  try {
    const record: unknown = JSON.parse(text);
    return typeof record === "object" && record !== null ? record : undefined;
  } catch {
    return undefined;
  }
}

/** The record as its holder writes it; an empty identity releases it. */
export function writtenRecord(
  before: LeaderRecord | undefined,
  { identity, durationMs, now }: { readonly identity: string; readonly durationMs: number; readonly now: number },
): LeaderRecord {
  const time = `${new Date(now).toISOString().slice(0, 19)}Z`;
  const renewed = before?.holderIdentity === identity;
  return {
    holderIdentity: identity,
    leaseDurationSeconds: Math.ceil(durationMs / 1000),
    acquireTime: renewed ? (before?.acquireTime ?? time) : time,
    renewTime: time,
    leaderTransitions: (before?.leaderTransitions ?? 0) + (renewed || identity === "" ? 0 : 1),
  };
}
