import { get } from "node:http";
import { join } from "node:path";
import { writeFile } from "node:fs/promises";
import { startAzureEmulator } from "@podid/azure-emulator";
import type { AzureEmulator } from "@podid/azure-emulator";
import { RESOURCES } from "@podid/kube";
import { AgentProcess } from "./agent-process.ts";
import { MANAGED_NMI, MIC, NMI, SYSTEM_NAMESPACE } from "./rights-cluster.ts";
import type { RightsCluster } from "./rights-cluster.ts";
import { until } from "./until.ts";

const SUBSCRIPTION = "00000000-0000-0000-0000-000000000001";
const GROUP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/rg`;
const TENANT = "00000000-0000-0000-0000-0000000000ff";
const MIC_CLIENT = "00000000-0000-0000-0000-0000000000aa";
const MIC_SECRET = "e2e-secret";
const NODE = "stays";
/** They go away, with a pod on each. */
const LEAVING = [
  { node: "left-1", address: "10.1.0.3" },
  { node: "left-2", address: "10.1.0.4" },
] as const;
const NODES = [NODE, ...LEAVING.map(({ node }) => node)];

/** Everything is done in two namespaces and to two objects, so that a right to all of them shows why it is one. */
export const WORKLOADS = [
  { namespace: "default", name: "one", address: "10.1.0.1", clientID: "00000000-0000-0000-0000-000000000011" },
  { namespace: "team-a", name: "two", address: "10.1.0.2", clientID: "00000000-0000-0000-0000-000000000012" },
] as const;

function machineId(node: string): string {
  return `${GROUP}/providers/Microsoft.Compute/virtualMachines/${node}`;
}

function resourceId(identity: string): string {
  return `${GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${identity}`;
}

/** What an aad-pod-identity that began before 1.6 leaves: fields in the old spelling, and the lock of its MIC. */
async function leftByUpstream(cluster: RightsCluster): Promise<void> {
  for (const { namespace } of WORKLOADS) {
    const metadata = { name: `old-${namespace}`, namespace };
    await cluster.of(RESOURCES.azureIdentities).create({ metadata, spec: { type: 0, ResourceID: resourceId("old") } });
    await cluster
      .of(RESOURCES.azureIdentityBindings)
      .create({ metadata, spec: { AzureIdentity: metadata.name, Selector: "old" } });
    await cluster.of(RESOURCES.azurePodIdentityExceptions).create({ metadata, spec: { PodLabels: { app: "old" } } });
  }
  await cluster.of(RESOURCES.endpoints).create({ metadata: { name: "aad-pod-identity-mic", namespace: "default" } });
}

/** MIC twice and NMI in both modes, as they are shipped, and everything that makes them ask the API server for something. */
export class RightsScenario {
  readonly #cluster: RightsCluster;
  readonly #azure: AzureEmulator;
  readonly #bundles: { readonly mic: string; readonly nmi: string };
  readonly #imdsPort: string;

  private constructor(
    cluster: RightsCluster,
    azure: AzureEmulator,
    bundles: { readonly mic: string; readonly nmi: string },
    imdsPort: string,
  ) {
    this.#cluster = cluster;
    this.#azure = azure;
    this.#bundles = bundles;
    this.#imdsPort = imdsPort;
  }

  static async prepare(
    cluster: RightsCluster,
    bundles: { readonly mic: string; readonly nmi: string },
  ): Promise<RightsScenario> {
    const azure = await startAzureEmulator({
      caDirectory: cluster.controlPlane.directory,
      seed: {
        tenants: [{ id: TENANT }],
        apps: [{ clientId: MIC_CLIENT, tenantId: TENANT, secrets: [MIC_SECRET] }],
        subscriptions: [{ id: SUBSCRIPTION, tenantId: TENANT }],
        roleAssignments: [{ principal: MIC_CLIENT, role: "Contributor", scope: `/subscriptions/${SUBSCRIPTION}` }],
        userAssignedIdentities: WORKLOADS.map(({ name, clientID }) => ({ id: resourceId(name), clientId: clientID })),
        virtualMachines: NODES.map((node) => ({ id: machineId(node) })),
        settings: { operationMs: 20 },
      },
    });
    const imds = await azure.startImds(machineId(NODE));
    for (const name of NODES)
      await cluster
        .of(RESOURCES.nodes)
        .create({ metadata: { name }, spec: { providerID: `azure://${machineId(name)}` } });
    for (const { namespace, name, clientID } of WORKLOADS)
      await cluster.identity({ namespace, name, clientID, resourceID: resourceId(name) });
    await cluster
      .of(RESOURCES.azurePodIdentityExceptions)
      .create({ metadata: { name: "other", namespace: "team-a" }, spec: { podLabels: { app: "other" } } });
    await leftByUpstream(cluster);
    return new RightsScenario(cluster, azure, bundles, new URL(imds.url).port);
  }

  /** @throws at the first step that does not come about */
  async run(): Promise<void> {
    await this.#standardMode();
    await this.#managedMode();
  }

  async close(): Promise<void> {
    await this.#azure.close();
  }

  async #standardMode(): Promise<void> {
    const cluster = this.#cluster;
    const nmi = await this.#startNmi(NMI);
    const first = await this.#startMic(0);
    await first.active();
    for (const workload of WORKLOADS) await this.#pod(workload);
    for (const { node, address } of LEAVING)
      await cluster.pod({ namespace: "default", name: `on-${node}`, node, selector: "one", address });
    const onLeaving = LEAVING.map(({ node }) => `default/on-${node}`);
    await this.#untilAssigned([...onLeaving, "default/one", "team-a/two"]);
    for (const workload of WORKLOADS) await this.#token(workload.address);
    await until("pods, identities and bindings say so", async () => {
      const reasons = new Set(await cluster.reasons());
      return WORKLOADS.every(({ namespace, name }) =>
        ["Pod", "AzureIdentity", "AzureIdentityBinding"].every((kind) =>
          reasons.has(`${kind} ${namespace}/${name}: Assigned`),
        ),
      );
    });

    // The same name on the same node again: the event is counted up, and the address has changed hands.
    for (const workload of WORKLOADS) await cluster.deletePod(workload);
    await this.#untilAssigned(onLeaving);
    for (const workload of WORKLOADS) await this.#pod(workload);
    await this.#untilAssigned([...onLeaving, "default/one", "team-a/two"]);
    for (const workload of WORKLOADS) await this.#token(workload.address);
    await until("events are counted up in both namespaces", async () => {
      const { items } = await cluster.of(RESOURCES.events).list();
      const repeated = items.filter(({ count }) => Number(count) > 1).map(({ metadata }) => metadata.namespace);
      return WORKLOADS.every(({ namespace }) => repeated.includes(namespace));
    });

    // A machine that is gone takes its ledger with it.
    await until("all machines have ledgers", async () => (await this.#ledgers()).length === NODES.length);
    for (const { node } of LEAVING) {
      await cluster.deletePod({ namespace: "default", name: `on-${node}` });
      this.#azure.state.deleteMachine(machineId(node));
      await cluster.of(RESOURCES.nodes).delete(node);
    }
    await until("the ledgers of the machines that are gone are gone", async () => (await this.#ledgers()).length === 1);
    await this.#untilAssigned(["default/one", "team-a/two"]);

    for (const workload of WORKLOADS) {
      const pod = `${workload.namespace}/${workload.name}`;
      const all = [pod, ...WORKLOADS.map(({ namespace, name }) => `${namespace}/${name}`)].sort();
      await this.#severalDefaults(workload, () => this.#untilAssigned(all));
      await this.#untilAssigned(["default/one", "team-a/two"]);
    }

    // A new leader asks before it takes anything from a pod.
    const second = await this.#startMic(1);
    await second.ready();
    await first.stop();
    await second.active();
    for (const workload of WORKLOADS) await cluster.deletePod(workload);
    await this.#untilAssigned([]);
    await second.stop();

    await cluster.of(RESOURCES.configMaps).create({
      metadata: { name: "podid-lifecycle", namespace: SYSTEM_NAMESPACE },
      data: { phase: "uninstalling" },
    });
    await nmi.says("podid is being uninstalled");
    await nmi.stop();
  }

  /** Somebody else has attached the identities; the mark of the uninstallation is still there. */
  async #managedMode(): Promise<void> {
    for (const { name } of WORKLOADS) this.#azure.state.attach(machineId(NODE), resourceId(name));
    const nmi = await this.#startNmi(MANAGED_NMI, "--operation-mode=managed", "--forceNamespaced");
    for (let round = 0; round < 2; round += 1) {
      for (const workload of WORKLOADS) {
        await this.#pod(workload);
        await this.#token(workload.address);
        if (round === 0) await this.#severalDefaults(workload, () => Promise.resolve());
        await this.#cluster.deletePod(workload);
      }
    }
    await nmi.says("podid is being uninstalled");
    await nmi.stop();
  }

  /** A pod with two identities that asks for none by name is warned, and again when it gets the first one once more. */
  async #severalDefaults(
    { namespace, name, clientID, address }: (typeof WORKLOADS)[number],
    attached: () => Promise<void>,
  ): Promise<void> {
    const cluster = this.#cluster;
    const second = `${name}-2`;
    await cluster.identity({ namespace, name: second, clientID, resourceID: resourceId(name), selector: name });
    await attached();
    const bindings = cluster.of(RESOURCES.azureIdentityBindings);
    // Events of a former pod of this name, which the other mode told of, say nothing.
    const { uid } = (await cluster.of(RESOURCES.pods).get(name, namespace)).metadata;
    const turns = [
      { weight: 1, used: second, count: 1 },
      { weight: 0, used: name, count: 1 },
      { weight: 1, used: second, count: 2 },
    ];
    for (const { weight, used, count } of turns) {
      await bindings.patch(second, namespace, { type: "merge", body: { spec: { weight } } });
      await until(`pod ${namespace}/${name} is warned about ${used}, ${count} times`, async () => {
        await this.#token(address);
        const { items } = await cluster.of(RESOURCES.events).list({ namespace });
        return items.some(
          (event) =>
            event["reason"] === "AmbiguousIdentity" &&
            (event["involvedObject"] as { readonly uid?: string } | undefined)?.uid === uid &&
            String(event["message"]).includes(`AzureIdentity ${namespace}/${used} was used`) &&
            Number(event["count"]) >= count,
        );
      });
    }
    await bindings.delete(second, namespace);
    await cluster.of(RESOURCES.azureIdentities).delete(second, namespace);
  }

  async #startMic(index: number): Promise<AgentProcess> {
    const { directory } = this.#cluster.controlPlane;
    const endpoint = `https://localhost:${this.#azure.port}/`;
    const cloud = join(directory, "cloud.json");
    await writeFile(
      cloud,
      JSON.stringify({ name: "Emulated", activeDirectoryEndpoint: endpoint, resourceManagerEndpoint: endpoint }),
    );
    return new AgentProcess({
      name: `mic-${index}`,
      bundle: this.#bundles.mic,
      probePort: 18_080 + index,
      args: [
        `--kubeconfig=${await this.#cluster.kubeconfig(MIC)}`,
        `--leader-election-instance=mic-${index}`,
        `--prometheus-port=${18_880 + index}`,
      ],
      env: {
        MIC_POD_NAMESPACE: SYSTEM_NAMESPACE,
        NODE_EXTRA_CA_CERTS: this.#azure.caFile,
        CLOUD: "AzureStackCloud",
        AZURE_ENVIRONMENT_FILEPATH: cloud,
        TENANT_ID: TENANT,
        CLIENT_ID: MIC_CLIENT,
        CLIENT_SECRET: MIC_SECRET,
        SUBSCRIPTION_ID: SUBSCRIPTION,
        RESOURCE_GROUP: "rg",
      },
    });
  }

  async #startNmi(account: typeof NMI, ...flags: readonly string[]): Promise<AgentProcess> {
    const nmi = new AgentProcess({
      name: account.name,
      bundle: this.#bundles.nmi,
      probePort: 18_085,
      args: [
        `--node=${NODE}`,
        `--kubeconfig=${await this.#cluster.kubeconfig(account)}`,
        `--MICNamespace=${SYSTEM_NAMESPACE}`,
        "--metadata-ip=127.0.0.1",
        `--metadata-port=${this.#imdsPort}`,
        "--prometheus-port=19090",
        "--drain-timeout=0s",
        "--allow-network-plugin-kubenet=true",
        ...flags,
      ],
    });
    await nmi.ready();
    return nmi;
  }

  #pod({ namespace, name, address }: (typeof WORKLOADS)[number]): Promise<void> {
    return this.#cluster.pod({ namespace, name, node: NODE, selector: name, address });
  }

  async #untilAssigned(pods: readonly string[]): Promise<void> {
    const want = pods.map((pod) => `${pod}: Assigned`).join(", ");
    await until(`assigned are ${want || "none"}`, async () => (await this.#cluster.assigned()).join(", ") === want);
  }

  async #ledgers(): Promise<readonly unknown[]> {
    const { items } = await this.#cluster
      .of(RESOURCES.configMaps)
      .list({ namespace: SYSTEM_NAMESPACE, labelSelector: "podid.dev/ledger=true" });
    return items;
  }

  /** Asks NMI for a token with the address of a pod. */
  async #token(address: string): Promise<void> {
    const [status, body] = await new Promise<readonly [number | undefined, string]>((resolve, reject) => {
      get(
        {
          host: "127.0.0.1",
          port: 2579,
          localAddress: address,
          agent: false,
          headers: { metadata: "true" },
          path: "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net",
        },
        (answer) => {
          let text = "";
          answer.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
          answer.once("end", () => resolve([answer.statusCode, text]));
        },
      ).once("error", reject);
    });
    if (status !== 200) throw new Error(`the token request from ${address} was answered with ${status}: ${body}`);
  }
}
