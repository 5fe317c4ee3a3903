import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { API_VERSION, CUSTOM_RESOURCE_DEFINITIONS, READINESS_GATE } from "@podid/crd-types";
import type { AzureAssignedIdentity } from "@podid/crd-types";
import { KubeError, requestServiceAccountToken, ResourceClient, RESOURCES, transportFromKubeConfig } from "@podid/kube";
import type { KubeObject, KubeTransport, Resource } from "@podid/kube";
import { parseKubeConfig } from "@podid/kube/kubeconfig";
import { ControlPlane } from "@podid/kube-control-plane";
import type { Assets } from "@podid/kube-control-plane";
import { parseAllDocuments } from "yaml";
import { serviceAccountUser } from "./rights.ts";
import type { AuditEvent, RbacObject } from "./rights.ts";
import { until } from "./until.ts";

/** Where deploy/rbac.yaml puts both. */
export const SYSTEM_NAMESPACE = "kube-system";
export const MIC = { namespace: SYSTEM_NAMESPACE, name: "podid-mic" };
export const NMI = { namespace: SYSTEM_NAMESPACE, name: "podid-nmi" };
/** NMI with the rights of managed mode; renamed, so that both fit into one cluster. */
export const MANAGED_NMI = { namespace: SYSTEM_NAMESPACE, name: "managed-podid-nmi" };

/** The objects under deploy/ that are made from the chart: those of standard mode, and renamed those of managed mode. */
export function renderedRbac(): (RbacObject & KubeObject)[] {
  const renamed = <T extends { readonly name: string }>(named: T): T => ({ ...named, name: `managed-${named.name}` });
  const managed = read("managed-mode-rbac.yaml").map(({ metadata, roleRef, subjects, ...object }) => ({
    ...object,
    metadata: renamed(metadata),
    ...(roleRef !== undefined && { roleRef: renamed(roleRef) }),
    ...(subjects !== undefined && { subjects: subjects.map(renamed) }),
  }));
  return [...read("rbac.yaml"), ...managed];
}

function read(file: string): (RbacObject & KubeObject)[] {
  const yaml = readFileSync(join(import.meta.dirname, "../../deploy", file), "utf8");
  return parseAllDocuments(yaml).map((document) => document.toJS() as RbacObject & KubeObject);
}

const RBAC = { group: "rbac.authorization.k8s.io", version: "v1" } as const;
const RBAC_RESOURCES: Readonly<Record<string, Resource>> = {
  ServiceAccount: RESOURCES.serviceAccounts,
  ClusterRole: { ...RBAC, plural: "clusterroles", kind: "ClusterRole", namespaced: false },
  ClusterRoleBinding: { ...RBAC, plural: "clusterrolebindings", kind: "ClusterRoleBinding", namespaced: false },
  Role: { ...RBAC, plural: "roles", kind: "Role", namespaced: true },
  RoleBinding: { ...RBAC, plural: "rolebindings", kind: "RoleBinding", namespaced: true },
};

/** @throws for a kind that nobody taught it yet */
export async function createRendered(
  transport: KubeTransport,
  objects: readonly (RbacObject & KubeObject)[],
): Promise<void> {
  for (const object of objects) {
    const resource = RBAC_RESOURCES[object.kind];
    if (resource === undefined)
      throw new Error(`the rights under deploy/ have a ${object.kind}; teach e2e to create it`);
    await new ResourceClient(transport, resource).create(object);
  }
}

/** A real API server with podid's CRDs, ServiceAccounts and rights, whose audit log holds the requests of MIC and NMI alone. */
export class RightsCluster {
  readonly controlPlane: ControlPlane;
  readonly #transport: KubeTransport;

  private constructor(controlPlane: ControlPlane) {
    this.controlPlane = controlPlane;
    this.#transport = transportFromKubeConfig(parseKubeConfig(controlPlane.kubeconfig()));
  }

  static async start(assets: Assets, namespaces: readonly string[]): Promise<RightsCluster> {
    const users = [MIC, NMI, MANAGED_NMI].map(serviceAccountUser);
    const cluster = new RightsCluster(
      await ControlPlane.start({
        assets,
        // NMI lists only where a server streams no lists: by default 1.33 and those before 1.32 do not.
        apiServerFlags: ["--feature-gates=WatchList=false"],
        auditPolicy: JSON.stringify({
          apiVersion: "audit.k8s.io/v1",
          kind: "Policy",
          omitStages: ["RequestReceived"],
          rules: [{ level: "Metadata", users }, { level: "None" }],
        }),
      }),
    );
    for (const definition of CUSTOM_RESOURCE_DEFINITIONS)
      await cluster.of(RESOURCES.customResourceDefinitions).create(definition as unknown as KubeObject);
    await createRendered(cluster.#transport, renderedRbac());
    for (const name of namespaces) {
      if (name !== "default") await cluster.of(RESOURCES.namespaces).create({ metadata: { name } });
      // There is no controller-manager to make it, and pods are refused without.
      await cluster.of(RESOURCES.serviceAccounts).create({ metadata: { name: "default", namespace: name } });
    }
    await until("the custom resources are served", async () => {
      await cluster.of(RESOURCES.azureAssignedIdentities).list();
      return true;
    });
    return cluster;
  }

  /** As administrator. */
  of(resource: Resource): ResourceClient {
    return new ResourceClient(this.#transport, resource);
  }

  /** Writes a kubeconfig with a token of that ServiceAccount. @returns its path */
  async kubeconfig(account: { readonly namespace: string; readonly name: string }): Promise<string> {
    const { token } = await requestServiceAccountToken(this.#transport, {
      namespace: account.namespace,
      serviceAccount: account.name,
      audience: this.controlPlane.url,
      expirationSeconds: 3600,
    });
    const file = join(this.controlPlane.directory, `${account.name}.kubeconfig`);
    await writeFile(file, this.controlPlane.kubeconfig(this.controlPlane.url, token), { mode: 0o600 });
    return file;
  }

  async identity(o: {
    readonly namespace: string;
    readonly name: string;
    readonly resourceID: string;
    readonly clientID: string;
    /** Default: the name. */
    readonly selector?: string;
  }): Promise<void> {
    const { namespace, name, resourceID, clientID, selector = name } = o;
    // Makes MIC write beside the pods, not in the namespace `default`; without effect there.
    const annotations = { "aadpodidentity.k8s.io/Behavior": "namespaced" };
    await this.of(RESOURCES.azureIdentities).create({
      apiVersion: API_VERSION,
      kind: "AzureIdentity",
      metadata: { name, namespace, annotations },
      spec: { type: 0, resourceID, clientID },
    });
    await this.of(RESOURCES.azureIdentityBindings).create({
      apiVersion: API_VERSION,
      kind: "AzureIdentityBinding",
      metadata: { name, namespace },
      spec: { azureIdentity: name, selector },
    });
  }

  /** A running pod, as kubelet would report it. */
  async pod(o: {
    readonly namespace: string;
    readonly name: string;
    readonly node: string;
    readonly selector: string;
    readonly address: string;
  }): Promise<void> {
    const pods = this.of(RESOURCES.pods);
    await pods.create({
      metadata: { name: o.name, namespace: o.namespace, labels: { aadpodidbinding: o.selector } },
      spec: {
        nodeName: o.node,
        readinessGates: [{ conditionType: READINESS_GATE }],
        containers: [{ name: "main", image: "registry.example/pause:1" }],
      },
    });
    await pods.patch(o.name, o.namespace, {
      type: "merge",
      subresource: "status",
      body: { status: { phase: "Running", podIP: o.address, podIPs: [{ ip: o.address }] } },
    });
  }

  async deletePod({ namespace, name }: { readonly namespace: string; readonly name: string }): Promise<void> {
    await this.of(RESOURCES.pods).delete(name, namespace, { gracePeriodSeconds: 0 });
  }

  /** `namespace/pod: status` of every AzureAssignedIdentity. */
  async assigned(): Promise<string[]> {
    const { items } = await this.of(RESOURCES.azureAssignedIdentities).list();
    return (items as unknown as AzureAssignedIdentity[])
      .map(({ metadata, spec, status }) => `${metadata.namespace}/${spec.pod}: ${status?.status}`)
      .sort();
  }

  /** `kind namespace/name: reason` of every condition that MIC writes. */
  async reasons(): Promise<string[]> {
    const told: string[] = [];
    for (const resource of [RESOURCES.pods, RESOURCES.azureIdentities, RESOURCES.azureIdentityBindings]) {
      for (const { metadata, ...object } of (await this.of(resource).list()).items) {
        const { conditions = [] } = (object["status"] ?? {}) as { conditions?: { type: string; reason?: string }[] };
        const ours = conditions.find(
          ({ type }) => type === READINESS_GATE || (type === "Ready" && resource.group !== ""),
        );
        if (ours !== undefined) told.push(`${resource.kind} ${metadata.namespace}/${metadata.name}: ${ours.reason}`);
      }
    }
    return told;
  }

  /** Whether something of that name is there. */
  async has(resource: Resource, name: string, namespace?: string): Promise<boolean> {
    try {
      await this.of(resource).get(name, namespace);
      return true;
    } catch (error) {
      if (KubeError.is(error, 404)) return false;
      throw error;
    }
  }

  /** What MIC and NMI asked for so far. */
  async audit(): Promise<AuditEvent[]> {
    return (await this.controlPlane.audit()) as AuditEvent[];
  }

  async close(): Promise<void> {
    await this.#transport.close();
    await this.controlPlane.close();
  }
}
