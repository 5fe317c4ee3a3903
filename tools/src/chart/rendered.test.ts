import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { MicMetrics } from "../../../apps/mic/src/metrics.ts";
import { isHook, renderChart } from "../chart.ts";
import type { Manifest, RenderOptions } from "../chart.ts";
import { CASES, IDENTITIES } from "./cases.ts";
import { helms } from "./helm3.ts";
import { containerOf, containersOf, podsOf } from "./pods.ts";

const { path: helm = "", missing } = helms().find(({ path }) => path !== undefined) ?? {
  missing: ": skipped, no helm",
};

function render(options: Partial<RenderOptions> = {}): Promise<Manifest[]> {
  return renderChart({ helm, namespace: "podid", ...options });
}

function one(objects: readonly Manifest[], kind: string, name: string): Manifest {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name);
  if (found === undefined) throw new Error(`the chart renders no ${kind} ${name}`);
  return found;
}

const idOf = ({ kind, metadata: { namespace = "", name } }: Manifest): string => `${kind} ${namespace}/${name}`;

describe.skipIf(helm === "")(`the rendered chart${helm === "" ? missing : ""}`, () => {
  test("S82 [D chart] managed mode, adminsecret, and identities without resource id", async () => {
    const managed = await render({ values: { operationMode: "managed" } });
    expect(managed.map(idOf).filter((id) => /\bmic\b/.test(id))).toEqual([]);
    expect(containerOf(managed, "nmi").args).toEqual(
      expect.arrayContaining(["--operation-mode=managed", "--forceNamespaced"]),
    );
    expect(JSON.stringify(managed)).not.toContain("azureassignedidentities");

    const { values } = CASES.find(({ name }) => name === "service principal for MIC")!;
    const withSecret = await render({ values });
    const mic = containerOf(withSecret, "mic");
    expect(mic.args?.join(" ")).not.toContain("cloudconfig");
    expect(mic.env).toEqual(
      expect.arrayContaining(
        Object.entries({
          CLOUD: "Cloud",
          SUBSCRIPTION_ID: "SubscriptionID",
          RESOURCE_GROUP: "ResourceGroup",
          VM_TYPE: "VMType",
          TENANT_ID: "TenantID",
          CLIENT_ID: "ClientID",
          CLIENT_SECRET: "ClientSecret",
        }).map(([name, key]) => ({ name, valueFrom: { secretKeyRef: { name: "podid-mic", key } } })),
      ),
    );
    expect(one(withSecret, "Secret", "podid-mic")).toMatchObject({
      data: { Cloud: Buffer.from("AzurePublicCloud").toString("base64") },
    });

    await expect(render({ set: ["azureIdentities.a.clientID=x,azureIdentities.a.binding.name=b"] })).rejects.toThrow(
      "resourceID is required!",
    );
  });

  test("a secret that changes restarts MIC", async () => {
    const sums = await Promise.all(
      ["a", "b"].map(async (clientSecret) => {
        const { values } = CASES.find(({ name }) => name === "service principal for MIC")!;
        const adminsecret = { ...(values["adminsecret"] as object), clientSecret };
        const template = one(await render({ values: { adminsecret } }), "Deployment", "podid-mic")["spec"] as {
          template: { metadata: { annotations: Record<string, string> } };
        };
        return template.template.metadata.annotations["checksum/config"];
      }),
    );
    expect(new Set(sums).size).toBe(2);
  });

  test.for(CASES)("hardened pods: $name", async ({ values }) => {
    const objects = await render({ values });
    for (const pod of podsOf(objects)) expect(pod.securityContext?.seccompProfile?.type).toBe("RuntimeDefault");
    const nodes = { drop: ["ALL"], add: ["NET_ADMIN", "NET_RAW"] };
    for (const { name, securityContext, resources } of containersOf(objects)) {
      const { privileged, allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities } = securityContext ?? {};
      expect({ name, readOnlyRootFilesystem, cpu: resources?.limits?.["cpu"] }).toEqual({
        name,
        readOnlyRootFilesystem: true,
        cpu: undefined,
      });
      if (name === "route-localnet") continue;
      expect({ name, privileged, allowPrivilegeEscalation, capabilities }).toEqual({
        name,
        privileged: undefined,
        allowPrivilegeEscalation: false,
        capabilities: name === "nmi" || name === "guard" ? nodes : { drop: ["ALL"] },
      });
    }
  });

  test("MIC is root only to read azure.json, which nobody else can", async () => {
    const [, , , secret] = CASES;
    expect(containerOf(await render(), "mic").securityContext?.runAsUser).toBe(0);
    expect(containerOf(await render({ values: secret!.values }), "mic").securityContext).toMatchObject({
      runAsUser: 65532,
      runAsNonRoot: true,
    });
  });

  test("no privileged container where nobody wants the sysctl", async () => {
    for (const set of ["nmi.routeLocalnet=false", "nmi.listenAddress=169.254.25.79"])
      expect(
        containersOf(await render({ set: [set] })).filter(({ securityContext }) => securityContext?.privileged),
      ).toEqual([]);
    expect(containerOf(await render(), "route-localnet").securityContext?.privileged).toBe(true);
  });

  test("NMI is replaced node by node without a gap, and declares no port of the node", async () => {
    const objects = await render();
    expect(one(objects, "DaemonSet", "podid-nmi")["spec"]).toMatchObject({
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        spec: { hostNetwork: true, dnsPolicy: "ClusterFirstWithHostNet", terminationGracePeriodSeconds: 80 },
      },
    });
    for (const pod of podsOf(objects).filter(({ hostNetwork }) => hostNetwork === true))
      for (const { ports } of [...(pod.initContainers ?? []), ...pod.containers]) expect(ports).toBeUndefined();
    const writable = containerOf(objects, "nmi").volumeMounts?.filter(({ readOnly }) => readOnly !== true);
    expect(writable?.map(({ mountPath }) => mountPath).sort()).toEqual([
      "/run/podid",
      "/run/xtables.lock",
      "/tmp",
      "/var/run/nmi",
    ]);
  });

  test("a strategy of aad-pod-identity's days is taken as it is", async () => {
    const updateStrategy = { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 2 } };
    const objects = await render({ values: { nmi: { updateStrategy } } });
    expect(one(objects, "DaemonSet", "podid-nmi")["spec"]).toMatchObject({ updateStrategy });
    expect(JSON.stringify(objects)).not.toContain("maxSurge");
  });

  test("selectors hold what does not change with the chart's version", async () => {
    const objects = await render({ release: "mine" });
    for (const [kind, name] of [
      ["Deployment", "podid-mic"],
      ["DaemonSet", "podid-nmi"],
    ] as const)
      expect((one(objects, kind, name)["spec"] as { selector: object }).selector).toEqual({
        matchLabels: {
          "app.kubernetes.io/name": "podid",
          "app.kubernetes.io/instance": "mine",
          "app.kubernetes.io/component": name.slice("podid-".length),
        },
      });
  });

  test("MIC's budget and spread", async () => {
    const budget = async (values: object): Promise<unknown> =>
      one(await render({ values: { mic: { podDisruptionBudget: values } } }), "PodDisruptionBudget", "podid-mic")[
        "spec"
      ];
    expect(await budget({})).toMatchObject({ maxUnavailable: 1 });
    expect(await budget({ minAvailable: 1 })).not.toHaveProperty("maxUnavailable");
    expect(await budget({ minAvailable: 1 })).toMatchObject({ minAvailable: 1 });
    const objects = await render({ set: ["mic.podDisruptionBudget.enabled=false"] });
    expect(objects.filter(({ kind }) => kind === "PodDisruptionBudget")).toEqual([]);
    expect(one(objects, "Deployment", "podid-mic")["spec"]).toMatchObject({
      replicas: 2,
      template: {
        spec: {
          topologySpreadConstraints: [{ labelSelector: { matchLabels: { "app.kubernetes.io/component": "mic" } } }],
        },
      },
    });
  });

  test("identities: the map and the list, all types", async () => {
    const objects = await render({ values: { azureIdentities: IDENTITIES } });
    expect(
      objects
        .filter(({ kind }) => kind.startsWith("AzureIdentity"))
        .map(({ metadata, spec }) => [metadata.namespace, metadata.name, spec]),
    ).toEqual(
      expect.arrayContaining([
        [
          "podid",
          "managed",
          { type: 0, clientID: IDENTITIES.managed.clientID, resourceID: IDENTITIES.managed.resourceID },
        ],
        ["podid", "managed-binding", { azureIdentity: "managed", selector: "demo", weight: 2 }],
        [
          "team-a",
          "service-principal",
          {
            type: 1,
            clientID: IDENTITIES.secret.clientID,
            tenantID: IDENTITIES.secret.tenantID,
            clientPassword: { name: "password", namespace: "team-a" },
            auxiliaryTenantIDs: [IDENTITIES.secret.tenantID],
            adEndpoint: "https://login.microsoftonline.us/",
          },
        ],
        [
          "podid",
          "federated",
          {
            type: 3,
            clientID: IDENTITIES.federated.clientID,
            tenantID: IDENTITIES.federated.tenantID,
            serviceAccounts: ["worker"],
          },
        ],
      ]),
    );
    expect(one(objects, "AzureIdentity", "managed").metadata.annotations).toEqual({
      "aadpodidentity.k8s.io/Behavior": "namespaced",
    });
    const list = [{ ...IDENTITIES.managed, name: "managed" }];
    const ofList = await render({ values: { azureIdentities: list } });
    expect(one(ofList, "AzureIdentity", "managed")).toEqual(one(objects, "AzureIdentity", "managed"));
  });

  test("helm test knows the identity that the values make, or is left out", async () => {
    const tests = (objects: readonly Manifest[]): Manifest[] => objects.filter(({ kind }) => kind === "Pod");
    expect(tests(await render())).toEqual([]);
    const [pod] = tests(await render({ values: { azureIdentities: IDENTITIES } }));
    expect(pod?.metadata).toMatchObject({
      labels: { aadpodidbinding: "demo" },
      annotations: { "helm.sh/hook": "test" },
    });
    expect(containerOf([pod!], "demo").args).toEqual([
      "--subscription-id=00000000-0000-0000-0000-000000000001",
      "--resource-group=group",
      `--identity-client-id=${IDENTITIES.managed.clientID}`,
      "--period=0s",
    ]);
  });

  test("the drain's rights are hooks: they are gone with it", async () => {
    const hooks = (await render()).filter(isHook);
    expect(hooks.map(({ kind, metadata }) => [kind, metadata.annotations?.["helm.sh/hook-weight"] ?? "0"])).toEqual([
      ["ServiceAccount", "-10"],
      ["ClusterRole", "-10"],
      ["ClusterRoleBinding", "-10"],
      ["Role", "-10"],
      ["RoleBinding", "-10"],
      ["Job", "0"],
    ]);
    for (const { metadata } of hooks)
      expect(metadata.annotations).toMatchObject({
        "helm.sh/hook": "pre-delete",
        "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
      });
    expect((await render({ set: ["drain.enabled=false"] })).filter(isHook)).toEqual([]);
  });

  test("common labels and annotations are everywhere", async () => {
    const { values } = CASES.find(({ name }) => name === "names, images and labels")!;
    for (const object of await render({
      values: { ...values, azureIdentities: IDENTITIES, serviceMonitor: { enabled: true } },
    })) {
      expect(object.metadata).toMatchObject({
        name: object.metadata.name,
        labels: { "example.com/owner": "platform" },
        annotations: { "example.com/contact": "platform@example.com" },
      });
    }
  });

  test("booleans may be texts, as they were: the text false is false", async () => {
    const exceptions = async (set: string): Promise<number> =>
      (await render({ values: { installMICException: set } })).filter(
        ({ kind }) => kind === "AzurePodIdentityException",
      ).length;
    expect([await exceptions("true"), await exceptions("false")]).toEqual([2, 0]);
  });

  describe("alerts and dashboard", () => {
    let known: Set<string>;
    beforeAll(async () => {
      const mic = await new MicMetrics().registry.metrics();
      known = new Set(mic.matchAll(/^# TYPE (\S+)/gm).map(([, name]) => name!));
      // NMI's series appear with their first sample.
      const nmi = await readFile(join(import.meta.dirname, "../../../apps/nmi/src/metrics.ts"), "utf8");
      for (const [, name] of nmi.matchAll(/"((?:podid|aadpodidentity)_[a-z_]+)"/g)) known.add(name!);
      // Registered when MIC starts.
      for (const name of ["leader", "queue_depth", "watch_staleness_seconds"]) known.add(`podid_mic_${name}`);
    });

    test("ask for metrics that there are", async () => {
      const { values } = CASES.find(({ name }) => name === "observation")!;
      const objects = await render({ values });
      const dashboard =
        (one(objects, "ConfigMap", "podid-dashboard")["data"] as Record<string, string>)["podid.json"] ?? "";
      const text = `${JSON.stringify(one(objects, "PrometheusRule", "podid"))} ${JSON.stringify(JSON.parse(dashboard))}`;
      const asked = new Set(
        text.matchAll(/\b(?:podid|aadpodidentity)_[a-z_]+/g).map(([name]) => name.replace(/_(bucket|sum)$/, "")),
      );
      expect(asked.size).toBeGreaterThan(8);
      const series = (name: string): boolean => known.has(name) || known.has(name.replace(/_count$/, ""));
      expect([...asked].filter((name) => !series(name))).toEqual([]);
    });
  });

  describe("snapshots: what each values file changes", () => {
    let defaults: ReadonlyMap<string, string>;
    beforeAll(async () => {
      defaults = new Map(
        (await render()).map((object) => [idOf(object), stringify(object, { lineWidth: 0, blockQuote: "literal" })]),
      );
    });

    test("defaults", async () => {
      await expect([...defaults.values()].join("---\n")).toMatchFileSnapshot("snapshots/defaults.yaml.txt");
    });

    test.for(CASES.slice(1))("$name", async ({ name, values }) => {
      const rendered = (await render({ values })).map(
        (object) => [idOf(object), stringify(object, { lineWidth: 0, blockQuote: "literal" })] as const,
      );
      const here = new Set(rendered.map(([id]) => id));
      const gone = [...defaults.keys()].filter((id) => !here.has(id)).map((id) => `# gone: ${id}\n`);
      const changed = rendered.filter(([id, text]) => defaults.get(id) !== text).map(([, text]) => `---\n${text}`);
      const file = `snapshots/${name.replaceAll(" ", "-").replaceAll(",", "")}.yaml.txt`;
      await expect([...gone, ...changed].join("")).toMatchFileSnapshot(file);
    });
  });
});
