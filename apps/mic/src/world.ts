import type { NodeGroup } from "@podid/crd-types";
import { Matcher } from "@podid/matcher";
import type { Assignment, BindingRecord, ExceptionRecord, IdentityRecord, MatchDelta, PodRecord } from "@podid/matcher";
import { AssignedMirror } from "./assigned/mirror.ts";
import type { AssignedRecord } from "./assigned/record.ts";
import type { NodeRecord } from "./groups/node-record.ts";
import { PreAssignments } from "./groups/pre-assignments.ts";
import type { Reservation } from "./groups/pre-assignments.ts";
import { Definitions } from "./definitions.ts";
import type { DefinedBinding, DefinedIdentity } from "./definitions.ts";

/**
 * A unit of bookkeeping: all nodes of a VM or scale set, under its lower-cased ARM id; or a single node that is gone or has no
 * usable providerID, under `node:<name>`.
 */
export interface Scope {
  readonly key: string;
  readonly group: NodeGroup | undefined;
  readonly nodeNames: readonly string[];
  /** Why nothing can be attached to it. */
  readonly unattachable: string | undefined;
  /** The node does not exist (any more). */
  readonly gone: boolean;
}

const NODE_SCOPE = "node:";

/** Everything the controller knows of the cluster, kept up to date by events; tells which scopes each event concerns. */
export class World {
  readonly matcher: Matcher;
  readonly assigned = new AssignedMirror();
  readonly #nodes = new Map<string, NodeRecord>();
  readonly #nodesOfGroup = new Map<string, Set<string>>();
  readonly #groups = new Map<string, NodeGroup>();
  readonly #podsOnNode = new Map<string, Set<string>>();
  readonly #podNode = new Map<string, string>();
  readonly definitions = new Definitions();
  readonly #preAssignments = new PreAssignments();
  /** Pods with the readiness gate. */
  readonly #gated = new Map<string, PodRecord>();
  #pods = 0;
  readonly #listeners = new Set<(scopeKey: string) => void>();
  readonly #unservedListeners = new Set<(podUid: string | undefined, lost: boolean) => void>();
  readonly #gateListeners = new Set<(pod: PodRecord, gone: boolean) => void>();

  constructor(options: { readonly forceNamespaced: boolean }) {
    this.matcher = new Matcher(options);
  }

  /** Called with the key of every scope that an event concerns. */
  onChange(listener: (scopeKey: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Called with the UID of a pod that was heard of and has no assignment, and whether it has just lost what it had; with `undefined`
   * when an identity that cannot be used, or a binding of one, came, which may be why any of the others has none.
   */
  onUnserved(listener: (podUid: string | undefined, lost: boolean) => void): () => void {
    this.#unservedListeners.add(listener);
    return () => this.#unservedListeners.delete(listener);
  }

  /** Called with every pod with the readiness gate that was heard of, and with one that lost its label or went away. */
  onGated(listener: (pod: PodRecord, gone: boolean) => void): () => void {
    this.#gateListeners.add(listener);
    return () => this.#gateListeners.delete(listener);
  }

  get gatedPods(): Iterable<PodRecord> {
    return this.#gated.values();
  }

  gatedPod(uid: string): PodRecord | undefined {
    return this.#gated.get(uid);
  }

  gatedPodsIn({ nodeNames }: Scope): PodRecord[] {
    if (this.#gated.size === 0) return [];
    return nodeNames.flatMap((node) =>
      [...(this.#podsOnNode.get(node) ?? [])].flatMap((uid) => this.#gated.get(uid) ?? []),
    );
  }

  /** UIDs of the pods without an assignment. */
  unserved(): string[] {
    return [...this.#podNode.keys()].filter((uid) => this.matcher.assignmentsOf(uid).length === 0);
  }

  get counts(): { readonly pods: number; readonly identities: number; readonly bindings: number } {
    return { pods: this.#pods, ...this.definitions.counts };
  }

  get identities(): Iterable<IdentityRecord> {
    return this.definitions.identities;
  }

  /** Whether an AzureIdentity stands for the resource with this lower-cased id. */
  isGiven(resourceKey: string): boolean {
    return this.definitions.hasResource(resourceKey);
  }

  upsertPod(pod: PodRecord, previous?: PodRecord): void {
    if (previous !== undefined && previous.uid !== pod.uid) this.deletePod(previous);
    if (!this.#podNode.has(pod.uid)) this.#pods += 1;
    this.#place(pod.uid, pod.nodeName);
    const delta = this.matcher.upsertPod(pod);
    this.#apply(delta);
    if (this.matcher.assignmentsOf(pod.uid).length === 0) this.#tellUnserved(pod.uid, delta.removed.length > 0);
    if (pod.identityGate === undefined) return;
    this.#gated.set(pod.uid, pod);
    this.#tellGated(pod, false);
  }

  deletePod(pod: PodRecord): void {
    if (this.#podNode.has(pod.uid)) this.#pods -= 1;
    // The delta needs the node; the index must not offer the pod any more.
    const delta = this.matcher.deletePod(pod.uid);
    this.#place(pod.uid, undefined);
    this.#podNode.delete(pod.uid);
    this.#apply(delta);
    if (this.#gated.delete(pod.uid)) this.#tellGated(pod, true);
  }

  upsertBinding(binding: DefinedBinding): void {
    this.definitions.upsertBinding(binding);
    this.#apply(this.matcher.upsertBinding(binding));
    if (this.#preAssignments.upsert(binding)) this.#tellGroups();
    if (this.definitions.identityOf(binding)?.problem !== undefined) this.#tellUnserved(undefined, false);
  }

  deleteBinding(binding: BindingRecord): void {
    this.definitions.deleteBinding(binding);
    this.#apply(this.matcher.deleteBinding(binding.namespace, binding.name));
    if (this.#preAssignments.delete(binding)) this.#tellGroups();
  }

  upsertIdentity(identity: DefinedIdentity): void {
    const before = this.definitions.identity(`${identity.namespace}/${identity.name}`);
    this.definitions.upsertIdentity(identity);
    this.#apply(this.matcher.upsertIdentity(identity));
    if (identity.problem !== undefined) this.#tellUnserved(undefined, false);
    if (before?.fingerprint !== identity.fingerprint && this.#preAssignments.concerns(identity)) this.#tellGroups();
  }

  deleteIdentity(identity: IdentityRecord): void {
    this.definitions.deleteIdentity(identity);
    this.#apply(this.matcher.deleteIdentity(identity.namespace, identity.name));
    if (this.#preAssignments.concerns(identity)) this.#tellGroups();
  }

  upsertException(exception: ExceptionRecord): void {
    this.matcher.upsertException(exception);
  }

  deleteException({ namespace, name }: ExceptionRecord): void {
    this.matcher.deleteException(namespace, name);
  }

  upsertNode(node: NodeRecord): void {
    const before = this.scopeKeyOfNode(node.name);
    const otherPool = this.#nodes.get(node.name)?.pool !== node.pool && !this.#preAssignments.isEmpty;
    this.#unlinkNode(node.name);
    this.#nodes.set(node.name, node);
    if (node.group !== undefined) {
      this.#groups.set(node.group.key, node.group);
      const names = this.#nodesOfGroup.get(node.group.key) ?? new Set<string>();
      this.#nodesOfGroup.set(node.group.key, names.add(node.name));
    }
    const after = this.scopeKeyOfNode(node.name);
    if (before !== after || otherPool) this.#tell(new Set([before, after]));
  }

  deleteNode(node: NodeRecord): void {
    const before = this.scopeKeyOfNode(node.name);
    this.#unlinkNode(node.name);
    this.#nodes.delete(node.name);
    this.#tell(new Set([before, this.scopeKeyOfNode(node.name)]));
  }

  upsertAssigned(record: AssignedRecord): void {
    this.#tellNodes(this.assigned.shown(record));
  }

  /** From a list that was asked for besides the watch. */
  listedAssigned(record: AssignedRecord): void {
    this.#tellNodes(this.assigned.listed(record));
  }

  deleteAssigned(record: AssignedRecord): void {
    this.#tellNodes(this.assigned.gone(record));
  }

  scopeKeyOfNode(nodeName: string): string {
    return this.#nodes.get(nodeName)?.group?.key ?? `${NODE_SCOPE}${nodeName}`;
  }

  scope(key: string): Scope {
    if (key.startsWith(NODE_SCOPE)) {
      const name = key.slice(NODE_SCOPE.length);
      const node = this.#nodes.get(name);
      // Meanwhile the node belongs to a group, which has a scope of its own.
      const nodeNames = node?.group === undefined ? [name] : [];
      return {
        key,
        group: undefined,
        nodeNames,
        unattachable: node?.problem ?? `node ${name} not found`,
        gone: node === undefined,
      };
    }
    return {
      key,
      group: this.#groups.get(key),
      nodeNames: [...(this.#nodesOfGroup.get(key) ?? [])],
      unattachable: undefined,
      gone: false,
    };
  }

  /** A group that no node belongs to any more stays known: something may have to be detached from it. */
  knowGroup(group: NodeGroup): void {
    if (!this.#groups.has(group.key)) this.#groups.set(group.key, group);
  }

  /** Nothing is left to be done about a group without nodes. */
  forgetGroup(key: string): void {
    if (!this.#nodesOfGroup.has(key)) this.#groups.delete(key);
  }

  assignmentsIn({ nodeNames, gone }: Scope): Assignment[] {
    if (gone) return [];
    return nodeNames.flatMap((node) =>
      [...(this.#podsOnNode.get(node) ?? [])].flatMap((uid) => [...this.matcher.assignmentsOf(uid)]),
    );
  }

  assignedIn({ nodeNames }: Scope): AssignedRecord[] {
    return nodeNames.flatMap((node) => this.assigned.onNode(node));
  }

  /** Every scope that has pods to serve or objects to look after. */
  busyScopes(): Set<string> {
    const keys = new Set<string>();
    for (const [node, uids] of this.#podsOnNode) if (uids.size > 0) keys.add(this.scopeKeyOfNode(node));
    for (const node of this.assigned.nodes()) keys.add(this.scopeKeyOfNode(node));
    if (this.#preAssignments.isEmpty) return keys;
    for (const key of this.#nodesOfGroup.keys())
      if (!keys.has(key) && this.reservationsIn(this.scope(key)).length > 0) keys.add(key);
    return keys;
  }

  /** What the scope's VM or scale set holds whether pods need it or not. */
  reservationsIn({ group, nodeNames }: Scope): Reservation[] {
    if (this.#preAssignments.isEmpty || group === undefined) return [];
    const pools = new Set(nodeNames.map((name) => this.#nodes.get(name)?.pool));
    return this.#preAssignments.on(pools, (binding) => this.definitions.identityOf(binding));
  }

  #place(uid: string, nodeName: string | undefined): void {
    const before = this.#podNode.get(uid);
    if (before !== undefined && before !== nodeName) {
      const pods = this.#podsOnNode.get(before);
      pods?.delete(uid);
      if (pods?.size === 0) this.#podsOnNode.delete(before);
    }
    this.#podNode.set(uid, nodeName ?? "");
    if (nodeName !== undefined) this.#podsOnNode.set(nodeName, (this.#podsOnNode.get(nodeName) ?? new Set()).add(uid));
  }

  #unlinkNode(name: string): void {
    const group = this.#nodes.get(name)?.group;
    if (group === undefined) return;
    const names = this.#nodesOfGroup.get(group.key);
    names?.delete(name);
    if (names?.size === 0) this.#nodesOfGroup.delete(group.key);
  }

  #apply({ added, removed, changed }: MatchDelta): void {
    const nodes = new Set<string | undefined>();
    for (const { pod } of added) nodes.add(pod.nodeName);
    for (const { pod } of removed) nodes.add(pod.nodeName);
    for (const { before, after } of changed) nodes.add(before.pod.nodeName).add(after.pod.nodeName);
    this.#tellNodes([...nodes].filter((node) => node !== undefined));
  }

  #tellNodes(nodes: readonly string[]): void {
    this.#tell(new Set(nodes.map((node) => this.scopeKeyOfNode(node))));
  }

  #tell(scopeKeys: ReadonlySet<string>): void {
    for (const key of scopeKeys) for (const listener of this.#listeners) listener(key);
  }

  #tellGroups(): void {
    this.#tell(new Set(this.#nodesOfGroup.keys()));
  }

  #tellUnserved(podUid: string | undefined, lost: boolean): void {
    for (const listener of this.#unservedListeners) listener(podUid, lost);
  }

  #tellGated(pod: PodRecord, gone: boolean): void {
    for (const listener of this.#gateListeners) listener(pod, gone);
  }
}
