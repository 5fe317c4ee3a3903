import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { renderChart } from "./chart.ts";
import type { Manifest } from "./chart.ts";
import { kubeClient } from "./kube-clients.ts";

/** `npm run chart:rbac`: deploy/rbac.yaml, which kubectl users and the sandbox apply, from the chart. */
export const RBAC_FILE = join(import.meta.dirname, "../../deploy/rbac.yaml");

const HEADER = `# ServiceAccounts and rights of MIC and NMI in the namespace kube-system, for installations without Helm.
# Made from charts/podid by \`npm run chart:rbac\`. Change it there.
`;
const KINDS: ReadonlySet<string> = new Set([
  "ServiceAccount",
  "ClusterRole",
  "ClusterRoleBinding",
  "Role",
  "RoleBinding",
]);
/** They say who has to look after an object, and Helm does not look after these. */
const LABELS_OF_HELM: ReadonlySet<string> = new Set(["app.kubernetes.io/managed-by", "helm.sh/chart"]);

/** The text of deploy/rbac.yaml, as the chart would have it. */
export async function rbacYaml(helm: string): Promise<string> {
  const objects = await renderChart({ helm, namespace: "kube-system" });
  return (
    HEADER +
    objects
      .filter(({ kind }) => KINDS.has(kind))
      .map(document)
      .join("")
  );
}

function document({ metadata, ...object }: Manifest): string {
  const labels = Object.fromEntries(
    Object.entries(metadata.labels ?? {}).filter(([label]) => !LABELS_OF_HELM.has(label)),
  );
  const { apiVersion, kind, ...rest } = object;
  return `---\n${stringify({ apiVersion, kind, metadata: { ...metadata, labels }, ...rest })}`;
}

if (import.meta.main) {
  const wanted = await rbacYaml(await kubeClient("helm"));
  if (!process.argv.includes("--check")) await writeFile(RBAC_FILE, wanted);
  else if ((await readFile(RBAC_FILE, "utf8")) !== wanted) {
    process.stderr.write("deploy/rbac.yaml differs from what the chart renders; run: npm run chart:rbac\n");
    process.exitCode = 1;
  }
}
