import { expect, test } from "vitest";
import { diagnose, type Facts } from "./diagnosis.ts";

const process = (name: string, app: string, state: "running" | "stopped" = "running") => ({
  name,
  app,
  state,
  pid: 1,
  restarts: 0,
  lastExit: undefined,
  startedAt: 0,
});

const healthy: Facts = {
  pod: { namespace: "default", name: "demo", label: "demo", node: "aks-vm-0", phase: "Running" },
  bindings: [{ namespace: "default", name: "b", selector: "demo", azureIdentity: "demo1" }],
  identities: [{ namespace: "default", name: "demo1", clientId: "C1" }],
  assigned: [{ name: "demo-default-demo1", status: "Assigned" }],
  processes: [process("mic-0", "mic"), process("mic-1", "mic"), process("nmi-aks-vm-0", "nmi")],
  ruleChanges: [],
  armRefusals: [],
  micClientId: "MIC",
};
const refusal = (caller: string) => ({
  caller,
  method: "GET",
  path: "/subscriptions/s/resourceGroups/g",
  error: "AuthorizationFailed",
});
const stopped = [
  process("mic-0", "mic", "stopped"),
  process("mic-1", "mic", "stopped"),
  process("nmi-aks-vm-0", "nmi"),
];

test("nothing wrong, nothing said", () => {
  expect(diagnose(healthy)).toBeUndefined();
});

test.for<{ name: string; given: Partial<Facts>; says: string }>([
  { name: "pod gone", given: { pod: undefined }, says: "pod does not exist" },
  {
    name: "pod not scheduled",
    given: { pod: { namespace: "default", name: "demo", label: "demo", node: undefined, phase: "Pending" } },
    says: "is on no node",
  },
  {
    name: "label gone",
    given: { pod: { namespace: "default", name: "demo", label: undefined, node: "aks-vm-0", phase: "Running" } },
    says: "lacks the label aadpodidbinding",
  },
  {
    name: "program over",
    given: {
      pod: { namespace: "default", name: "demo", label: "demo", node: "aks-vm-0", phase: "Running", exitCode: 1 },
    },
    says: "program ended with 1",
  },
  { name: "binding gone", given: { bindings: [], assigned: [] }, says: "binding is missing" },
  {
    name: "binding in another namespace",
    given: { bindings: [{ namespace: "other", name: "b", selector: "demo", azureIdentity: "demo1" }] },
    says: "binding is missing",
  },
  { name: "identity gone", given: { identities: [] }, says: "identity is missing" },
  {
    name: "MIC stopped",
    given: { processes: stopped, assigned: [] },
    says: "MIC is not running (mic-0 stopped, mic-1 stopped)",
  },
  {
    name: "NMI of another node only",
    given: { processes: [process("mic-0", "mic"), process("nmi-other", "nmi")] },
    says: "NMI is not running on aks-vm-0",
  },
  {
    name: "rules wiped",
    given: { ruleChanges: ["nat: chain aad-metadata was missing"] },
    says: "rules are missing on aks-vm-0 (nat: chain aad-metadata was missing)",
  },
  {
    name: "MIC may not attach",
    given: { assigned: [], armRefusals: [refusal("MIC")] },
    says: "MIC's service principal lacks a role",
  },
  { name: "not attached yet", given: { assigned: [{ name: "a", status: "Created" }] }, says: "a is Created" },
  {
    name: "identity may not read",
    given: { armRefusals: [refusal("c1")] },
    says: "the role assignment is missing: ARM refused GET",
  },
])("$name", ({ given, says }) => {
  expect(diagnose({ ...healthy, ...given })).toContain(says);
});

test("a stopped MIC is no cause once the identity is attached", () => {
  expect(diagnose({ ...healthy, processes: stopped })).toBeUndefined();
});

test("somebody else's refusal is not the demo's", () => {
  expect(diagnose({ ...healthy, armRefusals: [refusal("another")] })).toBeUndefined();
});
