import { startAzureEmulator } from "@podid/azure-emulator";
import type { AzureEmulator } from "@podid/azure-emulator";
import { requestServiceAccountToken, ResourceClient, RESOURCES, transportFromKubeConfig } from "@podid/kube";
import type { KubeObject, KubeTransport } from "@podid/kube";
import { parseNodeKubeConfig } from "@podid/kube/node-kubeconfig";
import { EntraClient } from "./entra-client.ts";
import type { Exchange } from "./entra-client.ts";

/** What the federation scenarios need of an API server. */
export interface FederationServer {
  readonly url: string;
  readonly caPem: string;
  /** `iss` of its ServiceAccount tokens. */
  readonly issuer: string;
  /** Of an administrator, YAML. */
  readonly kubeconfig: string;
  /** False where anybody may read the issuer's documents from the start. */
  readonly guardsDiscovery: boolean;
  close(): Promise<void>;
}

export const AUDIENCE = "api://AzureADTokenExchange";
export const TENANT = "22222222-2222-4222-8222-222222222222";
export const SCOPE = "https://vault.azure.net/.default";
export const NODE = "node-1";

const GROUP = "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/rg";
/** ARM id of the managed identities below. */
export const identityId = (name: string): string =>
  `${GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;

/** Everybody in the tenant who signs in by federation, or tries to. All but `app` are managed identities. */
export const CLIENTS = {
  /** Trusts system:serviceaccount:shop:app. */
  cart: "aaaaaaaa-0000-4000-8000-000000000001",
  /** As `cart`, written system:serviceaccount:shop:App. */
  cased: "aaaaaaaa-0000-4000-8000-000000000002",
  /** As `cart`, of the issuer with one slash at the end more, or less. */
  slash: "aaaaaaaa-0000-4000-8000-000000000003",
  /** Trusts nobody. */
  closed: "aaaaaaaa-0000-4000-8000-000000000004",
  /** An app registration that trusts whom `cart` trusts. */
  app: "33333333-3333-4333-8333-333333333333",
} as const;
export type ClientName = keyof typeof CLIENTS;

/** A pod that lives, and whose it is. */
export interface LivePod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly serviceAccount: string;
}

/** An API server whose ServiceAccounts an Entra tenant trusts. */
export class Federation {
  readonly server: FederationServer;
  readonly azure: AzureEmulator;
  readonly entra: EntraClient;
  readonly transport: KubeTransport;
  readonly pods: ResourceClient;
  readonly #clock: { aheadMs: number };

  private constructor(server: FederationServer, azure: AzureEmulator, clock: { aheadMs: number }) {
    this.server = server;
    this.azure = azure;
    this.entra = new EntraClient(azure);
    this.transport = transportFromKubeConfig(parseNodeKubeConfig(server.kubeconfig));
    this.pods = new ResourceClient(this.transport, RESOURCES.pods);
    this.#clock = clock;
  }

  static async start(server: FederationServer): Promise<Federation> {
    const { issuer, url, caPem } = server;
    const trust = { issuer, subject: "system:serviceaccount:shop:app" };
    const cased = { issuer, subject: "system:serviceaccount:shop:App" };
    const slash = { ...trust, issuer: issuer.endsWith("/") ? issuer.slice(0, -1) : `${issuer}/` };
    const clock = { aheadMs: 0 };
    const azure = await startAzureEmulator({
      now: () => Date.now() + clock.aheadMs,
      seed: {
        tenants: [{ id: TENANT }],
        apps: [{ clientId: CLIENTS.app, tenantId: TENANT, federatedCredentials: [trust] }],
        userAssignedIdentities: [
          { id: identityId("cart"), clientId: CLIENTS.cart, federatedCredentials: [trust] },
          { id: identityId("cased"), clientId: CLIENTS.cased, federatedCredentials: [cased] },
          { id: identityId("slash"), clientId: CLIENTS.slash, federatedCredentials: [slash] },
          { id: identityId("closed"), clientId: CLIENTS.closed },
        ],
        settings: { issuers: [url === issuer ? { issuer, caPem } : { issuer, url, caPem }] },
      },
    });
    const federation = new Federation(server, azure, clock);
    await federation.#prepare();
    return federation;
  }

  /** Two namespaces with the ServiceAccount `app`, one of them with another one, and a node. */
  async #prepare(): Promise<void> {
    const create = (resource: (typeof RESOURCES)[keyof typeof RESOURCES], metadata: KubeObject["metadata"]) =>
      new ResourceClient(this.transport, resource).create({ metadata });
    await create(RESOURCES.nodes, { name: NODE });
    for (const name of ["shop", "rival"]) await create(RESOURCES.namespaces, { name });
    for (const [namespace, name] of [
      ["shop", "app"],
      ["shop", "batch"],
      ["rival", "app"],
    ] as const)
      await create(RESOURCES.serviceAccounts, { namespace, name });
  }

  /** Lets everybody read the issuer's documents, which a cluster has to do somehow for Entra's sake. */
  async publishDiscovery(): Promise<void> {
    const resource = {
      group: "rbac.authorization.k8s.io",
      version: "v1",
      plural: "clusterrolebindings",
      kind: "ClusterRoleBinding",
      namespaced: false,
    };
    const binding = {
      metadata: { name: "issuer-discovery-for-everybody" },
      roleRef: {
        apiGroup: resource.group,
        kind: "ClusterRole",
        name: "system:service-account-issuer-discovery",
      },
      subjects: [{ apiGroup: resource.group, kind: "Group", name: "system:unauthenticated" }],
    };
    await new ResourceClient(this.transport, resource).create(binding);
  }

  async createPod(namespace: string, serviceAccount: string, name: string): Promise<LivePod> {
    const pod = await this.pods.create({
      metadata: { namespace, name },
      spec: { nodeName: NODE, serviceAccountName: serviceAccount, containers: [{ name: "main", image: "pause:1" }] },
    });
    return { namespace, serviceAccount, name, uid: pod.metadata.uid ?? "" };
  }

  /** What NMI asks for in a pod's name. */
  async token(pod: LivePod, o: { audience?: string; expirationSeconds?: number } = {}): Promise<string> {
    const { namespace, serviceAccount, name, uid } = pod;
    const asked = { audience: AUDIENCE, expirationSeconds: 3600, ...o };
    const boundPod = { name, uid };
    return (await requestServiceAccountToken(this.transport, { namespace, serviceAccount, boundPod, ...asked })).token;
  }

  exchange(assertion: string, client: ClientName = "cart"): Promise<Exchange> {
    return this.entra.exchange({ tenant: TENANT, clientId: CLIENTS[client], assertion, scope: SCOPE });
  }

  /** Runs with Entra's clock ahead of everybody else's, or behind. */
  async aheadBy<T>(seconds: number, run: () => Promise<T>): Promise<T> {
    this.#clock.aheadMs = seconds * 1000;
    try {
      return await run();
    } finally {
      this.#clock.aheadMs = 0;
    }
  }

  async close(): Promise<void> {
    await this.transport.close();
    await this.azure.close();
    await this.server.close();
  }
}
