import { expect, test } from "vitest";
import { nodeIdentityRecord } from "./by-client-id.ts";

const identity = (spec: object) => ({ metadata: { name: "i", namespace: "n", uid: "u" }, spec });

test.for([
  ["client id alone", { type: 0, clientID: "c" }, undefined],
  ["type 0 is the default", { clientID: "c", resourceID: " " }, undefined],
  ["neither", { type: 0 }, "invalid resource id"],
  ["a resource id that is none", { type: 0, clientID: "c", resourceID: "/x" }, "invalid resource id"],
  ["ServiceAccounts that are no list", { type: 0, clientID: "c", serviceAccounts: "app" }, "spec.serviceAccounts"],
  ["federation without a tenant", { type: 3, clientID: "c" }, "spec.tenantID"],
] as const)("%s", ([, spec, problem]) => {
  const record = nodeIdentityRecord(identity(spec));
  if (problem === undefined) expect(record?.problem).toBeUndefined();
  else expect(record?.problem).toContain(problem);
  expect(record?.resourceKey).toBeUndefined();
});
