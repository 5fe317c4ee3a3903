import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { findAssets } from "@podid/kube-control-plane";
import { findIsolation, type Isolation } from "@podid/native-tools";
import { bundleApp } from "@podid/tools/bundle";
import { beforeAll, describe, expect, test } from "vitest";
import { MANAGED_NMI, MIC, NMI, renderedRbac } from "./rights-cluster.ts";
import { compareRights, describeGrant, grantsOf, serviceAccountUser } from "./rights.ts";
import type { AuditEvent, PolicyRule, RbacObject } from "./rights.ts";

const ACCOUNTS = [MIC, NMI, MANAGED_NMI];
const VERBS = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

interface Run {
  readonly events: readonly AuditEvent[];
  /** Why the scenario did not come to its end. */
  readonly problem?: string;
}

/** Where the scenario can run, or why it cannot. */
async function place(): Promise<Isolation | string> {
  if ((await findAssets(process.env)) === undefined)
    return "KUBEBUILDER_ASSETS is not set; `npm run kube:build` prints what to set it to";
  return findIsolation();
}

async function run(isolation: Isolation): Promise<Run> {
  const bundles = [await bundleApp("mic"), await bundleApp("nmi")];
  const program = join(import.meta.dirname, "../programs/rights-run.ts");
  const { stdout } = await promisify(execFile)("unshare", isolation.args(process.execPath, program, ...bundles), {
    env: isolation.env,
    maxBuffer: 2 ** 26,
    timeout: 110_000,
  });
  return JSON.parse(stdout) as Run;
}

/** What the rules say of all ServiceAccounts' requests. */
function compare(objects: readonly RbacObject[], { events }: Run): ReturnType<typeof compareRights> {
  const reports = ACCOUNTS.map((account) =>
    compareRights(
      grantsOf(objects, account),
      events.filter(({ user }) => user.username === serviceAccountUser(account)),
    ),
  );
  return {
    denied: reports.flatMap(({ denied }) => denied),
    unused: reports.flatMap(({ unused }) => unused),
    tooWide: reports.flatMap(({ tooWide }) => tooWide),
  };
}

const objects = renderedRbac();
/** Roles that the two accounts have; that of kubelets is not theirs (`token-requests.test.ts` is about it). */
const theirs = new Set(ACCOUNTS.flatMap((account) => grantsOf(objects, account)).map(({ role }) => role));
const rules = objects
  .filter(({ kind, metadata }) => theirs.has(`${kind} ${metadata.name}`))
  .flatMap((role) => (role.rules ?? []).map((rule, index) => ({ role, rule, index })));

/** The rendered objects, with one rule as `change` has it. */
function changed(
  { role, index }: (typeof rules)[number],
  change: (rule: PolicyRule) => readonly PolicyRule[],
): RbacObject[] {
  return objects.map((object) =>
    object === role
      ? { ...object, rules: (object.rules ?? []).flatMap((rule, i) => (i === index ? change(rule) : [rule])) }
      : object,
  );
}

function label({ role, rule }: (typeof rules)[number]): string {
  return `${[...(rule.resources ?? []), ...(rule.resourceNames ?? [])].join(" ")} (${role.kind} ${role.metadata.name})`;
}

const where = await place();
const reason = typeof where === "string" ? where : undefined;

describe.skipIf(reason !== undefined)(
  `the rights that the chart gives, on a real API server${reason === undefined ? "" : `: skipped, ${reason}`}`,
  () => {
    let done: Run;
    beforeAll(async () => {
      if (typeof where !== "string") done = await run(where);
    });

    test("MIC and NMI were denied nothing", () => {
      expect(compare(objects, done).denied).toEqual([]);
    });

    test("the scenario came to its end", () => {
      expect(done.problem).toBeUndefined();
    });

    test("MIC and NMI used every right", () => {
      expect(compare(objects, done).unused).toEqual([]);
    });

    test("no right is to more namespaces or names than were asked for", () => {
      expect(compare(objects, done).tooWide).toEqual([]);
    });

    test.for(rules.flatMap((at) => at.rule.verbs.map((verb) => ({ name: `${verb} ${label(at)}`, at, verb }))))(
      "without $name something is denied",
      ({ at, verb }) => {
        const without = changed(at, (rule) => [{ ...rule, verbs: rule.verbs.filter((each) => each !== verb) }]);
        const { denied } = compare(without, done);
        expect(denied.length).toBeGreaterThan(0);
        for (const request of denied) expect(request).toMatch(new RegExp(`^${verb} `));
      },
    );

    test.for(
      rules.flatMap((at) =>
        [...VERBS, "*"]
          .filter((verb) => !at.rule.verbs.includes(verb))
          .map((verb) => ({ name: `${verb} ${label(at)}`, at, verb })),
      ),
    )("with $name something is unused", ({ at, verb }) => {
      const more = changed(at, (rule) => [{ ...rule, verbs: [...rule.verbs, verb] }]);
      const added = ACCOUNTS.flatMap((account) => {
        const before = new Set(grantsOf(objects, account).map(describeGrant));
        return grantsOf(more, account)
          .map(describeGrant)
          .filter((grant) => !before.has(grant));
      });
      expect(added.length).toBeGreaterThan(0);
      expect(compare(more, done).unused).toEqual(added);
    });

    test.for(rules.filter(({ rule }) => rule.resourceNames !== undefined).map((at) => ({ name: label(at), at })))(
      "without the names, the right to $name is too wide",
      ({ at }) => {
        const wide = changed(at, (rule) => [{ ...rule, resourceNames: [] }]);
        expect(compare(wide, done).tooWide).toHaveLength(at.rule.verbs.length);
      },
    );

    test.for(objects.filter(({ kind }) => kind === "Role"))(
      "in all namespaces, the rights of Role $metadata.name are too wide",
      (role) => {
        const { name } = role.metadata;
        const wide = { kind: "ClusterRole", name: `${name}-wide` };
        const more = objects.map((object): RbacObject => {
          if (object === role) return { ...object, kind: wide.kind, metadata: { name: wide.name } };
          const binds = object.roleRef?.kind === "Role" && object.roleRef.name === name;
          return binds ? { ...object, kind: "ClusterRoleBinding", roleRef: wide } : object;
        });
        const grants = (role.rules ?? []).flatMap(({ verbs }) => verbs);
        expect(compare(more, done)).toEqual({ denied: [], unused: [], tooWide: grants.map(() => expect.any(String)) });
      },
    );

    test.for([
      { name: "Secrets", rule: { apiGroups: [""], resources: ["secrets"], verbs: ["get"] } },
      {
        name: "CRDs",
        rule: { apiGroups: ["apiextensions.k8s.io"], resources: ["customresourcedefinitions"], verbs: ["*"] },
      },
      { name: "tokens", rule: { apiGroups: [""], resources: ["serviceaccounts/token"], verbs: ["create"] } },
    ])("a new right, to $name, is unused", ({ rule }) => {
      for (const at of rules)
        expect(
          compare(
            changed(at, (own) => [own, rule]),
            done,
          ).unused,
        ).toHaveLength(1);
    });
  },
);
