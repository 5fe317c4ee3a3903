import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { JsonObject, JsonValue } from "../json.ts";
import { identityId } from "../test-cloud.ts";
import type { IdentityModel } from "./identity-merge.ts";
import { identityTypeName, mergeIdentity } from "./identity-merge.ts";

const RESOURCE = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm";
const model = (system: boolean, ...names: string[]): IdentityModel => ({
  system,
  userAssigned: new Map(names.map((name) => [identityId(name).toLowerCase(), identityId(name)])),
});
const map = (...names: string[]): JsonObject => Object.fromEntries(names.map((name) => [identityId(name), {}]));
const names = (merged: IdentityModel): string[] =>
  [...merged.userAssigned.values()].map((id) => id.slice(id.lastIndexOf("/") + 1));

describe("what a PATCH makes of the present identity", () => {
  test.for<{
    name: string;
    given: IdentityModel;
    patch: JsonValue | undefined;
    want: [type: string, ...names: string[]];
  }>([
    {
      name: "absent keeps everything",
      given: model(true, "a"),
      patch: undefined,
      want: ["SystemAssigned, UserAssigned", "a"],
    },
    {
      name: "adds",
      given: model(false, "a"),
      patch: { type: "UserAssigned", userAssignedIdentities: map("b") },
      want: ["UserAssigned", "a", "b"],
    },
    {
      name: "adds and drops the system-assigned one",
      given: model(true, "a"),
      patch: { type: "userassigned", userAssignedIdentities: map("b") },
      want: ["UserAssigned", "a", "b"],
    },
    {
      name: "null removes, in any casing",
      given: model(true, "a", "b"),
      patch: { type: "SystemAssigned,UserAssigned", userAssignedIdentities: { [identityId("a").toLowerCase()]: null } },
      want: ["SystemAssigned, UserAssigned", "b"],
    },
    {
      name: "null for what is not there",
      given: model(false, "a"),
      patch: { type: "UserAssigned", userAssignedIdentities: { [identityId("x")]: null } },
      want: ["UserAssigned", "a"],
    },
    {
      name: "SystemAssigned drops the map",
      given: model(true, "a"),
      patch: { type: "SystemAssigned" },
      want: ["SystemAssigned"],
    },
    { name: "None clears", given: model(true, "a"), patch: { type: "None" }, want: ["None"] },
    {
      name: "the casing that came first stays",
      given: model(false, "a"),
      patch: { type: "UserAssigned", userAssignedIdentities: { [identityId("a").toUpperCase()]: {} } },
      want: ["UserAssigned", "a"],
    },
    {
      name: "an entry as it was read counts as empty",
      given: model(false),
      patch: {
        type: "UserAssigned",
        userAssignedIdentities: { [identityId("a")]: { principalId: "p", clientId: "c" } },
      },
      want: ["UserAssigned", "a"],
    },
    {
      name: "the list of 2017 replaces",
      given: model(false, "a"),
      patch: { type: "UserAssigned", identityIds: [identityId("b")] },
      want: ["UserAssigned", "b"],
    },
  ])("$name", ({ given, patch, want }) => {
    const merged = mergeIdentity(given, patch, "PATCH", RESOURCE);
    expect(merged.error).toBeUndefined();
    if (merged.error === undefined) expect([identityTypeName(merged.next), ...names(merged.next)]).toEqual(want);
  });
});

test.for<{ name: string; patch: JsonValue; code: string; message: string }>([
  {
    name: "no type",
    patch: {},
    code: "InvalidRequestContent",
    message:
      "The request content was invalid and could not be deserialized: 'Required property 'type' not found in JSON. Path 'identity'.'.",
  },
  { name: "unknown type", patch: { type: "Mine" }, code: "InvalidRequestContent", message: "Error converting value" },
  {
    name: "None with another",
    patch: { type: "None, UserAssigned" },
    code: "InvalidRequestContent",
    message: "Error converting value",
  },
  {
    name: "a map without UserAssigned",
    patch: { type: "SystemAssigned", userAssignedIdentities: map("a") },
    code: "InvalidRequestFormat",
    message:
      "The request format was unexpected, a non-UserAssigned identity type should not contain: userAssignedIdentities",
  },
  {
    name: "a list without UserAssigned",
    patch: { type: "SystemAssigned", identityIds: [identityId("a")] },
    code: "InvalidParameter",
    message: 'ResourceIdentity identityIds should not be provided if the type is "SystemAssigned".',
  },
  {
    name: "the same id twice",
    patch: { type: "UserAssigned", userAssignedIdentities: { [identityId("a")]: {}, [identityId("A")]: {} } },
    code: "InvalidParameter",
    message: `ResourceIdentity identityId '${identityId("A")}' cannot be duplicated in the provided identityIds list.`,
  },
  {
    name: "the last one removed",
    patch: { type: "UserAssigned", userAssignedIdentities: { [identityId("only")]: null } },
    code: "MissingIdentityIds",
    message: "The identity ids must not be null or empty for 'UserAssigned' identity type.",
  },
  {
    name: "a value that is no entry",
    patch: { type: "UserAssigned", userAssignedIdentities: { [identityId("a")]: "yes" } },
    code: "InvalidIdentityValues",
    message: `Invalid value for the identities '${identityId("a")}'`,
  },
  {
    name: "151 entries",
    patch: {
      type: "UserAssigned",
      userAssignedIdentities: map(...Array.from({ length: 151 }, (_, index) => `n${index}`)),
    },
    code: "FailedIdentityOperation",
    message: `Failed to perform resource identity operation. Status: 'BadRequest'. Response: '{"error":{"code":"BadRequest","message":"User Assigned Identities Number '151' Assign exceed limit '150' in one request."}}'.`,
  },
])("refused: $name", ({ patch, code, message }) => {
  const { error } = mergeIdentity(model(false, "only"), patch, "PATCH", RESOURCE);
  expect(error).toMatchObject({ code, message: expect.stringContaining(message) });
});

const anyName = fc.constantFrom("a", "b", "c", "d", "e");
const anyModel = fc
  .record({ system: fc.boolean(), names: fc.uniqueArray(anyName) })
  .map((o) => model(o.system, ...o.names));
const anyEntries = fc
  .dictionary(anyName, fc.constantFrom<JsonValue>({}, null))
  .map((entries) => Object.fromEntries(Object.entries(entries).map(([name, value]) => [identityId(name), value])));

describe("laws", () => {
  test("a PATCH reaches exactly what it says and leaves everything else alone", () => {
    fc.assert(
      fc.property(anyModel, anyEntries, fc.boolean(), (current, entries, system) => {
        const type = system ? "SystemAssigned, UserAssigned" : "UserAssigned";
        const merged = mergeIdentity(current, { type, userAssignedIdentities: entries }, "PATCH", RESOURCE);
        const want = new Set(
          [...current.userAssigned.values(), ...Object.keys(entries)].filter((id) => entries[id] !== null),
        );
        if (merged.error === undefined) {
          expect(new Set(merged.next.userAssigned.values())).toEqual(want);
          expect(merged.next.system).toBe(system);
        } else expect(want.size).toBe(0);
      }),
    );
  });

  test("a PATCH twice is a PATCH once", () => {
    fc.assert(
      fc.property(anyModel, anyEntries, (current, entries) => {
        const patch = { type: "UserAssigned", userAssignedIdentities: entries };
        const once = mergeIdentity(current, patch, "PATCH", RESOURCE);
        if (once.error === undefined) expect(mergeIdentity(once.next, patch, "PATCH", RESOURCE)).toEqual(once);
      }),
    );
  });

  test("a PUT forgets what was there before", () => {
    fc.assert(
      fc.property(anyModel, anyModel, anyEntries, (one, other, entries) => {
        const body = { type: "UserAssigned", userAssignedIdentities: entries };
        const ids = (current: IdentityModel): unknown => {
          const merged = mergeIdentity(current, body, "PUT", RESOURCE);
          return merged.error ?? [...merged.next.userAssigned.keys()];
        };
        expect(ids(one)).toEqual(ids(other));
      }),
    );
  });

  test("what is written back says the same when it is sent again", () => {
    fc.assert(
      fc.property(anyModel, anyModel, (current, target) => {
        const type = identityTypeName(target);
        const entries = Object.fromEntries([...target.userAssigned.values()].map((id) => [id, {}]));
        const body = target.userAssigned.size === 0 ? { type } : { type, userAssignedIdentities: entries };
        const merged = mergeIdentity(current, body, "PUT", RESOURCE);
        expect(merged).toMatchObject({ next: { system: target.system } });
        if (merged.error === undefined)
          expect([...merged.next.userAssigned.keys()]).toEqual([...target.userAssigned.keys()]);
      }),
    );
  });
});
