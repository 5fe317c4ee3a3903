import type { EntraAnswer, TokenEndpoint } from "@podid/entra-tokens";
import type { Clock } from "@podid/imds-proxy";
import { LimiterFullError } from "@podid/imds-proxy";
import { expect, test } from "vitest";
import { TenantGate } from "./tenant-gate.ts";

const TOKEN: EntraAnswer = {
  kind: "token",
  accessToken: "t",
  tokenType: "Bearer",
  expiresIn: 3_599,
  extExpiresIn: undefined,
  expiresOn: undefined,
  notBefore: undefined,
  correlationId: "c",
};
const DOWN: EntraAnswer = { kind: "unavailable", message: "no answer", correlationId: "c" };
const THROTTLED: EntraAnswer = { kind: "throttled", retryAfterMs: 60_000, message: "429", correlationId: "c" };

function setUp() {
  let now = 0;
  const clock: Clock = {
    wallMs: () => now,
    monotonicMs: () => now,
    setTimeout: () => ({ cancel: () => undefined }),
  };
  const gate = new TenantGate({ clock, concurrency: 2 });
  let asked = 0;
  const ask = (tenant: string, answer: EntraAnswer | Promise<EntraAnswer>, o: { app?: string; pod?: string } = {}) => {
    const endpoint: TokenEndpoint = { authority: "https://login.example/", tenant, version: 2 };
    return gate.run(endpoint, o.app ?? "app", o.pod ?? "pod", async () => {
      asked++;
      return answer;
    });
  };
  return {
    ask,
    asked: () => asked,
    pass: (ms: number): void => {
      now += ms;
    },
  };
}

test("an application that Entra throttles is left alone for as long as Entra says; others are not", async () => {
  const { ask, asked, pass } = setUp();
  expect(await ask("t", THROTTLED)).toBe(THROTTLED);
  pass(59_000);
  expect(await ask("T", TOKEN, { app: "APP" })).toMatchObject({ kind: "throttled", retryAfterMs: 1_000 });
  expect(asked()).toBe(1);
  expect(await ask("t", TOKEN, { app: "another" })).toBe(TOKEN);
  expect(await ask("another", TOKEN)).toBe(TOKEN);
  pass(1_000);
  expect(await ask("t", TOKEN)).toBe(TOKEN);
});

test("a tenant that fails three times in a row rests, ever longer, and one request finds out when it is over", async () => {
  const { ask, asked, pass } = setUp();
  for (let round = 0; round < 3; round++) expect(await ask("t", DOWN)).toBe(DOWN);
  expect(await ask("t", TOKEN)).toMatchObject({ kind: "throttled", retryAfterMs: 5_000 });
  expect(asked()).toBe(3);
  pass(5_000);
  let land: (answer: EntraAnswer) => void = () => undefined;
  const probe = ask("t", new Promise((resolve) => (land = resolve)));
  await Promise.resolve();
  expect(await ask("t", TOKEN)).toMatchObject({ kind: "throttled" });
  expect(asked()).toBe(4);
  land(DOWN);
  await probe;
  pass(9_999);
  expect(await ask("t", TOKEN)).toMatchObject({ kind: "throttled", retryAfterMs: 1_000 });
  pass(1);
  expect(await ask("t", TOKEN)).toBe(TOKEN);
  expect(await ask("t", TOKEN)).toBe(TOKEN);
});

test("a tenant that hangs keeps its own places only", async () => {
  const { ask } = setUp();
  const hang = new Promise<EntraAnswer>(() => undefined);
  for (let index = 0; index < 10; index++) void ask("sick", hang, { pod: `pod-${index}` });
  expect(await ask("healthy", TOKEN)).toBe(TOKEN);
});

test("one pod cannot queue without end before a tenant", async () => {
  const { ask } = setUp();
  const hang = new Promise<EntraAnswer>(() => undefined);
  for (let index = 0; index < 2 + 64; index++) void ask("sick", hang);
  await expect(ask("sick", TOKEN)).rejects.toThrow(LimiterFullError);
});

test("what Entra says of one identity's issuer keeps nobody else from its tenant", async () => {
  const { ask } = setUp();
  const issuer: EntraAnswer = { ...DOWN, code: 90061 };
  for (let round = 0; round < 5; round++) expect(await ask("t", issuer, { app: "federated" })).toBe(issuer);
  expect(await ask("t", TOKEN, { app: "with a secret" })).toBe(TOKEN);
});

test("a refusal is an answer: no reason to rest", async () => {
  const { ask, asked } = setUp();
  const refused: EntraAnswer = {
    kind: "refused",
    error: "invalid_client",
    code: 7000215,
    message: "no",
    correlationId: "c",
  };
  for (let round = 0; round < 10; round++) expect(await ask("t", refused)).toBe(refused);
  expect(asked()).toBe(10);
});
