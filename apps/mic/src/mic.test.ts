import type { KubeTransport } from "@podid/kube";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { resourceId, vmProviderId } from "../test/cluster.ts";
import { Harness, SIMPLE } from "../test/harness.ts";
import { until } from "../test/until.ts";

let h: Harness;

beforeEach(async () => {
  h = await Harness.start();
});
afterEach(() => h.close());

describe("life of a process", () => {
  test("it waits a random while before it lists anything, and stops at once meanwhile", async () => {
    const { mic } = h.start({ startJitterMs: 60_000 });
    await mic.stop();
    expect(h.cluster.emulator.audit.find({ verb: "list", resource: "pods" })).toEqual([]);
    const prompt = h.start({ startJitterMs: 1 });
    await until(() => expect(prompt.mic.isActive).toBe(true));
    expect(prompt.log.join("")).toContain("initiating MIC Leader election");
  });

  test("S51, S34 a cloud config that names another cluster identity protects it from then on", async () => {
    await h.simple();
    const { mic, log } = h.start();
    await h.becomes({ [SIMPLE]: "Assigned" });
    await mic.accessChanged(["TEST-USER-MSI-CLIENTID"]);
    expect(mic.isActive).toBe(true);
    await h.cluster.delete("pod", "test-pod");
    await h.becomes({});
    expect(h.held(vmProviderId("test-node"))).toEqual(["identity1"]);
    expect(log.join("")).not.toContain("lost leader lease");

    // The same again changes nothing but that what failed is tried at once.
    const reads = h.arm.reads;
    await mic.accessChanged(["TEST-USER-MSI-CLIENTID"]);
    expect(h.arm.reads).toBe(reads);
  });

  test("what the CRDs lack is said once, with the remedy", async () => {
    const ofUpstream = (transport: KubeTransport): KubeTransport => ({
      request: async <T>(request: Parameters<KubeTransport["request"]>[0]): Promise<T> => {
        const answer = await transport.request<{ resources?: { name: string }[] }>(request);
        if (request.path !== "/apis/aadpodidentity.k8s.io/v1") return answer as T;
        return { ...answer, resources: answer.resources?.filter(({ name }) => !name.endsWith("/status")) } as T;
      },
      stream: (request) => transport.stream(request),
      close: () => transport.close(),
    });
    const { mic, log } = h.start({}, ofUpstream);
    await until(() => expect(log.join("")).toContain("have no status subresource"));
    await until(() => expect(mic.isActive).toBe(true));
    expect(log.filter((line) => line.includes("kubectl apply"))).toHaveLength(1);
  });

  test("only the leader upgrades old types", async () => {
    const typeUpgrade = { namespace: "podid", configMap: "aad-pod-identity-config", key: "status", version: "1" };
    await h.cluster.create("identity", {
      metadata: { name: "old", namespace: "default" },
      spec: { type: 0, ResourceID: resourceId("old") },
    });
    const leader = h.start({ typeUpgrade });
    await until(() => expect(leader.mic.isActive).toBe(true));
    const standBy = h.start({ typeUpgrade });
    await until(async () =>
      expect((await h.cluster.find("configMap", "aad-pod-identity-config", "podid"))?.["data"]).toEqual({
        status: "1",
      }),
    );
    expect((await h.cluster.find("identity", "old"))?.["spec"]).toEqual({ type: 0, resourceID: resourceId("old") });
    await until(() => expect(standBy.log.join("")).toContain("initiating MIC Leader election"));
    expect(standBy.log.join("")).not.toContain("upgrading the types");
  });

  test("a request to ARM is aborted when the lease is lost", async () => {
    let aborted: unknown;
    let sent = 0;
    h.arm.patch = (_group, _patch, options) => {
      sent += 1;
      return new Promise((_resolve, reject) => {
        options?.signal?.addEventListener("abort", () => {
          aborted = options.signal?.reason;
          reject(new Error("aborted"));
        });
      });
    };
    await h.simple();
    let cut = false;
    const { mic } = h.start({ leaseMs: 3000 }, (transport) => ({
      request: (request) => (cut ? Promise.reject(new Error("no route")) : transport.request(request)),
      stream: (request) => transport.stream(request),
      close: () => transport.close(),
    }));
    await until(() => expect(sent).toBe(1));
    cut = true;
    await until(() => expect(aborted).toBeDefined());
    expect(mic.isActive).toBe(false);
    cut = false;
  });

  test("last events are told before the lease is given up", async () => {
    await h.simple();
    const mic = h.start();
    await until(() => expect(mic.log.join("")).toContain("has successfully been assigned"));
    await h.stop(mic);
    expect((await h.cluster.events()).join("\n")).toContain("binding applied");
    const events = h.cluster.emulator.audit.find({ verb: "create", resource: "events" });
    const released = h.cluster.emulator.audit.find({ verb: "update", resource: "leases" }).at(-1);
    expect(Math.max(...events.map(({ id }) => id))).toBeLessThan(released?.id ?? 0);
  });
});
