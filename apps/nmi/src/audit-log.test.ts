import { parseRequest } from "@podid/imds-proxy";
import type { Exchange, IssuedToken, TokenFacts } from "@podid/imds-proxy";
import { identityRecord } from "@podid/matcher";
import { expect, test } from "vitest";
import { AuditLog } from "./audit-log.ts";
import type { AuditRecord } from "./audit-log.ts";

const CLIENT = "11111111-2222-3333-4444-555555555555";
const identity = identityRecord({
  metadata: { namespace: "default", name: "i", uid: "identity-1" },
  spec: { type: 0, clientID: CLIENT, resourceID: "/subscriptions/s/x" },
});

function pod(name: string): NonNullable<TokenFacts["pod"]> {
  return { namespace: "default", name, uid: `uid-${name}`, serviceAccountName: "sa" };
}

function token(id: string): IssuedToken {
  return { id, correlationId: undefined, expiresOnSeconds: 1 } as IssuedToken;
}

function setUp() {
  const records: AuditRecord[] = [];
  let now = 0;
  let run: (() => void) | undefined;
  const audit = new AuditLog({
    clock: {
      wallMs: () => now,
      monotonicMs: () => now,
      setTimeout: (callback) => {
        run = callback;
        return { cancel: () => (run = undefined) };
      },
    },
    write: (line) => records.push(JSON.parse(line) as AuditRecord),
  });
  const tell = (facts: Partial<TokenFacts> | undefined, more: Partial<Exchange> = {}): void => {
    const request = parseRequest({
      method: "GET",
      target: "/metadata/identity/oauth2/token?resource=https://vault.azure.net",
      rawHeaders: ["Metadata", "true"],
    });
    const exchange = { request, method: "GET", path: "/x", remote: "10.0.0.5", status: 200, durationMs: 1, ...more };
    audit.exchange({
      ...exchange,
      ...(facts && { facts: { outcome: "token", parkedMs: 0, sourceMs: 0, ...facts } }),
    });
  };
  const minute = (): void => {
    now += 60_000;
    run?.();
  };
  return { audit, records, tell, minute };
}

test("the first answer of each token to each pod, at once and complete; repeats once a minute", () => {
  const { records, tell, minute } = setUp();
  const [one, two] = [token("uti-1"), token("uti-2")];
  const first = { pod: pod("p"), ...(identity && { identity }), issued: one };
  for (let count = 0; count < 1_000; count++) tell(first);
  expect(records).toEqual([
    {
      time: "1970-01-01T00:00:00.000Z",
      event: "token",
      outcome: "token",
      status: 200,
      route: "token",
      remote: "10.0.0.5",
      pod: { namespace: "default", name: "p", uid: "uid-p" },
      serviceAccount: "sa",
      identity: { namespace: "default", name: "i", type: 0 },
      resourceId: "/subscriptions/s/x",
      clientId: "1111##### REDACTED #####5555",
      resource: "https://vault.azure.net",
      tokenId: "uti-1",
    },
  ]);
  tell({ ...first, pod: pod("q") });
  tell({ ...first, issued: two });
  expect(records).toHaveLength(3);
  minute();
  expect(records.slice(3)).toMatchObject([{ repeats: 999, since: "1970-01-01T00:00:00.000Z", tokenId: "uti-1" }]);
  minute();
  expect(records).toHaveLength(4);
  tell(first);
  minute();
  expect(records.at(-1)).toMatchObject({ repeats: 1 });
});

test("every kind of refusal of every pod at once, repeats counted; a kind that rested is news again", () => {
  const { records, tell, minute } = setUp();
  const denied = { outcome: "denied", reason: "identity-not-bound" } as const;
  for (let count = 0; count < 50; count++) {
    tell({ ...denied, pod: pod("p") }, { status: 403 });
    tell({ ...denied, pod: pod("q") }, { status: 403 });
    tell({ ...denied, reason: "no-binding", pod: pod("p") }, { status: 404 });
    tell(undefined, { status: 400, refused: "forwarded" });
    tell({ outcome: "denied", reason: "federation-refused", correlationId: "c-1", pod: pod("p") }, { status: 403 });
  }
  expect(records.map(({ event, reason, pod: who }) => `${event} ${reason} ${who?.name}`)).toEqual([
    "refused identity-not-bound p",
    "refused identity-not-bound q",
    "refused no-binding p",
    "refused forwarded undefined",
    "refused federation-refused p",
  ]);
  expect(records[4]?.correlationId).toBe("c-1");
  minute();
  expect(records.slice(5).map(({ repeats }) => repeats)).toEqual([49, 49, 49, 49, 49]);
  minute();
  tell({ ...denied, pod: pod("p") }, { status: 403 });
  expect(records.at(-1)).toMatchObject({ reason: "identity-not-bound" });
  expect(records.at(-1)?.repeats).toBeUndefined();
});

test("what an excepted pod hears from IMDS is told too; ordinary metadata is not", () => {
  const { records, tell } = setUp();
  tell({ outcome: "forwarded", pod: pod("p") });
  const request = parseRequest({ method: "GET", target: "/metadata/instance", rawHeaders: ["Metadata", "true"] });
  tell(undefined, { request });
  expect(records).toMatchObject([{ event: "forwarded", resource: "https://vault.azure.net", pod: { name: "p" } }]);
});

test("closing writes what was counted", () => {
  const { audit, records, tell } = setUp();
  const issued = token("uti-1");
  for (let count = 0; count < 3; count++) tell({ pod: pod("p"), issued });
  audit.close();
  expect(records.at(-1)).toMatchObject({ repeats: 2 });
});
