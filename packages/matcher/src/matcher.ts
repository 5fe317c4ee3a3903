import { assignmentOf } from "./assignment.ts";
import { explainBinding } from "./binding-explanation.ts";
import type { BindingExplanation } from "./binding-explanation.ts";
import { SelectorGroup } from "./cohort.ts";
import type { BindingEntry, Cohort, PodEntry, Reach } from "./cohort.ts";
import { DeltaBuilder, NO_CHANGE, grantChanges, isUnchanged } from "./delta.ts";
import type { MatchDelta } from "./delta.ts";
import { isEligible, selectorOf } from "./eligibility.ts";
import { ExceptionIndex } from "./exceptions.ts";
import { explainPod, explainUnknownPod } from "./explanation.ts";
import type { Explanation } from "./explanation.ts";
import type { Assignment, BindingRecord, ExceptionRecord, IdentityRecord, PodRecord } from "./records.ts";
import { Spellings } from "./spellings.ts";
import { grantsOf, judge } from "./verdict.ts";
import type { Grant, PodKind, Rules } from "./verdict.ts";

export interface MatcherOptions {
  /** Every identity serves pods of its own namespace only, annotated or not. `false` when absent. */
  readonly forceNamespaced?: boolean;
}

const NOTHING: readonly Grant[] = Object.freeze([]);

/**
 * Keeps the assignments of a changing cluster. Every method works off one event and returns what it changed; the order in which
 * objects arrive does not matter, and after any sequence the assignments are those that `match` finds for the same objects.
 *
 * An event costs what depends on it: a pod its own grants; a binding or an identity the label values that it concerns, and pods
 * only where their assignments differ. Records are kept as they are given and must not be modified afterwards. The newest ones
 * are what later deltas and `assignmentsOf` show, also where an event changed no assignment.
 */
export class Matcher {
  readonly #rules: Rules;
  readonly #pods = new Map<string, PodEntry>();
  readonly #bindings = new Map<string, BindingEntry>();
  readonly #identities = new Map<string, IdentityRecord>();
  /** Bindings by the identity that they name, whether it exists or not. */
  readonly #bindingsByIdentity = new Map<string, Set<BindingEntry>>();
  readonly #groups = new Map<string, SelectorGroup>();
  readonly #exceptions = new ExceptionIndex();
  /** Labels of pods. */
  readonly #spellings = new Spellings();

  constructor({ forceNamespaced = false }: MatcherOptions = {}) {
    const identityOf = (binding: BindingRecord): IdentityRecord | undefined =>
      this.#identities.get(identityKey(binding));
    this.#rules = { forceNamespaced, identityOf };
  }

  /** Adds or replaces the pod with this UID. A pod that was made anew under an old name is another one: delete the old UID first. */
  upsertPod(pod: PodRecord): MatchDelta {
    const delta = new DeltaBuilder();
    const entry = this.#pods.get(pod.uid) ?? { record: pod, cohort: undefined };
    this.#pods.set(pod.uid, entry);
    const { record: previous, cohort: left } = entry;
    const before = left?.grants ?? NOTHING;
    const selector = isEligible(pod) ? selectorOf(pod) : undefined;
    const joined = selector === undefined ? undefined : this.#cohort(selector, pod);
    if (joined !== left) {
      joined?.pods.add(entry);
      if (left !== undefined) this.#leave(left, entry);
    }
    entry.record = pod;
    entry.cohort = joined;
    delta.compare(previous, before, pod, joined?.grants ?? NOTHING);
    return delta.done();
  }

  deletePod(uid: string): MatchDelta {
    const entry = this.#pods.get(uid);
    if (entry === undefined) return NO_CHANGE;
    this.#pods.delete(uid);
    const { record, cohort } = entry;
    if (cohort === undefined) return NO_CHANGE;
    this.#leave(cohort, entry);
    const delta = new DeltaBuilder();
    delta.compare(record, cohort.grants, record, NOTHING);
    return delta.done();
  }

  upsertBinding(binding: BindingRecord): MatchDelta {
    const key = `${binding.namespace}/${binding.name}`;
    const entry: BindingEntry = { record: binding, reach: this.#reachOf(binding) };
    const previous = this.#bindings.get(key);
    const stale = new Set<Cohort>();
    if (previous !== undefined) this.#withdraw(previous, stale);
    this.#bindings.set(key, entry);
    this.#enter(entry, stale);
    return this.#refresh(stale);
  }

  deleteBinding(namespace: string, name: string): MatchDelta {
    const key = `${namespace}/${name}`;
    const entry = this.#bindings.get(key);
    if (entry === undefined) return NO_CHANGE;
    this.#bindings.delete(key);
    const stale = new Set<Cohort>();
    this.#withdraw(entry, stale);
    return this.#refresh(stale);
  }

  upsertIdentity(identity: IdentityRecord): MatchDelta {
    const key = `${identity.namespace}/${identity.name}`;
    this.#identities.set(key, identity);
    return this.#identityChanged(key);
  }

  deleteIdentity(namespace: string, name: string): MatchDelta {
    const key = `${namespace}/${name}`;
    return this.#identities.delete(key) ? this.#identityChanged(key) : NO_CHANGE;
  }

  /** Exceptions change no assignment; they show in {@link isExcepted} and {@link explain}. */
  upsertException(exception: ExceptionRecord): MatchDelta {
    this.#exceptions.upsert(exception);
    return NO_CHANGE;
  }

  deleteException(namespace: string, name: string): MatchDelta {
    this.#exceptions.delete(namespace, name);
    return NO_CHANGE;
  }

  /** A pod's assignments, in the order of their bindings' namespaces and names. */
  assignmentsOf(podUid: string): readonly Assignment[] {
    const entry = this.#pods.get(podUid);
    return entry?.cohort?.grants.map((grant) => assignmentOf(entry.record, grant)) ?? [];
  }

  /** All assignments, made one by one while they are asked for. Do not feed events in the meantime. */
  *assignments(): IterableIterator<Assignment> {
    for (const { record, cohort } of this.#pods.values()) {
      if (cohort === undefined) continue;
      for (const grant of cohort.grants) yield assignmentOf(record, grant);
    }
  }

  /** Whether an AzurePodIdentityException is meant for the pod; `false` for an unknown pod. */
  isExcepted(podUid: string): boolean {
    const entry = this.#pods.get(podUid);
    return entry !== undefined && this.#exceptions.of(entry.record).length > 0;
  }

  /** Why a pod has what it has. Looks at every binding: meant for a refusal or a person, not for every request. */
  explain(podUid: string): Explanation {
    const pod = this.#pods.get(podUid)?.record;
    if (pod === undefined) return explainUnknownPod(podUid);
    return explainPod({
      pod,
      assignments: this.assignmentsOf(podUid),
      exceptions: this.#exceptions.of(pod),
      bindings: this.#bindings.values().map(({ record }) => record),
      rules: this.#rules,
    });
  }

  /** What a binding comes to; `undefined` for an unknown one. Costs what depends on its selector. */
  explainBinding(namespace: string, name: string): BindingExplanation | undefined {
    const binding = this.#bindings.get(`${namespace}/${name}`)?.record;
    if (binding === undefined) return undefined;
    const { selector } = binding;
    return explainBinding({
      binding,
      group: selector === "" ? undefined : this.#groups.get(selector),
      nearMisses: selector === "" ? [] : this.#spellings.othersOf(selector),
      rules: this.#rules,
    });
  }

  #identityChanged(key: string): MatchDelta {
    const stale = new Set<Cohort>();
    for (const entry of this.#bindingsByIdentity.get(key) ?? []) {
      const group = this.#groups.get(entry.record.selector);
      if (group === undefined) continue;
      addAll(stale, group.reachedBy(entry));
      group.delete(entry);
      entry.reach = this.#reachOf(entry.record);
      group.add(entry);
      addAll(stale, group.reachedBy(entry));
    }
    return this.#refresh(stale);
  }

  #reachOf(binding: BindingRecord): Reach {
    const identity = this.#rules.identityOf(binding);
    if (identity === undefined || identity.problem !== undefined) return "none";
    return this.#rules.forceNamespaced || identity.namespaced ? "namespace" : "all";
  }

  #enter(entry: BindingEntry, stale: Set<Cohort>): void {
    const { record } = entry;
    const key = identityKey(record);
    this.#bindingsByIdentity.set(key, (this.#bindingsByIdentity.get(key) ?? new Set()).add(entry));
    if (record.selector === "") return;
    const group = this.#group(record.selector);
    group.add(entry);
    addAll(stale, group.reachedBy(entry));
  }

  #withdraw(entry: BindingEntry, stale: Set<Cohort>): void {
    const { record } = entry;
    const key = identityKey(record);
    const siblings = this.#bindingsByIdentity.get(key);
    if (siblings?.delete(entry) === true && siblings.size === 0) this.#bindingsByIdentity.delete(key);
    const group = this.#groups.get(record.selector);
    if (group === undefined) return;
    addAll(stale, group.reachedBy(entry));
    group.delete(entry);
    if (group.isEmpty) this.#groups.delete(record.selector);
  }

  /** Works out what the cohorts are granted now, and reports the difference for each of their pods. */
  #refresh(stale: Iterable<Cohort>): MatchDelta {
    const delta = new DeltaBuilder();
    for (const cohort of stale) {
      const before = cohort.grants;
      const after = this.#grants(this.#group(cohort.selector), cohort);
      cohort.grants = after;
      const changes = grantChanges(before, after);
      if (isUnchanged(changes)) continue;
      for (const { record } of cohort.pods) delta.apply(record, record, changes);
    }
    return delta.done();
  }

  #grants(group: SelectorGroup, pods: PodKind): readonly Grant[] {
    const bindings = group.bindingsFor(pods.namespace);
    return bindings.length === 0 ? NOTHING : grantsOf(judge(pods, bindings, this.#rules));
  }

  #group(selector: string): SelectorGroup {
    const known = this.#groups.get(selector);
    if (known !== undefined) return known;
    const group = new SelectorGroup();
    this.#groups.set(selector, group);
    return group;
  }

  #cohort(selector: string, pod: PodRecord): Cohort {
    const group = this.#group(selector);
    const known = group.cohort(pod);
    if (known !== undefined) return known;
    if (!group.hasPods) this.#spellings.add(selector);
    const { namespace, serviceAccountName } = pod;
    const cohort: Cohort = {
      selector,
      namespace,
      serviceAccountName,
      pods: new Set(),
      grants: this.#grants(group, pod),
    };
    group.addCohort(cohort);
    return cohort;
  }

  #leave(cohort: Cohort, entry: PodEntry): void {
    cohort.pods.delete(entry);
    if (cohort.pods.size > 0) return;
    const group = this.#groups.get(cohort.selector);
    group?.deleteCohort(cohort);
    if (group?.hasPods !== true) this.#spellings.delete(cohort.selector);
    if (group?.isEmpty === true) this.#groups.delete(cohort.selector);
  }
}

function identityKey({ namespace, azureIdentity }: BindingRecord): string {
  return `${namespace}/${azureIdentity}`;
}

function addAll<T>(target: Set<T>, items: Iterable<T>): void {
  for (const item of items) target.add(item);
}
