import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Clock } from "../clock.ts";
import { ARM_CONTRACT } from "../testing/arm-contract.ts";
import { emulateAzure } from "../../test/emulated-azure.ts";
import type { EmulatedAzure } from "../../test/emulated-azure.ts";
import { AzureArm } from "./azure-arm.ts";
import { AzureIdentityDirectory } from "./azure-identity-directory.ts";

let azure: EmulatedAzure;

beforeAll(async () => {
  azure = await emulateAzure();
});
afterAll(() => azure.emulator.close());

describe("ARM through the official client", () => {
  test.for(ARM_CONTRACT)("$name", ({ check }) => check(azure.world()));

  test("polls on its own schedule and obeys Retry-After", async () => {
    const { state } = azure.emulator;
    const world = azure.world();
    const group = await world.machine("virtualMachine", "None");
    const id = await world.identity();
    const pauses: number[] = [];
    let polls = 0;
    const clock: Clock = {
      now: () => Date.now(),
      // The emulated operation ends with the third pause.
      setTimeout(callback, milliseconds) {
        pauses.push(milliseconds);
        polls += 1;
        if (polls === 3) finish();
        queueMicrotask(callback);
        return { cancel: () => {} };
      },
    };
    state.faults.add({ match: { service: "arm", method: "PATCH" }, times: 1, operationMs: 3_600_000 });
    const finish = (): void => {
      state.faults.add({
        match: { service: "arm", path: "*/operations/*" },
        times: 1,
        respond: { status: 200, body: { status: "Succeeded" } },
      });
    };
    state.faults.add({
      match: { service: "arm", path: "*/operations/*" },
      times: 1,
      respond: { status: 200, headers: { "retry-after": "7" }, body: { status: "InProgress" } },
    });
    await azure.arm({ clock }).patch(group, { type: "UserAssigned", userAssignedIdentities: { [id]: {} } });
    expect(pauses).toEqual([250, 7000, expect.any(Number)]);
    expect(pauses[2]).toBeLessThan(1000);
  });

  test("a poll that fails is no failure of the operation", async () => {
    const { faults } = azure.emulator.state;
    const world = azure.world();
    const group = await world.machine("virtualMachineScaleSet", "None");
    const id = await world.identity();
    faults.add({
      match: { service: "arm", path: "*/operations/*" },
      times: 2,
      respond: { status: 503, body: { error: { code: "ServerBusy", message: "busy" } } },
    });
    const state = await azure.arm(quick()).patch(group, { type: "UserAssigned", userAssignedIdentities: { [id]: {} } });
    expect([...state.attached.keys()]).toEqual([id.toLowerCase()]);
  });

  test("an operation that fails later tells why, with ARM's own code", async () => {
    const { faults } = azure.emulator.state;
    const world = azure.world();
    const group = await world.machine("virtualMachine", "None");
    const id = await world.identity();
    faults.add({
      match: { service: "arm", method: "PATCH" },
      times: 1,
      operationMs: 0,
      operationFailure: {
        status: "Canceled",
        code: "OperationPreempted",
        message: "The operation has been preempted by a more recent operation",
      },
    });
    await expect(
      azure.arm(quick()).patch(group, { type: "UserAssigned", userAssignedIdentities: { [id]: {} } }),
    ).rejects.toMatchObject({ problem: { kind: "conflict", code: "OperationPreempted" } });
  });

  test("Retry-After of the PATCH's own answer delays the first look", async () => {
    const { faults } = azure.emulator.state;
    const world = azure.world();
    const group = await world.machine("virtualMachine", "None");
    const { headers, body } = await accepted(group.id);
    faults.add({
      match: { service: "arm", method: "PATCH", resource: group.id },
      times: 1,
      respond: { status: 200, headers: { ...headers, "retry-after": "9" }, body },
    });
    const pauses: number[] = [];
    const clock: Clock = {
      now: () => Date.now(),
      setTimeout(callback, milliseconds) {
        pauses.push(milliseconds);
        queueMicrotask(callback);
        return { cancel: () => {} };
      },
    };
    await azure.arm({ clock }).patch(group, { type: "None" });
    expect(pauses[0]).toBe(9000);
  });

  test("an operation is followed by another process, from its name alone", async () => {
    const { faults } = azure.emulator.state;
    const world = azure.world();
    const group = await world.machine("virtualMachineScaleSet", "None");
    const id = await world.identity();
    faults.add({ match: { service: "arm", method: "PATCH" }, times: 1, operationMs: 150 });
    const controller = new AbortController();
    const operation = await new Promise<string>((resolve, reject) => {
      azure
        .arm()
        .patch(
          group,
          { type: "UserAssigned", userAssignedIdentities: { [id]: {} } },
          { signal: controller.signal, onAccepted: resolve },
        )
        .catch(reject);
    });
    controller.abort(new Error("killed"));
    let polls = 0;
    const beforePoll = (): Promise<void> => {
      polls += 1;
      return Promise.resolve();
    };
    const state = await azure.arm(quick()).resume(group, operation, { beforePoll });
    expect(state.attached.get(id.toLowerCase())?.clientId).toBeDefined();
    expect(polls).toBeGreaterThan(1);
  });

  test.for([
    {
      name: "another host",
      url: "https://evil.example/subscriptions/S/providers/Microsoft.Compute/locations/l/operations/o",
    },
    { name: "another resource", url: "ARM/subscriptions/S/providers/Microsoft.KeyVault/vaults/v" },
    {
      name: "another subscription",
      url: "ARM/subscriptions/other/providers/Microsoft.Compute/locations/l/operations/o",
    },
    { name: "no URL", url: "nonsense" },
  ])("our token does not go to $name that a ledger names as an operation", async ({ url }) => {
    const { requests } = azure.emulator;
    const group = await azure.world().machine("virtualMachine", "None");
    const before = requests.entries().length;
    const operation = url.replace("ARM", azure.endpoint).replace("/S/", `/${group.subscriptionId}/`);
    await expect(azure.arm().resume(group, operation)).rejects.toMatchObject({ problem: { code: "ForeignOperation" } });
    expect(requests.entries().length).toBe(before);
  });

  test("a list of several pages: each further one is asked for in turn", async () => {
    const { faults } = azure.emulator.state;
    const world = azure.world();
    const [one, two] = [await world.machine("virtualMachine", "None"), await world.machine("virtualMachine", "None")];
    const list = one.id.replace(/\/[^/]+$/, "");
    faults.add({
      match: { service: "arm", method: "GET", path: list },
      times: 1,
      respond: {
        status: 200,
        body: {
          value: [{ name: "first-page", location: "westeurope", properties: {} }],
          nextLink: `${azure.endpoint}${list}?api-version=2024-07-01`,
        },
      },
    });
    let pages = 0;
    const beforePoll = (): Promise<void> => {
      pages += 1;
      return Promise.resolve();
    };
    const names = (await azure.arm().list(one, { beforePoll })).map(({ group }) => group.name);
    expect(names).toEqual(expect.arrayContaining(["first-page", one.name, two.name]));
    expect(pages).toBe(2);
  });

  test("a request that is not answered is given up", async () => {
    const { faults } = azure.emulator.state;
    const group = await azure.world().machine("virtualMachine", "None");
    const fault = faults.add({ match: { service: "arm", resource: group.id }, hang: true });
    const arm = azure.arm({ requestTimeoutMs: 50 });
    await expect(arm.read(group)).rejects.toMatchObject({ problem: { kind: "unavailable", code: "RequestTimeout" } });
    await expect(arm.patch(group, { type: "None" })).rejects.toMatchObject({ problem: { code: "RequestTimeout" } });
    faults.remove(fault);
  });

  test("throttling carries ARM's Retry-After and is not retried behind the caller's back", async () => {
    const { emulator } = azure;
    const group = await azure.world().machine("virtualMachine", "None");
    emulator.state.faults.add({
      match: { service: "arm", resource: group.id },
      times: 1,
      respond: {
        status: 429,
        headers: { "retry-after": "17" },
        body: { error: { code: "SubscriptionRequestsThrottled", message: "slow down" } },
      },
    });
    await expect(azure.arm().read(group)).rejects.toMatchObject({
      problem: { kind: "throttled", scope: "subscription", retryAfterMs: 17_000 },
    });
    await azure.arm().read(group);
  });

  test("an abort stops waiting with the signal's reason", async () => {
    const { faults } = azure.emulator.state;
    const world = azure.world();
    const group = await world.machine("virtualMachine", "None");
    const fault = faults.add({ match: { service: "arm", resource: group.id }, hang: true });
    const controller = new AbortController();
    const reason = new Error("no longer leader");
    const reading = azure.arm().read(group, controller.signal);
    controller.abort(reason);
    await expect(reading).rejects.toBe(reason);
    faults.remove(fault);
  });

  test("no credential: unauthenticated, without a stack of Entra's text", async () => {
    const group = await azure.world().machine("virtualMachine", "None");
    const error = Object.assign(new Error("AADSTS7000215: Invalid client secret provided.\r\nTrace ID: x"), {
      name: "AuthenticationError",
    });
    const arm = new AzureArm({ getToken: () => Promise.reject(error) }, { endpoint: azure.endpoint });
    await expect(arm.read(group)).rejects.toMatchObject({
      problem: { kind: "unauthenticated", message: "AADSTS7000215: Invalid client secret provided." },
    });
  });

  test("the compute API version can be chosen", async () => {
    const { requests } = azure.emulator;
    const group = await azure.world().machine("virtualMachine", "None");
    await azure.arm({ apiVersion: "2024-07-01" }).read(group);
    expect(requests.entries().at(-1)?.url).toContain("api-version=2024-07-01");
  });
});

describe("identities through the official client", () => {
  test("finds client id, principal and tenant, and knows who does not exist", async () => {
    const world = azure.world();
    const id = await world.identity();
    const directory = new AzureIdentityDirectory(azure.credential, { endpoint: azure.endpoint });
    const facts = await directory.find(id.toUpperCase());
    expect(facts).toEqual({
      clientId: expect.any(String),
      principalId: expect.any(String),
      tenantId: expect.any(String),
    });
    expect(await directory.find(world.missingIdentity())).toBeUndefined();
    expect(await directory.find("no id")).toBeUndefined();
  });
});

/** Headers and body of an answer that starts an operation which has ended by the first look. */
async function accepted(id: string): Promise<{ headers: Record<string, string>; body: unknown }> {
  const token = await azure.credential.getToken("");
  const answer = await fetch(`${azure.endpoint}${id}?api-version=2024-07-01`, {
    method: "PATCH",
    headers: { authorization: `Bearer ${token?.token}`, "content-type": "application/json" },
    body: JSON.stringify({ identity: { type: "None" } }),
  });
  const operation = answer.headers.get("azure-asyncoperation") ?? "";
  return {
    headers: { "azure-asyncoperation": operation, "content-type": "application/json" },
    body: await answer.json(),
  };
}

function quick() {
  return { pollSchedule: { firstMs: 1, factor: 1, maxMs: 1, deadlineMs: 10_000 } };
}
