import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import { runCli, USAGE } from "./cli.ts";
import { Wire } from "./contract/wire.ts";

const CRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: gadgets.example.com }
spec:
  group: example.com
  scope: Cluster
  names: { plural: gadgets, kind: Gadget }
  versions: [{ name: v1, served: true, storage: true, schema: { openAPIV3Schema: { type: object } } }]
---
kind: Something
`;

test("serves the definitions of a folder and writes a kubeconfig that works", async () => {
  const folder = await mkdtemp(join(tmpdir(), "kube-emulator-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "gadgets.yaml"), CRD);
  await writeFile(join(folder, "notes.txt"), "not YAML: [");
  const out = join(folder, "kubeconfig");
  const emulator = await runCli(["--crds", folder, "--port", "0", "--kubeconfig-out", out], () => {});
  if (emulator === undefined) throw new Error("nothing was started");
  onTestFinished(() => emulator.close());
  const config = parse(await readFile(out, "utf8")) as {
    clusters: { cluster: { server: string; "certificate-authority-data": string } }[];
    users: { user: { token: string } }[];
  };
  const cluster = config.clusters[0]?.cluster;
  const wire = new Wire({
    url: cluster?.server ?? "",
    ca: Buffer.from(cluster?.["certificate-authority-data"] ?? "", "base64").toString(),
    token: config.users[0]?.user.token ?? "",
    complete: false,
    close: async () => {},
  });
  onTestFinished(() => wire.close());
  expect((await wire.get("/apis/example.com/v1/gadgets")).body).toMatchObject({ kind: "GadgetList", items: [] });
});

test("explains itself and its arguments", async () => {
  let printed = "";
  expect(await runCli(["--help"], (text) => (printed += text))).toBeUndefined();
  expect(printed).toBe(USAGE);
  await expect(runCli(["--port", "many"], () => {})).rejects.toThrow('--port is "many": use a whole number');
  await expect(runCli(["--crds", "/no/such/folder"], () => {})).rejects.toThrow("there is no such file or folder");
});
