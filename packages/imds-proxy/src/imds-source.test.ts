import { describe, expect, test } from "vitest";
import { FakeClock } from "../test/fake-clock.ts";
import { CLIENT_1, CLIENT_2, identity, imdsBody, jwt, pod, resourceId } from "../test/fixtures.ts";
import { ImdsError } from "./imds-client.ts";
import type { ImdsAnswer } from "./imds-client.ts";
import { ImdsSource } from "./imds-source.ts";
import type { SourceOutcome, SourceRequest } from "./token-source.ts";

async function ask(
  answer: Partial<ImdsAnswer> | Error,
  request: Partial<SourceRequest> = {},
): Promise<{ outcome: SourceOutcome; target: string | undefined }> {
  let target: string | undefined;
  const source = new ImdsSource({
    clock: new FakeClock(),
    client: {
      get: (asked) => {
        target = asked;
        if (answer instanceof Error) return Promise.reject(answer);
        return Promise.resolve({
          status: 200,
          contentType: "application/json",
          retryAfter: undefined,
          body: imdsBody(),
          ...answer,
        });
      },
    },
  });
  const outcome = await source.fetch({
    pod: pod("p"),
    identity: identity("a"),
    resource: "https://vault.azure.net",
    capabilities: undefined,
    bypassCache: false,
    ...request,
  });
  return { outcome, target };
}

describe("asking IMDS", () => {
  test("S60 by resource id, whatever the client id", async () => {
    const { outcome, target } = await ask({});
    expect(outcome.kind).toBe("token");
    expect(target).toBe(
      `/metadata/identity/oauth2/token?api-version=2018-02-01&msi_res_id=${encodeURIComponent(resourceId("a"))}&resource=https%3A%2F%2Fvault.azure.net`,
    );
  });

  test("by client id only where there is no resource id", async () => {
    const { target } = await ask({}, { identity: identity("a", { resourceID: undefined }) });
    expect(target).toContain(`client_id=${CLIENT_1}`);
  });

  test("never without an id: that would be the node's own token", async () => {
    const { outcome, target } = await ask(
      {},
      { identity: identity("a", { resourceID: undefined, clientID: undefined }) },
    );
    expect(outcome).toMatchObject({ kind: "refused", reason: "identity-invalid" });
    expect(target).toBeUndefined();
  });

  test("capabilities and bypass_cache are passed on", async () => {
    const { target } = await ask({}, { capabilities: "cp1", bypassCache: true });
    expect(target).toMatch(/&xms_cc=cp1&bypass_cache=true$/);
  });
});

describe("who answered", () => {
  test.for([
    ["another client id", { client_id: CLIENT_2 }, "mismatch"],
    ["no client id", { client_id: undefined }, "mismatch"],
    ["the client id in another casing", { client_id: CLIENT_1.toUpperCase() }, "token"],
    ["another resource id in the token", { access_token: jwt({ xms_mirid: resourceId("b") }) }, "mismatch"],
    ["the resource id in another casing", { access_token: jwt({ xms_mirid: resourceId("a").toUpperCase() }) }, "token"],
    ["a token without resource id", { access_token: jwt({ oid: "1" }) }, "token"],
  ] as const)("%s is %s", async ([, fields, kind]) => {
    expect((await ask({ body: imdsBody(fields) })).outcome.kind).toBe(kind);
  });

  test("without a client id in the AzureIdentity only the resource id counts", async () => {
    const { outcome } = await ask(
      { body: imdsBody({ client_id: CLIENT_2 }) },
      { identity: identity("a", { clientID: undefined }) },
    );
    expect(outcome.kind).toBe("token");
  });
});

describe("S62 failures", () => {
  const error = (text: string): string => JSON.stringify({ error: "invalid_request", error_description: text });
  test.for([
    ["Identity not found", { status: 400, body: error("Identity not found") }, "identity-not-found"],
    ["a bad resource", { status: 400, body: error("AADSTS500011: ...") }, "refused"],
    ["401", { status: 401, body: "" }, "refused"],
    ["a redirect", { status: 302, body: "" }, "refused"],
    ["429", { status: 429, body: error("Temporarily throttled, too many requests") }, "unavailable"],
    ["404", { status: 404, body: "" }, "unavailable"],
    ["410", { status: 410, body: "" }, "unavailable"],
    ["500 text", { status: 500, contentType: "text/plain", body: "oops" }, "unavailable"],
    ["200 that is no token", { status: 200, body: "<html>" }, "unavailable"],
    ["unreachable", new ImdsError("ECONNREFUSED", "IMDS cannot be reached"), "unavailable"],
  ] as const)("%s is %s", async ([, answer, kind]) => {
    expect((await ask(answer)).outcome.kind).toBe(kind);
  });

  test("IMDS's own words are kept, on one line", async () => {
    const { outcome } = await ask({ status: 400, body: error("AADSTS500011: not found\r\nTrace ID: 1") });
    expect(outcome).toMatchObject({
      message: "IMDS answered 400 invalid_request: AADSTS500011: not found Trace ID: 1",
    });
  });
});
