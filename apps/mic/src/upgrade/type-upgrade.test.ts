import { CUSTOM_RESOURCE_DEFINITIONS } from "@podid/crd-types";
import { fencedTransport, ResourceClient, RESOURCES, systemClock } from "@podid/kube";
import { createLogger } from "@podid/service";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Cluster, resourceId } from "../../test/cluster.ts";
import { TypeUpgrade } from "./type-upgrade.ts";

const SETTINGS = {
  namespace: "podid",
  configMap: "aad-pod-identity-config",
  key: "type-upgrade-status",
  version: "9.9.9",
};
const signal = new AbortController().signal;

let cluster: Cluster;
let log: string[];

beforeEach(async () => {
  cluster = await Cluster.start();
  log = [];
});
afterEach(() => cluster.close());

function upgrade(fenced: () => string | undefined = () => undefined): TypeUpgrade {
  return new TypeUpgrade(
    {
      transport: fencedTransport(cluster.transport, fenced),
      clock: { ...systemClock, setTimeout: (callback) => systemClock.setTimeout(callback, 1) },
      log: createLogger({ component: "mic", format: "text", write: (line) => log.push(line) }),
    },
    SETTINGS,
  );
}

/** As they were stored before 1.6. */
async function legacyObjects(count = 1): Promise<void> {
  for (let at = 0; at < count; at += 1) {
    await cluster.create("identity", {
      metadata: { name: `old-${at}`, namespace: "default" },
      spec: { type: 0, ResourceID: resourceId(`old-${at}`), ClientID: `client-${at}` },
    });
    await cluster.create("binding", {
      metadata: { name: `old-${at}`, namespace: "default" },
      spec: { AzureIdentity: `old-${at}`, Selector: "select" },
    });
  }
  await new ResourceClient(cluster.transport, RESOURCES.azurePodIdentityExceptions).create({
    metadata: { name: "old", namespace: "default" },
    spec: { PodLabels: { App: "x" } },
  });
  await cluster.create("assigned", {
    metadata: { name: "old", namespace: "default" },
    spec: {
      AzureIdentityRef: {
        apiVersion: "aadpodidentity.k8s.io/v1",
        kind: "AzureIdentity",
        metadata: { name: "old-0", namespace: "default" },
        spec: { ResourceID: resourceId("old-0"), type: 0 },
      },
      pod: "p",
      podNamespace: "default",
      NodeName: "node",
    },
    status: { Status: "Assigned" },
  });
}

async function record(): Promise<unknown> {
  return (await cluster.find("configMap", SETTINGS.configMap, SETTINGS.namespace))?.["data"];
}

function writes(): number {
  return cluster.emulator.audit.entries.filter(({ verb }) => verb === "patch").length;
}

describe("type upgrade", () => {
  test("rewrites objects of all four kinds, records it, and skips it the next time", async () => {
    await legacyObjects();
    await cluster.identity("new", { resourceID: resourceId("new") });
    const untouched = (await cluster.find("identity", "new"))?.metadata.resourceVersion;
    await upgrade().run(signal);

    expect((await cluster.find("identity", "old-0"))?.["spec"]).toEqual({
      type: 0,
      resourceID: resourceId("old-0"),
      clientID: "client-0",
    });
    expect((await cluster.find("binding", "old-0"))?.["spec"]).toEqual({ azureIdentity: "old-0", selector: "select" });
    const [exception] = (
      await new ResourceClient(cluster.transport, RESOURCES.azurePodIdentityExceptions).list({ namespace: "default" })
    ).items;
    // The casing of a user's labels is the user's.
    expect(exception?.["spec"]).toEqual({ podLabels: { App: "x" } });
    expect(await cluster.find("assigned", "old")).toMatchObject({
      spec: { azureIdentityRef: { spec: { resourceID: resourceId("old-0"), type: 0 } }, nodename: "node" },
    });
    expect((await cluster.find("identity", "new"))?.metadata.resourceVersion).toBe(untouched);
    expect(await record()).toEqual({ "type-upgrade-status": "9.9.9" });
    expect(log.join("")).toContain("type upgrade completed !!");

    const before = writes();
    await cluster.create("identity", {
      metadata: { name: "late", namespace: "default" },
      spec: { ResourceID: resourceId("late") },
    });
    await upgrade().run(signal);
    expect(log.join("")).toContain("type upgrade status configmap found from version: 9.9.9. Skipping type upgrade!");
    expect(writes()).toBe(before);
  });

  test("aad-pod-identity's record counts, and the other keys of its ConfigMap stay", async () => {
    await cluster.create("configMap", {
      metadata: { name: SETTINGS.configMap, namespace: SETTINGS.namespace },
      data: { other: "x" },
    });
    await upgrade().run(signal);
    expect(await record()).toEqual({ other: "x", "type-upgrade-status": "9.9.9" });
  });

  test("cut short at any write, the next one completes it", async () => {
    await legacyObjects(2);
    for (let allowed = 0; (await record()) === undefined; allowed += 1) {
      expect(allowed).toBeLessThan(20);
      let left = 1;
      const killed = new AbortController();
      const died = (): string | undefined => {
        left -= 1;
        if (left >= 0) return undefined;
        killed.abort(new Error("killed"));
        return "killed";
      };
      await upgrade(died).run(killed.signal);
    }
    for (const at of [0, 1]) {
      expect((await cluster.find("identity", `old-${at}`))?.["spec"]).toMatchObject({ clientID: `client-${at}` });
      expect((await cluster.find("binding", `old-${at}`))?.["spec"]).toMatchObject({ azureIdentity: `old-${at}` });
    }
    expect(writes()).toBe(6);
  });

  test("an object that somebody changes meanwhile, or an API server that is busy, is come back to", async () => {
    await legacyObjects();
    cluster.emulator.faults.add({ verb: "patch", resource: "azureidentities", status: 409, times: 1 });
    cluster.emulator.faults.add({ verb: "list", resource: "azureidentitybindings", status: 429, times: 1 });
    await upgrade().run(signal);
    expect(log.join("")).toContain("the type upgrade is not complete; it goes on later");
    expect(await record()).toEqual({ "type-upgrade-status": "9.9.9" });
  });

  test("the definitions keep what it has to read", () => {
    expect(JSON.stringify(CUSTOM_RESOURCE_DEFINITIONS)).toContain("ResourceID");
  });
});
