import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { parseCommandLine, tracingSettings } from "@podid/service";
import type { FlagValues, TracingSettings } from "@podid/service";
import { BUILD } from "./build.ts";
import type { CloudConfig, Environment } from "./cloud/cloud-config.ts";
import { loadCloud } from "./cloud/load-cloud.ts";
import type { LoadedCloud, ReadFile } from "./cloud/load-cloud.ts";
import { MIC_FLAGS } from "./flags.ts";
import type { MicSettings } from "./mic.ts";

export interface MicOptions {
  readonly flags: FlagValues<typeof MIC_FLAGS>;
  readonly settings: MicSettings;
  readonly azure: LoadedCloud;
  readonly tracing: TracingSettings | undefined;
}

export type ParsedOptions =
  | { readonly kind: "run"; readonly options: MicOptions }
  | { readonly kind: "version" | "help" }
  | { readonly kind: "invalid"; readonly errors: readonly string[] };

/** Command line, environment and cloud configuration, checked together: every mistake is reported at once. */
export function parseOptions(argv: readonly string[], env: Environment, readFile?: ReadFile): ParsedOptions {
  const parsed = parseCommandLine(MIC_FLAGS, { argv, env });
  if (!parsed.ok) return { kind: "invalid", errors: parsed.errors };
  const { values: flags, given, positional } = parsed.commandLine;
  if (flags.version) return { kind: "version" };
  if (flags.help) return { kind: "help" };

  const errors: string[] = [];
  const attempt = <T>(read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      errors.push((error as Error).message);
      return undefined;
    }
  };
  if (positional.length > 0) errors.push(`unexpected argument ${JSON.stringify(positional[0])}; MIC takes flags only`);
  const namespace = env["MIC_POD_NAMESPACE"] ?? "";
  if (namespace === "") {
    errors.push("namespace not specified. Please add meta.namespace as env variable MIC_POD_NAMESPACE");
  }
  errors.push(...contradictions(flags));
  const azure = attempt(() => loadCloud(flags.cloudconfig, env, readFile));
  const tracing = tracingSettings(flags["otlp-endpoint"], env);
  errors.push(...tracing.errors);
  if (errors.length > 0 || azure === undefined) return { kind: "invalid", errors };

  const settings: MicSettings = Object.freeze({
    forceNamespaced: flags.forceNamespaced,
    dryRun: flags["dry-run"],
    adoptUpstream: flags["adopt-upstream"],
    namespace,
    createDeleteBatch: flags.createDeleteBatch,
    detachDelayMs: flags["detach-delay"],
    reconcileIntervalMs: flags["identity-assignment-reconcile-interval"],
    syncRetryMs: flags.syncRetryDuration,
    trustMs: Math.min(30_000, flags["identity-assignment-reconcile-interval"]),
    protectedIdentities: protectedIdentities(flags["immutable-user-msis"], azure.config),
    armBudget: {
      subscriptionReads: { burst: flags["arm-read-burst"], perSecond: flags["arm-read-rate"] },
      subscriptionWrites: { burst: flags["arm-write-burst"], perSecond: flags["arm-write-rate"] },
      groupWrites: { burst: flags["arm-machine-write-burst"], perSecond: flags["arm-machine-writes-per-minute"] / 60 },
    },
    assignerLimits: {
      // Upstream's default of two retries was for errors told apart by text; ours are conflicts, which a busy machine has more of.
      ...(given.has("update-user-msi-max-retry") && { maxAttempts: flags["update-user-msi-max-retry"] + 1 }),
      ...(given.has("update-user-msi-retry-interval") && { conflictDelayMs: flags["update-user-msi-retry-interval"] }),
    },
    lease: {
      namespace: flags["leader-election-namespace"] || namespace,
      name: flags["leader-election-name"],
      // A pod's container that restarts has the same host name, and must not take itself for its predecessor.
      identity: `${flags["leader-election-instance"] || hostname()}_${randomBytes(4).toString("hex")}`,
      durationMs: flags["leader-election-duration"],
      // aad-pod-identity's own default, where the same flag did not say another.
      upstreamNamespace: flags["leader-election-namespace"] || "default",
    },
    startJitterMs: flags["start-jitter"],
    typeUpgrade: flags["enable-type-upgrade"]
      ? {
          namespace,
          configMap: flags["config-map-name"],
          key: flags["type-upgrade-status-key"],
          version: BUILD.version,
        }
      : undefined,
  });
  return { kind: "run", options: { flags, settings, azure, tracing: tracing.settings } };
}

const DNS_SUBDOMAIN = /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/;

/** What each flag by itself cannot know. */
function contradictions(flags: FlagValues<typeof MIC_FLAGS>): string[] {
  const errors: string[] = [];
  const probe = flags["http-probe-port"];
  if (probe !== 0 && probe === flags["prometheus-port"])
    errors.push(`--http-probe-port and --prometheus-port are both ${probe}; give two ports`);
  for (const name of ["leader-election-name", "config-map-name"] as const)
    if (!DNS_SUBDOMAIN.test(flags[name]))
      errors.push(`--${name}: ${JSON.stringify(flags[name])} is no name of a Kubernetes object; give a DNS name`);
  const namespace = flags["leader-election-namespace"];
  if (namespace !== "" && !/^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/.test(namespace))
    errors.push(`--leader-election-namespace: ${JSON.stringify(namespace)} is no namespace; give a DNS label`);
  const key = flags["type-upgrade-status-key"];
  if (!/^[-._a-zA-Z0-9]{1,253}$/.test(key))
    errors.push(
      `--type-upgrade-status-key: ${JSON.stringify(key)} is no key of a ConfigMap; use letters, digits and -._`,
    );
  const version = flags["compute-api-version"];
  if (version !== "" && !/^\d{4}-\d{2}-\d{2}(?:-preview)?$/.test(version))
    errors.push(`--compute-api-version: ${JSON.stringify(version)} is no version; give one such as 2024-07-01`);
  return errors;
}

/** Client ids and ARM ids of identities that are never detached and not for pods: the operator's list, the cluster's own, and MIC's. */
export function protectedIdentities(
  immutable: readonly string[],
  { clusterIdentity, credential }: CloudConfig,
): readonly string[] {
  // Of a managed identity's credential it is the cluster's. A federated one may be a managed identity as well.
  const own = credential.kind === "workloadIdentity" ? credential.clientId : undefined;
  return [...immutable, clusterIdentity, own].filter((id) => id !== undefined);
}
