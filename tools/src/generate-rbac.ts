import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { renderChart } from "./chart.ts";
import type { Manifest } from "./chart.ts";
import { kubeClient } from "./kube-clients.ts";

const DEPLOY = join(import.meta.dirname, "../../deploy");

/** What `npm run chart:rbac` writes, from the chart with these values; kubectl users and the sandbox apply it. */
export const RBAC_FILES = [
  { path: join(DEPLOY, "rbac.yaml"), whose: "MIC and NMI", set: [] },
  { path: join(DEPLOY, "managed-mode-rbac.yaml"), whose: "NMI in managed mode", set: ["operationMode=managed"] },
] as const;
type RbacFile = (typeof RBAC_FILES)[number];

const KINDS: ReadonlySet<string> = new Set([
  "ServiceAccount",
  "ClusterRole",
  "ClusterRoleBinding",
  "Role",
  "RoleBinding",
]);
/** They say who has to look after an object, and Helm does not look after these. */
const LABELS_OF_HELM: ReadonlySet<string> = new Set(["app.kubernetes.io/managed-by", "helm.sh/chart"]);

/** The text of a file, as the chart would have it. */
export async function rbacYaml(helm: string, { whose, set }: RbacFile): Promise<string> {
  const header = `# ServiceAccounts and rights of ${whose} in the namespace kube-system, for installations without Helm.
# Made from charts/podid by \`npm run chart:rbac\`. Change it there.
`;
  const objects = await renderChart({ helm, namespace: "kube-system", set });
  return (
    header +
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
  const helm = await kubeClient("helm");
  for (const file of RBAC_FILES) {
    const wanted = await rbacYaml(helm, file);
    if (!process.argv.includes("--check")) await writeFile(file.path, wanted);
    else if ((await readFile(file.path, "utf8").catch(() => "")) !== wanted) {
      process.stderr.write(`${file.path} differs from what the chart renders; run: npm run chart:rbac\n`);
      process.exitCode = 1;
    }
  }
}
