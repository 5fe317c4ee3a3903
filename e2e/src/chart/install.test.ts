import { MemoryArm } from "@podid/azure-assigner/testing";
import { parseProviderId } from "@podid/crd-types";
import { RESOURCES } from "@podid/kube";
import type { KubeTransport } from "@podid/kube";
import { findAssets } from "@podid/kube-control-plane";
import { createLogger } from "@podid/service";
import { helms } from "@podid/tools/helms";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { drainableTransport } from "../../../apps/mic/src/drain/drainable-transport.ts";
import { Lifecycle } from "../../../apps/mic/src/drain/lifecycle.ts";
import { runMic } from "../../../apps/mic/test/run-mic.ts";
import { until } from "../until.ts";
import { doDrain } from "./drain-job.ts";
import { CHART, HelmCluster, NAMESPACE } from "./helm-cluster.ts";

const assets = await findAssets(process.env);
const SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000001";
const VM = `${SUBSCRIPTION}/resourceGroups/nodes/providers/Microsoft.Compute/virtualMachines/vm-1`;
const IDENTITY = `${SUBSCRIPTION}/resourcegroups/group/providers/Microsoft.ManagedIdentity/userAssignedIdentities/demo1`;

/** MIC with the release's ServiceAccount, and with Azure in memory. */
class ChartMic {
  readonly arm = new MemoryArm();
  #stop: (() => Promise<void>) | undefined;

  async start(cluster: HelmCluster): Promise<void> {
    const transport: KubeTransport = await cluster.as("podid-mic");
    const log = createLogger({ component: "mic", format: "text", write: () => undefined });
    const lifecycle = new Lifecycle({ transport, namespace: NAMESPACE, log });
    lifecycle.start();
    const { mic } = runMic(drainableTransport(transport, lifecycle), this.arm, { namespace: NAMESPACE });
    this.#stop = async () => {
      await mic.stop();
      await lifecycle.stop();
      await transport.close();
    };
  }

  async stop(): Promise<void> {
    await this.#stop?.();
    this.#stop = undefined;
  }
}

describe.for(
  helms().map((helm) => ({
    ...helm,
    why: assets === undefined ? ": skipped, KUBEBUILDER_ASSETS is not set" : helm.missing,
  })),
)("the chart's life with $name", ({ path, why }) => {
  describe.skipIf(path === undefined || assets === undefined)(
    `on a real API server${path === undefined || assets === undefined ? why : ""}`,
    () => {
      let cluster: HelmCluster;
      const mic = new ChartMic();
      const helm = path ?? "";
      const run = async (...args: readonly string[]): Promise<string> => {
        const { code, output } = await cluster.helm(helm, ...args);
        if (code !== 0) throw new Error(`helm ${args.join(" ")}: ${output}`);
        return output;
      };

      beforeAll(async () => {
        if (assets === undefined) return;
        cluster = await HelmCluster.start(assets);
      });
      afterAll(async () => {
        await mic.stop();
        await cluster?.close();
      });

      test("install: objects and CRDs are there, and the notes say what comes next", async () => {
        const values = [
          `azureIdentities.demo1.resourceID=${IDENTITY}`,
          "azureIdentities.demo1.clientID=00000000-0000-0000-0000-00000000c1d1",
          "azureIdentities.demo1.binding.name=demo1-binding",
          "azureIdentities.demo1.binding.selector=demo",
          "forceNamespaced=false",
        ].join(",");
        const output = await run(
          "install",
          "podid",
          CHART,
          "--namespace",
          NAMESPACE,
          "--create-namespace",
          "--set",
          values,
        );
        expect(output).toContain("helm test podid --namespace podid\n");
        expect(await cluster.objectsOf("podid")).toEqual(
          expect.arrayContaining([
            "AzureIdentity podid/demo1",
            "AzureIdentityBinding podid/demo1-binding",
            "AzurePodIdentityException kube-system/aks-addon-exception",
            "ConfigMap podid/podid-lifecycle",
            "DaemonSet podid/podid-nmi",
            "Deployment podid/podid-mic",
            "PodDisruptionBudget podid/podid-mic",
            "ServiceAccount podid/podid-nmi",
          ]),
        );
      });

      test("MIC works with the rights that it got", async () => {
        await mic.start(cluster);
        await cluster.of(RESOURCES.serviceAccounts).create({ metadata: { name: "default", namespace: NAMESPACE } });
        await cluster.of(RESOURCES.nodes).create({ metadata: { name: "vm-1" }, spec: { providerID: `azure://${VM}` } });
        await cluster.of(RESOURCES.pods).create({
          metadata: { name: "web", namespace: NAMESPACE, labels: { aadpodidbinding: "demo" } },
          spec: { nodeName: "vm-1", containers: [{ name: "main", image: "registry.example/pause:1" }] },
        });
        await until("the pod has its identity", async () => {
          const { items } = await cluster.of(RESOURCES.azureAssignedIdentities).list();
          return items.length === 1 && (items[0]?.["status"] as { status?: string })?.status === "Assigned";
        });
      });

      test("upgrade and roll back: what is not the chart's stays", async () => {
        const before = await cluster.objectsOf("podid");
        await run(
          "upgrade",
          "podid",
          CHART,
          "--namespace",
          NAMESPACE,
          "--reuse-values",
          "--set",
          "admissionPolicies.resourceIDs=true",
        );
        expect(await cluster.objectsOf("podid")).toEqual(
          [
            ...before,
            "ValidatingAdmissionPolicy /podid-resource-ids",
            "ValidatingAdmissionPolicyBinding /podid-resource-ids",
          ].sort(),
        );
        await run("rollback", "podid", "1", "--namespace", NAMESPACE);
        expect(await cluster.objectsOf("podid")).toEqual(before);
        expect((await cluster.of(RESOURCES.azureAssignedIdentities).list()).items).toHaveLength(1);
      });

      test("uninstall while Azure does not answer: nothing goes, and it is said why", async () => {
        const answer = Promise.withResolvers<void>();
        mic.arm.beforePatch = () => answer.promise;
        const uninstalled = cluster.helm(helm, "uninstall", "podid", "--namespace", NAMESPACE, "--timeout", "60s");
        const said = await doDrain(cluster, 1000);
        expect(said.join("\n")).toMatch(/demo1 is attached to .*vm-1[^]*Nothing was uninstalled, and podid works on/i);
        expect(await uninstalled).toMatchObject({ code: 1, output: expect.stringContaining("podid-drain") });
        expect(await cluster.objectsOf("podid")).toContain("DaemonSet podid/podid-nmi");
        expect((await cluster.find(RESOURCES.configMaps, "podid-lifecycle", NAMESPACE))?.["data"]).toEqual({
          phase: "running",
        });
        mic.arm.beforePatch = undefined;
        answer.resolve();
      });

      test("uninstall: MIC detaches, and nothing is left but the users' objects and CRDs", async () => {
        const uninstalled = run("uninstall", "podid", "--namespace", NAMESPACE, "--timeout", "60s");
        const said = await doDrain(cluster);
        expect(said.at(-1)).toContain("MIC has detached what it attached");
        await uninstalled;
        expect(await cluster.objectsOf("podid")).toEqual([]);
        const group = parseProviderId(`azure://${VM}`);
        expect(group.ok && [...mic.arm.machine(group.value.group).identities.keys()]).toEqual([]);
        expect((await cluster.of(RESOURCES.azureAssignedIdentities).list()).items).toEqual([]);
        const ours = (await cluster.of(RESOURCES.configMaps).list({ namespace: NAMESPACE })).items.map(
          ({ metadata }) => metadata.name,
        );
        expect(ours.filter((name) => name !== "kube-root-ca.crt")).toEqual([]);
        expect(await cluster.find(RESOURCES.pods, "web", NAMESPACE)).toBeDefined();
      });
    },
  );
});
