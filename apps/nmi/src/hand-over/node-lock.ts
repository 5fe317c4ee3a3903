import { createServer } from "node:net";
import type { Server } from "node:net";

/** The name of every node agent's lock; abstract sockets belong to a network, so there is one per node. */
export const NODE_LOCK = "podid.nmi.rules";

/** Whoever holds it writes the node's rules. The kernel releases it with the process, however that ends. */
export interface Lock {
  /** @returns whether it is held now */
  acquire(): Promise<boolean>;
  release(): Promise<void>;
}

/** An abstract unix socket as a lock: two processes of one network cannot listen on the same name. */
export class NodeLock implements Lock {
  readonly #path: string;
  #server: Server | undefined;

  constructor(name: string = NODE_LOCK) {
    this.#path = `\0${name}`;
  }

  /** @throws when the kernel refuses for another reason than that the name is taken */
  acquire(): Promise<boolean> {
    if (this.#server !== undefined) return Promise.resolve(true);
    // Nothing is said over it: whoever connects is a stranger.
    const server = createServer((socket) => socket.destroy());
    return new Promise((resolve, reject) => {
      server.once("error", (error: NodeJS.ErrnoException) =>
        error.code === "EADDRINUSE" ? resolve(false) : reject(error),
      );
      server.listen({ path: this.#path }, () => {
        this.#server = server;
        resolve(true);
      });
    });
  }

  async release(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
  }
}

/** For a process that is alone by construction. */
export const UNCONTESTED: Lock = { acquire: () => Promise.resolve(true), release: () => Promise.resolve() };
