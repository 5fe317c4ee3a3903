import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { RESOURCES } from "@podid/kube";
import { findAssets } from "@podid/kube-control-plane";
import { findKubeClient } from "@podid/tools/kube-clients";
import { parse, stringify } from "yaml";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { doDrain } from "../chart/drain-job.ts";
import { HelmCluster } from "../chart/helm-cluster.ts";
import { until } from "../until.ts";
import { FORMER_CHART } from "./former-mic.ts";
import { clientIdOf, identityId } from "./former-objects.ts";

const ROOT = join(import.meta.dirname, "../../..");
const assets = await findAssets(process.env);
const [helm, kubectl] = [findKubeClient("helm"), findKubeClient("kubectl")];
const can = assets !== undefined && helm !== undefined && kubectl !== undefined;
const why = can ? "" : ": skipped, KUBEBUILDER_ASSETS, helm and kubectl are needed";

const page = await readFile(join(ROOT, "docs/migrate-from-aad-pod-identity.md"), "utf8");
const blocks = [...page.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block]) => block ?? "");

describe.skipIf(!can)(`docs/migrate-from-aad-pod-identity.md, as it stands, on a real API server${why}`, () => {
  let cluster: HelmCluster;
  let directory: string;
  const run = async (block: string): Promise<string> => {
    const path = [dirname(helm ?? ""), dirname(kubectl ?? ""), process.env["PATH"]].join(":");
    const { stdout } = await promisify(execFile)("bash", ["-euo", "pipefail", "-c", block], {
      cwd: directory,
      env: { ...cluster.environment, PATH: path },
    });
    return stdout;
  };

  beforeAll(async () => {
    if (assets === undefined) return;
    directory = await mkdtemp(join(tmpdir(), "podid-migrate-"));
    await symlink(join(ROOT, "charts"), join(directory, "charts"));
    cluster = await HelmCluster.start(assets);
    await until("the namespace is there", () => cluster.of(RESOURCES.namespaces).get("kube-system"));
    await run(`helm install aad-pod-identity '${FORMER_CHART}' --namespace kube-system`);
    for (const block of blocks.slice(0, 2)) await run(block.replaceAll("values.yaml", "none.yaml"));
    await run("helm uninstall aad-pod-identity --namespace kube-system");
    const values = {
      azureIdentities: {
        demo: {
          type: 0,
          resourceID: identityId("demo"),
          clientID: clientIdOf("demo"),
          binding: { name: "demo-binding", selector: "demo" },
        },
      },
    };
    const file = join(directory, "old.yaml");
    await writeFile(file, stringify(values));
    await run(`helm install aad-pod-identity '${FORMER_CHART}' --namespace kube-system --values '${file}'`);
    await cluster.of(RESOURCES.azureIdentities).create({
      metadata: { name: "mirrored", namespace: "kube-system" },
      spec: { type: 0, clientPassword: { name: "password", namespace: "team-a" } },
    });
  });
  afterAll(async () => {
    await cluster?.close();
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  });

  test("has its chapters", () => {
    expect(blocks.map((block) => block.split(" ").slice(0, 2).join(" "))).toEqual([
      "helm get",
      "echo 'nameOverride:",
      "kubectl get",
      "helm upgrade",
      "helm upgrade",
      "helm show",
      "helm rollback",
      "helm uninstall",
    ]);
  });

  test("who had set no values gets a file that Helm reads", async () => {
    expect(parse(await readFile(join(directory, "none.yaml"), "utf8"))).toEqual({ nameOverride: "aad-pod-identity" });
  });

  const chartOf = async (): Promise<string | undefined> =>
    (await cluster.of(RESOURCES.daemonSets).get("aad-pod-identity-nmi", "kube-system")).metadata.labels?.[
      "helm.sh/chart"
    ];

  // One after the other: each goes on from what the one before left.
  test.for(blocks.map((block) => ({ first: block.split("\n", 1)[0]!.slice(0, 70), block })))(
    "$first",
    async ({ block }) => {
      if (block.startsWith("helm uninstall")) {
        // Rolled back on the way: over once more, for aad-pod-identity had no such thing.
        await run("helm upgrade aad-pod-identity charts/podid --namespace kube-system --values values.yaml");
        const done = run(block);
        await doDrain(cluster, undefined, { name: "aad-pod-identity-drain", namespace: "kube-system" });
        await done;
        expect(await cluster.objectsOf("aad-pod-identity")).toEqual([]);
        return;
      }
      const said = await run(block);
      if (block.startsWith("kubectl get azureidentities")) expect(said).toBe("team-a\tpassword\n");
      if (block.startsWith("helm upgrade"))
        expect(await chartOf()).toMatch(block.includes("dry-run") ? /^aad-pod-identity-/ : /^podid-/);
      if (block.startsWith("helm rollback")) expect(await chartOf()).toMatch(/^aad-pod-identity-/);
    },
  );
});
