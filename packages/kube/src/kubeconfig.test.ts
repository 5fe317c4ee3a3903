import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { inClusterConfig } from "./client-node-config.ts";
import { transportFromKubeConfig } from "./http-transport.ts";
import { loadKubeConfig, parseKubeConfig } from "./kubeconfig.ts";
import { refreshable } from "./refreshable-connection.ts";
import { SERVICE_ACCOUNT } from "./service-account-mount.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "podid-kube-"));
  vi.stubEnv("KUBECONFIG", "");
  vi.stubEnv("KUBERNETES_SERVICE_HOST", "");
});
afterEach(async () => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

const now = { refresh: false };
const again = { refresh: true };
const yaml = (name: string, user = "token: t", server = `https://${name}:6443`) => `
apiVersion: v1
kind: Config
current-context: ${name}
contexts: [{ name: ${name}, context: { cluster: ${name}, user: ${name}, namespace: ns-${name} } }]
clusters: [{ name: ${name}, cluster: { server: "${server}" } }]
users:
- name: ${name}
  user:
    ${user}
`;

test("an explicit file wins over KUBECONFIG, and its relative paths start at its folder", async () => {
  await mkdir(join(folder, "sub"));
  await writeFile(join(folder, "sub", "config"), yaml("one", "{ tokenFile: token, token: old }"));
  await writeFile(join(folder, "sub", "token"), "from-file\n");
  vi.stubEnv("KUBECONFIG", "/nowhere");
  const config = loadKubeConfig(join(folder, "sub", "config"));
  expect(config.server).toBe("https://one:6443");
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
  expect(loadKubeConfig().server).toBe("https://home:6443");
});

test("inside a pod the ServiceAccount is used, its token read again each minute and when it is refused", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.stubEnv("KUBERNETES_SERVICE_HOST", "fd00::1");
  vi.stubEnv("KUBERNETES_SERVICE_PORT", "443");
  expect(inClusterConfig(folder)).toBeUndefined();
  const mount = join(folder, SERVICE_ACCOUNT);
  await mkdir(mount, { recursive: true });
  await writeFile(join(mount, "ca.crt"), "CA");
  const rotate = (token: string) => writeFile(join(mount, "token"), `${token}\n`);
  await rotate("one");
  const config = refreshable(inClusterConfig(folder)!);
  const token = async (how: { refresh: boolean }) => (await config.connection(how)).headers["authorization"];
  expect(config.server).toBe("https://[fd00::1]:443");
  expect(await config.connection(now)).toMatchObject({ headers: { authorization: "Bearer one" }, tls: { ca: "CA" } });
  await rotate("two");
  expect(await token(now)).toBe("Bearer one");
  vi.advanceTimersByTime(61_000);
  expect(await token(now)).toBe("Bearer two");
  await rotate("three");
  expect(await token(again)).toBe("Bearer three");
  expect(await token(now)).toBe("Bearer three");
});

test("a request that is answered with 401 is sent again with the rotated token of a tokenFile", async () => {
  await writeFile(join(folder, "token"), "one");
  const seen: (string | undefined)[] = [];
  const server = http.createServer(({ headers }, response) => {
    seen.push(headers.authorization);
    response.statusCode = headers.authorization === "Bearer two" ? 200 : 401;
    response.end("{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const text = yaml("one", "tokenFile: token", url).replace(`"${url}"`, `"${url}", insecure-skip-tls-verify: true`);
  const transport = transportFromKubeConfig(parseKubeConfig(text, { directory: folder }));
  try {
    await expect(transport.request({ method: "GET", path: "/" })).rejects.toMatchObject({ status: 401 });
    await writeFile(join(folder, "token"), "two");
    expect(await transport.request({ method: "GET", path: "/" })).toEqual({});
    expect(seen).toEqual(["Bearer one", "Bearer one", "Bearer two"]);
  } finally {
    await transport.close();
    server.close();
  }
});

test("a rotated client certificate is read for every connection", async () => {
  const files = { "client-certificate": "tls.crt", "client-key": "tls.key" };
  const write = async (text: string) => {
    for (const file of Object.values(files)) await writeFile(join(folder, file), text);
  };
  await write("first");
  const config = parseKubeConfig(yaml("one", JSON.stringify(files)), { directory: folder });
  expect((await config.connection(now)).tls).toMatchObject({ cert: "first", key: "first" });
  await write("second");
  expect((await config.connection(now)).tls).toMatchObject({ cert: "second", key: "second" });
});

test("basic authentication, impersonation, and a token that wins", async () => {
  const headers = async (user: string) => (await parseKubeConfig(yaml("one", user)).connection(now)).headers;
  const basic = `Basic ${Buffer.from("u:p").toString("base64")}`;
  expect(await headers("{ username: u, password: p }")).toEqual({ authorization: basic });
  expect(await headers("{ username: u, password: p, token: t, as: jane }")).toEqual({
    authorization: "Bearer t",
    "impersonate-user": "jane",
  });
});

test.for([
  {
    name: "a missing file",
    load: () => loadKubeConfig("/nowhere/config"),
    says: /\/nowhere\/config.*pass --kubeconfig/,
  },
  { name: "no YAML", load: () => parseKubeConfig("a: 1\nusers: [{token: hush"), says: /not YAML, line 2.*fix/ },
  { name: "no current-context", load: () => parseKubeConfig("clusters: []"), says: /current-context is empty; choose/ },
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
    load: () => parseKubeConfig(yaml("one").replace("server:", "srv:")),
    says: /kubeconfig: clusters\[0\]\.cluster\.server is missing; fix/,
  },
  {
    name: "a server that is no URL",
    load: () => parseKubeConfig(yaml("one", "token: t", "one")),
    says: /server of cluster "one" is "one"; write a URL/,
  },
  {
    name: "a server without TLS",
    load: () => parseKubeConfig(yaml("one", "token: t", "http://one")),
    says: /"http:\/\/one"; write https, or insecure-skip-tls-verify/,
  },
  {
    name: "a SOCKS proxy",
    load: () => parseKubeConfig(yaml("one").replace('6443"', '6443", proxy-url: "socks5://p"')),
    says: /proxy-url of cluster "one" is "socks5:\/\/p"; write http/,
  },
  {
    name: "groups, which the library would leave out",
    load: () => parseKubeConfig(yaml("one", "{ as: jane, as-groups: [a] }")),
    says: /users\["one"\]\.user\.as-groups is not supported by @kubernetes\/client-node; remove it/,
  },
])("says what is wrong and what to do: $name", ({ load, says }) => {
  expect(load).toThrow(says);
  expect(load).not.toThrow(/hush/);
});

const exec = () =>
  `exec: { apiVersion: client.authentication.k8s.io/v1, command: "${folder}/plugin", args: [x], env: [{ name: EXTRA, value: y }] }`;

async function plugin(script: string): Promise<void> {
  await writeFile(join(folder, "plugin"), `#!${process.execPath}\n${script}`);
  await chmod(join(folder, "plugin"), 0o755);
}

test("a credential plugin runs once for all who wait, and again after a 401", async () => {
  await plugin(`
const fs = require("node:fs");
const count = fs.existsSync(__dirname + "/count") ? Number(fs.readFileSync(__dirname + "/count")) + 1 : 1;
fs.writeFileSync(__dirname + "/count", String(count));
const status = { token: [count, process.argv[2], process.env.EXTRA].join(" "), expirationTimestamp: "2999-01-01T00:00:00Z" };
console.log(JSON.stringify({ kind: "ExecCredential", status }));`);
  const config = parseKubeConfig(yaml("one", exec()));
  const ask = async (how: { refresh: boolean }) => (await config.connection(how)).headers["authorization"];
  expect(await Promise.all([ask(now), ask(now)])).toEqual(["Bearer 1 x y", "Bearer 1 x y"]);
  expect(await ask(now)).toBe("Bearer 1 x y");
  expect(await Promise.all([ask(again), ask(again), ask(now)])).toEqual(Array(3).fill("Bearer 2 x y"));
});

test.for([
  { name: "is missing", script: undefined, says: /credentials of user "one": spawn .*plugin ENOENT/ },
  { name: "fails", script: "console.error('hush'); process.exit(3)", says: /exec .*plugin gave none; run it by hand/ },
  { name: "prints no JSON", script: "console.log('hush')", says: /exec .*plugin gave none; run it by hand/ },
])("a credential plugin that $name", async ({ script, says }) => {
  if (script !== undefined) await plugin(script);
  const error = await parseKubeConfig(yaml("one", exec())).connection(now).catch(String);
  expect(error).toMatch(says);
  expect(error).not.toMatch("hush");
});

test("a file that is not there is named", async () => {
  const config = parseKubeConfig(yaml("one", "tokenFile: /nowhere/token"));
  await expect(config.connection(now)).rejects.toThrow(/credentials of user "one": ENOENT.*'\/nowhere\/token'/);
});
