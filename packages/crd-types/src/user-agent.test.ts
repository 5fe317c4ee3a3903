import { expect, test } from "vitest";
import { userAgent } from "./user-agent.ts";

const parts = { component: "NMI", version: "version", commit: "commit", date: "now" } as const;

test.for([
  { custom: undefined, want: "aad-pod-identity/NMI/version/commit/now" },
  { custom: "", want: "aad-pod-identity/NMI/version/commit/now" },
  { custom: "managedBy:aks", want: "aad-pod-identity/NMI/version/commit/now managedBy:aks" },
])("S07 custom $custom", ({ custom, want }) => {
  expect(userAgent({ ...parts, custom })).toBe(want);
});
