import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { findIsolation, Isolation } from "./isolation.ts";

test.for([
  [false, ["--net"]],
  [true, ["--user", "--map-root-user", "--net"]],
] as const)("user namespace %s", ([userNamespace, first]) => {
  const args = new Isolation("/bin", userNamespace).args("node", "a b");
  expect(args.slice(0, first.length)).toEqual(first);
  expect(args.slice(-2)).toEqual(["node", "a b"]);
});

test("a command runs in a network of its own, its arguments untouched", async (context) => {
  const isolation = await findIsolation();
  if (typeof isolation === "string") return context.skip(isolation);
  const script = `cat /proc/net/dev | tail -n +3 | cut -d: -f1; echo "$0"`;
  const run = spawnSync("unshare", isolation.args("sh", "-c", script, "$HOME; a"), {
    env: isolation.env,
    encoding: "utf8",
  });
  expect(run.stdout.split("\n").map((line) => line.trim())).toEqual(expect.arrayContaining(["lo", "$HOME; a"]));
  expect(run.stdout).not.toContain("eth0");
});
