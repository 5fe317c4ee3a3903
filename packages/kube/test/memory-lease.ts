import type { Clock } from "../src/clock.ts";
import { KubeError } from "../src/kube-error.ts";
import type { Lease } from "../src/lease.ts";
import type { KubeRequest, KubeTransport } from "../src/transport.ts";

/** The API server's side of one Lease, in memory, with optimistic concurrency; each candidate has its own way to it. */
export class MemoryLease {
  stored: Lease | undefined;
  #version = 0;

  candidate(clock: Clock): CandidateTransport {
    return new CandidateTransport(this, clock);
  }

  write(lease: Lease, creating: boolean): Lease {
    if (creating && this.stored) throw new KubeError("exists", { status: 409, reason: "AlreadyExists" });
    if (!creating && !this.stored) throw new KubeError("not found", { status: 404, reason: "NotFound" });
    if (!creating && lease.metadata.resourceVersion !== this.stored?.metadata.resourceVersion)
      throw new KubeError("conflict", { status: 409, reason: "Conflict" });
    const uid = this.stored?.metadata.uid ?? `uid-${this.#version}`;
    this.stored = structuredClone({
      ...lease,
      metadata: { ...lease.metadata, uid, resourceVersion: String(++this.#version) },
    });
    return structuredClone(this.stored);
  }
}

export class CandidateTransport implements KubeTransport {
  /** `up`; `down`: refused; `hanging`: never answered; `deaf`: writes are carried out, their answers lost. */
  state: "up" | "down" | "hanging" | "deaf" = "up";
  /** How long answers are under way. */
  answerMs = 0;
  readonly counts = { GET: 0, POST: 0, PUT: 0, PATCH: 0, DELETE: 0 };
  readonly #lease: MemoryLease;
  readonly #clock: Clock;

  constructor(lease: MemoryLease, clock: Clock) {
    this.#lease = lease;
    this.#clock = clock;
  }

  async request<T>(request: KubeRequest): Promise<T> {
    this.counts[request.method] += 1;
    await Promise.resolve();
    if (this.state === "down") throw new KubeError("refused", { status: 0, reason: "NetworkError" });
    if (this.state === "hanging") return this.#silence(request);
    if (request.method === "GET") {
      if (!this.#lease.stored) throw new KubeError("not found", { status: 404, reason: "NotFound" });
      return structuredClone(this.#lease.stored) as T;
    }
    const answer = this.#lease.write(request.body as Lease, request.method === "POST");
    if (this.state === "deaf") return this.#silence(request);
    if (this.answerMs > 0) await new Promise<void>((resolve) => this.#clock.setTimeout(resolve, this.answerMs));
    return answer as T;
  }

  stream(): Promise<AsyncIterable<unknown>> {
    return Promise.reject(new Error("not used"));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #silence<T>(request: KubeRequest): Promise<T> {
    return new Promise<T>((_, reject) => {
      this.#clock.setTimeout(
        () => reject(new KubeError("time-out", { status: 0, reason: "Timeout" })),
        request.timeoutMs ?? 30_000,
      );
      request.signal?.addEventListener("abort", () => reject(request.signal!.reason as Error), { once: true });
    });
  }
}
