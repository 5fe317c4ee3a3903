import {
  CoreV1Api,
  CoordinationV1Api,
  CustomObjectsApi,
  KubeConfig,
  V1MicroTime,
  Watch,
} from "@kubernetes/client-node";
import { expect, test } from "vitest";
import { startKubeEmulator } from "./emulator.ts";

const CRD = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "gadgets.example.com" },
  spec: {
    group: "example.com",
    scope: "Namespaced",
    names: { plural: "gadgets", kind: "Gadget" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      },
    ],
  },
};

test("the official client works against it unmodified", async () => {
  const emulator = await startKubeEmulator({ crds: [CRD] });
  const config = new KubeConfig();
  config.loadFromString(emulator.kubeconfig());
  const core = config.makeApiClient(CoreV1Api);
  const namespace = "default";

  const pod = await core.createNamespacedPod({
    namespace,
    body: { metadata: { name: "p" }, spec: { containers: [{ name: "c", image: "x" }] } },
  });
  expect(pod.metadata?.creationTimestamp).toBeInstanceOf(Date);
  expect((await core.listNamespacedPod({ namespace, limit: 1 })).items[0]?.metadata?.name).toBe("p");
  await expect(core.readNamespacedPod({ namespace, name: "none" })).rejects.toMatchObject({ code: 404 });
  const token = await core.createNamespacedServiceAccountToken({
    namespace,
    name: "default",
    body: { spec: { audiences: ["a"] } },
  });
  expect(token.status?.token?.split(".")).toHaveLength(3);

  const leases = config.makeApiClient(CoordinationV1Api);
  const lease = await leases.createNamespacedLease({
    namespace,
    body: { metadata: { name: "l" }, spec: { holderIdentity: "a", renewTime: new V1MicroTime() } },
  });
  expect((await leases.replaceNamespacedLease({ namespace, name: "l", body: lease })).spec?.holderIdentity).toBe("a");

  const custom = config.makeApiClient(CustomObjectsApi);
  const gadgets = { group: "example.com", version: "v1", namespace, plural: "gadgets" };
  const seen = Promise.withResolvers<string>();
  const watch = await new Watch(config).watch(
    "/apis/example.com/v1/gadgets",
    {},
    (type: string, object: { metadata: { name: string } }) => seen.resolve(`${type} ${object.metadata.name}`),
    () => {},
  );
  await custom.createNamespacedCustomObject({
    ...gadgets,
    body: { apiVersion: "example.com/v1", kind: "Gadget", metadata: { name: "g" } },
  });
  expect(await seen.promise).toBe("ADDED g");
  watch.abort();
  await emulator.close();
});
