import { createLogger } from "@podid/service";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { resourceId, vmProviderId } from "../test/cluster.ts";
import { groupOf, Harness, SIMPLE } from "../test/harness.ts";
import { until } from "../test/until.ts";
import { Lifecycle, LIFECYCLE_LABEL } from "./drain/lifecycle.ts";
import { NODE_IDENTITIES_KEY, noticeText } from "./node-notice.ts";

const KUBELET = resourceId("Kubelet");
const KEY = KUBELET.toLowerCase();

let h: Harness;
let lifecycle: Lifecycle | undefined;
beforeEach(async () => {
  h = await Harness.start();
});
afterEach(async () => {
  await lifecycle?.stop();
  lifecycle = undefined;
  await h.close();
});

async function lifecycleConfigMap(): Promise<void> {
  await h.cluster.create("configMap", {
    metadata: { name: "podid-lifecycle", namespace: "podid", labels: { [LIFECYCLE_LABEL]: "true", theirs: "stays" } },
    data: { phase: "running" },
  });
}

async function told(): Promise<unknown> {
  return (await h.cluster.find("configMap", "podid-lifecycle", "podid"))?.["data"];
}

function start(protectedIdentities: readonly string[], more: object = {}): ReturnType<Harness["start"]> {
  lifecycle = new Lifecycle({
    transport: h.cluster.transport,
    namespace: "podid",
    log: createLogger({ component: "mic", format: "text", write: () => undefined }),
  });
  const mic = h.start({ protectedIdentities, ...more }, undefined, { lifecycle });
  lifecycle.start();
  return mic;
}

describe("the ConfigMap that NMI watches", () => {
  test("says which identities are not for pods, beside the phase", async () => {
    await lifecycleConfigMap();
    start([" CLIENT ", KUBELET]);
    await until(async () =>
      expect(await told()).toEqual({ phase: "running", [NODE_IDENTITIES_KEY]: `${KEY}\nclient` }),
    );
    expect((await h.cluster.find("configMap", "podid-lifecycle", "podid"))?.metadata.labels).toHaveProperty("theirs");
  });

  test("made later, or replaced: is told again", async () => {
    start(["client"]);
    await lifecycleConfigMap();
    await until(async () => expect(await told()).toHaveProperty(NODE_IDENTITIES_KEY, "client"));
    await h.cluster.merge("configMap", "podid-lifecycle", { data: { [NODE_IDENTITIES_KEY]: null } }, "podid");
    await until(async () => expect(await told()).toHaveProperty(NODE_IDENTITIES_KEY, "client"));
  });

  test("is never made", async () => {
    const { log } = start(["client"]);
    await until(() => expect(log.join("\n")).toContain("there is no ConfigMap podid/podid-lifecycle"));
    expect(await told()).toBeUndefined();
  });

  test("stays as it is in a dry run", async () => {
    await lifecycleConfigMap();
    const { log, mic } = start(["client"], { dryRun: true });
    await until(() => expect(log.join("\n")).toContain("sync thread started"));
    await mic.stop();
    expect(await told()).toEqual({ phase: "running" });
  });

  test("a machine shows the client id of one that is given by ARM id, and it is never detached", async () => {
    await lifecycleConfigMap();
    await h.simple();
    const node = vmProviderId("test-node");
    h.arm.attach(groupOf(node), KUBELET);
    await h.cluster.identity("node", { clientID: "", resourceID: KUBELET });
    await h.cluster.binding("node", "node", "test-select");
    start([KUBELET]);
    await h.becomes({ [SIMPLE]: "Assigned", "test-pod-default-node": "Assigned" });
    await until(async () =>
      expect(await told()).toHaveProperty(NODE_IDENTITIES_KEY, expect.stringMatching(`^${KEY} .`)),
    );
    await until(async () =>
      expect((await h.cluster.events()).join("\n")).toContain(`Warning NodeIdentity: ${KEY} is an`),
    );
    await h.cluster.delete("pod", "test-pod");
    await h.becomes({});
    expect(h.held(node)).toEqual(["kubelet"]);
  });
});

test("what a former leader learned stays until something else is learned", () => {
  const before = `${KEY} old\nclient`;
  expect(noticeText(new Map([[KEY, undefined]]), before)).toBe(`${KEY} old`);
  expect(noticeText(new Map([[KEY, "new"]]), before)).toBe(`${KEY} new`);
  expect(noticeText(new Map(), before)).toBe("");
});
