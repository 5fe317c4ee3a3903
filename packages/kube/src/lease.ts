import type { KubeObject } from "./kube-object.ts";

/** `spec` of a coordination.k8s.io/v1 Lease. Times are RFC 3339 with microseconds. */
export interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

export interface Lease extends KubeObject {
  spec?: LeaseSpec;
}

/** Kubernetes' MicroTime: some clients insist on six digits. */
export function microTime(ms: number): string {
  return new Date(ms).toISOString().replace("Z", "000Z");
}

/** The lease as its holder writes it. The duration is rounded up: nobody may think it over before the holder does. */
export function heldSpec(
  before: LeaseSpec | undefined,
  o: { identity: string; durationMs: number; now: number; acquiring: boolean },
): LeaseSpec {
  const time = microTime(o.now);
  return {
    ...before,
    holderIdentity: o.identity,
    leaseDurationSeconds: Math.ceil(o.durationMs / 1000),
    renewTime: time,
    acquireTime: o.acquiring ? time : (before?.acquireTime ?? time),
    leaseTransitions: (before?.leaseTransitions ?? 0) + (o.acquiring && before !== undefined ? 1 : 0),
  };
}

/** As client-go leaves it: free at once, and for old clients over after one second. */
export function releasedSpec(before: LeaseSpec, now: number): LeaseSpec {
  const time = microTime(now);
  return { ...before, holderIdentity: "", leaseDurationSeconds: 1, renewTime: time, acquireTime: time };
}

/**
 * Whether somebody else's lease is over, by this process's own clock alone: it is counted from when this process saw
 * the record change last, whatever times the holder wrote into it.
 */
export class LeaseObserver {
  #seen = "";
  #seenAt = 0;
  #spec: LeaseSpec | undefined;

  observe(lease: Lease, elapsedMs: number): void {
    const seen = `${lease.metadata.uid}/${JSON.stringify(lease.spec ?? {})}`;
    if (seen === this.#seen) return;
    this.#seen = seen;
    this.#seenAt = elapsedMs;
    this.#spec = lease.spec;
  }

  get holder(): string {
    return this.#spec?.holderIdentity ?? "";
  }

  /** `fallbackMs` counts where the record names no duration. */
  isOver(elapsedMs: number, fallbackMs: number): boolean {
    const seconds = this.#spec?.leaseDurationSeconds;
    return elapsedMs >= this.#seenAt + (seconds === undefined ? fallbackMs : seconds * 1000);
  }
}
