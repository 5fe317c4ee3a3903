import { CUSTOM_RESOURCE_DEFINITIONS } from "@podid/crd-types";
import type { KubeObject } from "@podid/kube";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Cluster, resourceId, vmProviderId } from "../../test/cluster.ts";
import { Harness, SIMPLE } from "../../test/harness.ts";
import { until } from "../../test/until.ts";

let h: Harness;
const statusTiming = { settleMs: 10, intervalMs: 50, sweepMs: 3_600_000 };

beforeEach(async () => {
  h = await Harness.start();
});
afterEach(() => h.close());

/** `Kind reason` of every event. */
async function events(): Promise<string[]> {
  return (await h.cluster.list("event")).map(
    (event) => `${(event["involvedObject"] as KubeObject).kind} ${String(event["reason"])}`,
  );
}

/** `Kind name: reason` of every condition Ready that is False. */
async function complaints(): Promise<string[]> {
  const told: string[] = [];
  for (const kind of ["identity", "binding"] as const) {
    for (const { metadata, ...object } of await h.cluster.list(kind)) {
      const { conditions = [] } = (object["status"] ?? {}) as {
        conditions?: { type: string; status: string; reason: string }[];
      };
      const ready = conditions.find(({ type, status }) => type === "Ready" && status === "False");
      if (ready !== undefined) told.push(`${kind} ${metadata.name}: ${ready.reason}`);
    }
  }
  return told;
}

interface Oddity {
  readonly name: string;
  readonly identity?: object;
  readonly selector?: string;
  readonly label?: string;
  readonly node?: { readonly name: string; readonly providerID: string };
  readonly podName?: string;
  /** One of the complaints, or an event. */
  readonly condition?: string;
  readonly event?: string;
}

const ODDITIES: readonly Oddity[] = [
  {
    name: "a malformed resource id",
    identity: { resourceID: "nonsense" },
    condition: "identity odd: InvalidResourceID",
    event: "AzureIdentity InvalidResourceID",
  },
  {
    name: "a resource id with something behind it",
    identity: { resourceID: `${resourceId("odd")}/x` },
    condition: "binding odd: InvalidResourceID",
    event: "Pod IdentityInvalid",
  },
  { name: "an empty resource id", identity: { resourceID: "" }, condition: "identity odd: InvalidResourceID" },
  {
    name: "a service principal without client id",
    identity: { type: 1, clientID: "", tenantID: "t" },
    condition: "identity odd: ClientIDMissing",
    event: "AzureIdentity ClientIDMissing",
  },
  {
    name: "a federated identity without client id",
    identity: { type: 3, clientID: "", tenantID: "t" },
    condition: "identity odd: ClientIDMissing",
  },
  {
    name: "an unknown type",
    identity: { type: 9 },
    condition: "identity odd: UnsupportedType",
    event: "AzureIdentity UnsupportedType",
  },
  {
    name: "a client id of another",
    identity: { clientID: "neighbour" },
    condition: "identity odd: ClientIDMismatch",
    event: "AzureIdentity ClientIDMismatch",
  },
  {
    name: "an identity that Azure does not know",
    identity: { resourceID: resourceId("vanished") },
    condition: "identity odd: RefusedByAzure",
    event: "AzureIdentityBinding binding apply error",
  },
  {
    name: "a selector in another casing",
    selector: "ODD",
    condition: "binding odd: SelectorCasing",
    event: "Pod SelectorCasing",
  },
  {
    name: "an empty selector",
    selector: "",
    condition: "binding odd: SelectorEmpty",
    event: "AzureIdentityBinding SelectorEmpty",
  },
  {
    name: "a node without providerID",
    node: { name: "odd", providerID: "" },
    condition: "binding odd: NodeNotAttachable",
    event: "Node InvalidProviderID",
  },
  {
    name: "a node of another cloud",
    node: { name: "odd", providerID: "aws:///eu-west-1a/i-0" },
    condition: "identity odd: NodeNotAttachable",
    event: "Node InvalidProviderID",
  },
];

async function odd({ identity = {}, selector = "odd", label = "odd", node, podName = "odd" }: Oddity): Promise<void> {
  if (node !== undefined) await h.cluster.node(node.name, node.providerID);
  await h.cluster.identity("odd", { resourceID: resourceId("odd"), ...identity });
  await h.cluster.binding("odd", "odd", selector);
  await h.cluster.pod(podName, node?.name ?? "test-node", label);
}

describe("bad input is named, and all else proceeds", () => {
  test.for(ODDITIES)("$name", async (oddity) => {
    h.arm.known = new Set(["identity1", "odd"].map((name) => resourceId(name).toLowerCase()));
    await h.simple();
    await h.cluster.merge("identity", "test-id", { spec: { clientID: "client-identity1" } });
    await odd(oddity);
    h.start({ statusTiming });
    await until(async () => expect((await h.cluster.statuses())[SIMPLE]).toBe("Assigned"));
    const { condition, event } = oddity;
    if (condition !== undefined) await until(async () => expect(await complaints()).toContain(condition));
    if (event !== undefined) await until(async () => expect(await events()).toContain(event));
    await until(async () => expect((await complaints()).filter((told) => !told.includes(" odd: "))).toEqual([]));
  });

  test("L-52 two pods that come together and whose objects would have one name are both served, and nobody complains", async () => {
    await h.cluster.node("test-node", vmProviderId("test-node"));
    for (const name of ["d", "default-d"]) {
      await h.cluster.identity(name, { resourceID: resourceId(name) });
      await h.cluster.binding(name, name, name);
    }
    await h.cluster.pod("a-podid", "test-node", "d");
    await h.cluster.pod("a", "test-node", "default-d", "podid");
    h.start({ statusTiming });
    await until(async () => expect(Object.values(await h.cluster.statuses())).toEqual(["Assigned", "Assigned"]));
    expect(Object.keys(await h.cluster.statuses())).toContain("a-podid-default-d");
    await until(async () => expect(await events()).toContain("AzureIdentityBinding binding applied"));
    expect((await h.cluster.events()).join("\n")).not.toContain("apply error");
  });

  test("a type 0 identity without client id is assigned, and the condition says what its pods cannot do", async () => {
    await h.cluster.node("test-node", vmProviderId("test-node"));
    await odd({ name: "", identity: { clientID: "" } });
    h.start({ statusTiming });
    await h.becomes({ "odd-default-odd": "Assigned" });
    await until(async () => {
      const status = (await h.cluster.find("identity", "odd"))?.["status"];
      expect(status).toMatchObject({ conditions: [{ status: "True", reason: "ClientIDUnknown" }], assigned: 1 });
    });
  });

  test.for([
    { name: "64-character node names", node: `${"n".repeat(60)}.a-b`, pod: "pod" },
    { name: "253-character pod names", node: "node", pod: `${"p".repeat(63)}.`.repeat(3) + "q".repeat(61) },
    { name: "both", node: "n".repeat(64), pod: "p".repeat(253) },
  ])("$name", async ({ node, pod }) => {
    await h.cluster.node(node, vmProviderId("vm"));
    await h.cluster.identity("id", { resourceID: resourceId("id") });
    await h.cluster.binding("b", "id", "sel");
    await h.cluster.pod(pod, node, "sel");
    h.start({ statusTiming });
    await until(async () => expect(Object.values(await h.cluster.statuses())).toEqual(["Assigned"]));
    const [assigned] = await h.cluster.assigned();
    expect([assigned?.spec.pod, assigned?.spec.nodename]).toEqual([pod, node]);
    expect(assigned?.metadata.name.length).toBeLessThanOrEqual(253);
    await until(async () => expect(await events()).toContain("AzureIdentityBinding binding applied"));
    await h.cluster.delete("pod", pod);
    await h.becomes({});
  });
});

describe("identities that vanish mid-flight", () => {
  test("the AzureIdentity goes while ARM works: nothing of it stays, neighbours are not harmed", async () => {
    await h.simple();
    await odd({ name: "" });
    let release = (): void => {};
    h.arm.beforePatch = () => new Promise<void>((resolve) => (release = resolve));
    h.start({ statusTiming });
    await until(() => expect(h.arm.patches).toHaveLength(1));
    await h.cluster.delete("identity", "odd");
    h.arm.beforePatch = undefined;
    release();
    await h.becomes({ [SIMPLE]: "Assigned" });
    await until(() => expect(h.held(vmProviderId("test-node"))).toEqual(["identity1"]));
    await until(async () => expect(await complaints()).toContain("binding odd: AzureIdentityMissing"));
  });

  test("Azure's identity goes while its pod is being assigned: refused with Azure's words, tried again when it is back", async () => {
    const all = ["identity1", "odd"].map((name) => resourceId(name).toLowerCase());
    h.arm.known = new Set(all);
    await h.simple();
    await odd({ name: "" });
    let first = true;
    h.arm.beforePatch = () => {
      if (first) h.arm.known = new Set(all.slice(0, 1));
      first = false;
    };
    h.start({ statusTiming });
    await until(async () =>
      expect(await h.cluster.statuses()).toEqual({ [SIMPLE]: "Assigned", "odd-default-odd": "Created" }),
    );
    await until(async () => expect(await complaints()).toContain("identity odd: RefusedByAzure"));
    h.arm.known = new Set(all);
    await until(async () => expect((await h.cluster.statuses())["odd-default-odd"]).toBe("Assigned"));
    await until(async () => expect(await complaints()).not.toContain("identity odd: RefusedByAzure"));
  });
});

describe("what is told", () => {
  test("S21 the same name in two namespaces: warning, condition and event of the one that loses, whatever came first", async () => {
    await h.cluster.node("node", vmProviderId("node"));
    for (const namespace of ["podid", "default"]) {
      await h.cluster.identity(
        "shared",
        { resourceID: resourceId("shared"), clientID: "client-shared" },
        { namespace },
      );
      await h.cluster.binding("shared", "shared", "sel", { namespace });
    }
    await h.cluster.pod("pod", "node", "sel", "podid");
    const { log } = h.start({ statusTiming });
    await h.becomes({ "pod-podid-shared": "Assigned" });
    await until(async () => {
      const status = (await h.cluster.find("binding", "shared", "podid"))?.["status"];
      expect(status).toMatchObject({ conditions: [{ status: "False", reason: "DuplicateIdentityName" }], matched: 0 });
    });
    const warning =
      "AzureIdentity shared exists in both default and podid namespace. Considering renaming it or enabling Namespace mode (https://azure.github.io/aad-pod-identity/docs/configure/match_pods_in_namespace)";
    expect(log.join("")).toContain(warning);
    await until(async () => expect(await h.cluster.events()).toContain(`Warning DuplicateIdentityName: ${warning}`));
  });

  test("a Job that ends: its identity goes, and one event says why; those that ended long ago are not news", async () => {
    await h.simple();
    await h.cluster.pod("old", "test-node", "test-select");
    await h.cluster.setPhase("old", "Succeeded");
    h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    await h.cluster.setPhase("test-pod", "Succeeded");
    await h.becomes({});
    await until(async () => expect(await events()).toContain("Pod PodFinished"));
    expect((await events()).filter((told) => told === "Pod PodFinished")).toHaveLength(1);
  });

  test("events of a binding and of a node name what `kubectl describe` looks for", async () => {
    await h.simple();
    await odd({ name: "", node: { name: "odd", providerID: "" } });
    h.start();
    await until(async () =>
      expect(await events()).toEqual(
        expect.arrayContaining(["AzureIdentityBinding binding applied", "Node InvalidProviderID"]),
      ),
    );
    const references = (await h.cluster.list("event")).map((event) => event["involvedObject"]);
    const uid = (await h.cluster.find("binding", "testbinding"))?.metadata.uid;
    expect(references).toContainEqual(
      expect.objectContaining({
        apiVersion: "aadpodidentity.k8s.io/v1",
        kind: "AzureIdentityBinding",
        namespace: "default",
        name: "testbinding",
        uid,
      }),
    );
    expect(references).toContainEqual(expect.objectContaining({ kind: "Node", name: "odd", uid: "odd" }));
  });
});

test("CRDs that drop a field that MIC writes: an object that was written is left alone", async () => {
  await h.close();
  const pruning = structuredClone(CUSTOM_RESOURCE_DEFINITIONS).map((crd) => {
    if (crd.spec.names.kind !== "AzureAssignedIdentity") return crd;
    const spec = crd.spec.versions[0]?.schema.openAPIV3Schema.properties?.["spec"] as
      | { properties: Record<string, object> }
      | undefined;
    const text = { type: "string" };
    if (spec !== undefined)
      spec.properties["azureIdentityRef"] = {
        type: "object",
        "x-kubernetes-embedded-resource": true,
        properties: {
          spec: { type: "object", properties: { type: { type: "integer" }, resourceID: text, clientID: text } },
        },
      };
    return crd;
  });
  h = new Harness(await Cluster.start(pruning));
  await h.simple();
  await h.cluster.merge("identity", "test-id", { spec: { serviceAccounts: ["default"] } });
  const { log } = h.start();
  await h.becomes({ [SIMPLE]: "Assigned" });
  const [before] = await h.cluster.assigned();
  expect(before?.spec.azureIdentityRef?.spec).not.toHaveProperty("serviceAccounts");
  await h.cluster.merge("pod", "test-pod", { metadata: { annotations: { some: "thing" } } });
  await h.cluster.pod("another", "test-node", "test-select");
  await until(async () => expect((await h.cluster.statuses())["another-default-test-id"]).toBe("Assigned"));
  const after = (await h.cluster.assigned()).find(({ metadata }) => metadata.name === SIMPLE);
  expect(after?.metadata.resourceVersion).toBe(before?.metadata.resourceVersion);
  expect(log.filter((line) => line.includes("updating assigned id"))).toEqual([]);
});
