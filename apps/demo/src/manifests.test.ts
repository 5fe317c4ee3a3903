import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseIdentityResourceId, validateBinding, validateIdentity } from "@podid/crd-types";
import { bindingRecord, identityRecord, match, podRecord } from "@podid/matcher";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { parseOptions } from "./flags.ts";

const FOLDER = join(import.meta.dirname, "../../../deploy/demo");

interface Pod {
  metadata: { name: string };
  spec: { containers: { image: string; args: string[] }[] };
}

async function manifest(name: string): Promise<object> {
  return parse(await readFile(join(FOLDER, `${name}.yaml`), "utf8")) as object;
}

test("the folder holds the three manifests and nothing else that kubectl would apply", async () => {
  const files = (await readdir(FOLDER)).filter((file) => file.endsWith(".yaml")).toSorted();
  expect(files).toEqual(["aadpodidentity.yaml", "aadpodidentitybinding.yaml", "pod.yaml"]);
});

test("identity and binding are valid", async () => {
  expect(validateIdentity(await manifest("aadpodidentity"))).toMatchObject({ ok: true });
  expect(validateBinding(await manifest("aadpodidentitybinding"))).toMatchObject({ ok: true });
});

test("together they give the pod the identity", async () => {
  const stored = (object: object, more: object): object => {
    const { metadata, ...rest } = object as { metadata: object };
    return { ...rest, ...more, metadata: { namespace: "default", uid: "u", ...metadata } };
  };
  const pod = (await manifest("pod")) as Pod;
  const { assignments } = match({
    pods: [
      podRecord(stored({ ...pod, spec: { ...pod.spec, nodeName: "node" } }, { status: { phase: "Running" } })),
    ].filter((record) => record !== undefined),
    bindings: [bindingRecord(stored(await manifest("aadpodidentitybinding"), {}))].filter(
      (record) => record !== undefined,
    ),
    identities: [identityRecord(stored(await manifest("aadpodidentity"), {}))].filter((record) => record !== undefined),
  });
  expect(assignments.map(({ pod: { name }, identity }) => [name, identity.name])).toEqual([["demo", "demo1"]]);
});

test("the demo accepts the pod's arguments, and they are the identity's ids", async () => {
  const { spec } = (await manifest("aadpodidentity")) as { spec: { clientID: string; resourceID: string } };
  const [container] = ((await manifest("pod")) as Pod).spec.containers;
  const resourceId = parseIdentityResourceId(spec.resourceID);
  if (!resourceId.ok) throw new Error("resourceID is not readable");
  expect(parseOptions(container?.args ?? [])).toMatchObject({
    ok: true,
    options: {
      clientId: spec.clientID,
      subscriptionId: resourceId.value.subscriptionId,
      resourceGroup: resourceId.value.resourceGroup,
    },
  });
});

test("the image is this version's", async () => {
  const { version } = JSON.parse(await readFile(join(import.meta.dirname, "../package.json"), "utf8")) as {
    version: string;
  };
  const [container] = ((await manifest("pod")) as Pod).spec.containers;
  expect(container?.image).toBe(`ghcr.io/podid/demo:${version}`);
});
