import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Cluster } from "./cluster.ts";
import { until } from "./until.ts";

/** The demo holds only when every part does its work: with one taken away it fails, and its last words name that part. */
const MANIFESTS = join(import.meta.dirname, "../../deploy/demo");
/** Azure's built-in role; the same in every tenant. */
const READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7";
let cluster: Cluster;

beforeAll(async () => {
  // What is taken away must stay away: NMI looks after its rules every minute by default.
  cluster = await Cluster.start(["--nmi-args=--ipt-update-interval-sec=3600"]);
});

afterAll(async () => {
  await cluster?.stop();
});

afterEach(async () => {
  const pods = await cluster.pods.list();
  for (const { metadata } of pods.items) await cluster.pods.delete(metadata.name, metadata.namespace ?? "default");
  for (const client of [cluster.bindings, cluster.identities]) {
    for (const { metadata } of (await client.list()).items)
      await client.delete(metadata.name, metadata.namespace ?? "default");
  }
  await until(
    "nothing is left of the demo",
    async () => (await cluster.pods.list()).items.length + (await cluster.assigned.list()).items.length === 0,
  );
});

async function demo(...flags: readonly string[]): Promise<{ code: number | null; output: string }> {
  return cluster.sandbox.podid("demo", "--state-file", cluster.sandbox.stateFile, ...flags);
}

/** NMI puts its rules in when it starts. */
async function repairRules(): Promise<void> {
  for (const { name } of cluster.sandbox.state.nodes) {
    await cluster.control.process(`nmi-${name}`, "restart");
    await cluster.nmiReady(name);
  }
}

test("with everything in place it holds, and its log ends with the four lines", async () => {
  const { code, output } = await demo();
  expect({ code, output: code === 0 ? "" : output }).toEqual({ code: 0, output: "" });
  for (const line of [
    /successfully doARMOperations vm count 3$/m,
    /successfully acquired a token using the MSI, msiEndpoint\(http:\/\/169\.254\.169\.254\/metadata\/identity\/oauth2\/token\)$/m,
    /successfully acquired a token, userAssignedID MSI, msiEndpoint\(\S+\) clientID\(00000000-0000-0000-0000-00000000c1d1\)$/m,
    /successfully made GET on instance metadata$/m,
  ]) {
    expect(output).toMatch(line);
  }
  expect(output).not.toContain("eyJ");
});

test("without MIC nobody attaches the identity", async () => {
  const replicas = (await cluster.control.processes()).filter(({ app }) => app === "mic").map(({ name }) => name);
  for (const name of replicas) await cluster.control.process(name, "stop");
  const { code, output } = await demo();
  for (const name of replicas) await cluster.control.process(name, "start");
  expect(code).toBe(1);
  expect(output).toMatch(/MIC is not running/);
});

test("without the redirect no request reaches NMI", async () => {
  for (const { name } of cluster.sandbox.state.nodes)
    await cluster.control.exec({ node: name }, ["iptables", "-t", "nat", "-F"]);
  const { code, output } = await demo();
  expect(code).toBe(1);
  expect(output).toMatch(/iptables rules are missing on /);
  await repairRules();
});

test("without any rule requests reach raw IMDS, which the demo does not accept", async () => {
  for (const { name } of cluster.sandbox.state.nodes) {
    for (const table of ["nat", "filter", "mangle"])
      await cluster.control.exec({ node: name }, ["iptables", "-t", table, "-F"]);
  }
  const { code, output } = await demo();
  expect(code).toBe(1);
  expect(output).toMatch(/iptables rules are missing on /);
  await repairRules();
});

test("without its binding the pod has no identity", async () => {
  const directory = mkdtempSync(join(tmpdir(), "podid-manifests-"));
  cpSync(MANIFESTS, directory, { recursive: true });
  rmSync(join(directory, "aadpodidentitybinding.yaml"));
  const { code, output } = await demo("--manifests", directory);
  rmSync(directory, { recursive: true });
  expect(code).toBe(1);
  expect(output).toMatch(/the binding is missing/);
});

test("without a role assignment ARM refuses the identity", async () => {
  const seed = await cluster.control.azureSeed();
  const roleAssignments = (seed.roleAssignments ?? []).filter(({ role }) => role !== READER);
  expect(roleAssignments).toHaveLength((seed.roleAssignments ?? []).length - 1);
  await cluster.control.replaceAzure({ ...seed, roleAssignments });
  const { code, output } = await demo();
  expect(code).toBe(1);
  expect(output).toMatch(/the role assignment is missing/);
});
