import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { findKubeClient } from "@podid/tools/kube-clients";
import { describe, expect, test } from "vitest";
import { MACHINES, STATUS_PATIENCE, vm } from "./fixtures.ts";
import type { MicCluster } from "./mic-cluster.ts";
import { onKubeServers } from "./on-kube-servers.ts";

const GATE = "podid.dev/identity-assigned";
const SIMPLE = "test-pod-default-test-id";
const run = promisify(execFile);
const kubectl = findKubeClient("kubectl");

async function say(c: MicCluster, ...args: readonly string[]): Promise<string> {
  const file = join(c.directory, "admin.kubeconfig");
  await writeFile(file, c.kube.kubeconfig, { mode: 0o600 });
  const { stdout } = await run(kubectl ?? "kubectl", [`--kubeconfig=${file}`, ...args]);
  return stdout.replaceAll(/[ \t]+/g, " ");
}

/** What MIC says of its work: in conditions, counts and columns, in events, and in the pod. */
onKubeServers((cluster) => {
  test("a pod with the readiness gate becomes ready with its identity", async () => {
    const c = cluster();
    await c.node("test-node", vm("test-node"));
    await c.identity("test-id");
    await c.binding("testbinding", "test-id", "test-select");
    const spec = { readinessGates: [{ conditionType: GATE }] };
    await c.pod("test-pod", "test-node", "test-select", { spec });
    await c.pod("unbound", "test-node", "nobody", { spec });
    await c.mic();
    const gate = async (pod: string): Promise<string | undefined> => {
      const { conditions = [] } = ((await c.find("pods", pod))?.["status"] ?? {}) as {
        conditions?: { type: string; status: string; reason?: string }[];
      };
      const found = conditions.find(({ type }) => type === GATE);
      return found && `${found.status} ${found.reason}`;
    };
    await c.eventually(async () => expect(await gate("test-pod")).toBe("True Assigned"));
    await c.eventually(async () => expect(await gate("unbound")).toBe("False NoBinding"));
  });

  test("the status of identity and binding is written once per change, and by the leader alone", async () => {
    const c = cluster();
    await c.node("test-node", vm("test-node"));
    await c.simple();
    await c.mic();
    await c.becomes({ [SIMPLE]: "Assigned" });
    for (const kind of ["azureIdentities", "azureIdentityBindings"] as const) {
      const name = kind === "azureIdentities" ? "test-id" : "testbinding";
      await c.eventually(
        async () =>
          expect((await c.find(kind, name))?.["status"]).toMatchObject({
            conditions: [{ type: "Ready", status: "True", reason: "Assigned", observedGeneration: 1 }],
            matched: 1,
            assigned: 1,
            failed: 0,
          }),
        STATUS_PATIENCE,
      );
    }
    c.startMic(["--leader-election-instance=second", "--http-probe-port=0", "--prometheus-port=0"]);
    await c.identity("late");
    await c.eventually(async () =>
      expect((await c.find("azureIdentities", "late"))?.["status"]).toMatchObject({
        conditions: [{ reason: "NotBound" }],
      }),
    );
    const writes = (await c.micWrites()).filter(({ resource }) => resource.startsWith("azureidentities"));
    expect(writes.length).toBeLessThanOrEqual(3);
  });

  describe.skipIf(kubectl === undefined)("with kubectl", () => {
    test.for(MACHINES)("describe shows a binding's events, on a $kind", async ({ machine }) => {
      const c = cluster();
      await c.node("test-node", machine);
      await c.simple();
      await c.mic();
      await c.becomes({ [SIMPLE]: "Assigned" });
      await c.eventually(async () =>
        expect(await say(c, "describe", "azureidentitybinding", "testbinding")).toMatch(
          /Events:[^]*Normal binding applied .*Binding testbinding applied on node test-node for pod test-pod-default-test-id/,
        ),
      );
    });

    test("get shows how far an identity has come, and describe of a node why nothing is attached to it", async () => {
      const c = cluster();
      await c.of("nodes").create({ metadata: { name: "odd" }, spec: { providerID: "kind://odd" } });
      await c.identity("test-id");
      await c.binding("testbinding", "test-id", "test-select");
      await c.pod("test-pod", "odd", "test-select");
      await c.identity("bad", { exists: false, spec: { resourceID: "nonsense" } });
      await c.mic();
      await c.eventually(async () => {
        const table = await say(c, "get", "azureidentity");
        expect(table).toMatch(/^test-id 0 client-test-id False NodeNotAttachable 1 0 /m);
        expect(table).toMatch(/^bad 0 client-bad False InvalidResourceID 0 0 /m);
      });
      await c.eventually(async () =>
        expect(await say(c, "describe", "node", "odd")).toMatch(/Warning InvalidProviderID .*node odd: .*kind:\/\/odd/),
      );
      expect(await say(c, "describe", "azureidentity", "bad")).toMatch(
        /Warning InvalidResourceID .*invalid resource id/,
      );
    });
  });
});
