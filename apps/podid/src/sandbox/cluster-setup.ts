import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  KubeError,
  Reflector,
  ResourceClient,
  RESOURCES,
  WorkQueue,
  type KubeObject,
  type KubeTransport,
} from "@podid/kube";
import { parseAllDocuments } from "yaml";

/** ServiceAccounts and rights of MIC and NMI, as the chart renders them. */
const RBAC = join(import.meta.dirname, "../../../../deploy/rbac.yaml");
const NAMESPACED = new Set(["ServiceAccount", "Role", "RoleBinding"]);

/** Creates what deploy/rbac.yaml holds, its ServiceAccounts first. */
export async function applyRights(transport: KubeTransport): Promise<void> {
  const objects = parseAllDocuments(readFileSync(RBAC, "utf8")).map((document) => document.toJS() as KubeObject);
  await Promise.all(objects.map((object) => create(transport, object)));
}

async function create(transport: KubeTransport, object: KubeObject): Promise<void> {
  const { apiVersion = "", kind = "" } = object;
  const [group, version] = apiVersion.includes("/") ? apiVersion.split("/") : ["", apiVersion];
  const client = new ResourceClient(transport, {
    group: group ?? "",
    version: version ?? "",
    plural: `${kind.toLowerCase()}s`,
    kind,
    namespaced: NAMESPACED.has(kind),
  });
  await client.create(object).catch(unlessThere);
}

/**
 * Does the one thing of kube-controller-manager's that pods cannot do without: each namespace gets its ServiceAccount
 * `default`. Resolves when those namespaces have theirs that every cluster has.
 */
export async function provideServiceAccounts(transport: KubeTransport): Promise<void> {
  const accounts = new ResourceClient(transport, RESOURCES.serviceAccounts);
  const awaited = new Map(["default", "kube-system"].map((name) => [name, Promise.withResolvers<void>()]));
  const queue = new WorkQueue({
    concurrency: 4,
    handler: async (namespace) => {
      await accounts.create({ metadata: { name: "default", namespace } }).catch(unlessThere);
      awaited.get(namespace)?.resolve();
    },
    baseDelayMs: 100,
    maxDelayMs: 10_000,
  });
  const namespaces = new Reflector({
    transport,
    resource: RESOURCES.namespaces,
    project: ({ metadata }) => (metadata.deletionTimestamp === undefined ? metadata.name : undefined),
  });
  namespaces.subscribe({ upsert: (name) => queue.add(name), delete: (name) => queue.forget(name) });
  queue.start();
  namespaces.start();
  await Promise.all([...awaited.values()].map(({ promise }) => promise));
}

function unlessThere(error: unknown): void {
  if (!(error instanceof KubeError && error.status === 409)) throw error;
}
