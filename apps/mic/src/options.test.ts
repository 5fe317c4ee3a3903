import { describe, expect, test } from "vitest";
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
      protectedClientIds: [],
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
      protectedClientIds: ["A", "b"],
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
        .protectedClientIds,
    ).toEqual(["Cluster"]);
    expect(options([]).settings.protectedClientIds).toEqual([]);
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
      name: "S08 a log format",
      argv: ["--log-format=unknown"],
      env: ENV,
      want: [expect.stringContaining('unknown logging format unknown. Only "text" and "json" are supported')],
    },
  ])("refused: $name", ({ argv, env, want }) => {
    expect(errors(argv, env as Record<string, string>)).toEqual(want);
  });
});
