import { afterEach, beforeEach, expect, test } from "vitest";
import { Wire } from "./contract/wire.ts";
import { startKubeEmulator } from "./emulator.ts";
import type { KubeEmulator } from "./emulator.ts";
import { at, listAt, textAt } from "./json.ts";

let emulator: KubeEmulator;
let wire: Wire;

beforeEach(async () => {
  emulator = await startKubeEmulator({
    namespaceDeletionDelayMs: 0,
    now: () => Date.parse("2026-03-04T05:06:07Z"),
    podLogs: async ({ name, container, tailLines }) =>
      (async function* () {
        yield `${name}/${container}\n`;
        yield `tail ${tailLines}\n`;
      })(),
  });
  wire = new Wire({
    url: emulator.url,
    ca: emulator.caPem,
    token: emulator.adminToken,
    complete: false,
    close: async () => {},
  });
});

afterEach(async () => {
  wire.close();
  await emulator.close();
});

test("time comes from the injected clock", async () => {
  const { body } = await wire.get("/api/v1/namespaces/default");
  expect(textAt(body, "metadata", "creationTimestamp")).toBe("2026-03-04T05:06:07Z");
});

test("a namespace comes with its ServiceAccount and CA, and goes with all that is in it", async () => {
  await wire.post("/api/v1/namespaces", { metadata: { name: "team" } });
  const ns = "/api/v1/namespaces/team";
  expect((await wire.get(`${ns}/serviceaccounts/default`)).status).toBe(200);
  expect(textAt((await wire.get(`${ns}/configmaps/kube-root-ca.crt`)).body, "data", "ca.crt")).toBe(emulator.caPem);
  await wire.post(`${ns}/configmaps`, { metadata: { name: "held", finalizers: ["example.com/x"] } });
  const watch = await wire.watch("/api/v1/namespaces?watch=1&fieldSelector=metadata.name=team");
  expect((await wire.delete(ns)).body).toMatchObject({ status: { phase: "Terminating" } });
  const refused = await wire.post(`${ns}/configmaps`, { metadata: { name: "late" } });
  expect(refused).toMatchObject({ status: 403, body: { details: { causes: [{ reason: "NamespaceTerminating" }] } } });
  await expect
    .poll(async () =>
      listAt((await wire.get(`${ns}/configmaps`)).body, "items").map((item) => textAt(item, "metadata", "name")),
    )
    .toEqual(["held"]);
  await wire.patch(`${ns}/configmaps/held`, "application/merge-patch+json", { metadata: { finalizers: null } });
  await watch.until("DELETED");
  expect((await wire.get(ns)).status).toBe(404);
});

test("owned objects go with their last owner; orphans stay; foreground waits", async () => {
  const maps = "/api/v1/namespaces/default/configmaps";
  const owners = new Map<string, object>();
  for (const name of ["one", "two", "three"]) {
    const { body } = await wire.post(maps, { metadata: { name } });
    owners.set(name, { apiVersion: "v1", kind: "ConfigMap", name, uid: textAt(body, "metadata", "uid") });
  }
  const owned = (name: string, by: string[], finalizers: string[] = []) =>
    wire.post(maps, { metadata: { name, finalizers, ownerReferences: by.map((owner) => owners.get(owner)) } });
  await owned("of-one", ["one"]);
  await owned("of-both", ["one", "two"]);
  await owned("of-three", ["three"], ["example.com/x"]);
  await wire.delete(`${maps}/one`);
  expect((await wire.get(`${maps}/of-one`)).status).toBe(404);
  expect(at((await wire.get(`${maps}/of-both`)).body, "metadata", "ownerReferences")).toEqual([owners.get("two")]);
  await wire.delete(`${maps}/two?propagationPolicy=Orphan`);
  expect(at((await wire.get(`${maps}/of-both`)).body, "metadata", "ownerReferences")).toBeUndefined();
  await wire.delete(`${maps}/three`, { propagationPolicy: "Foreground" });
  expect((await wire.get(`${maps}/three`)).body).toMatchObject({ metadata: { finalizers: ["foregroundDeletion"] } });
  await wire.patch(`${maps}/of-three`, "application/merge-patch+json", { metadata: { finalizers: null } });
  expect((await wire.get(`${maps}/three`)).status).toBe(404);
});

test("a definition is served at once and gone at once, with its objects", async () => {
  const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  const version = { name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } };
  const crd = {
    metadata: { name: "gadgets.example.com" },
    spec: { group: "example.com", scope: "Cluster", names: { plural: "gadgets", kind: "Gadget" }, versions: [version] },
  };
  expect(await wire.post(definitions, crd)).toMatchObject({
    status: 201,
    body: { status: { acceptedNames: { singular: "gadget", listKind: "GadgetList" } } },
  });
  expect(
    (
      await wire.post("/apis/example.com/v1/gadgets", {
        apiVersion: "example.com/v1",
        kind: "Gadget",
        metadata: { name: "g" },
      })
    ).status,
  ).toBe(201);
  await wire.delete(`${definitions}/gadgets.example.com`);
  expect((await wire.get("/apis/example.com/v1/gadgets")).status).toBe(404);
  await wire.post(definitions, crd);
  expect((await wire.get("/apis/example.com/v1/gadgets")).body).toMatchObject({ items: [] });
});

test("an issuer of its own, and where its keys are", async () => {
  const issuer = "https://oidc.example/cluster/";
  const jwksUri = `${issuer}openid/v1/jwks`;
  const other = await startKubeEmulator({ issuer, jwksUri });
  const token = await other.serviceAccountToken("default", "app");
  const asker = new Wire({ url: other.url, ca: other.caPem, token, complete: false, close: () => other.close() });
  expect((await asker.get("/.well-known/openid-configuration")).body).toMatchObject({ issuer, jwks_uri: jwksUri });
  // The emulator takes tokens of that issuer only.
  expect((await asker.get("/api/v1/nodes")).status).toBe(200);
  const own = await emulator.serviceAccountToken("default", "app");
  expect((await asker.get("/api/v1/nodes", { authorization: `Bearer ${own}` })).status).toBe(401);
  asker.close();
  await other.close();
});

test("logs come from whoever runs the pods", async () => {
  const pods = "/api/v1/namespaces/default/pods";
  await wire.post(pods, {
    metadata: { name: "p" },
    spec: {
      containers: [
        { name: "a", image: "x" },
        { name: "b", image: "x" },
      ],
    },
  });
  const before = await wire.get(`${pods}/p/log?container=a`);
  expect(before).toMatchObject({ status: 400, body: { message: "pod p does not have a host assigned" } });
  await wire.post(`${pods}/p/binding`, { metadata: { name: "p" }, target: { name: "n" } });
  const unnamed = await wire.get(`${pods}/p/log`);
  expect(unnamed).toMatchObject({
    status: 400,
    body: { message: "a container name must be specified for pod p, choose one of: [a b]" },
  });
  expect((await wire.get(`${pods}/p/log?container=b&tailLines=3`)).text).toBe("p/b\ntail 3\n");
});

test("of a hundred watches on nodes only the one that is concerned hears of a pod", async () => {
  const pods = "/api/v1/namespaces/default/pods";
  const watches = await Promise.all(
    Array.from({ length: 100 }, (_, node) => wire.watch(`/api/v1/pods?watch=1&fieldSelector=spec.nodeName=n${node}`)),
  );
  await wire.post(pods, { metadata: { name: "p" }, spec: { containers: [{ name: "a", image: "x" }] } });
  await wire.post(`${pods}/p/binding`, { metadata: { name: "p" }, target: { name: "n42" } });
  expect(await watches[42]?.names(1)).toEqual(["ADDED p"]);
  expect(emulator.audit.find({ verb: "watch" }).filter((entry) => entry.events > 0)).toHaveLength(1);
});
