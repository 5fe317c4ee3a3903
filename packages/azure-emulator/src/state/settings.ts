/** A token bucket: `burst` at once, refilled with `perSecond`. undefined switches a limit off. */
export interface BucketLimit {
  readonly burst: number;
  readonly perSecond: number;
}

/** A federation issuer whose documents are not where its URL says, or that needs a certificate authority of its own. */
export interface IssuerEndpoint {
  /** Exactly the `iss` of its tokens. */
  readonly issuer: string;
  /** Base URL to fetch `/.well-known/openid-configuration` and the key set from; default: the issuer. */
  readonly url?: string;
  /** PEM of the authority to trust when fetching; default: the system's. */
  readonly caPem?: string;
}

/** Everything adjustable, in process, in a seed (`settings`) and by `PATCH /settings`. Milliseconds unless the name says otherwise. */
export interface Settings {
  /** How long writing or deleting a VM or scale set takes after ARM's first answer. Azure needs about 5 000 and 8 000. */
  operationMs: number;
  /** How long after the end of that operation IMDS notices. */
  imdsLagMs: number;
  /** Latency of every answer, by service. */
  latencyMs: { imds: number; entra: number; arm: number };
  /** What a write does to one of the same resource that still runs: takes its place, or is refused with 409. */
  concurrentWrites: "preempt" | "conflict";
  /** false: ARM lets every valid token do everything. */
  enforceRoles: boolean;
  /** How long a new role assignment has no effect. */
  rolePropagationMs: number;
  /** IMDS's limits, per machine: identity requests per second and at the same time, other requests per second. */
  imdsLimits: {
    identityPerSecond: number | undefined;
    identityConcurrent: number | undefined;
    otherPerSecond: number | undefined;
  };
  /** ARM's limits per subscription and principal. */
  armLimits: { reads: BucketLimit | undefined; writes: BucketLimit | undefined; deletes: BucketLimit | undefined };
  /** The compute provider's limit of writes to one VM or scale set; Azure has a burst of 12 and 4 per minute. Off by default. */
  computeWriteLimit: BucketLimit | undefined;
  /** Lifetime of access tokens. */
  tokenSeconds: { app: number; managedIdentity: number };
  /** How long a new federated credential is answered with AADSTS70021. */
  federationPropagationMs: number;
  issuers: readonly IssuerEndpoint[];
}

export function defaultSettings(): Settings {
  return {
    operationMs: 0,
    imdsLagMs: 0,
    latencyMs: { imds: 0, entra: 0, arm: 0 },
    concurrentWrites: "preempt",
    enforceRoles: true,
    rolePropagationMs: 0,
    imdsLimits: { identityPerSecond: 20, identityConcurrent: 5, otherPerSecond: 5 },
    armLimits: {
      reads: { burst: 250, perSecond: 25 },
      writes: { burst: 200, perSecond: 10 },
      deletes: { burst: 200, perSecond: 10 },
    },
    computeWriteLimit: undefined,
    tokenSeconds: { app: 3600, managedIdentity: 86_400 },
    federationPropagationMs: 0,
    issuers: [],
  };
}

/**
 * Changes `target` in place. null switches a limit off.
 * @throws Error for a name that is no setting.
 */
export function mergeSettings(target: object, changes: object): void {
  const record = target as Record<string, unknown>;
  for (const [name, value] of Object.entries(changes) as [string, unknown][]) {
    if (!(name in record))
      throw new Error(`settings: "${name}" is not a setting; use one of ${Object.keys(record).join(", ")}`);
    const current = record[name];
    const nested = isPlain(value) && isPlain(current);
    if (nested) mergeSettings(current, value);
    else record[name] = value ?? undefined;
  }
}

function isPlain(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
