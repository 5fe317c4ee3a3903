import { createLogger } from "@podid/service";
import { expect, test } from "vitest";
import { IssuerCheck } from "./issuer-check.ts";

const ISSUER = "https://issuer.example/cluster/";

function setUp(answer: { status: number; body: string } | Error) {
  const urls: string[] = [];
  const lines: string[] = [];
  const check = new IssuerCheck({
    clock: { monotonicMs: () => 0 },
    log: createLogger({ component: "test", format: "text", verbosity: 0, write: (line) => lines.push(line) }),
    fetch: async (url) => {
      urls.push(url);
      if (answer instanceof Error) throw answer;
      return answer;
    },
  });
  return { check, urls, lines };
}

test.for([
  ["as it should be", { status: 200, body: JSON.stringify({ issuer: ISSUER }) }, undefined],
  ["but for the slash", { status: 200, body: JSON.stringify({ issuer: ISSUER.slice(0, -1) }) }, "is of the issuer"],
  ["not public", { status: 403, body: "" }, "answers 403 to anonymous requests"],
  ["not there", new Error("nowhere"), "cannot be read from this node (nowhere)"],
  ["not JSON", { status: 200, body: "<html>" }, "cannot be read from this node"],
] as const)("the document is %s", async ([, answer, problem]) => {
  const { check, urls } = setUp(answer);
  const found = await check.look(ISSUER);
  if (problem === undefined) expect(found).toBeUndefined();
  else expect(found).toContain(problem);
  expect(urls).toEqual(["https://issuer.example/cluster/.well-known/openid-configuration"]);
});

test("nobody waits for it; it is looked at once, and logged", async () => {
  const { check, urls, lines } = setUp({ status: 404, body: "" });
  expect(check.problem(ISSUER)).toBeUndefined();
  await new Promise((resolve) => setImmediate(resolve));
  expect(check.problem(ISSUER)).toContain("answers 404");
  expect(urls).toHaveLength(1);
  expect(lines.join("\n")).toContain("Entra may be unable to check tokens of this cluster");
});
