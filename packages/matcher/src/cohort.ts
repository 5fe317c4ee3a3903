import { compareBindings } from "./binding-order.ts";
import type { BindingRecord, PodRecord } from "./records.ts";
import type { Grant, PodKind } from "./verdict.ts";

/** A pod and the cohort it is in; none when it cannot have an identity. */
export interface PodEntry {
  record: PodRecord;
  cohort: Cohort | undefined;
}

/**
 * The pods of one namespace with one label value and one ServiceAccount. All of them are granted the same, so a change of a binding or an identity is
 * worked out once per cohort, and per pod only what really differs.
 */
export interface Cohort {
  readonly selector: string;
  readonly namespace: string;
  readonly serviceAccountName: string;
  readonly pods: Set<PodEntry>;
  grants: readonly Grant[];
}

/** Which cohorts with its selector a binding can matter to: none as long as its identity cannot be used. */
export type Reach = "none" | "namespace" | "all";

export interface BindingEntry {
  record: BindingRecord;
  reach: Reach;
}

/** Everything about one value of the label: the bindings that select it and the pods that carry it. */
export class SelectorGroup {
  readonly members = new Set<BindingEntry>();
  /** By namespace, then by ServiceAccount. */
  readonly #cohorts = new Map<string, Map<string, Cohort>>();
  readonly #wide = new Set<BindingEntry>();
  // Bindings that serve their own namespace only are kept by namespace: a cluster with one such binding in each of its thousands
  // of namespaces, all for the same label, must not look at all of them whenever one changes.
  readonly #narrow = new Map<string, Set<BindingEntry>>();

  get isEmpty(): boolean {
    return this.members.size === 0 && this.#cohorts.size === 0;
  }

  get hasPods(): boolean {
    return this.#cohorts.size > 0;
  }

  add(entry: BindingEntry): void {
    this.members.add(entry);
    if (entry.reach === "all") this.#wide.add(entry);
    if (entry.reach === "namespace") {
      const { namespace } = entry.record;
      const local = this.#narrow.get(namespace) ?? new Set();
      this.#narrow.set(namespace, local.add(entry));
    }
  }

  delete(entry: BindingEntry): void {
    this.members.delete(entry);
    this.#wide.delete(entry);
    const { namespace } = entry.record;
    const local = this.#narrow.get(namespace);
    if (local?.delete(entry) === true && local.size === 0) this.#narrow.delete(namespace);
  }

  /** Bindings that may give pods of a namespace something, in order. */
  bindingsFor(namespace: string): BindingRecord[] {
    return [...this.#wide, ...(this.#narrow.get(namespace) ?? [])].map(({ record }) => record).sort(compareBindings);
  }

  cohort({ namespace, serviceAccountName }: PodKind): Cohort | undefined {
    return this.#cohorts.get(namespace)?.get(serviceAccountName);
  }

  get cohorts(): Iterable<Cohort> {
    return this.#cohorts.values().flatMap((local) => local.values());
  }

  addCohort(cohort: Cohort): void {
    const local = this.#cohorts.get(cohort.namespace) ?? new Map<string, Cohort>();
    this.#cohorts.set(cohort.namespace, local.set(cohort.serviceAccountName, cohort));
  }

  deleteCohort({ namespace, serviceAccountName }: Cohort): void {
    const local = this.#cohorts.get(namespace);
    if (local?.delete(serviceAccountName) === true && local.size === 0) this.#cohorts.delete(namespace);
  }

  /** The cohorts that a binding of this group can matter to. */
  reachedBy({ record, reach }: BindingEntry): Iterable<Cohort> {
    if (reach === "all") return this.cohorts;
    return (reach === "namespace" && this.#cohorts.get(record.namespace)?.values()) || [];
  }
}
