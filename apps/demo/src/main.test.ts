import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fakeMetadataService } from "../test/fake-metadata-service.ts";

const MAIN = join(import.meta.dirname, "main.ts");
const ARGUMENTS = [
  "--subscriptionid=00000000-0000-0000-0000-000000000001",
  "--clientid=00000000-0000-0000-0000-00000000c1d1",
  "--resourcegroup=podid-demo",
];

function start(args: readonly string[], imds = "http://127.0.0.1:1") {
  const { PATH } = process.env;
  return spawn(process.execPath, [MAIN, ...args], { env: { PATH, AZURE_POD_IDENTITY_AUTHORITY_HOST: `${imds}/` } });
}

async function run(args: readonly string[], imds?: string): Promise<{ code: number; output: string }> {
  const child = start(args, imds);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (output += data.toString()));
  const [code] = (await once(child, "close")) as [number];
  return { code, output };
}

test("--help explains the flags", async () => {
  const { code, output } = await run(["--help"]);
  expect(code).toBe(0);
  expect(output).toContain("--identity-client-id string");
});

test("wrong arguments: every mistake, exit code 2", async () => {
  const { code, output } = await run(["--subscriptionid=mine", "--clientid=yours"]);
  expect(code).toBe(2);
  expect(output.trim().split("\n")).toHaveLength(3);
});

test("run once against a service that refuses: exit code 1, with its words", async () => {
  await using imds = await fakeMetadataService(() => ({
    status: 403,
    body: { error: "no-binding", error_description: "no AzureIdentityBinding selects the pod" },
  }));
  const { code, output } = await run([...ARGUMENTS, "--period=0"], imds.origin);
  expect(code).toBe(1);
  const messages = output.trim().split("\n");
  expect(messages).toHaveLength(5);
  for (const message of messages) expect(message).toMatch(/^E\d{4} \d\d:\d\d:\d\d\.\d{3} demo\] /);
  expect(messages[0]).toMatch(/failed doARMOperations: 403: no AzureIdentityBinding selects the pod$/);
  expect(messages.at(-1)).toMatch(/4 of 4 checks failed$/);
});

test("run every period: goes on after a failed round, and ends with 0 when it is told to", async () => {
  await using imds = await fakeMetadataService(() => ({ status: 403, body: { error: "no-binding" } }));
  const child = start([...ARGUMENTS, "--period=10ms"], imds.origin);
  let output = "";
  const twice = new Promise<void>((resolve) => {
    child.stderr.on("data", (data: Buffer) => {
      output += data.toString();
      if (output.split("4 of 4 checks failed").length > 2) resolve();
    });
  });
  await twice;
  child.kill("SIGTERM");
  expect(await once(child, "close")).toEqual([0, null]);
});
