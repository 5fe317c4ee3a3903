import { ControlPlane, findAssets } from "@podid/kube-control-plane";
import { startKubeEmulator } from "@podid/kube-emulator";
import { describe, test } from "vitest";
import { federationScenarios } from "./federation.suite.ts";

/** As AKS makes them: with a path, and with a slash at the end. */
const MANAGED = "https://westeurope.oic.prod-aks.azure.com/22222222-2222-4222-8222-222222222222/cluster/";
const ISSUERS = [
  { title: "its own issuer", options: {} },
  { title: "an issuer as AKS has them", options: { issuer: MANAGED, jwksUri: `${MANAGED}openid/v1/jwks` } },
] as const;

for (const { title, options } of ISSUERS)
  federationScenarios(`the emulator, ${title}`, async () => {
    const emulator = await startKubeEmulator(options);
    const { url, caPem } = emulator;
    return {
      issuer: url,
      ...options,
      url,
      caPem,
      kubeconfig: emulator.kubeconfig(),
      guardsDiscovery: false,
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

for (const lane of assets === undefined ? [] : ISSUERS.map((issuer) => ({ ...issuer, assets }))) {
  federationScenarios(`kube-apiserver, ${lane.title}`, async () => {
    const server = await ControlPlane.start({ assets: lane.assets, ...lane.options });
    const { url, caPem } = server;
    return {
      issuer: url,
      ...lane.options,
      url,
      caPem,
      kubeconfig: server.kubeconfig(),
      guardsDiscovery: true,
      close: () => server.close(),
    };
  });
}
