import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

/** Every README whose first example (```ts) is followed by what it prints (```text): it must print exactly that. */
const PACKAGES = join(import.meta.dirname, "../../packages");
/** What an example needs besides its package. */
const NEEDS: Readonly<Record<string, string>> = { "kube-control-plane": "KUBEBUILDER_ASSETS" };
const examples = readdirSync(PACKAGES).flatMap((name) => {
  const readme = readFileSync(join(PACKAGES, name, "README.md"), "utf8");
  const code = /```ts\n([^]*?)```/.exec(readme)?.[1];
  const want = /```text\n([^]*?)```/.exec(readme)?.[1];
  return code === undefined || want === undefined ? [] : [{ name, code, want }];
});

test("the libraries have such examples", () => {
  expect(examples.map(({ name }) => name)).toEqual(
    expect.arrayContaining(["azure-assigner", "crd-types", "imds-proxy", "iptables", "matcher", "service"]),
  );
});

test.for(examples.filter(({ name }) => NEEDS[name] === undefined || process.env[NEEDS[name]] !== undefined))(
  "the README of $name prints what it says",
  async ({ name, code, want }) => {
    // From the package's folder, where its own name and its dependencies resolve.
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module-typescript", "-e", code], {
      cwd: join(PACKAGES, name),
    });
    expect(stdout).toBe(want);
  },
);
