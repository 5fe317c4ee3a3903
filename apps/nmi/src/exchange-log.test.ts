import { parseRequest } from "@podid/imds-proxy";
import type { Exchange, TokenFacts } from "@podid/imds-proxy";
import { identityRecord } from "@podid/matcher";
import { createLogger } from "@podid/service";
import { expect, test } from "vitest";

import { ExchangeLog } from "./exchange-log.ts";
import { LogLimiter } from "./log-limiter.ts";

const PATH = "/metadata/identity/oauth2/token";
const CLIENT = "11111111-0000-0000-0000-000000000000";
const pod = { namespace: "default", name: "p", uid: "u", serviceAccountName: "default" };
const identity = identityRecord({ metadata: { namespace: "default", name: "i" }, spec: {} });

function lines(
  facts: Partial<TokenFacts> | undefined,
  o: { query?: string; verbosity?: number; refused?: Exchange["refused"]; path?: string } = {},
): string {
  const written: string[] = [];
  const log = createLogger({
    component: "nmi",
    format: "json",
    verbosity: o.verbosity ?? 0,
    write: (line) => written.push(line),
  });
  new ExchangeLog({ log, limiter: new LogLimiter({ monotonicMs: () => 0 }) }).exchange({
    request: parseRequest({
      method: "GET",
      target: `${PATH}?resource=r${o.query ?? ""}`,
      rawHeaders: ["Metadata", "true"],
    }),
    method: "GET",
    path: o.path ?? PATH,
    remote: "10.0.0.5",
    status: 200,
    durationMs: 1.5,
    ...(facts === undefined ? {} : { facts: { outcome: "token", parkedMs: 0, sourceMs: 0, ...facts } }),
    ...(o.refused === undefined ? {} : { refused: o.refused }),
  });
  return written.map((line) => `${(JSON.parse(line) as { msg: string }).msg}\n`).join("");
}

const token = { outcome: "token", pod, ...(identity && { identity }), cache: "miss" } as const;

test.for([
  [
    "S60 the access line",
    token,
    {},
    `status (200) took 1500000 ns for req.method=GET reg.path=${PATH} req.remote=10.0.0.5`,
  ],
  [
    "no id",
    token,
    {},
    "no clientID or resourceID in request. default/p has been matched with azure identity default/i",
  ],
  [
    "a client id, redacted",
    token,
    { query: `&client_id=${CLIENT}` },
    "clientID in request: 1111##### REDACTED #####0000, default/p has been matched",
  ],
  ["an excepted pod", { outcome: "forwarded", pod }, {}, "exception pod default/p token handling"],
  [
    "no identity",
    { outcome: "denied", reason: "no-binding", message: "none", pod },
    {},
    "failed to get matching identities for pod: default/p, error: none",
  ],
  [
    "no token",
    { ...token, outcome: "denied", reason: "imds-refused", message: "no" },
    {},
    "failed to get service principal token for pod: default/p, error: no",
  ],
  [
    "no pod",
    { outcome: "timeout", reason: "pod-unknown", message: "pod list is empty" },
    {},
    "failed to get pod info from pod IP: 10.0.0.5, error: pod list is empty",
  ],
  ["several identities", { ...token, others: 1 }, {}, "several identities match a request that names none"],
] as const)("%s", ([, facts, options, want]) => {
  expect(lines(facts, options)).toContain(want);
});

test("hits and probes are silent unless somebody wants to see them", () => {
  expect(lines({ ...token, cache: "hit" })).toBe("");
  expect(lines(undefined, { refused: "metadata-header" })).toBe("");
  expect(lines({ ...token, cache: "hit" }, { verbosity: 1 })).toContain("reg.path=");
  expect(lines(undefined, { refused: "metadata-header", verbosity: 1 })).toContain(
    "metadata header is not specified, req.method=GET",
  );
});

test("a client cannot write lines of its own", () => {
  expect(lines(undefined, { path: "/a\nlevel=error\u001b[31m" }).split("\n")).toHaveLength(2);
});
