import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Faults, like } from "./faults.ts";
import type { TestCloud } from "./test-cloud.ts";
import { APP, identityId, SCALE_SET, send, startTestCloud, TENANT, VM } from "./test-cloud.ts";

describe("patterns", () => {
  test.for<[pattern: string | undefined, text: string | undefined, want: boolean]>([
    [undefined, undefined, true],
    ["a", undefined, false],
    ["Token", "token", true],
    ["tok", "token", false],
    ["Microsoft.Compute/*/write", "Microsoft.Compute/virtualMachines/write", true],
    ["*/read", "Microsoft.Compute/virtualMachines/write", false],
    ["a*a", "a", false],
    ["a*b*c", "a-c-b-c", true],
    ["*", "", true],
  ])("%s against %s", ([pattern, text, want]) => expect(like(pattern, text)).toBe(want));

  test("agree with the regular expression they stand for", () => {
    const part = fc.string({ unit: fc.constantFrom("a", "b", "*"), maxLength: 6 });
    fc.assert(
      fc.property(part, part, (pattern, raw) => {
        const text = raw.replaceAll("*", "c");
        expect(like(pattern, text)).toBe(new RegExp(`^${pattern.replaceAll("*", ".*")}$`).test(text));
      }),
    );
  });
});

test("skip and times count the requests that match", () => {
  const faults = new Faults();
  faults.add({ id: "f", match: { service: "arm", resource: SCALE_SET }, skip: 1, times: 2 });
  const meet = (resource: string): number =>
    faults.strike({ service: "arm", method: "GET", path: "/", operation: "x", resource }).length;
  const below = `${SCALE_SET.toUpperCase()}/virtualMachines/0`;
  expect([meet(SCALE_SET), meet(VM), meet(below), meet(SCALE_SET), meet(SCALE_SET)]).toEqual([0, 0, 1, 1, 0]);
  expect(faults.list()).toMatchObject([{ id: "f", met: 4 }]);
});

describe("on the wire", () => {
  let cloud: TestCloud;
  let token: string;
  beforeEach(async () => {
    cloud = await startTestCloud();
    token = `${(await cloud.emulator.startImds(VM)).url}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net`;
  });
  afterEach(() => cloud.emulator.close());
  const ask = (): ReturnType<typeof send> => send(token, { headers: { Metadata: "true" } });

  test.for<{ error: string; status: number; body: string }>([
    {
      error: "metadata-missing",
      status: 400,
      body: '{"error":"invalid_request","error_description":"Required metadata header not specified"}',
    },
    {
      error: "identity-not-found",
      status: 400,
      body: '{"error":"invalid_request","error_description":"Identity not found"}',
    },
    {
      error: "identity-ambiguous",
      status: 400,
      body: '{"error":"invalid_request","error_description":"Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request"}',
    },
    {
      error: "throttled",
      status: 429,
      body: '{"error":"invalid_request","error_description":"Temporarily throttled, too many requests"}',
    },
    { error: "updating", status: 404, body: '{"error":"not_found","error_description":"IMDS is updating"}' },
    {
      error: "gone",
      status: 410,
      body: '{"error":"gone","error_description":"IMDS is going through updates; it will be available within 70 seconds"}',
    },
    {
      error: "unknown-source",
      status: 401,
      body: '{"error":"unknown_source","error_description":"Unknown Source http://169.254.169.254"}',
    },
    {
      error: "unknown",
      status: 500,
      body: '{"error":"unknown","error_description":"Failed to retrieve token from the Active directory. For details see logs in <file path>"}',
    },
    { error: "restarting", status: 500, body: "" },
  ])("IMDS: $error", async ({ error, status, body }) => {
    cloud.emulator.state.faults.add({ match: { service: "imds", operation: "token" }, error, times: 1 });
    expect(await ask()).toMatchObject({ status, text: body });
    expect((await ask()).status).toBe(200);
  });

  test.for([
    50027, 50059, 70003, 70011, 70021, 70023, 70025, 90002, 90061, 500011, 700016, 700021, 700023, 700024, 700027,
    700211, 700212, 700213, 700222, 900144, 7000215, 7000216, 7000222, 7002138,
  ])("Entra: AADSTS%d", async (code) => {
    cloud.emulator.state.faults.add({ match: { service: "entra", clientId: APP }, error: String(code) });
    const reply = await cloud.entra(`/${TENANT}/oauth2/v2.0/token`, { client_id: APP });
    expect(reply.json().error_codes).toEqual([code]);
    expect(reply.json().error_description).toMatch(new RegExp(`^AADSTS${code}: `));
  });

  test("Entra throttles without JSON", async () => {
    cloud.emulator.state.faults.add({ match: { service: "entra" }, error: "throttled" });
    expect(await cloud.entra(`/${TENANT}/oauth2/v2.0/token`, {})).toMatchObject({
      status: 429,
      text: "Too Many Requests",
      headers: { "retry-after": "60" },
    });
  });

  test("any answer at all", async () => {
    cloud.emulator.state.faults.add({
      match: { service: "imds" },
      respond: { status: 503, reason: "Busy", headers: { "Retry-After": "7" }, body: { a: 1 } },
    });
    expect(await ask()).toMatchObject({
      status: 503,
      reason: "Busy",
      text: '{"a":1}',
      headers: { "retry-after": "7", "content-type": "application/json; charset=utf-8" },
    });
  });

  test("a delay, then the ordinary answer", async () => {
    cloud.emulator.state.faults.add({ match: { service: "imds" }, delayMs: 30_000 });
    const asked = ask();
    await expect.poll(() => cloud.clock.waiting).toBe(1);
    expect(cloud.emulator.requests.entries({ service: "imds" })).toMatchObject([{ status: undefined }]);
    cloud.clock.advance(30_000);
    expect((await asked).status).toBe(200);
    expect(cloud.emulator.requests.entries({ service: "imds" })).toMatchObject([
      { status: 200, durationMs: 30_000, faults: ["fault-1"] },
    ]);
  });

  test("a reset, and silence until the client gives up", async () => {
    const reset = cloud.emulator.state.faults.add({ match: { service: "imds" }, reset: true });
    await expect(ask()).rejects.toMatchObject({ code: "ECONNRESET" });
    cloud.emulator.state.faults.remove(reset);
    cloud.emulator.state.faults.add({ match: { service: "imds" }, hang: true });
    const patience = new AbortController();
    const asked = fetch(token, { headers: { Metadata: "true" }, signal: patience.signal });
    await expect.poll(() => cloud.emulator.requests.count({ service: "imds" })).toBe(2);
    patience.abort();
    await expect(asked).rejects.toThrow(/abort/);
    await cloud.emulator.requests.waitFor({ service: "imds", status: 0, after: 1 });
  });

  test("a reset beneath TLS", async () => {
    cloud.emulator.state.faults.add({ match: { service: "arm" }, reset: true, times: 1 });
    await expect(cloud.arm("GET", VM)).rejects.toMatchObject({ code: "ECONNRESET" });
    expect((await cloud.arm("GET", VM)).status).toBe(200);
  });

  test("closing ends what hangs", async () => {
    cloud.emulator.state.faults.add({ match: { service: "imds" }, hang: true });
    const asked = ask();
    await expect.poll(() => cloud.emulator.requests.count()).toBe(1);
    await cloud.emulator.close();
    await expect(asked).rejects.toThrow(/hang up|ECONNRESET/);
  });

  test("a name that no error has is the emulator's own error", async () => {
    cloud.emulator.state.faults.add({ match: { service: "imds" }, error: "nonsense" });
    expect((await ask()).json()).toMatchObject({
      error: "emulator_error",
      error_description: expect.stringContaining('"nonsense"'),
    });
  });

  test("the log shows who asked for what, never a secret", async () => {
    await ask();
    await cloud.entra(`/${TENANT}/oauth2/v2.0/token?client_secret=s3cret`, {
      grant_type: "client_credentials",
      client_id: APP,
      client_secret: "s3cret",
      scope: "https://vault.azure.net/.default",
    });
    await cloud.arm("GET", identityId("gone"));
    const entries = cloud.emulator.requests.entries();
    expect(entries).toMatchObject([
      {
        service: "imds",
        operation: "token",
        machine: VM,
        status: 200,
        caller: "aaaaaaaa-0000-4000-8000-000000000001",
        peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      },
      {
        service: "entra",
        operation: "token",
        clientId: APP,
        caller: APP,
        resource: "https://vault.azure.net",
        status: 200,
        url: expect.stringContaining("client_secret=(removed)"),
      },
      {
        service: "arm",
        operation: "Microsoft.ManagedIdentity/userAssignedIdentities/read",
        status: 404,
        error: "ResourceNotFound",
        caller: APP,
      },
    ]);
    expect(JSON.stringify(entries)).not.toMatch(/s3cret|eyJ/);
  });
});
