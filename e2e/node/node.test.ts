import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../src/until.ts";
import { FEDERATED, identityId, IDENTITIES, MACHINE, NodeCluster, TENANT } from "./node-cluster.ts";
import { demoContainer, HAMMER, podTemplate, scriptContainer } from "./workload.ts";

const FOUR_LINES = [
  "successfully doARMOperations vm count 1",
  "successfully acquired a token using the MSI",
  "successfully acquired a token, userAssignedID MSI",
  "successfully made GET on instance metadata",
];
const NAMESPACE = "workloads";

let cluster: NodeCluster;
beforeAll(async () => {
  cluster = await NodeCluster.start();
  await cluster.makeNamespace("podid");
  await cluster.makeNamespace(NAMESPACE);
});
afterAll(() => cluster?.stop());

const inNamespace = (...args: readonly string[]): Promise<string> => cluster.kubectl("--namespace", NAMESPACE, ...args);

interface Pods {
  readonly items: {
    readonly metadata: { readonly name: string };
    readonly status: { readonly phase?: string; readonly podIP?: string };
  }[];
}

const pods = (selector: string): Promise<Pods> =>
  cluster.json<Pods>("--namespace", NAMESPACE, "get", "pods", "--selector", selector);

/** Waits until some container of the pods has said all four lines. */
async function saysFourLines(selector: string, container = "demo"): Promise<void> {
  await until(
    `${selector} has made its four checks`,
    async () => {
      const log = await inNamespace("logs", "--selector", selector, "--container", container, "--tail=200");
      return FOUR_LINES.every((line) => log.includes(line));
    },
    90_000,
  );
}

/** Requests of pods that reached the real metadata service. */
async function rawRequests(): Promise<readonly unknown[]> {
  return cluster.world.requests({ service: "imds", peer: "10.244.*" });
}

describe("a real node", () => {
  test("helm installs the chart, and everything becomes ready", async () => {
    const values = await cluster.values();
    await cluster.helm("install", "podid", cluster.chart, "--namespace=podid", "--wait", "--timeout=120s", ...values);
    const { items } = await cluster.json<{ items: { status: { numberReady: number } }[] }>("-n", "podid", "get", "ds");
    expect(items.map(({ status }) => status.numberReady)).toEqual([1]);
  });

  test("helm test fetches a token", async () => {
    const said = await cluster.helm("test", "podid", "--namespace=podid", "--timeout=90s");
    expect(said).toMatch(/Phase:\s+Succeeded/);
  });

  test("an identity and a binding are applied", async () => {
    const spec = { type: 0, resourceID: identityId("demo1"), clientID: IDENTITIES["demo1"] };
    const apiVersion = "aadpodidentity.k8s.io/v1";
    await cluster.apply(
      { apiVersion, kind: "AzureIdentity", metadata: { name: "demo1", namespace: NAMESPACE }, spec },
      {
        apiVersion,
        kind: "AzureIdentityBinding",
        metadata: { name: "demo1", namespace: NAMESPACE },
        spec: { azureIdentity: "demo1", selector: "demo" },
      },
    );
    await inNamespace("get", "azureidentitybinding", "demo1");
  });

  describe("the demo runs as", () => {
    const selector = (kind: string): string => `kind=${kind}`;
    const workload = (kind: string, apiVersion: string, spec: object): object => ({
      apiVersion,
      kind,
      metadata: { name: kind.toLowerCase(), namespace: NAMESPACE },
      spec,
    });
    const template = (kind: string, spec: object): object => podTemplate(spec, { kind: kind.toLowerCase() });
    const running = { containers: [demoContainer("demo", "5s")] };
    const once = { restartPolicy: "Never", containers: [demoContainer()] };
    const matchLabels = (kind: string): object => ({ matchLabels: { kind: kind.toLowerCase() } });
    test.for([
      { kind: "Pod", manifest: () => pod("pod", { restartPolicy: "Never", containers: [demoContainer()] }) },
      {
        kind: "Deployment",
        manifest: () =>
          workload("Deployment", "apps/v1", {
            replicas: 2,
            selector: matchLabels("Deployment"),
            template: template("Deployment", running),
          }),
      },
      {
        kind: "DaemonSet",
        manifest: () =>
          workload("DaemonSet", "apps/v1", {
            selector: matchLabels("DaemonSet"),
            template: template("DaemonSet", running),
          }),
      },
      {
        kind: "Job",
        manifest: () => workload("Job", "batch/v1", { backoffLimit: 0, template: template("Job", once) }),
      },
      {
        kind: "CronJob",
        manifest: () =>
          workload("CronJob", "batch/v1", {
            schedule: "* * * * *",
            jobTemplate: { spec: { template: template("CronJob", once) } },
          }),
      },
    ])("$kind", async ({ kind, manifest }) => {
      await cluster.apply(manifest());
      await saysFourLines(selector(kind.toLowerCase()));
      await inNamespace("delete", kind, kind.toLowerCase(), "--wait=false");
    });

    function pod(name: string, spec: object): object {
      const { metadata, ...rest } = podTemplate(spec, { kind: name }) as { metadata: object };
      return { apiVersion: "v1", kind: "Pod", metadata: { name, namespace: NAMESPACE, ...metadata }, ...rest };
    }

    test("init container, and one of several containers", async () => {
      const containers = [demoContainer("demo"), demoContainer("second")];
      await cluster.apply(
        pod("several", { restartPolicy: "Never", initContainers: [demoContainer("early")], containers }),
      );
      for (const container of ["early", "demo", "second"]) await saysFourLines("kind=several", container);
    });

    test("a user without rights, under seccomp, with a readiness gate", async () => {
      await cluster.apply(
        pod("restricted", {
          readinessGates: [{ conditionType: "podid.dev/identity-assigned" }],
          securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: "RuntimeDefault" } },
          containers: [
            {
              ...demoContainer("demo", "5s"),
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ["ALL"] },
              },
            },
          ],
        }),
      );
      await saysFourLines("kind=restricted");
      await inNamespace("wait", "--for=condition=Ready", "pod/restricted", "--timeout=60s");
      await inNamespace("delete", "pod", "restricted", "--wait=false");
    });

    test("a pod of the host's network is told that it gets nothing", async () => {
      await cluster.apply(pod("host", { hostNetwork: true, containers: [demoContainer("demo", "5s")] }));
      await until("the event is there", async () =>
        (await inNamespace("get", "events", "--field-selector=involvedObject.name=host")).includes("PodHostNetwork"),
      );
      await inNamespace("delete", "pod", "host", "--wait=false");
    });
  });

  test("a pod gets tokens of an identity that is attached nowhere, by kubelet's right to its ServiceAccount", async () => {
    const apiVersion = "aadpodidentity.k8s.io/v1";
    await cluster.apply(
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "ClusterRoleBinding",
        metadata: { name: "issuer-discovery" },
        roleRef: {
          apiGroup: "rbac.authorization.k8s.io",
          kind: "ClusterRole",
          name: "system:service-account-issuer-discovery",
        },
        subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "Group", name: "system:unauthenticated" }],
      },
      { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "cart", namespace: NAMESPACE } },
      {
        apiVersion,
        kind: "AzureIdentity",
        metadata: { name: "federated", namespace: NAMESPACE },
        spec: { type: 3, tenantID: TENANT, clientID: FEDERATED },
      },
      {
        apiVersion,
        kind: "AzureIdentityBinding",
        metadata: { name: "federated", namespace: NAMESPACE },
        spec: { azureIdentity: "federated", selector: "cart" },
      },
      {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "cart", namespace: NAMESPACE, labels: { kind: "cart", aadpodidbinding: "cart" } },
        spec: {
          ...(podTemplate({ containers: [demoContainer("demo", "5s", FEDERATED)] }) as { spec: object }).spec,
          serviceAccountName: "cart",
        },
      },
    );
    await saysFourLines("kind=cart");
    await inNamespace("delete", "pod", "cart", "--wait=false");
  });

  test("no pod reached the metadata service itself so far", async () => {
    expect(await rawRequests()).toEqual([]);
  });

  describe("under load", () => {
    const answers = async (): Promise<string[]> =>
      (await inNamespace("logs", "deployment/hammer", "--tail=-1")).split("\n").filter((line) => line !== "");

    test("a pod asks for tokens all the time", async () => {
      await cluster.apply({
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata: { name: "hammer", namespace: NAMESPACE },
        spec: {
          replicas: 1,
          selector: { matchLabels: { app: "hammer" } },
          template: podTemplate({ containers: [scriptContainer("hammer", HAMMER)] }, { app: "hammer" }),
        },
      });
      await until("it gets them", async () => (await answers()).at(-1) === "200", 60_000);
    });

    test("an upgrade of NMI loses no request, and lets none through", async () => {
      const before = (await answers()).length;
      const values = await cluster.values({ nmi: { podAnnotations: { edition: "second" } } });
      await cluster.helm("upgrade", "podid", cluster.chart, "--namespace=podid", "--wait", "--timeout=150s", ...values);
      await cluster.kubectl("--namespace=podid", "rollout", "status", "daemonset/podid-nmi", "--timeout=120s");
      await until("requests are served after it", async () => (await answers()).length > before + 200, 60_000);
      expect(new Set((await answers()).slice(before))).toEqual(new Set(["200"]));
      expect(await rawRequests()).toEqual([]);
    });

    test("an NMI that is killed comes back, and nothing gets through meanwhile", async () => {
      const before = (await answers()).length;
      const [task] = (await cluster.node.containerd.ctr("tasks", "list"))
        .split("\n")
        .filter((line) => line.includes("RUNNING"))
        .map((line) => line.split(/\s+/)[1] ?? "")
        .filter((pid) => pid !== "" && isNmi(pid));
      expect(task).toBeDefined();
      process.kill(Number(task), "SIGKILL");
      await until(
        "it answers again",
        async () => (await answers()).slice(before).filter((s) => s === "200").length > 100,
        90_000,
      );
      expect(await rawRequests()).toEqual([]);
    });

    test("kubelet is restarted, and nothing changes", async () => {
      const before = (await answers()).length;
      await cluster.node.startKubelet();
      await until("requests go on", async () => (await answers()).length > before + 100, 60_000);
      expect(new Set((await answers()).slice(before))).toEqual(new Set(["200"]));
    });

    test("after a reboot nothing gets through before NMI is there, with the guard of the node", async () => {
      const values = await cluster.values({
        nodeGuard: { enabled: true },
        nmi: { podAnnotations: { edition: "third" } },
      });
      await cluster.helm("upgrade", "podid", cluster.chart, "--namespace=podid", "--wait", "--timeout=150s", ...values);
      const unit = await readFile("/etc/systemd/system/podid-guard.service", "utf8");
      const command = /^ExecStart=(.+)$/m.exec(unit)?.[1]?.split(" ") ?? [];
      await cluster.node.reboot(async () => {
        // What systemd does before it starts kubelet.
        await cluster.onNode(...command);
      });
      await until(
        "a pod gets tokens again",
        async () => (await inNamespace("logs", "deployment/hammer", "--tail=20")).includes("200"),
        120_000,
      );
      expect(await rawRequests()).toEqual([]);
    });

    test("a pod that is evicted is replaced, and its successor is served", async () => {
      const old = (await pods("app=hammer")).items[0]?.metadata.name ?? "";
      await cluster.kubectl(
        "create",
        "--raw",
        `/api/v1/namespaces/${NAMESPACE}/pods/${old}/eviction`,
        "-f",
        await eviction(old),
      );
      await until(
        "another pod is served",
        async () => {
          const { items } = await pods("app=hammer");
          const next = items.find(({ metadata, status }) => metadata.name !== old && status.phase === "Running");
          if (next === undefined) return false;
          return (await inNamespace("logs", next.metadata.name, "--tail=5")).includes("200");
        },
        90_000,
      );
      expect(await rawRequests()).toEqual([]);
    });
  });

  test("helm uninstall drains, and leaves nothing behind", async () => {
    await inNamespace("delete", "deployment", "hammer", "--wait=true");
    await cluster.helm("uninstall", "podid", "--namespace=podid", "--wait", "--timeout=300s");
    await until(
      "the node's rules are gone",
      async () => !/aad-metadata|podid/.test(await cluster.onNode("iptables-save")),
    );
    const attached = (await cluster.world.seed()) as { virtualMachines: { id: string; identity?: object }[] };
    expect(JSON.stringify(attached.virtualMachines.find(({ id }) => id === MACHINE))).not.toContain("demo1");
    const left = await cluster.kubectl("get", "azureassignedidentities", "--all-namespaces", "--output=name");
    expect(left.trim()).toBe("");
    await cluster.kubectl("delete", "namespace", NAMESPACE, "podid", "--timeout=60s");
  });
});

async function eviction(name: string): Promise<string> {
  return cluster.file("eviction.json", {
    apiVersion: "policy/v1",
    kind: "Eviction",
    metadata: { name, namespace: NAMESPACE },
  });
}

function isNmi(pid: string): boolean {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("/usr/bin/nmi");
}
