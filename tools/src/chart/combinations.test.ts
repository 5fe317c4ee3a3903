import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { renderChart } from "../chart.ts";
import type { Manifest, RenderOptions } from "../chart.ts";
import { CASES } from "./cases.ts";
import { helms } from "./helm3.ts";
import { containerOf, containersOf, podsOf } from "./pods.ts";

const { path: helm = "", missing } = helms().find(({ path }) => path !== undefined) ?? {
  missing: ": skipped, no helm",
};

const render = (options: Partial<RenderOptions> = {}): Promise<Manifest[]> =>
  renderChart({ helm, namespace: "podid", ...options });

const RIGHTS = /^(Cluster)?Role(Binding)?$/;
const ofRights = (objects: readonly Manifest[]): string[] =>
  objects.filter(({ kind }) => RIGHTS.test(kind)).map(({ kind, metadata }) => `${kind} ${metadata.name}`);

describe.skipIf(helm === "")(`values that meet${helm === "" ? missing : ""}`, () => {
  test.for(["false", ""])("rights: the text %j is as good as false", async (no) => {
    const values = { nmi: { startupTaint: "podid.dev/agent-not-ready", tokenRequests: { credentials: "kubelet" } } };
    expect(ofRights(await render({ values: { ...values, rbac: { enabled: no } } }))).toEqual([]);
    const secrets = [{ namespace: "team-a", names: ["password"] }];
    const some = await render({
      values: { rbac: { secrets, allowAccessToSecrets: no, createUserFacingClusterRoles: no } },
    });
    expect(ofRights(some).filter((name) => /-(secrets|view|edit)$/.test(name))).toEqual([]);
  });

  test("a cloud of one's own is described to MIC whatever its credentials", async () => {
    const { values } = CASES.find(({ name }) => name === "service principal for MIC")!;
    const objects = await render({
      values: { ...values, mic: { customCloud: { enabled: true, configPath: "/etc/kubernetes/stack.json" } } },
    });
    const mic = containerOf(objects, "mic");
    expect(mic.env).toContainEqual({ name: "AZURE_ENVIRONMENT_FILEPATH", value: "/etc/kubernetes/stack.json" });
    expect(mic.env?.map(({ name }) => name)).toContain("CLIENT_SECRET");
    expect(mic.volumeMounts?.map(({ mountPath }) => mountPath)).toEqual(["/tmp", "/etc/kubernetes/stack.json"]);
    expect(mic.securityContext?.runAsUser).toBe(65532);
  });

  test("the number 0 is what it was for aad-pod-identity's chart: not set", async () => {
    const zeros = {
      mic: { createDeleteBatch: 0, clientQps: 0, updateUserMSIMaxRetry: 0 },
      nmi: {
        ipTableUpdateTimeIntervalInSeconds: 0,
        retryAttemptsForCreated: 0,
        retryAttemptsForAssigned: 0,
        findIdentityRetryIntervalInSeconds: 0,
      },
    };
    const [with0, without] = [await render({ values: zeros }), await render()];
    for (const name of ["mic", "nmi"]) expect(containerOf(with0, name).args).toEqual(containerOf(without, name).args);
    const off = await render({ values: { nmi: { ipTableUpdateTimeIntervalInSeconds: "0" } } });
    expect(containerOf(off, "nmi").args).toContain("--ipt-update-interval-sec=0");
  });

  test("the sysctl is set for every address that leads to loopback", async () => {
    for (const address of ["127.0.0.1", "127.0.0.2", "0.0.0.0"]) {
      const names = containersOf(await render({ set: [`nmi.listenAddress=${address}`] })).map(({ name }) => name);
      expect([address, names]).toEqual([address, expect.arrayContaining(["route-localnet"])]);
    }
  });

  test("a namespace that is named twice gets its rights once", async () => {
    const values = { nmi: { tokenRequests: { credentials: "service-account", namespaces: ["team-a", "team-a"] } } };
    const names = ofRights(await render({ values })).filter((name) => name.endsWith("-tokens"));
    expect(names).toEqual(["Role podid-nmi-tokens", "RoleBinding podid-nmi-tokens"]);
  });

  test("an empty list of identities allows none, not the one without a name", async () => {
    const objects = await render({ values: { admissionPolicies: { allowedIdentities: { "*": [], a: ["B"] } } } });
    const policy = objects.find(({ kind }) => kind === "ValidatingAdmissionPolicy");
    const { variables } = policy!["spec"] as { variables: { name: string; expression: string }[] };
    const allowed = variables.find(({ name }) => name === "allowed")?.expression ?? "";
    expect(JSON.parse(allowed)).toEqual({ "*": ["-"], a: ["-", "b"] });
  });

  test("helm shows what the test pod says, which is gone when --logs looks for it", async () => {
    const { values } = CASES.find(({ name }) => name === "drain and test")!;
    const pod = (await render({ values })).find(({ kind }) => kind === "Pod");
    expect(pod?.metadata.annotations).toMatchObject({
      "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
      "helm.sh/hook-output-log-policy": "hook-succeeded,hook-failed",
    });
    for (const page of ["charts/podid/templates/NOTES.txt", "docs/install.md"])
      expect(await readFile(join(import.meta.dirname, "../../..", page), "utf8")).not.toMatch(/helm test.*--logs/);
  });

  test("names may look like numbers", async () => {
    const objects = await render({ release: "7", namespace: "1e3", values: { nameOverride: "0" } });
    for (const { metadata, subjects = [] } of objects) {
      for (const text of [metadata.name, metadata.namespace ?? "", ...Object.values(metadata.labels ?? {})])
        expect(text).toBeTypeOf("string");
      for (const { namespace } of subjects as { namespace?: unknown }[])
        expect(namespace === undefined || typeof namespace === "string").toBe(true);
    }
    for (const { serviceAccountName } of podsOf(objects) as unknown as { serviceAccountName: unknown }[])
      expect(serviceAccountName).toBeTypeOf("string");
  });
});
