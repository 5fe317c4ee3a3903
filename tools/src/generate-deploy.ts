import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { isHook, renderChart } from "./chart.ts";
import type { Manifest } from "./chart.ts";
import { crdFiles } from "./generate-crds.ts";
import { kubeClient } from "./kube-clients.ts";

const DEPLOY = join(import.meta.dirname, "../../deploy");

interface DeployFile {
  readonly path: string;
  /** The comment above; its first sentence says what it is. */
  readonly about: string;
  readonly namespace: string;
  readonly values?: Readonly<Record<string, unknown>>;
  readonly kinds?: ReadonlySet<string>;
  readonly without?: ReadonlySet<string>;
  /** What has to be there before: the CRDs and the namespace. */
  readonly complete?: true;
}

const RIGHTS = new Set(["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]);
const ROLES = new Set([...RIGHTS].filter((kind) => kind !== "ServiceAccount"));
const EXCEPTION = "AzurePodIdentityException";
const APART = new Set([EXCEPTION]);
const OWN_NAMESPACE = "podid";
const MANAGED = { operationMode: "managed" };

/** What `npm run chart:manifests` makes of the chart, for kubectl and the sandbox; the names are those that users of aad-pod-identity know. */
export const DEPLOY_FILES: readonly DeployFile[] = [
  {
    path: join(DEPLOY, "rbac.yaml"),
    about: "ServiceAccounts and rights of MIC and NMI in the namespace kube-system, as the sandbox has them.",
    namespace: "kube-system",
    kinds: RIGHTS,
  },
  {
    path: join(DEPLOY, "managed-mode-rbac.yaml"),
    about: "ServiceAccount and rights of NMI in managed mode in the namespace kube-system.",
    namespace: "kube-system",
    kinds: RIGHTS,
    values: MANAGED,
  },
  {
    path: join(DEPLOY, "deployment-rbac.yaml"),
    about: "podid in standard mode: CRDs, rights, MIC and NMI, in the namespace podid.",
    namespace: OWN_NAMESPACE,
    without: APART,
    complete: true,
  },
  {
    path: join(DEPLOY, "deployment.yaml"),
    about:
      "podid in standard mode without rights, for clusters without RBAC: CRDs, MIC and NMI, in the namespace podid.",
    namespace: OWN_NAMESPACE,
    without: new Set([...APART, ...ROLES]),
    complete: true,
  },
  {
    path: join(DEPLOY, "managed-mode-deployment.yaml"),
    about:
      "podid in managed mode: CRDs, rights and NMI, in the namespace podid. There is no MIC; attach identities yourself.",
    namespace: OWN_NAMESPACE,
    values: MANAGED,
    without: APART,
    complete: true,
  },
  {
    path: join(DEPLOY, "mic-exception.yaml"),
    about: "MIC, and in kube-system the pods that AKS manages, talk to the metadata service as the node does.",
    namespace: OWN_NAMESPACE,
    kinds: new Set([EXCEPTION]),
  },
];

/** They say who has to look after an object, and Helm does not look after these. */
const LABELS_OF_HELM: ReadonlySet<string> = new Set(["app.kubernetes.io/managed-by", "helm.sh/chart"]);

/** The text of a file, as the chart would have it. */
export async function deployYaml(helm: string, file: DeployFile): Promise<string> {
  const { about, namespace, values = {}, kinds, without, complete } = file;
  const objects = (await renderChart({ helm, namespace, values }))
    .filter((object) => !isHook(object))
    .filter(({ kind }) => (kinds?.has(kind) ?? true) && !without?.has(kind));
  return [
    `# ${about}\n# Made from charts/podid by \`npm run chart:manifests\`. Change it there.\n`,
    ...(complete === true ? [namespaceYaml(namespace), ...crdFiles().values()] : []),
    ...objects.map((object) => `---\n${stringify(withoutHelm(object), { lineWidth: 0 })}`),
  ].join("");
}

function namespaceYaml(name: string): string {
  // NMI uses the node's network and its paths, which the stricter standards forbid.
  const labels = { "pod-security.kubernetes.io/enforce": "privileged" };
  return `---\n${stringify({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels } })}`;
}

function withoutHelm({ apiVersion, kind, metadata, ...rest }: Manifest): object {
  const template = (rest["spec"] as { template?: { metadata?: { labels?: Record<string, string> } } } | undefined)
    ?.template;
  const own = (labels: Readonly<Record<string, string>> = {}): Record<string, string> =>
    Object.fromEntries(Object.entries(labels).filter(([label]) => !LABELS_OF_HELM.has(label)));
  if (template?.metadata?.labels !== undefined) template.metadata.labels = own(template.metadata.labels);
  return { apiVersion, kind, metadata: { ...metadata, labels: own(metadata.labels) }, ...rest };
}

if (import.meta.main) {
  const helm = await kubeClient("helm");
  for (const file of DEPLOY_FILES) {
    const wanted = await deployYaml(helm, file);
    if (!process.argv.includes("--check")) await writeFile(file.path, wanted);
    else if ((await readFile(file.path, "utf8").catch(() => "")) !== wanted) {
      process.stderr.write(`${file.path} differs from what the chart renders; run: npm run chart:manifests\n`);
      process.exitCode = 1;
    }
  }
}
