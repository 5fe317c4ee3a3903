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

function quick() {
  return { pollSchedule: { firstMs: 1, factor: 1, maxMs: 1, deadlineMs: 10_000 } };
}
