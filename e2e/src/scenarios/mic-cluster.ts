import { deepEqual } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startAzureEmulator } from "@podid/azure-emulator";
import type { AzureEmulator, LogEntry, Seed } from "@podid/azure-emulator";
import { API_VERSION } from "@podid/crd-types";
import type { AzureAssignedIdentity } from "@podid/crd-types";
import { KubeError, ResourceClient, resourcePath, RESOURCES, transportFromKubeConfig } from "@podid/kube";
import type { KubeObject, KubeTransport } from "@podid/kube";
import { parseKubeConfig } from "@podid/kube/kubeconfig";
import { bundleApp } from "@podid/tools/bundle";
import { vi } from "vitest";
import { SYSTEM_NAMESPACE } from "../rights-cluster.ts";
import { IDENTITY_SUBSCRIPTION, resourceId, SCALE_SET_SUBSCRIPTION, VM_SUBSCRIPTION } from "./fixtures.ts";
import type { Machine } from "./fixtures.ts";
import { NAMESPACES } from "./kube-server.ts";
import type { KubeServer, MicRequest } from "./kube-server.ts";
import { MicProcess } from "./mic-process.ts";
import { Relay } from "./relay.ts";

export const TENANT = "72f988bf-0000-0000-0000-000000000000";
/** MIC's own credential. */
export const MIC_CLIENT = { id: "11111111-0000-0000-0000-000000000001", secret: "do-not-print-me" };
const LEASE = "aad-pod-identity-mic";
const BY_NAMESPACE = [
  "pods",
  "azureIdentityBindings",
  "azureIdentities",
  "azureAssignedIdentities",
  "azurePodIdentityExceptions",
  "events",
] as const;
const WRITES = ["create", "update", "patch", "delete", "deletecollection"];

export type Kind = keyof typeof RESOURCES;

/** An API server, an Azure over TLS, and as many MIC processes as a scenario wants. Nodes and pods are mere objects. */
export class MicCluster {
  readonly kube: KubeServer;
  readonly azure: AzureEmulator;
  readonly relay: Relay;
  readonly directory: string;
  readonly #transport: KubeTransport;
  readonly #bundle: string;
  readonly #mics: MicProcess[] = [];
  #since = 0;

  private constructor(o: {
    kube: KubeServer;
    azure: AzureEmulator;
    relay: Relay;
    directory: string;
    bundle: string;
    transport: KubeTransport;
  }) {
    this.kube = o.kube;
    this.azure = o.azure;
    this.relay = o.relay;
    this.directory = o.directory;
    this.#bundle = o.bundle;
    this.#transport = o.transport;
  }

  static async start(startServer: () => Promise<KubeServer>): Promise<MicCluster> {
    const directory = await mkdtemp(join(tmpdir(), "podid-mic-"));
    const [kube, azure, bundle] = await Promise.all([
      startServer(),
      startAzureEmulator({ caDirectory: directory, seed: seed() }),
      bundleApp("mic"),
    ]);
    const relay = await Relay.to(kube.port);
    await writeFile(join(directory, "kubeconfig"), await kube.micKubeconfig(relay.url));
    const endpoint = `https://localhost:${azure.port}/`;
    await writeFile(
      join(directory, "cloud.json"),
      JSON.stringify({ name: "Emulated", activeDirectoryEndpoint: endpoint, resourceManagerEndpoint: endpoint }),
    );
    const transport = transportFromKubeConfig(parseKubeConfig(kube.kubeconfig));
    return new MicCluster({ kube, azure, relay, directory, bundle, transport });
  }

  /** Whether the API server is the emulator, which can be made to fail. */
  get isEmulated(): boolean {
    return this.kube.faults !== undefined;
  }

  get environment(): Record<string, string> {
    return {
      MIC_POD_NAMESPACE: SYSTEM_NAMESPACE,
      NODE_EXTRA_CA_CERTS: this.azure.caFile ?? "",
      CLOUD: "AzureStackCloud",
      AZURE_ENVIRONMENT_FILEPATH: join(this.directory, "cloud.json"),
      TENANT_ID: TENANT,
      CLIENT_ID: MIC_CLIENT.id,
      CLIENT_SECRET: MIC_CLIENT.secret,
    };
  }

  /** Starts MIC and leaves it to itself. */
  startMic(flags: readonly string[] = [], env: NodeJS.ProcessEnv = {}): MicProcess {
    const mic = new MicProcess(this.#bundle, [`--kubeconfig=${join(this.directory, "kubeconfig")}`, ...flags], {
      ...this.environment,
      ...env,
    });
    this.#mics.push(mic);
    return mic;
  }

  /** Starts MIC and waits until it leads. */
  async mic(flags: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<MicProcess> {
    const mic = this.startMic(flags, env);
    await mic.active();
    return mic;
  }

  /** A node on that machine, which is made in Azure if there is none. */
  async node(name: string, machine: Machine): Promise<void> {
    this.machine(machine);
    await this.of("nodes").create({ metadata: { name }, spec: { providerID: machine.providerID } });
  }

  /** Makes the VM or scale set in Azure, unless it is there. */
  machine({ id }: Machine, more: { readonly systemAssigned?: boolean } = {}): void {
    if (this.azure.state.machineResource(id) !== undefined) return;
    const isScaleSet = /\/virtualMachineScaleSets\/[^/]+$/i.test(id);
    this.azure.state.seed(
      isScaleSet ? { scaleSets: [{ id, instances: 3, ...more }] } : { virtualMachines: [{ id, ...more }] },
    );
  }

  /** A user-assigned identity in Azure. */
  azureIdentity(name: string, clientId = `client-${name}`): void {
    this.azure.state.seed({ userAssignedIdentities: [{ id: resourceId(name), clientId }] });
  }

  /** An AzureIdentity of type 0; its counterpart in Azure is made unless `exists` is false. */
  async identity(
    name: string,
    o: {
      readonly namespace?: string;
      /** Name of the identity in Azure; that of the object when absent. */
      readonly azure?: string;
      readonly clientID?: string;
      readonly exists?: boolean;
      readonly annotations?: Record<string, string>;
      readonly spec?: object;
    } = {},
  ): Promise<KubeObject> {
    const azure = o.azure ?? name;
    const clientID = o.clientID ?? `client-${azure}`;
    if (o.exists !== false && this.azure.state.identities.get(resourceId(azure).toLowerCase()) === undefined)
      this.azureIdentity(azure, clientID);
    return this.of("azureIdentities").create({
      apiVersion: API_VERSION,
      kind: "AzureIdentity",
      metadata: { name, namespace: o.namespace ?? "default", ...(o.annotations && { annotations: o.annotations }) },
      spec: { type: 0, resourceID: resourceId(azure), clientID, ...o.spec },
    });
  }

  binding(name: string, azureIdentity: string, selector: string, namespace = "default"): Promise<KubeObject> {
    return this.of("azureIdentityBindings").create({
      apiVersion: API_VERSION,
      kind: "AzureIdentityBinding",
      metadata: { name, namespace },
      spec: { azureIdentity, selector },
    });
  }

  /** A pod that its node runs; without `nodeName` it waits for one. */
  pod(
    name: string,
    nodeName: string | undefined,
    selector: string,
    o: { readonly namespace?: string; readonly spec?: object } = {},
  ): Promise<KubeObject> {
    return this.of("pods").create({
      metadata: { name, namespace: o.namespace ?? "default", labels: { aadpodidbinding: selector } },
      spec: {
        ...(nodeName !== undefined && { nodeName }),
        containers: [{ name: "main", image: "registry.example/pause:1" }],
        ...o.spec,
      },
    });
  }

  /** S10's objects but the node. */
  async simple(): Promise<void> {
    await this.identity("test-id", { azure: "identity1", clientID: "test-user-msi-clientid" });
    await this.binding("testbinding", "test-id", "test-select");
    await this.pod("test-pod", "test-node", "test-select");
  }

  of(kind: Kind): ResourceClient {
    return new ResourceClient(this.#transport, RESOURCES[kind]);
  }

  /** Deletes at once, without a grace period. */
  async delete(kind: Kind, name: string, namespace?: string): Promise<void> {
    const where = RESOURCES[kind].namespaced ? (namespace ?? "default") : undefined;
    await this.of(kind).delete(name, where, { gracePeriodSeconds: 0 });
  }

  merge(kind: Kind, name: string, body: object, namespace = "default"): Promise<KubeObject> {
    return this.of(kind).patch(name, namespace, { type: "merge", body });
  }

  async find(kind: Kind, name: string, namespace: string | undefined = "default"): Promise<KubeObject | undefined> {
    try {
      return await this.of(kind).get(name, RESOURCES[kind].namespaced ? namespace : undefined);
    } catch (error) {
      if (KubeError.is(error, 404)) return undefined;
      throw error;
    }
  }

  async assigned(): Promise<AzureAssignedIdentity[]> {
    return (await this.of("azureAssignedIdentities").list()).items as unknown as AzureAssignedIdentity[];
  }

  /** `namespace/name: status` of every AzureAssignedIdentity; without the namespace where it is `default`. */
  async statuses(): Promise<Record<string, string>> {
    return Object.fromEntries(
      (await this.assigned()).map(({ metadata: { namespace, name }, status }) => [
        namespace === "default" ? name : `${namespace}/${name}`,
        status?.status ?? "",
      ]),
    );
  }

  /** Waits until the AzureAssignedIdentities are exactly these, by name and status. */
  becomes(want: Readonly<Record<string, string>>, timeout?: number): Promise<void> {
    return this.eventually(async () => deepEqual(await this.statuses(), want), timeout);
  }

  /** Waits until `check` no longer throws; throws what it threw last. */
  eventually(check: () => Promise<void> | void, timeout = 20_000, interval = 40): Promise<void> {
    return vi.waitFor(check, { timeout, interval });
  }

  /** Names of the identities that ARM has on a machine, in order. */
  held({ id }: Machine): string[] {
    return [...(this.azure.state.machineResource(id)?.identity.userAssigned.values() ?? [])]
      .map(({ id: attached }) => attached.slice(attached.lastIndexOf("/") + 1))
      .sort();
  }

  /** The identity block that ARM shows of a machine. */
  async identityOf({ id }: Machine): Promise<{ readonly type?: string; readonly principalId?: string } | undefined> {
    return ((await this.arm("GET", id)) as { identity?: { type?: string; principalId?: string } }).identity;
  }

  /** A request of somebody else to ARM. */
  async arm(method: string, id: string): Promise<unknown> {
    const token = await this.azure.issueToken({ principal: MIC_CLIENT.id, resource: "https://management.azure.com/" });
    return new Promise((resolve, reject) => {
      const sent = request(
        `https://localhost:${this.azure.port}${id}?api-version=2024-07-01`,
        { method, ca: this.azure.caPem, agent: false, headers: { authorization: `Bearer ${token}` } },
        (response) => {
          let text = "";
          response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
          response.once("end", () => resolve(text === "" ? undefined : JSON.parse(text)));
        },
      );
      sent.once("error", reject).end();
    });
  }

  /** Paths of the PATCHes that ARM got, oldest first. */
  get patches(): string[] {
    return this.micArm().flatMap(({ method, path }) => (method === "PATCH" ? [path] : []));
  }

  /** What MIC asked of ARM, oldest first. */
  micArm(): LogEntry[] {
    return this.azure.requests
      .entries({ service: "arm" })
      .filter(({ userAgent }) => userAgent.includes("aad-pod-identity/MIC/"));
  }

  /** Events of a kind of object, as `type reason: message`. */
  async events(kind?: string): Promise<string[]> {
    return (await this.of("events").list()).items
      .filter((event) => kind === undefined || (event["involvedObject"] as KubeObject).kind === kind)
      .map((event) => `${String(event["type"])} ${String(event["reason"])}: ${String(event["message"])}`);
  }

  /** Data of MIC's ledgers: the identities that it says it attached, by name, per machine. */
  async ledgers(): Promise<Record<string, string[]>> {
    const { items } = await this.of("configMaps").list({ namespace: SYSTEM_NAMESPACE });
    const ledgers = items.filter(({ metadata }) => metadata.labels?.["podid.dev/ledger"] === "true");
    return Object.fromEntries(
      ledgers.map((object) => {
        const { group, entries } = JSON.parse((object["data"] as Record<string, string>)["ledger.json"] ?? "{}") as {
          group: string;
          entries: Record<string, { readonly state: string }>;
        };
        const names = Object.entries(entries).map(([id, { state }]) => `${id.split("/").at(-1)} ${state}`);
        return [group.split("/").at(-1) ?? "", names.sort()];
      }),
    );
  }

  /** What MIC wrote since the last {@link reset}, leaving out its Lease and events. */
  async micWrites(): Promise<readonly MicRequest[]> {
    return (await this.kube.micRequests()).filter(
      ({ time, verb, resource }) =>
        time >= this.#since && WRITES.includes(verb) && resource !== "leases" && resource !== "events",
    );
  }

  /** The last lines of every MIC of this scenario, for a message about what did not come about. */
  get tails(): string {
    return this.#mics.map((mic) => mic.log.trimEnd().split("\n").slice(-12).join("\n")).join("\n---\n");
  }

  /** Everything as on the first day. */
  async reset(): Promise<void> {
    this.kube.faults?.clear();
    this.relay.open();
    await Promise.all(this.#mics.splice(0).map((mic) => mic.end()));
    for (const { metadata } of await this.assigned())
      if (metadata.finalizers !== undefined)
        await this.merge(
          "azureAssignedIdentities",
          metadata.name,
          { metadata: { finalizers: null } },
          metadata.namespace,
        );
    for (const kind of BY_NAMESPACE) for (const namespace of NAMESPACES) await this.#deleteAll(kind, namespace);
    await this.#deleteAll("nodes");
    await this.#deleteAll("configMaps", SYSTEM_NAMESPACE, "podid.dev/ledger=true");
    await this.dropLease();
    this.azure.state.faults.clear();
    this.azure.state.replace(seed());
    this.azure.requests.clear();
    this.#since = Date.now();
  }

  /** Nobody leads, and whoever is next need not wait. */
  async dropLease(): Promise<void> {
    await this.delete("leases", LEASE, SYSTEM_NAMESPACE).catch((error: unknown) => {
      if (!KubeError.is(error, 404)) throw error;
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#mics.map((mic) => mic.end()));
    await this.#transport.close();
    await this.relay.close();
    await Promise.all([this.kube.close(), this.azure.close()]);
    await rm(this.directory, { recursive: true, force: true });
  }

  async #deleteAll(kind: Kind, namespace?: string, labelSelector?: string): Promise<void> {
    await this.#transport.request({
      method: "DELETE",
      path: resourcePath(RESOURCES[kind], { namespace }),
      query: { gracePeriodSeconds: 0, labelSelector },
    });
  }
}

function seed(): Seed {
  const subscriptions = [IDENTITY_SUBSCRIPTION, VM_SUBSCRIPTION, SCALE_SET_SUBSCRIPTION];
  return {
    tenants: [{ id: TENANT }],
    apps: [{ clientId: MIC_CLIENT.id, tenantId: TENANT, secrets: [MIC_CLIENT.secret] }],
    subscriptions: subscriptions.map((id) => ({ id, tenantId: TENANT })),
    roleAssignments: subscriptions.map((id) => ({
      principal: MIC_CLIENT.id,
      role: "Contributor",
      scope: `/subscriptions/${id}`,
    })),
    settings: { operationMs: 50 },
  };
}
