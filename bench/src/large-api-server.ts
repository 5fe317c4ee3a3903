import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { Agent, request } from "node:https";
import type { AddressInfo } from "node:net";
import { API_VERSION } from "@podid/crd-types";
import { RESOURCES, resourcePath } from "@podid/kube";
import type { KubeEmulator } from "@podid/kube-emulator";
import type { LargeCluster } from "./large-cluster.ts";

const PODS = resourcePath(RESOURCES.pods, {});
const ASSIGNED = resourcePath(RESOURCES.azureAssignedIdentities, {});
const VERSION = "1000000";
const BOOKMARK_MS = 30_000;

/**
 * An API server whose pods and AzureAssignedIdentities are made up when somebody lists them, so that 150 000 of each cost it nothing;
 * nothing ever happens to them. Every other request goes to an emulator.
 */
export class LargeApiServer {
  /** How many pods there are. */
  pods = 0;
  readonly #cluster: LargeCluster;
  readonly #emulator: KubeEmulator;
  readonly #agent: Agent;
  readonly #server: Server;

  private constructor(cluster: LargeCluster, emulator: KubeEmulator) {
    this.#cluster = cluster;
    this.#emulator = emulator;
    this.#agent = new Agent({ keepAlive: true, ca: emulator.caPem });
    this.#server = createServer((message, response) => this.#serve(message, response));
  }

  static async start(cluster: LargeCluster, emulator: KubeEmulator): Promise<LargeApiServer> {
    const server = new LargeApiServer(cluster, emulator);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    this.#agent.destroy();
  }

  #serve(message: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(message.url ?? "/", "http://server");
    const isCrowd = message.method === "GET" && (pathname === PODS || pathname === ASSIGNED);
    if (!isCrowd) return this.#forward(message, response);
    if (searchParams.get("watch") === "true" || searchParams.get("watch") === "1")
      return this.#watch(pathname, response);
    this.#list(pathname, searchParams, response);
  }

  #list(path: string, query: URLSearchParams, response: ServerResponse): void {
    const from = Number(query.get("continue") ?? 0);
    const to = Math.min(this.pods, from + (Number(query.get("limit")) || this.pods));
    const made = Array.from({ length: to - from }, (_, index) =>
      path === PODS ? this.#cluster.pod(from + index) : this.#cluster.assigned(from + index),
    );
    const more = to < this.pods ? { continue: String(to), remainingItemCount: this.pods - to } : {};
    response.setHeader("content-type", "application/json");
    response.end(
      JSON.stringify({ ...kinds(path, "List"), metadata: { resourceVersion: VERSION, ...more }, items: made }),
    );
  }

  #watch(path: string, response: ServerResponse): void {
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    const bookmark = { type: "BOOKMARK", object: { ...kinds(path), metadata: { resourceVersion: VERSION } } };
    const timer = setInterval(() => response.write(`${JSON.stringify(bookmark)}\n`), BOOKMARK_MS);
    response.once("close", () => clearInterval(timer));
  }

  #forward(message: IncomingMessage, response: ServerResponse): void {
    const { method, headers, url } = message;
    const onward = request(
      `${this.#emulator.url}${url}`,
      { method, headers: { ...headers, host: new URL(this.#emulator.url).host }, agent: this.#agent },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        response.flushHeaders();
        answer.pipe(response);
      },
    );
    onward.once("error", () => response.destroy());
    response.once("close", () => onward.destroy());
    message.pipe(onward);
  }
}

function kinds(path: string, suffix = ""): { readonly apiVersion: string; readonly kind: string } {
  return path === PODS
    ? { apiVersion: "v1", kind: `Pod${suffix}` }
    : { apiVersion: API_VERSION, kind: `AzureAssignedIdentity${suffix}` };
}
