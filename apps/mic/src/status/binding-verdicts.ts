import type { BindingExplanation, BindingRecord } from "@podid/matcher";
import { isAttachable } from "../assigned/is-attachable.ts";
import type { Verdict } from "./conditions.ts";
import type { Finding } from "./identity-verdicts.ts";
import type { BindingSummary } from "./scope-summary.ts";

export interface BindingInput {
  readonly explanation: BindingExplanation;
  readonly summary: BindingSummary;
  /** What is wrong with the AzureIdentity itself. */
  readonly identityFlaw: Finding | undefined;
}

type Check = (input: BindingInput) => Finding | undefined;

function no(reason: string, message: string): Finding {
  return { status: "False", reason, message };
}

const CHECKS: readonly Check[] = [
  ({ explanation: { binding, identity } }) => {
    if (identity !== undefined) return undefined;
    const { azureIdentity, namespace } = binding;
    return azureIdentity === ""
      ? no("AzureIdentityMissing", "spec.azureIdentity is empty: name an AzureIdentity of the binding's namespace")
      : no("AzureIdentityMissing", `AzureIdentity ${namespace}/${azureIdentity} does not exist`);
  },
  ({ explanation: { binding } }) =>
    binding.selector === ""
      ? no(
          "SelectorEmpty",
          "spec.selector is empty and selects no pod: write what the pods carry in label aadpodidbinding",
        )
      : undefined,
  ({ explanation: { identity }, identityFlaw }) =>
    identityFlaw &&
    no(identityFlaw.reason, `AzureIdentity ${identity?.namespace}/${identity?.name}: ${identityFlaw.message}`),
  ({ summary: { failed, failure } }) =>
    failure === undefined || failed === 0 ? undefined : no(failure.reason, failure.message),
  ({ summary: { matched, assigned } }) =>
    assigned < matched ? no("Assigning", `assigned for ${assigned} of ${matched} pods`) : undefined,
  ({ explanation: { denied } }) => {
    const duplicate = denied.find(({ denial }) => denial.reason === "duplicate-identity-name");
    return duplicate && no("DuplicateIdentityName", duplicate.denial.message);
  },
  ({ summary: { matched }, explanation: { denied } }) =>
    matched === 0 && denied[0] !== undefined
      ? no(
          "PodsNotAllowed",
          `${denied.reduce((sum, { pods }) => sum + pods, 0)} pods are selected and none may use it: ${denied[0].denial.message}`,
        )
      : undefined,
  ({ summary: { matched }, explanation: { nearMisses, binding } }) =>
    matched > 0 || nearMisses.length === 0
      ? undefined
      : no(
          "SelectorCasing",
          `spec.selector is ${JSON.stringify(binding.selector)}, and no pod has exactly that in its label aadpodidbinding; some have ${nearMisses
            .slice(0, 5)
            .map((label) => JSON.stringify(label))
            .join(", ")}`,
        ),
];

/** The conditions of an AzureIdentityBinding: the first check that finds something decides. */
export function bindingVerdicts(input: BindingInput): Verdict[] {
  const { matched } = input.summary;
  let found: Finding | undefined;
  for (const check of CHECKS) found ??= check(input);
  found ??=
    matched === 0
      ? { status: "True", reason: "NoPods", message: "it selects no pod that runs" }
      : { status: "True", reason: "Assigned", message: `assigned for ${matched} pods` };
  const ready: Verdict = { type: "Ready", ...found };
  return input.explanation.binding.preAssign === undefined
    ? [ready]
    : [ready, { type: "PreAssigned", ...preAssigned(input, input.explanation.binding) }];
}

function preAssigned({ explanation, summary, identityFlaw }: BindingInput, binding: BindingRecord): Finding {
  const { reserved, held, reservationFailure } = summary;
  const { identity } = explanation;
  const pools = (binding.preAssign ?? []).join(", ");
  if (identity === undefined) return no("AzureIdentityMissing", "there is no AzureIdentity to attach");
  if (!isAttachable(identity.spec))
    return no("NotAttachable", "only managed identities (type 0) are attached; the others are ready without it");
  if (identity.problem !== undefined) return no(identityFlaw?.reason ?? "InvalidSpec", identity.problem);
  if (reserved === 0) return no("NoSuchNodePool", `no node belongs to ${pools}`);
  if (reservationFailure !== undefined) return no(reservationFailure.reason, reservationFailure.message);
  const message = `attached to ${held} of ${reserved} VMs and scale sets of ${pools === "*" ? "the cluster" : pools}`;
  return held < reserved ? no("Assigning", message) : { status: "True", reason: "Assigned", message };
}
