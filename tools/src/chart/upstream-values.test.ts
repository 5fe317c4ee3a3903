import { describe, expect, test } from "vitest";
import { renderChart } from "../chart.ts";
import type { Manifest } from "../chart.ts";
import { helms } from "./helm3.ts";
import { containerOf } from "./pods.ts";

const { path: helm = "", missing } = helms().find(({ path }) => path !== undefined) ?? {
  missing: ": skipped, no helm",
};

/**
 * What aad-pod-identity's last chart (4.1.18) made of each of its values that reaches a program: the arguments, apart from those that its
 * defaults gave, which are `MIC` and `NMI`.
 */
const MIC = ["--cloudconfig=/etc/kubernetes/azure.json", "--logtostderr"];
const NMI = [
  "--node=$(NODE_NAME)",
  "--http-probe-port=8085",
  "--enableScaleFeatures=true",
  "--metadata-header-required=true",
  "--operation-mode=standard",
  "--kubelet-config=/etc/default/kubelet",
];

type Row = readonly [key: string, value: unknown, argument: string, instead?: string];

const OF_MIC: readonly Row[] = [
  ["mic.logVerbosity", 5, "--v=5"],
  ["mic.loggingFormat", "json", "--log-format=json"],
  ["mic.leaderElection.instance", "one", "--leader-election-instance=one"],
  ["mic.leaderElection.namespace", "kube-system", "--leader-election-namespace=kube-system"],
  ["mic.leaderElection.name", "mine", "--leader-election-name=mine"],
  ["mic.leaderElection.duration", "30s", "--leader-election-duration=30s"],
  ["mic.probePort", 9999, "--http-probe-port=9999"],
  ["mic.createDeleteBatch", 40, "--createDeleteBatch=40"],
  ["mic.clientQps", "15", "--clientQps=15"],
  ["mic.immutableUserMSIs", ["a", "b"], "--immutable-user-msis=a,b"],
  ["mic.prometheusPort", "8889", "--prometheus-port=8889"],
  ["mic.syncRetryDuration", "1800s", "--syncRetryDuration=1800s"],
  ["mic.updateUserMSIMaxRetry", 4, "--update-user-msi-max-retry=4"],
  ["mic.updateUserMSIRetryInterval", "2s", "--update-user-msi-retry-interval=2s"],
  ["mic.identityAssignmentReconcileInterval", "5m", "--identity-assignment-reconcile-interval=5m"],
  ["customUserAgent", "mine", "--custom-user-agent=mine"],
  ["mic.cloudConfig", "/etc/azure.json", "--cloudconfig=/etc/azure.json", "--cloudconfig=/etc/kubernetes/azure.json"],
];

const OF_NMI: readonly Row[] = [
  ["nmi.logVerbosity", 5, "--v=5"],
  ["nmi.loggingFormat", "json", "--log-format=json"],
  ["nmi.ipTableUpdateTimeIntervalInSeconds", 30, "--ipt-update-interval-sec=30"],
  ["nmi.retryAttemptsForCreated", 20, "--retry-attempts-for-created=20"],
  ["nmi.retryAttemptsForAssigned", 8, "--retry-attempts-for-assigned=8"],
  ["nmi.findIdentityRetryIntervalInSeconds", 2, "--find-identity-retry-interval=2"],
  ["nmi.prometheusPort", 9091, "--prometheus-port=9091"],
  ["nmi.blockInstanceMetadata", true, "--block-instance-metadata=true"],
  ["nmi.allowNetworkPluginKubenet", true, "--allow-network-plugin-kubenet=true"],
  ["nmi.setRetryAfterHeader", true, "--set-retry-after-header=true"],
  ["nmi.enableConntrackDeletion", true, "--enable-conntrack-deletion=true"],
  ["customUserAgent", "mine", "--custom-user-agent=mine"],
  ["nmi.probePort", "8086", "--http-probe-port=8086", "--http-probe-port=8085"],
  ["nmi.enableScaleFeatures", false, "--enableScaleFeatures=false", "--enableScaleFeatures=true"],
  ["nmi.metadataHeaderRequired", false, "--metadata-header-required=false", "--metadata-header-required=true"],
  [
    "nmi.kubeletConfig",
    "/etc/sysconfig/kubelet",
    "--kubelet-config=/etc/sysconfig/kubelet",
    "--kubelet-config=/etc/default/kubelet",
  ],
];

/** What NMI gets besides. docs/divergences.md lists them. */
const OURS =
  /^--(MICNamespace|mic-service-account|state-dir|probe-socket|cni-cache-dir|cni-config-dir|node-cloud-config|immutable-user-msis|token-request-credentials|kubelet-kubeconfig)=/;

function nested(key: string, value: unknown): Record<string, unknown> {
  return key.split(".").reduceRight<unknown>((below, part) => ({ [part]: below }), value) as Record<string, unknown>;
}

function merged(rows: readonly Row[]): Record<string, unknown> {
  const all: Record<string, unknown> = {};
  const merge = (into: Record<string, unknown>, from: Record<string, unknown>): void => {
    for (const [key, value] of Object.entries(from)) {
      const isMap = typeof value === "object" && value !== null && !Array.isArray(value);
      if (isMap) merge((into[key] ??= {}) as Record<string, unknown>, value as Record<string, unknown>);
      else into[key] = value;
    }
  };
  for (const [key, value] of rows) merge(all, nested(key, value));
  return all;
}

function wanted(defaults: readonly string[], rows: readonly Row[]): string[] {
  const replaced = new Set(rows.map(([, , , instead]) => instead));
  return [...defaults.filter((argument) => !replaced.has(argument)), ...rows.map(([, , argument]) => argument)].sort();
}

const argsOf = (objects: readonly Manifest[], name: string): string[] =>
  (containerOf(objects, name).args ?? []).filter((argument) => name !== "nmi" || !OURS.test(argument)).sort();

describe.skipIf(helm === "")(`a values file for aad-pod-identity's chart${helm === "" ? missing : ""}`, () => {
  const render = (values: Record<string, unknown> = {}, release = "aad-pod-identity"): Promise<Manifest[]> =>
    renderChart({ helm, release, namespace: "kube-system", values });

  test("empty: the arguments are those of aad-pod-identity's chart", async () => {
    const objects = await render();
    expect(argsOf(objects, "mic")).toEqual([...MIC].sort());
    expect(argsOf(objects, "nmi")).toEqual([...NMI].sort());
  });

  test.for([...OF_MIC.map((row) => ["mic", row] as const), ...OF_NMI.map((row) => ["nmi", row] as const)])(
    "%s: %j",
    async ([container, row]) => {
      const want = wanted(container === "mic" ? MIC : NMI, [row]);
      expect(argsOf(await render(nested(row[0], row[1])), container)).toEqual(want);
    },
  );

  test("with everything at once", async () => {
    const objects = await render(merged([...OF_MIC, ...OF_NMI]));
    expect(argsOf(objects, "mic")).toEqual(wanted(MIC, OF_MIC));
    expect(argsOf(objects, "nmi")).toEqual(wanted(NMI, OF_NMI));
  });

  test("forceNamespaced and managed mode", async () => {
    const environment = (objects: readonly Manifest[], name: string): unknown =>
      containerOf(objects, name).env?.find((each) => each.name === "FORCENAMESPACED")?.value;
    const forced = await render({ forceNamespaced: "true" });
    expect([environment(forced, "mic"), environment(forced, "nmi")]).toEqual(["true", "true"]);
    const managed = await render({ operationMode: "managed" });
    expect(environment(managed, "nmi")).toBeUndefined();
    expect(argsOf(managed, "nmi")).toEqual(
      [
        ...NMI.filter((argument) => !argument.startsWith("--operation-mode")),
        "--operation-mode=managed",
        "--forceNamespaced",
      ].sort(),
    );
  });

  test("the subjects of rights have the names that they had, where the name is kept", async () => {
    const objects = await render({ nameOverride: "aad-pod-identity" });
    const bindings = objects.filter(
      ({ kind, metadata }) => kind === "ClusterRoleBinding" && /-(mic|nmi)$/.test(metadata.name),
    );
    expect(
      bindings.map(({ metadata, roleRef, subjects }) => [metadata.name, (roleRef as { name: string }).name, subjects]),
    ).toEqual(
      ["aad-pod-identity-mic", "aad-pod-identity-nmi"].map((name) => [
        name,
        name,
        [{ kind: "ServiceAccount", name, namespace: "kube-system" }],
      ]),
    );
  });
});
