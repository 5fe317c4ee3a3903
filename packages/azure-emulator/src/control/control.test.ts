import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { TestCloud, TestReply } from "../test-cloud.ts";
import { identityId, SCALE_SET, send, startTestCloud, SUBSCRIPTION, TEST_SEED, VM } from "../test-cloud.ts";

let cloud: TestCloud;
beforeEach(async () => {
  cloud = await startTestCloud();
});
afterEach(() => cloud.emulator.close());

const control = (method: string, path: string, body?: unknown): Promise<TestReply> =>
  send(`${cloud.emulator.controlUrl}${path}`, { method, ...(body === undefined ? {} : { body }) });

const token = (url: string, query = ""): Promise<TestReply> =>
  send(`${url}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net${query}`, {
    headers: { Metadata: "true" },
  });

test("health and the CA", async () => {
  expect((await control("GET", "/healthz")).text).toBe("ok");
  expect((await control("GET", "/ca.pem")).text).toBe(cloud.emulator.caPem);
});

test("what is read as a seed can be put back", async () => {
  await control("PATCH", "/settings", { imdsLimits: { identityPerSecond: null } });
  await cloud.arm("PATCH", SCALE_SET, {
    body: { identity: { type: "SystemAssigned, UserAssigned", userAssignedIdentities: { [identityId("id2")]: {} } } },
  });
  const seed = (await control("GET", "/seed")).json();
  expect((await control("PUT", "/seed", {})).status).toBe(204);
  expect((await control("GET", "/seed")).json().virtualMachines).toEqual([]);
  expect((await control("PUT", "/seed", seed)).status).toBe(204);
  expect((await control("GET", "/seed")).json()).toEqual(seed);
  expect(cloud.emulator.state.settings.imdsLimits.identityPerSecond).toBeUndefined();
});

test("POST /seed adds", async () => {
  await control("POST", "/seed", { userAssignedIdentities: [{ id: identityId("id9") }] });
  expect(cloud.emulator.state.identities.list().map(({ name }) => name)).toEqual(["id1", "id2", "id9"]);
});

test("IMDS of a machine, attachments behind everybody's back, and the log", async () => {
  const { id, url } = (await control("POST", "/imds", { machine: `${SCALE_SET}/virtualMachines/0` })).json();
  expect((await token(url)).status).toBe(400);
  await control("POST", "/attachments", { machine: SCALE_SET, identity: identityId("id2") });
  expect((await token(url)).status).toBe(200);
  await control(
    "DELETE",
    `/attachments?${new URLSearchParams({ machine: SCALE_SET, identity: identityId("id2") }).toString()}`,
  );
  expect((await token(url)).status).toBe(400);
  const log = (
    await control("GET", `/requests?service=imds&status=200&machine=${encodeURIComponent(`${SCALE_SET}*`)}`)
  ).json();
  expect(log).toMatchObject([{ operation: "token", status: 200 }]);
  expect((await control("GET", "/requests?after=1")).json()).toHaveLength(2);
  expect((await control("DELETE", "/requests")).status).toBe(204);
  expect((await control("GET", "/requests")).json()).toEqual([]);
  expect((await control("GET", "/imds")).json()).toMatchObject([{ id, url }]);
  expect((await control("DELETE", `/imds/${id}`)).status).toBe(204);
  await expect(token(url)).rejects.toThrow(/ECONNREFUSED/);
});

test("faults come and go", async () => {
  const { url } = await cloud.emulator.startImds(VM);
  const { id } = (await control("POST", "/faults", { match: { service: "imds" }, error: "gone" })).json();
  expect((await token(url)).status).toBe(410);
  expect((await control("GET", "/faults")).json()).toMatchObject([{ id, met: 1 }]);
  expect((await control("DELETE", `/faults/${id}`)).status).toBe(204);
  expect((await control("DELETE", `/faults/${id}`)).status).toBe(404);
  expect((await token(url)).status).toBe(200);
  await control("POST", "/faults", { match: { service: "imds" }, error: "gone" });
  await control("DELETE", "/faults");
  expect((await token(url)).status).toBe(200);
});

test.for<{ name: string; request: [method: string, path: string, body?: unknown]; status: number; says: string }>([
  {
    name: "a setting that is none",
    request: ["PATCH", "/settings", { operationMS: 1 }],
    status: 400,
    says: '"operationMS" is not a setting',
  },
  {
    name: "a fault's misspelt part",
    request: ["POST", "/faults", { match: { servise: "imds" } }],
    status: 400,
    says: 'match: "servise" is not known; use service',
  },
  {
    name: "a seed's misspelt part",
    request: ["PUT", "/seed", { vms: [] }],
    status: 400,
    says: 'seed: "vms" is not known; use tenants',
  },
  { name: "no JSON", request: ["PUT", "/seed", "{"], status: 400, says: "JSON" },
  { name: "a list", request: ["POST", "/seed", []], status: 400, says: "must be a JSON object" },
  {
    name: "a bad id",
    request: ["POST", "/seed", { virtualMachines: [{ id: "vm1" }] }],
    status: 400,
    says: 'id "vm1" must be /subscriptions/',
  },
  {
    name: "an unknown role",
    request: ["POST", "/seed", { roleAssignments: [{ principal: identityId("id1"), role: "King", scope: "/" }] }],
    status: 400,
    says: 'role "King" is not defined; use one of Owner',
  },
  {
    name: "an unknown principal",
    request: ["POST", "/seed", { roleAssignments: [{ principal: "me", role: "Owner", scope: "/" }] }],
    status: 400,
    says: 'principal "me" is nobody',
  },
  {
    name: "an unknown machine",
    request: ["POST", "/imds", { machine: `${VM}2` }],
    status: 400,
    says: "is no VM or scale set instance",
  },
  { name: "a filter that is none", request: ["GET", "/requests?color=red"], status: 400, says: '"color" is no filter' },
  { name: "an unknown route", request: ["GET", "/nothing"], status: 404, says: "GET /nothing does not exist" },
])("refused: $name", async ({ request, status, says }) => {
  const reply = await control(...request);
  expect(reply.status).toBe(status);
  expect(reply.json().error_description).toContain(says);
});

test("sockets that somebody else listens on", async () => {
  const listening = async (): Promise<{ server: ReturnType<typeof createServer>; port: number }> => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return { server, port: (server.address() as AddressInfo).port };
  };
  const [tls, steering, metadata] = [await listening(), await listening(), await listening()];
  cloud.emulator.acceptTls(tls.server);
  cloud.emulator.acceptControl(steering.server);
  const imds = await cloud.emulator.startImds(VM, { server: metadata.server });
  expect(imds.url).toBe(`http://127.0.0.1:${metadata.port}`);
  expect((await token(imds.url)).status).toBe(200);
  expect((await send(`http://127.0.0.1:${steering.port}/healthz`)).text).toBe("ok");
  const bearer = await cloud.emulator.issueToken({
    principal: TEST_SEED.apps?.[0]?.clientId ?? "",
    resource: "https://management.azure.com/",
  });
  const reply = await send(`https://127.0.0.1:${tls.port}/subscriptions/${SUBSCRIPTION}?api-version=2022-12-01`, {
    ca: cloud.emulator.caPem,
    headers: { authorization: `Bearer ${bearer}` },
  });
  expect(reply.status).toBe(200);
  await imds.close();
  expect(metadata.server.listening).toBe(false);
  await cloud.emulator.close();
  expect([tls.server.listening, steering.server.listening]).toEqual([false, false]);
});
