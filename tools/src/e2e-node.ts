import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, delimiter, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Cgroup, enclosed, NODE_PROGRAMS } from "@podid/kube-node";
import { findNativeTools } from "@podid/native-tools";
import { Buildah } from "./images/buildah.ts";
import { unpackDebianPackages } from "./images/debian-packages.ts";
import { kubeClient } from "./kube-clients.ts";

/**
 * `npm run e2e:node [-- --iptables nft|legacy] [--proxy iptables|nftables] [PART OF A FILE'S NAME…]`: the suites of e2e/node on a real
 * Kubernetes node with the images that are shipped. Everything it starts ends with it, and the machine stays as it was.
 */
const ROOT = resolve(import.meta.dirname, "../..");
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    iptables: { type: "string", default: "nft" },
    proxy: { type: "string", default: "iptables" },
    keep: { type: "boolean", default: false },
  },
});
if (!["nft", "legacy"].includes(values.iptables)) refuse(`--iptables ${values.iptables}: nft or legacy`);
if (!["iptables", "nftables"].includes(values.proxy)) refuse(`--proxy ${values.proxy}: iptables or nftables`);
if (process.platform !== "linux") refuse(`a Kubernetes node needs Linux; this is ${process.platform}`);
if (process.getuid?.() !== 0) refuse("a Kubernetes node needs root: sudo npm run e2e:node");

const SUITES = join("e2e", "node");
const REPORT = process.env["PODID_TEST_REPORT"];
const files = readdirSync(join(ROOT, SUITES))
  .filter((name) => name.endsWith(".test.ts"))
  .filter((name) => positionals.length === 0 || positionals.some((wanted) => join(SUITES, name).includes(wanted)));
if (files.length === 0) refuse(`${positionals.join(" ")}: no file of ${SUITES} has that in its name`);

const assets = run("kube:build", ["--node"]).trim().split("\n").at(-1) ?? "";
const { path } = await findNativeTools({
  programs: { ...NODE_PROGRAMS, dnsmasq: "dnsmasq-base" },
  say: (line) => process.stderr.write(`${line}\n`),
});
const [helm, kubectl] = await Promise.all([kubeClient("helm"), kubeClient("kubectl")]);
const directory = mkdtempSync(join(tmpdir(), "podid-e2e-node-"));
const cgroup = new Cgroup(basename(directory));
try {
  run("images", ["--output", join(directory, "images")]);
  await makeBusybox(join(directory, "images/busybox.tar"));
  const env = {
    ...process.env,
    PATH: values.iptables === "legacy" ? `${legacyFirst(path)}${delimiter}${path}` : path,
    KUBEBUILDER_ASSETS: assets,
    PODID_NODE_DIRECTORY: directory,
    PODID_NODE_PROXY: values.proxy,
    PODID_NODE_IPTABLES: values.iptables,
    HELM: helm,
    KUBECTL: kubectl,
  };
  process.exitCode = 0;
  for (const file of files) if (!runOnOwnNode(file, env)) process.exitCode = 1;
  if (REPORT !== undefined) mergeReports(REPORT);
} finally {
  cgroup.remove();
  if (values.keep) process.stderr.write(`Logs and data are kept in ${directory}\n`);
  else rmSync(directory, { recursive: true, force: true });
}

/** Each file has a machine of its own: what one leaves on its node is not the next one's. @returns whether its tests passed */
function runOnOwnNode(file: string, env: NodeJS.ProcessEnv): boolean {
  const vitest = [process.execPath, join(ROOT, "node_modules/vitest/vitest.mjs"), "run", "--project", "node"];
  const [command = "", ...args] = enclosed(directory, [...vitest, join(SUITES, file)]);
  const { status } = spawnSync(command, args, {
    cwd: ROOT,
    stdio: "inherit",
    env: { ...env, ...(REPORT !== undefined && { PODID_TEST_REPORT: reportOf(file) }) },
  });
  cgroup.remove();
  if (existsSync(join(directory, "node"))) renameSync(join(directory, "node"), join(directory, `node-of-${file}`));
  return status === 0;
}

function reportOf(file: string): string {
  return join(directory, `report-of-${file}.json`);
}

/** One report of all files; a file that left none has failed. */
function mergeReports(target: string): void {
  const reports = files.map((file) => {
    const path = reportOf(file);
    const none = { numFailedTests: 1, testResults: [] };
    return (existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : none) as Record<string, unknown>;
  });
  const merged: Record<string, unknown> = {};
  for (const report of reports) {
    for (const [key, value] of Object.entries(report)) {
      const before = merged[key];
      if (typeof value === "number" && key.startsWith("num"))
        merged[key] = ((before as number | undefined) ?? 0) + value;
      else if (Array.isArray(value))
        merged[key] = [...((before as unknown[] | undefined) ?? []), ...(value as unknown[])];
      else if (key === "success") merged[key] = before !== false && value === true;
      else merged[key] ??= value;
    }
  }
  writeFileSync(target, JSON.stringify(merged));
}

/** @returns standard output of one of this workspace's scripts; what it says meanwhile is shown */
function run(script: string, args: readonly string[]): string {
  const { status, stdout } = spawnSync("npm", ["run", "--silent", script, "--", ...args], {
    cwd: ROOT,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) process.exit(status ?? 1);
  return stdout;
}

/** The container that holds a pod's namespaces, and a shell for workloads. */
async function makeBusybox(archive: string): Promise<void> {
  const work = mkdtempSync(join(directory, "busybox-"));
  const context = join(work, "context");
  mkdirSync(context);
  await unpackDebianPackages({ packages: ["busybox-static"] }, join(work, "root"), work);
  cpSync(join(work, "root/bin/busybox"), join(context, "busybox"));
  writeFileSync(
    join(context, "Dockerfile"),
    'FROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\nENTRYPOINT ["/bin/busybox", "sleep", "2147483647"]\n',
  );
  const buildah = await Buildah.open((line) => process.stderr.write(`${line}\n`));
  try {
    await buildah.build(context, "podid.test/busybox:1", archive, {}, 0);
  } finally {
    await buildah.close();
  }
}

/** A folder in which `iptables` and its sisters are the legacy ones, as on nodes of that kind. */
function legacyFirst(searched: string): string {
  const folder = join(directory, "legacy");
  mkdirSync(folder);
  for (const family of ["iptables", "ip6tables"]) {
    for (const suffix of ["", "-save", "-restore"]) {
      const program = `${family}-legacy${suffix}`;
      const found = searched.split(delimiter).find((each) => existsSync(join(each, program)));
      if (found === undefined) refuse(`${program} is missing: install iptables`);
      const script = `#!/bin/sh\nexec '${join(found, program)}' "$@"\n`;
      writeFileSync(join(folder, `${family}${suffix}`), script, { mode: 0o755 });
    }
  }
  return folder;
}

function refuse(why: string): never {
  process.stderr.write(`${why}\n`);
  process.exit(2);
}
