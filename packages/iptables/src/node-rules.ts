import { readBackend, readBackends, type Backend, type SavedBackend } from "./backend.ts";
import { flushMetadataConntrack, type ConntrackFlush } from "./conntrack.ts";
import { desiredAbsence, desiredRules, guardRules, type DesiredRules } from "./desired-rules.ts";
import type { Exec } from "./exec.ts";
import { IptablesError } from "./iptables-error.ts";
import { planRestore, type PlanOptions } from "./restore-plan.ts";
import type { RuleOptions } from "./rule-options.ts";

/** The part of a pino logger that is used. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** Another program may change the rules between our look and our restore; then we look again. */
const ATTEMPTS = 3;
const LOCK_WAIT_SECONDS = 10;

/** Keeps one node's rules as desired. Calls are serialised, so that two never restore over each other. */
export class NodeRules {
  readonly #exec: Exec;
  #options: RuleOptions;
  #desired: DesiredRules;
  readonly #log: Log | undefined;
  /** Decided once: our own rules would tip the balance of a later decision. */
  #active: Backend | undefined;
  #queue: Promise<unknown> = Promise.resolve();

  /** @throws TypeError when an option of `rules` is wrong. */
  constructor(o: { readonly exec: Exec; readonly rules: RuleOptions; readonly log?: Log }) {
    this.#exec = o.exec;
    this.#options = o.rules;
    this.#desired = desiredRules(o.rules);
    this.#log = o.log;
  }

  /**
   * Puts the rules in or repairs them: guard first, then the redirect, then conntrack is flushed. Rules of ours in the
   * backend that the node does not use are taken out. Identical rules are not touched, but for chains to rewrite.
   *
   * @throws IptablesError when a program fails or the rules do not hold after three attempts.
   */
  ensure(options?: PlanOptions): Promise<{ changed: boolean }> {
    return this.#serial(async () => {
      const { active, other } = await this.#read();
      const changed = await this.#converge(active, this.#desired, options);
      if (other) await this.#converge(other, desiredAbsence(this.#options));
      if (changed) await this.#flush();
      return { changed };
    });
  }

  /** Puts in or repairs only what refuses, and leaves a redirect as it is; else as {@link ensure}. */
  ensureGuard(): Promise<{ changed: boolean }> {
    return this.#serial(async () => {
      const changed = await this.#converge((await this.#read()).active, guardRules(this.#options));
      if (changed) await this.#flush();
      return { changed };
    });
  }

  /**
   * From now on other options, of which the next {@link ensure} makes rules: a changed target is swapped in one
   * transaction, and connections stay with the target that they began with.
   *
   * @throws TypeError when an option is wrong.
   */
  change(options: Partial<RuleOptions>): void {
    const next = { ...this.#options, ...options };
    this.#desired = desiredRules(next);
    this.#options = next;
  }

  /** Whether the rules are as desired; changes nothing. */
  check(): Promise<boolean> {
    return this.#serial(async () => planRestore(this.#desired, (await this.#read()).active.saved) === undefined);
  }

  /** Takes out everything of ours from every backend: the redirect first, the guard last. */
  remove(): Promise<void> {
    return this.#serial(async () => {
      const { active, other } = await this.#read();
      const absence = desiredAbsence(this.#options);
      await this.#converge(active, absence);
      if (other) await this.#converge(other, absence);
    });
  }

  /** Forgets connections to raw IMDS; without a `conntrack` program it warns and reports so. */
  flushConntrack(): Promise<ConntrackFlush> {
    return this.#serial(() => this.#flush());
  }

  async #flush(): Promise<ConntrackFlush> {
    const flush = await flushMetadataConntrack(this.#exec, this.#options.metadataIp, this.#options.metadataPort);
    if (flush.available) this.#log?.info({ deleted: flush.deleted }, "flushed conntrack entries of raw IMDS");
    else
      this.#log?.warn(
        {},
        "conntrack is not installed: connections to raw IMDS from before the rules are reset by the guard instead",
      );
    return flush;
  }

  async #read(): Promise<{ active: SavedBackend; other: SavedBackend | undefined }> {
    const found = await readBackends(this.#exec);
    if (this.#active === undefined) {
      this.#active = found.active.backend;
      this.#log?.info({ backend: this.#active.name }, "iptables backend chosen");
    }
    if (found.other && found.other.backend.name === this.#active.name)
      return { active: found.other, other: found.active };
    return found;
  }

  async #converge(start: SavedBackend, desired: DesiredRules, options?: PlanOptions): Promise<boolean> {
    let { saved } = start;
    let changed = false;
    let failure: IptablesError | undefined;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const plan = planRestore(desired, saved, changed ? undefined : options);
      if (plan === undefined) return changed;
      this.#log?.info({ backend: start.backend.name, changes: plan.changes }, "restoring iptables rules");
      const result = await this.#exec(start.backend.restore, ["--noflush", "-w", String(LOCK_WAIT_SECONDS)], {
        stdin: plan.text,
        timeoutMs: 60_000,
      });
      if (result.code === 0) {
        changed = true;
        failure = undefined;
      } else failure = new IptablesError(`${start.backend.restore} failed`, result.code, result.stderr);
      ({ saved } = await readBackend(this.#exec, start.backend));
    }
    const left = planRestore(desired, saved);
    if (left === undefined) return changed;
    throw (
      failure ??
      new IptablesError(`iptables rules do not stay: ${left.changes.join("; ")}; another program removes them`, 0, "")
    );
  }

  #serial<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(task, task);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}
