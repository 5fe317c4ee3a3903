import { createServer, request as httpRequest } from "node:http";
import type { IncomingMessage, Server } from "node:http";
import type { Socket } from "node:net";

export interface Neighbours {
  /** Pod by address. */
  readonly owners: ReadonlyMap<string, string>;
  /** Identities by pod. */
  readonly bound: ReadonlyMap<string, readonly string[]>;
  readonly excepted: ReadonlySet<string>;
  readonly clientIds: ReadonlyMap<string, string>;
  readonly imdsPort: number;
}

const TOKEN_PATH = /^\/metadata\/identity\/oauth2\/token\/?(\?|$)/;

/**
 * What stands between pods and IMDS without any guard of ours: every mistake that a proxy of its kind has made, so that
 * an attack which does nothing here is no test. Never to be used for anything else.
 */
export function unguardedProxy(world: Neighbours): Server {
  const cache = new Map<string, string>();
  const peers = new WeakMap<Socket, string>();

  async function answer(request: IncomingMessage): Promise<{ status: number; body: string }> {
    const url = (request.url ?? "").replace(/^http:\/\/[^/]+/, "");
    const given = request.headers;
    const header = (name: string): string | undefined => [given[name]].flat()[0]?.split(",")[0];
    // Believes whatever says where the request came from, and asks only once per connection who that is.
    const peer = request.socket.remoteAddress?.replace("::ffff:", "") ?? "";
    const claimed =
      header("x-forwarded-for") ?? header("x-real-ip") ?? /for=([0-9.]+)/.exec(header("forwarded") ?? "")?.[1];
    const pod =
      header("podname") ??
      (claimed === undefined ? undefined : world.owners.get(claimed)) ??
      peers.get(request.socket) ??
      world.owners.get(peer);
    if (pod === undefined) return { status: 404, body: "" };
    peers.set(request.socket, pod);
    // An exception is recognised by how the name begins.
    if ([...world.excepted].some((name) => pod.startsWith(name))) return raw(url, request);
    const isToken = TOKEN_PATH.test(url) || url.startsWith("/host/token");
    // A list of what is forbidden; the rest goes to IMDS byte for byte.
    if (!isToken) return raw(url, request);
    const mine = world.bound.get(pod) ?? [];
    const query = new URLSearchParams(url.split("?")[1] ?? "");
    const asked = query.get("client_id") ?? world.clientIds.get(mine[0] ?? "") ?? "";
    if (!mine.some((name) => world.clientIds.get(name) === asked)) return { status: 403, body: "" };
    const key = query.get("resource") ?? "";
    const kept = query.get("client_id") === null ? cache.get(key) : undefined;
    if (kept !== undefined) return { status: 200, body: kept };
    const suffix = query.get("client_id") === null ? `&client_id=${asked}` : "";
    const target = url.startsWith("/host/token") ? `/metadata/identity/oauth2/token?${url.split("?")[1] ?? ""}` : url;
    const found = await raw(target + suffix, request);
    cache.set(key, found.body);
    return found;
  }

  function raw(path: string, request: IncomingMessage): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      const headers = { metadata: "true", host: request.headers.host ?? "" };
      const asked = httpRequest(
        { host: "127.0.0.1", port: world.imdsPort, path, headers, agent: false },
        (response) => {
          let body = "";
          response.setEncoding("utf8");
          response.on("data", (chunk: string) => (body += chunk));
          response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
        },
      );
      asked.once("error", reject);
      asked.end();
    });
  }

  const limitless = { headersTimeout: 0, requestTimeout: 0, maxHeaderSize: 16 * 1024 * 1024, insecureHTTPParser: true };
  return createServer(limitless, (request, response) => {
    answer(request).then(
      ({ status, body }) => response.writeHead(status).end(body),
      () => response.destroy(),
    );
  });
}
