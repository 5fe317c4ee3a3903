import { identityRecord } from "@podid/matcher";
import { expect, test } from "vitest";
import { resourceId } from "../../test/cluster.ts";
import { clientIdMismatches } from "./client-id-mismatch.ts";

const KEY = resourceId("x").toLowerCase();

function identity(clientID: string, resource = resourceId("x")) {
  const record = identityRecord({
    metadata: { namespace: "shop", name: "id", uid: "u", resourceVersion: "1" },
    spec: { type: 0, clientID, resourceID: resource },
  });
  if (record === undefined) throw new Error("fixture");
  return record;
}

test.for([
  { name: "the same", clientID: "aa", actual: "aa", want: [] },
  { name: "the same in another casing", clientID: "AA", actual: "aa", want: [] },
  { name: "another", clientID: "bb", actual: "aa", want: ["bb is aa"] },
  { name: "not told by ARM yet", clientID: "bb", actual: undefined, want: [] },
  { name: "not given", clientID: "", actual: "aa", want: [] },
])("a client id that is $name", ({ clientID, actual, want }) => {
  const attached = new Map([[KEY, { key: KEY, id: KEY, ...(actual !== undefined && { clientId: actual }) }]]);
  const found = clientIdMismatches([identity(clientID), identity(clientID)], attached);
  expect(found.map((mismatch) => `${mismatch.claimed} is ${mismatch.actual}`)).toEqual(want);
});

test("the message names field, value and fix", () => {
  const [mismatch] = clientIdMismatches(
    [identity("neighbour")],
    new Map([[KEY, { key: KEY, id: KEY, clientId: "mine" }]]),
  );
  expect(mismatch?.message).toBe(
    'spec.clientID of AzureIdentity shop/id is "neighbour", but the identity of spec.resourceID has client id mine; correct one of the two',
  );
});
