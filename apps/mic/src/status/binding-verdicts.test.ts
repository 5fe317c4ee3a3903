import { bindingRecord, identityRecord, Matcher, podRecord } from "@podid/matcher";
import { expect, test } from "vitest";
import { resourceId } from "../../test/cluster.ts";
import { bindingVerdicts } from "./binding-verdicts.ts";
import { emptySummary } from "./scope-summary.ts";

interface Given {
  readonly spec?: object;
  readonly identity?: object | undefined;
  readonly annotations?: object;
  /** Labels of pods in the namespace `other`. */
  readonly pods?: readonly string[];
  readonly summary?: object;
  readonly flaw?: { readonly status: "False"; readonly reason: string; readonly message: string };
}

const MANAGED = { type: 0, resourceID: resourceId("x"), clientID: "c" };
const FAILURE = { reason: "AzureThrottled", message: "TooManyRequests: later" } as const;

function told({ spec = {}, annotations = {}, pods = [], summary = {}, flaw, ...given }: Given): string[] {
  const matcher = new Matcher();
  const metadata = { namespace: "shop", uid: "u" };
  const binding = bindingRecord({
    metadata: { ...metadata, name: "b", annotations },
    spec: { azureIdentity: "id", selector: "Cart", ...spec },
  });
  if (binding === undefined) throw new Error("fixture");
  matcher.upsertBinding(binding);
  const identitySpec = "identity" in given ? given.identity : MANAGED;
  const identity =
    identitySpec &&
    identityRecord({
      metadata: { ...metadata, name: "id", annotations: { "aadpodidentity.k8s.io/Behavior": "namespaced" } },
      spec: identitySpec,
    });
  if (identity !== undefined) matcher.upsertIdentity(identity);
  pods.forEach((label, n) => {
    const pod = podRecord({
      metadata: { namespace: "other", name: `p${n}`, uid: `${n}`, labels: { aadpodidbinding: label } },
      spec: { nodeName: "n" },
    });
    if (pod !== undefined) matcher.upsertPod(pod);
  });
  const explanation = matcher.explainBinding("shop", "b");
  if (explanation === undefined) throw new Error("fixture");
  const input = { explanation, summary: { ...emptySummary("shop/id"), ...summary }, identityFlaw: flaw };
  return bindingVerdicts(input).map(({ type, status, reason, message }) => `${type} ${status} ${reason}: ${message}`);
}

test.for<Given & { want: string }>([
  { spec: { azureIdentity: "" }, want: "Ready False AzureIdentityMissing: spec.azureIdentity is empty" },
  { identity: undefined, want: "Ready False AzureIdentityMissing: AzureIdentity shop/id does not exist" },
  { spec: { selector: "" }, want: "Ready False SelectorEmpty: spec.selector is empty" },
  {
    flaw: { status: "False", reason: "InvalidResourceID", message: "no id" },
    want: "Ready False InvalidResourceID: AzureIdentity shop/id: no id",
  },
  {
    summary: { matched: 3, assigned: 2, failed: 1, failure: FAILURE },
    want: "Ready False AzureThrottled: TooManyRequests: later",
  },
  { summary: { matched: 3, assigned: 2 }, want: "Ready False Assigning: assigned for 2 of 3 pods" },
  {
    pods: ["Cart", "Cart"],
    want: "Ready False PodsNotAllowed: 2 pods are selected and none may use it: AzureIdentity shop/id serves pods of",
  },
  {
    pods: ["cart"],
    want: 'Ready False SelectorCasing: spec.selector is "Cart", and no pod has exactly that in its label aadpodidbinding; some have "cart"',
  },
  { want: "Ready True NoPods: it selects no pod that runs" },
  { summary: { matched: 3, assigned: 3 }, want: "Ready True Assigned: assigned for 3 pods" },
])("$want", ({ want, ...given }) => {
  expect(told(given).map((line) => line.slice(0, want.length))).toEqual([want]);
});

test.for<Given & { want: string }>([
  { identity: undefined, want: "PreAssigned False AzureIdentityMissing" },
  { identity: { type: 1, clientID: "c", tenantID: "t" }, want: "PreAssigned False NotAttachable" },
  { identity: { ...MANAGED, resourceID: "x" }, want: "PreAssigned False InvalidSpec" },
  { want: "PreAssigned False NoSuchNodePool: no node belongs to pool1, pool2" },
  { summary: { reserved: 2, held: 1 }, want: "PreAssigned False Assigning: attached to 1 of 2 VMs and scale sets" },
  { summary: { reserved: 2, held: 1, reservationFailure: FAILURE }, want: "PreAssigned False AzureThrottled" },
  {
    summary: { reserved: 2, held: 2 },
    want: "PreAssigned True Assigned: attached to 2 of 2 VMs and scale sets of pool1, pool2",
  },
])("before any pod needs it: $want", ({ want, ...given }) => {
  const [, second, ...rest] = told({ ...given, annotations: { "podid.dev/pre-assign": "pool1,pool2" } });
  expect([second?.slice(0, want.length), rest]).toEqual([want, []]);
});
