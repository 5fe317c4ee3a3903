import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import type { Server } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { startAzureEmulator } from "@podid/azure-emulator";
import { transportFromKubeConfig } from "@podid/kube";
import { parseNodeKubeConfig } from "@podid/kube/node-kubeconfig";
import { AccountTokens } from "./account-tokens.ts";
import { azureSeed } from "./azure-seed.ts";
import { applyRights, provideServiceAccounts } from "./cluster-setup.ts";
import { startControlApi } from "./control-api.ts";
import { startEmulatedApiServer } from "./emulated-api-server.ts";
import { buildFabric } from "./fabric.ts";
import { reportHops } from "./hop-report.ts";
import { cloudEnvironment, hostsFile, writeCaFiles } from "./host-files.ts";
import { Kubelet } from "./kubelet.ts";
import { listenIn } from "./namespaced-listener.ts";
import { planProcesses } from "./process-plans.ts";
import { startRealApiServer } from "./real-api-server.ts";
import type { FromSupervisor, NodeRow, SandboxPlan } from "./protocol.ts";
import { run } from "./shell.ts";
import { SupervisedProcess } from "./supervised-process.ts";
import { FABRIC_ADDRESS, KUBE_PORT, METADATA_IP, planTopology, type Topology } from "./topology.ts";

const READY_POLL_MS = 25;
const READY_TIMEOUT_MS = 60_000;

export interface SupervisorInput {
  readonly plan: SandboxPlan;
  /** Listening on the host's loopback. */
  readonly kube: Server;
  readonly control: Server;
  readonly kubePort: number;
  readonly tell: (message: FromSupervisor) => void;
  readonly stop: () => void;
}

/** Everything inside of the sandbox's namespaces; resolves when it is ready. */
export async function supervise(o: SupervisorInput): Promise<void> {
  const { plan, tell } = o;
  const progress = (text: string): void => tell({ type: "progress", text });
  const hop = (text: string): void => {
    if (plan.verbose) tell({ type: "hop", text });
  };
  const topology = planTopology(plan);
  const logs: { kubelet: Kubelet | undefined } = { kubelet: undefined };

  const fabric = buildFabric(topology).then(() => useHosts(plan.directory, topology));
  await fabric;
  progress(`network: ${topology.nodes.length} nodes, each with its own metadata service behind a route`);

  const micSecret = randomBytes(18).toString("base64url");
  const [api, azure] = await Promise.all([
    plan.kubeAssets === undefined
      ? startEmulatedApiServer({
          host: FABRIC_ADDRESS,
          port: KUBE_PORT,
          podLogs: ({ namespace, name, container, follow, tailLines, timestamps, signal }) => {
            const log = logs.kubelet?.log(namespace, name, container);
            return log && textOf(log.read({ tail: tailLines, follow, signal }), timestamps);
          },
        })
      : startRealApiServer({
          host: FABRIC_ADDRESS,
          port: KUBE_PORT,
          assets: plan.kubeAssets,
          directory: join(plan.directory, "control-plane"),
        }),
    startAzureEmulator({ host: FABRIC_ADDRESS, port: 443, seed: azureSeed(topology, micSecret) }),
  ]);
  api.accept(o.kube);
  const ca = writeCaFiles(plan.directory, azure.caPem);
  await Promise.all(
    topology.nodes.map(async (node) =>
      azure.startImds(node.machineId, { server: await listenIn(node.imdsNamespace, METADATA_IP, 80) }),
    ),
  );
  progress(
    plan.kubeAssets === undefined
      ? "emulated: Kubernetes API"
      : "Kubernetes API: kube-apiserver and etcd of KUBEBUILDER_ASSETS",
  );
  progress("emulated: ARM and Entra over TLS; IMDS at 169.254.169.254 for each node");

  const kubeconfig = join(plan.directory, "kubeconfig");
  writeFileSync(kubeconfig, api.kubeconfig(`https://127.0.0.1:${o.kubePort}`), { mode: 0o600 });
  const transport = transportFromKubeConfig(
    parseNodeKubeConfig(api.kubeconfig(`https://${FABRIC_ADDRESS}:${KUBE_PORT}`)),
    { userAgent: "podid-sandbox" },
  );
  await provideServiceAccounts(transport);
  await applyRights(transport);
  const tokens = new AccountTokens(transport, plan.directory);
  const podEnv = cloudEnvironment(process.env, ca);
  const kubelet = new Kubelet({
    transport,
    nodes: topology.nodes,
    directory: join(plan.directory, "pods"),
    images: { demo: plan.bundles.demo },
    env: podEnv,
    say: hop,
    onPods: () => tell({ type: "pods", pods: kubelet.rows }),
  });
  logs.kubelet = kubelet;

  const processes = (await planProcesses({ topology, plan, api, tokens, ca, micSecret })).map(
    (processPlan) =>
      new SupervisedProcess(processPlan, (event) => {
        if (event.includes("ended")) progress(event);
        else hop(event);
      }),
  );
  const nodes = topology.nodes.map(({ name, providerId, machineId, kind, address, podCidr }): NodeRow => ({
    name,
    providerId,
    machineId,
    kind,
    address,
    podCidr,
  }));
  startControlApi(o.control, {
    token: plan.controlToken,
    topology,
    nodes,
    processes,
    kubelet,
    api,
    tokens,
    azureControlUrl: azure.controlUrl,
    stop: o.stop,
  });
  if (plan.verbose) {
    reportHops({ azure, api, topology, pods: () => kubelet.rows, say: hop });
    for (const each of processes) each.log.watch((line) => line && hop(`[${each.plan.name}] ${line.text}`));
  }

  for (const each of processes) each.start();
  await kubelet.start();
  await whenReady(processes, progress);
  tell({ type: "ready", sandbox: { kubeconfig, caFile: ca.ca, caBundle: ca.bundle, nodes } });
}

/** The sandbox's names for everything in it; pods lay their own file over this one. */
async function useHosts(directory: string, topology: Topology): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const file = join(directory, "hosts");
  const names = [...topology.nodes, ...topology.mic].map(({ address, name }) => [address, name] as const);
  writeFileSync(file, hostsFile(names));
  await run("mount", ["--bind", file, "/etc/hosts"]);
}

async function whenReady(processes: readonly SupervisedProcess[], progress: (text: string) => void): Promise<void> {
  const deadline = Date.now() + READY_TIMEOUT_MS;
  await Promise.all(
    processes.map(async (each) => {
      let answer = await probe(each.plan.readyUrl);
      while (!answer.ok) {
        if (Date.now() > deadline) {
          const last = each.log.lines.slice(-5).map((line) => `\n  ${line.text}`);
          throw new Error(
            `${each.plan.name} did not become ready within ${READY_TIMEOUT_MS / 1000} s: ${answer.text}${last.join("")}`,
          );
        }
        await delay(READY_POLL_MS);
        answer = await probe(each.plan.readyUrl);
      }
    }),
  );
  const count = (app: string): number => processes.filter((each) => each.plan.app === app).length;
  progress(`ready: MIC (${count("mic")} replicas) and NMI (${count("nmi")} nodes), rules in place`);
}

function probe(url: string): Promise<{ ok: boolean; text: string }> {
  return new Promise((resolve) => {
    const request = get(url, { agent: false, timeout: 2_000 }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.once("end", () => resolve({ ok: response.statusCode === 200, text: text.trim() }));
    });
    request.once("timeout", () => request.destroy(new Error("no answer")));
    request.once("error", (error) => resolve({ ok: false, text: error.message }));
  });
}

async function* textOf(
  lines: AsyncIterable<{ time: number; text: string }>,
  timestamps: boolean,
): AsyncGenerator<string> {
  for await (const { time, text } of lines)
    yield timestamps ? `${new Date(time).toISOString()} ${text}\n` : `${text}\n`;
}
