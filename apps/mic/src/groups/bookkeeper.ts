import { withoutFinalizer } from "@podid/crd-types";
import type { AssignedIdentityStatus } from "@podid/crd-types";
import type { Assignment } from "@podid/matcher";
import { KubeError } from "@podid/kube";
import type { Clock, KubeObject, ResourceClient } from "@podid/kube";
import type { Logger } from "@podid/service";
import { FENCED_MS } from "../fenced.ts";
import { assignedIdentityObject, namespaceOf } from "../assigned/object.ts";
import { releasePatch, rewritePatch, statusPatch } from "../assigned/patches.ts";
import type { PatchBody } from "../assigned/patches.ts";
import { hasFinalizer } from "../assigned/record.ts";
import type { AssignedRecord } from "../assigned/record.ts";
import type { WriteTimer } from "../metrics.ts";
import type { AssignmentTraces } from "../assignment-traces.ts";
import type { Scope, World } from "../world.ts";
import { bookkeeping } from "./bookkeeping.ts";
import type { Bookkeeping } from "./bookkeeping.ts";
import { eachLimited } from "./each-limited.ts";
import type { Announcer } from "./announcer.ts";
import type { Lingering } from "./lingering.ts";
import type { Observation, Observations } from "./observation.ts";
import type { Protection } from "./protection.ts";

export interface BookkeeperOptions {
  readonly world: World;
  readonly observations: Observations;
  readonly protection: Protection;
  readonly client: Pick<ResourceClient, "create" | "patch" | "delete">;
  readonly announcer: Announcer;
  readonly metrics: WriteTimer;
  readonly traces?: AssignmentTraces;
  readonly log: Logger;
  readonly clock: Clock;
  readonly forceNamespaced: boolean;
  readonly dryRun: boolean;
  /** Writes in flight per group. */
  readonly batch: number;
  readonly trustMs: number;
  readonly fenced: () => string | undefined;
  readonly onNeedsArm: (groupKey: string) => void;
  /** Whether a pod is entitled after all, asked before an object is taken from it; undefined once our caches are beyond doubt. */
  readonly recheck: ((record: AssignedRecord) => Promise<boolean>) | undefined;
  /** A recheck contradicted our caches: look again later. */
  readonly onDoubt: (scopeKey: string) => void;
  /** What stays attached although nobody needs it any more. */
  readonly lingering?: Lingering;
  /** Told after every look how far everything has come. */
  readonly onLook?: (scope: Scope, found: Bookkeeping, observation: Observation) => void;
  /** An object says Assigned from now on. */
  readonly onAssigned?: (assignment: Assignment) => void;
}

const MOST_ROUNDS = 4;

/** Keeps a scope's AzureAssignedIdentities in step with what its pods are entitled to and with what ARM holds. */
export class Bookkeeper {
  readonly #o: BookkeeperOptions;
  /** Objects that are being created, `namespace/name`: their names are taken already. */
  readonly #coming = new Set<string>();

  constructor(options: BookkeeperOptions) {
    this.#o = options;
  }

  /**
   * @returns when it has to look again although nothing happens
   * @throws what the first write that failed threw, after all others were tried
   */
  async keep(scopeKey: string): Promise<{ readonly requeueAfterMs: number } | undefined> {
    await this.#keep(scopeKey);
    // The term may last: a clock that jumps, or a late renewal, fences for a moment only.
    if (this.#o.fenced() !== undefined) return { requeueAfterMs: FENCED_MS };
    const requeueAfterMs = this.#o.lingering?.nextMs(scopeKey);
    return requeueAfterMs === undefined ? undefined : { requeueAfterMs };
  }

  async #keep(scopeKey: string): Promise<void> {
    const { world, log, dryRun, onNeedsArm, fenced, announcer, batch } = this.#o;
    // A new object may be assignable at once, a removed one may free a name: what our own writes lead to is done right away.
    for (let round = 0; round < MOST_ROUNDS && fenced() === undefined; round += 1) {
      const scope = world.scope(scopeKey);
      const todo = this.#decide(scope);
      const { create, rewrite, unassign, remove, fail, needsArm } = todo;
      if (countWrites(todo) > todo.assign.length) {
        log.info(
          {},
          `${dryRun ? "dry run: " : ""}processing node ${scope.group?.name ?? scope.nodeNames.join(" ")}, add [${create.map(({ pod, identity }) => `${pod.name}-${pod.namespace}-${identity.name}`).join(" ")}], del [${names([...unassign, ...remove])}], update [${names(rewrite.map(({ record }) => record))}]`,
        );
      }
      if (!dryRun) {
        for (const { assignment, record, failure } of fail) announcer.applyFailed(assignment, record, failure);
        this.#nameUnusableNode(scope, todo);
        if (scope.gone && remove.length > 0)
          log.info({}, `deleting all assigned identites for ${scope.nodeNames.join(" ")} as node not found`);
        const errors = await eachLimited(batch, this.#writes(scope, todo));
        if (errors.length > 0) throw errors[0];
        if (countWrites(todo) > 0) {
          const { pods, identities, bindings } = world.counts;
          log.info({}, `work done: true. Found ${pods} pods, ${identities} ids, ${bindings} bindings`);
        }
      }
      if (needsArm || (dryRun && countWrites(todo) > 0)) onNeedsArm(scopeKey);
      if (dryRun || countWrites(todo) === 0) return;
    }
  }

  #decide(scope: Scope): Bookkeeping {
    const { world, observations, protection, clock, forceNamespaced, trustMs } = this.#o;
    const observation = observations.of(scope.key);
    const assignments = world.assignmentsIn(scope);
    const reservations = world.reservationsIn(scope);
    const needed = new Set([
      ...assignments.map(({ identity }) => identity.resourceKey),
      ...reservations.map(({ ref }) => ref.key),
    ]);
    const found = bookkeeping({
      assignments,
      reservations,
      lingering:
        this.#o.lingering?.held(scope.key, observation.owned, needed, (key) => world.isGiven(key)) ?? new Set(),
      records: world.assignedIn(scope),
      ...(scope.unattachable !== undefined && { unattachable: scope.unattachable }),
      observation,
      staysAttached: (key) => {
        const attached = observation.attached.get(key);
        return attached !== undefined && protection.isProtected(attached);
      },
      forceNamespaced,
      now: clock.now(),
      trustMs,
    });
    this.#o.onLook?.(scope, found, observation);
    return found;
  }

  #nameUnusableNode({ unattachable, gone, nodeNames: [nodeName] }: Scope, { fail }: Bookkeeping): void {
    if (unattachable === undefined || gone || nodeName === undefined) return;
    if (fail.length > 0) this.#o.announcer.nodeUnusable(nodeName, unattachable);
  }

  *#writes(scope: Scope, { create, rewrite, assign, unassign, remove }: Bookkeeping): Iterable<() => Promise<void>> {
    const doomed = new Set(remove.map(({ key }) => key));
    for (const { assignment, record } of assign) yield () => this.#assign(assignment, record);
    for (const assignment of create) {
      // The object of a former pod of the same name is on its way out; its name is free in a moment.
      if (!this.#waitsForName(assignment, doomed)) yield () => this.#create(assignment, scope);
    }
    for (const { assignment, record, status } of rewrite) {
      yield () => this.#rewrite(assignment, record, status);
    }
    for (const record of unassign) {
      yield async () => {
        if (!(await this.#isDoubtful(record, scope))) await this.#setStatus(record, "Unassigned");
      };
    }
    for (const record of remove) {
      yield async () => {
        if (record.deleting || !(await this.#isDoubtful(record, scope))) await this.#remove(record, scope);
      };
    }
  }

  #waitsForName(assignment: Assignment, doomed: ReadonlySet<string>): boolean {
    const { pod, identity } = assignment;
    return doomed.has(
      `${namespaceOf(assignment, this.#o.forceNamespaced)}/${pod.name}-${pod.namespace}-${identity.name}`,
    );
  }

  async #create(assignment: Assignment, scope: Scope): Promise<void> {
    const { traces, world, client, log, metrics, announcer, forceNamespaced } = this.#o;
    const namespace = namespaceOf(assignment, forceNamespaced);
    const object = assignedIdentityObject(
      assignment,
      namespace,
      (name) => world.assigned.get(`${namespace}/${name}`) !== undefined || this.#coming.has(`${namespace}/${name}`),
    );
    const key = `${namespace}/${object.metadata.name}`;
    log.info({ pod: `${assignment.pod.namespace}/${assignment.pod.name}` }, `creating assigned id ${key}`);
    this.#coming.add(key);
    try {
      const create = (): Promise<KubeObject> =>
        metrics.time("create", () => this.#fenced(() => client.create(object as unknown as KubeObject)));
      const created = await (traces?.creating(assignment, key, scope.key, create) ?? create());
      world.assigned.written(created);
    } catch (error) {
      announcer.createFailed(assignment, key, error);
      throw error;
    } finally {
      this.#coming.delete(key);
    }
  }

  async #assign(assignment: Assignment, record: AssignedRecord): Promise<void> {
    const { traces, announcer } = this.#o;
    const assign = (): Promise<void> => this.#setStatus(record, "Assigned");
    await (traces?.assigning(record.key, assign) ?? assign());
    announcer.applied(assignment, record);
    this.#o.onAssigned?.(assignment);
  }

  async #setStatus(record: AssignedRecord, status: AssignedIdentityStatus): Promise<void> {
    const { log, metrics, announcer } = this.#o;
    log.info({}, `updating AzureAssignedIdentity ${record.key} status to ${status}`);
    try {
      await metrics.time("status", () => this.#patch(record, statusPatch(record, status)));
    } catch (error) {
      announcer.statusFailed(record, status, error);
      throw error;
    }
  }

  async #rewrite(assignment: Assignment, record: AssignedRecord, status: AssignedIdentityStatus): Promise<void> {
    const { log, metrics, announcer } = this.#o;
    log.info({}, `updating assigned id ${record.key}`);
    try {
      await metrics.time("update", () => this.#patch(record, rewritePatch(record, assignment, status)));
    } catch (error) {
      announcer.updateFailed(record, error);
      throw error;
    }
  }

  async #isDoubtful(record: AssignedRecord, scope: Scope): Promise<boolean> {
    if (!(await this.#o.recheck?.(record))) return false;
    this.#o.log.warn({}, `keeping assigned id ${record.key}: its pod is entitled to it, our watches are behind`);
    this.#o.onDoubt(scope.key);
    return true;
  }

  async #remove(record: AssignedRecord, scope: Scope): Promise<void> {
    const { world, client, log, metrics, announcer } = this.#o;
    try {
      await metrics.time("delete", async () => {
        let current = record;
        if (!record.deleting) {
          const deleted = await this.#fenced(() => client.delete(record.name, record.namespace, { uid: record.uid }));
          const after = world.assigned.written(deleted);
          if (after?.uid !== record.uid) {
            world.assigned.removed(record);
            return;
          }
          current = after;
        }
        if (!hasFinalizer(current)) return;
        await this.#patch(current, releasePatch(current));
        if (withoutFinalizer(current.finalizers).length === 0) world.assigned.removed(current);
      });
    } catch (error) {
      if (KubeError.is(error, 404)) {
        world.assigned.removed(record);
      } else {
        announcer.removeFailed(record, error);
        throw error;
      }
    }
    log.info({}, `deleted assigned identity ${record.key}`);
    if (scope.gone) announcer.removed(record);
    announcer.forget(record);
    this.#o.traces?.forget(record.key);
  }

  async #patch(record: AssignedRecord, patch: PatchBody): Promise<void> {
    const { client, world } = this.#o;
    try {
      const patched = await this.#fenced(() => client.patch(record.name, record.namespace, patch));
      world.assigned.written(patched);
    } catch (error) {
      if (KubeError.is(error, 404)) world.assigned.removed(record);
      throw error;
    }
  }

  #fenced<T>(write: () => Promise<T>): Promise<T> {
    const reason = this.#o.fenced();
    if (reason !== undefined) return Promise.reject(new Error(`not written: ${reason}`));
    return write();
  }
}

function countWrites({ create, rewrite, assign, unassign, remove }: Bookkeeping): number {
  return create.length + rewrite.length + assign.length + unassign.length + remove.length;
}

function names(records: readonly AssignedRecord[]): string {
  return records.map(({ name }) => name).join(" ");
}
