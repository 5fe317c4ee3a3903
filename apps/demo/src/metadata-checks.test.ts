import { describe, expect, test } from "vitest";
import { fakeMetadataService } from "../test/fake-metadata-service.ts";
import type { Answer } from "../test/fake-metadata-service.ts";
import { instanceMetadata } from "./instance-metadata.ts";
import { tokenByClientId, tokenByMsi } from "./token.ts";

const CLIENT = "00000000-0000-0000-0000-00000000c1d1";
const RESOURCE = "https://management.azure.com/";
const never = new AbortController().signal;
const refused = {
  status: 403,
  body: { error: "no-binding", error_description: "no AzureIdentityBinding selects the pod" },
};

describe("tokenByMsi", () => {
  test("asks without any id and never shows the token", async () => {
    await using imds = await fakeMetadataService(() => ({ body: { access_token: "secret", client_id: CLIENT } }));
    expect(await tokenByMsi({ origin: imds.origin, timeoutMs: 5000 }, RESOURCE)(never)).toEqual({
      ok: true,
      message: `successfully acquired a token using the MSI, msiEndpoint(${imds.origin}/metadata/identity/oauth2/token)`,
    });
    expect(imds.seen).toMatchObject([
      {
        path: "/metadata/identity/oauth2/token",
        query: { "api-version": "2018-02-01", resource: RESOURCE },
        headers: { metadata: "true" },
      },
    ]);
    expect(Object.keys(imds.seen[0]?.query ?? {})).toHaveLength(2);
  });
});

describe("tokenByClientId", () => {
  test.for<{ name: string; answer: Answer; want: string | undefined }>([
    {
      name: "a token of the identity",
      answer: { body: { access_token: "secret", client_id: CLIENT.toUpperCase() } },
      want: undefined,
    },
    { name: "a token without owner", answer: { body: { access_token: "secret" } }, want: undefined },
    {
      name: "somebody else's token",
      answer: { body: { access_token: "secret", client_id: "other" } },
      want: "200, but the token belongs to another identity, client id other",
    },
    {
      name: "an empty token",
      answer: { body: { access_token: "" } },
      want: "200, but the answer holds no access_token",
    },
    { name: "null", answer: { body: "null" }, want: "200, but the answer holds no access_token" },
    { name: "a refusal", answer: refused, want: "403 Forbidden: no-binding: no AzureIdentityBinding selects the pod" },
  ])("$name", async ({ answer, want }) => {
    await using imds = await fakeMetadataService(() => answer);
    const outcome = await tokenByClientId({ origin: imds.origin, timeoutMs: 5000 }, RESOURCE, CLIENT)(never);
    const suffix = `userAssignedID MSI, msiEndpoint(${imds.origin}/metadata/identity/oauth2/token) clientID(${CLIENT})`;
    expect(outcome).toEqual(
      want === undefined
        ? { ok: true, message: `successfully acquired a token, ${suffix}` }
        : { ok: false, message: `failed to acquire a token, ${suffix}: ${want}` },
    );
    expect(imds.seen[0]?.query).toEqual({ "api-version": "2018-02-01", resource: RESOURCE, client_id: CLIENT });
  });

  test("nothing listens", async () => {
    const imds = await fakeMetadataService(() => undefined);
    await imds[Symbol.asyncDispose]();
    const { ok, message } = await tokenByClientId({ origin: imds.origin, timeoutMs: 5000 }, RESOURCE, CLIENT)(never);
    expect(ok).toBe(false);
    expect(message).toContain("ECONNREFUSED");
  });

  test("no answer in time", async () => {
    await using imds = await fakeMetadataService(() => undefined);
    const { ok, message } = await tokenByClientId({ origin: imds.origin, timeoutMs: 1 }, RESOURCE, CLIENT)(never);
    expect(ok).toBe(false);
    expect(message).toContain("timeout");
  });
});

describe("instanceMetadata", () => {
  test.for<{ name: string; answer: Answer; ok: boolean; want: string }>([
    {
      name: "metadata",
      answer: { body: { compute: { name: "node1" } } },
      ok: true,
      want: "successfully made GET on instance metadata",
    },
    {
      name: "a refusal",
      answer: refused,
      ok: false,
      want: "failed GET on instance metadata: 403 Forbidden: no-binding: no AzureIdentityBinding selects the pod",
    },
    {
      name: "something else",
      answer: { body: {} },
      ok: false,
      want: "failed GET on instance metadata: 200, but the answer holds no compute section",
    },
  ])("$name", async ({ answer, ok, want }) => {
    await using imds = await fakeMetadataService(() => answer);
    expect(await instanceMetadata({ origin: imds.origin, timeoutMs: 5000 })(never)).toEqual({ ok, message: want });
    expect(imds.seen[0]).toMatchObject({ path: "/metadata/instance", headers: { metadata: "true" } });
  });
});
