import type { Cohort, SelectorGroup } from "./cohort.ts";
import type { Denial } from "./denial.ts";
import type { BindingRecord, IdentityRecord } from "./records.ts";
import { judge } from "./verdict.ts";
import type { Rules } from "./verdict.ts";

/** What a binding comes to: seen from the binding, where `Explanation` is seen from a pod. */
export interface BindingExplanation {
  readonly binding: BindingRecord;
  /** `undefined` when its namespace has none of that name. */
  readonly identity: IdentityRecord | undefined;
  /** Pods whose label is the binding's selector, whatever becomes of them. */
  readonly selected: number;
  /** Pods of these that get nothing from this binding, by reason. */
  readonly denied: readonly { readonly denial: Denial; readonly pods: number }[];
  /** Labels of pods that miss the selector only by casing or by blanks around it. */
  readonly nearMisses: readonly string[];
}

export interface BindingExplanationInput {
  readonly binding: BindingRecord;
  readonly group: SelectorGroup | undefined;
  readonly nearMisses: readonly string[];
  readonly rules: Rules;
}

export function explainBinding({ binding, group, nearMisses, rules }: BindingExplanationInput): BindingExplanation {
  const denied = new Map<string, { denial: Denial; pods: number }>();
  let selected = 0;
  for (const cohort of group?.cohorts ?? []) {
    const pods = cohort.pods.size;
    selected += pods;
    const denial = denialFor(cohort, binding, group, rules);
    if (denial === undefined) continue;
    const known = denied.get(denial.message);
    if (known === undefined) denied.set(denial.message, { denial, pods });
    else known.pods += pods;
  }
  return { binding, identity: rules.identityOf(binding), selected, denied: [...denied.values()], nearMisses };
}

function denialFor(
  cohort: Cohort,
  binding: BindingRecord,
  group: SelectorGroup | undefined,
  rules: Rules,
): Denial | undefined {
  const relevant = group?.bindingsFor(cohort.namespace) ?? [];
  // One whose identity cannot be used, or serves another namespace, is not among those that may give something.
  const bindings = relevant.includes(binding) ? relevant : [binding];
  const verdict = judge(cohort, bindings, rules).find((found) => found.binding === binding);
  return verdict?.outcome === "denied" ? verdict.denial : undefined;
}
