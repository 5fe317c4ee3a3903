import { connect, type Server, type Socket } from "node:net";

interface Pair {
  /** Address of the client. */
  readonly peer: string;
  readonly client: Socket;
  readonly upstream: Socket;
}

/**
 * Hands the connections of listening sockets on to one port of the loopback, as the load balancer before an API server
 * does, and lets them suffer what connections suffer.
 */
export class TcpRelay {
  readonly #port: number;
  readonly #pairs = new Set<Pair>();
  readonly #stalled = new Set<Pair>();

  constructor(port: number) {
    this.#port = port;
  }

  accept(server: Server): void {
    server.on("connection", (client) => this.#relay(client));
  }

  /** Resets every connection whose client's address begins so. @returns how many */
  cut(peer = ""): number {
    const chosen = this.#from(peer);
    for (const pair of chosen) this.#end(pair);
    return chosen.length;
  }

  /** What the server says on connections that are open now stays unsaid until {@link resume}; new ones are well. */
  stall(peer = ""): void {
    for (const pair of this.#from(peer)) {
      this.#stalled.add(pair);
      pair.upstream.unpipe(pair.client);
    }
  }

  resume(): void {
    for (const { upstream, client } of this.#stalled) upstream.pipe(client, { end: false });
    this.#stalled.clear();
  }

  #from(peer: string): Pair[] {
    return [...this.#pairs].filter((pair) => pair.peer.startsWith(peer));
  }

  #relay(client: Socket): void {
    const peer = (client.remoteAddress ?? "").replace(/^::ffff:/, "");
    const upstream = connect({
      host: "127.0.0.1",
      port: this.#port,
      noDelay: true,
      ...loopbackOf(peer),
    });
    const pair = { peer, client, upstream };
    this.#pairs.add(pair);
    client.setNoDelay(true);
    client.pipe(upstream, { end: false });
    upstream.pipe(client, { end: false });
    for (const socket of [client, upstream]) {
      socket.once("error", () => this.#end(pair));
      // `end` of the upstream must not wait for what a slow client still has to read.
      socket.once("end", () => (socket === upstream ? client.end() : upstream.end()));
      socket.once("close", () => this.#closed(pair));
    }
  }

  #closed(pair: Pair): void {
    this.#pairs.delete(pair);
    this.#stalled.delete(pair);
    pair.client.destroySoon();
    pair.upstream.destroySoon();
  }

  #end(pair: Pair): void {
    this.#pairs.delete(pair);
    this.#stalled.delete(pair);
    pair.client.resetAndDestroy();
    pair.upstream.resetAndDestroy();
  }
}

/** Fabric and pods' address 10.X comes from 127.X, so that the server's audit log tells them apart. */
function loopbackOf(address: string): { readonly localAddress?: string } {
  const [, rest] = /^10\.(.+)$/.exec(address) ?? [];
  return rest === undefined ? {} : { localAddress: `127.${rest}` };
}
