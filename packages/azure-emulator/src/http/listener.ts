import { createServer as createHttpServer } from "node:http";
import type { RequestListener, Server as HttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo, Server, Socket } from "node:net";

/** An HTTP server that besides its own listening socket serves any number of sockets that others listen on. */
export class Listener {
  readonly #server: HttpServer;
  readonly #guests = new Set<Server>();
  readonly #sockets = new Set<Socket>();
  /** By `address:port` of the client. */
  readonly #tcp = new Map<string, Socket>();

  constructor(handler: RequestListener, tls?: { certificatePem: string; keyPem: string }) {
    this.#server =
      tls === undefined
        ? createHttpServer(handler)
        : createHttpsServer({ cert: tls.certificatePem, key: tls.keyPem }, handler);
    this.#server.keepAliveTimeout = 120_000;
    this.#server.on("connection", (socket: Socket) => this.#track(socket));
    this.#server.on("secureConnection", (socket: Socket) => {
      const beneath = this.#tcp.get(peerOf(socket));
      if (beneath !== undefined) tcpBeneath.set(socket, beneath);
    });
    // A client that does not trust the certificate, or hangs up, is no event worth ending the process for.
    this.#server.on("tlsClientError", () => undefined);
    this.#server.on("clientError", (_error, socket) => socket.destroy());
  }

  /** @returns the port. */
  async listen(host: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
    return (this.#server.address() as AddressInfo).port;
  }

  /** Serves what `guest`, already listening, accepts; it is closed with this listener. */
  accept(guest: Server): void {
    this.#guests.add(guest);
    guest.on("connection", (socket: Socket) => this.#server.emit("connection", socket));
    guest.on("close", () => this.#guests.delete(guest));
  }

  async close(): Promise<void> {
    const closing = [...this.#guests, this.#server]
      .filter((server) => server.listening)
      .map((server) => closed(server));
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(closing);
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    const peer = peerOf(socket);
    this.#tcp.set(peer, socket);
    socket.on("close", () => {
      this.#sockets.delete(socket);
      if (this.#tcp.get(peer) === socket) this.#tcp.delete(peer);
    });
    socket.on("error", () => socket.destroy());
  }
}

const tcpBeneath = new WeakMap<Socket, Socket>();

/** Ends a connection with a RST. A TLS socket cannot do that itself; the TCP socket beneath it can. */
export function resetConnection(socket: Socket): void {
  (tcpBeneath.get(socket) ?? socket).resetAndDestroy();
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress}:${remotePort}`;
}

function closed(server: Server | HttpServer): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
