import { isSettled } from "@podid/azure-assigner";
import type {
  ArmProblem,
  Assigner,
  AssignOutcome,
  AssignRequest,
  ComputeState,
  IdentityRef,
  LedgerStore,
} from "@podid/azure-assigner";
import type { NodeGroup } from "@podid/crd-types";
import type { Clock } from "@podid/kube";
import type { Logger } from "@podid/service";
import { FENCED_MS } from "../fenced.ts";
import { isAttachable } from "../assigned/is-attachable.ts";
import { pair } from "../assigned/pairing.ts";
import { hasFinalizer } from "../assigned/record.ts";
import type { Scope, World } from "../world.ts";
import type { Lingering } from "./lingering.ts";
import { noted } from "./noted.ts";
import { backoffMs } from "./observation.ts";
import type { Observation, Observations } from "./observation.ts";
import { planLines } from "./plan-lines.ts";
import type { Protection } from "./protection.ts";

export type AdoptionMode = "all" | "assigned" | "none";

export interface AttacherOptions {
  readonly world: World;
  readonly observations: Observations;
  readonly assigner: Assigner;
  readonly ledgers: LedgerStore & {
    ownsAnything(groupKey: string): boolean;
    removeIdle(group: NodeGroup): Promise<void>;
  };
  readonly protection: Protection;
  /** What stays attached although nobody needs it any more. */
  readonly lingering?: Lingering;
  readonly log: Logger;
  readonly clock: Clock;
  /** Which AzureAssignedIdentities of upstream's controller tell what it attached. */
  readonly adoptUpstream: AdoptionMode;
  readonly forceNamespaced: boolean;
  readonly dryRun: boolean;
  /** Leader epoch. */
  readonly epoch: () => number;
  /** Why nothing may be written any more. */
  readonly fenced: () => string | undefined;
  /** A ledger has a higher epoch than this leader's, although the Lease is beyond doubt ours. */
  readonly onOutrun?: () => void;
  /** More is known of the protected identities. */
  readonly onProtectedSeen?: () => void;
  /** The group's objects may be brought up to date. */
  readonly onSeen: (groupKey: string) => void;
}

/** Brings ARM to what a group's pods need and notes what it saw. One call per group at a time. */
export class Attacher {
  readonly #o: AttacherOptions;
  /** Raised whenever something is begun or ended with a group, by its key. */
  readonly #turns = new Map<string, number>();
  readonly #active = new Set<string>();

  constructor(options: AttacherOptions) {
    this.#o = options;
  }

  async attach(groupKey: string, signal: AbortSignal): Promise<{ requeueAfterMs: number } | undefined> {
    this.#active.add(groupKey);
    try {
      return await this.#attach(groupKey, signal);
    } finally {
      this.#active.delete(groupKey);
      this.#turns.set(groupKey, this.turn(groupKey) + 1);
    }
  }

  /** Whether a group has anything to do with ARM: identities that pods need attached, objects that tell of such, or something of ours. */
  concerns(groupKey: string): boolean {
    const { world, ledgers } = this.#o;
    const scope = world.scope(groupKey);
    return (
      ledgers.ownsAnything(groupKey) ||
      world.assignedIn(scope).some(({ resourceKey }) => resourceKey !== undefined) ||
      world.assignmentsIn(scope).some(({ identity }) => isAttachable(identity.spec)) ||
      world.reservationsIn(scope).length > 0
    );
  }

  /** Forgets machines that have left the cluster and have nothing of ours. @returns their keys */
  forgetGone(): string[] {
    const { world, observations } = this.#o;
    const gone = [...new Set([...this.#turns.keys(), ...[...observations.entries()].map(([key]) => key)])].filter(
      (key) => !this.#active.has(key) && world.scope(key).nodeNames.length === 0 && !this.concerns(key),
    );
    for (const key of gone) {
      this.#turns.delete(key);
      observations.delete(key);
    }
    return gone;
  }

  /** Tells whether anything was done with the group between two moments. */
  turn(groupKey: string): number {
    return this.#turns.get(groupKey) ?? 0;
  }

  /**
   * Compares a group with what a list of many says of it, which costs no request.
   * @param turn of the group before the list was asked for: what was done since, the list may not know
   * @returns false when the group needs a closer look
   */
  async compare(groupKey: string, state: ComputeState, turn: number): Promise<boolean> {
    const { world, ledgers, observations, clock } = this.#o;
    const scope = world.scope(groupKey);
    if (scope.group === undefined || this.#o.dryRun) return false;
    const { ledger } = await ledgers.load(scope.group);
    // Somebody is looking at it, or has just looked.
    if (this.#active.has(groupKey) || this.turn(groupKey) !== turn) return true;
    if (!isSettled(this.#request(scope), ledger, state, clock.now())) return false;
    const owned = new Set(Object.keys(ledger.entries));
    const outcome = { kind: "converged", state, owned, refused: new Map(), deferred: new Map(), requests: 0 } as const;
    if (observations.of(groupKey).blocked !== undefined) return false;
    this.#note(groupKey, outcome, false);
    return true;
  }

  async #attach(groupKey: string, signal: AbortSignal): Promise<{ requeueAfterMs: number } | undefined> {
    const { world, assigner, observations, log, dryRun } = this.#o;
    const scope = world.scope(groupKey);
    const { group } = scope;
    if (group === undefined) return undefined;
    if (!this.concerns(groupKey)) {
      observations.delete(groupKey);
      await this.#tidy(groupKey, group);
      return undefined;
    }

    const outcome = await assigner.assign({
      group,
      ...this.#request(scope),
      suspects: () => this.#suspects(scope.key),
      fenced: this.#o.fenced,
      dryRun,
      signal,
      onPlan: (plan) => {
        const assigned = world.assignedIn(world.scope(groupKey));
        for (const line of planLines(plan, { name: group.name, assigned, dryRun })) log.info({}, line);
      },
      onAdopt: (keys) =>
        log.info(
          { group: group.id, identities: keys },
          `${dryRun ? "dry run: would be " : ""}taking over ${keys.length} identities that aad-pod-identity attached to ${group.name}`,
        ),
      onDetaching: (keys) => observations.forget(groupKey, keys),
      onProgress: (progress) => {
        this.#note(groupKey, progress, false);
        this.#o.onSeen(groupKey);
      },
    });
    if (outcome.problem?.kind === "gone") await this.#machineGone(scope, outcome.problem);
    else this.#note(groupKey, outcome, true);
    // What was done is in no ledger yet, and the term may last: a clock that jumps, or a late renewal, fences for a moment only.
    if (!dryRun && this.#o.fenced() !== undefined) return { requeueAfterMs: FENCED_MS };
    if (outcome.kind === "fenced") return this.#outrun(group);
    if (outcome.kind === "converged") await this.#tidy(groupKey, group);
    // In a dry run the objects stay as they are: looking at them again would only ask ARM again.
    if (!dryRun) this.#o.onSeen(groupKey);
    return this.#nextLook(groupKey, outcome);
  }

  /** A machine without nodes leaves nothing behind once nothing of ours is there. */
  async #tidy(groupKey: string, group: NodeGroup): Promise<void> {
    const { world, ledgers, dryRun, fenced } = this.#o;
    if (dryRun || fenced() !== undefined || world.scope(groupKey).nodeNames.length > 0) return;
    await ledgers.removeIdle(group);
  }

  /** Somebody restored a ledger, or the Lease was made anew: whoever holds the Lease is right, and takes a higher epoch. */
  #outrun(group: NodeGroup): { requeueAfterMs: number } {
    const { log, onOutrun } = this.#o;
    log.warn(
      { group: group.id },
      `the ledger of ${group.name} was written by a later leader than this one; taking over anew`,
    );
    onOutrun?.();
    return { requeueAfterMs: 1000 };
  }

  #request(scope: Scope): Pick<AssignRequest, "desired" | "skip" | "isProtected" | "adoptable" | "epoch"> {
    const { protection } = this.#o;
    return {
      desired: () => this.#desired(scope.key),
      skip: () => this.#skip(scope.key),
      isProtected: (identity) => protection.isProtected(identity),
      adoptable: () => this.#adoptable(scope),
      epoch: this.#o.epoch(),
    };
  }

  /** Refused before, and due: they are tried apart from the others. */
  #suspects(groupKey: string): string[] {
    const { observations, clock } = this.#o;
    const refused = [...observations.of(groupKey).refused];
    return refused.filter(([, { until }]) => until <= clock.now()).map(([key]) => key);
  }

  #desired(groupKey: string): IdentityRef[] {
    const { world } = this.#o;
    const scope = world.scope(groupKey);
    const refs: IdentityRef[] = world.reservationsIn(scope).map(({ ref }) => ref);
    for (const { identity } of world.assignmentsIn(scope)) {
      if (isAttachable(identity.spec) && identity.resourceKey !== undefined) {
        refs.push({ key: identity.resourceKey, id: identity.spec.resourceID ?? identity.resourceKey });
      }
    }
    return refs;
  }

  /**
   * What has to wait: identities that ARM refused lately; those for which no object exists yet (object first, then ARM); and those
   * whose object does not say Unassigned yet (status first, then ARM). And what lingers.
   */
  #skip(groupKey: string): Set<string> {
    const { world, observations, clock, forceNamespaced } = this.#o;
    const keys = new Set<string>();
    for (const [key, { until }] of observations.of(groupKey).refused) if (clock.now() < until) keys.add(key);
    for (const key of this.#lingering(groupKey)) keys.add(key);
    if (this.#o.dryRun) return keys;
    const scope = world.scope(groupKey);
    const { pairs, missing, surplus } = pair(world.assignmentsIn(scope), world.assignedIn(scope), forceNamespaced);
    const covered = new Set(pairs.map(({ assignment }) => assignment.identity.resourceKey));
    for (const { identity } of missing) {
      if (identity.resourceKey !== undefined && !covered.has(identity.resourceKey)) keys.add(identity.resourceKey);
    }
    for (const { resourceKey, status, deleting } of surplus) {
      if (resourceKey !== undefined && status !== "Unassigned" && !deleting && !covered.has(resourceKey))
        keys.add(resourceKey);
    }
    return keys;
  }

  /** Until the first look any identity of the cluster may be ours here. */
  #lingering(groupKey: string): ReadonlySet<string> {
    const { world, observations, lingering } = this.#o;
    if (lingering?.isOn !== true) return new Set();
    const { seenAt, owned } = observations.of(groupKey);
    const needed = new Set(this.#desired(groupKey).map(({ key }) => key));
    const keys = seenAt > 0 ? owned : world.definitions.resourceKeys;
    return lingering.held(groupKey, keys, needed, (key) => world.isGiven(key));
  }

  /** What upstream's controller attached, as its own objects tell: it detaches by them, and its Created ones may never have been attached. */
  #adoptable(scope: Scope): Set<string> {
    const { world, adoptUpstream } = this.#o;
    const keys = new Set<string>();
    if (adoptUpstream === "none") return keys;
    const statuses = adoptUpstream === "assigned" ? ["Assigned"] : ["Assigned", "Unassigned", ""];
    for (const record of world.assignedIn(scope)) {
      const { podUid, resourceKey, status } = record;
      const byUpstream = podUid === undefined && hasFinalizer(record);
      if (byUpstream && resourceKey !== undefined && statuses.includes(status)) keys.add(resourceKey);
    }
    return keys;
  }

  #note(groupKey: string, outcome: AssignOutcome, ended: boolean): void {
    const { observations, clock } = this.#o;
    const before = observations.of(groupKey);
    const next = noted(before, outcome, clock.now(), ended);
    if (this.#o.protection.saw(next.attached)) this.#o.onProtectedSeen?.();
    const blocked = outcome.problem === undefined ? undefined : this.#blocked(groupKey, outcome.problem);
    for (const [key, { problem }] of next.refused) {
      if (!before.refused.has(key) && problem.code !== "IdentityOnTrial")
        this.#o.log.warn({}, `removing ${key} from ID list since it is erroneous`);
    }
    observations.set(groupKey, { ...next, ...(blocked !== undefined && { blocked }) });
  }

  #blocked(groupKey: string, problem: ArmProblem): NonNullable<Observation["blocked"]> {
    const { world, observations, clock, log } = this.#o;
    const attempts = (observations.of(groupKey).blocked?.attempts ?? 0) + 1;
    const delayMs = problem.retryAfterMs ?? Math.min(60_000, backoffMs(attempts));
    const scope = world.scope(groupKey);
    const names = (...statuses: readonly string[]): string =>
      world
        .assignedIn(scope)
        .flatMap(({ name, status }) => (statuses.includes(status) ? [name] : []))
        .join(" ");
    log.error(
      { reason: problem.kind, code: problem.code, status: problem.status, retryInMs: delayMs },
      `failed to update user-assigned identities on node ${scope.group?.name ?? groupKey} (add [${names("Created", "")}], del [${names("Unassigned")}], update[]), error: ${problem.message}`,
    );
    return { problem, attempts, until: clock.now() + delayMs };
  }

  /**
   * The VM or scale set does not exist: nothing is attached. Its ledger goes only when its nodes are gone too: a credential for
   * the wrong tenant also meets a 404, and must not cost us the memory of what is ours.
   */
  async #machineGone(scope: Scope, problem: ArmProblem): Promise<void> {
    const { observations, ledgers, clock, fenced, dryRun } = this.#o;
    const { group, nodeNames } = scope;
    if (group !== undefined && nodeNames.length === 0 && !dryRun && fenced() === undefined) await ledgers.remove(group);
    const blocked = this.#blocked(scope.key, problem);
    observations.set(scope.key, {
      seenAt: clock.now(),
      attached: new Map(),
      owned: new Set(),
      refused: new Map(),
      blocked,
    });
  }

  /** When something is due; the regular look at every group is not this one's business. */
  #nextLook(groupKey: string, { lookAgainAt }: AssignOutcome): { requeueAfterMs: number } | undefined {
    const { observations, clock } = this.#o;
    const { blocked, refused } = observations.of(groupKey);
    const dates = [...refused.values()].map(({ until }) => until);
    if (blocked !== undefined) dates.push(blocked.until);
    if (lookAgainAt !== undefined) dates.push(lookAgainAt);
    if (dates.length === 0) return undefined;
    return { requeueAfterMs: Math.max(1, Math.min(...dates) - clock.now()) };
  }
}
