import { CUSTOM_RESOURCE_DEFINITIONS } from "@podid/crd-types";
import { transportFromKubeConfig } from "@podid/kube";
import { parseNodeKubeConfig } from "@podid/kube/node-kubeconfig";
import { startKubeEmulator } from "@podid/kube-emulator";
import { afterEach, expect, test } from "vitest";
import { crdProblem, crdSupport, FULL_CRD_SUPPORT, readCrdSupport } from "./crd-support.ts";
import type { CrdSupport } from "./crd-support.ts";

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

type Definition = (typeof CUSTOM_RESOURCE_DEFINITIONS)[number];

async function supportOf(crds: readonly object[]): Promise<CrdSupport> {
  const emulator = await startKubeEmulator({ crds });
  const transport = transportFromKubeConfig(parseNodeKubeConfig(emulator.kubeconfig()));
  cleanups.push(
    () => emulator.close(),
    () => transport.close(),
  );
  return readCrdSupport(transport);
}

/** As aad-pod-identity's chart has them: `subresources: {}`, and none of podid's fields. */
function ofUpstream(definition: Definition): object {
  const [version] = structuredClone(definition.spec.versions) as unknown as [
    { subresources?: unknown; schema: { openAPIV3Schema: { properties: Record<string, { properties?: object }> } } },
  ];
  version.subresources = {};
  const { spec, status } = version.schema.openAPIV3Schema.properties;
  for (const [owner, field] of [
    [spec, "serviceAccounts"],
    [status, "conditions"],
  ] as const) {
    if (owner?.properties !== undefined) delete (owner.properties as Record<string, unknown>)[field];
    delete (owner as Record<string, unknown> | undefined)?.["x-kubernetes-preserve-unknown-fields"];
  }
  return { ...definition, spec: { ...definition.spec, versions: [version] } };
}

test("podid's own definitions: nothing is amiss", async () => {
  const support = await supportOf(CUSTOM_RESOURCE_DEFINITIONS);
  expect(support).toEqual(FULL_CRD_SUPPORT);
  expect(crdProblem(support)).toBeUndefined();
});

test("definitions of aad-pod-identity: what is off is said in one sentence with the remedy", async () => {
  const support = await supportOf(CUSTOM_RESOURCE_DEFINITIONS.map(ofUpstream));
  expect([...support.status]).toEqual([]);
  expect(support.pruned).toContain("azureidentities spec.serviceAccounts");
  const problem = crdProblem(support);
  expect(problem).toContain("azureidentities, azureidentitybindings have no status subresource");
  expect(problem).toContain("drops azureidentities spec.serviceAccounts");
  expect(problem).not.toContain("status.conditions");
  expect(problem).toContain("kubectl apply --server-side");
});

test("no definitions at all", async () => {
  const support = await supportOf([]);
  expect(support.missing).toContain("azureassignedidentities");
  expect(crdProblem(support)).toContain("nothing works without them");
});

test("schemas that may not be read accuse nobody", () => {
  const resources = { resources: [{ name: "azureidentities" }, { name: "azureidentities/status" }] };
  const { pruned, status } = crdSupport(resources, undefined);
  expect([pruned, [...status]]).toEqual([[], ["AzureIdentity"]]);
});
