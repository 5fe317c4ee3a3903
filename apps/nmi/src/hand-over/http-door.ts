import { imdsServer, normalizeAddress } from "@podid/imds-proxy";
import type { ImdsProxyOptions } from "@podid/imds-proxy";
import type { Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Door } from "./doors.ts";

export interface HttpDoorOptions {
  readonly host: string;
  readonly port: number;
  readonly proxy: Omit<ImdsProxyOptions, "closing">;
}

const MAX_CONNECTIONS = 16_384;
/** Far more than one pod's SDKs open, and few enough that no pod takes the places of all others, or NMI's memory. */
const MAX_PER_ADDRESS = 1_024;

/** Opens doors for pods' requests, and knows who has come through them. */
export class HttpDoors {
  readonly #connections = new Set<Socket>();
  readonly #byAddress = new Map<string, number>();
  readonly #perAddress: number;
  readonly #refused: (address: string) => void;

  /** @param o.refused told of every connection that is ended at once, because its address has too many */
  constructor(o: { readonly perAddress?: number; readonly refused?: (address: string) => void } = {}) {
    this.#perAddress = o.perAddress ?? MAX_PER_ADDRESS;
    this.#refused = o.refused ?? (() => undefined);
  }

  /** @throws an error with code EADDRINUSE when the port is taken */
  async open({ host, port, proxy }: HttpDoorOptions): Promise<Door> {
    let retired = false;
    const own = new Set<Socket>();
    const server = imdsServer({ ...proxy, closing: () => retired });
    server.maxConnections = MAX_CONNECTIONS;
    server.prependListener("connection", (socket: Socket) => {
      const address = normalizeAddress(socket.remoteAddress ?? "");
      const others = this.#byAddress.get(address) ?? 0;
      if (others >= this.#perAddress) {
        socket.resetAndDestroy();
        this.#refused(address);
        return;
      }
      this.#byAddress.set(address, others + 1);
      own.add(socket);
      this.#connections.add(socket);
      socket.once("close", () => {
        own.delete(socket);
        this.#connections.delete(socket);
        this.#left(address);
      });
    });
    await listening(server, host, port);
    return {
      port: (server.address() as AddressInfo).port,
      retire: (to) => void (retired = to),
      connections: () => own.size,
      close: () => new Promise((resolve) => server.close(() => resolve())),
    };
  }

  #left(address: string): void {
    const others = (this.#byAddress.get(address) ?? 0) - 1;
    if (others > 0) this.#byAddress.set(address, others);
    else this.#byAddress.delete(address);
  }

  /** Ends the connections from that address: it belongs to another pod now. */
  closeFrom(address: string): void {
    for (const socket of this.#connections)
      if (normalizeAddress(socket.remoteAddress ?? "") === address) socket.destroy();
  }
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
