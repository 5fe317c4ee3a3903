import { compareBindings } from "./binding-order.ts";
import type { Denial } from "./denial.ts";
import { ineligibility, selectorOf } from "./eligibility.ts";
import type { Assignment, BindingRecord, ExceptionRecord, PodRecord } from "./records.ts";
import { judge } from "./verdict.ts";
import type { Rules, Verdict } from "./verdict.ts";

/** Why a pod has the identities that it has, and not others: the chain from its label on, up to where it breaks. */
export interface Explanation {
  readonly podUid: string;
  /** `undefined` when the matcher does not know the pod. */
  readonly pod: PodRecord | undefined;
  /** The value of the pod's label `aadpodidbinding`, unless absent or empty. */
  readonly selector: string | undefined;
  /** Why the pod has no identity at all; `undefined` when it has one. */
  readonly denial: Denial | undefined;
  /** Every binding that selects the pod, by namespace and name, and what becomes of it. Empty when the pod cannot have any identity. */
  readonly verdicts: readonly Verdict[];
  readonly assignments: readonly Assignment[];
  /** Exceptions that are meant for the pod: if there are any, its requests go to IMDS, whatever it is assigned. */
  readonly exceptions: readonly ExceptionRecord[];
  /** Bindings that miss the pod only by the casing of their selector or by blanks around it. */
  readonly nearMisses: readonly BindingRecord[];
}

export interface ExplanationInput {
  readonly pod: PodRecord;
  readonly assignments: readonly Assignment[];
  readonly exceptions: readonly ExceptionRecord[];
  readonly bindings: Iterable<BindingRecord>;
  readonly rules: Rules;
}

export function explainUnknownPod(podUid: string): Explanation {
  const denial: Denial = { reason: "pod-unknown", message: `no pod with UID ${podUid} is known` };
  const nothing = {
    pod: undefined,
    selector: undefined,
    verdicts: [],
    assignments: [],
    exceptions: [],
    nearMisses: [],
  };
  return { podUid, denial, ...nothing };
}

export function explainPod({ pod, assignments, exceptions, bindings, rules }: ExplanationInput): Explanation {
  const selector = selectorOf(pod);
  const known = { podUid: pod.uid, pod, selector, assignments, exceptions };
  const unfit = ineligibility(pod);
  if (unfit !== undefined || selector === undefined) {
    return { ...known, denial: unfit, verdicts: [], nearMisses: [] };
  }
  const selecting: BindingRecord[] = [];
  const nearMisses: BindingRecord[] = [];
  for (const binding of bindings) {
    if (binding.selector === selector) selecting.push(binding);
    else if (binding.selector.trim().toLowerCase() === selector.toLowerCase()) nearMisses.push(binding);
  }
  nearMisses.sort(compareBindings);
  const verdicts = judge(pod, selecting.sort(compareBindings), rules);
  return { ...known, denial: denialOf(pod, selector, verdicts), verdicts, nearMisses };
}

/** The first broken link of a pod that is given nothing. */
function denialOf(pod: PodRecord, selector: string, verdicts: readonly Verdict[]): Denial | undefined {
  if (verdicts.length === 0) return noBinding(pod, selector);
  if (verdicts.some(({ outcome }) => outcome === "assigned")) return undefined;
  return verdicts.find((verdict) => verdict.outcome === "denied")?.denial;
}

export function noBinding(pod: PodRecord, selector: string): Denial {
  return {
    reason: "no-binding",
    message: `No AzureIdentityBinding found for pod ${pod.namespace}/${pod.name} that matches selector: ${selector}. it will be ignored`,
  };
}
