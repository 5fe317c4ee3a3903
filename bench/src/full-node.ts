/**
 * Run by the suite `nmi-memory` inside `unshare --net --mount`: NMI as shipped on a node of 110 pods with five identities each,
 * and beside it a bare server that holds the same tokens, with the same options of Node. Every pod asks for every
 * token, then 200 000 requests more. Prints the memory of both before and after, as JSON.
 */
import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startAzureEmulator } from "@podid/azure-emulator";
import { API_VERSION, CUSTOM_RESOURCE_DEFINITIONS, POD_UID_ANNOTATION } from "@podid/crd-types";
import { until } from "@podid/e2e/until";
import { ResourceClient, RESOURCES, transportFromKubeConfig } from "@podid/kube";
import type { KubeObject } from "@podid/kube";
import { parseKubeConfig } from "@podid/kube/kubeconfig";
import { startKubeEmulator } from "@podid/kube-emulator";
import { get } from "node:http";
import type { LoadInput, LoadResult } from "./load.ts";
import { field } from "./process-memory.ts";
import type { Memory } from "./process-memory.ts";

export interface FullNode {
  readonly nmi: { readonly idle: Memory; readonly loaded: Memory };
  readonly bare: { readonly idle: Memory; readonly loaded: Memory };
  readonly requests: number;
  /** Of NMI while pods go on asking, after one minute and after five. */
  readonly steady: readonly [Memory, Memory];
}

const [nmiBundle = "", bareBundle = "", nodeOption = ""] = process.argv.slice(2);
const PODS = 110;
const IDENTITIES = 5;
const RESOURCE_NAMES = ["management.azure.com", "vault.azure.net", "storage.azure.com", "graph.microsoft.com"];
const REQUESTS = 200_000;
const STEADY_MS = Number(process.env["PODID_BENCH_STEADY_MS"] ?? 300_000);
/** Of each pod: 110 pods ask about a thousand times a second. */
const STEADY_PAUSE_MS = 100;
const NODE = "full";
const GROUP = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg";
const MACHINE = `${GROUP}/providers/Microsoft.Compute/virtualMachines/${NODE}`;
const BARE_PORT = 18_098;
const PROBE_PORT = 18_085;
const SETTLE_MS = 3_000;

const pods = Array.from({ length: PODS }, (_, index) => ({ name: `pod-${index}`, address: `127.1.0.${index + 1}` }));
const identities = Array.from({ length: IDENTITIES }, (_, index) => ({
  name: `identity-${index}`,
  clientId: `00000000-0000-4000-8000-00000000000${index}`,
  id: `${GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/identity-${index}`,
}));
const paths = identities.flatMap(({ clientId }) =>
  RESOURCE_NAMES.map(
    (name) =>
      `/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2F${name}&client_id=${clientId}`,
  ),
);

execFileSync("ip", ["link", "set", "lo", "up"]);
const directory = mkdtempSync(join(tmpdir(), "podid-bench-"));
const kube = await startKubeEmulator({ crds: CUSTOM_RESOURCE_DEFINITIONS });
const kubeconfig = join(directory, "kubeconfig");
writeFileSync(kubeconfig, kube.kubeconfig());
const azure = await startAzureEmulator({
  seed: {
    resources: RESOURCE_NAMES.map((name) => `https://${name}`),
    userAssignedIdentities: identities.map(({ id, clientId }) => ({ id, clientId })),
    virtualMachines: [{ id: MACHINE, userAssigned: identities.map(({ id }) => id) }],
  },
});
const imds = new URL((await azure.startImds(MACHINE, {})).url);
await createObjects();

const nmi = start([
  nmiBundle,
  `--node=${NODE}`,
  `--kubeconfig=${kubeconfig}`,
  "--metadata-ip=127.0.0.1",
  `--metadata-port=${imds.port}`,
  `--http-probe-port=${PROBE_PORT}`,
  "--prometheus-port=19090",
  "--imds-rate=20",
  `--audit-log=${join(directory, "audit.log")}`,
  "--allow-network-plugin-kubenet",
  "--drain-timeout=0s",
]);
await until("NMI is ready", async () => (await status({ port: PROBE_PORT, path: "/readyz" })) === 200);
const nmiIdle = await settled(nmi);
const answers = await everyPodAsks();
const file = join(directory, "tokens.json");
writeFileSync(file, JSON.stringify(answers));
const bare = start([bareBundle, String(BARE_PORT), file]);
await until("the bare server listens", async () => (await status({ port: BARE_PORT, path: paths[0] ?? "" })) === 200);
const bareIdle = await settled(bare);
let requests = 0;
for (const port of [2579, BARE_PORT]) requests += (await load(port)).requests;
const loaded = { nmi: await settled(nmi), bare: await settled(bare) };
const result: FullNode = {
  nmi: { idle: nmiIdle, loaded: loaded.nmi },
  bare: { idle: bareIdle, loaded: loaded.bare },
  requests: requests / 2,
  steady: await steady(),
};
nmi.kill("SIGTERM");
bare.kill("SIGTERM");
process.stdout.write(JSON.stringify(result), () => process.exit(0));

async function createObjects(): Promise<void> {
  const transport = transportFromKubeConfig(parseKubeConfig(kube.kubeconfig()));
  const of = (resource: keyof typeof RESOURCES): ResourceClient => new ResourceClient(transport, RESOURCES[resource]);
  const kinds = { apiVersion: API_VERSION };
  const made: { identity: KubeObject; binding: KubeObject }[] = [];
  for (const { name, id, clientId } of identities) {
    const metadata = { name, namespace: "default" };
    made.push({
      identity: await of("azureIdentities").create({
        ...kinds,
        kind: "AzureIdentity",
        metadata,
        spec: { type: 0, resourceID: id, clientID: clientId },
      }),
      binding: await of("azureIdentityBindings").create({
        ...kinds,
        kind: "AzureIdentityBinding",
        metadata,
        spec: { azureIdentity: name, selector: "all" },
      }),
    });
  }
  for (const { name, address } of pods) {
    const pod = await of("pods").create({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: "default", labels: { aadpodidbinding: "all" } },
      spec: { nodeName: NODE, containers: [{ name: "main", image: "x" }] },
    });
    await of("pods").patch(name, "default", {
      type: "merge",
      subresource: "status",
      body: { status: { phase: "Running", podIP: address, podIPs: [{ ip: address }] } },
    });
    for (const { identity, binding } of made) {
      await of("azureAssignedIdentities").create({
        ...kinds,
        kind: "AzureAssignedIdentity",
        metadata: {
          name: `${name}-default-${identity.metadata.name}`,
          namespace: "default",
          labels: { nodename: NODE },
          annotations: { [POD_UID_ANNOTATION]: pod.metadata.uid ?? "" },
        },
        spec: {
          azureIdentityRef: identity,
          azureBindingRef: binding,
          pod: name,
          podNamespace: "default",
          nodename: NODE,
        },
        status: { status: "Assigned" },
      });
    }
  }
  await transport.close();
}

function start(args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [nodeOption, ...args], { stdio: ["ignore", "ignore", "inherit"] });
  child.once("exit", (code) => (code === 0 ? undefined : process.exit(1)));
  return child;
}

async function steady(): Promise<[Memory, Memory]> {
  const asking = load(2579, { requests: Number.MAX_SAFE_INTEGER, milliseconds: STEADY_MS, pauseMs: STEADY_PAUSE_MS });
  await pause(STEADY_MS / 5);
  const first = memoryOf(nmi);
  await pause((STEADY_MS * 4) / 5 - SETTLE_MS);
  const last = memoryOf(nmi);
  await asking;
  return [first, last];
}

async function settled(child: ChildProcess): Promise<Memory> {
  await pause(SETTLE_MS);
  return memoryOf(child);
}

function memoryOf(child: ChildProcess): Memory {
  const text = readFileSync(`/proc/${child.pid}/status`, "utf8");
  return { residentBytes: field(text, "VmRSS"), anonymousBytes: field(text, "RssAnon") };
}

/** @returns the answers of the last one, by path */
async function everyPodAsks(): Promise<Record<string, string>> {
  const bodies: Record<string, string> = {};
  for (const { address } of pods) {
    await Promise.all(
      paths.map(async (path) => {
        const { code, body } = await ask({ port: 2579, path, localAddress: address });
        if (code !== 200) throw new Error(`${address} was answered with ${code}: ${body}`);
        bodies[path] = body;
      }),
    );
  }
  return bodies;
}

async function load(port: number, more: Partial<LoadInput> = {}): Promise<LoadResult> {
  const input: LoadInput = {
    host: "127.0.0.1",
    port,
    paths,
    connections: PODS,
    milliseconds: 300_000,
    requests: REQUESTS,
    from: pods.map(({ address }) => address),
    ...more,
  };
  const child = spawn(process.execPath, [join(import.meta.dirname, "load.ts"), JSON.stringify(input)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  await new Promise((resolve) => child.once("close", resolve));
  const found = JSON.parse(text) as LoadResult;
  if (found.errors > 0) throw new Error(`${found.errors} of ${found.requests} requests failed`);
  return found;
}

interface Ask {
  readonly port: number;
  readonly path: string;
  readonly localAddress?: string;
}

async function status(asked: Ask): Promise<number> {
  return (await ask(asked).catch(() => ({ code: 0 }))).code;
}

function ask(asked: Ask): Promise<{ code: number; body: string }> {
  return new Promise((resolve, reject) => {
    get({ host: "127.0.0.1", agent: false, headers: { metadata: "true" }, ...asked }, (answer) => {
      let body = "";
      answer.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
      answer.once("end", () => resolve({ code: answer.statusCode ?? 0, body }));
    }).once("error", reject);
  });
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
