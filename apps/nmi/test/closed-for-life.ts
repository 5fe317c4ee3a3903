/**
 * The shipped process on a node of three network namespaces: the node, a pod, and IMDS behind a route, so that what the
 * pod sends crosses FORWARD as on a real node. The pod never stops asking while NMI is stopped, killed and started
 * again. Runs inside `unshare --net --mount`, prints what happened as one line of JSON.
 */
import { fork, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startAzureEmulator } from "@podid/azure-emulator";
import { API_VERSION, CUSTOM_RESOURCE_DEFINITIONS, POD_UID_ANNOTATION } from "@podid/crd-types";
import { systemExec } from "@podid/iptables";
import { ResourceClient, RESOURCES, transportFromKubeConfig } from "@podid/kube";
import { parseNodeKubeConfig } from "@podid/kube/node-kubeconfig";
import type { KubeObject } from "@podid/kube";
import { startKubeEmulator } from "@podid/kube-emulator";

const IMDS = "169.254.169.254";
const POD = "10.1.0.2";
const NODE = "10.2.0.1";
const SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000";
const MACHINE = `${SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/node-1`;
const IDENTITY = `${SUBSCRIPTION}/resourcegroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id1`;
const CLIENT_ID = "11111111-0000-0000-0000-000000000000";
const TOKEN = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net";
const PROBE_PORT = 18_085;

async function sh(...command: string[]): Promise<void> {
  const [program = "", ...args] = command;
  const result = await systemExec(program, args);
  if (result.code !== 0) throw new Error(`${command.join(" ")}: ${result.stderr}`);
}

async function buildNode(): Promise<void> {
  await sh("ip", "link", "set", "lo", "up");
  for (const [name, node, peer] of [
    ["pod", "10.1.0.1", POD],
    ["imds", NODE, "10.2.0.2"],
  ] as const) {
    await sh("ip", "netns", "add", name);
    await sh("ip", "link", "add", `to-${name}`, "type", "veth", "peer", "name", "eth0", "netns", name);
    await sh("ip", "address", "add", `${node}/30`, "dev", `to-${name}`);
    await sh("ip", "link", "set", `to-${name}`, "up");
    await sh("ip", "-n", name, "address", "add", `${peer}/30`, "dev", "eth0");
    await sh("ip", "-n", name, "link", "set", "eth0", "up");
    await sh("ip", "-n", name, "link", "set", "lo", "up");
    await sh("ip", "-n", name, "route", "add", "default", "via", node);
  }
  await sh("ip", "-n", "imds", "address", "add", `${IMDS}/32`, "dev", "lo");
  await sh("ip", "route", "add", IMDS, "via", "10.2.0.2");
  writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
}

function role(namespace: string, name: string): Promise<ChildProcess> {
  const child = fork(import.meta.filename, [name], {
    execPath: "ip",
    execArgv: ["netns", "exec", namespace, process.execPath],
  });
  return new Promise((resolve, reject) => {
    child.once("message", () => resolve(child));
    child.once("exit", (code) => reject(new Error(`${name} ended with ${code}`)));
  });
}

function call<T>(child: ChildProcess, what: string): Promise<T> {
  return new Promise((resolve) => {
    child.once("message", (answer) => resolve(answer as T));
    child.send(what);
  });
}

/** In the namespace of IMDS: tells who has asked it for tokens. */
async function imdsRole(): Promise<void> {
  const azure = await startAzureEmulator({
    seed: {
      userAssignedIdentities: [{ id: IDENTITY, clientId: CLIENT_ID }],
      virtualMachines: [{ id: MACHINE, systemAssigned: true, userAssigned: [IDENTITY] }],
    },
  });
  await azure.startImds(MACHINE, { host: IMDS, port: 80 });
  process.on("message", () =>
    process.send?.([
      ...new Set(azure.requests.entries({ service: "imds" }).map(({ peer }) => peer.replace(/:\d+$/, ""))),
    ]),
  );
  process.send?.("ready");
}

/** In the pod: asks for tokens on new connections, one after the other, for ever; tells how it went since last time. */
function podRole(): void {
  let outcomes = new Map<string, number>();
  const ask = (): Promise<string> =>
    new Promise((resolve) => {
      const request = get(
        { host: IMDS, port: 80, path: TOKEN, headers: { metadata: "true" }, agent: false, timeout: 2_000 },
        (answer) => {
          answer.resume();
          answer.once("end", () => resolve(String(answer.statusCode)));
        },
      );
      request.once("timeout", () => request.destroy(Object.assign(new Error("time-out"), { code: "timeout" })));
      request.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });
  const hammer = async (): Promise<void> => {
    for (;;) {
      const outcome = await ask();
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
  };
  process.on("message", () => {
    process.send?.(Object.fromEntries(outcomes));
    outcomes = new Map();
  });
  process.send?.("ready");
  void hammer();
}

async function objects(kubeconfig: string): Promise<{ readonly mark: () => Promise<unknown> }> {
  const transport = transportFromKubeConfig(parseNodeKubeConfig(kubeconfig));
  const make = (resource: keyof typeof RESOURCES, object: object): Promise<KubeObject> =>
    new ResourceClient(transport, RESOURCES[resource]).create(object as KubeObject);
  const namespace = "default";
  const identity = await make("azureIdentities", {
    apiVersion: API_VERSION,
    kind: "AzureIdentity",
    metadata: { name: "i", namespace },
    spec: { type: 0, resourceID: IDENTITY, clientID: CLIENT_ID },
  });
  const binding = await make("azureIdentityBindings", {
    apiVersion: API_VERSION,
    kind: "AzureIdentityBinding",
    metadata: { name: "b", namespace },
    spec: { azureIdentity: "i", selector: "s" },
  });
  const pod = await make("pods", {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p", namespace, labels: { aadpodidbinding: "s" } },
    spec: { nodeName: "node-1", containers: [{ name: "c", image: "i" }] },
  });
  await new ResourceClient(transport, RESOURCES.pods).patch("p", namespace, {
    type: "merge",
    subresource: "status",
    body: { status: { phase: "Running", podIP: POD, podIPs: [{ ip: POD }] } },
  });
  await make("azureAssignedIdentities", {
    apiVersion: API_VERSION,
    kind: "AzureAssignedIdentity",
    metadata: {
      name: "p-default-i",
      namespace,
      labels: { nodename: "node-1" },
      annotations: { [POD_UID_ANNOTATION]: pod.metadata.uid },
    },
    spec: {
      azureIdentityRef: identity,
      azureBindingRef: binding,
      pod: "p",
      podNamespace: namespace,
      nodename: "node-1",
    },
    status: { status: "Assigned" },
  });
  return {
    mark: () =>
      make("configMaps", {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "podid-lifecycle", namespace },
        data: { phase: "uninstalling" },
      }),
  };
}

class Process {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  log = "";

  constructor(...argv: string[]) {
    this.child = spawn(process.execPath, [join(import.meta.dirname, "../src/main.ts"), ...argv], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.log += text));
    this.exited = new Promise((resolve) => this.child.once("exit", resolve));
  }

  async ready(): Promise<this> {
    for (;;) {
      const answer = await fetch(`http://127.0.0.1:${PROBE_PORT}/readyz`).catch(() => undefined);
      if (answer?.status === 200) return this;
      if (this.child.exitCode !== null) throw new Error(`NMI ended: ${this.log}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async says(text: string): Promise<void> {
    while (!this.log.includes(text)) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  end(signal: "SIGTERM" | "SIGKILL"): Promise<number | null> {
    this.child.kill(signal);
    return this.exited;
  }
}

async function main(): Promise<void> {
  await buildNode();
  const kube = await startKubeEmulator({ crds: CUSTOM_RESOURCE_DEFINITIONS });
  const kubeconfig = join(mkdtempSync(join(tmpdir(), "nmi-")), "kubeconfig");
  writeFileSync(kubeconfig, kube.kubeconfig());
  const [{ mark }, imds] = await Promise.all([objects(kube.kubeconfig()), role("imds", "imds")]);
  const argv = [
    "--node=node-1",
    `--kubeconfig=${kubeconfig}`,
    `--http-probe-port=${PROBE_PORT}`,
    "--prometheus-port=19090",
    "--drain-timeout=0s",
    "--ipt-update-interval-sec=1",
  ];
  const nmi = (): Process => new Process(...argv);
  const log: Record<string, unknown> = {};

  let agent = await nmi().ready();
  const pod = await role("pod", "pod");
  const during = async (task: () => Promise<unknown>): Promise<unknown> => {
    await call(pod, "outcomes");
    await task();
    await new Promise((resolve) => setTimeout(resolve, 150));
    return call(pod, "outcomes");
  };
  log["served"] = await during(async () => undefined);
  log["terminated"] = await during(() => agent.end("SIGTERM"));
  log["startedAgain"] = await during(async () => (agent = await nmi().ready()));
  log["killed"] = await during(() => agent.end("SIGKILL"));
  log["apiServerAway"] = await during(async () => {
    kube.faults.refuse();
    agent = nmi();
    await agent.says("listening on");
  });
  kube.faults.accept();
  await agent.ready();
  log["natWiped"] = await during(async () => {
    await sh("iptables", "-t", "nat", "-F");
    await agent.says("have been repaired");
  });
  log["askedImds"] = await call<unknown>(imds, "peers");

  await agent.end("SIGTERM");
  const exitCode = await new Process("cleanup").exited;
  await during(async () => undefined);
  log["cleanup"] = [exitCode, await call<unknown>(imds, "peers")];
  agent = await nmi().ready();
  await mark();
  await agent.says("is being uninstalled");
  log["uninstalled"] = [
    await agent.end("SIGTERM"),
    (await systemExec("iptables-save", [])).stdout.match(/aad-metadata|podid-guard/g),
  ];
  process.stdout.write(`${JSON.stringify(log)}\n`);
  process.exit(0);
}

const name = process.argv[2];
if (name === "imds") await imdsRole();
else if (name === "pod") podRole();
else await main();
