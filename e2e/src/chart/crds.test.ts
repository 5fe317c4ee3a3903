import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { findAssets } from "@podid/kube-control-plane";
import { helms } from "@podid/tools/helms";
import { findKubeClient } from "@podid/tools/kube-clients";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FORMER_CHART } from "../way-over/former-mic.ts";
import { CHART, HelmCluster, NAMESPACE } from "./helm-cluster.ts";

const assets = await findAssets(process.env);
const kubectl = findKubeClient("kubectl");
const can = assets !== undefined && kubectl !== undefined;
const why = can ? "" : ": skipped, KUBEBUILDER_ASSETS and kubectl are needed";

/** As aad-pod-identity's manifests left them, for kubectl made these. */
describe.skipIf(!can)(`on a cluster with CRDs that Helm did not make${why}`, () => {
  let cluster: HelmCluster;
  beforeAll(async () => {
    if (assets === undefined || kubectl === undefined) return;
    cluster = await HelmCluster.start(assets);
    const args = ["apply", "--filename", join(FORMER_CHART, "crds")];
    await promisify(execFile)(kubectl, args, { env: cluster.environment });
  });
  afterAll(() => cluster?.close());

  test.for(helms().filter(({ path }) => path !== undefined))("docs/install.md is right about $name", async (helm) => {
    const install = (...more: readonly string[]): Promise<{ code: number; output: string }> =>
      cluster.helm(helm.path!, "install", "podid", CHART, "--namespace", NAMESPACE, "--create-namespace", ...more);
    const uninstall = (): Promise<unknown> =>
      cluster.helm(helm.path!, "uninstall", "podid", "--namespace", NAMESPACE, "--no-hooks");
    const { code, output } = await install();
    if (helm.name === "helm 4") {
      expect([code, output]).toEqual([1, expect.stringMatching(/failed to install CRD .* conflict with "kubectl/)]);
      await uninstall();
      expect(await install("--skip-crds")).toMatchObject({ code: 0 });
    } else expect(code).toBe(0);
    await uninstall();
  });
});
