import { ResourceClient } from "@podid/kube";
import type { KubeTransport } from "@podid/kube";
import { API_SERVER } from "./api-server.ts";
import type { Control } from "./control.ts";

const NAMESPACE = "kube-system";
const NAME = "podid-e2e-overload";
const API = { group: "flowcontrol.apiserver.k8s.io", version: "v1", namespaced: false };

/**
 * Lets the API server answer requests of some ServiceAccounts with 429 and Retry-After: the emulator all of them, by a
 * fault; a real one by its priority and fairness, which serves one at a time for them all and refuses the others.
 * @returns what ends it
 */
export async function overload(
  transport: KubeTransport,
  control: Control,
  accounts: readonly string[],
): Promise<() => Promise<void>> {
  if (API_SERVER === "emulator") {
    for (const account of accounts) {
      const user = `system:serviceaccount:${NAMESPACE}:${account}`;
      await control.addKubeFault({ user, status: 429, retryAfterSeconds: 1 });
    }
    return () => control.clearKubeFaults();
  }
  const levels = new ResourceClient(transport, {
    ...API,
    plural: "prioritylevelconfigurations",
    kind: "PriorityLevelConfiguration",
  });
  const schemas = new ResourceClient(transport, { ...API, plural: "flowschemas", kind: "FlowSchema" });
  await levels.create({
    metadata: { name: NAME },
    spec: {
      type: "Limited",
      limited: {
        nominalConcurrencyShares: 0,
        lendablePercent: 0,
        borrowingLimitPercent: 0,
        limitResponse: { type: "Reject" },
      },
    },
  });
  await schemas.create({
    metadata: { name: NAME },
    spec: {
      priorityLevelConfiguration: { name: NAME },
      // Nothing goes before it but the exempt ones.
      matchingPrecedence: 2,
      rules: [
        {
          subjects: accounts.map((name) => ({
            kind: "ServiceAccount",
            serviceAccount: { namespace: NAMESPACE, name },
          })),
          resourceRules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"], namespaces: ["*"], clusterScope: true }],
        },
      ],
    },
  });
  return async () => {
    await schemas.delete(NAME);
    await levels.delete(NAME);
  };
}
