import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { FakeClock } from "./fake-clock.ts";
import { inClusterContext, KubeConfig, loadKubeConfig, parseKubeConfig } from "./kube-config.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "podid-kube-"));
  vi.stubEnv("KUBECONFIG", "");
  vi.stubEnv("KUBERNETES_SERVICE_HOST", "");
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

const now = { refresh: false };
const yaml = (name: string, user = "token: t") => `
apiVersion: v1
kind: Config
current-context: ${name}
contexts: [{ name: ${name}, context: { cluster: ${name}, user: ${name}, namespace: ns-${name} } }]
clusters: [{ name: ${name}, cluster: { server: "https://${name}:6443" } }]
users:
- name: ${name}
  user:
    ${user}
`;

test("an explicit file wins over KUBECONFIG, and its relative paths start at its folder", async () => {
  await mkdir(join(folder, "sub"));
  await writeFile(join(folder, "sub", "config"), yaml("one", "tokenFile: token"));
  await writeFile(join(folder, "sub", "token"), "from-file\n");
  vi.stubEnv("KUBECONFIG", "/nowhere");
  const config = loadKubeConfig(join(folder, "sub", "config"));
  expect([config.server, config.context, config.namespace]).toEqual(["https://one:6443", "one", "ns-one"]);
  expect((await config.connection(now)).headers).toEqual({ authorization: "Bearer from-file" });
});

test("KUBECONFIG is a list: the first file decides, missing ones are skipped", async () => {
  await writeFile(join(folder, "a"), yaml("one"));
  await writeFile(join(folder, "b"), yaml("two"));
  vi.stubEnv("KUBECONFIG", `/nowhere:${join(folder, "a")}:${join(folder, "b")}`);
  expect(loadKubeConfig().server).toBe("https://one:6443");
  expect(loadKubeConfig("", { context: "two" }).server).toBe("https://two:6443");
});

test("falls back to ~/.kube/config", async () => {
  vi.stubEnv("HOME", folder);
  await mkdir(join(folder, ".kube"));
  await writeFile(join(folder, ".kube", "config"), yaml("home"));
  expect(loadKubeConfig().context).toBe("home");
});

test.for([
  { host: "10.0.0.1", server: "https://10.0.0.1:443" },
  { host: "fd00::1", server: "https://[fd00::1]:443" },
])("inside a pod the ServiceAccount is used, host $host", async ({ host, server }) => {
  for (const [file, text] of Object.entries({ token: "sa-token", "ca.crt": "CA", namespace: "kube-system\n" }))
    await writeFile(join(folder, file), text);
  const found = inClusterContext({ KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: "443" }, folder);
  const config = new KubeConfig(found!);
  expect([config.server, config.namespace]).toEqual([server, "kube-system"]);
  expect(await config.connection(now)).toMatchObject({
    headers: { authorization: "Bearer sa-token" },
    tls: { ca: "CA" },
  });
  expect(inClusterContext({}, folder)).toBeUndefined();
  expect(
    inClusterContext({ KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: "443" }, join(folder, "none")),
  ).toBeUndefined();
});

test.for([
  {
    name: "a missing file",
    load: () => loadKubeConfig("/nowhere/config"),
    says: /cannot read the kubeconfig \/nowhere\/config.*pass --kubeconfig/,
  },
  {
    name: "no YAML",
    load: () => parseKubeConfig("a: 1\nusers: [{token: hush"),
    says: /kubeconfig: not YAML, line 2.*fix/,
  },
  { name: "an empty file", load: () => parseKubeConfig(""), says: /kubeconfig: not YAML: .*empty/ },
  { name: "some other text", load: () => parseKubeConfig("hello"), says: /no kubeconfig but string; name a file/ },
  {
    name: "no current-context",
    load: () => parseKubeConfig("clusters: []"),
    says: /current-context is empty; choose one/,
  },
  {
    name: "an unknown context",
    load: () => parseKubeConfig(yaml("one"), { context: "x" }),
    says: /context "x" is not there/,
  },
  {
    name: "an unknown user",
    load: () => parseKubeConfig(yaml("one").replace("- name: one", "- name: other")),
    says: /user "one" is not there/,
  },
  {
    name: "no server",
    load: () => parseKubeConfig(yaml("one").replace("https://one:6443", "one")),
    says: /server of cluster "one" is "one"; write a URL/,
  },
  {
    name: "an auth-provider",
    load: () => parseKubeConfig(yaml("one", "auth-provider: { name: azure }")),
    says: /auth-provider "azure".*kubelogin/,
  },
])("says what is wrong and what to do: $name", ({ load, says }) => {
  expect(load).toThrow(says);
  expect(load).not.toThrow(/hush/);
});

test("basic authentication, and a token that wins over it", async () => {
  const basic = parseKubeConfig(yaml("one", "{ username: u, password: p }"));
  expect((await basic.connection(now)).headers["authorization"]).toBe(`Basic ${Buffer.from("u:p").toString("base64")}`);
  const both = parseKubeConfig(yaml("one", "{ username: u, password: p, token: t }"));
  expect((await both.connection(now)).headers["authorization"]).toBe("Bearer t");
});

async function plugin(script: string): Promise<void> {
  await writeFile(join(folder, "plugin"), `#!${process.execPath}\n${script}`);
  await chmod(join(folder, "plugin"), 0o755);
}

const exec =
  "exec: { apiVersion: client.authentication.k8s.io/v1, command: ./plugin, args: [x], env: [{ name: EXTRA, value: y }], provideClusterInfo: true, installHint: Get it. }";

test("a credential plugin runs once until its answer expires, and again after a 401", async () => {
  await plugin(`
const fs = require("node:fs");
const count = fs.existsSync(__dirname + "/count") ? Number(fs.readFileSync(__dirname + "/count")) + 1 : 1;
fs.writeFileSync(__dirname + "/count", String(count));
const { apiVersion, spec } = JSON.parse(process.env.KUBERNETES_EXEC_INFO);
const status = { token: [count, process.argv[2], process.env.EXTRA, spec.cluster.server].join(" "), expirationTimestamp: "2026-01-01T00:10:00Z" };
console.log(JSON.stringify({ apiVersion, kind: "ExecCredential", status }));`);
  const clock = new FakeClock(Date.parse("2026-01-01T00:00:00Z"));
  const config = parseKubeConfig(yaml("one", exec), { directory: folder, clock });
  const ask = async (refresh = false) => (await config.connection({ refresh })).headers["authorization"];
  expect(await Promise.all([ask(), ask()])).toEqual(Array(2).fill("Bearer 1 x y https://one:6443"));
  clock.advance(599_000);
  expect(await ask()).toMatch("Bearer 1");
  clock.advance(1_000);
  expect(await ask()).toMatch("Bearer 2");
  expect(await ask(true)).toMatch("Bearer 3");
});

test.for([
  {
    name: "is missing",
    script: undefined,
    says: /cannot run the kubeconfig's credential plugin .*plugin: .*ENOENT\. Get it\./,
  },
  { name: "fails", script: "process.exit(3)", says: /plugin ended with 3; run it by hand/ },
  { name: "prints no JSON", script: "console.log('hush')", says: /did not print JSON/ },
  {
    name: "prints another version",
    script: 'console.log(\'{"kind":"ExecCredential","apiVersion":"v0","status":{"token":"hush"}}\')',
    says: /no ExecCredential of client.authentication.k8s.io\/v1/,
  },
])("a credential plugin that $name", async ({ script, says }) => {
  if (script !== undefined) await plugin(script);
  const config = parseKubeConfig(yaml("one", exec), { directory: folder });
  const error = await config.connection(now).catch(String);
  expect(error).toMatch(says);
  expect(error).not.toMatch("hush");
});
