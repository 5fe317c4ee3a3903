import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import type { AccountTokens } from "./account-tokens.ts";
import type { ApiServer } from "./api-server.ts";
import { cloudEnvironment, type CaFiles } from "./host-files.ts";
import type { SandboxPlan } from "./protocol.ts";
import type { ProcessPlan } from "./supervised-process.ts";
import { AZURE, FABRIC_ADDRESS, KUBE_PORT, type Topology } from "./topology.ts";

/** Namespace of MIC and NMI. */
export const SYSTEM_NAMESPACE = "kube-system";
const PROBE_PORT = 8080;

/** MIC's replicas and one NMI per node, with the arguments and environment that upstream's manifests give them. */
export async function planProcesses(o: {
  readonly topology: Topology;
  readonly plan: SandboxPlan;
  readonly api: ApiServer;
  readonly tokens: AccountTokens;
  readonly ca: CaFiles;
  readonly micSecret: string;
}): Promise<ProcessPlan[]> {
  const { topology, plan, ca } = o;
  const [micConfig, nmiConfig] = await Promise.all([kubeconfigOf(o, "podid-mic"), kubeconfigOf(o, "podid-nmi")]);
  const env = cloudEnvironment(process.env, ca);
  return [
    ...topology.mic.map((replica): ProcessPlan => ({
      name: replica.name,
      app: "mic",
      namespace: replica.namespace,
      command: [
        process.execPath,
        plan.bundles.mic,
        `--kubeconfig=${micConfig}`,
        `--http-probe-port=${PROBE_PORT}`,
        "--prometheus-port=8888",
        // Both replicas run on one host, whose name is the default.
        `--leader-election-instance=${replica.name}`,
        ...verbosity(plan),
        ...plan.args.mic,
      ],
      env: {
        ...env,
        HOSTNAME: replica.name,
        POD_NAME: replica.name,
        MIC_POD_NAMESPACE: SYSTEM_NAMESPACE,
        CLOUD: "AzurePublicCloud",
        TENANT_ID: AZURE.tenantId,
        CLIENT_ID: AZURE.micClientId,
        CLIENT_SECRET: o.micSecret,
        SUBSCRIPTION_ID: AZURE.subscriptionId,
        RESOURCE_GROUP: AZURE.nodeResourceGroup,
        VM_TYPE: topology.nodes.some((node) => node.kind === "virtualMachineScaleSet") ? "vmss" : "standard",
      },
      readyUrl: `http://${replica.address}:${PROBE_PORT}/readyz`,
    })),
    ...topology.nodes.map((node): ProcessPlan => ({
      name: `nmi-${node.name}`,
      app: "nmi",
      namespace: node.namespace,
      command: [
        process.execPath,
        plan.bundles.nmi,
        `--kubeconfig=${nmiConfig}`,
        `--node=${node.name}`,
        `--http-probe-port=${PROBE_PORT}`,
        `--MICNamespace=${SYSTEM_NAMESPACE}`,
        // There is no kubelet whose options could be looked at.
        "--allow-network-plugin-kubenet=true",
        ...verbosity(plan),
        ...plan.args.nmi,
      ],
      env: { ...env, NODE_NAME: node.name, HOST_IP: node.address, POD_NAMESPACE: SYSTEM_NAMESPACE },
      readyUrl: `http://${node.address}:${PROBE_PORT}/readyz`,
    })),
  ];
}

function verbosity(plan: SandboxPlan): string[] {
  return plan.verbose ? ["--v=2"] : [];
}

/** A kubeconfig of one of the ServiceAccounts of deploy/rbac.yaml; its token is in a file that is renewed. */
async function kubeconfigOf(
  o: { readonly api: ApiServer; readonly tokens: AccountTokens; readonly plan: SandboxPlan },
  account: string,
): Promise<string> {
  const config = parse(o.api.kubeconfig(`https://${FABRIC_ADDRESS}:${KUBE_PORT}`)) as { users: { user: object }[] };
  const tokenFile = await o.tokens.file(SYSTEM_NAMESPACE, account);
  const users = config.users.map((entry) => ({ ...entry, user: { tokenFile } }));
  const file = join(o.plan.directory, `${account}.kubeconfig`);
  writeFileSync(file, stringify({ ...config, users }), { mode: 0o600 });
  return file;
}
