import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { Cgroup, findNodeAssets, KubeNode } from "@podid/kube-node";
import { stringify } from "yaml";
import { World } from "./world.ts";

const ROOT = join(import.meta.dirname, "../..");
export const SUBSCRIPTION = "00000000-0000-0000-0000-000000000001";
export const TENANT = "00000000-0000-0000-0000-0000000000aa";
export const RESOURCE_GROUP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/podid-demo`;
const NODE_GROUP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/nodes`;
export const MACHINE = `${NODE_GROUP}/providers/Microsoft.Compute/virtualMachines/node-1`;
const MIC_APP = { clientId: "00000000-0000-0000-0000-00000000a11c", secret: "not-a-secret-of-anybody" };
/** By name: the client id. Only demo1 may read the resource group. */
export const IDENTITIES: Readonly<Record<string, string>> = {
  demo1: "00000000-0000-0000-0000-00000000c1d1",
  demo2: "00000000-0000-0000-0000-00000000c1d2",
};

/** Client id of an identity that trusts the ServiceAccount workloads/cart and is attached nowhere. */
export const FEDERATED = "00000000-0000-0000-0000-00000000fed1";

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What `npm run e2e:node` hands on. */
function given(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === "")
    throw new Error(`${name} is not set: these tests run with \`npm run e2e:node\``);
  return value;
}

/** One node, Azure behind it, podid's images on it; and what users do: kubectl and helm. */
export class NodeCluster {
  readonly node: KubeNode;
  readonly world: World;
  readonly iptables = given("PODID_NODE_IPTABLES") as "nft" | "legacy";
  readonly #kubeconfig: string;
  readonly #directory: string;

  private constructor(node: KubeNode, world: World, directory: string, kubeconfig: string) {
    this.node = node;
    this.world = world;
    this.#directory = directory;
    this.#kubeconfig = kubeconfig;
  }

  static async start(): Promise<NodeCluster> {
    const directory = given("PODID_NODE_DIRECTORY");
    const assets = await findNodeAssets(process.env);
    if (assets === undefined) throw new Error("KUBEBUILDER_ASSETS holds no node: npm run kube:build -- --node");
    const node = await KubeNode.start({
      assets,
      path: given("PATH"),
      directory: join(directory, "node"),
      pauseImage: "podid.test/busybox:1",
      cgroup: new Cgroup(basename(directory)),
      providerId: `azure://${MACHINE}`,
      proxyMode: given("PODID_NODE_PROXY") as "iptables" | "nftables",
    });
    const world = await World.start(node, directory, azureSeed(node), MACHINE);
    for (const image of ["busybox", "mic", "nmi", "demo"])
      await node.containerd.importImages(join(directory, "images", `${image}.tar`));
    const kubeconfig = join(directory, "kubeconfig");
    await writeFile(kubeconfig, node.controlPlane.kubeconfig(), { mode: 0o600 });
    return new NodeCluster(node, world, directory, kubeconfig);
  }

  async stop(): Promise<void> {
    await this.world.stop();
    await this.node.close();
  }

  /** Values with which the chart runs here: MIC's service principal, and trust in the emulated Azure. */
  async values(more: object = {}): Promise<string[]> {
    const trust = {
      extraEnv: [{ name: "NODE_EXTRA_CA_CERTS", value: "/etc/azure-ca/ca.pem" }],
      extraVolumes: [{ name: "azure-ca", configMap: { name: "azure-ca" } }],
      extraVolumeMounts: [{ name: "azure-ca", mountPath: "/etc/azure-ca", readOnly: true }],
    };
    const files = [
      {
        image: { imagePullPolicy: "Never" },
        adminsecret: {
          cloud: "AzurePublicCloud",
          subscriptionID: SUBSCRIPTION,
          resourceGroup: "nodes",
          vmType: "standard",
          tenantID: TENANT,
          clientID: MIC_APP.clientId,
          clientSecret: MIC_APP.secret,
        },
        mic: trust,
        test: {
          ...trust,
          selector: "helm-test",
          clientID: IDENTITIES["demo1"],
          subscriptionID: SUBSCRIPTION,
          resourceGroup: "podid-demo",
        },
        azureIdentities: {
          tested: {
            type: 0,
            resourceID: identityId("demo1"),
            clientID: IDENTITIES["demo1"],
            binding: { name: "tested", selector: "helm-test" },
          },
        },
        nmi: {
          ...trust,
          tokenRequests: { credentials: "kubelet", kubeletKubeconfig: this.node.kubeletKubeconfig },
        },
      },
      more,
    ];
    return Promise.all(
      files.map(async (values, at) => {
        const file = join(this.#directory, `values-${at}.yaml`);
        await writeFile(file, stringify(values));
        return `--values=${file}`;
      }),
    );
  }

  /** A namespace whose pods may trust the emulated Azure. */
  async makeNamespace(name: string): Promise<void> {
    await this.apply(
      { apiVersion: "v1", kind: "Namespace", metadata: { name } },
      {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "azure-ca", namespace: name },
        data: { "ca.pem": await this.world.caPem() },
      },
    );
  }

  async apply(...objects: readonly object[]): Promise<void> {
    const file = join(this.#directory, "manifest.yaml");
    await writeFile(file, objects.map((object) => stringify(object)).join("---\n"));
    await this.kubectl("apply", "-f", file);
  }

  /** @returns standard output. @throws with what it said when it fails */
  async kubectl(...args: readonly string[]): Promise<string> {
    return succeeded(await this.try("KUBECTL", args));
  }

  /** Installs, upgrades and the like with this repository's chart at hand as `chart`. */
  async helm(...args: readonly string[]): Promise<string> {
    return succeeded(await this.try("HELM", args));
  }

  async try(client: "KUBECTL" | "HELM", args: readonly string[]): Promise<Ran> {
    return run(given(client), args, { KUBECONFIG: this.#kubeconfig, HOME: this.#directory });
  }

  get chart(): string {
    return join(ROOT, "charts/podid");
  }

  /** @returns the path of a JSON file with that object */
  async file(name: string, object: object): Promise<string> {
    const path = join(this.#directory, name);
    await writeFile(path, JSON.stringify(object));
    return path;
  }

  /** A command on the node itself. */
  async onNode(...command: readonly string[]): Promise<string> {
    const [file = "", ...args] = command;
    return succeeded(await run(file, args));
  }

  async json<T>(...args: readonly string[]): Promise<T> {
    return JSON.parse(await this.kubectl(...args, "--output=json")) as T;
  }
}

function azureSeed({ controlPlane }: KubeNode): object {
  const issuer = controlPlane.url;
  const location = "westeurope";
  return {
    tenants: [{ id: TENANT, displayName: "podid" }],
    subscriptions: [{ id: SUBSCRIPTION, displayName: "podid", tenantId: TENANT }],
    userAssignedIdentities: [
      ...Object.entries(IDENTITIES).map(([name, clientId]) => ({ id: identityId(name), clientId, location })),
      {
        id: identityId("federated"),
        clientId: FEDERATED,
        location,
        federatedCredentials: [
          {
            name: "cart",
            issuer,
            subject: "system:serviceaccount:workloads:cart",
            audiences: ["api://AzureADTokenExchange"],
          },
        ],
      },
    ],
    settings: { issuers: [{ issuer, caPem: controlPlane.caPem }] },
    virtualMachines: [
      { id: MACHINE, location, privateIp: "10.250.0.4" },
      { id: `${RESOURCE_GROUP}/providers/Microsoft.Compute/virtualMachines/web-0`, location },
    ],
    apps: [{ clientId: MIC_APP.clientId, tenantId: TENANT, displayName: "podid-mic", secrets: [MIC_APP.secret] }],
    roleAssignments: [
      { principal: MIC_APP.clientId, role: "Managed Identity Operator", scope: RESOURCE_GROUP },
      { principal: MIC_APP.clientId, role: "Virtual Machine Contributor", scope: NODE_GROUP },
      { principal: identityId("demo1"), role: "Reader", scope: RESOURCE_GROUP },
      { principal: identityId("federated"), role: "Reader", scope: RESOURCE_GROUP },
    ],
  };
}

export function identityId(name: string): string {
  return `/subscriptions/${SUBSCRIPTION}/resourcegroups/podid-demo/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;
}

async function run(file: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  try {
    const { stdout, stderr } = await promisify(execFile)(file, [...args], {
      env: { ...process.env, ...env },
      maxBuffer: 64 << 20,
    });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout = "", stderr = "" } = error as { code?: unknown; stdout?: string; stderr?: string };
    return { code: typeof code === "number" ? code : -1, stdout, stderr: stderr === "" ? String(error) : stderr };
  }
}

function succeeded({ code, stdout, stderr }: Ran): string {
  if (code !== 0) throw new Error(`ended with ${code}: ${stderr}${stdout}`);
  return stdout;
}
