import type { DenialReason } from "@podid/matcher";
import { expect, test } from "vitest";
import { gateVerdict, saysGate } from "./gate-verdict.ts";

const assigned = { state: "assigned" } as const;
const pending = { state: "pending" } as const;
const failed = { state: "failed", failure: { reason: "RefusedByAzure", message: "no" } } as const;

test.for([
  { standings: [assigned], want: "True Assigned: 1 of 1 identities are assigned" },
  { standings: [assigned, pending], want: "False Assigning: 1 of 2 identities are assigned" },
  { standings: [pending, failed], want: "False RefusedByAzure: 0 of 2 identities are assigned: no" },
])("$want", ({ standings, want }) => {
  const verdict = gateVerdict(standings, undefined);
  expect(`${verdict?.status} ${verdict?.reason}: ${verdict?.message}`).toBe(want);
});

test.for<[DenialReason, string | undefined]>([
  ["no-binding", "NoBinding"],
  ["identity-missing", "AzureIdentityMissing"],
  ["identity-invalid", "InvalidIdentity"],
  ["other-namespace", "OtherNamespace"],
  ["service-account-not-allowed", "ServiceAccountNotAllowed"],
  ["pod-host-network", "HostNetwork"],
  ["pod-not-labelled", "NotLabelled"],
  ["pod-not-scheduled", undefined],
  ["pod-finished", undefined],
])("a pod that is given nothing because of %s: %s", ([reason, want]) => {
  expect(gateVerdict([], { reason, message: "why" })?.reason).toBe(want);
});

test("the same words are not written twice", () => {
  const verdict = { status: "True", reason: "Assigned", message: "m" } as const;
  expect(saysGate(verdict, verdict)).toBe(true);
  expect(saysGate({ ...verdict, status: undefined }, verdict)).toBe(false);
  expect(saysGate({ ...verdict, message: "other" }, verdict)).toBe(false);
});
