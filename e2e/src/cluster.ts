import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { API_VERSION } from "@podid/crd-types";
import type { AzureAssignedIdentity, AzureIdentity, AzureIdentityBinding } from "@podid/crd-types";
import { ResourceClient, RESOURCES, transportFromKubeConfig } from "@podid/kube";
import { parseKubeConfig } from "@podid/kube/kubeconfig";
import type { KubeObject, KubeTransport } from "@podid/kube";
import { Control } from "./control.ts";
import { SandboxProcess } from "./sandbox-process.ts";
import { until } from "./until.ts";

/** What a pod was answered by its metadata service. */
export interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, string>>;
  readonly milliseconds: number;
}

export const SUBSCRIPTION = "00000000-0000-0000-0000-000000000001";
export const RESOURCE_GROUP = "podid-demo";
export const ARM = "https://management.azure.com/";

/** For files that attach and detach on one machine for minutes: more often than Azure, and so MIC, allows without a wait. */
export const MANY_UPDATES = "--mic-args=--arm-machine-write-burst=1000";

export function identityResourceId(name: string): string {
  return `/subscriptions/${SUBSCRIPTION}/resourcegroups/${RESOURCE_GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;
}

/** A stable client id for a name, so that scenarios can speak of identities by name alone. */
export function clientIdOf(name: string): string {
  const hex = createHash("sha256").update(name).digest("hex").slice(0, 12);
  return `00000000-0000-4000-8000-${hex}`;
}

/** A sandbox with what scenarios do to it. */
export class Cluster {
  readonly sandbox: SandboxProcess;
  readonly control: Control;
  readonly identities: ResourceClient;
  readonly bindings: ResourceClient;
  readonly assigned: ResourceClient;
  readonly pods: ResourceClient;
  readonly leases: ResourceClient;
  readonly events: ResourceClient;
  readonly transport: KubeTransport;

  private constructor(sandbox: SandboxProcess) {
    this.sandbox = sandbox;
    this.control = new Control(sandbox.state);
    this.transport = transportFromKubeConfig(parseKubeConfig(readFileSync(sandbox.state.kubeconfig, "utf8")));
    this.identities = new ResourceClient(this.transport, RESOURCES.azureIdentities);
    this.bindings = new ResourceClient(this.transport, RESOURCES.azureIdentityBindings);
    this.assigned = new ResourceClient(this.transport, RESOURCES.azureAssignedIdentities);
    this.pods = new ResourceClient(this.transport, RESOURCES.pods);
    this.leases = new ResourceClient(this.transport, RESOURCES.leases);
    this.events = new ResourceClient(this.transport, RESOURCES.events);
  }

  /** `env` reaches every process of the sandbox. */
  static async start(flags: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Cluster> {
    return new Cluster(await SandboxProcess.start(flags, env));
  }

  async stop(): Promise<void> {
    await this.transport.close();
    await this.sandbox.stop();
  }

  /** The node that is a VM, and one that is an instance of the scale set. */
  get vm(): string {
    return this.#node("virtualMachine");
  }

  get instance(): string {
    return this.#node("virtualMachineScaleSet");
  }

  #node(kind: string): string {
    const node = this.sandbox.state.nodes.find((each) => each.kind === kind);
    if (node === undefined) throw new Error(`the sandbox has no ${kind}`);
    return node.name;
  }

  /** A user-assigned identity in Azure with its AzureIdentity and a binding whose selector is `selector`. */
  async identity(name: string, o: { readonly selector: string; readonly namespace?: string }): Promise<void> {
    const namespace = o.namespace ?? "default";
    await this.control.addToAzure({
      userAssignedIdentities: [{ id: identityResourceId(name), clientId: clientIdOf(name) }],
    });
    const identity: AzureIdentity = {
      apiVersion: API_VERSION,
      kind: "AzureIdentity",
      metadata: { name, namespace },
      spec: { type: 0, resourceID: identityResourceId(name), clientID: clientIdOf(name) },
    };
    const binding: AzureIdentityBinding = {
      apiVersion: API_VERSION,
      kind: "AzureIdentityBinding",
      metadata: { name: `${name}-binding`, namespace },
      spec: { azureIdentity: name, selector: o.selector },
    };
    await this.identities.create(identity as unknown as KubeObject);
    await this.bindings.create(binding as unknown as KubeObject);
  }

  /** A pod that pauses; resolves when it runs. */
  async pod(name: string, o: { readonly selector?: string; readonly node: string }): Promise<void> {
    await this.pods.create({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: "default", labels: o.selector === undefined ? {} : { aadpodidbinding: o.selector } },
      spec: { nodeName: o.node, containers: [{ name: "main", image: "registry.example/pause:1" }] },
    });
    await until(`pod ${name} runs`, async () => {
      const pod = (await this.pods.get(name, "default")) as { status?: { phase?: string; podIP?: string } };
      return pod.status?.phase === "Running" && pod.status.podIP !== undefined;
    });
  }

  async deletePod(name: string): Promise<void> {
    await this.pods.delete(name, "default");
  }

  /** AzureAssignedIdentities of a pod: identity name → status. */
  async assignments(pod: string): Promise<Record<string, string>> {
    const list = (await this.assigned.list()) as unknown as { items: AzureAssignedIdentity[] };
    return Object.fromEntries(
      list.items
        .filter(({ spec }) => spec.pod === pod)
        .map(({ spec, status }) => [spec.azureIdentityRef?.metadata.name ?? "", status?.status ?? ""]),
    );
  }

  untilAssigned(pod: string, identities: readonly string[], timeoutMs?: number): Promise<true> {
    const want = JSON.stringify(Object.fromEntries([...identities].sort().map((name) => [name, "Assigned"])));
    return until(
      `pod ${pod} has ${identities.join(", ") || "no identity"} assigned`,
      async () => {
        const have = Object.entries(await this.assignments(pod)).sort(([a], [b]) => a.localeCompare(b));
        return JSON.stringify(Object.fromEntries(have)) === want ? true : undefined;
      },
      timeoutMs,
    );
  }

  /** AzureAssignedIdentities of all pods, as `pod identity status`, in order. */
  async allAssignments(): Promise<string[]> {
    const list = (await this.assigned.list()) as unknown as { items: AzureAssignedIdentity[] };
    return list.items
      .map(({ spec, status }) => `${spec.pod} ${spec.azureIdentityRef?.metadata.name} ${status?.status}`)
      .sort();
  }

  /** Names of the user-assigned identities that ARM has on the node's VM or scale set. */
  async attached(node: string): Promise<string[]> {
    const machine = this.sandbox.state.nodes.find((each) => each.name === node)?.machineId ?? "";
    const seed = await this.control.azureSeed();
    const found = [...(seed.virtualMachines ?? []), ...(seed.scaleSets ?? [])].find(
      ({ id }) =>
        machine.toLowerCase() === id.toLowerCase() || machine.toLowerCase().startsWith(`${id.toLowerCase()}/`),
    );
    return (found?.userAssigned ?? []).map((id) => id.split("/").at(-1) ?? "").sort();
  }

  /** Asks for tokens in a pod for a while, one after the other: whose tokens came how often, and what else. */
  async hammer(pod: string, milliseconds: number): Promise<Record<string, number>> {
    const program = join(import.meta.dirname, "../programs/ask-for-tokens.ts");
    const { code, stdout, stderr } = await this.control.exec(
      { pod },
      [process.execPath, program, String(milliseconds)],
      milliseconds + 60_000,
    );
    if (code !== 0) throw new Error(`the requests from ${pod} could not be made: ${stderr}`);
    return JSON.parse(stdout) as Record<string, number>;
  }

  /** A token request from a pod, made by a program in it. */
  async token(
    pod: string,
    query: Readonly<Record<string, string>> = {},
    headers: Readonly<Record<string, string>> = { Metadata: "true" },
  ): Promise<Answer> {
    const parameters = new URLSearchParams({ "api-version": "2018-02-01", resource: ARM, ...query });
    return this.metadata(pod, `/metadata/identity/oauth2/token?${parameters.toString()}`, headers);
  }

  async metadata(pod: string, path: string, headers: Readonly<Record<string, string>>): Promise<Answer> {
    const program = `
      const start = performance.now();
      fetch("http://169.254.169.254" + ${JSON.stringify(path)}, { headers: ${JSON.stringify(headers)} })
        .then(async (r) => ({ status: r.status, body: await r.json(), milliseconds: performance.now() - start }),
              (e) => ({ status: 0, body: { error: String(e.cause?.code ?? e) }, milliseconds: performance.now() - start }))
        .then((answer) => console.log(JSON.stringify(answer)));`;
    const { code, stdout, stderr } = await this.control.exec({ pod }, [process.execPath, "-e", program]);
    if (code !== 0) throw new Error(`the request from ${pod} could not be made: ${stderr}`);
    return JSON.parse(stdout) as Answer;
  }

  /** Whose token an answer holds: the identity's ARM id in the token itself, by name. */
  whose(answer: Answer): string | undefined {
    const payload = answer.body["access_token"]?.split(".")[1];
    if (payload === undefined) return undefined;
    const claims = JSON.parse(Buffer.from(payload, "base64url").toString("utf8")) as { xms_mirid?: string };
    return claims.xms_mirid?.split("/").at(-1);
  }

  /** Resolves when the NMI of a node says that it is ready: its rules are in. */
  nmiReady(node: string): Promise<true> {
    const program = `fetch("http://127.0.0.1:8080/readyz").then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))`;
    return until(`NMI on ${node} is ready`, async () => {
      const { code } = await this.control.exec({ node }, [process.execPath, "-e", program]);
      return code === 0 ? true : undefined;
    });
  }

  /** Requests that came to a machine's metadata service straight from a pod, past NMI. */
  async rawRequests(): Promise<string[]> {
    const requests = await this.control.azureRequests({ service: "imds" });
    return requests
      .filter(({ peer }) => peer.startsWith("10.244."))
      .map(({ method, url, peer }) => `${peer} ${method} ${url}`);
  }

  /** Name of the MIC process that leads. */
  async leader(): Promise<string> {
    return until("MIC has a leader", async () => {
      const lease = (await this.leases.get("aad-pod-identity-mic", "kube-system")) as {
        spec?: { holderIdentity?: string };
      };
      const processes = await this.control.processes();
      return processes.find(({ app, name }) => app === "mic" && lease.spec?.holderIdentity?.startsWith(name) === true)
        ?.name;
    });
  }
}
