import type { UpstreamWaiting } from "@podid/imds-proxy";
import { parseCommandLine, tracingSettings } from "@podid/service";
import type { CommandLine, TracingSettings } from "@podid/service";
import { isIPv4 } from "node:net";
import { isAbsolute } from "node:path";
import { FLAGS } from "./flags.ts";
import { sourceConfig, sourceProblems } from "./sources/source-config.ts";
import type { SourceConfig } from "./sources/source-config.ts";

type Values = CommandLine<typeof FLAGS>["values"];

/** What NMI runs with. Durations in milliseconds. */
export interface Config {
  readonly node: string;
  readonly kubeconfig: string | undefined;
  readonly listenAddress: string;
  readonly port: number;
  readonly metadataIp: string;
  readonly metadataPort: number;
  /** 0: only once. */
  readonly rulesIntervalMs: number;
  readonly forceNamespaced: boolean;
  readonly mode: "standard" | "managed";
  readonly micNamespace: string;
  readonly micServiceAccount: string | undefined;
  readonly lifecycleNamespace: string;
  readonly probePort: number;
  readonly metricsPort: number;
  readonly ownAssignedOnly: boolean;
  readonly blockInstanceMetadata: boolean;
  readonly metadataHeaderRequired: boolean;
  readonly allowKubenet: boolean;
  readonly kubeletConfig: string;
  readonly userAgentSuffix: string | undefined;
  readonly maxWaitMs: number;
  readonly bindingGraceMs: number;
  readonly foreignIdentityStatus: 403 | 404;
  readonly lateStatus: 404 | 503 | 504;
  readonly lateRetryAfter: number | undefined;
  readonly tokenCache: boolean;
  readonly imdsRate: number;
  readonly imdsConcurrency: number;
  readonly drainMs: number;
  readonly upstreamWaiting: UpstreamWaiting | undefined;
  readonly hostToken: "on" | "off" | "unix";
  readonly hostTokenSocket: string;
  readonly approveEvents: boolean;
  /** `stdout`, `off` or a file's path. */
  readonly auditLog: string;
  readonly profile: boolean;
  readonly tracing: TracingSettings | undefined;
  readonly stateDir: string | undefined;
  readonly handOverPort: number;
  readonly probeSocket: string | undefined;
  readonly cniCacheDir: string | undefined;
  readonly cniConfigDir: string;
  readonly blockWireServer: boolean;
  /** Control groups that are let through; undefined: the node's own processes are left alone. */
  readonly hostNetworkAllow: readonly string[] | undefined;
  readonly startupTaint: string | undefined;
  readonly startupCanary: boolean;
  readonly sources: SourceConfig;
  readonly logFormat: "text" | "json";
  readonly verbosity: number;
}

export type Command =
  | { readonly kind: "run"; readonly config: Config }
  | { readonly kind: "cleanup"; readonly config: Config }
  /** `print`: only say what would be put in. */
  | { readonly kind: "guard"; readonly print: boolean; readonly config: Config }
  | { readonly kind: "help" }
  | { readonly kind: "version" }
  | { readonly kind: "errors"; readonly errors: readonly string[] };

const UPSTREAM_WAITING = [
  "retry-attempts-for-created",
  "retry-attempts-for-assigned",
  "find-identity-retry-interval",
] as const;

/** Reads the whole command line; all mistakes at once. `nmi cleanup` and `nmi guard` need no node. */
export function readCommand(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Command {
  const parsed = parseCommandLine(FLAGS, { argv, env });
  if (!parsed.ok) return { kind: "errors", errors: parsed.errors };
  const { values, given, positional } = parsed.commandLine;
  if (values.help) return { kind: "help" };
  if (values.version) return { kind: "version" };
  const word = positional.join(" ");
  const oneShot = word === "cleanup" || word === "guard" || word === "guard print";
  const errors = [...(oneShot ? [] : problems(values, positional, env)), ...addressProblems(values)];
  if (errors.length > 0) return { kind: "errors", errors };
  const config = toConfig(values, given, env);
  if (!oneShot) return { kind: "run", config };
  return word === "cleanup" ? { kind: "cleanup", config } : { kind: "guard", print: word === "guard print", config };
}

function problems(
  values: Values,
  positional: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): string[] {
  const errors = positional.map(
    (word) => `${JSON.stringify(word)} is no command; give nothing, cleanup, guard, guard print, or probe`,
  );
  if (values.node === "")
    errors.push("--node: the node's name is missing; set --node or NODE_NAME (in a pod: fieldRef spec.nodeName)");
  if (values["operation-mode"] === "managed" && !values.forceNamespaced) {
    errors.push("--operation-mode: managed mode not intialized in force namespaced mode; add --forceNamespaced");
  }
  if (values["nmi-port"] === values["hand-over-port"])
    errors.push(`--hand-over-port: ${values["nmi-port"]} is --nmi-port as well; give another one`);
  if (values["host-network-allow"].length > 0 && !values["intercept-host-network"])
    errors.push("--host-network-allow: has no effect without --intercept-host-network; add that");
  if (values["startup-canary"] && values["startup-taint"] === "")
    errors.push("--startup-canary: there is no taint that could wait for it; add --startup-taint");
  if (values["http-probe-port"] === values["prometheus-port"] && values["prometheus-port"] !== 0)
    errors.push(`--prometheus-port: ${values["prometheus-port"]} is --http-probe-port as well; give another one`);
  if (values["host-token"] === "unix" && !isAbsolute(values["host-token-socket"]))
    errors.push("--host-token-socket: must be an absolute path, as /run/podid/host-token.sock");
  if (!["stdout", "off"].includes(values["audit-log"]) && !isAbsolute(values["audit-log"]))
    errors.push(
      `--audit-log: ${JSON.stringify(values["audit-log"])} is not valid; give stdout, off, or an absolute path`,
    );
  errors.push(...tracingSettings(values["otlp-endpoint"], env).errors, ...sourceProblems(values, env));
  if (values["nmi-port"] === 0)
    errors.push("--nmi-port: 0 is not a port that rules can lead to; give a fixed one, as 2579");
  return errors;
}

function addressProblems(values: Values): string[] {
  return (["nmi-listen-address", "metadata-ip"] as const)
    .filter((name) => !isIPv4(values[name]))
    .map((name) => `--${name}: ${JSON.stringify(values[name])} is not an IPv4 address; IMDS is IPv4 only`);
}

function toConfig(
  values: Values,
  given: ReadonlySet<string>,
  env: Readonly<Record<string, string | undefined>>,
): Config {
  // In managed mode upstream did not wait, and there is nothing to be assigned.
  const asUpstream = values["operation-mode"] === "standard" && UPSTREAM_WAITING.some((name) => given.has(name));
  const upstreamWaiting: UpstreamWaiting | undefined = asUpstream
    ? {
        createdAttempts: values["retry-attempts-for-created"],
        assignedAttempts: values["retry-attempts-for-assigned"],
        intervalSeconds: values["find-identity-retry-interval"],
      }
    : undefined;
  const retryAfter = values["set-retry-after-header"];
  return Object.freeze({
    node: values.node,
    kubeconfig: values.kubeconfig || undefined,
    listenAddress: values["nmi-listen-address"],
    port: values["nmi-port"],
    metadataIp: values["metadata-ip"],
    metadataPort: values["metadata-port"],
    rulesIntervalMs: values["ipt-update-interval-sec"] * 1000,
    forceNamespaced: values.forceNamespaced,
    mode: values["operation-mode"],
    micNamespace: values.MICNamespace,
    micServiceAccount: values["mic-service-account"] || undefined,
    lifecycleNamespace: given.has("MICNamespace") ? values.MICNamespace : env["POD_NAMESPACE"] || values.MICNamespace,
    probePort: values["http-probe-port"],
    metricsPort: values["prometheus-port"],
    ownAssignedOnly: values.enableScaleFeatures,
    blockInstanceMetadata: values["block-instance-metadata"],
    metadataHeaderRequired: values["metadata-header-required"],
    allowKubenet: values["allow-network-plugin-kubenet"],
    kubeletConfig: values["kubelet-config"],
    userAgentSuffix: values["custom-user-agent"] || undefined,
    maxWaitMs:
      upstreamWaiting === undefined
        ? values["max-wait"]
        : (upstreamWaiting.createdAttempts + upstreamWaiting.assignedAttempts) * upstreamWaiting.intervalSeconds * 1000,
    bindingGraceMs: values["binding-grace"],
    foreignIdentityStatus: values["foreign-identity-status"] === "404" ? 404 : 403,
    lateStatus: retryAfter ? 503 : asUpstream ? 404 : 504,
    lateRetryAfter: retryAfter ? 20 : undefined,
    tokenCache: values["token-cache"],
    imdsRate: values["imds-rate"],
    imdsConcurrency: values["imds-concurrency"],
    drainMs: values["drain-timeout"],
    upstreamWaiting,
    hostToken: values["host-token"],
    hostTokenSocket: values["host-token-socket"],
    approveEvents: values["allow-scheduled-events-approval"],
    auditLog: values["audit-log"],
    profile: values.enableProfile,
    tracing: tracingSettings(values["otlp-endpoint"], env).settings,
    stateDir: values["state-dir"] || undefined,
    handOverPort: values["hand-over-port"],
    probeSocket: values["probe-socket"] || undefined,
    cniCacheDir: values["cni-cache-dir"] || undefined,
    cniConfigDir: values["cni-config-dir"],
    blockWireServer: values["block-wireserver"],
    hostNetworkAllow: values["intercept-host-network"] ? values["host-network-allow"] : undefined,
    startupTaint: values["startup-taint"] || undefined,
    startupCanary: values["startup-canary"],
    sources: sourceConfig(values, env),
    logFormat: values["log-format"],
    verbosity: values.v,
  });
}
