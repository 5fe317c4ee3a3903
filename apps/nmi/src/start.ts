import { userAgent } from "@podid/crd-types";
import { systemClock } from "@podid/imds-proxy";
import { guardRules, NodeRules, planRestore, systemExec } from "@podid/iptables";
import type { RuleOptions } from "@podid/iptables";
import { transportFromKubeConfig } from "@podid/kube";
import { loadNodeKubeConfig } from "@podid/kube/node-kubeconfig";
import { createLogger, openProfiler, renderHelp, startTracing } from "@podid/service";
import type { Logger } from "@podid/service";
import { openAudit } from "./audit-stream.ts";
import { readCommand } from "./config.ts";
import type { Config } from "./config.ts";
import { FLAGS } from "./flags.ts";
import { NodeLock } from "./hand-over/node-lock.ts";
import { findKubenet, KUBENET_REFUSAL } from "./kubenet.ts";
import { startNmi } from "./nmi.ts";
import { HostGroups } from "./node/host-groups.ts";
import { addLinkLocal, removeLinkLocal } from "./node/link-local.ts";
import { allowRouteLocalnet } from "./route-localnet.ts";
import { BUILD_DATE, COMMIT, VERSION } from "./version.ts";

const PROGRAM = {
  usage: "nmi [flags] | nmi cleanup [flags] | nmi guard [print] [flags] | nmi probe [--live] --probe-socket=PATH",
  summary:
    "Serves each pod of this node the tokens of its own Azure identities. `nmi cleanup` takes its iptables rules out of the node; `nmi guard` puts only those in that refuse pods the metadata service, and with `print` writes them for iptables-restore --noflush; `nmi probe` says whether the node agent behind that socket is ready, or alive.",
};

/** Runs one command line to its exit code. */
export async function start(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const command = readCommand(argv, process.env);
  switch (command.kind) {
    case "version":
      process.stdout.write(`NMI Version: ${VERSION} - Commit: ${COMMIT} - Date: ${BUILD_DATE}\n`);
      return 0;
    case "help":
      process.stdout.write(renderHelp(PROGRAM, FLAGS));
      return 0;
    case "errors":
      for (const error of command.errors) process.stderr.write(`nmi: ${error}\n`);
      return 2;
    case "cleanup": {
      const log = createLogger({
        component: "nmi",
        format: command.config.logFormat,
        verbosity: command.config.verbosity,
      });
      await nodeRules(command.config, log).remove();
      await removeLinkLocal(command.config.listenAddress);
      log.info({}, "removed the iptables rules of NMI");
      return 0;
    }
    case "guard":
      return guard(command.config, command.print);
    case "run":
      return run(command.config, signal);
  }
}

async function run(config: Config, signal: AbortSignal): Promise<number> {
  const log = createLogger({ component: "nmi", format: config.logFormat, verbosity: config.verbosity });
  log.info({}, `starting nmi process. Version: ${VERSION}. Build date: ${BUILD_DATE}.`);
  const shared = config.allowKubenet ? undefined : await findKubenet(config.kubeletConfig, config.cniConfigDir);
  const accept = "--allow-network-plugin-kubenet if you accept that pods can take each other's identity";
  if (shared?.kind === "kubenet") {
    log.error({ file: shared.file, fix: accept }, KUBENET_REFUSAL);
    return 1;
  }
  if (shared?.kind === "bridge")
    log.warn(
      {
        file: shared.file,
        fix: "a network policy that drops spoofed packets, pods without NET_RAW, or another network",
      },
      "pods of this node share a bridge and may be able to take each other's address",
    );
  if (config.ownAssignedOnly) log.info({}, "features for scale clusters enabled");
  log.info({}, `running NMI in namespaced mode: ${config.forceNamespaced}`);
  log.info({}, `initializing in ${config.mode} mode`);

  const routing = await allowRouteLocalnet(ruleTarget(config));
  if (routing.kind === "failed")
    log.warn({ why: routing.message }, "route_localnet could not be set; redirected requests may not arrive");
  else if (routing.kind === "set")
    log.info({}, "set net.ipv4.conf.all.route_localnet=1, which redirects to a loopback address need");

  const rules = nodeRules(config, log);
  const lock = new NodeLock();
  try {
    if (await addLinkLocal(config.listenAddress))
      log.info({ address: config.listenAddress }, "added the address to listen on to the loopback interface");
    return await serve(config, log, rules, lock, signal);
  } catch (error) {
    // A node agent that cannot serve must not leave the way to IMDS open either.
    log.error(
      { error: error instanceof Error ? error.message : String(error) },
      "NMI cannot start; putting the rules in nevertheless, so that no pod reaches the metadata service",
    );
    // Unless another node agent keeps them.
    await lock
      .acquire()
      .then((alone) => (alone ? rules.ensure() : undefined))
      .catch((failure: unknown) => log.error({ error: String(failure) }, "the iptables rules could not be put in"));
    return 1;
  }
}

async function guard(config: Config, print: boolean): Promise<number> {
  if (print) {
    process.stdout.write(planRestore(guardRules(ruleOptions(config)), new Map())?.text ?? "");
    return 0;
  }
  const log = createLogger({ component: "nmi", format: config.logFormat, verbosity: config.verbosity });
  await nodeRules(config, log).ensureGuard();
  log.info({}, "the rules that refuse pods the metadata service are in");
  return 0;
}

async function serve(
  config: Config,
  log: Logger,
  rules: NodeRules,
  lock: NodeLock,
  signal: AbortSignal,
): Promise<number> {
  const agent = userAgent({
    component: "NMI",
    version: VERSION,
    commit: COMMIT,
    date: BUILD_DATE,
    custom: config.userAgentSuffix,
  });
  const transport = transportFromKubeConfig(loadNodeKubeConfig(config.kubeconfig), { userAgent: agent });
  const tracing = await startTracing(config.tracing, {
    service: "podid-nmi",
    version: VERSION,
    onProblem: (problem) =>
      problem === undefined ? log.info({}, "traces are sent again") : log.warn({ problem }, "traces cannot be sent"),
  });
  const audit = openAudit(config.auditLog, (why) => log.error({ why }, "lines of the audit are lost"));
  const profiler = config.profile ? await openProfiler(log) : undefined;
  const nmi = await startNmi(config, {
    transport,
    rules,
    lock,
    audit,
    tracing,
    log,
    clock: systemClock,
    random: Math.random,
    userAgent: agent,
    hostGroups:
      config.hostNetworkAllow === undefined ? undefined : new HostGroups({ rules, allow: config.hostNetworkAllow }),
    onUninstalled: () => removeLinkLocal(config.listenAddress),
  });
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  log.info({}, `received ${String(signal.reason)}, shutting down`);
  await nmi.stop();
  await profiler?.close();
  await transport.close();
  log.info({}, "exiting with 0");
  return 0;
}

function nodeRules(config: Config, log: Logger): NodeRules {
  return new NodeRules({ exec: systemExec, log, rules: ruleOptions(config) });
}

function ruleOptions(config: Config): RuleOptions {
  return {
    metadataIp: config.metadataIp,
    metadataPort: config.metadataPort,
    targetIp: ruleTarget(config),
    targetPort: config.port,
    blockWireServer: config.blockWireServer,
  };
}

/** A wildcard is no address that packets can be redirected to; upstream's rules led to loopback then. */
function ruleTarget({ listenAddress }: Config): string {
  return listenAddress === "0.0.0.0" ? "127.0.0.1" : listenAddress;
}
