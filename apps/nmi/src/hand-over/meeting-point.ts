import { chmod, mkdir, rm, stat } from "node:fs/promises";
import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { join } from "node:path";

/** What the former writer of the rules gives its successor. */
export interface Inheritance {
  /** As the token broker exports them; undefined: none. */
  readonly tokens?: unknown;
}

export interface Visitor {
  readonly inheritance: Inheritance;
  /** Closing it tells the former writer that its successor is no more. */
  readonly connection: Socket;
}

export interface MeetingPointOptions {
  /** Of root alone, and the same for all node agents of a node. */
  readonly directory: string;
  readonly timeoutMs?: number;
}

const QUESTION = '{"kind":"take-over","version":1}\n';
/** 110 pods with 20 tokens of 2 kB each are 5 MB; whoever sends more is no node agent. */
const LONGEST = 64 << 20;

/**
 * Where a node agent and its successor meet: a unix socket in a directory that only root may enter. That directory is
 * what says who may ask, because Node cannot ask the kernel for a peer's credentials.
 */
export class MeetingPoint {
  readonly #directory: string;
  readonly #path: string;
  readonly #timeoutMs: number;
  #server: Server | undefined;

  constructor(options: MeetingPointOptions) {
    this.#directory = options.directory;
    this.#path = join(options.directory, "nmi.sock");
    this.#timeoutMs = options.timeoutMs ?? 10_000;
  }

  /**
   * Waits for a successor; only the holder of the lock may. `yieldRules` must have stopped writing rules when it
   * resolves. `left` is told when the successor that was answered is gone.
   * @throws when the directory cannot be made private or the socket cannot be made
   */
  async open(yieldRules: () => Promise<Inheritance>, left: () => void): Promise<void> {
    await this.#makePrivate();
    // The lock says that nobody listens there any more; what is left is of a process that was killed.
    await rm(this.#path, { force: true });
    const server = createServer((socket) => this.#receive(socket, yieldRules, left));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#path, resolve);
    });
    await chmod(this.#path, 0o600);
    this.#server = server;
  }

  /** Nobody is received any more; a successor that was answered stays connected. */
  close(): void {
    // Closing also removes the socket's file.
    this.#server?.close();
    this.#server = undefined;
  }

  /**
   * Asks the holder of the lock to give it up.
   * @throws when nobody answers, or not in time
   */
  visit(): Promise<Visitor> {
    return new Promise((resolve, reject) => {
      const connection = connect(this.#path);
      const fail = (error: Error): void => {
        connection.destroy();
        reject(error);
      };
      connection.setTimeout(this.#timeoutMs, () => fail(new Error("the running node agent does not answer")));
      connection.once("error", fail);
      connection.once("close", () => fail(new Error("the running node agent hung up")));
      connection.once("connect", () => connection.write(QUESTION));
      readLine(connection, (line) => {
        const inheritance = readAnswer(line);
        if (inheritance === undefined)
          return fail(new Error("the running node agent gave no answer that is known here"));
        connection.setTimeout(0);
        connection.removeAllListeners("close");
        connection.on("error", () => undefined);
        // What matters from here on is only that it stays open.
        connection.resume().unref();
        resolve({ inheritance, connection });
      });
    });
  }

  #receive(socket: Socket, yieldRules: () => Promise<Inheritance>, left: () => void): void {
    socket.on("error", () => undefined);
    socket.setTimeout(this.#timeoutMs, () => socket.destroy());
    readLine(socket, (line) => {
      // Of two successors only the first is answered; the other finds the lock taken and comes again.
      if (line !== QUESTION.trimEnd() || this.#server === undefined) return void socket.destroy();
      this.close();
      socket.setTimeout(0);
      yieldRules().then(
        (inheritance) => {
          socket.once("close", left);
          socket.resume().unref();
          if (socket.destroyed) left();
          else socket.write(`${JSON.stringify({ kind: "yours", ...inheritance })}\n`);
        },
        () => {
          socket.destroy();
          left();
        },
      );
    });
  }

  async #makePrivate(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    await chmod(this.#directory, 0o700);
    const { uid } = await stat(this.#directory);
    if (uid !== process.getuid?.())
      throw new Error(`--state-dir: ${this.#directory} belongs to user ${uid}; it has to be the node agent's own`);
  }
}

function readLine(socket: Socket, done: (line: string) => void): void {
  const parts: Buffer[] = [];
  let size = 0;
  const onData = (part: Buffer): void => {
    parts.push(part);
    size += part.length;
    if (size > LONGEST) return void socket.destroy();
    if (part.at(-1) !== 0x0a) return;
    socket.off("data", onData);
    done(Buffer.concat(parts).toString("utf8").trimEnd());
  };
  socket.on("data", onData);
}

function readAnswer(line: string): Inheritance | undefined {
  try {
    const answer = JSON.parse(line) as { readonly kind?: unknown; readonly tokens?: unknown };
    return answer.kind === "yours" ? { tokens: answer.tokens } : undefined;
  } catch {
    return undefined;
  }
}
