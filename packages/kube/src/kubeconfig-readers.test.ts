import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { loadKubeConfig, parseKubeConfig } from "./kubeconfig.ts";
import { loadNodeKubeConfig, parseNodeKubeConfig } from "./node-kubeconfig.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "podid-kube-"));
});
afterEach(() => rm(folder, { recursive: true }));

const base64 = (text: string) => Buffer.from(text).toString("base64");
const kubeconfig = (user: object, cluster: object = {}) =>
  JSON.stringify({
    "current-context": "here",
    contexts: [{ name: "here", context: { cluster: "c", user: "u" } }],
    clusters: [{ name: "c", cluster: { server: "https://api:6443", ...cluster } }],
    users: [{ name: "u", user }],
  });

const inFiles = { "client-certificate": "tls.crt", "client-key": "tls.key" };
const asData = { "client-certificate-data": base64("tls.crt 1"), "client-key-data": base64("tls.key 1") };
const trust = { "certificate-authority": "ca.crt" };
const ca = "ca.crt 1";

describe.for([
  { name: "loadKubeConfig", load: loadKubeConfig, parse: parseKubeConfig },
  { name: "loadNodeKubeConfig", load: loadNodeKubeConfig, parse: parseNodeKubeConfig },
])("both readers agree: $name", ({ load, parse }) => {
  const write = async (version: number) => {
    for (const name of ["ca.crt", "tls.crt", "tls.key", "token"])
      await writeFile(join(folder, name), `${name} ${version}`);
  };

  test.for([
    { name: "nothing but a server", user: {}, cluster: {}, headers: {}, tls: {} },
    {
      name: "certificates in files",
      user: inFiles,
      cluster: trust,
      headers: {},
      tls: { ca, cert: "tls.crt 1", key: "tls.key 1" },
    },
    {
      name: "certificates as data",
      user: asData,
      cluster: { "certificate-authority-data": base64("CA") },
      headers: {},
      tls: { ca: "CA", cert: "tls.crt 1", key: "tls.key 1" },
    },
    { name: "a token", user: { token: "t" }, cluster: trust, headers: { authorization: "Bearer t" }, tls: { ca } },
    {
      name: "a token's file",
      user: { tokenFile: "token" },
      cluster: trust,
      headers: { authorization: "Bearer token 1" },
      tls: { ca },
    },
    {
      name: "both, the file wins",
      user: { token: "t", tokenFile: "token" },
      cluster: {},
      headers: { authorization: "Bearer token 1" },
      tls: {},
    },
  ])("$name", async ({ user, cluster, headers, tls }) => {
    await write(1);
    await writeFile(join(folder, "config"), kubeconfig(user, cluster));
    for (const config of [load(join(folder, "config")), parse(kubeconfig(user, cluster), { directory: folder })]) {
      expect(config.server).toBe("https://api:6443");
      expect(await config.connection({ refresh: false })).toEqual({ headers, tls });
    }
  });

  test("all files are read again after a 401", async () => {
    await write(1);
    const config = parse(kubeconfig({ ...inFiles, tokenFile: "token" }, trust), { directory: folder });
    await config.connection({ refresh: false });
    await write(2);
    expect(await config.connection({ refresh: true })).toEqual({
      headers: { authorization: "Bearer token 2" },
      tls: { ca: "ca.crt 2", cert: "tls.crt 2", key: "tls.key 2" },
    });
  });
});
