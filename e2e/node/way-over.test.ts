import { writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../src/until.ts";
import { FORMER_CHART } from "../src/way-over/former-mic.ts";
import { identityId, IDENTITIES, MACHINE, NodeCluster } from "./node-cluster.ts";
import { HAMMER, podTemplate, scriptContainer } from "./workload.ts";

const RELEASE = "aad-pod-identity";
const NAMESPACE = "podid";
const WORK = "workloads";
/** What a pod may see while no agent listens: closed, never open. */
const CLOSED = /^(200|503|ECONNREFUSED|ECONNRESET)$/;

let cluster: NodeCluster;
beforeAll(async () => {
  cluster = await NodeCluster.start();
  await cluster.makeNamespace(NAMESPACE);
  await cluster.makeNamespace(WORK);
});
afterAll(() => cluster?.stop());

const AZURE_IDENTITIES = {
  azureIdentities: {
    demo1: {
      type: 0,
      resourceID: identityId("demo1"),
      clientID: IDENTITIES["demo1"],
      binding: { name: "demo1-binding", selector: "demo" },
    },
  },
  // On this node's own file system, so that the machine keeps its.
  nmi: { kubeletConfig: "/run/kubelet-options" },
};

/** The same on connections that it keeps open, as Node does unless told otherwise. */
const KEEPS_OPEN = HAMMER.replace(", agent: false", "");

/** What the pod was answered, oldest first. */
const answers = async (pod = "hammer"): Promise<string[]> =>
  (await cluster.kubectl("-n", WORK, "logs", pod, "--tail=-1")).split("\n").filter((line) => line !== "");
const counted = (outcomes: readonly string[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
};
const rawRequests = (): Promise<readonly unknown[]> => cluster.world.requests({ service: "imds", peer: "10.244.*" });
const rules = (): Promise<string> => cluster.onNode("iptables-save");
/** Where each chain leads. */
const targets = async (): Promise<Record<string, string>> =>
  Object.fromEntries(
    [...(await rules()).matchAll(/^-A (\S+-metadata) .*--to-destination 127\.0\.0\.1:(\d+)/gm)].map(
      ([, chain = "", port = ""]) => [chain, port],
    ),
  );
const isAttached = async (): Promise<boolean> => {
  const { virtualMachines } = (await cluster.world.seed()) as { virtualMachines: { id: string }[] };
  return JSON.stringify(virtualMachines.find(({ id }) => id === MACHINE)).includes("demo1");
};
const imagesOfNmi = async (): Promise<string[]> => {
  const { items } = await cluster.json<{
    items: { metadata: { labels: Record<string, string> }; spec: { containers: { command?: string[] }[] } }[];
  }>("-n", NAMESPACE, "get", "pods", "--selector=app.kubernetes.io/component=nmi");
  return items.map(({ spec }) => (spec.containers[0]?.command === undefined ? "podid" : "aad-pod-identity"));
};

async function runPod(name: string, script: string): Promise<void> {
  const pod = podTemplate({ containers: [scriptContainer("asks", script)] }) as { metadata: object; spec: object };
  await cluster.apply({ apiVersion: "v1", kind: "Pod", ...pod, metadata: { ...pod.metadata, name, namespace: WORK } });
}

/** What aad-pod-identity's controller writes for a pod. */
function assigned(pod: string): object {
  const apiVersion = "aadpodidentity.k8s.io/v1";
  return {
    apiVersion,
    kind: "AzureAssignedIdentity",
    metadata: {
      name: `${pod}-${WORK}-demo1`,
      namespace: "default",
      labels: { nodename: cluster.node.name },
      finalizers: ["azureassignedidentity.finalizers.aadpodidentity.k8s.io"],
    },
    spec: {
      azureIdentityRef: {
        apiVersion,
        kind: "AzureIdentity",
        metadata: { name: "demo1", namespace: NAMESPACE },
        spec: { type: 0, resourceID: identityId("demo1"), clientID: IDENTITIES["demo1"] },
      },
      azureBindingRef: {
        apiVersion,
        kind: "AzureIdentityBinding",
        metadata: { name: "demo1-binding", namespace: NAMESPACE },
        spec: { azureIdentity: "demo1", selector: "demo" },
      },
      pod,
      podNamespace: WORK,
      nodename: cluster.node.name,
    },
    status: { status: "Assigned", availableReplicas: 1 },
  };
}

const formerServes = (): Promise<unknown> =>
  until(
    "the old agent serves",
    async () =>
      (await cluster.kubectl("-n", NAMESPACE, "logs", "daemonset/aad-pod-identity-nmi", "--tail=1")).includes(
        "serving",
      ),
    90_000,
  );

async function goOver(): Promise<void> {
  const values = await cluster.values({ nameOverride: RELEASE, ...AZURE_IDENTITIES });
  const before = (await answers()).length;
  const keptBefore = (await answers("kept")).length;
  await cluster.helm("upgrade", RELEASE, cluster.chart, "-n", NAMESPACE, "--wait", "--timeout=150s", ...values);
  await cluster.kubectl("-n", NAMESPACE, "rollout", "status", "daemonset/aad-pod-identity-nmi", "--timeout=150s");
  await until("the old agent is gone", async () => (await imagesOfNmi()).join() === "podid", 90_000);
  await until(
    "podid listens where the old one did",
    async () => JSON.stringify(await targets()) === '{"aad-metadata":"2579","podid-metadata":"2579"}',
    60_000,
  );
  const moved = (await answers()).length;
  await until("requests are served after it", async () => (await answers()).length > moved + 100, 60_000);
  const seen = (await answers()).slice(before);
  // Every connection that is opened meanwhile is answered, by the one or the other.
  expect(Object.keys(counted(seen))).toEqual(["200"]);
  // One that was kept open to the old agent is reset when that ends; the next request is on a new one.
  const { 200: served, ECONNRESET: reset = 0, ...strange } = counted((await answers("kept")).slice(keptBefore));
  expect([strange, reset <= 1, served]).toEqual([{}, true, expect.any(Number)]);
  expect(await rawRequests()).toEqual([]);
  expect(await isAttached()).toBe(true);
}

describe("the way over from aad-pod-identity on a real node", () => {
  test("without an agent the pod's requests are seen at the metadata service itself", async () => {
    await runPod("hammer", HAMMER);
    await until("they are", async () => (await rawRequests()).length > 10, 60_000);
  });

  test("a node that runs aad-pod-identity's stand-in", async () => {
    const file = await cluster.file("former.json", {
      ...AZURE_IDENTITIES,
      image: { repository: "ghcr.io/podid", imagePullPolicy: "Never" },
      mic: { tag: "0.1.0" },
      nmi: { ...AZURE_IDENTITIES.nmi, tag: "0.1.0" },
    });
    await cluster.world.attach(MACHINE, identityId("demo1"));
    // kube-proxy does this in its iptables mode; without it aad-pod-identity served nobody.
    await writeFile("/proc/sys/net/ipv4/conf/all/route_localnet", "1");
    await cluster.helm(
      "install",
      RELEASE,
      FORMER_CHART,
      "-n",
      NAMESPACE,
      "--wait",
      "--timeout=120s",
      `--values=${file}`,
    );
    await formerServes();
    // Only now: a connection from before the old agent's rules would stay with the metadata service.
    await runPod("kept", KEEPS_OPEN);
    await cluster.apply(assigned("hammer"), assigned("kept"));
    for (const pod of ["hammer", "kept"])
      await until(`${pod} gets tokens`, async () => (await answers(pod)).at(-1) === "200", 90_000);
    expect(await targets()).toEqual({ "aad-metadata": "2579" });
    await cluster.world.forgetRequests();
    expect(await rawRequests()).toEqual([]);
  });

  test("helm upgrade: no request is lost, and none reaches the metadata service itself", goOver);

  test("helm rollback: what is asked between the two agents is refused, and nothing gets through", async () => {
    const before = (await answers()).length;
    const keptBefore = (await answers("kept")).length;
    await cluster.helm("rollback", RELEASE, "1", "-n", NAMESPACE, "--timeout=150s");
    await until("the old agent is back", async () => (await imagesOfNmi()).join() === "aad-pod-identity", 120_000);
    await formerServes();
    const served = (await answers()).length;
    await until(
      "the pod gets tokens again",
      async () => (await answers()).slice(served).filter((outcome) => outcome === "200").length > 50,
      90_000,
    );
    const seen = counted([...(await answers()).slice(before), ...(await answers("kept")).slice(keptBefore)]);
    expect(Object.keys(seen).filter((outcome) => !CLOSED.test(outcome))).toEqual([]);
    expect(await rawRequests()).toEqual([]);
    expect(await isAttached()).toBe(true);
  });

  test("helm upgrade once more", goOver);

  test("helm uninstall leaves nothing behind", async () => {
    await cluster.kubectl("-n", WORK, "delete", "pod", "hammer", "kept", "--wait=true");
    await cluster.helm("uninstall", RELEASE, "-n", NAMESPACE, "--wait", "--timeout=300s");
    await until("the node's rules are gone", async () => !/aad-metadata|podid/.test(await rules()));
    await until("what aad-pod-identity attached is detached", async () => !(await isAttached()));
    expect((await cluster.kubectl("get", "azureassignedidentities", "-A", "--output=name")).trim()).toBe("");
    await cluster.kubectl("delete", "namespace", NAMESPACE, WORK, "--timeout=60s");
  });
});
