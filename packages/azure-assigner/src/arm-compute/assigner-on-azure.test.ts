import { randomUUID } from "node:crypto";
import { parseProviderId } from "@podid/crd-types";
import type { NodeGroup } from "@podid/crd-types";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { emulateAzure } from "../../test/emulated-azure.ts";
import type { EmulatedAzure } from "../../test/emulated-azure.ts";
import { namesOf } from "../../test/set-up.ts";
import { Assigner } from "../assigner.ts";
import type { AssignOutcome, AssignRequest } from "../assign-request.ts";
import { GuardedArm } from "../guard/guarded-arm.ts";
import { GuardedDirectory } from "../guard/guarded-directory.ts";
import { MemoryLedgerStore } from "../testing/memory-ledger-store.ts";
import { AzureIdentityDirectory } from "./azure-identity-directory.ts";
import type { AzureArmOptions } from "./azure-arm.ts";

const SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000";
const QUICK = { firstMs: 1, factor: 1, maxMs: 1, deadlineMs: 10_000 };
const COMPUTE = "providers/Microsoft.Compute";

let azure: EmulatedAzure;
let prefix: string;

beforeAll(async () => {
  azure = await emulateAzure();
});
afterAll(() => azure.emulator.close());
beforeEach(() => {
  prefix = `t${randomUUID().slice(0, 8)}`;
  azure.emulator.state.faults.clear();
});

function groupOf(providerId: string): NodeGroup {
  const parsed = parseProviderId(`azure://${providerId}`);
  if (!parsed.ok) throw new Error(parsed.errors[0]?.message);
  return parsed.value.group;
}

function vm(resourceGroup = "rg"): NodeGroup {
  const id = `${SUBSCRIPTION}/resourceGroups/${resourceGroup}/${COMPUTE}/virtualMachines/${prefix}-vm`;
  azure.emulator.state.addVirtualMachine({ id });
  return groupOf(id);
}

/** ARM id of a new identity. */
function identity(name: string, subscription = SUBSCRIPTION): string {
  const id = `${subscription}/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${prefix}-${name}`;
  azure.emulator.state.addIdentity({ id });
  return id;
}

function assignerOnAzure(options: AzureArmOptions = {}) {
  const arm = new GuardedArm(azure.arm({ pollSchedule: QUICK, ...options }));
  const directory = new AzureIdentityDirectory(azure.credential, { endpoint: azure.endpoint });
  const assigner = new Assigner({
    arm,
    gate: arm,
    ledgers: new MemoryLedgerStore(),
    directory: new GuardedDirectory(directory, arm),
  });
  return (group: NodeGroup, ids: readonly string[], more: Partial<AssignRequest> = {}): Promise<AssignOutcome> =>
    assigner.assign({
      group,
      desired: () => ids.map((id) => ({ id, key: id.toLowerCase() })),
      isProtected: () => false,
      ...more,
    });
}

function held(group: NodeGroup): string[] {
  return namesOf(azure.emulator.state.machineResource(group.id)?.identity.userAssigned.keys() ?? []);
}

describe("identities that spoil requests", () => {
  test("S47 one that does not exist is named by ARM; the others are attached", async () => {
    const group = vm();
    const good = identity("good");
    const outcome = await assignerOnAzure()(group, [good, `${good}-missing`]);
    expect([outcome.kind, held(group), namesOf(outcome.refused.keys())]).toEqual([
      "converged",
      [`${prefix}-good`],
      [`${prefix}-good-missing`],
    ]);
  });

  test("some that may not be assigned: ARM names everybody, trials find them", async () => {
    const group = vm();
    const foreign = "/subscriptions/11111111-0000-0000-0000-000000000000";
    const good = ["a", "b", "c", "d"].map((name) => identity(name));
    const bad = ["x", "y"].map((name) => identity(name, foreign));
    const outcome = await assignerOnAzure()(group, [...good, ...bad]);
    expect([outcome.kind, held(group), namesOf(outcome.refused.keys())]).toEqual([
      "converged",
      ["a", "b", "c", "d"].map((name) => `${prefix}-${name}`),
      ["x", "y"].map((name) => `${prefix}-${name}`),
    ]);
    for (const problem of outcome.refused.values()) expect(problem.code).toBe("LinkedAuthorizationFailed");
  });

  test("one of ours that is attached and was deleted: it is detached, and the others are attached", async () => {
    const assign = assignerOnAzure();
    const group = vm();
    const [doomed, next] = [identity("doomed"), identity("next")];
    await assign(group, [doomed]);
    azure.emulator.state.deleteIdentity(doomed);
    const outcome = await assign(group, [doomed, next]);
    expect([outcome.kind, held(group)]).toEqual(["converged", [`${prefix}-next`]]);
    expect(outcome.refused.get(doomed.toLowerCase())).toMatchObject({ code: "IdentityNotFound" });
  });

  test("one that was deleted and made again: its entry has no client id until it is detached and attached", async () => {
    const assign = assignerOnAzure();
    const group = vm();
    const [id, other] = [identity("again"), identity("other")];
    const before = await assign(group, [id, other]);
    azure.emulator.state.deleteIdentity(id);
    azure.emulator.state.addIdentity({ id });
    expect((await azure.arm().read(group)).attached.get(id.toLowerCase())?.clientId).toBeUndefined();
    const after = await assign(group, [id, other]);
    const clientId = after.state?.attached.get(id.toLowerCase())?.clientId;
    expect([after.kind, after.refused.size, after.requests]).toEqual(["converged", 0, 2]);
    expect(clientId).toBe(azure.emulator.state.identities.get(id.toLowerCase())?.principal.clientId);
    expect(clientId).not.toBe(before.state?.attached.get(id.toLowerCase())?.clientId);
  });
});

describe("clouds that lag", () => {
  test("without etags everything works, and nothing is asked to match", async () => {
    const assign = assignerOnAzure({ apiVersion: "2023-09-01" });
    const group = vm();
    const id = identity("old");
    azure.emulator.requests.clear();
    expect(await assign(group, [id])).toMatchObject({ kind: "converged", requests: 1 });
    expect((await assign(group, [])).kind).toBe("converged");
    expect(held(group)).toEqual([]);
    const urls = azure.emulator.requests.entries().filter(({ service }) => service === "arm");
    expect(urls.every(({ url }) => url.includes("api-version=2023-09-01"))).toBe(true);
  });
});

describe("resources by providerID", () => {
  test("a scale set of the same name in another resource group, and a VM elsewhere, are machines of their own", async () => {
    const assign = assignerOnAzure();
    const ids = ["rg", "Other.RG_(x)"].map(
      (resourceGroup) =>
        `${SUBSCRIPTION}/resourceGroups/${resourceGroup}/${COMPUTE}/virtualMachineScaleSets/${prefix}-pool`,
    );
    for (const id of ids) azure.emulator.state.addScaleSet({ id, instances: 2 });
    const [one, two] = ids.map((id) => groupOf(`${id}/virtualMachines/1`));
    if (one === undefined || two === undefined) throw new Error("fixture");
    await assign(one, [identity("one")]);
    await assign(two, [identity("two")]);
    const elsewhere = vm("Other.RG_(x)");
    await assign(elsewhere, [identity("vm")]);
    expect([held(one), held(two), held(elsewhere)]).toEqual([[`${prefix}-one`], [`${prefix}-two`], [`${prefix}-vm`]]);
  });

  test("an instance of a flexible scale set is a VM: its identities are its own, and the scale set's model is left alone", async () => {
    const scaleSet = `${SUBSCRIPTION}/resourceGroups/rg/${COMPUTE}/virtualMachineScaleSets/${prefix}-flex`;
    azure.emulator.state.addScaleSet({ id: scaleSet, orchestrationMode: "Flexible", instances: 2 });
    const [first, second] = [0, 1].map((n) =>
      groupOf(`${SUBSCRIPTION}/resourceGroups/rg/${COMPUTE}/virtualMachines/${prefix}-flex_${n}`),
    );
    if (first === undefined || second === undefined) throw new Error("fixture");
    expect(first.kind).toBe("virtualMachine");
    await assignerOnAzure()(first, [identity("own")]);
    expect([held(first), held(second), held(groupOf(`${scaleSet}/virtualMachines/0`))]).toEqual([
      [`${prefix}-own`],
      [],
      [],
    ]);
  });
});

describe("the machine's limit of 4 requests a minute", () => {
  test("ARM's own limit is not met, because ours is no wider", async () => {
    azure.emulator.state.configure({ computeWriteLimit: { burst: 12, perSecond: 4 / 60 } });
    const assign = assignerOnAzure();
    const group = vm();
    const id = identity("flaps");
    for (let i = 0; i < 6; i += 1) {
      await assign(group, [id]);
      await assign(group, []);
    }
    const controller = new AbortController();
    const thirteenth = assign(group, [id], { signal: controller.signal });
    await expect.poll(() => azure.emulator.requests.entries().filter(({ status }) => status === 429)).toEqual([]);
    controller.abort(new Error("enough"));
    await expect(thirteenth).rejects.toThrow("enough");
    azure.emulator.state.configure({ computeWriteLimit: undefined });
  });
});
