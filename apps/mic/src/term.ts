import { Assigner, GuardedArm, GuardedDirectory } from "@podid/azure-assigner";
import type { GuardState } from "@podid/azure-assigner";
import type { NodeGroup } from "@podid/crd-types";
import { ResourceClient, RESOURCES, WorkQueue } from "@podid/kube";
import { AssignmentTraces } from "./assignment-traces.ts";
import { Announcer } from "./groups/announcer.ts";
import { Attacher } from "./groups/attacher.ts";
import { Bookkeeper } from "./groups/bookkeeper.ts";
import { ConfigMapLedgers } from "./groups/config-map-ledgers.ts";
import { Entitlement } from "./groups/entitlement.ts";
import { Lingering } from "./groups/lingering.ts";
import { Observations } from "./groups/observation.ts";
import { Protection } from "./groups/protection.ts";
import { MeteredArm } from "./metered-arm.ts";
import { Reconciler } from "./reconcile/reconciler.ts";
import { NodeNotice } from "./node-notice.ts";
import { PodGates } from "./status/pod-gates.ts";
import { summarise } from "./status/scope-summary.ts";
import { StatusReporter } from "./status/status-reporter.ts";
import { readStoredState } from "./stored-state.ts";
import type { TermPorts, TermSettings } from "./term-settings.ts";
import { UnservedPods } from "./unserved-pods.ts";

/** A watch that stalled unnoticed is opened anew after 90 s (the reflector's default); until then a new leader asks before it takes. */
const DOUBT_MS = 120_000;

const SHOWN_GROUPS = 20;

/** The work of one term as leader. Nothing of it outlives the term: what another leader did meanwhile must be seen anew. */
export class Term {
  readonly #ports: TermPorts;
  readonly #settings: TermSettings;
  readonly #books: WorkQueue;
  readonly #arms: WorkQueue;
  readonly #ledgers: ConfigMapLedgers;
  readonly #observations = new Observations();
  readonly #unserved: UnservedPods;
  readonly #statuses: StatusReporter;
  readonly #gates: PodGates;
  readonly #notice: NodeNotice;
  readonly #traces: AssignmentTraces;
  readonly #lingering: Lingering;
  readonly #arm: GuardedArm;
  readonly #attacher: Attacher;
  readonly #announcer: Announcer;
  readonly #reconciler: Reconciler;
  /** Above that of every ledger, even if the Lease was deleted and counts anew. */
  #epoch = 0;
  readonly #stopped = new AbortController();
  /** Wall-clock milliseconds. */
  #doubtUntil = Infinity;
  readonly #unsubscribes: (() => void)[] = [];
  #sweep: { cancel(): void } | undefined;

  constructor(ports: TermPorts, settings: TermSettings) {
    this.#ports = ports;
    this.#settings = settings;
    const { world, transport, metrics, clock, random, log, fenced } = ports;
    this.#ledgers = new ConfigMapLedgers(transport, settings.namespace, ({ configMap, group, error }) => {
      metrics.ledgerUnreadable();
      log.error(
        { configMap, group, error },
        `ledger ${configMap} cannot be read: what MIC attached to ${group ?? "its VM or scale set"} is not detached any more. Restore data key ledger.json (the next write keeps the present text as unreadable-*.json) and restart MIC, or delete the ConfigMap and detach by hand`,
      );
    });
    this.#traces = new AssignmentTraces(ports.tracing, () => clock.now());
    this.#unserved = new UnservedPods({ ...ports, dryRun: settings.dryRun });
    this.#gates = new PodGates({ ...ports, ...settings });
    this.#lingering = new Lingering({
      // Nobody comes back for it when podid goes.
      delayMs: () => (ports.lifecycle?.uninstalling === true ? 0 : (settings.detachDelayMs ?? 0)),
      now: () => clock.now(),
    });
    const entitlement = new Entitlement(transport, settings);
    const protection = new Protection(settings.protectedIdentities, (key) => world.definitions.ofResource(key));
    this.#notice = new NodeNotice({ ...ports, ...settings, ids: () => protection.ids });
    this.#statuses = new StatusReporter({ ...ports, ...settings, protection, timing: settings.statusTiming ?? {} });
    const arm = new GuardedArm(new MeteredArm(ports.arm, metrics, this.#traces), ports.armMemory);
    this.#arm = arm;
    const assigner = new Assigner({
      arm,
      gate: arm,
      ledgers: this.#ledgers,
      clock,
      ...(ports.directory !== undefined && { directory: new GuardedDirectory(ports.directory, arm) }),
      ...(settings.assignerLimits !== undefined && { limits: settings.assignerLimits }),
    });
    const attacher = new Attacher({
      ...settings,
      world,
      observations: this.#observations,
      assigner,
      ledgers: this.#ledgers,
      protection,
      lingering: this.#lingering,
      log,
      clock,
      epoch: () => this.#epoch,
      onOutrun: () => (this.#epoch = Math.max(this.#epoch, this.#ledgers.highestEpoch + 1)),
      fenced,
      onSeen: (key) => this.#books.add(key),
      onProtectedSeen: () => this.#notice.renew(),
    });
    this.#attacher = attacher;
    this.#announcer = new Announcer(ports.events, log);
    const reads = settings.armBudget?.subscriptionReads;
    this.#reconciler = new Reconciler({
      groups: () => this.#reconcilable(),
      list: (scope, signal) => arm.list(scope, { signal }),
      look: (key) => this.#arms.add(key),
      turn: (key) => attacher.turn(key),
      compare: (key, state, turn) => attacher.compare(key, state, turn),
      intervalMs: settings.reconcileIntervalMs,
      ...(reads !== undefined && { readsPerSecond: reads.perSecond }),
      clock,
      log,
    });
    const bookkeeper = new Bookkeeper({
      world,
      observations: this.#observations,
      protection,
      client: new ResourceClient(transport, RESOURCES.azureAssignedIdentities),
      announcer: this.#announcer,
      metrics,
      traces: this.#traces,
      log,
      clock,
      forceNamespaced: settings.forceNamespaced,
      dryRun: settings.dryRun,
      batch: settings.createDeleteBatch,
      trustMs: settings.trustMs,
      fenced,
      lingering: this.#lingering,
      onLook: (scope, found, observation) => {
        this.#statuses.saw(scope.key, summarise(found, observation));
        this.#gates.saw(scope, found);
      },
      onAssigned: ({ pod }) => {
        if (pod.scheduledAt !== undefined) metrics.podAssigned(clock.now() - pod.scheduledAt);
      },
      onNeedsArm: (key) => this.#arms.add(key),
      recheck: (record) => (clock.now() < this.#doubtUntil ? entitlement.holds(record) : Promise.resolve(false)),
      onDoubt: (key) => this.#books.addAfter(key, 1000),
    });
    const onError = (key: string, error: unknown, retryInMs: number): void => {
      if (!this.#stopped.signal.aborted) log.warn({ scope: key, retryInMs, error: String(error) }, "will try again");
    };
    this.#books = new WorkQueue({
      // Writes to the API server are quick; its own priority and fairness is the limit.
      concurrency: 50,
      handler: (key) => bookkeeper.keep(key),
      onStart: (key, waitedMs) => this.#traces.turn(key, waitedMs),
      onDone: (_key, tookMs) => metrics.cycleDone(tookMs),
      clock,
      random,
      onError,
    });
    this.#arms = new WorkQueue({
      // A group that hangs, or waits for its turn at ARM, holds a place for minutes; there must always be others. ARM's budget
      // limits what is really under way.
      concurrency: 5000,
      handler: (key, signal) => this.#traces.pass(key, () => attacher.attach(key, signal)),
      clock,
      random,
      onError,
    });
  }

  get queueDepths(): Readonly<Record<string, number>> {
    return { assigned_identities: this.#books.depth, arm: this.#arms.depth };
  }

  /** What stands between us and ARM, for metrics. */
  get armState(): GuardState {
    return this.#arm.state;
  }

  /** How many identities the fullest VMs and scale sets hold, by name, or by ARM id where several have that name; the rest would be too many series. */
  get fullestGroups(): Readonly<Record<string, number>> {
    const { world } = this.#ports;
    const counts = [...this.#observations.entries()].map(([key, { attached }]) => {
      return { key, name: world.scope(key).group?.name ?? key, count: attached.size };
    });
    const names = Map.groupBy(counts, ({ name }) => name);
    const fullest = counts.toSorted((a, b) => b.count - a.count).slice(0, SHOWN_GROUPS);
    return Object.fromEntries(
      fullest.map(({ key, name, count }) => [names.get(name)?.length === 1 ? name : key, count]),
    );
  }

  /** ARM answers otherwise from now on: whatever waits for a date is tried at once. */
  lookAgain(): void {
    for (const key of this.#ports.world.busyScopes()) this.#arms.add(key);
  }

  /** Reads the ledgers, then works until {@link stop}. */
  async start(): Promise<void> {
    const { world, clock, log, lifecycle } = this.#ports;
    const groups = await readStoredState({ ...this.#ports, ledgers: this.#ledgers }, this.#stopped.signal);
    if (groups === undefined || this.#stopped.signal.aborted) return;
    this.#epoch = Math.max(this.#ports.epoch(), this.#ledgers.highestEpoch + 1);
    this.#doubtUntil = clock.now() + DOUBT_MS;
    this.#unsubscribes.push(
      world.onChange((key) => this.#changed(key)),
      // What no AzureIdentity stands for any more does not linger.
      world.definitions.onChange((kind) => {
        if (kind !== "AzureIdentity") return;
        for (const key of this.#lingering.groupsWith((resource) => !world.isGiven(resource))) this.#books.add(key);
      }),
      lifecycle?.onSeen(() => this.#notice.renew()) ?? ((): void => {}),
    );
    for (const group of groups) {
      world.knowGroup(group);
      // Its ledger goes, unless something is still ours there.
      if (world.scope(group.key).nodeNames.length === 0) this.#arms.add(group.key);
    }
    for (const key of world.busyScopes()) this.#books.add(key);
    // What a former leader may still have under way is looked at before everything else.
    for (const key of this.#ledgers.unfinished()) this.#arms.add(key);
    this.#books.start();
    this.#arms.start();
    this.#unserved.start();
    this.#statuses.start();
    this.#gates.start();
    this.#notice.start();
    this.#reconciler.start();
    const sweep = (): void => {
      for (const key of world.busyScopes()) this.#books.add(key);
      this.#unserved.lookAtAll();
      this.#gates.lookAtAll();
      this.#notice.renew();
      this.#forgetGone();
      this.#sweep = clock.setTimeout(sweep, this.#settings.syncRetryMs);
    };
    this.#sweep = clock.setTimeout(sweep, this.#settings.syncRetryMs);
    const { pods, identities, bindings } = world.counts;
    log.info({}, `sync thread started. Found ${pods} pods, ${identities} ids, ${bindings} bindings`);
  }

  /** Ends the work: a running ARM operation is left to ARM and the next leader, whom the ledger tells of it. */
  async stop(): Promise<void> {
    this.#stopped.abort(new Error("the term is over"));
    for (const unsubscribe of this.#unsubscribes.splice(0)) unsubscribe();
    this.#unserved.stop();
    this.#sweep?.cancel();
    this.#reconciler.stop();
    await Promise.all([
      this.#arms.stop({ graceMs: 0 }),
      this.#books.stop({ graceMs: 2000 }),
      this.#statuses.stop(),
      this.#gates.stop(),
      this.#notice.stop(),
    ]);
    this.#traces.close();
  }

  #changed(key: string): void {
    this.#books.add(key);
    // The last node of a group may have left with its pods: nobody else would ask ARM to release what they used.
    const scope = this.#ports.world.scope(key);
    if (scope.group !== undefined && scope.nodeNames.length === 0 && this.#ledgers.knows(key)) this.#arms.add(key);
  }

  /** Nodes and machines come and go under ever new names. */
  #forgetGone(): void {
    const { world } = this.#ports;
    for (const key of this.#attacher.forgetGone()) world.forgetGroup(key);
    this.#announcer.retain((what) =>
      "node" in what
        ? !world.scope(world.scopeKeyOfNode(what.node)).gone
        : world.assigned.get(what.object) !== undefined,
    );
  }

  /** Every VM and scale set that has to do with ARM. */
  #reconcilable(): NodeGroup[] {
    const { world } = this.#ports;
    const keys = world.busyScopes();
    for (const key of this.#ledgers.owners()) keys.add(key);
    return [...keys].filter((key) => this.#attacher.concerns(key)).flatMap((key) => world.scope(key).group ?? []);
  }
}
