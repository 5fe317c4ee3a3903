import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  KubeError,
  requestServiceAccountToken,
  ResourceClient,
  resourcePath,
  RESOURCES,
  transportFromKubeConfig,
} from "@podid/kube";
import type { KubeObject, KubeTransport, Resource } from "@podid/kube";
import { parseKubeConfig } from "@podid/kube/kubeconfig";
import { ControlPlane } from "@podid/kube-control-plane";
import type { Assets } from "@podid/kube-control-plane";
import { until } from "../until.ts";

export const CHART = join(import.meta.dirname, "../../../charts/podid");
export const NAMESPACE = "podid";

const resource = (group: string, version: string, plural: string, kind: string, namespaced = true): Resource => ({
  group,
  version,
  plural,
  kind,
  namespaced,
});
export const JOBS = resource("batch", "v1", "jobs", "Job");

/** Every kind that the chart renders, to look for what it leaves behind. */
const KINDS: readonly Resource[] = [
  RESOURCES.configMaps,
  RESOURCES.secrets,
  RESOURCES.serviceAccounts,
  RESOURCES.pods,
  RESOURCES.daemonSets,
  RESOURCES.azureIdentities,
  RESOURCES.azureIdentityBindings,
  RESOURCES.azureAssignedIdentities,
  RESOURCES.azurePodIdentityExceptions,
  JOBS,
  resource("apps", "v1", "deployments", "Deployment"),
  resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"),
  resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
  resource("rbac.authorization.k8s.io", "v1", "roles", "Role"),
  resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding"),
  resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", false),
  resource("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", false),
  resource("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", false),
  resource(
    "admissionregistration.k8s.io",
    "v1",
    "validatingadmissionpolicybindings",
    "ValidatingAdmissionPolicyBinding",
    false,
  ),
];

export interface HelmResult {
  readonly code: number;
  readonly output: string;
}

/** A real API server that a real helm talks to. */
export class HelmCluster {
  readonly #controlPlane: ControlPlane;
  readonly #transport: KubeTransport;
  readonly #kubeconfig: string;

  private constructor(controlPlane: ControlPlane, kubeconfig: string) {
    this.#controlPlane = controlPlane;
    this.#kubeconfig = kubeconfig;
    this.#transport = transportFromKubeConfig(parseKubeConfig(controlPlane.kubeconfig()));
  }

  static async start(assets: Assets): Promise<HelmCluster> {
    const controlPlane = await ControlPlane.start({ assets, apiServerFlags: ["--allow-privileged=true"] });
    const kubeconfig = join(controlPlane.directory, "admin.kubeconfig");
    await writeFile(kubeconfig, controlPlane.kubeconfig(), { mode: 0o600 });
    return new HelmCluster(controlPlane, kubeconfig);
  }

  /** For clients: their configuration and caches are the control plane's, not the user's. */
  get environment(): Record<string, string> {
    return { PATH: process.env["PATH"] ?? "", HOME: this.#controlPlane.directory, KUBECONFIG: this.#kubeconfig };
  }

  /** What kube-controller-manager does when a namespace is empty. */
  async finalizeNamespace(name: string): Promise<void> {
    const { metadata } = await this.of(RESOURCES.namespaces).get(name);
    await this.#transport.request({
      method: "PUT",
      path: `${resourcePath(RESOURCES.namespaces, { name })}/finalize`,
      body: { apiVersion: "v1", kind: "Namespace", metadata, spec: { finalizers: [] } },
    });
  }

  /** Runs helm with this cluster. */
  async helm(path: string, ...args: readonly string[]): Promise<HelmResult> {
    return promisify(execFile)(path, args, { env: this.environment, maxBuffer: 2 ** 26 }).then(
      ({ stdout, stderr }) => ({ code: 0, output: stdout + stderr }),
      (error: { readonly code?: number; readonly stdout?: string; readonly stderr?: string }) => ({
        code: error.code ?? 1,
        output: `${error.stdout ?? ""}${error.stderr ?? ""}`,
      }),
    );
  }

  of(kind: Resource): ResourceClient {
    return new ResourceClient(this.#transport, kind);
  }

  /** A connection with the rights of a ServiceAccount of the release. */
  async as(name: string, namespace = NAMESPACE): Promise<KubeTransport> {
    const token = await this.tokenOf(name, namespace);
    return transportFromKubeConfig(parseKubeConfig(this.#controlPlane.kubeconfig(this.#controlPlane.url, token)));
  }

  async tokenOf(serviceAccount: string, namespace = NAMESPACE): Promise<string> {
    const { token } = await requestServiceAccountToken(this.#transport, {
      namespace,
      serviceAccount,
      audience: this.#controlPlane.url,
      expirationSeconds: 3600,
    });
    return token;
  }

  /** For programs that are no client of this one: where it is, and the file of the certificate that says so. */
  async address(): Promise<{ readonly url: string; readonly caFile: string }> {
    const caFile = join(this.#controlPlane.directory, "ca-for-programs.pem");
    await writeFile(caFile, this.#controlPlane.caPem);
    return { url: this.#controlPlane.url, caFile };
  }

  async find(kind: Resource, name: string, namespace?: string): Promise<KubeObject | undefined> {
    try {
      return await this.of(kind).get(name, namespace);
    } catch (error) {
      if (KubeError.is(error, 404)) return undefined;
      throw error;
    }
  }

  /** `Kind namespace/name` of everything that bears the release's label. */
  async objectsOf(release: string): Promise<string[]> {
    const found = await Promise.all(
      KINDS.map(async (kind) => {
        const { items } = await until(`${kind.plural} are listed`, () =>
          this.of(kind)
            .list({ labelSelector: `app.kubernetes.io/instance=${release}` })
            .catch((error: unknown) => {
              // The CRDs may not be there yet.
              if (KubeError.is(error, 404)) return { items: [] };
              throw error;
            }),
        );
        return items.map(({ metadata: { namespace = "", name } }) => `${kind.kind} ${namespace}/${name}`);
      }),
    );
    return found.flat().sort();
  }

  async close(): Promise<void> {
    await this.#transport.close();
    await this.#controlPlane.close();
  }
}
