import type { ProcessStatus } from "../sandbox/supervised-process.ts";

/** What is really there, gathered when something takes too long. */
export interface Facts {
  readonly pod:
    | {
        readonly namespace: string;
        readonly name: string;
        readonly label: string | undefined;
        readonly node: string | undefined;
        readonly phase: string | undefined;
        /** How its program ended, if it did; it may run again. */
        readonly exitCode?: number | undefined;
      }
    | undefined;
  readonly bindings: readonly {
    readonly namespace: string;
    readonly name: string;
    readonly selector: string;
    readonly azureIdentity: string;
  }[];
  readonly identities: readonly { readonly namespace: string; readonly name: string; readonly clientId: string }[];
  /** Of the pod. */
  readonly assigned: readonly { readonly name: string; readonly status: string }[];
  readonly processes: readonly ProcessStatus[];
  /** How the rules of the pod's node differ from what NMI puts in. */
  readonly ruleChanges: readonly string[];
  /** Requests that ARM refused with 403: client id of the caller and what it wanted. */
  readonly armRefusals: readonly {
    readonly caller: string;
    readonly method: string;
    readonly path: string;
    readonly error: string;
  }[];
  readonly micClientId: string;
}

type Check = (facts: Facts) => string | undefined;

/** In the order in which a request needs them; the first that fails is the cause. */
const checks: readonly Check[] = [
  ({ pod }) => (pod === undefined ? "the demo's pod does not exist: it was deleted, or never created" : undefined),
  ({ pod }) =>
    pod?.node === undefined
      ? "the demo's pod is on no node: no node fits its nodeSelector, or the kubelet does not run"
      : undefined,
  ({ pod }) =>
    pod?.label === undefined ? "the demo's pod lacks the label aadpodidbinding: bindings select by it" : undefined,
  (facts) => {
    const { pod } = facts;
    if (pod === undefined || bindingsOf(facts).length > 0) return undefined;
    return `the binding is missing: no AzureIdentityBinding in namespace ${pod.namespace} has the selector ${JSON.stringify(pod.label)}, the value of the pod's label aadpodidbinding. Apply deploy/demo/aadpodidentitybinding.yaml`;
  },
  (facts) => {
    const lost = bindingsOf(facts).filter(
      (binding) =>
        !facts.identities.some(
          (identity) => identity.namespace === binding.namespace && identity.name === binding.azureIdentity,
        ),
    );
    return lost.length === 0
      ? undefined
      : `the identity is missing: binding ${lost[0]?.name} names AzureIdentity ${lost[0]?.azureIdentity}, which does not exist. Apply deploy/demo/aadpodidentity.yaml`;
  },
  ({ processes, assigned }) => {
    const mic = processes.filter((each) => each.app === "mic");
    if (assigned.some((each) => each.status === "Assigned") || mic.some((each) => each.state === "running"))
      return undefined;
    return `MIC is not running (${mic.map((each) => `${each.name} ${each.state}`).join(", ")}): nobody attaches the identity to the node. Start it with POST /processes/${mic[0]?.name}/start of the control API`;
  },
  ({ processes, pod }) => {
    const nmi = processes.find((each) => each.name === `nmi-${pod?.node}`);
    return nmi?.state === "running"
      ? undefined
      : `NMI is not running on ${pod?.node}: nobody answers the pod's requests`;
  },
  ({ ruleChanges, pod }) =>
    ruleChanges.length === 0
      ? undefined
      : `iptables rules are missing on ${pod?.node} (${ruleChanges.join("; ")}): the pod's requests do not reach NMI`,
  ({ armRefusals, micClientId }) => {
    const refused = armRefusals.find((each) => each.caller === micClientId);
    return (
      refused &&
      `MIC's service principal lacks a role assignment: ARM refused its ${refused.method} ${refused.path} with ${refused.error}`
    );
  },
  ({ assigned, pod }) => {
    if (assigned.some((each) => each.status === "Assigned")) return undefined;
    const states = assigned.map((each) => `${each.name} is ${each.status === "" ? "new" : each.status}`);
    return `the identity is not attached to ${pod?.node} yet: ${states.length === 0 ? "there is no AzureAssignedIdentity" : states.join(", ")}. See podid sandbox logs mic-0`;
  },
  (facts) => {
    const names = bindingsOf(facts).map((binding) => binding.azureIdentity);
    for (const { name, clientId } of facts.identities.filter((identity) => names.includes(identity.name))) {
      const refused = facts.armRefusals.find((each) => each.caller.toLowerCase() === clientId.toLowerCase());
      if (refused)
        return `the role assignment is missing: ARM refused ${refused.method} ${refused.path} of identity ${name} (client id ${clientId}) with ${refused.error}. Assign it Reader on that resource group`;
    }
    return undefined;
  },
  ({ pod }) =>
    pod?.exitCode === undefined
      ? undefined
      : `the demo's program ended with ${pod.exitCode}, where it should make its checks. See podid sandbox logs ${pod.namespace}/${pod.name}`,
];

/** Why the demo's pod does not get where it should; undefined when everything looks right. */
export function diagnose(facts: Facts): string | undefined {
  for (const check of checks) {
    const cause = check(facts);
    if (cause !== undefined) return cause;
  }
  return undefined;
}

function bindingsOf(facts: Facts): Facts["bindings"] {
  const { pod } = facts;
  return facts.bindings.filter((binding) => binding.namespace === pod?.namespace && binding.selector === pod.label);
}
