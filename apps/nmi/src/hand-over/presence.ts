import type { Clock } from "@podid/imds-proxy";
import type { NodeRules } from "@podid/iptables";
import type { Log } from "@podid/kube";
import { RulesKeeper } from "../rules-keeper.ts";
import { Doors } from "./doors.ts";
import type { Door } from "./doors.ts";
import type { Inheritance, MeetingPoint } from "./meeting-point.ts";
import type { Lock } from "./node-lock.ts";
import { Succession } from "./succession.ts";

export interface PresenceOptions {
  readonly rules: Pick<NodeRules, "ensure" | "remove" | "change">;
  readonly lock: Lock;
  readonly meetingPoint: MeetingPoint | undefined;
  /** A listening server that is answered on. @throws an error with code EADDRINUSE when the port is taken */
  readonly openDoor: (port: number) => Promise<Door>;
  readonly port: number;
  readonly handOverPort: number;
  readonly rulesIntervalMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Why nobody should be asked to make way for this process yet. */
  readonly unprepared: () => string | undefined;
  readonly onRepair: () => void;
  /** Chains to be filled anew; called before each look at the rules. */
  readonly rewrite?: () => Promise<ReadonlySet<string>>;
  readonly exportTokens?: () => unknown;
  readonly importTokens?: (tokens: unknown) => void;
}

export interface Farewell {
  /** Whether the rules go as well. */
  readonly uninstalling: boolean;
  /** Ends the wait of requests that wait. */
  readonly drain: () => void;
  /** When it is called if nobody else serves this node. */
  readonly drainMs: number;
  /** When it is called if a successor does; new requests go there, so that these may wait as long as they would. */
  readonly patientMs: number;
}

/** For a request that is on its way on an idle connection. */
const IDLE_MS = 10_000;

/** One process on its node: where it listens, whether the rules are its to write, and where they lead. */
export class Presence {
  readonly #options: PresenceOptions;
  readonly #keeper: RulesKeeper;
  readonly #doors: Doors;
  readonly #succession: Succession;

  constructor(options: PresenceOptions) {
    this.#options = options;
    const { rules, clock, log, rewrite } = options;
    this.#keeper = new RulesKeeper({
      rules,
      clock,
      intervalMs: options.rulesIntervalMs,
      log,
      onRepair: options.onRepair,
      ...(rewrite && { rewrite }),
    });
    this.#doors = new Doors({
      open: options.openDoor,
      home: options.port,
      spare: options.handOverPort,
      leadHome: async () => {
        await this.#lead(options.port, "write");
        return this.#keeper.problem === undefined;
      },
      clock,
      log,
    });
    this.#succession = new Succession({
      lock: options.lock,
      meetingPoint: options.meetingPoint,
      clock,
      log,
      unprepared: options.unprepared,
      onWriter: () => this.#write(),
      onSuperseded: () => this.#giveWay(),
      onInherit: ({ tokens }) => options.importTokens?.(tokens),
    });
  }

  /** Where pods' requests are served. */
  get port(): number {
    return this.#doors.port;
  }

  /** Why the rules may not lead here; undefined when they do, or to a successor. */
  get problem(): string | undefined {
    const { role, problem } = this.#succession;
    return role === "writer" ? this.#keeper.problem : problem;
  }

  /** Listens first, then puts the rules in, if they are this process's. @throws when nothing can be listened on */
  async start(): Promise<void> {
    await this.#doors.open();
    await this.#succession.start();
  }

  /** Answers what is under way, and leaves the rules as whoever comes next needs them. */
  async stop(farewell: Farewell): Promise<void> {
    const { clock, log } = this.#options;
    this.#doors.retire(true);
    let superseded = false;
    await this.#succession.stop(async (role) => {
      superseded = role === "superseded";
      if (role === "writer") {
        await this.#leaveRules(farewell.uninstalling).catch((error: unknown) =>
          log.error({ error: String(error) }, "the iptables rules could not be left as they should be"),
        );
      }
    });
    const drain = clock.setTimeout(farewell.drain, superseded ? farewell.patientMs : farewell.drainMs);
    await this.#doors.close(superseded ? IDLE_MS : 0);
    drain.cancel();
  }

  async #write(): Promise<void> {
    this.#doors.retire(false);
    this.#follow();
    this.#keeper.expectChange();
    await this.#keeper.start();
    this.#doors.goHome();
  }

  async #giveWay(): Promise<Inheritance> {
    await this.#doors.stay();
    await this.#keeper.stop();
    this.#doors.retire(true);
    return { tokens: this.#options.exportTokens?.() };
  }

  async #leaveRules(uninstalling: boolean): Promise<void> {
    const { rules, port, log } = this.#options;
    await this.#doors.stay();
    await this.#keeper.stop();
    if (uninstalling) {
      log.warn({}, "podid is being uninstalled: removing the iptables rules");
      await rules.remove();
    } else if (!this.#doors.atHome) {
      // Whoever listens there, aad-pod-identity's NMI or our next start, has to be reached.
      rules.change({ targetPort: port, sharedChain: "leave" });
      await rules.ensure();
    }
  }

  #follow(): void {
    const { port, atHome } = this.#doors;
    // Whoever holds the usual port may also look after the chain that leads there.
    this.#options.rules.change({ targetPort: port, sharedChain: atHome ? "write" : "leave" });
  }

  async #lead(targetPort: number, sharedChain: "write" | "leave"): Promise<void> {
    this.#options.rules.change({ targetPort, sharedChain });
    this.#keeper.expectChange();
    await this.#keeper.look();
  }
}
