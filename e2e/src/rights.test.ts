import { expect, test } from "vitest";
import { compareRights, grantsOf } from "./rights.ts";
import type { AuditEvent, PolicyRule, RbacObject } from "./rights.ts";

const ACCOUNT = { namespace: "system", name: "agent" };
const SUBJECTS = [{ kind: "ServiceAccount", ...ACCOUNT }];

function everywhere(...rules: PolicyRule[]): RbacObject[] {
  return [
    { kind: "ClusterRole", metadata: { name: "wide" }, rules },
    {
      kind: "ClusterRoleBinding",
      metadata: { name: "wide" },
      roleRef: { kind: "ClusterRole", name: "wide" },
      subjects: SUBJECTS,
    },
  ];
}

function inNamespace(namespace: string, ...rules: PolicyRule[]): RbacObject[] {
  return [
    { kind: "Role", metadata: { name: "narrow", namespace }, rules },
    {
      kind: "RoleBinding",
      metadata: { name: "narrow", namespace },
      roleRef: { kind: "Role", name: "narrow" },
      subjects: SUBJECTS,
    },
  ];
}

function rule(resource: string, verbs: readonly string[], more: Partial<PolicyRule> = {}): PolicyRule {
  return { apiGroups: [""], resources: [resource], verbs, ...more };
}

/** `verb resource [namespace/]name`; a status of 403 when `refused`. */
function event(request: string, refused = false): AuditEvent {
  const [verb = "", target = "", at = ""] = request.split(" ");
  const [resource = "", subresource] = target.split("/");
  const [namespace, name] = at.includes("/") ? at.split("/") : [undefined, at];
  return {
    verb,
    requestURI: target,
    user: { username: "system:serviceaccount:system:agent" },
    ...(!target.startsWith("/") && {
      objectRef: {
        resource,
        ...(subresource !== undefined && { subresource }),
        ...(namespace !== undefined && { namespace }),
        ...(name && { name }),
      },
    }),
    responseStatus: { code: refused ? 403 : 200 },
  };
}

const NOTHING = { denied: [], unused: [], tooWide: [] };

test.for<{
  name: string;
  rights: RbacObject[];
  asked: (string | AuditEvent)[];
  want: Partial<ReturnType<typeof compareRights>>;
}>([
  {
    name: "what is granted is used",
    rights: everywhere(rule("pods", ["get", "list"])),
    asked: ["list pods", "get pods a/one", "get pods b/two"],
    want: {},
  },
  {
    name: "a missing verb is denied, once however often it was asked for",
    rights: everywhere(rule("pods", ["list"])),
    asked: ["list pods", "get pods a/one", "get pods a/one"],
    want: { denied: ["get pods one in a"] },
  },
  {
    name: "a refusal counts although the rules allow it",
    rights: everywhere(rule("pods", ["list"])),
    asked: [event("list pods", true)],
    want: { denied: ["list pods"] },
  },
  {
    name: "a verb too many is unused",
    rights: everywhere(rule("pods", ["list", "watch"])),
    asked: ["list pods"],
    want: { unused: ["watch pods (ClusterRole wide)"] },
  },
  {
    name: "a wide grant beside a narrow one is unused, and so is the second of two equal ones",
    rights: [
      ...everywhere(rule("configmaps", ["get"])),
      ...inNamespace("a", rule("configmaps", ["get"]), rule("configmaps", ["get"])),
    ],
    asked: ["get configmaps a/x", "get configmaps a/y"],
    want: { unused: ["get configmaps (ClusterRole wide)", "get configmaps in a (Role narrow)"] },
  },
  {
    name: "another namespace is denied",
    rights: inNamespace("a", rule("configmaps", ["list"])),
    asked: ["list configmaps a/", "list configmaps b/", "list configmaps"],
    want: { denied: ["list configmaps", "list configmaps in b"] },
  },
  {
    name: "a name that is not among those is denied",
    rights: inNamespace("a", rule("leases", ["get"], { resourceNames: ["mine"] })),
    asked: ["get leases a/mine", "get leases a/other"],
    want: { denied: ["get leases other in a"] },
  },
  {
    name: "creation has no name yet, a subresource's has",
    rights: inNamespace(
      "a",
      rule("leases", ["create"], { resourceNames: ["mine"] }),
      rule("serviceaccounts/token", ["create"], { resourceNames: ["mine"] }),
    ),
    asked: ["create leases a/mine", "create serviceaccounts/token a/mine"],
    want: { denied: ["create leases in a"], unused: ["create leases mine in a (Role narrow)"] },
  },
  {
    name: "all namespaces where one would do",
    rights: everywhere(rule("events", ["create"])),
    asked: ["create events a/one", "create events a/two"],
    want: { tooWide: ["create events (ClusterRole wide), but only asked for in a"] },
  },
  {
    name: "all names where one would do",
    rights: inNamespace("a", rule("leases", ["get"])),
    asked: ["get leases a/mine"],
    want: { tooWide: ["get leases in a (Role narrow), but only asked for mine"] },
  },
  {
    name: "subresources and API groups are others",
    rights: everywhere(rule("pods", ["list"]), rule("pods/log", ["get"]), rule("pods", ["list"], { apiGroups: ["x"] })),
    asked: ["list pods", "get pods/log a/one", "get pods/log b/two", "get pods a/one"],
    want: { denied: ["get pods one in a"], unused: ["list pods.x (ClusterRole wide)"] },
  },
  {
    name: "a wildcard allows, yet counts only where nothing else does",
    rights: everywhere(rule("pods", ["list"]), rule("*", ["*"], { apiGroups: ["*"] })),
    asked: ["list pods"],
    want: { unused: ["* *.* (ClusterRole wide)"] },
  },
  {
    name: "paths that are no resources",
    rights: everywhere({ nonResourceURLs: ["/version", "/metrics"], verbs: ["get"] }),
    asked: ["get /version", "get /healthz"],
    want: { denied: ["get /healthz"], unused: ["get /metrics (ClusterRole wide)"] },
  },
])("$name", ({ rights, asked, want }) => {
  const events = asked.map((request) => (typeof request === "string" ? event(request) : request));
  expect(compareRights(grantsOf(rights, ACCOUNT), events)).toEqual({ ...NOTHING, ...want });
});

test("a ClusterRole bound in a namespace is of that namespace", () => {
  const [role, binding] = [everywhere(rule("pods", ["list"]))[0]!, inNamespace("a")[1]!];
  expect(grantsOf([role, { ...binding, roleRef: { kind: "ClusterRole", name: "wide" } }], ACCOUNT)).toEqual([
    { role: "ClusterRole wide", namespace: "a", verb: "list", apiGroup: "", resource: "pods" },
  ]);
});

test("others' bindings give nothing, and a role that is not there is an error", () => {
  const rights = everywhere(rule("pods", ["list"]));
  expect(grantsOf(rights, { ...ACCOUNT, namespace: "other" })).toEqual([]);
  expect(() => grantsOf(rights.slice(1), ACCOUNT)).toThrow("binds ClusterRole wide, which is not there");
});
