import type { Clock } from "@podid/imds-proxy";
import type { Log } from "@podid/kube";
import type { Inheritance, MeetingPoint, Visitor } from "./meeting-point.ts";
import type { Lock } from "./node-lock.ts";

/** What the process is to the node's rules. */
export type Role =
  /** Another process writes them. */
  | "waiting"
  | "writer"
  /** A successor writes them; connections that began here are still answered. */
  | "superseded";

export interface SuccessionOptions {
  readonly lock: Lock;
  /** Without one, a running node agent cannot be asked, only waited for. */
  readonly meetingPoint: Pick<MeetingPoint, "open" | "close" | "visit"> | undefined;
  readonly clock: Pick<Clock, "setTimeout">;
  readonly log: Log;
  /** Why nobody should be asked to make way yet; undefined: this process can serve. */
  readonly unprepared: () => string | undefined;
  /** The rules are this process's from now on. */
  readonly onWriter: () => Promise<void>;
  /** They are another's; nothing is written any more when it resolves. */
  readonly onSuperseded: () => Promise<Inheritance>;
  readonly onInherit: (inheritance: Inheritance) => void;
}

const AGAIN_MS = 500;

/** Sees to it that one process of a node writes its rules, and that they pass to a successor while both serve. */
export class Succession {
  readonly #options: SuccessionOptions;
  #role: Role = "waiting";
  #obstacle = "another node agent holds this node's rules";
  #predecessor: Visitor["connection"] | undefined;
  #stopped = false;
  #timer: { cancel(): void } | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: SuccessionOptions) {
    this.#options = options;
  }

  get role(): Role {
    return this.#role;
  }

  /** Why it does not write the rules though it should. */
  get problem(): string | undefined {
    return this.#role === "waiting" ? this.#obstacle : undefined;
  }

  /** Resolves after the first attempt: alone on its node it is the writer then. */
  start(): Promise<void> {
    return this.#run(() => this.#advance());
  }

  /** The lock stays with a writer until `finish` has resolved. */
  async stop(finish: (role: Role) => Promise<void>): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#options.meetingPoint?.close();
    await this.#running;
    await finish(this.#role);
    await this.#options.lock.release();
    this.#predecessor?.destroy();
  }

  #run(step: () => Promise<void>): Promise<void> {
    const next = this.#running.then(() => (this.#stopped ? undefined : step()));
    this.#running = next.catch((error: unknown) => {
      const obstacle = error instanceof Error ? error.message : String(error);
      // It is tried twice a second; the same again says nothing new.
      if (obstacle !== this.#obstacle)
        this.#options.log.error({ error: obstacle }, "the hand-over of the node's rules failed");
      this.#obstacle = obstacle;
      this.#later();
    });
    return this.#running;
  }

  #later(): void {
    if (this.#stopped) return;
    this.#timer = this.#options.clock.setTimeout(() => void this.#run(() => this.#advance()), AGAIN_MS);
  }

  async #advance(): Promise<void> {
    if (this.#role === "writer") return;
    const { lock, meetingPoint, unprepared, onInherit, log } = this.#options;
    if (await lock.acquire()) return this.#becomeWriter();
    if (this.#role === "superseded") return this.#later();
    const missing = unprepared();
    if (meetingPoint === undefined) {
      this.#obstacle =
        "another node agent holds this node's rules and cannot be asked; give both the same --state-dir, or end the other";
    } else if (missing !== undefined) this.#obstacle = `another node agent still serves this node, until ${missing}`;
    else {
      const { inheritance, connection } = await meetingPoint.visit();
      this.#predecessor?.destroy();
      this.#predecessor = connection;
      if (await lock.acquire()) {
        log.info({}, "took the node's rules over from the running node agent");
        onInherit(inheritance);
        return this.#becomeWriter();
      }
      this.#obstacle = "the running node agent gave way, and somebody else was quicker";
    }
    this.#later();
  }

  async #becomeWriter(): Promise<void> {
    const { meetingPoint, onWriter, log } = this.#options;
    if (this.#role === "superseded") log.warn({}, "the successor is gone: the node's rules are ours again");
    this.#role = "writer";
    await onWriter();
    try {
      await meetingPoint?.open(
        () => this.#yield(),
        () => this.#later(),
      );
    } catch (error) {
      // Serving goes on; only the next upgrade has to wait for the end of this process.
      log.error({ error: String(error) }, "no successor can ask for the node's rules");
    }
  }

  async #yield(): Promise<Inheritance> {
    const { lock, onSuperseded, log } = this.#options;
    if (this.#stopped) throw new Error("shutting down");
    this.#role = "superseded";
    const inheritance = await onSuperseded();
    await lock.release();
    log.info({}, "gave the node's rules to a successor; open connections are still answered");
    return inheritance;
  }
}
