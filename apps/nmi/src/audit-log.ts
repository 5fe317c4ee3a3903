import { redactClientId } from "@podid/crd-types";
import type { Clock, Exchange, IssuedToken, TokenFacts } from "@podid/imds-proxy";

/** One line of the audit. Never holds a token, and a client id only in part. */
export interface AuditRecord {
  readonly time: string;
  /** `token`: issued; `forwarded`: IMDS's own answer to an excepted pod; `refused`: nothing of the kind. */
  readonly event: "token" | "forwarded" | "refused";
  readonly outcome: string;
  readonly reason?: string;
  readonly status: number;
  /** Which route it came by. */
  readonly route: string;
  readonly remote: string;
  readonly pod?: { readonly namespace: string; readonly name: string; readonly uid: string };
  readonly serviceAccount?: string;
  readonly identity?: { readonly namespace: string; readonly name: string; readonly type: number };
  readonly resourceId?: string;
  readonly clientId?: string;
  readonly resource?: string;
  /** Entra's identifier of the token, which sign-in logs show. */
  readonly tokenId?: string;
  readonly correlationId?: string;
  /** In a summary: how many more of the kind there have been, and since when. */
  readonly repeats?: number;
  readonly since?: string;
}

export interface AuditLogOptions {
  readonly clock: Clock;
  readonly write: (line: string) => void;
  /** Between summaries of what was repeated; default a minute. */
  readonly flushMs?: number;
}

/** Who refuses more kinds than this between two summaries is summed up as a whole. */
const MOST_KINDS = 4_096;
const OVERFLOW = "overflow";

/** What stands for many records that would say the same. */
interface Series {
  readonly record: AuditRecord;
  repeats: number;
}

/**
 * Who was given or refused which token. Each kind of refusal and the first answer of each token to each pod are written
 * at once; repeats are counted and summed up every minute. A cached answer costs two look-ups and an addition.
 */
export class AuditLog {
  readonly #options: AuditLogOptions;
  /** By token, then by pod UID. */
  readonly #issued = new WeakMap<IssuedToken, Map<string, Series>>();
  readonly #others = new Map<string, Series>();
  readonly #repeated = new Set<Series>();
  #timer: { cancel(): void } | undefined;
  #since: string;

  constructor(options: AuditLogOptions) {
    this.#options = options;
    this.#since = this.#now();
    this.#arm();
  }

  exchange(exchange: Exchange): void {
    const { facts, refused, request, status } = exchange;
    const issued = facts?.issued;
    if (issued !== undefined) return this.#token(issued, facts?.pod?.uid ?? "", exchange);
    if (facts === undefined && refused === undefined) {
      // An instance's metadata is nobody's credential; what was refused is said above.
      if (request.kind !== "metadata" || status < 400) return;
    }
    const who = facts?.pod?.uid ?? exchange.remote;
    const reason = refused ?? facts?.reason ?? facts?.outcome ?? `status-${status}`;
    const resource = facts?.outcome === "forwarded" ? resourceOf(exchange) : "";
    const key = `${reason}\n${who}\n${facts?.identity?.uid ?? ""}\n${resource}`;
    this.#other(key, exchange);
  }

  /** Writes what has been counted since the last time. */
  flush(): void {
    const time = this.#now();
    for (const series of this.#repeated) {
      this.#write({ ...series.record, time, repeats: series.repeats, since: this.#since });
      series.repeats = 0;
    }
    // What was not repeated is written at once when it comes back.
    for (const [key, series] of this.#others) if (!this.#repeated.has(series)) this.#others.delete(key);
    this.#repeated.clear();
    this.#since = time;
  }

  close(): void {
    this.#timer?.cancel();
    this.flush();
  }

  #token(issued: IssuedToken, podUid: string, exchange: Exchange): void {
    const pods = this.#issued.get(issued);
    const series = pods?.get(podUid);
    if (series !== undefined) return this.#repeat(series);
    const first = { record: recordOf(exchange, this.#now()), repeats: 0 };
    if (pods === undefined) this.#issued.set(issued, new Map([[podUid, first]]));
    else pods.set(podUid, first);
    this.#write(first.record);
  }

  #other(key: string, exchange: Exchange): void {
    const series = this.#others.get(key);
    if (series !== undefined) return this.#repeat(series);
    const record = recordOf(exchange, this.#now());
    if (this.#others.size >= MOST_KINDS) return this.#overflow(record);
    this.#others.set(key, { record, repeats: 0 });
    this.#write(record);
  }

  #overflow({ time, event, status }: AuditRecord): void {
    const series = this.#others.get(OVERFLOW);
    if (series !== undefined) return this.#repeat(series);
    const record: AuditRecord = { time, event, outcome: OVERFLOW, status, route: "", remote: "" };
    this.#others.set(OVERFLOW, { record, repeats: 0 });
    this.#write(record);
  }

  #repeat(series: Series): void {
    if (series.repeats++ === 0) this.#repeated.add(series);
  }

  #arm(): void {
    this.#timer = this.#options.clock.setTimeout(() => {
      this.flush();
      this.#arm();
    }, this.#options.flushMs ?? 60_000);
  }

  #now(): string {
    return new Date(this.#options.clock.wallMs()).toISOString();
  }

  #write(record: AuditRecord): void {
    this.#options.write(`${JSON.stringify(record)}\n`);
  }
}

function recordOf(exchange: Exchange, time: string): AuditRecord {
  const { facts, refused, status, remote, request } = exchange;
  const reason = refused ?? facts?.reason;
  const { identity, pod } = facts ?? {};
  const resource = resourceOf(exchange);
  const correlationId = facts?.correlationId ?? facts?.issued?.correlationId;
  const tokenId = facts?.issued?.id;
  return {
    time,
    event: facts?.issued !== undefined ? "token" : facts?.outcome === "forwarded" ? "forwarded" : "refused",
    outcome: facts?.outcome ?? "refused",
    ...(reason === undefined ? {} : { reason }),
    status,
    route: request.kind === "metadata" ? request.category : request.kind === "host-token" ? "host-token" : "token",
    remote,
    ...podFields(pod),
    ...(identity === undefined ? {} : identityFields(identity)),
    ...(resource === "" ? {} : { resource }),
    ...(tokenId === undefined ? {} : { tokenId }),
    ...(correlationId === undefined ? {} : { correlationId }),
  };
}

function podFields(pod: TokenFacts["pod"]): Pick<AuditRecord, "pod" | "serviceAccount"> {
  if (pod === undefined) return {};
  const { namespace, name, uid, serviceAccountName } = pod;
  return { pod: { namespace, name, uid }, serviceAccount: serviceAccountName };
}

function identityFields({ namespace, name, spec }: NonNullable<TokenFacts["identity"]>): Partial<AuditRecord> {
  return {
    identity: { namespace, name, type: spec.type ?? 0 },
    ...(spec.resourceID === undefined ? {} : { resourceId: spec.resourceID }),
    ...(spec.clientID === undefined ? {} : { clientId: redactClientId(spec.clientID) }),
  };
}

function resourceOf({ request }: Exchange): string {
  return request.kind === "token" ? request.resource : request.kind === "host-token" ? request.request.resource : "";
}
