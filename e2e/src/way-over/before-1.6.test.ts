import { MemoryArm } from "@podid/azure-assigner/testing";
import { CUSTOM_RESOURCE_DEFINITIONS, parseProviderId } from "@podid/crd-types";
import { RESOURCES } from "@podid/kube";
import type { KubeObject } from "@podid/kube";
import { findAssets } from "@podid/kube-control-plane";
import { helms } from "@podid/tools/helms";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CHART, HelmCluster } from "../chart/helm-cluster.ts";
import { until } from "../until.ts";
import { FORMER_CHART } from "./former-mic.ts";
import { clientIdOf, identityId, PROVIDER_ID, runPod, states, uidOf } from "./former-objects.ts";
import { PodidMic } from "./podid-mic.ts";

const assets = await findAssets(process.env);
const helm = helms().find(({ path }) => path !== undefined)?.path ?? "";
const can = assets !== undefined && helm !== "";
const FINALIZER = "azureassignedidentity.finalizers.aadpodidentity.k8s.io";
const WORK = "workloads";

/** Fields spelled as Go spells them, which the API server kept as long as CRDs had no schema. */
const IDENTITY = { Type: 0, ResourceID: identityId("old"), ClientID: clientIdOf("old") };
const BINDING = { AzureIdentity: "old", Selector: "old" };

describe.skipIf(!can)(
  `objects from before aad-pod-identity 1.6, in a cluster whose CRDs are as old${can ? "" : ": skipped, KUBEBUILDER_ASSETS and helm are needed"}`,
  () => {
    let cluster: HelmCluster;
    let mic: PodidMic | undefined;
    const arm = new MemoryArm();
    const group = parseProviderId(PROVIDER_ID);
    const run = async (...args: readonly string[]): Promise<void> => {
      const { code, output } = await cluster.helm(helm, ...args);
      if (code !== 0) throw new Error(`helm ${args.join(" ")}: ${output}`);
    };

    beforeAll(async () => {
      if (assets === undefined) return;
      cluster = await HelmCluster.start(assets);
      await until("the namespace is there", () => cluster.of(RESOURCES.namespaces).get("kube-system"));
      for (const { metadata, spec } of CUSTOM_RESOURCE_DEFINITIONS) {
        await cluster.of(RESOURCES.customResourceDefinitions).create({
          metadata: { name: metadata.name, annotations: { "api-approved.kubernetes.io": "unapproved" } },
          spec: {
            group: spec.group,
            names: spec.names,
            scope: spec.scope,
            versions: [
              {
                name: "v1",
                served: true,
                storage: true,
                schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
              },
            ],
          },
        });
      }
      await until("they are served", () => cluster.of(RESOURCES.azureAssignedIdentities).list());
      await cluster.of(RESOURCES.namespaces).create({ metadata: { name: WORK } });
      await cluster.of(RESOURCES.serviceAccounts).create({ metadata: { name: "default", namespace: WORK } });
      await cluster.of(RESOURCES.nodes).create({ metadata: { name: "vm-1" }, spec: { providerID: PROVIDER_ID } });
    });
    afterAll(async () => {
      await mic?.stop();
      await cluster?.close();
    });

    test("are understood, adopted, and spelled as today after the upgrade; what they are stays", async () => {
      await run("install", "aad-pod-identity", FORMER_CHART, "--namespace", "kube-system", "--skip-crds");
      await cluster.of(RESOURCES.azureIdentities).create(named("old", WORK, IDENTITY));
      await cluster.of(RESOURCES.azureIdentityBindings).create(named("old-binding", WORK, BINDING));
      await cluster
        .of(RESOURCES.azurePodIdentityExceptions)
        .create(named("apart", WORK, { PodLabels: { App: "apart" } }));
      await runPod(cluster, "web", WORK, "old");
      for (const pod of ["web", "gone"]) {
        await cluster.of(RESOURCES.azureAssignedIdentities).create({
          ...named(`${pod}-${WORK}-old`, "default", {
            AzureIdentityRef: { metadata: { name: "old", namespace: WORK }, Spec: IDENTITY },
            AzureBindingRef: { metadata: { name: "old-binding", namespace: WORK }, Spec: BINDING },
            Pod: pod,
            PodNamespace: WORK,
            NodeName: "vm-1",
          }),
          Status: { Status: "Assigned", AvailableReplicas: 1 },
        });
      }
      if (group.ok) arm.attach(group.value.group, identityId("old"), identityId("foreign"));
      const before = await uidOf(cluster, RESOURCES.azureIdentities, "old", WORK);

      await run(
        "upgrade",
        "aad-pod-identity",
        CHART,
        "--namespace",
        "kube-system",
        "--set",
        "nameOverride=aad-pod-identity",
      );
      mic = await PodidMic.start(cluster, arm, "podid-1");
      await mic.says("type upgrade completed !!");
      await until("the pod that is gone has no object", async () => (await names()).join() === `web-${WORK}-old`);
      await until("the other one's is Assigned", async () => (await states(cluster))[`web-${WORK}-old`] === "Assigned");
      expect((await cluster.of(RESOURCES.azureIdentities).get("old", WORK))["spec"]).toEqual({
        type: 0,
        resourceID: identityId("old"),
        clientID: clientIdOf("old"),
      });
      expect((await cluster.of(RESOURCES.azureIdentityBindings).get("old-binding", WORK))["spec"]).toEqual({
        azureIdentity: "old",
        selector: "old",
      });
      expect((await cluster.of(RESOURCES.azurePodIdentityExceptions).get("apart", WORK))["spec"]).toEqual({
        podLabels: { App: "apart" },
      });
      expect(await uidOf(cluster, RESOURCES.azureIdentities, "old", WORK)).toBe(before);
      expect(arm.patches).toEqual([]);
    });

    const names = async (): Promise<string[]> => Object.keys(await states(cluster));
  },
);

function named(name: string, namespace: string, spec: object): KubeObject {
  return { metadata: { name, namespace, ...(spec && "Pod" in spec && { finalizers: [FINALIZER] }) }, spec };
}
