import { systemClock, transportFromKubeConfig } from "@podid/kube";
import { loadKubeConfig } from "@podid/kube/kubeconfig";
import {
  booleanFlag,
  choiceFlag,
  durationFlag,
  listFlag,
  parseCommandLine,
  renderHelp,
  stringFlag,
} from "@podid/service";
import { drain } from "./drain.ts";
import type { DrainOptions } from "./drain.ts";

export const DRAIN_FLAGS = {
  kubeconfig: stringFlag({ default: "", help: "Path of a kubeconfig; empty: the pod's ServiceAccount." }),
  "operation-mode": choiceFlag({
    default: "standard",
    choices: ["standard", "managed"],
    help: "managed: there is no MIC, and nothing to wait for.",
  }),
  "lifecycle-namespaces": listFlag({
    default: [],
    help: "Namespaces of the ConfigMaps podid-lifecycle; empty: that of MIC_POD_NAMESPACE.",
  }),
  timeout: durationFlag({ default: 240_000, min: 0, help: "How long MIC may take." }),
  "on-timeout": choiceFlag({
    default: "abort",
    choices: ["abort", "continue"],
    help: "abort: take the mark back and exit with 1; continue: exit with 0.",
  }),
  help: booleanFlag({ default: false, help: "Print this text and exit." }),
} as const;

const PROGRAM = {
  usage: "mic drain [flags]",
  summary:
    "What `helm uninstall` runs first: MIC detaches what it attached, and NMI learns that it may take its rules out.",
};

export type DrainCommand =
  | { readonly kind: "help" }
  | { readonly kind: "invalid"; readonly errors: readonly string[] }
  | {
      readonly kind: "run";
      readonly kubeconfig: string;
      readonly options: Omit<DrainOptions, "transport" | "clock" | "say" | "signal">;
    };

/** The command line behind `mic drain`; every mistake at once. */
export function readDrainCommand(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): DrainCommand {
  const parsed = parseCommandLine(DRAIN_FLAGS, { argv, env });
  if (!parsed.ok) return { kind: "invalid", errors: parsed.errors };
  const { values, positional } = parsed.commandLine;
  if (values.help) return { kind: "help" };
  const namespace = env["MIC_POD_NAMESPACE"] ?? "";
  const errors = positional.map((word) => `unexpected argument ${JSON.stringify(word)}; mic drain takes flags only`);
  if (namespace === "")
    errors.push("namespace not specified. Please add meta.namespace as env variable MIC_POD_NAMESPACE");
  if (errors.length > 0) return { kind: "invalid", errors };
  const named = values["lifecycle-namespaces"];
  return {
    kind: "run",
    kubeconfig: values.kubeconfig,
    options: {
      namespace,
      lifecycleNamespaces: named.length > 0 ? named : [namespace],
      mode: values["operation-mode"] === "managed" ? "managed" : "standard",
      timeoutMs: values.timeout,
      onTimeout: values["on-timeout"] === "continue" ? "continue" : "abort",
    },
  };
}

/** `mic drain`. @returns the exit code */
export async function runDrain(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const command = readDrainCommand(argv, process.env);
  switch (command.kind) {
    case "help":
      process.stdout.write(renderHelp(PROGRAM, DRAIN_FLAGS));
      return 0;
    case "invalid":
      for (const error of command.errors) process.stderr.write(`mic drain: ${error}\n`);
      return 1;
    case "run": {
      const transport = transportFromKubeConfig(loadKubeConfig(command.kubeconfig || undefined), {
        userAgent: "podid/drain",
      });
      try {
        const say = (line: string): void => void process.stdout.write(`${line}\n`);
        return await drain({ ...command.options, transport, clock: systemClock, say, signal });
      } finally {
        await transport.close();
      }
    }
  }
}
