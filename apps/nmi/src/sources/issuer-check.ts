import { get } from "node:https";
import type { Clock } from "@podid/imds-proxy";
import type { Logger } from "@podid/service";

export interface IssuerCheckOptions {
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly log: Logger;
  /** The status and body of a document; the default asks over TLS and trusts what Node trusts. */
  readonly fetch?: (url: string) => Promise<{ readonly status: number; readonly body: string }>;
}

const AGAIN_AFTER_MS = 10 * 60_000;
const TIMEOUT_MS = 5_000;
const MAX_BYTES = 64 * 1024;

/**
 * Looks whether the issuer of this cluster's tokens publishes what Entra is going to read. It prevents nothing, because
 * Entra may reach what a node cannot; but when Entra refuses, this is what people have to know.
 */
export class IssuerCheck {
  readonly #options: IssuerCheckOptions;
  readonly #known = new Map<string, { problem: string | undefined; readonly atMs: number }>();

  constructor(options: IssuerCheckOptions) {
    this.#options = options;
  }

  /** What is wrong with it, as far as is known now; starts to find out. */
  problem(issuer: string): string | undefined {
    const now = this.#options.clock.monotonicMs();
    const known = this.#known.get(issuer);
    if (known !== undefined && now - known.atMs < AGAIN_AFTER_MS) return known.problem;
    const entry = { problem: known?.problem, atMs: now };
    this.#known.set(issuer, entry);
    void this.look(issuer).then((problem) => {
      if (problem !== undefined && problem !== entry.problem)
        this.#options.log.warn({ issuer, problem }, "Entra may be unable to check tokens of this cluster");
      entry.problem = problem;
    });
    return entry.problem;
  }

  async look(issuer: string): Promise<string | undefined> {
    const url = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
    try {
      const { status, body } = await (this.#options.fetch ?? fetchDocument)(url);
      if (status !== 200) return `${url} answers ${status} to anonymous requests from this node`;
      const published = (JSON.parse(body) as { issuer?: unknown }).issuer;
      if (published === issuer) return undefined;
      return `${url} is of the issuer ${JSON.stringify(published)}, but tokens are of ${JSON.stringify(issuer)}`;
    } catch (error) {
      const why = error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.message) : String(error);
      return `${url} cannot be read from this node (${why})`;
    }
  }
}

function fetchDocument(url: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = get(url, { agent: false, timeout: TIMEOUT_MS }, (incoming) => {
      let body = "";
      incoming.setEncoding("utf8");
      incoming.on("data", (chunk: string) => {
        body += chunk;
        if (body.length > MAX_BYTES) outgoing.destroy(new Error("it is too long"));
      });
      incoming.once("error", reject);
      incoming.once("end", () => resolve({ status: incoming.statusCode ?? 0, body }));
    });
    outgoing.once("timeout", () => outgoing.destroy(new Error("it took too long")));
    outgoing.once("error", reject);
  });
}
