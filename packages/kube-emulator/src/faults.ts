import { ApiError } from "./status.ts";
import type { RequestInfo } from "./request.ts";

/** Which requests a fault hits: every given field has to agree; `resource` is the plural, `subresource` "" means none. */
export interface FaultMatch {
  readonly verb?: string;
  readonly resource?: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
  /** Exact user name, such as `system:serviceaccount:podid:mic`. */
  readonly user?: string;
}

/** A delay, a refusal, or a delay and then a refusal. */
export interface FaultRule extends FaultMatch {
  readonly latencyMs?: number;
  /** HTTP status to answer instead of doing anything. */
  readonly status?: number;
  readonly reason?: string;
  readonly message?: string;
  /** Becomes a Retry-After header and `details.retryAfterSeconds`. */
  readonly retryAfterSeconds?: number;
  /** Answer by closing the connection: `before` doing the work, or `after` it is done and the answer lost. */
  readonly drop?: "before" | "after";
  /** How often the rule still applies; endless when absent. */
  readonly times?: number;
}

const REASONS: Readonly<Record<number, string>> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  409: "Conflict",
  410: "Expired",
  422: "Invalid",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
  504: "Timeout",
};

export interface FaultHooks {
  cutWatches(match: FaultMatch, how: "close" | "reset"): number;
  stallWatches(match: FaultMatch): void;
  resumeWatches(): void;
  sendBookmarks(): void;
  compact(): void;
  dropConnections(): void;
}

/** What can go wrong on purpose. Everything takes effect at once and stays until it is taken back. */
export class Faults {
  readonly #rules = new Set<{ rule: FaultRule; left: number }>();
  readonly #hooks: FaultHooks;
  #gate: { readonly opened: Promise<void>; readonly open: () => void } | undefined;
  #refusing = false;
  #stalled: FaultMatch[] = [];

  constructor(hooks: FaultHooks) {
    this.#hooks = hooks;
  }

  /** Adds a rule; the returned function takes it back. The first matching rule with a status or drop decides, latencies add up. */
  add(rule: FaultRule): () => void {
    const entry = { rule, left: rule.times ?? Number.POSITIVE_INFINITY };
    this.#rules.add(entry);
    return () => this.#rules.delete(entry);
  }

  /** Takes everything back. */
  clear(): void {
    this.#rules.clear();
    this.resume();
    this.resumeWatches();
    this.accept();
  }

  /** Ends open watches: `close` in order, as a server does that has had enough, or by a reset. Returns how many. */
  cutWatches(match: FaultMatch = {}, how: "close" | "reset" = "close"): number {
    return this.#hooks.cutWatches(match, how);
  }

  /** Watches, also later ones, stay open and say nothing more. */
  stallWatches(match: FaultMatch = {}): void {
    this.#stalled.push(match);
    this.#hooks.stallWatches(match);
  }

  /** Stalled watches send what they kept back. */
  resumeWatches(): void {
    this.#stalled = [];
    this.#hooks.resumeWatches();
  }

  /** Sends a bookmark on every watch that allows it, without waiting for the interval. */
  sendBookmarks(): void {
    this.#hooks.sendBookmarks();
  }

  /** Forgets all history: watches from an old resourceVersion and continue tokens get 410. */
  compact(): void {
    this.#hooks.compact();
  }

  /** Requests are accepted and left waiting; watches fall silent. */
  pause(): void {
    if (this.#gate !== undefined) return;
    const gate = Promise.withResolvers<void>();
    this.#gate = { opened: gate.promise, open: gate.resolve };
    this.#hooks.stallWatches({});
  }

  resume(): void {
    this.#gate?.open();
    this.#gate = undefined;
    if (this.#stalled.length === 0) this.#hooks.resumeWatches();
  }

  /** Every connection is cut and every new one is closed before TLS, as when the server is gone. */
  refuse(): void {
    this.#refusing = true;
    this.#hooks.dropConnections();
  }

  accept(): void {
    this.#refusing = false;
  }

  /** @internal */
  get refusing(): boolean {
    return this.#refusing;
  }

  /** @internal */
  isStalled(info: RequestInfo, user: string): boolean {
    return this.#gate !== undefined || this.#stalled.some((match) => matches(match, info, user));
  }

  /** @internal Waits and throws as the rules say; the answer says whether the response has to be lost. */
  async meet(info: RequestInfo, user: string): Promise<"drop-before" | "drop-after" | undefined> {
    await this.#gate?.opened;
    for (const entry of this.#rules) {
      const { rule } = entry;
      if (!matches(rule, info, user)) continue;
      entry.left -= 1;
      if (entry.left <= 0) this.#rules.delete(entry);
      if (rule.latencyMs !== undefined) await new Promise((resolve) => setTimeout(resolve, rule.latencyMs));
      if (rule.status !== undefined) {
        const details =
          rule.retryAfterSeconds === undefined ? undefined : { retryAfterSeconds: rule.retryAfterSeconds };
        throw new ApiError(
          rule.status,
          rule.reason ?? REASONS[rule.status] ?? "",
          rule.message ?? "fault injected by the emulator's control",
          details,
        );
      }
      if (rule.drop !== undefined) return `drop-${rule.drop}`;
    }
    return undefined;
  }
}

/** Whether a request is one of those that a match describes. */
export function matches(match: FaultMatch, info: RequestInfo, user: string): boolean {
  const pairs: readonly (readonly [string | undefined, string])[] = [
    [match.verb, info.verb],
    [match.resource, info.resource],
    [match.subresource, info.subresource],
    [match.namespace, info.namespace],
    [match.name, info.name],
    [match.user, user],
  ];
  return pairs.every(([wanted, actual]) => wanted === undefined || wanted === actual);
}
