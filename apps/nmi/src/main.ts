import { userAgent } from "@podid/crd-types";
import { systemClock } from "@podid/imds-proxy";
import { NodeRules, systemExec } from "@podid/iptables";
import { transportFromKubeConfig } from "@podid/kube";
import { loadNodeKubeConfig } from "@podid/kube/node-kubeconfig";
import { createLogger, renderHelp, runMain } from "@podid/service";
import type { Logger } from "@podid/service";
import { readCommand } from "./config.ts";
import type { Config } from "./config.ts";
import { FLAGS } from "./flags.ts";
import { KUBENET_REFUSAL, usesKubenet } from "./kubenet.ts";
import { startNmi } from "./nmi.ts";
import { allowRouteLocalnet } from "./route-localnet.ts";
import { BUILD_DATE, COMMIT, VERSION } from "./version.ts";

const PROGRAM = {
  usage: "nmi [flags] | nmi cleanup [flags]",
  summary:
    "Serves each pod of this node the tokens of its own Azure identities. `nmi cleanup` takes its iptables rules out of the node.",
};

runMain(async (signal) => {
  const command = readCommand(process.argv.slice(2), process.env);
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
      log.info({}, "removed the iptables rules of NMI");
      return 0;
    }
    case "run":
      return run(command.config, signal);
  }
});

async function run(config: Config, signal: AbortSignal): Promise<number> {
  const log = createLogger({ component: "nmi", format: config.logFormat, verbosity: config.verbosity });
  log.info({}, `starting nmi process. Version: ${VERSION}. Build date: ${BUILD_DATE}.`);
  if (!config.allowKubenet && (await usesKubenet(config.kubeletConfig))) {
    log.error(
      {
        file: config.kubeletConfig,
        fix: "--allow-network-plugin-kubenet if you accept that pods can take each other's identity",
      },
      KUBENET_REFUSAL,
    );
    return 1;
  }
  if (config.ownAssignedOnly) log.info({}, "features for scale clusters enabled");
  log.info({}, `running NMI in namespaced mode: ${config.forceNamespaced}`);
  log.info({}, `initializing in ${config.mode} mode`);

  const routing = await allowRouteLocalnet(ruleTarget(config));
  if (routing.kind === "failed")
    log.warn({ why: routing.message }, "route_localnet could not be set; redirected requests may not arrive");
  else if (routing.kind === "set")
    log.info({}, "set net.ipv4.conf.all.route_localnet=1, which redirects to a loopback address need");

  const rules = nodeRules(config, log);
  try {
    return await serve(config, log, rules, signal);
  } catch (error) {
    // A node agent that cannot serve must not leave the way to IMDS open either.
    log.error(
      { error: error instanceof Error ? error.message : String(error) },
      "NMI cannot start; putting the rules in nevertheless, so that no pod reaches the metadata service",
    );
    await rules
      .ensure()
      .catch((failure: unknown) => log.error({ error: String(failure) }, "the iptables rules could not be put in"));
    return 1;
  }
}

async function serve(config: Config, log: Logger, rules: NodeRules, signal: AbortSignal): Promise<number> {
  const agent = userAgent({
    component: "NMI",
    version: VERSION,
    commit: COMMIT,
    date: BUILD_DATE,
    custom: config.userAgentSuffix,
  });
  const transport = transportFromKubeConfig(loadNodeKubeConfig(config.kubeconfig), { userAgent: agent });
  const nmi = await startNmi(config, { transport, rules, log, clock: systemClock, random: Math.random });
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  log.info({}, `received ${String(signal.reason)}, shutting down`);
  await nmi.stop();
  await transport.close();
  log.info({}, "exiting with 0");
  return 0;
}

function nodeRules(config: Config, log: Logger): NodeRules {
  return new NodeRules({
    exec: systemExec,
    log,
    rules: {
      metadataIp: config.metadataIp,
      metadataPort: config.metadataPort,
      targetIp: ruleTarget(config),
      targetPort: config.port,
    },
  });
}

/** A wildcard is no address that packets can be redirected to; upstream's rules led to loopback then. */
function ruleTarget({ listenAddress }: Config): string {
  return listenAddress === "0.0.0.0" ? "127.0.0.1" : listenAddress;
}
