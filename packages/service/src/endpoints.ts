import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** Named checks; each returns why it fails, or undefined. */
export type Checks = Readonly<Record<string, () => string | undefined>>;

export interface Endpoint {
  /** The port in use; of interest when 0 was asked for. */
  readonly port: number;
  close(): Promise<void>;
}

interface Reply {
  readonly status: number;
  readonly body: string;
  readonly contentType?: string;
}

interface Address {
  readonly host?: string;
  readonly port: number;
}

/**
 * Serves `/healthz` (200 always, the body says the state, as upstream did), `/livez` and `/readyz` (200, or 503 with a line for each failing check).
 * @throws when the address cannot be listened on
 */
export function startProbes(
  options: Address & { readonly healthz: () => string; readonly live: Checks; readonly ready: Checks },
): Promise<Endpoint> {
  return serve(options, {
    "/healthz": () => ({ status: 200, body: options.healthz() }),
    "/livez": () => report(options.live),
    "/readyz": () => report(options.ready),
  });
}

/** What can be scraped: a registry of prom-client, or anything like it. */
export interface Scraped {
  readonly contentType: string;
  metrics(): string | Promise<string>;
}

/**
 * Serves `/metrics` of one registry in Prometheus' text format.
 * @throws when the address cannot be listened on
 */
export function startMetrics(options: Address & { readonly registry: Scraped }): Promise<Endpoint> {
  return serve(options, {
    "/metrics": async () => ({
      status: 200,
      body: await options.registry.metrics(),
      contentType: options.registry.contentType,
    }),
  });
}

function report(checks: Checks): Reply {
  const results = Object.entries(checks).map(([name, check]) => ({ name, why: check() }));
  const body = results
    .map(({ name, why }) => (why === undefined ? `[+]${name} ok\n` : `[-]${name} failed: ${why}\n`))
    .join("");
  return results.every(({ why }) => why === undefined) ? { status: 200, body: `${body}ok\n` } : { status: 503, body };
}

async function serve(
  { host, port }: Address,
  routes: Readonly<Record<string, () => Reply | Promise<Reply>>>,
): Promise<Endpoint> {
  const server = createServer({ maxHeaderSize: 8192, requestTimeout: 10_000 }, (request, response) => {
    const route = routes[request.url?.split("?", 1)[0] ?? ""];
    void (async () => {
      const reply: Reply =
        route === undefined || request.method !== "GET"
          ? { status: 404, body: `try ${Object.keys(routes).join(", ")}\n` }
          : await route();
      response.writeHead(reply.status, {
        "content-type": reply.contentType ?? "text/plain; charset=utf-8",
        "x-content-type-options": "nosniff",
      });
      response.end(reply.body);
    })().catch((error: unknown) => {
      response.writeHead(500);
      response.end(`${String(error)}\n`);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
