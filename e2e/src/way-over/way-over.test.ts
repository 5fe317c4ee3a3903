import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { IdentityPatch } from "@podid/azure-assigner";
import { MemoryArm } from "@podid/azure-assigner/testing";
import { parseProviderId } from "@podid/crd-types";
import { RESOURCES } from "@podid/kube";
import type { Resource } from "@podid/kube";
import { findAssets } from "@podid/kube-control-plane";
import { helms } from "@podid/tools/helms";
import { findKubeClient } from "@podid/tools/kube-clients";
import { parse, stringify } from "yaml";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { doDrain } from "../chart/drain-job.ts";
import { CHART, HelmCluster } from "../chart/helm-cluster.ts";
import { until } from "../until.ts";
import { FormerMic, FORMER_CHART, LEASE_SECONDS } from "./former-mic.ts";
import { PodidMic } from "./podid-mic.ts";
import { assigned, clientIdOf, identity, identityId, PROVIDER_ID, runPod, states, uidOf } from "./former-objects.ts";

const assets = await findAssets(process.env);
const kubectl = findKubeClient("kubectl") ?? "";
const GROUP_VERSION = "aadpodidentity.k8s.io/v1";
const RELEASE = "aad-pod-identity";
const NAMESPACE = "kube-system";
const WORK = "workloads";
const DEPLOYMENTS: Resource = {
  group: "apps",
  version: "v1",
  plural: "deployments",
  kind: "Deployment",
  namespaced: true,
};
const group = parseProviderId(PROVIDER_ID);
if (!group.ok) throw new Error("not a provider id");

/** What somebody wrote into a values file for aad-pod-identity's chart. */
const USERS_VALUES = {
  forceNamespaced: "false",
  mic: { logVerbosity: 3, leaderElection: { duration: `${LEASE_SECONDS}s` } },
  nmi: { probePort: 8086, resources: { requests: { cpu: "50m" } } },
  azureIdentities: {
    demo: {
      type: 0,
      resourceID: identityId("demo"),
      clientID: clientIdOf("demo"),
      binding: { name: "demo-binding", selector: "demo" },
    },
  },
};

describe.for(
  helms().map((helm) => ({
    ...helm,
    why: assets === undefined ? ": skipped, KUBEBUILDER_ASSETS is not set" : helm.missing,
  })),
)("the way over from aad-pod-identity with $name", ({ path: helm = "", why }) => {
  const can = helm !== "" && kubectl !== "" && assets !== undefined;
  describe.skipIf(!can)(`on a real API server${can ? "" : why}`, () => {
    let cluster: HelmCluster;
    let directory: string;
    let former: FormerMic | undefined;
    let podid: PodidMic | undefined;
    const arm = new MemoryArm();
    const held = (): string[] =>
      [...arm.machine(group.value.group).identities.keys()].map((id) => id.split("/").at(-1) ?? "");
    const valuesFile = async (values: object): Promise<string> => {
      const file = join(directory, "values.yaml");
      await writeFile(file, stringify(values));
      return `--values=${file}`;
    };
    const run = async (...args: readonly string[]): Promise<string> => {
      const { code, output } = await cluster.helm(helm, ...args);
      if (code !== 0) throw new Error(`helm ${args.join(" ")}: ${output}`);
      return output;
    };
    const upgrade = (...args: readonly string[]): Promise<{ code: number; output: string }> =>
      cluster.helm(helm, "upgrade", RELEASE, CHART, "--namespace", NAMESPACE, ...args);
    const uids = async (): Promise<(string | undefined)[]> =>
      Promise.all([
        uidOf(cluster, RESOURCES.daemonSets, "aad-pod-identity-nmi", NAMESPACE),
        uidOf(cluster, DEPLOYMENTS, "aad-pod-identity-mic", NAMESPACE),
        uidOf(cluster, RESOURCES.serviceAccounts, "aad-pod-identity-nmi", NAMESPACE),
        uidOf(cluster, RESOURCES.azureIdentities, "demo", NAMESPACE),
        uidOf(cluster, RESOURCES.azureIdentityBindings, "demo-binding", NAMESPACE),
        uidOf(cluster, RESOURCES.azurePodIdentityExceptions, "mic", NAMESPACE),
        uidOf(cluster, RESOURCES.azurePodIdentityExceptions, "aks-addon-exception", "kube-system"),
      ]);
    const daemonSet = async (): Promise<Record<string, unknown>> =>
      (await cluster.of(RESOURCES.daemonSets).get("aad-pod-identity-nmi", NAMESPACE))["spec"] as Record<
        string,
        unknown
      >;

    beforeAll(async () => {
      if (assets === undefined) return;
      directory = await mkdtemp(join(tmpdir(), "podid-way-over-"));
      cluster = await HelmCluster.start(assets);
      for (const name of ["default", NAMESPACE])
        await until("the namespace is there", () => cluster.of(RESOURCES.namespaces).get(name));
      await cluster.of(RESOURCES.namespaces).create({ metadata: { name: WORK } });
      await cluster.of(RESOURCES.serviceAccounts).create({ metadata: { name: "default", namespace: WORK } });
    });
    afterAll(async () => {
      await podid?.stop();
      await former?.end();
      await cluster?.close();
      if (directory !== undefined) await rm(directory, { recursive: true, force: true });
    });

    let before: (string | undefined)[];
    test("a cluster that runs aad-pod-identity", async () => {
      await run("install", RELEASE, FORMER_CHART, "--namespace", NAMESPACE, await valuesFile(USERS_VALUES));
      before = await uids();
      expect(before).not.toContain(undefined);
      await cluster.of(RESOURCES.nodes).create({ metadata: { name: "vm-1" }, spec: { providerID: PROVIDER_ID } });
      for (const name of ["kept", "fresh", "blank", "gone", "half"]) {
        for (const object of identity(name, WORK)) {
          const kind = object["kind"] === "AzureIdentity" ? RESOURCES.azureIdentities : RESOURCES.azureIdentityBindings;
          await cluster.of(kind).create(object);
        }
      }
      // One pod for each state that may be found; `gone` and `half` have none any more.
      for (const name of ["kept", "fresh", "blank"]) await runPod(cluster, name, WORK, name);
      const aais = cluster.of(RESOURCES.azureAssignedIdentities);
      await aais.create(assigned("kept", "kept", WORK, "Assigned"));
      await aais.create(assigned("fresh", "fresh", WORK, "Created"));
      await aais.create(assigned("blank", "blank", WORK, undefined));
      await aais.create(assigned("gone", "gone", WORK, "Assigned"));
      await aais.create(assigned("half", "half", WORK, "Unassigned"));
      await aais.delete("half-workloads-half", "default");
      arm.attach(group.value.group, ...["kept", "blank", "gone", "half", "foreign"].map(identityId));
      former = await FormerMic.start(cluster, "aad-pod-identity-mic-0", NAMESPACE);
      await former.says("leading");
    });

    test.for([
      {
        title: "names of podid's own, which would end one DaemonSet before the other is ready",
        values: USERS_VALUES,
        says: [
          "nameOverride: this release runs aad-pod-identity's DaemonSet aad-pod-identity-nmi",
          "Set nameOverride: aad-pod-identity,",
        ],
      },
      {
        title: "aad-pod-identity's image",
        values: {
          ...USERS_VALUES,
          nameOverride: RELEASE,
          image: { repository: "mcr.microsoft.com/oss/azure/aad-pod-identity" },
        },
        says: ["holds aad-pod-identity's images", "remove image.repository, mic.image, mic.tag, nmi.image and nmi.tag"],
      },
      {
        title: "an updateStrategy that takes the old agent away first",
        values: {
          ...USERS_VALUES,
          nameOverride: RELEASE,
          nmi: { updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1 } } },
        },
        says: ["nmi.updateStrategy:", "remove it from your values"],
      },
    ])("refuses $title", async ({ values, says }) => {
      const { code, output } = await upgrade(await valuesFile(values));
      expect(code).toBe(1);
      for (const part of says) expect(output).toContain(part);
      expect(await uids()).toEqual(before);
    });

    test("refuses --reuse-values, which would bring aad-pod-identity's defaults with it", async () => {
      const { code, output } = await upgrade("--reuse-values", "--set", "nameOverride=aad-pod-identity");
      expect(code).toBe(1);
      expect(output).toContain("Use --reset-then-reuse-values (Helm 3.14 or later)");
    });

    test("refuses to leave identities of type 1 and 2 without their Secrets, and says which these are", async () => {
      await cluster.of(RESOURCES.azureIdentities).create({
        metadata: { name: "principal", namespace: WORK },
        spec: {
          type: 1,
          tenantID: clientIdOf("tenan"),
          clientID: clientIdOf("princ"),
          clientPassword: { name: "password", namespace: WORK },
        },
      });
      const { code, output } = await upgrade(await valuesFile({ ...USERS_VALUES, nameOverride: RELEASE }));
      expect(code).toBe(1);
      expect(output).toContain('Add to rbac.secrets: [{"names":["password"],"namespace":"workloads"}]');
    });

    test("refuses to leave an AzureIdentity without a Secret of another namespace, which it had", async () => {
      const borrower = { name: "borrower", namespace: WORK };
      await cluster.of(RESOURCES.azureIdentities).create({
        metadata: borrower,
        spec: { type: 1, clientPassword: { name: "password", namespace: "vault" } },
      });
      const secrets = [WORK, "vault"].map((namespace) => ({ namespace, names: ["password"] }));
      const values = { ...USERS_VALUES, nameOverride: RELEASE, rbac: { secrets } };
      const { code, output } = await upgrade(await valuesFile(values));
      expect(code).toBe(1);
      expect(output).toContain('{"vault":["workloads/borrower"]}');
      expect(output).toContain('set nmi.secretNamespaces: ["vault"]');
      const lent = { ...values, nmi: { ...USERS_VALUES.nmi, secretNamespaces: ["vault"] } };
      expect(await upgrade(await valuesFile(lent), "--dry-run=server")).toMatchObject({ code: 0 });
      await cluster.of(RESOURCES.azureIdentities).delete(borrower.name, WORK);
    });

    const upgraded = {
      ...USERS_VALUES,
      nameOverride: RELEASE,
      rbac: { secrets: [{ namespace: WORK, names: ["password"] }] },
    };

    test("takes a copy of aad-pod-identity's whole values file, but for its images and its updateStrategy", async () => {
      const defaults = parse(await readFile(join(FORMER_CHART, "values.yaml"), "utf8")) as Record<
        "image" | "mic" | "nmi",
        Record<string, unknown>
      >;
      delete defaults.image["repository"];
      delete defaults.mic["tag"];
      delete defaults.nmi["tag"];
      delete defaults.nmi["updateStrategy"];
      const { nameOverride, rbac } = upgraded;
      const dryRun = await upgrade(await valuesFile({ ...defaults, nameOverride, rbac }), "--dry-run=server");
      expect(dryRun).toMatchObject({ code: 0 });
      expect(dryRun.output).toContain("maxSurge: 1");
    });

    test("helm upgrade replaces everything in its place", async () => {
      const values = await valuesFile(upgraded);
      const dryRun = await upgrade(values, "--dry-run=server");
      expect(dryRun).toMatchObject({ code: 0 });
      const { code, output } = await upgrade(values);
      expect([code, output]).toEqual([0, expect.stringContaining("podid 0.1.0 runs in standard mode")]);
      expect(await uids()).toEqual(before);
      const { updateStrategy, template } = (await daemonSet()) as {
        updateStrategy: object;
        template: { spec: { containers: { image: string; livenessProbe: object; ports?: object[] }[] } };
      };
      expect(updateStrategy).toEqual({ type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } });
      const [container] = template.spec.containers;
      expect(template.spec.containers).toHaveLength(1);
      expect(container?.image).toBe("ghcr.io/podid/nmi:0.1.0");
      expect(Object.keys(container?.livenessProbe ?? {})).not.toContain("httpGet");
      expect(container?.ports ?? []).toEqual([]);
      // What only the old chart had is gone, and the CRDs are as they were found.
      expect(await cluster.find(RESOURCES.configMaps, "aad-pod-identity-programs", NAMESPACE)).toBeUndefined();
      const crd = await cluster.of(RESOURCES.customResourceDefinitions).get("azureidentities.aadpodidentity.k8s.io");
      expect(JSON.stringify(crd["spec"])).not.toContain("serviceAccounts");
    });

    test("while the old MIC leads, podid's does nothing", async () => {
      podid = await PodidMic.start(cluster, arm, "podid-1");
      await podid.says("aad-pod-identity's MIC aad-pod-identity-mic-0 leads; podid waits until it is gone");
      // The old one goes on renewing with the rights that podid's chart left it.
      const lock = (): Promise<string | undefined> =>
        cluster
          .of(RESOURCES.endpoints)
          .get("aad-pod-identity-mic", "default")
          .then(({ metadata }) => metadata.annotations?.["control-plane.alpha.kubernetes.io/leader"]);
      const first = await lock();
      await until("the old MIC renews its lock", async () => (await lock()) !== first);
      // For a moment between two of Helm's writes it may not; it has half its lease for that.
      expect(former?.said.filter((line) => line !== "leading" && !line.endsWith("endpoints: 403"))).toEqual([]);
      expect(former?.last).toBe("leading");
      expect(podid.running.mic.isActive).toBe(false);
      expect(arm.patches).toEqual([]);
      expect(await states(cluster)).toEqual({
        "kept-workloads-kept": "Assigned",
        "fresh-workloads-fresh": "Created",
        "blank-workloads-blank": "",
        "gone-workloads-gone": "Assigned",
        "half-workloads-half": "Unassigned",
      });
    });

    test("after its lease podid leads: objects in every state are taken over, and nothing that is needed is detached", async () => {
      const kept = await uidOf(cluster, RESOURCES.azureAssignedIdentities, "kept-workloads-kept", "default");
      await former?.end();
      await until("every object is as it should be", async () => {
        const now = await states(cluster);
        expect(now).toEqual({
          "kept-workloads-kept": "Assigned",
          "fresh-workloads-fresh": "Assigned",
          "blank-workloads-blank": "Assigned",
        });
        return true;
      });
      await until("what nobody needs is detached", () =>
        Promise.resolve(!held().includes("gone") && !held().includes("half")),
      );
      expect(held().sort()).toEqual(["blank", "foreign", "fresh", "kept"]);
      for (const { patch } of arm.patches) for (const id of removed(patch)) expect(id).toMatch(/\/(gone|half)$/i);
      expect(await uidOf(cluster, RESOURCES.azureAssignedIdentities, "kept-workloads-kept", "default")).toBe(kept);
      const config = await cluster.find(RESOURCES.configMaps, "aad-pod-identity-config", NAMESPACE);
      expect(config?.["data"]).toEqual({ "type-upgrade-status": "0.1.0" });
    });

    test("what is off because of the old CRDs is said once, with the command", () => {
      const said = podid?.log.split("\n").filter((line) => line.includes("CustomResourceDefinitions")) ?? [];
      expect(said).toHaveLength(1);
      expect(said[0]).toContain("have no status subresource");
      expect(said[0]).toContain("kubectl apply --server-side --force-conflicts --filename charts/podid/crds");
    });

    test("helm rollback: the old MIC leads after podid's, never besides, and objects are as they were", async () => {
      former = await FormerMic.start(cluster, "aad-pod-identity-mic-1", NAMESPACE);
      await former.says("waiting for podid-1");
      await run("rollback", RELEASE, "1", "--namespace", NAMESPACE);
      expect(await uids()).toEqual(before);
      expect(await daemonSet()).toMatchObject({ updateStrategy: { rollingUpdate: { maxUnavailable: 1 } } });
      const { livenessProbe } = (
        (await daemonSet()) as { template: { spec: { containers: [{ livenessProbe: object }] } } }
      ).template.spec.containers[0];
      expect(Object.keys(livenessProbe)).not.toContain("exec");
      const patches = arm.patches.length;
      await former.says("leading");
      expect(podid?.running.mic.isActive).toBe(false);
      await podid?.stop();
      podid = undefined;
      expect(arm.patches).toHaveLength(patches);
      expect(held().sort()).toEqual(["blank", "foreign", "fresh", "kept"]);
      const { items } = await cluster.of(RESOURCES.azureAssignedIdentities).list();
      expect(items).toHaveLength(3);
      for (const item of items) {
        // What aad-pod-identity reads is there.
        expect(item.metadata).toMatchObject({
          labels: { nodename: "vm-1" },
          finalizers: ["azureassignedidentity.finalizers.aadpodidentity.k8s.io"],
        });
        expect(item["spec"]).toMatchObject({
          azureIdentityRef: { kind: "AzureIdentity", spec: { type: 0, resourceID: expect.any(String) } },
          azureBindingRef: { kind: "AzureIdentityBinding", spec: { selector: expect.any(String) } },
          nodename: "vm-1",
        });
      }
    });

    test("upgrade once more, now with podid's CRDs", async () => {
      const crds = join(directory, "crds.yaml");
      await writeFile(crds, await run("show", "crds", CHART));
      await promisify(execFile)(kubectl, ["apply", "--server-side", "--force-conflicts", "--filename", crds], {
        env: cluster.environment,
      });
      const raw = async (path: string): Promise<string> =>
        (await promisify(execFile)(kubectl, ["get", "--raw", path], { env: cluster.environment })).stdout;
      await until("the API server shows them", async () => {
        const [names, schemas] = [await raw(`/apis/${GROUP_VERSION}`), await raw(`/openapi/v3/apis/${GROUP_VERSION}`)];
        return names.includes("azureidentities/status") && schemas.includes("serviceAccounts");
      });
      // The values that the user had given are kept without naming them.
      expect(await upgrade("--reset-then-reuse-values", await valuesFile(upgraded))).toMatchObject({ code: 0 });
      await former?.end();
      podid = await PodidMic.start(cluster, arm, "podid-2");
      await until("podid leads", () => Promise.resolve(podid?.running.mic.isActive));
      await cluster.of(RESOURCES.pods).delete("fresh", WORK, { gracePeriodSeconds: 0 });
      await until("what a pod needed no more is detached", () => Promise.resolve(!held().includes("fresh")));
      expect(podid.log).not.toContain("CustomResourceDefinitions");
    });

    test("uninstall: everything that either of them attached is detached, and nothing blocks", async () => {
      const uninstalled = run("uninstall", RELEASE, "--namespace", NAMESPACE, "--timeout", "90s");
      const said = await doDrain(cluster, undefined, { name: "aad-pod-identity-drain", namespace: NAMESPACE });
      expect(said.at(-1)).toContain("MIC has detached what it attached");
      await uninstalled;
      expect(held()).toEqual(["foreign"]);
      expect(await states(cluster)).toEqual({});
      expect(await cluster.objectsOf(RELEASE)).toEqual([]);
    });
  });
});

/** ARM ids that the request takes away. */
function removed({ userAssignedIdentities = {} }: IdentityPatch): string[] {
  return Object.entries(userAssignedIdentities)
    .filter(([, value]) => value === null)
    .map(([id]) => id);
}
