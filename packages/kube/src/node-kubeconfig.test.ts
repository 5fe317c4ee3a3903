import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { nodeConnection } from "./node-connection.ts";
import { loadNodeKubeConfig, parseNodeKubeConfig } from "./node-kubeconfig.ts";
import { inClusterContext } from "./service-account-mount.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "podid-kube-"));
  vi.stubEnv("KUBERNETES_SERVICE_HOST", "");
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

const now = { refresh: false };
const base64 = (text: string) => Buffer.from(text).toString("base64");
const kubeconfig = (user: object, cluster: object = {}) =>
  JSON.stringify({
    "current-context": "here",
    contexts: [{ name: "here", context: { cluster: "c", user: "u" } }],
    clusters: [{ name: "c", cluster: { server: "https://api:6443", ...cluster } }],
    users: [{ name: "u", user }],
  });

test("kubelet's own kubeconfig: files, relative to its folder", async () => {
  await mkdir(join(folder, "pki"));
  for (const file of ["ca.crt", "tls.crt", "tls.key"]) await writeFile(join(folder, "pki", file), file);
  const user = { "client-certificate": "pki/tls.crt", "client-key": join(folder, "pki", "tls.key") };
  await writeFile(join(folder, "config"), kubeconfig(user, { "certificate-authority": "pki/ca.crt" }));
  const config = loadNodeKubeConfig(join(folder, "config"));
  expect(config.server).toBe("https://api:6443");
  expect(await config.connection(now)).toEqual({
    headers: {},
    tls: { ca: "ca.crt", cert: "tls.crt", key: "tls.key" },
  });
});

test("data stands in for files, and a token's file wins over a token", async () => {
  await writeFile(join(folder, "token"), "from-file\n");
  const user = {
    "client-certificate-data": base64("CERT"),
    "client-key-data": base64("KEY"),
    token: "t",
    tokenFile: "token",
  };
  const cluster = { "certificate-authority-data": base64("CA"), "certificate-authority": "/nowhere" };
  expect(await parseNodeKubeConfig(kubeconfig(user, cluster), { directory: folder }).connection(now)).toEqual({
    headers: { authorization: "Bearer from-file" },
    tls: { ca: "CA", cert: "CERT", key: "KEY" },
  });
});

test("nothing else is looked for: without a file, outside of a pod, it says what to pass", () => {
  vi.stubEnv("KUBECONFIG", "/nowhere");
  expect(() => loadNodeKubeConfig()).toThrow(/no kubeconfig was named.*pass --kubeconfig/);
});

test.for([
  { host: "10.0.0.1", server: "https://10.0.0.1:443" },
  { host: "fd00::1", server: "https://[fd00::1]:443" },
])("inside a pod the ServiceAccount is used, host $host", async ({ host, server }) => {
  for (const [file, text] of Object.entries({ token: "sa-token", "ca.crt": "CA" }))
    await writeFile(join(folder, file), text);
  const environment = { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: "443" };
  const config = nodeConnection(inClusterContext(environment, folder)!);
  expect(config.server).toBe(server);
  expect(await config.connection(now)).toMatchObject({
    headers: { authorization: "Bearer sa-token" },
    tls: { ca: "CA" },
  });
  expect(inClusterContext({}, folder)).toBeUndefined();
  expect(inClusterContext(environment, join(folder, "none"))).toBeUndefined();
});

test.for([
  { name: "exec", user: { exec: { command: "kubelogin" } } },
  { name: "auth-provider", user: { "auth-provider": { name: "azure" } } },
  { name: "username", user: { username: "u", password: "hush" } },
  { name: "as", user: { as: "jane" } },
  { name: "as-groups", user: { token: "hush", "as-groups": ["a"] } },
])("refuses what a node agent does not meet: $name of the user", ({ name, user }) => {
  const parse = () => parseNodeKubeConfig(kubeconfig(user));
  expect(parse).toThrow(`kubeconfig: users["u"].user.${name} is set, but this program, a node agent, supports only`);
  expect(parse).toThrow(/client-certificate, .*tokenFile; name a kubeconfig with these/);
  expect(parse).not.toThrow(/hush/);
});

test.for([
  { name: "proxy-url", cluster: { "proxy-url": "http://proxy" } },
  { name: "insecure-skip-tls-verify", cluster: { "insecure-skip-tls-verify": true } },
  { name: "tls-server-name", cluster: { "tls-server-name": "x" } },
])("refuses what a node agent does not meet: $name of the cluster", ({ name, cluster }) => {
  expect(() => parseNodeKubeConfig(kubeconfig({}, cluster))).toThrow(
    `kubeconfig: clusters["c"].cluster.${name} is set, but this program, a node agent, supports only server, certificate-authority`,
  );
});

test("reads over fields that are empty or change nothing", () => {
  const cluster = { "insecure-skip-tls-verify": false, "proxy-url": "", extensions: [{ name: "x" }] };
  expect(parseNodeKubeConfig(kubeconfig({ exec: null }, cluster)).server).toBe("https://api:6443");
});

const valid = kubeconfig({ token: "t" });
test.for([
  { name: "a missing file", load: () => loadNodeKubeConfig("/nowhere/a:/b"), says: /cannot read .*\/nowhere\/a:\/b/ },
  {
    name: "no YAML",
    load: () => parseNodeKubeConfig("a: 1\nusers: [{token: hush"),
    says: /kubeconfig: not YAML, line 2.*fix/,
  },
  { name: "an empty file", load: () => parseNodeKubeConfig(""), says: /kubeconfig: not YAML: .*empty/ },
  { name: "some other text", load: () => parseNodeKubeConfig("hello"), says: /no kubeconfig but string; name a file/ },
  {
    name: "no current-context",
    load: () => parseNodeKubeConfig("clusters: []"),
    says: /current-context is empty; choose/,
  },
  {
    name: "an unknown context",
    load: () => parseNodeKubeConfig(valid.replace('"here"', '"x"')),
    says: /context "x" is not there/,
  },
  {
    name: "an unknown cluster",
    load: () => parseNodeKubeConfig(valid.replace('"cluster":"c"', '"cluster":"x"')),
    says: /cluster "x" is not there/,
  },
  {
    name: "an unknown user",
    load: () => parseNodeKubeConfig(valid.replace('"user":"u"', '"user":"x"')),
    says: /user "x" is not there/,
  },
  {
    name: "no server",
    load: () => parseNodeKubeConfig(valid.replace("https://api:6443", "api")),
    says: /clusters\["c"\]\.cluster\.server is "api"; write a URL/,
  },
  {
    name: "no string",
    load: () => parseNodeKubeConfig(valid.replace('"t"', "{}")),
    says: /users\["u"\]\.user\.token is no string but object/,
  },
])("says what is wrong and what to do: $name", ({ load, says }) => {
  expect(load).toThrow(says);
  expect(load).not.toThrow(/hush/);
});
