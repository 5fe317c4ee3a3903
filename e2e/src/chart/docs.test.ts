import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { RESOURCES } from "@podid/kube";
import { findAssets } from "@podid/kube-control-plane";
import { findKubeClient } from "@podid/tools/kube-clients";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../until.ts";
import { doDrain } from "./drain-job.ts";
import { HelmCluster, NAMESPACE } from "./helm-cluster.ts";

const ROOT = join(import.meta.dirname, "../../..");
const assets = await findAssets(process.env);
const [helm, kubectl] = [findKubeClient("helm"), findKubeClient("kubectl")];
const can = assets !== undefined && helm !== undefined && kubectl !== undefined;
const why = can
  ? ""
  : ": skipped, KUBEBUILDER_ASSETS, helm and kubectl are needed; `npm run kube:build`, `npm run kube:clients`";

/** The ```sh blocks of a page, in their order; those that need Azure are marked `sh needs-azure` and left out. */
async function blocks(page: string): Promise<string[]> {
  const text = await readFile(join(ROOT, page), "utf8");
  return [...text.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block]) => block ?? "");
}

const install = await blocks("docs/install.md");

describe.skipIf(!can)(`docs/install.md, as it stands, on a real API server${why}`, () => {
  let cluster: HelmCluster;
  beforeAll(async () => {
    if (assets !== undefined) cluster = await HelmCluster.start(assets);
  });
  afterAll(() => cluster?.close());

  const run = (block: string): Promise<string> => {
    const path = [dirname(helm ?? ""), dirname(kubectl ?? ""), process.env["PATH"]].join(":");
    return promisify(execFile)("bash", ["-euo", "pipefail", "-c", block], {
      cwd: ROOT,
      env: { ...cluster.environment, PATH: path },
    }).then(({ stdout }) => stdout);
  };

  test("has its chapters", () => {
    expect(install.map((block) => block.split(" ").slice(0, 2).join(" "))).toEqual([
      "helm install",
      "kubectl label",
      "helm upgrade",
      "helm show",
      "helm rollback",
      "helm uninstall",
      "kubectl delete",
    ]);
  });

  // One after the other: each goes on from what the one before left.
  test.for(install.map((block) => ({ first: block.split("\n", 1)[0]!.slice(0, 60), block })))(
    "$first",
    async ({ block }) => {
      const done = run(block);
      if (block.startsWith("helm uninstall")) await doDrain(cluster);
      // There is no controller that empties a namespace.
      if (block.startsWith("kubectl delete namespace")) {
        await until("the namespace is being deleted", async () => {
          const namespace = await cluster.find(RESOURCES.namespaces, NAMESPACE);
          return namespace?.metadata.deletionTimestamp !== undefined;
        });
        await cluster.finalizeNamespace(NAMESPACE);
      }
      await done;
    },
  );

  test("in the end nothing is left", async () => {
    expect(await cluster.objectsOf("podid")).toEqual([]);
    expect(await cluster.find(RESOURCES.namespaces, NAMESPACE)).toBeUndefined();
    const { items } = await cluster.of(RESOURCES.customResourceDefinitions).list();
    expect(items).toEqual([]);
  });
});

test("README and docs name no chart command that is not one of docs/install.md or marked", async () => {
  const known = new Set(install.flatMap((block) => block.split("\n")).map((line) => line.trim()));
  const pages = ["README.md", "charts/podid/README.md"];
  const lines = (await Promise.all(pages.map(blocks))).flat().flatMap((block) => block.split("\n"));
  const unknown = lines.map((line) => line.trim()).filter((line) => line.startsWith("helm ") && !known.has(line));
  expect(unknown).toEqual([]);
});
