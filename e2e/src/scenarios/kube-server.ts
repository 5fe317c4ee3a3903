import { CUSTOM_RESOURCE_DEFINITIONS } from "@podid/crd-types";
import { requestServiceAccountToken, ResourceClient, RESOURCES, transportFromKubeConfig } from "@podid/kube";
import type { KubeObject } from "@podid/kube";
import { parseKubeConfig } from "@podid/kube/kubeconfig";
import { ControlPlane, findAssets } from "@podid/kube-control-plane";
import type { Assets } from "@podid/kube-control-plane";
import { startKubeEmulator } from "@podid/kube-emulator";
import type { Faults } from "@podid/kube-emulator";
import { createRendered, MIC, renderedRbac } from "../rights-cluster.ts";
import { serviceAccountUser } from "../rights.ts";
import type { AuditEvent } from "../rights.ts";
import { until } from "../until.ts";

/** A request of MIC to the API server. */
export interface MicRequest {
  readonly verb: string;
  readonly resource: string;
  readonly name: string;
  readonly namespace: string;
  readonly userAgent: string;
  /** Milliseconds since the epoch. */
  readonly time: number;
}

/** An API server with podid's CRDs and MIC's ServiceAccount, emulated or real. */
export interface KubeServer {
  readonly port: number;
  /** Of an administrator. */
  readonly kubeconfig: string;
  /** Only the emulator can refuse and stall on purpose. */
  readonly faults?: Faults;
  /** Of MIC's ServiceAccount, for the server under that URL. */
  micKubeconfig(url: string): Promise<string>;
  /** Every request of MIC so far, oldest first. */
  micRequests(): Promise<readonly MicRequest[]>;
  close(): Promise<void>;
}

/** Namespaces that scenarios speak of, besides MIC's own. */
export const NAMESPACES = ["default", "default2", "ns1", "ns2"] as const;

export async function startEmulator(): Promise<KubeServer> {
  const emulator = await startKubeEmulator({ crds: CUSTOM_RESOURCE_DEFINITIONS });
  const token = await emulator.serviceAccountToken(MIC.namespace, MIC.name);
  const transport = transportFromKubeConfig(parseKubeConfig(emulator.kubeconfig()));
  for (const name of NAMESPACES)
    if (name !== "default") await new ResourceClient(transport, RESOURCES.namespaces).create({ metadata: { name } });
  await transport.close();
  return {
    port: emulator.port,
    kubeconfig: emulator.kubeconfig(),
    faults: emulator.faults,
    micKubeconfig: (url) => Promise.resolve(emulator.kubeconfig(url).replaceAll(emulator.adminToken, token)),
    micRequests: () => Promise.resolve(emulator.audit.find({ user: serviceAccountUser(MIC) })),
    close: () => emulator.close(),
  };
}

/** With the chart's own rights: what they do not grant MIC fails here. */
export async function startControlPlane(assets: Assets): Promise<KubeServer> {
  const controlPlane = await ControlPlane.start({
    assets,
    auditPolicy: JSON.stringify({
      apiVersion: "audit.k8s.io/v1",
      kind: "Policy",
      omitStages: ["RequestReceived"],
      rules: [{ level: "Metadata", users: [serviceAccountUser(MIC)] }, { level: "None" }],
    }),
  });
  const transport = transportFromKubeConfig(parseKubeConfig(controlPlane.kubeconfig()));
  const of = (resource: (typeof RESOURCES)[keyof typeof RESOURCES]): ResourceClient =>
    new ResourceClient(transport, resource);
  for (const definition of CUSTOM_RESOURCE_DEFINITIONS)
    await of(RESOURCES.customResourceDefinitions).create(definition as unknown as KubeObject);
  await createRendered(transport, renderedRbac());
  for (const name of NAMESPACES) {
    if (name !== "default") await of(RESOURCES.namespaces).create({ metadata: { name } });
    // There is no controller-manager to make it, and pods are refused without.
    await of(RESOURCES.serviceAccounts).create({ metadata: { name: "default", namespace: name } });
  }
  await until("the custom resources are served", async () => {
    await of(RESOURCES.azureAssignedIdentities).list();
    return true;
  });
  const { token } = await requestServiceAccountToken(transport, {
    namespace: MIC.namespace,
    serviceAccount: MIC.name,
    audience: controlPlane.url,
    expirationSeconds: 24 * 3600,
  });
  await transport.close();
  return {
    port: controlPlane.port,
    kubeconfig: controlPlane.kubeconfig(),
    micKubeconfig: (url) => Promise.resolve(controlPlane.kubeconfig(url, token)),
    micRequests: async () => ((await controlPlane.audit()) as AuditLine[]).map(micRequest),
    close: () => controlPlane.close(),
  };
}

type AuditLine = AuditEvent & { readonly userAgent?: string; readonly requestReceivedTimestamp: string };

function micRequest({ verb, objectRef, userAgent = "", requestReceivedTimestamp }: AuditLine): MicRequest {
  const { resource = "", name = "", namespace = "" } = objectRef ?? {};
  return { verb, resource, name, namespace, userAgent, time: Date.parse(requestReceivedTimestamp) };
}

/** The servers of this run: those that there are, and those that the machine cannot have, with the reason. */
export async function kubeServers(env: NodeJS.ProcessEnv): Promise<{
  readonly present: readonly { readonly title: string; readonly start: () => Promise<KubeServer> }[];
  readonly absent: readonly { readonly title: string; readonly reason: string }[];
}> {
  const { PODID_API_SERVER: only = "" } = env;
  const wanted = (name: string): boolean => only === "" || only === name;
  const assets = await findAssets(env);
  const title = "kube-apiserver";
  const start = assets && ((): Promise<KubeServer> => startControlPlane(assets));
  const reason = "KUBEBUILDER_ASSETS is not set; `npm run kube:build` prints what to set it to";
  return {
    present: [
      ...(wanted("emulator") ? [{ title: "the emulator", start: startEmulator }] : []),
      ...(wanted("real") && start !== undefined ? [{ title, start }] : []),
    ],
    absent: wanted("real") && start === undefined ? [{ title, reason }] : [],
  };
}
