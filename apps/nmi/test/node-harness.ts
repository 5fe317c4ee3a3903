import { startAzureEmulator } from "@podid/azure-emulator";
import type { AzureEmulator, ImdsHandle, Seed } from "@podid/azure-emulator";
import { API_VERSION, CUSTOM_RESOURCE_DEFINITIONS, POD_UID_ANNOTATION } from "@podid/crd-types";
import { systemClock } from "@podid/imds-proxy";
import { ResourceClient, RESOURCES, transportFromKubeConfig } from "@podid/kube";
import type { KubeObject, KubeTransport } from "@podid/kube";
import { parseNodeKubeConfig } from "@podid/kube/node-kubeconfig";
import { startKubeEmulator } from "@podid/kube-emulator";
import type { KubeEmulator } from "@podid/kube-emulator";
import { createLogger } from "@podid/service";
import { request } from "node:http";
import { readCommand } from "../src/config.ts";
import type { Config } from "../src/config.ts";
import { startNmi } from "../src/nmi.ts";
import type { Nmi } from "../src/nmi.ts";

export const NODE = "node-1";
export const MACHINE =
  "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/node-1";
export const RESOURCE = "https://management.azure.com/";

export function resourceId(name: string): string {
  return `/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;
}

export function clientId(index: number): string {
  return `${String(index).repeat(8)}-0000-0000-0000-000000000000`;
}

const SEED: Seed = {
  userAssignedIdentities: [1, 2, 3].map((index) => ({ id: resourceId(`id${index}`), clientId: clientId(index) })),
  virtualMachines: [{ id: MACHINE, systemAssigned: true, userAssigned: [resourceId("id1"), resourceId("id2")] }],
};

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  readonly json: Readonly<Record<string, string>>;
}

/** One node: NMI in this process between the two emulators. Pods are addresses in 127.0.0.0/8. */
export class NodeHarness {
  readonly kube: KubeEmulator;
  readonly azure: AzureEmulator;
  readonly imds: ImdsHandle;
  readonly transport: KubeTransport;
  readonly rules = { ensured: 0, removed: 0, failure: undefined as Error | undefined };
  readonly logLines: string[] = [];
  readonly auditLines: string[] = [];
  nmi: Nmi | undefined;
  #address = 10;

  private constructor(kube: KubeEmulator, azure: AzureEmulator, imds: ImdsHandle) {
    this.kube = kube;
    this.azure = azure;
    this.imds = imds;
    this.transport = transportFromKubeConfig(parseNodeKubeConfig(kube.kubeconfig()));
  }

  static async start(): Promise<NodeHarness> {
    const kube = await startKubeEmulator({ crds: CUSTOM_RESOURCE_DEFINITIONS });
    const azure = await startAzureEmulator({ seed: SEED });
    return new NodeHarness(kube, azure, await azure.startImds(MACHINE, {}));
  }

  /** Starts NMI with these arguments, whatever port it gets. */
  async startNmi(...argv: string[]): Promise<Nmi> {
    const imds = new URL(this.imds.url);
    const command = readCommand(
      [`--node=${NODE}`, `--metadata-ip=${imds.hostname}`, `--metadata-port=${imds.port}`, ...argv],
      {},
    );
    if (command.kind !== "run") throw new Error(JSON.stringify(command));
    const config: Config = { ...command.config, port: 0, probePort: 0, metricsPort: 0, drainMs: 0 };
    this.nmi = await startNmi(config, {
      transport: this.transport,
      clock: systemClock,
      random: Math.random,
      audit: { write: (line) => this.auditLines.push(line), close: () => Promise.resolve() },
      log: createLogger({
        component: "nmi",
        format: "text",
        verbosity: config.verbosity,
        write: (line) => this.logLines.push(line),
      }),
      rules: {
        ensure: () => {
          this.rules.ensured++;
          return this.rules.failure === undefined
            ? Promise.resolve({ changed: true })
            : Promise.reject(this.rules.failure);
        },
        change: () => undefined,
        remove: () => Promise.resolve(void this.rules.removed++),
      },
    });
    return this.nmi;
  }

  /** Waits until NMI says that it is ready. */
  async ready(): Promise<void> {
    for (;;) {
      const reasons = this.nmi?.notReady();
      if (reasons?.length === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async serviceAccount(name: string): Promise<void> {
    await this.client("serviceAccounts").create({
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name, namespace: "default" },
    });
  }

  /** As after the start: no NMI, no objects, no faults, nothing logged. */
  async reset(): Promise<void> {
    await this.nmi?.stop();
    this.nmi = undefined;
    this.kube.faults.clear();
    const created = [
      "pods",
      "azureIdentities",
      "azureIdentityBindings",
      "azureAssignedIdentities",
      "azurePodIdentityExceptions",
      "configMaps",
      "events",
    ] as const;
    for (const resource of created) {
      const client = this.client(resource);
      const { items } = await client.list({});
      await Promise.all(
        items.map(({ metadata }) => client.delete(metadata.name, metadata.namespace, { gracePeriodSeconds: 0 })),
      );
    }
    this.azure.state.faults.clear();
    this.azure.state.seed(SEED);
    this.azure.requests.clear();
    this.kube.audit.clear();
    Object.assign(this.rules, { ensured: 0, removed: 0, failure: undefined });
    this.logLines.length = 0;
    this.auditLines.length = 0;
  }

  async stop(): Promise<void> {
    await this.nmi?.stop();
    await this.transport.close();
    await this.imds.close();
    await Promise.all([this.kube.close(), this.azure.close()]);
  }

  client(resource: keyof typeof RESOURCES): ResourceClient {
    return new ResourceClient(this.transport, RESOURCES[resource]);
  }

  identity(
    name: string,
    index: number,
    o: { namespace?: string; spec?: object; annotations?: Record<string, string> } = {},
  ): Promise<KubeObject> {
    return this.client("azureIdentities").create({
      apiVersion: API_VERSION,
      kind: "AzureIdentity",
      metadata: { name, namespace: o.namespace ?? "default", ...(o.annotations && { annotations: o.annotations }) },
      spec: { type: 0, resourceID: resourceId(`id${index}`), clientID: clientId(index), ...o.spec },
    });
  }

  binding(
    name: string,
    azureIdentity: string,
    selector: string,
    o: { namespace?: string; weight?: number } = {},
  ): Promise<KubeObject> {
    return this.client("azureIdentityBindings").create({
      apiVersion: API_VERSION,
      kind: "AzureIdentityBinding",
      metadata: { name, namespace: o.namespace ?? "default" },
      spec: { azureIdentity, selector, ...(o.weight === undefined ? {} : { weight: o.weight }) },
    });
  }

  exception(name: string, podLabels: Record<string, string>): Promise<KubeObject> {
    return this.client("azurePodIdentityExceptions").create({
      apiVersion: API_VERSION,
      kind: "AzurePodIdentityException",
      metadata: { name, namespace: "default" },
      spec: { podLabels },
    });
  }

  /** A running pod with an address of its own. */
  async pod(
    name: string,
    selector?: string,
    o: { address?: string; labels?: Record<string, string>; serviceAccount?: string; phase?: string } = {},
  ): Promise<{ address: string; object: KubeObject }> {
    const address = o.address ?? `127.0.0.${this.#address++}`;
    const object = await this.client("pods").create({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: "default", labels: { ...(selector && { aadpodidbinding: selector }), ...o.labels } },
      spec: {
        nodeName: NODE,
        containers: [{ name: "main", image: "x" }],
        ...(o.serviceAccount && { serviceAccountName: o.serviceAccount }),
      },
    });
    await this.podStatus(object, address, o.phase ?? "Running");
    return { address, object };
  }

  async podStatus({ metadata }: KubeObject, address: string, phase: string): Promise<void> {
    await this.client("pods").patch(metadata.name, metadata.namespace, {
      type: "merge",
      subresource: "status",
      body: { status: { phase, podIP: address, podIPs: [{ ip: address }] } },
    });
  }

  /** What MIC writes. */
  async assigned(
    pod: KubeObject,
    identity: KubeObject,
    binding: KubeObject,
    status: string,
    o: { podUid?: string | undefined } = {},
  ): Promise<KubeObject> {
    const podUid = "podUid" in o ? o.podUid : pod.metadata.uid;
    return this.client("azureAssignedIdentities").create({
      apiVersion: API_VERSION,
      kind: "AzureAssignedIdentity",
      metadata: {
        name: `${pod.metadata.name}-default-${identity.metadata.name}`,
        namespace: "default",
        labels: { nodename: NODE },
        ...(podUid === undefined ? {} : { annotations: { [POD_UID_ANNOTATION]: podUid } }),
      },
      spec: {
        azureIdentityRef: identity,
        azureBindingRef: binding,
        pod: pod.metadata.name,
        podNamespace: pod.metadata.namespace,
        nodename: NODE,
      },
      status: { status },
    });
  }

  async setAssigned({ metadata }: KubeObject, status: string): Promise<void> {
    await this.client("azureAssignedIdentities").patch(metadata.name, metadata.namespace, {
      type: "merge",
      body: { status: { status } },
    });
  }

  /** Pod, identity, binding and what MIC makes of them. */
  async bound(
    name: string,
    index: number,
    status = "Assigned",
  ): Promise<{ address: string; pod: KubeObject; identity: KubeObject; binding: KubeObject; assigned: KubeObject }> {
    const identity = await this.identity(`${name}-id`, index);
    const binding = await this.binding(`${name}-binding`, `${name}-id`, name);
    const { address, object: pod } = await this.pod(name, name);
    const assigned = await this.assigned(pod, identity, binding, status);
    return { address, pod, identity, binding, assigned };
  }

  /** A request from that address. */
  get(
    address: string,
    path: string,
    o: { headers?: Record<string, string>; method?: string; signal?: AbortSignal } = {},
  ): Promise<Answer> {
    const { nmi } = this;
    if (nmi === undefined) throw new Error("NMI is not started");
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          host: "127.0.0.1",
          port: nmi.port,
          localAddress: address,
          path,
          method: o.method ?? "GET",
          headers: o.headers ?? { metadata: "true" },
          agent: false,
          ...(o.signal && { signal: o.signal }),
        },
        (incoming) => {
          let body = "";
          incoming.setEncoding("utf8");
          incoming.on("data", (chunk: string) => (body += chunk));
          incoming.on("end", () =>
            resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body, json: parse(body) }),
          );
        },
      );
      outgoing.once("error", reject);
      outgoing.end();
    });
  }

  token(address: string, query = "", signal?: AbortSignal): Promise<Answer> {
    return this.get(
      address,
      `/metadata/identity/oauth2/token?api-version=2018-02-01&resource=${encodeURIComponent(RESOURCE)}${query}`,
      signal === undefined ? {} : { signal },
    );
  }

  /** Requests that IMDS saw. */
  imdsRequests(): readonly string[] {
    return this.azure.requests.entries({ service: "imds" }).map(({ url }) => url);
  }

  async metrics(): Promise<string> {
    return (await fetch(`http://127.0.0.1:${this.nmi?.metrics.port}/metrics`)).text();
  }

  probe(path: string): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.nmi?.probes.port}${path}`);
  }
}

function parse(body: string): Readonly<Record<string, string>> {
  try {
    return JSON.parse(body) as Record<string, string>;
  } catch {
    return {};
  }
}
