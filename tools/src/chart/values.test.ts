import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { valuesFiles } from "../generate-chart-readme.ts";
import { CASES } from "./cases.ts";
import { LEAVES, VALUES } from "./values.ts";
import { valuesSchema, valuesYaml } from "./render-values.ts";

/** Every key of aad-pod-identity's last chart (4.1.18), with its default there where ours is another. */
const UPSTREAM: readonly string[] = [
  "nameOverride fullnameOverride image.repository image.imagePullPolicy imagePullSecrets forceNamespaced installMICException",
  "adminsecret.cloud adminsecret.subscriptionID adminsecret.resourceGroup adminsecret.vmType adminsecret.tenantID",
  "adminsecret.clientID adminsecret.clientSecret adminsecret.useMSI adminsecret.userAssignedMSIClientID operationMode",
  "mic.image mic.tag mic.priorityClassName mic.logVerbosity mic.loggingFormat mic.replicas mic.resources mic.podAnnotations",
  "mic.podLabels mic.nodeSelector mic.tolerations mic.affinity mic.topologySpreadConstraints mic.podDisruptionBudget.minAvailable",
  "mic.leaderElection.instance mic.leaderElection.namespace mic.leaderElection.name mic.leaderElection.duration mic.probePort",
  "mic.syncRetryDuration mic.immutableUserMSIs mic.createDeleteBatch mic.clientQps mic.prometheusPort mic.cloudConfig",
  "mic.customCloud.enabled mic.customCloud.configPath mic.updateUserMSIMaxRetry mic.updateUserMSIRetryInterval",
  "mic.identityAssignmentReconcileInterval nmi.image nmi.tag nmi.priorityClassName nmi.logVerbosity nmi.loggingFormat",
  "nmi.resources nmi.updateStrategy nmi.podAnnotations nmi.podLabels nmi.affinity nmi.nodeSelector nmi.tolerations",
  "nmi.ipTableUpdateTimeIntervalInSeconds nmi.micNamespace nmi.probePort nmi.retryAttemptsForCreated",
  "nmi.retryAttemptsForAssigned nmi.findIdentityRetryIntervalInSeconds nmi.enableScaleFeatures nmi.prometheusPort",
  "nmi.blockInstanceMetadata nmi.metadataHeaderRequired nmi.allowNetworkPluginKubenet nmi.kubeletConfig",
  "nmi.setRetryAfterHeader nmi.enableConntrackDeletion rbac.enabled rbac.allowAccessToSecrets rbac.pspEnabled",
  "rbac.createUserFacingClusterRoles azureIdentities customUserAgent",
].flatMap((line) => line.split(" "));

describe("the table of values", () => {
  test("has every key of aad-pod-identity's chart, marked as such, and no other is", () => {
    const known = LEAVES.filter(({ own }) => own === undefined).map(({ key }) => key);
    expect(known.sort()).toEqual([...UPSTREAM].sort());
  });

  test("has each key once, and says what it means", () => {
    const keys = LEAVES.map(({ key }) => key);
    expect(new Set(keys).size).toBe(keys.length);
    for (const { help } of LEAVES) expect(help).toMatch(/^\S.*\.$/);
  });

  test("is set as a whole by the values files that the chart is tested with", () => {
    const set = new Set(CASES.flatMap(({ values }) => pathsOf(values)));
    const never = LEAVES.filter(({ key }) => ![...set].some((path) => path === key || path.startsWith(`${key}.`)));
    expect(never.map(({ key }) => key)).toEqual([]);
  });

  test("is what values.yaml, the schema and the README say", async () => {
    for (const [path, wanted] of await valuesFiles()) expect(await readFile(path, "utf8")).toBe(wanted);
  });
});

test("values.yaml shows what is not set as a comment, and an empty map where a group has no defaults", () => {
  const yaml = valuesYaml([
    { key: "a", help: "A group." },
    { key: "a.b", type: "text", help: "B.", example: "x" },
    { key: "c.d", type: "count", help: "D.", default: 3 },
  ]);
  expect(yaml.split("\n").slice(1)).toEqual([
    "",
    "# A group.",
    "a: {}",
    "  # B.",
    "  # b: x",
    "",
    "c:",
    "  # D.",
    "  d: 3",
    "",
  ]);
});

test("the schema knows the keys on every level and allows global, which Helm adds", () => {
  const schema = valuesSchema(VALUES) as { properties: Record<string, { propertyNames?: { enum: string[] } }> };
  expect(schema.properties["global"]).toEqual({ type: "object" });
  expect(schema.properties["image"]).toMatchObject({
    additionalProperties: false,
    propertyNames: { enum: ["imagePullPolicy", "repository"] },
  });
});

/** `a.b` for every leaf of nested objects; lists are leaves. */
function pathsOf(value: unknown, path = ""): string[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [path];
  const entries = Object.entries(value);
  return entries.length === 0
    ? [path]
    : entries.flatMap(([key, below]) => pathsOf(below, path === "" ? key : `${path}.${key}`));
}
