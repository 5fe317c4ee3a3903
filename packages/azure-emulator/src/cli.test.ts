import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { HELP, runCommandLine } from "./cli.ts";
import { send, TEST_SEED, VM } from "./test-cloud.ts";

let folder: string;
let output: { out: string; err: string };
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "azure-emulator-cli-"));
  output = { out: "", err: "" };
});
afterEach(() => rm(folder, { recursive: true }));

function run(args: readonly string[], signal = AbortSignal.abort()): Promise<number> {
  const write = { out: (text: string) => void (output.out += text), err: (text: string) => void (output.err += text) };
  return runCommandLine(args, { signal, ...write });
}

test("serves a seed until it is told to stop", async () => {
  const seed = join(folder, "seed.json");
  await writeFile(seed, JSON.stringify(TEST_SEED));
  const stop = new AbortController();
  const running = run(["--seed", seed, "--ca-directory", folder, "--imds", VM, "--json"], stop.signal);
  await expect.poll(() => output.out).toContain("\n");
  const { azure, control, ca, imds } = JSON.parse(output.out) as {
    azure: string;
    control: string;
    ca: string;
    imds: Record<string, string>;
  };
  const keys = await send(`${azure}/common/discovery/v2.0/keys`, { ca: await readFile(ca, "utf8") });
  expect(keys.status).toBe(200);
  expect((await send(`${control}/healthz`)).text).toBe("ok");
  expect((await send(`${imds[VM] ?? ""}/metadata/versions`, { headers: { Metadata: "true" } })).status).toBe(200);
  stop.abort();
  expect(await running).toBe(0);
  await expect(send(`${control}/healthz`)).rejects.toThrow(/ECONNREFUSED/);
});

test("--help", async () => {
  expect(await run(["--help"])).toBe(0);
  expect(output.out).toBe(HELP);
});

test("addresses for people", async () => {
  expect(await run([])).toBe(0);
  expect(output.out).toMatch(
    /^ARM and Entra {2}https:\/\/127\.0\.0\.1:\d+\nControl API {4}http:\/\/127\.0\.0\.1:\d+\nCA {13}.*ca\.pem/,
  );
});

test.for<[args: string[], says: string]>([
  [["--port", "x"], '--port "x" must be a port number'],
  [["--imds", "vm1"], 'machineId "vm1" is no VM'],
  [["--seed", "/nowhere.json"], "ENOENT"],
  [["--colour"], "--colour"],
])("refused: %j", async ([args, says]) => {
  expect(await run([...args, ...(args[0] === "--imds" ? ["--ca-directory", folder] : [])])).toBe(1);
  expect(output.err).toContain(says);
});
