import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";

/** Between MIC and its API server: the server is gone for MIC alone, or says nothing any more, while the test goes on using it. */
export class Relay {
  readonly #server: Server;
  readonly #pairs = new Set<{ readonly client: Socket; readonly upstream: Socket }>();
  #state: "open" | "refusing" | "silent" = "open";

  private constructor(target: number) {
    this.#server = createServer((client) => {
      if (this.#state === "refusing") {
        client.resetAndDestroy();
        return;
      }
      const pair = { client, upstream: connect({ host: "127.0.0.1", port: target, noDelay: true }) };
      this.#pairs.add(pair);
      client.setNoDelay(true);
      client.pipe(pair.upstream);
      if (this.#state === "open") pair.upstream.pipe(client);
      for (const socket of [client, pair.upstream]) {
        socket.on("error", () => {});
        socket.once("close", () => {
          this.#pairs.delete(pair);
          client.destroy();
          pair.upstream.destroy();
        });
      }
    });
  }

  static async to(target: number): Promise<Relay> {
    const relay = new Relay(target);
    relay.#server.listen(0, "127.0.0.1");
    await once(relay.#server, "listening");
    return relay;
  }

  get url(): string {
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Every connection is reset, and every new one. */
  refuse(): void {
    this.#state = "refusing";
    for (const { client } of this.#pairs) client.resetAndDestroy();
  }

  /** Connections stay open, new ones too, and nothing comes back on them. */
  silence(): void {
    this.#state = "silent";
    for (const { client, upstream } of this.#pairs) upstream.unpipe(client);
  }

  open(): void {
    if (this.#state === "silent") for (const { client, upstream } of this.#pairs) upstream.pipe(client);
    this.#state = "open";
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const { client } of this.#pairs) client.destroy();
    await once(this.#server, "close");
  }
}
