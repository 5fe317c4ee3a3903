import http from "node:http";
import https from "node:https";

import type { TlsMaterial } from "./connection.ts";

/** Connections for short requests; more requests than that wait for one. */
const MAX_REQUEST_SOCKETS = 16;
/** Shorter than the idle time-outs of API servers and load balancers, so that they rarely close a socket under a request. */
const IDLE_MS = 30_000;

/** The connection pools of one transport; rotated TLS material gets new ones, while running requests finish on the old. */
export class Agents {
  readonly #secure: boolean;
  readonly #proxyUrl: string | undefined;
  #material = "";
  #agents: { readonly request: http.Agent; readonly stream: http.Agent } | undefined;

  constructor(server: URL, proxyUrl: string | undefined) {
    this.#secure = server.protocol === "https:";
    this.#proxyUrl = proxyUrl;
  }

  /** Watches live long: each has a connection of its own and takes none from the requests. */
  for(use: "request" | "stream", tls: TlsMaterial): http.Agent {
    const material = JSON.stringify([tls.ca, tls.cert, tls.key, tls.servername, tls.rejectUnauthorized]);
    if (this.#agents === undefined || material !== this.#material) {
      if (this.#agents) closeIdle(this.#agents.request);
      this.#material = material;
      this.#agents = {
        request: this.#agent({ keepAlive: true, maxSockets: MAX_REQUEST_SOCKETS, timeout: IDLE_MS }, tls),
        stream: this.#agent({}, tls),
      };
    }
    return this.#agents[use];
  }

  close(): void {
    this.#agents?.request.destroy();
    this.#agents?.stream.destroy();
  }

  #agent(options: https.AgentOptions, tls: TlsMaterial): http.Agent {
    const proxied =
      this.#proxyUrl === undefined
        ? options
        : { ...options, proxyEnv: { HTTPS_PROXY: this.#proxyUrl, HTTP_PROXY: this.#proxyUrl } };
    if (!this.#secure) return new http.Agent(proxied);
    const { rejectUnauthorized = true, ca, cert, key, servername } = tls;
    return new https.Agent({
      ...proxied,
      rejectUnauthorized,
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(servername === undefined ? {} : { servername }),
    });
  }
}

function closeIdle(agent: http.Agent): void {
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
}
