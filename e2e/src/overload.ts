import { readFileSync } from "node:fs";
import type { ClientRequest } from "node:http";
import { request } from "node:https";
import { join } from "node:path";
import { ResourceClient } from "@podid/kube";
import { API_SERVER } from "./api-server.ts";
import type { Cluster } from "./cluster.ts";

const NAMESPACE = "kube-system";
const NAME = "podid-e2e-overload";
const API = { group: "flowcontrol.apiserver.k8s.io", version: "v1", namespaced: false };

/**
 * Lets the API server answer every request of some ServiceAccounts with 429 and Retry-After: the emulator by a fault, a
 * real one by its priority and fairness, which gives them a share of nothing. @returns what ends it
 */
export async function overload(
  cluster: Cluster,
  accounts: readonly [string, ...string[]],
): Promise<() => Promise<void>> {
  const { control, transport } = cluster;
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
  const occupied = await occupy(cluster, accounts[0]);
  return async () => {
    occupied.destroy();
    await schemas.delete(NAME);
    await levels.delete(NAME);
  };
}

/** Even without a share one request is served when no other is: this one never ends, because its body does not. */
async function occupy({ sandbox }: Cluster, account: string): Promise<ClientRequest> {
  const { kubeUrl, directory } = sandbox.state;
  const headers = {
    authorization: `Bearer ${readFileSync(join(directory, `${account}.token`), "utf8")}`,
    "content-type": "application/json",
    "content-length": 1000,
  };
  for (;;) {
    const endless = request(`${kubeUrl}/api/v1/namespaces/default/events`, {
      method: "POST",
      headers,
      rejectUnauthorized: false,
      agent: false,
    });
    endless.on("error", () => undefined).write("{");
    const refused = new Promise<"refused">((resolve) => endless.once("response", () => resolve("refused")));
    const served = new Promise<"served">((resolve) => setTimeout(resolve, 500, "served"));
    if ((await Promise.race([refused, served])) === "served") return endless;
    endless.destroy();
  }
}
