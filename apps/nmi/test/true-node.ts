/**
 * A node of three network namespaces: the node, a pod, and IMDS behind a route, so that what the pod sends crosses
 * FORWARD as on a real node. For programs that run inside `unshare --net --mount`.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { Agent, get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startAzureEmulator } from "@podid/azure-emulator";
import { API_VERSION, CUSTOM_RESOURCE_DEFINITIONS, POD_UID_ANNOTATION } from "@podid/crd-types";
import { systemExec } from "@podid/iptables";
import { buildNode, forkIn, POD } from "@podid/iptables/testing";
import { ResourceClient, RESOURCES, transportFromKubeConfig } from "@podid/kube";
import { parseNodeKubeConfig } from "@podid/kube/node-kubeconfig";
import type { KubeObject } from "@podid/kube";
import { startKubeEmulator } from "@podid/kube-emulator";
import type { KubeEmulator } from "@podid/kube-emulator";
import { probe } from "../src/hand-over/probe-socket.ts";

export const IMDS = "169.254.169.254";
const SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000";
const MACHINE = `${SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/node-1`;
const IDENTITY = `${SUBSCRIPTION}/resourcegroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id1`;
export const CLIENT_ID = "11111111-0000-0000-0000-000000000000";
export const TOKEN = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net";

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

/** How many requests had which outcome: a status, or the code of an error; those on kept connections as "kept …". */
export type Outcomes = Readonly<Record<string, number>>;

/** In the pod: asks for tokens, one after the other, for ever, on new and on kept connections; tells how it went since last time. */
function podRole(): void {
  let outcomes = new Map<string, number>();
  const ask = (agent: Agent | false): Promise<string> =>
    new Promise((resolve) => {
      const request = get(
        { host: IMDS, port: 80, path: TOKEN, headers: { metadata: "true" }, agent, timeout: 2_000 },
        (answer) => {
          answer.resume();
          answer.once("end", () => resolve(String(answer.statusCode)));
        },
      );
      request.once("timeout", () => request.destroy(Object.assign(new Error("time-out"), { code: "timeout" })));
      request.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });
  const hammer = async (agent: Agent | false): Promise<void> => {
    for (;;) {
      const outcome = `${agent === false ? "" : "kept "}${await ask(agent)}`;
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
  };
  process.on("message", () => {
    process.send?.(Object.fromEntries(outcomes));
    outcomes = new Map();
  });
  process.send?.("ready");
  void hammer(false);
  void hammer(new Agent({ keepAlive: true, maxSockets: 1 }));
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

export const MAIN = join(import.meta.dirname, "../src/main.ts");

/** A program in the node's own network, with what it has written so far. */
export class NodeProcess {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  log = "";

  constructor(program: string, ...argv: string[]) {
    this.child = spawn(process.execPath, [program, ...argv], { stdio: ["ignore", "ignore", "pipe"] });
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.log += text));
    this.exited = new Promise((resolve) => this.child.once("exit", resolve));
  }

  /** Waits until it has written this so many times. */
  async says(text: string, times = 1): Promise<void> {
    while (this.log.split(text).length <= times) {
      if (this.child.exitCode !== null) throw new Error(`ended without saying ${text}: ${this.log}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  end(signal: "SIGTERM" | "SIGKILL"): Promise<number | null> {
    this.child.kill(signal);
    return this.exited;
  }
}

/** NMI as it is shipped, with its own probe socket. */
export class NmiProcess extends NodeProcess {
  readonly #socket: string;

  constructor(socket: string, ...argv: string[]) {
    super(MAIN, `--probe-socket=${socket}`, ...argv);
    this.#socket = socket;
  }

  async ready(): Promise<this> {
    while (!(await probe(this.#socket, "ready")).ok) {
      if (this.child.exitCode !== null) throw new Error(`NMI ended: ${this.log}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return this;
  }
}

/** The node with its pod that never stops asking, IMDS and an API server. */
export class TrueNode {
  readonly kube: KubeEmulator;
  /** Sets the mark of an uninstallation. */
  readonly markUninstalling: () => Promise<unknown>;
  readonly #directory: string;
  readonly #imds: ChildProcess;
  #pod: ChildProcess | undefined;
  #processes = 0;

  private constructor(kube: KubeEmulator, directory: string, imds: ChildProcess, mark: () => Promise<unknown>) {
    this.kube = kube;
    this.#directory = directory;
    this.#imds = imds;
    this.markUninstalling = mark;
  }

  static async build(): Promise<TrueNode> {
    await buildNode([IMDS]);
    const kube = await startKubeEmulator({ crds: CUSTOM_RESOURCE_DEFINITIONS });
    const directory = mkdtempSync(join(tmpdir(), "nmi-"));
    writeFileSync(join(directory, "kubeconfig"), kube.kubeconfig());
    const [{ mark }, imds] = await Promise.all([
      objects(kube.kubeconfig()),
      forkIn("imds", import.meta.filename, "imds"),
    ]);
    return new TrueNode(kube, directory, imds, mark);
  }

  nmi(...argv: string[]): NmiProcess {
    return new NmiProcess(
      join(this.#directory, `probe-${++this.#processes}.sock`),
      "--node=node-1",
      `--kubeconfig=${join(this.#directory, "kubeconfig")}`,
      `--state-dir=${join(this.#directory, "state")}`,
      "--http-probe-port=18085",
      "--prometheus-port=19090",
      "--drain-timeout=0s",
      "--ipt-update-interval-sec=1",
      ...argv,
    );
  }

  /** NMI's one-shot commands. @returns the exit code */
  run(...argv: string[]): Promise<number | null> {
    return new NodeProcess(MAIN, ...argv).exited;
  }

  /** What the pod's requests came to while this was done, and until some of each kind had been answered. */
  async during(task: () => Promise<unknown>): Promise<Outcomes> {
    this.#pod ??= await forkIn("pod", import.meta.filename, "pod");
    await call(this.#pod, "outcomes");
    await task();
    const all: Record<string, number> = {};
    for (let round = 0; round < 40; round++) {
      await new Promise((resolve) => setTimeout(resolve, 150));
      for (const [outcome, times] of Object.entries(await call<Outcomes>(this.#pod, "outcomes")))
        all[outcome] = (all[outcome] ?? 0) + times;
      const kept = Object.keys(all).filter((outcome) => outcome.startsWith("kept")).length;
      if (kept > 0 && Object.keys(all).length > kept) break;
    }
    return all;
  }

  /** Who has asked IMDS so far. */
  askedImds(): Promise<readonly string[]> {
    return call(this.#imds, "peers");
  }

  /** All rules without their counters. */
  async rules(): Promise<string> {
    const { stdout } = await systemExec("iptables-save", []);
    return stdout.replaceAll(/^#.*\n/gm, "").replaceAll(/\[\d+:\d+\]/g, "");
  }
}

if (process.argv[1] === import.meta.filename) {
  if (process.argv[2] === "imds") await imdsRole();
  else podRole();
}
