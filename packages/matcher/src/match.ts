import { assignmentOf } from "./assignment.ts";
import { compareBindings, compareText } from "./binding-order.ts";
import type { Denial } from "./denial.ts";
import { ineligibility, selectorOf } from "./eligibility.ts";
import { noBinding } from "./explanation.ts";
import type { MatcherOptions } from "./matcher.ts";
import type { Assignment, BindingRecord, ExceptionRecord, IdentityRecord, PodRecord } from "./records.ts";
import { grantsOf, judge } from "./verdict.ts";
import type { Grant, PodKind, Rules, Verdict } from "./verdict.ts";
import { BINDING_LABEL } from "@podid/crd-types";

/** The objects of a cluster at one moment, each at most once. */
export interface Snapshot {
  readonly pods: Iterable<PodRecord>;
  readonly bindings: Iterable<BindingRecord>;
  readonly identities: Iterable<IdentityRecord>;
  /** Exceptions change no assignment; they may be given so that a snapshot is complete. */
  readonly exceptions?: Iterable<ExceptionRecord>;
}

/** Why a pod that carries the label is not given an identity. */
export interface PodDenial extends Denial {
  readonly pod: PodRecord;
  /** The binding that comes to nothing; absent when it is the pod itself, or that no binding selects it. */
  readonly binding?: BindingRecord;
}

/** Something that works and yet deserves an operator's look; each one once, however many pods it concerns. */
export interface MatchWarning {
  readonly reason: "duplicate-identity-name";
  readonly message: string;
}

export interface MatchResult {
  /** By pod UID, then by the namespace and name of the binding. */
  readonly assignments: readonly Assignment[];
  /** By pod UID, then by the namespace and name of the binding. */
  readonly denials: readonly PodDenial[];
  readonly warnings: readonly MatchWarning[];
}

/** What all pods with one label value, one namespace and one ServiceAccount have in common. */
interface Common {
  readonly grants: readonly Grant[];
  readonly denied: readonly (Verdict & { readonly outcome: "denied" })[];
}

/** Matches everything at once. The result depends on the objects alone, not on the order in which they are given. */
export function match(snapshot: Snapshot, { forceNamespaced = false }: MatcherOptions = {}): MatchResult {
  const identities = new Map<string, IdentityRecord>();
  for (const identity of snapshot.identities) identities.set(`${identity.namespace}/${identity.name}`, identity);
  const identityOf = (binding: BindingRecord): IdentityRecord | undefined =>
    identities.get(`${binding.namespace}/${binding.azureIdentity}`);
  const commonOf = createJudgement(snapshot.bindings, { identityOf, forceNamespaced });

  const assignments: Assignment[] = [];
  const denials: PodDenial[] = [];
  const warnings = new Map<string, MatchWarning>();
  for (const pod of [...snapshot.pods].sort((a, b) => compareText(a.uid, b.uid))) {
    const selector = selectorOf(pod);
    const unfit = ineligibility(pod);
    if (unfit !== undefined || selector === undefined) {
      // Pods without the label ask for nothing; an empty label is a mistake that somebody wants to hear of.
      if (unfit !== undefined && Object.hasOwn(pod.labels, BINDING_LABEL)) denials.push({ ...unfit, pod });
      continue;
    }
    const common = commonOf(selector, pod);
    if (common === undefined) {
      denials.push({ ...noBinding(pod, selector), pod });
      continue;
    }
    for (const grant of common.grants) assignments.push(assignmentOf(pod, grant));
    for (const { denial, binding } of common.denied) {
      denials.push({ ...denial, pod, binding });
      const { reason, message } = denial;
      if (reason === "duplicate-identity-name") warnings.set(message, { reason, message });
    }
  }
  return { assignments, denials, warnings: [...warnings.values()].sort((a, b) => compareText(a.message, b.message)) };
}

/** Judges each kind of pods once; `undefined` where no binding selects the value. */
function createJudgement(
  bindings: Iterable<BindingRecord>,
  rules: Rules,
): (selector: string, pod: PodKind) => Common | undefined {
  const bySelector = Map.groupBy(bindings, (binding) => binding.selector);
  for (const selecting of bySelector.values()) selecting.sort(compareBindings);
  const known = new Map<string, Map<string, Common>>();
  return (selector, pod) => {
    const selecting = bySelector.get(selector);
    if (selecting === undefined) return undefined;
    const byKind = known.get(selector) ?? new Map<string, Common>();
    known.set(selector, byKind);
    const kind = `${pod.namespace}/${pod.serviceAccountName}`;
    const found = byKind.get(kind);
    if (found !== undefined) return found;
    const verdicts = judge(pod, selecting, rules);
    const common = { grants: grantsOf(verdicts), denied: verdicts.filter((verdict) => verdict.outcome === "denied") };
    byKind.set(kind, common);
    return common;
  };
}
