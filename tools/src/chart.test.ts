import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isHook, renderChart } from "./chart.ts";
import type { Manifest } from "./chart.ts";
import { DEPLOY_FILES, deployYaml } from "./generate-deploy.ts";
import { findKubeClient } from "./kube-clients.ts";

const helm = findKubeClient("helm") ?? "";
const reason = helm === "" ? ": skipped, no helm; `npm run kube:clients` fetches one" : "";

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

function rulesOf({ rules }: Manifest): readonly Rule[] {
  return (rules as readonly Rule[] | undefined) ?? [];
}

/** ServiceAccounts, roles and bindings that the release has for as long as it lives. */
function rights(objects: readonly Manifest[]): Manifest[] {
  return objects.filter((object) => /^(ServiceAccount|(Cluster)?Role(Binding)?)$/.test(object.kind) && !isHook(object));
}

/** `Kind namespace/name` of each object. */
function names(objects: readonly Manifest[]): string[] {
  return objects.map(({ kind, metadata: { namespace = "", name } }) => `${kind} ${namespace}/${name}`).sort();
}

describe.skipIf(helm === "")(`the chart${reason}`, () => {
  const render = (...set: readonly string[]): Promise<Manifest[]> =>
    renderChart({ helm, namespace: "identity-system", set });

  test("has nothing to complain about for helm lint", () => {
    execFileSync(helm, ["lint", "--strict", join(import.meta.dirname, "../../charts/podid")]);
  });

  test.for(DEPLOY_FILES)("deploy has, as it renders them: $about", async (file) => {
    expect(await readFile(file.path, "utf8")).toBe(await deployYaml(helm, file));
  });

  test("gives rights to its two ServiceAccounts and to kubelet's, none of them to everything", async () => {
    const objects = rights(await render());
    expect(names(objects)).toEqual([
      "ClusterRole /podid-mic",
      "ClusterRole /podid-nmi",
      "ClusterRole /podid-nmi-tokens",
      "ClusterRoleBinding /podid-mic",
      "ClusterRoleBinding /podid-nmi",
      "ClusterRoleBinding /podid-nmi-tokens",
      "Role default/podid-mic-former-lock",
      "Role identity-system/podid-mic",
      "Role identity-system/podid-mic-leader",
      "Role identity-system/podid-nmi-lifecycle",
      "RoleBinding default/podid-mic-former-lock",
      "RoleBinding identity-system/podid-mic",
      "RoleBinding identity-system/podid-mic-leader",
      "RoleBinding identity-system/podid-nmi-lifecycle",
      "ServiceAccount identity-system/podid-mic",
      "ServiceAccount identity-system/podid-nmi",
    ]);
    const granted = objects.flatMap(rulesOf);
    const words = granted.flatMap(({ apiGroups, resources, verbs }) => [...apiGroups, ...resources, ...verbs]);
    expect(words.filter((word) => word.includes("*"))).toEqual([]);
    expect(words).not.toContain("secrets");
    for (const { metadata, subjects } of objects.filter(({ kind }) => kind.endsWith("Binding")))
      expect(subjects).toEqual([
        metadata.name === "podid-nmi-tokens"
          ? { apiGroup: "rbac.authorization.k8s.io", kind: "Group", name: "system:nodes" }
          : { kind: "ServiceAccount", name: expect.stringMatching(/^podid-(mic|nmi)$/), namespace: "identity-system" },
      ]);
  });

  test("managed mode has no MIC, and nobody reads assigned identities", async () => {
    const objects = rights(await render("operationMode=managed", "rbac.createUserFacingClusterRoles=true"));
    expect(names(objects).filter((name) => name.includes("mic"))).toEqual([]);
    expect(objects.flatMap(rulesOf).flatMap(({ resources }) => resources)).not.toContain("azureassignedidentities");
  });

  test("without rbac.enabled only the ServiceAccounts are made", async () => {
    expect(names(rights(await render("rbac.enabled=false")))).toEqual([
      "ServiceAccount identity-system/podid-mic",
      "ServiceAccount identity-system/podid-nmi",
    ]);
  });

  test("names, Lease and lifecycle ConfigMap are where the values say", async () => {
    const objects = await render(
      "nameOverride=aad-pod-identity",
      "mic.leaderElection.namespace=leases",
      "mic.leaderElection.name=mine",
      "nmi.micNamespace=other",
    );
    expect(names(objects)).toEqual(
      expect.arrayContaining([
        "ClusterRole /aad-pod-identity-mic",
        "Role leases/aad-pod-identity-mic-leader",
        "RoleBinding leases/aad-pod-identity-mic-leader",
        "Role other/aad-pod-identity-nmi-lifecycle",
        "ServiceAccount identity-system/aad-pod-identity-nmi",
      ]),
    );
    const leader = objects.find(({ kind, metadata }) => kind === "Role" && metadata.name.endsWith("-leader"));
    expect(leader && rulesOf(leader)[0]?.resourceNames).toEqual(["mine"]);
  });

  test("Secrets only in namespaces that are named, by name where names are given", async () => {
    const secrets = [{ namespace: "team-a", names: ["client-secret"] }, { namespace: "team-b" }];
    const render = (allow: boolean): Promise<Manifest[]> =>
      renderChart({ helm, setJson: [`rbac={"secrets":${JSON.stringify(secrets)},"allowAccessToSecrets":${allow}}`] });
    const roles = (await render(true)).filter(({ metadata }) => metadata.name === "podid-nmi-secrets");
    expect(names(roles)).toEqual([
      "Role team-a/podid-nmi-secrets",
      "Role team-b/podid-nmi-secrets",
      "RoleBinding team-a/podid-nmi-secrets",
      "RoleBinding team-b/podid-nmi-secrets",
    ]);
    expect(roles.flatMap(rulesOf)).toEqual([
      { apiGroups: [""], resources: ["secrets"], resourceNames: ["client-secret"], verbs: ["get"] },
      { apiGroups: [""], resources: ["secrets"], verbs: ["get"] },
    ]);
    expect(names(await render(false)).filter((name) => name.includes("secrets"))).toEqual([]);
  });

  test("user-facing roles add to the built-in ones", async () => {
    const added = (await render("rbac.createUserFacingClusterRoles=true")).filter(({ metadata }) =>
      /-(view|edit)$/.test(metadata.name),
    );
    expect(
      added.map(({ metadata }) => [
        metadata.name,
        ...Object.keys(metadata.labels ?? {}).filter((key) => key.startsWith("rbac.")),
      ]),
    ).toEqual([
      ["podid-view", ...["view", "edit", "admin"].map((role) => `rbac.authorization.k8s.io/aggregate-to-${role}`)],
      ["podid-edit", ...["edit", "admin"].map((role) => `rbac.authorization.k8s.io/aggregate-to-${role}`)],
    ]);
    // MIC alone writes assigned identities.
    expect(rulesOf(added[1]!).flatMap(({ resources }) => resources)).not.toContain("azureassignedidentities");
  });
});
