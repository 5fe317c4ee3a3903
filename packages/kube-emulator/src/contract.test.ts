import { ControlPlane, findAssets } from "@podid/kube-control-plane";
import { describe, test } from "vitest";
import { kubernetesContract } from "./contract.suite.ts";
import { startKubeEmulator } from "./emulator.ts";

kubernetesContract("the emulator", async () => {
  const emulator = await startKubeEmulator();
  return {
    url: emulator.url,
    ca: emulator.caPem,
    token: emulator.adminToken,
    compact: async () => emulator.faults.compact(),
    sendBookmarks: async () => emulator.faults.sendBookmarks(),
    complete: false,
    close: () => emulator.close(),
  };
});

const assets = await findAssets(process.env);

for (const lane of assets === undefined ? ["kube-apiserver"] : []) {
  describe(lane, () => {
    // oxlint-disable-next-line vitest/no-disabled-tests -- counted as skipped, so that nobody takes it for passed
    test.skip("needs KUBEBUILDER_ASSETS with kube-apiserver and etcd", () => {});
  });
}

for (const found of assets === undefined ? [] : [assets]) {
  kubernetesContract("kube-apiserver", async () => {
    const server = await ControlPlane.start({ assets: found });
    return {
      url: server.url,
      ca: server.caPem,
      token: server.adminToken,
      complete: true,
      close: () => server.close(),
    };
  });
}
