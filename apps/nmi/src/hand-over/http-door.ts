import { imdsProxy, imdsServerOptions, normalizeAddress } from "@podid/imds-proxy";
import type { ImdsProxyOptions } from "@podid/imds-proxy";
import Fastify from "fastify";
import type { Socket } from "node:net";
import type { Door } from "./doors.ts";

export interface HttpDoorOptions {
  readonly host: string;
  readonly port: number;
  readonly proxy: Omit<ImdsProxyOptions, "closing">;
}

const MAX_CONNECTIONS = 16_384;

/** Opens doors for pods' requests, and knows who has come through them. */
export class HttpDoors {
  readonly #connections = new Set<Socket>();

  /** @throws an error with code EADDRINUSE when the port is taken */
  async open({ host, port, proxy }: HttpDoorOptions): Promise<Door> {
    let retired = false;
    const own = new Set<Socket>();
    const app = Fastify(imdsServerOptions());
    await app.register(imdsProxy, { ...proxy, closing: () => retired });
    app.server.maxConnections = MAX_CONNECTIONS;
    app.server.on("connection", (socket: Socket) => {
      own.add(socket);
      this.#connections.add(socket);
      socket.once("close", () => {
        own.delete(socket);
        this.#connections.delete(socket);
      });
    });
    try {
      await app.listen({ host, port });
    } catch (error) {
      await app.close();
      throw error;
    }
    const address = app.server.address();
    return {
      port: typeof address === "object" && address !== null ? address.port : port,
      retire: (to) => void (retired = to),
      connections: () => own.size,
      close: () => app.close(),
    };
  }

  /** Ends the connections from that address: it belongs to another pod now. */
  closeFrom(address: string): void {
    for (const socket of this.#connections)
      if (normalizeAddress(socket.remoteAddress ?? "") === address) socket.destroy();
  }
}
