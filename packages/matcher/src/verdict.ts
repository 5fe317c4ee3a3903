import type { Denial } from "./denial.ts";
import type { BindingRecord, IdentityRecord } from "./records.ts";

/** What becomes of a binding that selects a pod. */
export type Verdict =
  | { readonly outcome: "assigned"; readonly binding: BindingRecord; readonly identity: IdentityRecord }
  /** An earlier binding gives the pod the same identity already. */
  | {
      readonly outcome: "redundant";
      readonly binding: BindingRecord;
      readonly identity: IdentityRecord;
      readonly givenBy: BindingRecord;
    }
  | {
      readonly outcome: "denied";
      readonly binding: BindingRecord;
      readonly identity: IdentityRecord | undefined;
      readonly denial: Denial;
    };

/** A binding and the identity that it gives. */
export interface Grant {
  readonly binding: BindingRecord;
  readonly identity: IdentityRecord;
}

export interface Rules {
  readonly identityOf: (binding: BindingRecord) => IdentityRecord | undefined;
  /** Every identity serves its own namespace only, annotated or not. */
  readonly forceNamespaced: boolean;
}

/** What of a pod matters besides its label. */
export interface PodKind {
  readonly namespace: string;
  readonly serviceAccountName: string;
}

/**
 * Judges the bindings whose selector is the pod's label. The outcome is the same for all pods of a namespace with the same label
 * and ServiceAccount.
 *
 * @param bindings in the order of `compareBindings`: of two identities with one name the first binding's wins
 */
export function judge(pod: PodKind, bindings: readonly BindingRecord[], rules: Rules): Verdict[] {
  const given = new Map<string, Grant>();
  return bindings.map((binding): Verdict => {
    const identity = rules.identityOf(binding);
    const denial = objection(pod, binding, identity, rules.forceNamespaced);
    if (denial !== undefined || identity === undefined) {
      return { outcome: "denied", binding, identity, denial: denial ?? missing(binding) };
    }
    const earlier = given.get(identity.name);
    if (earlier === undefined) {
      given.set(identity.name, { binding, identity });
      return { outcome: "assigned", binding, identity };
    }
    if (earlier.identity.namespace === identity.namespace) {
      return { outcome: "redundant", binding, identity, givenBy: earlier.binding };
    }
    return { outcome: "denied", binding, identity, denial: duplicate(earlier.identity, identity) };
  });
}

/** What of the verdicts is assigned. */
export function grantsOf(verdicts: readonly Verdict[]): Grant[] {
  return verdicts.filter((verdict) => verdict.outcome === "assigned");
}

function objection(
  pod: PodKind,
  binding: BindingRecord,
  identity: IdentityRecord | undefined,
  forceNamespaced: boolean,
): Denial | undefined {
  if (identity === undefined) return missing(binding);
  const name = `${identity.namespace}/${identity.name}`;
  if (identity.problem !== undefined) {
    return { reason: "identity-invalid", message: `ignoring azure identity ${name}, error: ${identity.problem}` };
  }
  if ((forceNamespaced || identity.namespaced) && identity.namespace !== pod.namespace) {
    const why = forceNamespaced ? "namespaced mode is on" : "it is annotated as namespaced";
    return {
      reason: "other-namespace",
      message: `AzureIdentity ${name} serves pods of namespace ${identity.namespace} only (${why}), the pod is in ${pod.namespace}`,
    };
  }
  const { serviceAccounts } = identity.spec;
  if (serviceAccounts && serviceAccounts.length > 0 && !serviceAccounts.includes(pod.serviceAccountName)) {
    return {
      reason: "service-account-not-allowed",
      message: `AzureIdentity ${name} serves pods of the ServiceAccounts ${serviceAccounts.join(", ")} only, the pod's is ${pod.serviceAccountName || "unknown"}`,
    };
  }
  return undefined;
}

function missing({ namespace, name, azureIdentity }: BindingRecord): Denial {
  const message =
    azureIdentity === ""
      ? `${namespace}/${name} binding names no AzureIdentity`
      : `${azureIdentity} identity not found when using ${namespace}/${name} binding`;
  return { reason: "identity-missing", message };
}

function duplicate(first: IdentityRecord, second: IdentityRecord): Denial {
  return {
    reason: "duplicate-identity-name",
    message: `AzureIdentity ${first.name} exists in both ${first.namespace} and ${second.namespace} namespace. Considering renaming it or enabling Namespace mode (https://azure.github.io/aad-pod-identity/docs/configure/match_pods_in_namespace)`,
  };
}
