import { expect, test } from "vitest";
import { armProblem } from "./arm-response.ts";
import { refusedIdentities } from "./refused-identities.ts";
import { parseRetryAfter } from "./retry-after.ts";
import { identity } from "./testing/fixtures.ts";

const NOW = Date.UTC(2026, 0, 1);
const [A, B] = [identity("a").id, identity("b").id];

function wrapped(status: string, response: string): string {
  return `Identity operation for resource '/subscriptions/x/resourceGroups/r/providers/Microsoft.Compute/virtualMachineScaleSets/v' failed with error 'Failed to perform resource identity operation. Status: '${status}'. Response: '${response}'.'.`;
}

test.for([
  {
    name: "linked scopes",
    status: 403,
    code: "LinkedAuthorizationFailed",
    message: `The client 'c' with object id 'o' has permission to perform action 'Microsoft.Compute/virtualMachineScaleSets/write' on scope '/subscriptions/s/resourceGroups/r/providers/Microsoft.Compute/virtualMachineScaleSets/v'; however, it does not have permission to perform action 'Microsoft.ManagedIdentity/userAssignedIdentities/assign/action' on the linked scope(s) '${A},${B}' or the linked scope(s) are invalid.`,
    want: { kind: "identities-refused", identities: [A.toLowerCase(), B.toLowerCase()] },
  },
  {
    name: "identity not found",
    status: 400,
    code: "FailedIdentityOperation",
    message: wrapped("BadRequest", `{"error":{"code":"BadRequest","message":"Resource '${A}' was not found."}}`),
    want: { kind: "identities-refused", identities: [A.toLowerCase()] },
  },
  {
    name: "identity provider throttles",
    status: 400,
    code: "FailedIdentityOperation",
    message: wrapped(
      "429",
      `{"error":{"code":"429","message":"Request is temporarily throttled because resource /subscriptions/.. has issued too many requests. Retry after 20 seconds."}}`,
    ),
    want: { kind: "throttled", scope: "identities", retryAfterMs: 20_000 },
  },
  {
    name: "identity provider conflict",
    status: 400,
    code: "FailedIdentityOperation",
    message: wrapped("Conflict", "{}"),
    want: { kind: "conflict" },
  },
  {
    name: "identity provider gave up",
    status: 400,
    code: "FailedIdentityOperation",
    message: wrapped("499", "{}"),
    want: { kind: "unavailable" },
  },
  {
    name: "no permission",
    status: 403,
    code: "AuthorizationFailed",
    message: "The client does not have authorization",
    want: { kind: "forbidden" },
  },
  {
    name: "no such machine",
    status: 404,
    code: "ResourceNotFound",
    message: "The Resource was not found.",
    want: { kind: "gone" },
  },
  {
    name: "concurrent request",
    status: 409,
    code: "Conflict",
    message: "conflict with a concurrent request",
    want: { kind: "conflict" },
  },
  { name: "etag", status: 412, code: "PreconditionFailed", message: "Etag does not match", want: { kind: "conflict" } },
  { name: "preempted", status: 200, code: "OperationPreempted", message: "preempted", want: { kind: "conflict" } },
  {
    name: "marked for deletion",
    status: 409,
    code: "OperationNotAllowed",
    message: "not allowed since it is marked for deletion.",
    want: { kind: "deleting" },
  },
  {
    name: "subscription throttled",
    status: 429,
    code: "SubscriptionRequestsThrottled",
    message: "…",
    header: "10",
    want: { kind: "throttled", scope: "subscription", retryAfterMs: 10_000 },
  },
  {
    name: "compute throttled",
    status: 429,
    code: "OperationNotAllowed",
    message: "too many requests",
    header: "1200",
    want: { kind: "throttled", scope: "machine", retryAfterMs: 1_200_000 },
  },
  { name: "malformed", status: 400, code: "InvalidRequestContent", message: "no", want: { kind: "invalid" } },
  { name: "failed later", status: 200, code: "InternalExecutionError", message: "no", want: { kind: "unavailable" } },
  {
    name: "busy",
    status: 503,
    code: "ServerBusy",
    message: "no",
    header: "7",
    want: { kind: "unavailable", retryAfterMs: 7000 },
  },
])("$name → $want.kind", ({ status, code, message, header, want }) => {
  const problem = armProblem({ status, header: () => header, body: { error: { code, message } } }, NOW);
  expect(problem).toMatchObject({ status, code, message, ...want });
});

test("a body that is no JSON still becomes a problem", () => {
  const problem = armProblem({ status: 502, header: () => undefined, body: "<html>Bad Gateway</html>" }, NOW);
  expect(problem).toMatchObject({ kind: "unavailable", code: "Http502", message: "<html>Bad Gateway</html>" });
});

test.for([
  { message: `on the linked scope(s) '${A}' or the linked scope(s) are invalid`, want: [A] },
  { message: `'${A},${B}'`, want: [A, B] },
  {
    message: `'/subscriptions/s/resourceGroups/r.1_(x)-y/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i'`,
    want: ["/subscriptions/s/resourceGroups/r.1_(x)-y/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"],
  },
  { message: "error message", want: [] },
  { message: "", want: [] },
])("S45 identities named in $message", ({ message, want }) => {
  expect(refusedIdentities(message)).toEqual(want.map((id) => id.toLowerCase()));
});

test.for([
  { header: undefined, want: undefined },
  { header: "", want: undefined },
  { header: "Thu, 01 Jan 26 00:03:00 GMT", want: undefined },
  { header: "180", want: 180_000 },
  { header: "-1", want: undefined },
  { header: "Thu, 01 Jan 2026 00:03:00 GMT", want: 180_000 },
  { header: "Wed, 31 Dec 2025 00:03:00 GMT", want: undefined },
])("Retry-After $header → $want ms", ({ header, want }) => {
  expect(parseRetryAfter(header, NOW)).toBe(want);
});
