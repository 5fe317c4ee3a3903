import { DEFAULT_BUDGET } from "@podid/azure-assigner";
import { describe, expect, test } from "vitest";
import { MIC_FLAGS } from "./flags.ts";
import { parseOptions } from "./options.ts";
import type { MicOptions } from "./options.ts";

const ENV = {
  MIC_POD_NAMESPACE: "podid",
  CLOUD: "AzurePublicCloud",
  TENANT_ID: "t",
  CLIENT_ID: "c",
  CLIENT_SECRET: "s",
};

function options(
  argv: readonly string[],
  env: Record<string, string> = ENV,
  files: Record<string, string> = {},
): MicOptions {
  const parsed = parseOptions(argv, env, readFrom(files));
  if (parsed.kind !== "run") throw new Error(JSON.stringify(parsed));
  return parsed.options;
}

function errors(
  argv: readonly string[],
  env: Record<string, string>,
  files: Record<string, string> = {},
): readonly string[] {
  const parsed = parseOptions(argv, env, readFrom(files));
  return parsed.kind === "invalid" ? parsed.errors : [];
}

function readFrom(files: Record<string, string>): (path: string) => string {
  return (path) => {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error("no"), { code: "ENOENT" });
    return text;
  };
}

describe("options", () => {
  test("upstream's defaults, and the Lease in MIC's own namespace", () => {
    const { settings, azure } = options([]);
    expect(settings).toMatchObject({
      forceNamespaced: false,
      namespace: "podid",
      createDeleteBatch: 20,
      reconcileIntervalMs: 180_000,
      syncRetryMs: 3_600_000,
      protectedIdentities: [],
      lease: {
        namespace: "podid",
        name: "aad-pod-identity-mic",
        durationMs: 15_000,
        upstreamNamespace: "default",
      },
      typeUpgrade: { namespace: "podid", configMap: "aad-pod-identity-config", key: "type-upgrade-status" },
    });
    expect(azure.cloud.resourceManager).toBe("https://management.azure.com/");
  });

  test("upstream's spellings", () => {
    const { settings } = options([
      "-forceNamespaced",
      "--immutable-user-msis=A, b ,",
      "-leader-election-namespace",
      "other",
      "--identity-assignment-reconcile-interval=10s",
      "--update-user-msi-max-retry=4",
      "-update-user-msi-retry-interval=2s",
      "--enableScaleFeatures",
      "--clientQps=50",
      "-logtostderr",
    ]);
    expect(settings).toMatchObject({
      forceNamespaced: true,
      protectedIdentities: ["A", "b"],
      reconcileIntervalMs: 10_000,
      trustMs: 10_000,
      assignerLimits: { maxAttempts: 5, conflictDelayMs: 2000 },
      lease: { namespace: "other", upstreamNamespace: "other" },
    });
    expect(options(["--enable-type-upgrade=false"]).settings.typeUpgrade).toBeUndefined();
  });

  test("S34 the cluster's own identity is protected", () => {
    const file = JSON.stringify({
      cloud: "AzurePublicCloud",
      useManagedIdentityExtension: true,
      userAssignedIdentityID: "Cluster",
    });
    expect(
      options(["--cloudconfig=/azure.json"], { MIC_POD_NAMESPACE: "podid" }, { "/azure.json": file }).settings
        .protectedIdentities,
    ).toEqual(["Cluster"]);
    expect(options([]).settings.protectedIdentities).toEqual([]);
  });

  test("MIC's own federated identity is protected, and the cluster's by resource id", () => {
    const federated = { AZURE_CLIENT_ID: "own", AZURE_TENANT_ID: "t", AZURE_FEDERATED_TOKEN_FILE: "/token" };
    const id = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/kubelet";
    expect(options([], { MIC_POD_NAMESPACE: "podid", ...federated }).settings.protectedIdentities).toEqual(["own"]);
    const managed = { MIC_POD_NAMESPACE: "podid", USE_MSI: "true", USER_ASSIGNED_MSI_CLIENT_ID: id };
    expect(options([], managed).settings.protectedIdentities).toEqual([id]);
  });

  test("ARM's budgets: the package's unless given; none is zero", () => {
    expect(options([]).settings.armBudget).toEqual(DEFAULT_BUDGET);
    const { armBudget } = options([
      "--arm-read-rate=10",
      "--arm-write-burst=7",
      "--arm-machine-writes-per-minute=6",
    ]).settings;
    expect(armBudget).toMatchObject({
      subscriptionReads: { burst: 250, perSecond: 10 },
      subscriptionWrites: { burst: 7 },
      groupWrites: { perSecond: 0.1 },
    });
    expect(errors(["--arm-write-rate=0"], ENV)).toEqual([expect.stringContaining("--arm-write-rate")]);
  });

  test("every flag of aad-pod-identity, with its default, with one dash and two", () => {
    const upstream: Record<string, unknown> = {
      kubeconfig: "",
      cloudconfig: "",
      forceNamespaced: false,
      version: false,
      syncRetryDuration: 3_600_000,
      "leader-election-instance": "",
      // Upstream: default. docs/divergences.md, L-76.
      "leader-election-namespace": "",
      "leader-election-name": "aad-pod-identity-mic",
      "leader-election-duration": 15_000,
      "http-probe-port": 8080,
      "prometheus-port": 8888,
      enableProfile: false,
      enableScaleFeatures: false,
      createDeleteBatch: 20,
      // Upstream: 5. docs/divergences.md, N-12.
      clientQps: 0,
      "immutable-user-msis": [],
      "config-map-name": "aad-pod-identity-config",
      "type-upgrade-status-key": "type-upgrade-status",
      "enable-type-upgrade": true,
      "update-user-msi-max-retry": 2,
      "update-user-msi-retry-interval": 1000,
      "identity-assignment-reconcile-interval": 180_000,
      "log-format": "text",
      "custom-user-agent": "",
      v: 0,
      logtostderr: true,
      alsologtostderr: false,
      add_dir_header: false,
      log_backtrace_at: ":0",
      log_dir: "",
      log_file: "",
      log_file_max_size: 1800,
      one_output: false,
      skip_headers: false,
      skip_log_headers: false,
      stderrthreshold: "2",
      vmodule: "",
    };
    expect(options([]).flags).toMatchObject(upstream);
    for (const name of Object.keys(upstream).filter((each) => each !== "version")) {
      const flag = MIC_FLAGS[name as keyof typeof MIC_FLAGS];
      const text =
        flag.kind === "bool" ? "true" : flag.kind === "string" ? flag.shownDefault : flag.shownDefault || "x";
      for (const dashes of ["-", "--"]) {
        const parsed = parseOptions([`${dashes}${name}=${text}`], ENV);
        expect([name, parsed.kind]).toEqual([name, "run"]);
      }
    }
  });

  test("FORCENAMESPACED in the environment", () => {
    expect(options([], { ...ENV, FORCENAMESPACED: "true" }).settings.forceNamespaced).toBe(true);
  });

  test("two replicas on one host are still two", () => {
    expect(options([]).settings.lease.identity).not.toBe(options([]).settings.lease.identity);
  });

  test("--version and --help need nothing", () => {
    expect([parseOptions(["--version"], {}).kind, parseOptions(["-help"], {}).kind]).toEqual(["version", "help"]);
  });

  test.for([
    {
      name: "no namespace",
      argv: [],
      env: { ...ENV, MIC_POD_NAMESPACE: "" },
      want: ["namespace not specified. Please add meta.namespace as env variable MIC_POD_NAMESPACE"],
    },
    {
      name: "an unknown cloud",
      argv: [],
      env: { ...ENV, CLOUD: "Mars" },
      want: [expect.stringContaining('cloud "Mars" is not known')],
    },
    {
      name: "a missing file",
      argv: ["--cloudconfig=/no"],
      env: ENV,
      want: ["--cloudconfig: /no cannot be read (ENOENT); give the path of a readable file"],
    },
    { name: "an argument", argv: ["serve"], env: ENV, want: ['unexpected argument "serve"; MIC takes flags only'] },
    {
      name: "several at once",
      argv: [],
      env: {},
      want: [
        expect.stringContaining("MIC_POD_NAMESPACE"),
        expect.stringContaining("TENANT_ID, CLIENT_ID, CLIENT_SECRET"),
      ],
    },
    {
      name: "what contradicts itself, together with all else",
      argv: [
        "--http-probe-port=9",
        "-prometheus-port=9",
        "--leader-election-name=Mic",
        "--leader-election-namespace=a.b",
        "--config-map-name=",
        "--type-upgrade-status-key=a/b",
        "--compute-api-version=latest",
        "--otlp-endpoint=collector",
      ],
      env: { ...ENV, CLOUD: "Mars" },
      want: [
        "--http-probe-port and --prometheus-port are both 9; give two ports",
        '--leader-election-name: "Mic" is no name of a Kubernetes object; give a DNS name',
        '--config-map-name: "" is no name of a Kubernetes object; give a DNS name',
        '--leader-election-namespace: "a.b" is no namespace; give a DNS label',
        '--type-upgrade-status-key: "a/b" is no key of a ConfigMap; use letters, digits and -._',
        '--compute-api-version: "latest" is no version; give one such as 2024-07-01',
        expect.stringContaining("Mars"),
        expect.stringContaining("--otlp-endpoint"),
      ],
    },
    {
      name: "S08 a log format",
      argv: ["--log-format=unknown"],
      env: ENV,
      want: [expect.stringContaining('unknown logging format unknown. Only "text" and "json" are supported')],
    },
  ])("refused: $name", ({ argv, env, want }) => {
    expect(errors(argv, env as Record<string, string>)).toEqual(want);
  });
});
