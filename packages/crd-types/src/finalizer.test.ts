import { expect, test } from "vitest";
import { withoutFinalizer } from "./finalizer.ts";

const OURS = "azureassignedidentity.finalizers.aadpodidentity.k8s.io";

test.for([
  { name: "the only one", given: [OURS], want: [] },
  { name: "others survive", given: ["a.example/x", OURS, "b.example/y"], want: ["a.example/x", "b.example/y"] },
  { name: "none", given: undefined, want: [] },
])("S09 $name", ({ given, want }) => {
  expect(withoutFinalizer(given)).toEqual(want);
});
