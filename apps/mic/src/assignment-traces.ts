import type { Assignment } from "@podid/matcher";
import { NO_TRACING, traced } from "@podid/service";
import type { Span, Tracing } from "@podid/service";

interface Open {
  readonly span: Span;
  readonly scopeKey: string;
}

/** More assignments of one pass are not linked; they have the same fate. */
const MOST_LINKS = 100;

/**
 * One trace per assignment: from the pod's scheduling until its AzureAssignedIdentity says Assigned, with what it waited for in
 * between: its turn in the queue, the object's creation, ARM, and the status. One pass over ARM serves everything that waits for
 * the same VM or scale set: it is part of the first one's trace, and linked to the others'.
 */
export class AssignmentTraces {
  readonly #tracing: Tracing;
  readonly #now: () => number;
  /** By the object's key. */
  readonly #open = new Map<string, Open>();
  /** How long a scope waited for its turn that runs now. */
  readonly #waited = new Map<string, number>();
  /** The pass that runs, by scope. */
  readonly #passes = new Map<string, Span>();

  /** @param now milliseconds since the epoch */
  constructor(tracing: Tracing = NO_TRACING, now: () => number) {
    this.#tracing = tracing;
    this.#now = now;
  }

  /** A scope's turn begins. */
  turn(scopeKey: string, waitedMs: number): void {
    if (this.#tracing.on) this.#waited.set(scopeKey, waitedMs);
  }

  /** The object is created: the trace begins. */
  creating<T>(assignment: Assignment, key: string, scopeKey: string, step: () => Promise<T>): Promise<T> {
    if (!this.#tracing.on) return step();
    const { pod, identity, binding } = assignment;
    const now = this.#now();
    const waitedMs = this.#waited.get(scopeKey) ?? 0;
    let root = this.#open.get(key)?.span;
    if (root === undefined) {
      root = this.#tracing.start("assignment", {
        startedAt: Math.min(pod.scheduledAt ?? now, now - waitedMs),
        attributes: {
          "k8s.namespace.name": pod.namespace,
          "k8s.pod.name": pod.name,
          "k8s.pod.uid": pod.uid,
          "k8s.node.name": pod.nodeName ?? "",
          "podid.identity": `${identity.namespace}/${identity.name}`,
          "podid.binding": `${binding.namespace}/${binding.name}`,
          "podid.node_group": scopeKey,
        },
      });
      this.#open.set(key, { span: root, scopeKey });
      this.#tracing.start("queue", { parent: root, startedAt: now - waitedMs }).end();
    }
    return traced(this.#tracing, "create AzureAssignedIdentity", { parent: root, kind: "client" }, step);
  }

  /** The object becomes Assigned: the trace ends if that succeeds. */
  async assigning<T>(key: string, step: () => Promise<T>): Promise<T> {
    const root = this.#open.get(key)?.span;
    if (root === undefined) return await step();
    const result = await traced(this.#tracing, "status Assigned", { parent: root, kind: "client" }, step);
    root.end();
    this.#open.delete(key);
    return result;
  }

  /** ARM is brought to what a scope's pods need. */
  async pass<T>(scopeKey: string, step: () => Promise<T>): Promise<T> {
    if (!this.#tracing.on) return await step();
    const waiting = [...this.#open.values()].filter((open) => open.scopeKey === scopeKey).map(({ span }) => span);
    const [first, ...others] = waiting;
    const attributes = { "podid.node_group": scopeKey, "podid.assignments": waiting.length };
    const options = { parent: first, links: others.slice(0, MOST_LINKS), attributes };
    return await traced(this.#tracing, "arm", options, async (span) => {
      this.#passes.set(scopeKey, span);
      try {
        return await step();
      } finally {
        this.#passes.delete(scopeKey);
      }
    });
  }

  /** One request to ARM, part of the scope's pass. */
  call<T>(name: string, scopeKey: string | undefined, step: () => Promise<T>): Promise<T> {
    if (!this.#tracing.on) return step();
    const parent = scopeKey === undefined ? undefined : this.#passes.get(scopeKey);
    return traced(this.#tracing, name, { parent, kind: "client" }, step);
  }

  /** The object is not wanted any more. */
  forget(key: string): void {
    this.#open.get(key)?.span.end("removed before it was assigned");
    this.#open.delete(key);
  }

  /** Nobody of this term sees the others through. */
  close(): void {
    for (const { span } of this.#open.values()) span.end("not assigned before the leader's term ended");
    this.#open.clear();
  }
}
