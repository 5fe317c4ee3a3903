import type { Clock } from "@podid/imds-proxy";
import type { Log } from "@podid/kube";

/** One listening address with its connections. */
export interface Door {
  readonly port: number;
  /** Whether answers end their connections from now on. */
  retire(retired: boolean): void;
  /** Open connections. */
  connections(): number;
  /** Takes no more connections, ends idle ones and resolves when the others have had their answers. */
  close(): Promise<void>;
}

export interface DoorsOptions {
  /** @throws an error with code EADDRINUSE when the port is taken */
  readonly open: (port: number) => Promise<Door>;
  /** Where the rules normally lead. */
  readonly home: number;
  /** Where to listen while somebody else is at home; taken as well: any free port. */
  readonly spare: number;
  /** Makes the rules lead home. @returns whether they do */
  readonly leadHome: () => Promise<boolean>;
  readonly clock: Pick<Clock, "setTimeout" | "monotonicMs">;
  readonly log: Log;
}

const HOME_AGAIN_MS = 500;
/** Connections that were on their way to the old port when the rules changed arrive within this time. */
const LATE_ARRIVALS_MS = 2_000;
const IDLE_MS = 10_000;
const LOOK_MS = 50;

/** Where the process listens: at home, or next door while an older process, or aad-pod-identity's NMI, is still there. */
export class Doors {
  readonly #options: DoorsOptions;
  #current: Door | undefined;
  /** At home already, while the rules may still lead to the other one. */
  #next: Door | undefined;
  readonly #leaving = new Set<Promise<void>>();
  #timer: { cancel(): void } | undefined;
  #moving: Promise<void> = Promise.resolve();
  #staying = true;

  constructor(options: DoorsOptions) {
    this.#options = options;
  }

  /** Where the rules have to lead. */
  get port(): number {
    return this.#current?.port ?? 0;
  }

  get atHome(): boolean {
    return this.#options.home === 0 || this.port === this.#options.home;
  }

  /** @throws when no address can be listened on */
  async open(): Promise<void> {
    const { home, spare, open, log } = this.#options;
    for (const port of [home, spare, 0]) {
      this.#current = await ifFree(open(port));
      if (this.#current === undefined) continue;
      if (!this.atHome)
        log.warn({ port: this.port, home }, "the port is taken; listening on another one until it is free");
      return;
    }
  }

  /** Moves home as soon as that is free. Only for the writer of the rules. */
  goHome(): void {
    this.#staying = false;
    this.#schedule();
  }

  /** Stays where it is; resolves when no move is under way any more. */
  async stay(): Promise<void> {
    this.#staying = true;
    this.#timer?.cancel();
    await this.#moving;
  }

  /** Whether answers end their connections from now on. */
  retire(retired: boolean): void {
    this.#current?.retire(retired);
    this.#next?.retire(retired);
  }

  /** @param patientMs how long idle connections may stay, for a request that is on its way */
  async close(patientMs: number): Promise<void> {
    await this.stay();
    for (const door of [this.#current, this.#next])
      if (door !== undefined) this.#leaving.add(this.#leave(door, patientMs));
    await Promise.all(this.#leaving);
  }

  #schedule(): void {
    if (this.atHome || this.#staying) return;
    this.#timer?.cancel();
    this.#timer = this.#options.clock.setTimeout(() => {
      this.#moving = this.#move().catch((error: unknown) =>
        this.#options.log.error({ error: String(error) }, "could not move to the usual port"),
      );
      void this.#moving.then(() => this.#schedule());
    }, HOME_AGAIN_MS);
  }

  async #move(): Promise<void> {
    const { home, open, leadHome, clock, log } = this.#options;
    this.#next ??= await ifFree(open(home));
    // Once it listens there it stays: nobody can tell where rules lead whose change has failed.
    if (this.#next === undefined || !(await leadHome())) return;
    const old = this.#current;
    this.#current = this.#next;
    this.#next = undefined;
    log.info({ port: home }, "moved to the usual port");
    if (old === undefined) return;
    const gone = new Promise<void>((resolve) => clock.setTimeout(resolve, LATE_ARRIVALS_MS))
      .then(() => this.#leave(old, IDLE_MS))
      .finally(() => this.#leaving.delete(gone));
    this.#leaving.add(gone);
  }

  async #leave(door: Door, patientMs: number): Promise<void> {
    const { clock } = this.#options;
    door.retire(true);
    const untilMs = clock.monotonicMs() + patientMs;
    while (door.connections() > 0 && clock.monotonicMs() < untilMs)
      await new Promise<void>((resolve) => clock.setTimeout(resolve, LOOK_MS));
    await door.close();
  }
}

async function ifFree(opening: Promise<Door>): Promise<Door | undefined> {
  try {
    return await opening;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") return undefined;
    throw error;
  }
}
