import { bindingRecord, identityRecord } from "@podid/matcher";
import { expect, test } from "vitest";
import { resourceId } from "../test/cluster.ts";
import { Definitions } from "./definitions.ts";

function identity(name: string, resource: string) {
  const spec = { type: 0, resourceID: resourceId(resource) };
  const record = identityRecord({ metadata: { namespace: "ns", name }, spec });
  if (record === undefined) throw new Error("fixture");
  return record;
}

function binding(azureIdentity: string) {
  const record = bindingRecord({ metadata: { namespace: "ns", name: "b" }, spec: { azureIdentity, selector: "s" } });
  if (record === undefined) throw new Error("fixture");
  return record;
}

test("which resources are given, and which identities are bound, follows every change", () => {
  const definitions = new Definitions();
  const given = (name: string): boolean => definitions.hasResource(resourceId(name).toLowerCase());
  definitions.upsertIdentity(identity("a", "x"));
  definitions.upsertIdentity(identity("b", "x"));
  definitions.deleteIdentity(identity("b", "x"));
  expect([given("x"), given("y")]).toEqual([true, false]);
  definitions.upsertIdentity(identity("a", "y"));
  expect([given("x"), given("y")]).toEqual([false, true]);
  definitions.upsertBinding(binding("a"));
  expect([definitions.isBound("ns/a"), definitions.isBound("ns/b")]).toEqual([true, false]);
  definitions.upsertBinding(binding("b"));
  expect([definitions.isBound("ns/a"), definitions.isBound("ns/b")]).toEqual([false, true]);
  definitions.deleteBinding(binding("b"));
  expect([definitions.isBound("ns/b"), definitions.counts]).toEqual([false, { identities: 1, bindings: 0 }]);
});

test("a change of an identity is one of its bindings, and the other way round", () => {
  const definitions = new Definitions();
  const told: string[] = [];
  definitions.upsertBinding(binding("a"));
  const unsubscribe = definitions.onChange((kind, key) => told.push(`${kind} ${key}`));
  definitions.upsertIdentity(identity("a", "x"));
  expect(told.splice(0)).toEqual(["AzureIdentity ns/a", "AzureIdentityBinding ns/b"]);
  definitions.upsertBinding(binding("c"));
  expect(told.splice(0)).toEqual(["AzureIdentityBinding ns/b", "AzureIdentity ns/a", "AzureIdentity ns/c"]);
  unsubscribe();
  definitions.deleteIdentity(identity("a", "x"));
  expect(told).toEqual([]);
});
