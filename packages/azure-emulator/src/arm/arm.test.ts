import { generateKeyPairSync } from "node:crypto";
import { decodeJwt, decodeProtectedHeader, SignJWT } from "jose";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { TestCloud } from "../test-cloud.ts";
import { APP, GROUP, identityId, SCALE_SET, startTestCloud, SUBSCRIPTION, TENANT, VM } from "../test-cloud.ts";

const APP_OBJECT = "33333333-0000-4000-8000-000000000000";
const ID1 = identityId("id1");
const ID2 = identityId("id2");
const attach = (...ids: string[]): object => ({
  identity: { type: "UserAssigned", userAssignedIdentities: Object.fromEntries(ids.map((id) => [id, {}])) },
});

let cloud: TestCloud;
beforeEach(async () => {
  cloud = await startTestCloud();
});
afterEach(() => cloud.emulator.close());

/** `METHOD host/path` of an absolute URL in a header, for the test's own connection. */
const pathOf = (url: unknown): string => {
  const { pathname, search } = new URL(String(url));
  return `${pathname}${search}`.replace(/&api-version=[^&]*/, "");
};

test("a PATCH adds an identity as recorded from Azure: 200, Updating, {} until the operation is over", async () => {
  cloud.emulator.state.configure({ operationMs: 5000 });
  const patched = await cloud.arm("PATCH", VM, {
    body: { identity: { type: "SystemAssigned, UserAssigned", userAssignedIdentities: { [ID2]: {} } } },
    version: "2021-11-01",
  });
  expect(patched.status).toBe(200);
  expect(patched.text).toMatch(/^\{\r\n {2}"name": "vm1",\r\n {2}"id": "/);
  const vm = patched.json();
  expect(Object.keys(vm)).toEqual(["name", "id", "type", "location", "identity", "properties"]);
  expect(vm.properties.provisioningState).toBe("Updating");
  expect(vm.identity).toEqual({
    type: "SystemAssigned, UserAssigned",
    principalId: expect.any(String),
    tenantId: TENANT,
    userAssignedIdentities: {
      [ID1]: { principalId: "bbbbbbbb-0000-4000-8000-000000000001", clientId: "aaaaaaaa-0000-4000-8000-000000000001" },
      [ID2]: {},
    },
  });
  expect(patched.headers).toMatchObject({
    "azure-asyncnotification": "Enabled",
    "azure-asyncoperation": expect.stringMatching(
      new RegExp(
        `^https://management\\.azure\\.com/subscriptions/${SUBSCRIPTION}/providers/Microsoft\\.Compute/locations/westus2/operations/[0-9a-f-]{36}\\?p=[0-9a-f-]{36}&api-version=2021-11-01$`,
      ),
    ),
    "cache-control": "no-cache",
    "content-type": "application/json; charset=utf-8",
    expires: "-1",
    pragma: "no-cache",
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    vary: "Accept-Encoding",
    "x-content-type-options": "nosniff",
    "x-ms-ratelimit-remaining-resource": "Microsoft.Compute/PutVM3Min;239,Microsoft.Compute/PutVM30Min;1199",
    "x-ms-ratelimit-remaining-subscription-writes": "199",
  });
  expect(patched.rawHeaders.filter((value) => value === "Microsoft-HTTPAPI/2.0")).toHaveLength(2);
  expect(patched.headers.location).toBeUndefined();
  expect(patched.headers["retry-after"]).toBeUndefined();

  const follow = pathOf(patched.headers["azure-asyncoperation"]);
  const name = /operations\/([^?]+)/.exec(follow)?.[1];
  expect((await cloud.arm("GET", follow)).json()).toEqual({
    startTime: "2026-03-01T12:00:00.25+00:00",
    status: "InProgress",
    name,
  });
  cloud.clock.advance(5000);
  expect((await cloud.arm("GET", follow)).json()).toEqual({
    startTime: "2026-03-01T12:00:00.25+00:00",
    endTime: "2026-03-01T12:00:05.25+00:00",
    status: "Succeeded",
    name,
  });
  const done = (await cloud.arm("GET", VM)).json();
  expect(done.properties.provisioningState).toBe("Succeeded");
  expect(done.identity.userAssignedIdentities[ID2]).toEqual({
    principalId: "bbbbbbbb-0000-4000-8000-000000000002",
    clientId: "aaaaaaaa-0000-4000-8000-000000000002",
  });
});

test("removing in lower case keeps the casing of the others, and SystemAssigned drops the map", async () => {
  await cloud.arm("PATCH", SCALE_SET, {
    body: { identity: { type: "SystemAssigned,UserAssigned", userAssignedIdentities: { [ID1]: {}, [ID2]: {} } } },
  });
  const removed = await cloud.arm("PATCH", SCALE_SET.toLowerCase(), {
    body: { identity: { type: "SystemAssigned, UserAssigned", userAssignedIdentities: { [ID1.toLowerCase()]: null } } },
  });
  expect(removed.json().id).toBe(SCALE_SET);
  expect(Object.keys(removed.json().identity.userAssignedIdentities)).toEqual([ID2]);
  const last = (await cloud.arm("PATCH", SCALE_SET, { body: { identity: { type: "SystemAssigned" } } })).json();
  expect(Object.keys(last.identity)).toEqual(["type", "principalId", "tenantId"]);
  const none = (await cloud.arm("PATCH", SCALE_SET, { body: { identity: { type: "None" } } })).json();
  expect(none.identity).toBeUndefined();
});

describe("operations", () => {
  test("a later write preempts the earlier one, whose identities are attached with it", async () => {
    cloud.emulator.state.configure({ operationMs: 5000 });
    const first = await cloud.arm("PATCH", VM, { body: attach(ID2) });
    cloud.clock.advance(4000);
    const third = cloud.emulator.state.addIdentity({ id: identityId("id3") });
    await cloud.arm("PATCH", VM, { body: attach(third.id) });
    expect((await cloud.arm("GET", pathOf(first.headers["azure-asyncoperation"]))).json()).toMatchObject({
      status: "Canceled",
      error: { code: "OperationPreempted", message: "The operation has been preempted by a more recent operation" },
    });
    cloud.clock.advance(4999);
    expect((await cloud.arm("GET", VM)).json().identity.userAssignedIdentities[ID2]).toEqual({});
    cloud.clock.advance(1);
    expect((await cloud.arm("GET", VM)).json().identity.userAssignedIdentities[ID2]).toHaveProperty("clientId");
  });

  test("or is refused, when that is wanted", async () => {
    cloud.emulator.state.configure({ operationMs: 5000, concurrentWrites: "conflict" });
    await cloud.arm("PATCH", VM, { body: attach(ID2) });
    expect((await cloud.arm("PATCH", VM, { body: attach(ID2) })).json()).toEqual({
      error: {
        code: "Conflict",
        message:
          "The request failed due to conflict with a concurrent request. To resolve it, please refer to https://aka.ms/activitylog to get more details on the conflicting requests.",
      },
    });
  });

  test("one that fails leaves the identities as they were", async () => {
    const { state } = cloud.emulator;
    state.faults.add({
      match: { operation: "Microsoft.Compute/virtualMachines/write", resource: VM },
      times: 1,
      operationMs: 1000,
      operationFailure: { status: "Failed", code: "InternalOperationError", message: "An internal error occurred." },
    });
    const patched = await cloud.arm("PATCH", VM, { body: attach(ID2) });
    cloud.clock.advance(1000);
    expect((await cloud.arm("GET", pathOf(patched.headers["azure-asyncoperation"]))).json()).toMatchObject({
      status: "Failed",
      error: { code: "InternalOperationError", message: "An internal error occurred." },
    });
    const vm = (await cloud.arm("GET", VM)).json();
    expect(vm.properties.provisioningState).toBe("Failed");
    expect(Object.keys(vm.identity.userAssignedIdentities)).toEqual([ID1]);
  });

  test("deletion: 202 with both addresses, refused writes meanwhile, 404 in the end, 204 again", async () => {
    cloud.emulator.state.configure({ operationMs: 5000 });
    const deleted = await cloud.arm("DELETE", SCALE_SET);
    expect({ status: deleted.status, text: deleted.text }).toEqual({ status: 202, text: "" });
    expect(deleted.headers.location).toBe(`${String(deleted.headers["azure-asyncoperation"])}&monitor=true`);
    expect((await cloud.arm("PATCH", SCALE_SET, { body: attach(ID1) })).json().error).toEqual({
      code: "OperationNotAllowed",
      message:
        "Operation 'Update Virtual Machine Scale Set' is not allowed on Virtual Machine Scale Set 'vmss1' since it is marked for deletion. For more information on your operations, please refer to https://aka.ms/activitylog.",
    });
    const monitor = pathOf(deleted.headers.location);
    expect((await cloud.arm("GET", monitor)).status).toBe(202);
    cloud.clock.advance(5000);
    expect(await cloud.arm("GET", monitor)).toMatchObject({ status: 200, text: "" });
    expect((await cloud.arm("GET", SCALE_SET)).json()).toEqual({
      error: {
        code: "ResourceNotFound",
        message:
          "The Resource 'Microsoft.Compute/virtualMachineScaleSets/vmss1' under resource group 'rg' was not found.",
      },
    });
    expect((await cloud.arm("DELETE", SCALE_SET)).status).toBe(204);
  });
});

describe("etags", () => {
  test("a write needs the one of the last read", async () => {
    const { etag } = (await cloud.arm("GET", SCALE_SET)).json();
    expect(etag).toBe('"1"');
    expect(
      (await cloud.arm("PATCH", SCALE_SET, { body: attach(ID1), headers: { "if-match": etag } })).json().etag,
    ).toBe('"2"');
    await cloud.arm("PATCH", SCALE_SET, { body: attach(ID2), headers: { "if-match": "*" } });
    const refused = await cloud.arm("PATCH", SCALE_SET, { body: attach(ID2), headers: { "if-match": '"2"' } });
    expect({ status: refused.status, body: refused.json() }).toEqual({
      status: 412,
      body: {
        error: {
          code: "PreconditionFailed",
          message: 'Etag provided in if-match header "2" does not match etag "3" of resource.',
        },
      },
    });
    const create = await cloud.arm("PUT", SCALE_SET, {
      body: { location: "westus2" },
      headers: { "if-none-match": "*" },
    });
    expect(create.status).toBe(412);
  });

  test("older versions neither show nor check them", async () => {
    expect((await cloud.arm("GET", VM, { version: "2023-09-01" })).json().etag).toBeUndefined();
    expect(
      (await cloud.arm("PATCH", VM, { body: attach(ID2), version: "2023-09-01", headers: { "if-match": '"9"' } }))
        .status,
    ).toBe(200);
  });
});

describe("identities that are gone", () => {
  test("a deleted one shows as nulls and fails every write until it is removed", async () => {
    await cloud.arm("DELETE", ID1, { version: "2024-11-30" });
    expect((await cloud.arm("GET", VM)).json().identity.userAssignedIdentities[ID1]).toEqual({
      principalId: null,
      clientId: null,
    });
    const refused = await cloud.arm("PATCH", VM, { body: attach(ID2) });
    expect(refused.status).toBe(400);
    expect(refused.json().error).toEqual({
      code: "FailedIdentityOperation",
      message: `Identity operation for resource '${VM}' failed with error 'Failed to perform resource identity operation. Status: 'BadRequest'. Response: '{"error":{"code":"BadRequest","message":"Resource '${ID1.toLowerCase()}' was not found."}}'.'.`,
    });
    const swap = { identity: { type: "UserAssigned", userAssignedIdentities: { [ID1]: null, [ID2]: {} } } };
    expect((await cloud.arm("PATCH", VM, { body: swap })).status).toBe(200);
  });

  test("a re-created one keeps a dead entry until removed and added again", async () => {
    await cloud.arm("DELETE", ID1, { version: "2024-11-30" });
    const created = await cloud.arm("PUT", ID1, { body: { location: "westus2" }, version: "2024-11-30" });
    expect(created.status).toBe(201);
    expect(created.headers.location).toBe(created.json().id);
    expect(created.json().id).toContain("/resourcegroups/rg/");
    await cloud.arm("PATCH", VM, { body: attach(ID1) });
    expect((await cloud.arm("GET", VM)).json().identity.userAssignedIdentities[ID1]).toEqual({
      principalId: null,
      clientId: null,
    });
    await cloud.arm("PATCH", VM, { body: { identity: { type: "None" } } });
    await cloud.arm("PATCH", VM, { body: attach(ID1) });
    expect((await cloud.arm("GET", VM)).json().identity.userAssignedIdentities[ID1].clientId).toBe(
      created.json().properties.clientId,
    );
  });
});

describe("who may", () => {
  const nobody = (): Promise<string> => {
    cloud.emulator.state.addApp({
      clientId: "44444444-4444-4444-8444-444444444444",
      objectId: "44444444-0000-4000-8000-000000000000",
      tenantId: TENANT,
    });
    return cloud.emulator.issueToken({
      principal: "44444444-4444-4444-8444-444444444444",
      resource: "https://management.azure.com/",
    });
  };
  const grant = (role: string, scope: string): unknown =>
    cloud.emulator.state.addRoleAssignment({ principal: "44444444-4444-4444-8444-444444444444", role, scope });

  test("a list of VMs needs a role over the resource group", async () => {
    const token = await nobody();
    const path = `${GROUP}/providers/Microsoft.Compute/virtualMachines`;
    const refused = await cloud.arm("GET", path, { token });
    expect({ status: refused.status, text: refused.text }).toEqual({
      status: 403,
      text: JSON.stringify({
        error: {
          code: "AuthorizationFailed",
          message: `The client '44444444-4444-4444-8444-444444444444' with object id '44444444-0000-4000-8000-000000000000' does not have authorization to perform action 'Microsoft.Compute/virtualMachines/read' over scope '${GROUP}' or the scope is invalid. If access was recently granted, please refresh your credentials.`,
        },
      }),
    });
    grant("Reader", GROUP.toLowerCase());
    expect((await cloud.arm("GET", path, { token })).json().value).toHaveLength(1);
    expect(
      (await cloud.arm("GET", `/subscriptions/${SUBSCRIPTION}/providers/Microsoft.Compute/virtualMachines`, { token }))
        .status,
    ).toBe(403);
    expect((await cloud.arm("PATCH", VM, { token, body: {} })).status).toBe(403);
  });

  test("attaching needs the identity's operator role besides; the refusal names every id of the request", async () => {
    const token = await nobody();
    grant("Virtual Machine Contributor", GROUP);
    grant("Managed Identity Operator", ID1);
    const refused = await cloud.arm("PATCH", VM, { token, body: attach(ID1, ID2) });
    expect(refused.status).toBe(403);
    expect(refused.json().error).toEqual({
      code: "LinkedAuthorizationFailed",
      message: `The client '44444444-4444-4444-8444-444444444444' with object id '44444444-0000-4000-8000-000000000000' has permission to perform action 'Microsoft.Compute/virtualMachines/write' on scope '${VM}'; however, it does not have permission to perform action 'Microsoft.ManagedIdentity/userAssignedIdentities/assign/action' on the linked scope(s) '${ID1},${ID2}' or the linked scope(s) are invalid.`,
    });
    grant("Managed Identity Operator", ID2);
    expect((await cloud.arm("PATCH", VM, { token, body: attach(ID1, ID2) })).status).toBe(200);
  });

  test("roles can be assigned over the wire, and take their time when told to", async () => {
    const token = await nobody();
    cloud.emulator.state.addRoleAssignment({ principal: APP, role: "Owner", scope: "/" });
    cloud.emulator.state.configure({ rolePropagationMs: 60_000 });
    const path = `${GROUP}/providers/Microsoft.Authorization/roleAssignments/55555555-5555-4555-8555-555555555555`;
    const properties = {
      roleDefinitionId: `/subscriptions/${SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7`,
      principalId: "44444444-0000-4000-8000-000000000000",
    };
    const options = { body: { properties }, version: "2022-04-01" };
    expect((await cloud.arm("PUT", path, options)).status).toBe(201);
    expect((await cloud.arm("PUT", path, options)).json().error.code).toBe("RoleAssignmentExists");
    expect((await cloud.arm("GET", VM, { token })).status).toBe(403);
    cloud.clock.advance(60_000);
    expect((await cloud.arm("GET", VM, { token })).status).toBe(200);
    const list = await cloud.arm(
      "GET",
      `${GROUP}/providers/Microsoft.Authorization/roleAssignments?$filter=principalId eq '${properties.principalId}'`.replaceAll(
        " ",
        "%20",
      ),
    );
    expect(list.json().value).toHaveLength(1);
  });

  test("only subscriptions with a role are listed", async () => {
    const token = await nobody();
    const names = async (bearer?: string): Promise<unknown> =>
      (
        await cloud.arm("GET", "/subscriptions", {
          version: "2022-12-01",
          ...(bearer === undefined ? {} : { token: bearer }),
        })
      )
        .json()
        .value.map((s: { subscriptionId: string }) => s.subscriptionId);
    expect(await names()).toEqual([SUBSCRIPTION]);
    expect(await names(token)).toEqual([]);
    grant("Reader", VM);
    expect(await names(token)).toEqual([SUBSCRIPTION]);
  });
});

describe("requests that do not get through", () => {
  const vault = (): Promise<string> =>
    cloud.emulator.issueToken({ principal: APP, resource: "https://vault.azure.net" });
  test.for<{
    name: string;
    path: string;
    version?: string;
    authorization?: string | (() => Promise<string>);
    status: number;
    code: string;
    message?: RegExp;
  }>([
    { name: "no token", path: VM, authorization: "", status: 401, code: "InvalidAuthenticationToken" },
    { name: "no JWT", path: VM, authorization: "Bearer x.y.z", status: 401, code: "InvalidAuthenticationToken" },
    {
      name: "another resource's token",
      path: VM,
      authorization: vault,
      status: 401,
      code: "InvalidAuthenticationTokenAudience",
      message: /^The access token has been obtained for wrong audience or resource 'https:\/\/vault\.azure\.net'\./,
    },
    { name: "a version that is no date", path: VM, version: "latest", status: 400, code: "InvalidApiVersionParameter" },
    {
      name: "a version before the type",
      path: ID1,
      version: "2014-01-01",
      status: 400,
      code: "NoRegisteredProviderFound",
    },
    {
      name: "unknown type",
      path: `${GROUP}/providers/Microsoft.Storage/storageAccounts/a`,
      status: 404,
      code: "InvalidResourceType",
    },
    {
      name: "unknown subscription",
      path: VM.replace(SUBSCRIPTION, TENANT),
      status: 404,
      code: "SubscriptionNotFound",
      message: /^The subscription '.*' could not be found\.$/,
    },
    {
      name: "malformed subscription",
      path: VM.replace(SUBSCRIPTION, "mine"),
      status: 400,
      code: "InvalidSubscriptionId",
    },
    {
      name: "unknown group",
      path: VM.replace("/rg/", "/other/"),
      status: 404,
      code: "ResourceGroupNotFound",
      message: /^Resource group 'other' could not be found\.$/,
    },
    {
      name: "unknown identity",
      path: identityId("nobody"),
      status: 404,
      code: "ResourceNotFound",
      message:
        /^The Resource 'Microsoft\.ManagedIdentity\/userAssignedIdentities\/nobody' under resource group 'rg' was not found\.$/,
    },
  ])("$name", async ({ path, version, authorization, status, code, message }) => {
    const bearer = typeof authorization === "function" ? `Bearer ${await authorization()}` : authorization;
    const reply = await cloud.arm("GET", path, {
      ...(version === undefined ? {} : { version }),
      ...(bearer === undefined ? {} : { headers: { authorization: bearer } }),
    });
    expect({ status: reply.status, code: reply.json().error.code }).toEqual({ status, code });
    if (message !== undefined) expect(reply.json().error.message).toMatch(message);
    if (status === 401) expect(reply.headers["www-authenticate"]).toMatch(/^Bearer authorization_uri=/);
  });

  test("a token signed by a foreign key under Entra's key id", async () => {
    const genuine = await cloud.emulator.issueToken({ principal: APP, resource: "https://management.azure.com/" });
    const { kid = "", x5t = "" } = decodeProtectedHeader(genuine);
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const forged = await new SignJWT(decodeJwt(genuine))
      .setProtectedHeader({ typ: "JWT", alg: "RS256", x5t, kid })
      .sign(privateKey);
    const [header, , signature] = genuine.split(".");
    const changed = Buffer.from(JSON.stringify({ ...decodeJwt(genuine), oid: TENANT })).toString("base64url");
    for (const token of [forged, `${header}.${changed}.${signature}`]) {
      const reply = await cloud.arm("GET", VM, { token });
      expect(reply.status).toBe(401);
      expect(reply.text).toBe(
        '{"error":{"code":"InvalidAuthenticationToken","message":"The access token is invalid."}}',
      );
      expect(reply.headers["www-authenticate"]).toBe(
        'Bearer authorization_uri="https://login.windows.net/", error="invalid_token", error_description="The access token is invalid."',
      );
    }
    expect((await cloud.arm("GET", VM, { token: genuine })).status).toBe(200);
  });

  test("an expired token", async () => {
    const token = await cloud.emulator.issueToken({ principal: APP, resource: "https://management.azure.com/" });
    cloud.clock.advance(3_600_000);
    expect((await cloud.arm("GET", VM, { token })).json().error).toEqual({
      code: "ExpiredAuthenticationToken",
      message:
        "The access token expiry UTC time '3/1/2026 1:00:00 PM' is earlier than current UTC time '3/1/2026 1:00:00 PM'.",
    });
  });

  test("too many reads", async () => {
    cloud.emulator.state.configure({ armLimits: { reads: { burst: 2, perSecond: 0.1 } } });
    expect((await cloud.arm("GET", VM)).headers["x-ms-ratelimit-remaining-subscription-reads"]).toBe("1");
    await cloud.arm("GET", VM);
    const refused = await cloud.arm("GET", VM);
    expect(refused).toMatchObject({ status: 429, headers: { "retry-after": "10" } });
    expect(refused.json().error).toEqual({
      code: "SubscriptionRequestsThrottled",
      message: `Number of 'read' requests for subscription '${SUBSCRIPTION}' actor '${APP}' exceeded. Please try again after '10' seconds.`,
    });
    cloud.clock.advance(10_000);
    expect((await cloud.arm("GET", VM)).status).toBe(200);
  });

  test("too many writes to one scale set", async () => {
    cloud.emulator.state.configure({ computeWriteLimit: { burst: 1, perSecond: 4 / 60 } });
    await cloud.arm("PATCH", SCALE_SET, { body: attach(ID1) });
    const refused = await cloud.arm("PATCH", SCALE_SET, { body: attach(ID2) });
    expect(refused).toMatchObject({
      status: 429,
      headers: {
        "retry-after": "15",
        "x-ms-ratelimit-remaining-resource": "Microsoft.Compute/VMScaleSetActions3Min;0",
      },
    });
    expect(refused.json().error).toMatchObject({
      code: "OperationNotAllowed",
      details: [{ code: "TooManyRequests", target: "VMScaleSetActions3Min" }],
      innererror: { internalErrorCode: "TooManyRequestsReceived" },
    });
    expect((await cloud.arm("PATCH", VM, { body: attach(ID2) })).status).toBe(200);
  });
});

/** The bodies that only Azure's own troubles bring about, asked for by name. */
describe("named errors", () => {
  const client = `The client '${APP}' with object id '${APP_OBJECT}'`;
  const wrapped = (status: string, code: string, message: string): string =>
    `Identity operation for resource '${SCALE_SET}' failed with error 'Failed to perform resource identity operation. Status: '${status}'. Response: '{"error":{"code":"${code}","message":"${message}"}}'.'.`;
  test.for<{ name: string; status: number; code: string; message: string }>([
    {
      name: "LinkedAuthorizationFailed",
      status: 403,
      code: "LinkedAuthorizationFailed",
      message: `${client} has permission to perform action 'Microsoft.Compute/virtualMachineScaleSets/write' on scope '${SCALE_SET}'; however, it does not have permission to perform action 'Microsoft.ManagedIdentity/userAssignedIdentities/assign/action' on the linked scope(s) '${ID1},${ID2}' or the linked scope(s) are invalid.`,
    },
    {
      name: "AuthorizationFailed",
      status: 403,
      code: "AuthorizationFailed",
      message: `${client} does not have authorization to perform action 'Microsoft.Compute/virtualMachineScaleSets/write' over scope '${SCALE_SET}' or the scope is invalid. If access was recently granted, please refresh your credentials.`,
    },
    {
      name: "FailedIdentityOperation",
      status: 400,
      code: "FailedIdentityOperation",
      message: wrapped("BadRequest", "BadRequest", `Resource '${ID1.toLowerCase()}' was not found.`),
    },
    {
      name: "FailedIdentityOperation.Throttled",
      status: 400,
      code: "FailedIdentityOperation",
      message: wrapped(
        "429",
        "429",
        `Request is temporarily throttled because resource ${SCALE_SET} has issued too many requests. Retry after 20 seconds.`,
      ),
    },
    {
      name: "FailedIdentityOperation.Conflict",
      status: 400,
      code: "FailedIdentityOperation",
      message: wrapped("Conflict", "Conflict", "The request failed due to conflict with a concurrent request."),
    },
    {
      name: "FailedIdentityOperation.499",
      status: 400,
      code: "FailedIdentityOperation",
      message: wrapped("499", "499", "The client closed the request."),
    },
    {
      name: "FailedIdentityOperation.Limit",
      status: 400,
      code: "FailedIdentityOperation",
      message: wrapped(
        "BadRequest",
        "BadRequest",
        "User Assigned Identities Number '151' Assign exceed limit '150' in one request.",
      ),
    },
    {
      name: "InvalidParameter.Duplicate",
      status: 400,
      code: "InvalidParameter",
      message: `ResourceIdentity identityId '${ID1}' cannot be duplicated in the provided identityIds list.`,
    },
    {
      name: "InvalidParameter.NotAllowed",
      status: 400,
      code: "InvalidParameter",
      message: 'ResourceIdentity identityIds should not be provided if the type is "SystemAssigned".',
    },
    {
      name: "InvalidRequestContent",
      status: 400,
      code: "InvalidRequestContent",
      message:
        "The request content was invalid and could not be deserialized: 'Required property 'type' not found in JSON. Path 'identity'.'.",
    },
    {
      name: "InvalidRequestFormat",
      status: 400,
      code: "InvalidRequestFormat",
      message:
        "The request format was unexpected, a non-UserAssigned identity type should not contain: userAssignedIdentities",
    },
    {
      name: "ResourceNotFound",
      status: 404,
      code: "ResourceNotFound",
      message:
        "The Resource 'Microsoft.Compute/virtualMachineScaleSets/vmss1' under resource group 'rg' was not found.",
    },
    {
      name: "Conflict",
      status: 409,
      code: "Conflict",
      message:
        "The request failed due to conflict with a concurrent request. To resolve it, please refer to https://aka.ms/activitylog to get more details on the conflicting requests.",
    },
    {
      name: "OperationNotAllowed",
      status: 409,
      code: "OperationNotAllowed",
      message:
        "Operation 'Update Virtual Machine Scale Set' is not allowed on Virtual Machine Scale Set 'vmss1' since it is marked for deletion. For more information on your operations, please refer to https://aka.ms/activitylog.",
    },
    {
      name: "PreconditionFailed",
      status: 412,
      code: "PreconditionFailed",
      message: 'Etag provided in if-match header "2" does not match etag "3" of resource.',
    },
    {
      name: "SubscriptionRequestsThrottled",
      status: 429,
      code: "SubscriptionRequestsThrottled",
      message: `Number of 'write' requests for subscription '${SUBSCRIPTION}' actor '${APP}' exceeded. Please try again after '10' seconds.`,
    },
    {
      name: "TooManyRequests",
      status: 429,
      code: "OperationNotAllowed",
      message: "The server rejected the request because too many requests have been received for this subscription.",
    },
  ])("$name", async ({ name, status, code, message }) => {
    cloud.emulator.state.faults.add({ match: { service: "arm", resource: SCALE_SET }, error: name });
    const reply = await cloud.arm("PATCH", SCALE_SET, { body: attach(ID1, ID2) });
    expect({ status: reply.status, ...reply.json().error }).toMatchObject({ status, code, message });
  });
});

describe("machines", () => {
  test("PUT creates and replaces, PATCH of tags keeps the rest", async () => {
    const path = `${GROUP}/providers/microsoft.compute/virtualmachines/Made`;
    const body = {
      location: "westus2",
      tags: { a: "1" },
      properties: { hardwareProfile: { vmSize: "Standard_B2s" } },
      ...attach(ID1),
    };
    const made = await cloud.arm("PUT", path, { body });
    expect(made.status).toBe(201);
    expect(made.json()).toMatchObject({
      name: "Made",
      type: "Microsoft.Compute/virtualMachines",
      properties: { provisioningState: "Creating" },
    });
    const tagged = (await cloud.arm("PATCH", path, { body: { tags: { b: "2" } } })).json();
    expect(tagged).toMatchObject({
      tags: { b: "2" },
      identity: { type: "UserAssigned" },
      properties: { hardwareProfile: { vmSize: "Standard_B2s" } },
    });
    expect(
      (await cloud.arm("PUT", path, { body: { location: "westus2", identity: { type: "SystemAssigned" } } })).json()
        .identity.type,
    ).toBe("SystemAssigned");
    expect((await cloud.arm("PUT", path, { body: { location: "eastus" } })).json().error.code).toBe(
      "InvalidResourceLocation",
    );
    expect((await cloud.arm("PUT", path, { body: {} })).json().error.code).toBe("LocationRequired");
    expect((await cloud.arm("PUT", path, { body: "no json" })).json().error.code).toBe("InvalidRequestContent");
  });

  test("a uniform scale set grows, shrinks, upgrades and lists its instances", async () => {
    const capacity = (value: number): Promise<unknown> =>
      cloud.arm("PATCH", SCALE_SET, { body: { sku: { capacity: value } } });
    const ids = async (): Promise<string[]> =>
      (await cloud.arm("GET", `${SCALE_SET}/virtualMachines`))
        .json()
        .value.map((instance: { instanceId: string }) => instance.instanceId);
    await capacity(4);
    expect(await ids()).toEqual(["0", "1", "2", "3"]);
    expect((await cloud.arm("DELETE", `${SCALE_SET}/virtualMachines/1`)).status).toBe(202);
    await capacity(4);
    expect(await ids()).toEqual(["0", "2", "3", "4"]);
    await cloud.arm("PATCH", SCALE_SET, { body: { properties: { virtualMachineProfile: { priority: "Spot" } } } });
    const latest = async (): Promise<boolean> =>
      (await cloud.arm("GET", `${SCALE_SET}/virtualMachines/0`)).json().properties.latestModelApplied;
    expect(await latest()).toBe(false);
    const upgraded = await cloud.arm("POST", `${SCALE_SET}/manualupgrade`, { body: { instanceIds: ["*"] } });
    expect(upgraded).toMatchObject({ status: 202, text: "" });
    expect(upgraded.headers.location).toContain("&monitor=true");
    expect(await latest()).toBe(true);
    expect((await cloud.arm("GET", `${SCALE_SET}/virtualMachines/77`)).status).toBe(404);
  });

  test("a flexible scale set has VMs", async () => {
    const path = `${GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/flex`;
    await cloud.arm("PUT", path, {
      body: {
        location: "westus2",
        sku: { name: "Standard_B2s", capacity: 2 },
        properties: { orchestrationMode: "Flexible" },
      },
    });
    const members = (await cloud.arm("GET", `${path}/virtualMachines`)).json().value;
    expect(members).toHaveLength(2);
    expect(members[0]).toMatchObject({
      id: expect.stringContaining("/virtualMachines/flex_"),
      properties: { virtualMachineScaleSet: { id: path } },
    });
    expect((await cloud.arm("GET", `${GROUP}/providers/Microsoft.Compute/virtualMachines`)).json().value).toHaveLength(
      3,
    );
  });

  test("identities and their credentials", async () => {
    const version = "2023-01-31";
    expect(
      (
        await cloud.arm(
          "GET",
          `/subscriptions/${SUBSCRIPTION}/providers/Microsoft.ManagedIdentity/userAssignedIdentities`,
          { version },
        )
      ).json().value,
    ).toHaveLength(2);
    expect((await cloud.arm("GET", ID1, { version })).json()).toEqual({
      location: "westus2",
      tags: {},
      id: ID1.replace("resourceGroups", "resourcegroups"),
      name: "id1",
      type: "Microsoft.ManagedIdentity/userAssignedIdentities",
      properties: {
        isolationScope: "None",
        tenantId: TENANT,
        principalId: "bbbbbbbb-0000-4000-8000-000000000001",
        clientId: "aaaaaaaa-0000-4000-8000-000000000001",
      },
    });
    const credential = { properties: { issuer: "https://i/", subject: "s", audiences: ["a"] } };
    const path = `${ID1}/federatedIdentityCredentials`;
    expect((await cloud.arm("PUT", `${path}/c`, { version, body: credential })).status).toBe(201);
    expect((await cloud.arm("PUT", `${path}/c`, { version, body: credential })).status).toBe(200);
    expect((await cloud.arm("PUT", `${path}/d`, { version, body: credential })).status).toBe(409);
    expect((await cloud.arm("GET", path, { version })).json().value).toMatchObject([{ name: "c", ...credential }]);
    expect((await cloud.arm("DELETE", `${path}/c`, { version })).status).toBe(200);
    expect((await cloud.arm("GET", `${path}/c`, { version })).status).toBe(404);
  });
});
