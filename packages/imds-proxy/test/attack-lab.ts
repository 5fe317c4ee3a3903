import { createServer } from "node:http";
import { connect } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { systemClock } from "../src/clock.ts";
import { FairLimiter } from "../src/fair-limiter.ts";
import { HttpImdsClient } from "../src/imds-client.ts";
import { ImdsForwarder } from "../src/imds-forwarder.ts";
import { imdsServer } from "../src/imds-server.ts";
import { ImdsSource } from "../src/imds-source.ts";
import { TokenBroker } from "../src/token-broker.ts";
import { TokenService } from "../src/token-service.ts";
import { candidate, FakeDirectory, identity, pod, resourceId } from "./fixtures.ts";
import { unguardedProxy } from "./unguarded-proxy.ts";

/** Addresses of the two pods; both are this machine's. */
export const ATTACKER = "127.0.0.2";
export const VICTIM = "127.0.0.3";
export const CLIENT_IDS = new Map([
  ["attacker", "aaaaaaaa-0000-4000-8000-000000000000"],
  ["victim", "bbbbbbbb-0000-4000-8000-000000000000"],
]);

export interface Door {
  readonly name: string;
  readonly port: number;
}

/**
 * Two pods on one node, their identities, an IMDS that knows both and the node's own, and two ways in: podid's proxy,
 * and one without guards. A token says whose it is in its last part: `of-victim`.
 */
export class AttackLab {
  readonly owners = new Map([
    [ATTACKER, "attacker"],
    [VICTIM, "victim"],
  ]);
  readonly bound = new Map<string, readonly string[]>([
    ["attacker", ["attacker"]],
    ["victim", ["victim"]],
  ]);
  readonly excepted = new Set<string>();
  readonly clientIds = CLIENT_IDS;
  /** Requests that reached IMDS. */
  readonly seen: string[] = [];
  imdsPort = 0;
  readonly #open: (() => Promise<unknown> | void)[] = [];
  readonly #directory = new FakeDirectory();
  #held: PromiseWithResolvers<void> | undefined;

  async close(): Promise<void> {
    this.release();
    for (const close of this.#open.splice(0).toReversed()) await close();
  }

  /** IMDS answers nothing until {@link release}. */
  hold(): void {
    this.#held = Promise.withResolvers();
  }

  release(): void {
    this.#held?.resolve();
    this.#held = undefined;
  }

  /** What the cluster says now, told to both proxies. */
  update(): void {
    this.#directory.owners.clear();
    this.#directory.standings.clear();
    for (const [address, name] of this.owners)
      this.#directory.put(address, {
        pod: pod(name),
        excepted: this.excepted.has(name),
        candidates: (this.bound.get(name) ?? []).map((each) =>
          candidate(identity(each, { clientID: CLIENT_IDS.get(each) })),
        ),
      });
  }

  async start(): Promise<{ readonly guarded: Door; readonly unguarded: Door }> {
    const imds = createServer({ insecureHTTPParser: true }, (request, response) => {
      this.seen.push(`${request.method} ${request.url}`);
      request.resume();
      const body = this.#imds(request.url ?? "");
      const send = (): void => void response.writeHead(200, { "content-length": Buffer.byteLength(body) }).end(body);
      if (this.#held === undefined) send();
      else void this.#held.promise.then(send);
    });
    this.imdsPort = await this.listen(imds);
    this.update();

    const client = new HttpImdsClient({ host: "127.0.0.1", port: this.imdsPort });
    this.#open.push(() => client.close());
    const limiter = new FairLimiter({ clock: systemClock, ratePerSecond: 1_000, concurrency: 10 });
    const forwarder = new ImdsForwarder({ client, metadataLimiter: limiter, tokenLimiter: limiter });
    const tokens = new TokenService({
      directory: this.#directory,
      broker: new TokenBroker({ clock: systemClock, random: Math.random, limiter }),
      forwarder,
      clock: systemClock,
      random: Math.random,
      sources: { 0: new ImdsSource({ client, clock: systemClock }) },
    });
    const server = imdsServer({ tokens, forwarder, rules: { hostToken: true } });
    const guarded = { name: "podid", port: await this.listen(server) };
    const unguarded = { name: "without guards", port: await this.listen(unguardedProxy(this)) };
    return { guarded, unguarded };
  }

  /** Closed, with its connections, at the end. */
  async listen(server: Server): Promise<number> {
    const sockets = new Set<Socket>();
    server.on("connection", (socket: Socket) => sockets.add(socket));
    this.#open.push(async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return (server.address() as AddressInfo).port;
  }

  /** As lenient as a server can be: folds slashes and dots, and takes the last of several values. */
  #imds(url: string): string {
    const target = new URL(decodeURI(url).replaceAll("\\", "/").replaceAll(/\/+/g, "/"), "http://imds");
    if (!/^\/metadata\/identity\/oauth2\/token/i.test(target.pathname)) return "{}";
    const named = target.searchParams.getAll("client_id").at(-1);
    const byResource = target.searchParams.get("msi_res_id")?.split("/").at(-1);
    const name = byResource ?? [...CLIENT_IDS].find(([, id]) => id === named)?.[0] ?? "node";
    const claims = Buffer.from(JSON.stringify({ xms_mirid: resourceId(name) })).toString("base64url");
    const expires = Math.floor(Date.now() / 1000) + 86_400;
    return JSON.stringify({
      access_token: `h.${claims}.of-${name}`,
      client_id: CLIENT_IDS.get(name) ?? "",
      expires_in: "86400",
      expires_on: String(expires),
      ext_expires_in: "86400",
      not_before: String(expires - 86_400),
      resource: target.searchParams.get("resource") ?? "",
      token_type: "Bearer",
    });
  }
}

/** A connection from one of the pods. */
export class Connection {
  readonly #socket: Socket;
  readonly #ended: Promise<void>;
  #text = "";
  #wake = Promise.withResolvers<void>();
  closed = false;

  constructor(port: number, from: string) {
    this.#socket = connect({ port, host: "127.0.0.1", localAddress: from });
    this.#socket.setEncoding("latin1");
    this.#socket.on("data", (chunk: string) => {
      this.#text += chunk;
      this.#wake.resolve();
      this.#wake = Promise.withResolvers();
    });
    this.#socket.on("error", () => undefined);
    this.#ended = new Promise((resolve) =>
      this.#socket.once("close", () => {
        this.closed = true;
        this.#wake.resolve();
        resolve();
      }),
    );
  }

  write(text: string): void {
    if (!this.#socket.destroyed) this.#socket.write(text, "latin1");
  }

  /** Everything that has come, as soon as it is that many answers or the other side has closed. */
  async answers(count = 1): Promise<string> {
    while (complete(this.#text) < count && !this.closed) await this.#wake.promise;
    return this.#text;
  }

  /** Everything that comes until the other side closes. */
  async rest(): Promise<string> {
    await this.#ended;
    return this.#text;
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** How many complete answers a text begins with. */
function complete(text: string): number {
  let count = 0;
  for (let rest = text; ; count++) {
    const end = rest.indexOf("\r\n\r\n");
    if (end < 0) return count;
    const head = rest.slice(0, end);
    const length = /^content-length: (\d+)/im.exec(head)?.[1];
    const chunked = /^transfer-encoding: chunked/im.test(head) ? rest.indexOf("0\r\n\r\n", end + 4) : -1;
    const size = length !== undefined ? end + 4 + Number(length) : chunked < 0 ? Infinity : chunked + 5;
    if (rest.length < size) return count;
    rest = rest.slice(size);
  }
}
