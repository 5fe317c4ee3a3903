import { verify, X509Certificate } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { decodeJwt } from "../entra/jwt.ts";
import type { Send, TestCloud, TestReply } from "../test-cloud.ts";
import { APP, GROUP, identityId, SCALE_SET, send, startTestCloud, TENANT, VM } from "../test-cloud.ts";

const ID1 = "aaaaaaaa-0000-4000-8000-000000000001";
const ARM = encodeURIComponent("https://management.azure.com/");
const TOKEN = `/metadata/identity/oauth2/token?api-version=2018-02-01&resource=${ARM}`;
const METADATA = { headers: { Metadata: "true" } };

let cloud: TestCloud;
let base: string;
beforeEach(async () => {
  cloud = await startTestCloud();
  base = (await cloud.emulator.startImds(VM)).url;
});
afterEach(() => cloud.emulator.close());

const get = (path: string, o: Send = METADATA): Promise<TestReply> => send(`${base}${path}`, o);

test("a token as IMDS writes it: order, strings, headers", async () => {
  const reply = await get(TOKEN);
  expect(reply.status).toBe(200);
  const { access_token } = reply.json();
  expect(reply.text).toBe(
    `{"access_token":"${access_token}","client_id":"${ID1}","expires_in":"86399","expires_on":"1772452800","ext_expires_in":"86399","not_before":"1772366100","resource":"https://management.azure.com/","token_type":"Bearer"}`,
  );
  const names = reply.rawHeaders.filter((_, index) => index % 2 === 0);
  expect(names).toEqual(["Content-Type", "Server", "x-ms-request-id", "Content-Length", "Date", "Connection"]);
  expect(reply.headers).toMatchObject({
    "content-type": "application/json; charset=utf-8",
    server: expect.stringMatching(/^IMDS\/150\.870\.65\.\d+$/),
  });
  const jwt = decodeJwt(access_token);
  expect(jwt?.claims).toMatchObject({
    aud: "https://management.azure.com/",
    iss: `https://sts.windows.net/${TENANT}/`,
    tid: TENANT,
    oid: "bbbbbbbb-0000-4000-8000-000000000001",
    sub: "bbbbbbbb-0000-4000-8000-000000000001",
    appid: ID1,
    appidacr: "2",
    idtyp: "app",
    ver: "1.0",
    exp: 1_772_452_800,
    nbf: 1_772_366_100,
    xms_mirid: identityId("id1").replace("/resourceGroups/", "/resourcegroups/"),
    xms_az_rid: VM,
  });
});

const error = (code: string, description: string): string =>
  JSON.stringify({ error: code, error_description: description });

describe("refusals, byte by byte", () => {
  test.for<{ name: string; path: string; request?: Send; status: number; body: string; length?: number }>([
    {
      name: "no header",
      path: TOKEN,
      request: {},
      status: 400,
      body: error("invalid_request", "Required metadata header not specified"),
      length: 88,
    },
    {
      name: "header false",
      path: TOKEN,
      request: { headers: { Metadata: "false" } },
      status: 400,
      body: error("invalid_request", "Required metadata header not specified"),
    },
    {
      name: "unknown client id",
      path: `${TOKEN}&client_id=${APP}`,
      status: 400,
      body: error("invalid_request", "Identity not found"),
      length: 68,
    },
    {
      name: "unattached resource id",
      path: `${TOKEN}&msi_res_id=${identityId("id2")}`,
      status: 400,
      body: error("invalid_request", "Identity not found"),
    },
    {
      name: "no resource",
      path: "/metadata/identity/oauth2/token?api-version=2018-02-01",
      status: 400,
      body: error("invalid_request", "Required query variable 'resource' is missing"),
    },
    {
      name: "no api-version",
      path: `/metadata/identity/oauth2/token?resource=${ARM}`,
      status: 400,
      body: error("invalid_request", "Required query variable 'api-version' is missing"),
    },
    {
      name: "bad api-version",
      path: `/metadata/identity/oauth2/token?api-version=2000-01-01&resource=${ARM}`,
      status: 400,
      body: error("invalid_request", "Invalid 'api-version' requested"),
    },
    {
      name: "too old api-version",
      path: `/metadata/identity/oauth2/token?api-version=2017-12-01&resource=${ARM}`,
      status: 400,
      body: error("invalid_request", "Invalid 'api-version' requested"),
    },
    {
      name: "two kinds of id",
      path: `${TOKEN}&client_id=${ID1}&mi_res_id=x`,
      status: 400,
      body: error(
        "invalid_request",
        "The query variables 'client_id', 'object_id' and 'msi_res_id' are mutually exclusive",
      ),
    },
    {
      name: "forwarded",
      path: TOKEN,
      request: { headers: { Metadata: "true", "X-Forwarded-For": "10.0.0.1" } },
      status: 400,
      body: error("invalid_request", "X-Forwarded-For header is not allowed"),
    },
    {
      name: "parameter twice",
      path: `${TOKEN}&resource=x`,
      status: 400,
      body: error("invalid_request", "Duplicate query parameters are not allowed"),
    },
    { name: "unknown identity path", path: "/metadata/identity", status: 404, body: '{"error":"Not Found"}' },
    {
      name: "second generation, no header",
      path: "/metadata/identity/getplatformmetadata?cred-api-version=2.0",
      request: {},
      status: 404,
      body: '{"error":"Not Found"}',
    },
    {
      name: "instance without header",
      path: "/metadata/instance?api-version=2021-02-01",
      request: {},
      status: 400,
      body: '{ "error": "Bad request. Required metadata header not specified" }',
    },
    {
      name: "instance without version",
      path: "/metadata/instance",
      status: 400,
      body: '{"error":"Bad request. api-version is invalid or was not specified in the request. For more information refer to aka.ms/azureimds","newest-versions":["2025-04-07","2024-07-17","2024-03-15"]}',
    },
    {
      name: "unknown leaf",
      path: "/metadata/instance/compute/nothing?api-version=2021-02-01",
      status: 404,
      body: '{ "error": "Not found" }',
    },
    {
      name: "unknown path",
      path: "/metadata/other?api-version=2021-02-01",
      status: 404,
      body: '{ "error": "Not found" }',
    },
  ])("$name", async ({ path, request, status, body, length }) => {
    const reply = await get(path, request ?? METADATA);
    expect({ status: reply.status, body: reply.text }).toEqual({ status, body });
    expect(reply.headers["content-type"]).toBe("application/json; charset=utf-8");
    if (length !== undefined) expect(reply.headers["content-length"]).toBe(String(length));
  });

  test("other verbs meet the web server", async () => {
    const reply = await get(TOKEN, { ...METADATA, method: "POST" });
    expect(reply.status).toBe(405);
    expect(reply.headers["content-type"]).toBe("text/html");
    expect(reply.text).toContain("405 - HTTP verb used to access this page is not allowed.");
  });

  test("an unknown resource is refused with Entra's own words", async () => {
    const reply = await get(TOKEN.replace(ARM, "https://managements.azure.com"));
    expect(reply.status).toBe(400);
    expect(reply.json()).toEqual({
      error: "invalid_resource",
      error_description: expect.stringMatching(
        /^AADSTS500011: The resource principal named https:\/\/managements\.azure\.com was not found in the tenant named Contoso\. /,
      ),
    });
  });
});

describe("which identity", () => {
  test.for<{ name: string; query: string; system?: boolean; second?: boolean; want: string | number }>([
    { name: "the only one", query: "", want: ID1 },
    { name: "client id in capitals", query: `&client_id=${ID1.toUpperCase()}`, want: ID1 },
    { name: "object id", query: "&object_id=BBBBBBBB-0000-4000-8000-000000000001", want: ID1 },
    { name: "msi_res_id", query: `&msi_res_id=${identityId("id1")}`, want: ID1 },
    {
      name: "mi_res_id in lower case, encoded",
      query: `&mi_res_id=${encodeURIComponent(identityId("id1").toLowerCase())}`,
      want: ID1,
    },
    { name: "an empty parameter is none", query: "&client_id=", want: ID1 },
    { name: "several: ambiguous", query: "", second: true, want: 168 },
    {
      name: "system-assigned before all others",
      query: "",
      system: true,
      second: true,
      want: "aaaaaaaa-0000-4000-8000-000000000099",
    },
  ])("$name", async ({ query, system, second, want }) => {
    cloud.emulator.state.addVirtualMachine({
      id: VM,
      userAssigned: [identityId("id1"), ...(second === true ? [identityId("id2")] : [])],
      ...(system === true ? { systemAssigned: { clientId: "aaaaaaaa-0000-4000-8000-000000000099" } } : {}),
    });
    const reply = await get(`${TOKEN}${query}`);
    if (typeof want === "string") expect(reply.json()).toMatchObject({ client_id: want });
    else {
      expect(reply.headers["content-length"]).toBe(String(want));
      expect(reply.json().error_description).toBe(
        "Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request",
      );
    }
  });

  test("paths in other spellings", async () => {
    for (const path of [
      TOKEN.replace("/metadata", "/Metadata"),
      TOKEN.replace("token?", "token/?"),
      TOKEN.replace("/metadata", "//metadata"),
    ])
      expect((await get(path)).status).toBe(200);
    expect((await get(TOKEN.replace("identity", "Identity"))).status).toBe(404);
  });

  test("a deleted identity, and one re-created under the same name, is not found until attached again", async () => {
    const { state } = cloud.emulator;
    state.deleteIdentity(identityId("id1"));
    expect((await get(TOKEN)).json().error_description).toBe("Identity not found");
    const again = state.addIdentity({ id: identityId("id1") });
    expect((await get(`${TOKEN}&msi_res_id=${identityId("id1")}`)).status).toBe(400);
    state.detach(VM, identityId("id1"));
    state.attach(VM, identityId("id1"));
    expect((await get(TOKEN)).json().client_id).toBe(again.principal.clientId);
  });
});

test("IMDS gives the token it has until it is about to end, and another one for bypass_cache", async () => {
  const first = (await get(TOKEN)).json();
  cloud.clock.advance(82_000);
  const later = (await get(TOKEN)).json();
  expect(later).toEqual({ ...first, expires_in: "86317" });
  const bypassed = (await get(`${TOKEN}&bypass_cache=true`)).json();
  expect(bypassed.access_token).not.toBe(first.access_token);
  expect((await get(`${TOKEN}&bypass_cache=false`)).json().access_token).toBe(bypassed.access_token);
  expect((await get(TOKEN.replace(ARM, "https://vault.azure.net"))).json().access_token).not.toBe(
    bypassed.access_token,
  );
  cloud.clock.advance(86_400_000 - 300_000);
  expect((await get(TOKEN)).json()).toMatchObject({ expires_in: "86399" });
});

test("what ARM attaches reaches IMDS after the operation and the lag", async () => {
  const { state } = cloud.emulator;
  state.configure({ operationMs: 5000, imdsLagMs: 3000 });
  const body = {
    identity: { type: "UserAssigned", userAssignedIdentities: { [identityId("id2")]: {}, [identityId("id1")]: null } },
  };
  await cloud.arm("PATCH", VM, { body });
  const statuses = async (): Promise<number[]> => [
    (await get(`${TOKEN}&msi_res_id=${identityId("id1")}`)).status,
    (await get(`${TOKEN}&msi_res_id=${identityId("id2")}`)).status,
  ];
  expect(await statuses()).toEqual([200, 400]);
  cloud.clock.advance(7999);
  expect(await statuses()).toEqual([200, 400]);
  cloud.clock.advance(1);
  expect(await statuses()).toEqual([400, 200]);
});

test("instances of a uniform scale set serve the model's identities, members of a flexible one their own", async () => {
  const { emulator } = cloud;
  const flexible = `${GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/flex`;
  emulator.state.addScaleSet({ id: flexible, orchestrationMode: "Flexible", instances: 2 });
  emulator.state.attach(SCALE_SET, identityId("id1"));
  emulator.state.attach(flexible, identityId("id1"));
  emulator.state.attach(`${GROUP}/providers/Microsoft.Compute/virtualMachines/flex_1`, identityId("id2"));
  const status = async (machine: string): Promise<number> => {
    const imds = await emulator.startImds(machine);
    return (await send(`${imds.url}${TOKEN}`, METADATA)).status;
  };
  expect(await status(`azure://${SCALE_SET}/virtualMachines/1`)).toBe(200);
  expect(await status(`${GROUP}/providers/Microsoft.Compute/virtualMachines/flex_0`)).toBe(400);
  expect(await status(`${GROUP}/providers/Microsoft.Compute/virtualMachines/flex_1`)).toBe(200);
  await expect(status(`${SCALE_SET}/virtualMachines/7`)).rejects.toThrow(
    /virtualMachines\/7" is no VM or scale set instance/,
  );
});

describe("limits", () => {
  test("20 identity requests a second", async () => {
    for (let count = 0; count < 20; count += 1) expect((await get(TOKEN)).status).toBe(200);
    const refused = await get(TOKEN);
    expect(refused).toMatchObject({
      status: 429,
      reason: "",
      text: error("invalid_request", "Temporarily throttled, too many requests"),
    });
    expect(refused.headers["content-length"]).toBe("90");
    expect(refused.headers["retry-after"]).toBeUndefined();
    cloud.clock.advance(1000);
    expect((await get(TOKEN)).status).toBe(200);
  });

  test("5 at the same time", async () => {
    cloud.emulator.state.configure({ latencyMs: { imds: 100 } });
    const running = Array.from({ length: 5 }, () => get(TOKEN));
    await expect.poll(() => cloud.clock.waiting).toBe(5);
    expect((await get(TOKEN)).status).toBe(429);
    cloud.clock.advance(100);
    for (const reply of await Promise.all(running)) expect(reply.status).toBe(200);
  });

  test("5 others a second, apart from the identities; undefined switches a limit off", async () => {
    const statuses = async (): Promise<Set<number>> =>
      new Set(
        (await Promise.all(Array.from({ length: 6 }, () => get("/metadata/versions")))).map(({ status }) => status),
      );
    expect(await statuses()).toEqual(new Set([200, 429]));
    cloud.emulator.state.configure({ imdsLimits: { otherPerSecond: undefined } });
    expect(await statuses()).toEqual(new Set([200]));
  });
});

describe("the rest of the metadata", () => {
  test("instance as tree, leaf and list of names", async () => {
    const tree = (await get("/metadata/instance?api-version=2021-12-13")).json();
    expect(tree.compute).toMatchObject({
      azEnvironment: "AzurePublicCloud",
      name: "vm1",
      resourceGroupName: "rg",
      resourceId: VM,
      vmId: "cccccccc-0000-4000-8000-000000000001",
      vmScaleSetName: "",
    });
    expect((await get("/metadata/instance/compute/vmId?api-version=2021-12-13&format=text")).text).toBe(
      "cccccccc-0000-4000-8000-000000000001",
    );
    expect((await get("/metadata/instance/compute/vmId?api-version=2021-12-13")).status).toBe(400);
    cloud.clock.advance(1000);
    expect((await get("/metadata/instance?api-version=2021-12-13&format=text")).text).toBe("compute/\nnetwork/");
    expect(
      (
        await get(
          "/metadata/instance/network/interface/0/ipv4/ipAddress/0/privateIpAddress?api-version=2021-12-13&format=text",
        )
      ).text,
    ).toBe("10.0.0.4");
    expect(Object.keys((await get("/metadata/instance?api-version=2017-04-02")).json().compute)).toEqual([
      "location",
      "name",
      "offer",
      "osType",
      "platformFaultDomain",
      "platformUpdateDomain",
      "publisher",
      "sku",
      "version",
      "vmId",
      "vmSize",
    ]);
  });

  test("versions, tenant, load balancer", async () => {
    expect((await get("/metadata/versions")).json().apiVersions).toHaveLength(35);
    expect((await get("/metadata/identity/info?api-version=2018-02-01")).text).toBe(`{"tenantId":"${TENANT}"}`);
    expect((await get("/metadata/loadbalancer?api-version=2020-10-01")).text).toBe(
      '{"loadbalancer":{"publicIpAddresses":[],"inboundRules":[],"outboundRules":[]}}',
    );
  });

  test("scheduled events are listed and started", async () => {
    const imds = await cloud.emulator.startImds(VM);
    const path = `${imds.url}/metadata/scheduledevents?api-version=2020-07-01`;
    expect((await send(path, METADATA)).text).toBe('{"DocumentIncarnation":1,"Events":[]}');
    const { EventId } = imds.events.add({
      EventType: "Reboot",
      Resources: ["vm1"],
      NotBefore: "Mon, 02 Mar 2026 00:00:00 GMT",
    });
    expect((await send(path, { ...METADATA, method: "POST", body: { StartRequests: [{ EventId }] } })).status).toBe(
      200,
    );
    expect((await send(path, METADATA)).json()).toMatchObject({
      DocumentIncarnation: 3,
      Events: [{ EventId, EventType: "Reboot", EventStatus: "Started", NotBefore: "" }],
    });
    expect(
      (await send(path, { ...METADATA, method: "POST", body: { StartRequests: [{ EventId: "x" }] } })).status,
    ).toBe(400);
  });

  test("the attested document is signed by the certificate it carries", async () => {
    const { encoding, signature } = (
      await get("/metadata/attested/document?api-version=2021-02-01&nonce=1234567890")
    ).json();
    expect(encoding).toBe("pkcs7");
    const bytes = Buffer.from(signature, "base64");
    expect(bytes.toString("latin1")).toContain('"nonce":"1234567890"');
    const start = bytes.indexOf(Buffer.of(0xa0, 0x82), bytes.indexOf("vmId")) + 4;
    const certificate = new X509Certificate(bytes.subarray(start, start + 4 + bytes.readUInt16BE(start + 2)));
    const attributes = bytes.lastIndexOf(Buffer.from([0xa0, 0x4b]));
    const signed = Buffer.concat([Buffer.of(0x31), bytes.subarray(attributes + 1, attributes + 2 + 0x4b)]);
    expect(verify("sha256", signed, certificate.publicKey, bytes.subarray(-256))).toBe(true);
  });
});
