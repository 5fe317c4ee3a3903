import {
  booleanFlag,
  choiceFlag,
  integerFlag,
  parseCommandLine,
  renderHelp,
  stringFlag,
  type FlagValues,
} from "@podid/service";
import { LARGEST } from "./sandbox/topology.ts";

/** What the user asked for. */
export type Command =
  | { readonly kind: "up"; readonly sandbox: SandboxFlags }
  | { readonly kind: "down" | "status"; readonly stateFile: string | undefined }
  | {
      readonly kind: "exec";
      readonly stateFile: string | undefined;
      readonly target: string;
      readonly command: readonly string[];
    }
  | {
      readonly kind: "logs";
      readonly stateFile: string | undefined;
      readonly target: string;
      readonly follow: boolean;
      readonly tail: number | undefined;
      readonly container: string | undefined;
    }
  | { readonly kind: "demo"; readonly sandbox: SandboxFlags & { readonly manifests: string | undefined } }
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "errors"; readonly errors: readonly string[] };

/** Who serves the Kubernetes API: the emulator, or kube-apiserver and etcd from KUBEBUILDER_ASSETS. */
export type ApiServerKind = "emulator" | "real";

export interface SandboxFlags {
  readonly nodes: number;
  readonly virtualMachines: number;
  readonly stateFile: string | undefined;
  readonly apiServer: ApiServerKind;
  readonly verbose: boolean;
  readonly bundles: { readonly mic?: string; readonly nmi?: string };
  readonly args: { readonly mic: readonly string[]; readonly nmi: readonly string[] };
}

const STATE = {
  "state-file": stringFlag({
    default: "",
    env: "PODID_STATE_FILE",
    help: "File that describes the running sandbox (JSON).",
  }),
};
const HELP = { help: booleanFlag({ default: false, help: "Print this text." }) };
const SANDBOX = {
  ...STATE,
  nodes: integerFlag({ default: 3, min: 1, max: LARGEST, help: "Number of nodes." }),
  "virtual-machines": integerFlag({
    default: 1,
    min: 0,
    max: LARGEST,
    help: "How many of them are virtual machines; the rest are instances of a scale set.",
  }),
  "api-server": choiceFlag({
    default: "emulator",
    choices: ["emulator", "real"],
    help: "Who serves the Kubernetes API; real: kube-apiserver and etcd in the folder that KUBEBUILDER_ASSETS names.",
  }),
  verbose: booleanFlag({
    default: false,
    help: "Show every hop: requests to the emulated cloud and to the API server, and the logs of MIC and NMI.",
  }),
  mic: stringFlag({ default: "", help: "Another build of MIC (one .mjs file) to run." }),
  nmi: stringFlag({ default: "", help: "Another build of NMI (one .mjs file) to run." }),
  "mic-args": stringFlag({ default: "", help: "Further flags for MIC, separated by blanks." }),
  "nmi-args": stringFlag({ default: "", help: "Further flags for NMI, separated by blanks, e.g. --binding-grace=5s." }),
};
const DEMO = {
  ...SANDBOX,
  "state-file": stringFlag({
    default: "",
    help: "Use the sandbox that this file describes, if it runs, instead of starting one.",
  }),
  manifests: stringFlag({ default: "", help: "Folder of manifests to apply instead of deploy/demo." }),
};
const LOGS = {
  ...STATE,
  follow: booleanFlag({ default: false, help: "Go on until interrupted." }),
  tail: integerFlag({ default: -1, min: -1, help: "Only the last so many lines; -1: all." }),
  container: stringFlag({ default: "", help: "Of a pod with several containers, which one." }),
};

const SUMMARIES = {
  up: "Starts a small cluster with an emulated Azure and keeps it until Ctrl-C.",
  demo: "Starts a sandbox, applies the quick start's manifests, shows what happens, and ends it. Exit code 0 only if all of it held.",
  down: "Ends the running sandbox.",
  status: "Shows nodes, pods and processes of the running sandbox.",
  exec: "Runs a command with the network, names and certificates of a pod or node; its exit code becomes podid's.",
  logs: "Shows what a pod, MIC or NMI has written.",
} as const;

export const USAGE = `podid: Azure identities for Kubernetes pods, without secrets

  podid demo                                     the main job once, in a sandbox: one command, one answer
  podid sandbox up                               a small cluster with an emulated Azure, until Ctrl-C
  podid sandbox exec NAMESPACE/POD -- COMMAND…   run any program with a pod's network and cloud
  podid sandbox exec node/NAME -- COMMAND…       the same on a node
  podid sandbox logs NAMESPACE/POD | PROCESS     what a pod, MIC or NMI has written
  podid sandbox status                           nodes, pods and processes
  podid sandbox down                             end it

Each command explains its flags with --help.
`;

/** Reads the arguments after the program's name. */
export function parseCommand(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Command {
  const [first, second, ...rest] = argv;
  if (first === undefined || first === "help" || first === "--help" || first === "-h")
    return { kind: "help", text: USAGE };
  if (first === "demo") return parseDemo(argv.slice(1));
  if (first !== "sandbox") return errors(`${JSON.stringify(first)} is no command of podid; see podid --help`);
  switch (second) {
    case "up":
      return parseUp(rest, env);
    case "down":
    case "status":
      return parsePlain(second, rest, env);
    case "exec":
      return parseExec(rest, env);
    case "logs":
      return parseLogs(rest, env);
    case undefined:
    case "--help":
    case "-h":
      return { kind: "help", text: USAGE };
    default:
      return errors(`${JSON.stringify(second)} is no command of podid sandbox: use up, exec, logs, status or down`);
  }
}

function parseUp(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Command {
  const table = { ...SANDBOX, ...HELP };
  const parsed = parseCommandLine(table, { argv, env });
  if (!parsed.ok) return { kind: "errors", errors: parsed.errors };
  const { values, positional } = parsed.commandLine;
  if (values.help)
    return { kind: "help", text: renderHelp({ usage: "podid sandbox up [flags]", summary: SUMMARIES.up }, table) };
  const problem = sandboxProblem(values, positional);
  return problem === undefined ? { kind: "up", sandbox: sandboxFlags(values) } : errors(problem);
}

function parseDemo(argv: readonly string[]): Command {
  const table = { ...DEMO, ...HELP };
  const parsed = parseCommandLine(table, { argv, env: {} });
  if (!parsed.ok) return { kind: "errors", errors: parsed.errors };
  const { values, positional } = parsed.commandLine;
  if (values.help)
    return { kind: "help", text: renderHelp({ usage: "podid demo [flags]", summary: SUMMARIES.demo }, table) };
  const problem = sandboxProblem(values, positional);
  if (problem !== undefined) return errors(problem);
  return { kind: "demo", sandbox: { ...sandboxFlags(values), manifests: orUndefined(values.manifests) } };
}

type SandboxValues = FlagValues<typeof SANDBOX>;

function sandboxProblem(values: SandboxValues, positional: readonly string[]): string | undefined {
  if (positional.length > 0)
    return `${JSON.stringify(positional.join(" "))}: this command takes flags only; see --help`;
  const { nodes, "virtual-machines": machines } = values;
  return machines > nodes
    ? `--virtual-machines: ${machines} is more than --nodes (${nodes}); raise --nodes`
    : undefined;
}

function sandboxFlags(values: SandboxValues): SandboxFlags {
  const { nodes, verbose, mic, nmi } = values;
  return {
    nodes,
    verbose,
    virtualMachines: values["virtual-machines"],
    apiServer: values["api-server"],
    stateFile: orUndefined(values["state-file"]),
    bundles: { ...(mic === "" ? {} : { mic }), ...(nmi === "" ? {} : { nmi }) },
    args: { mic: words(values["mic-args"]), nmi: words(values["nmi-args"]) },
  };
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}

function parsePlain(
  kind: "down" | "status",
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Command {
  const table = { ...STATE, ...HELP };
  const parsed = parseCommandLine(table, { argv, env });
  if (!parsed.ok) return { kind: "errors", errors: parsed.errors };
  if (parsed.commandLine.values.help)
    return {
      kind: "help",
      text: renderHelp({ usage: `podid sandbox ${kind} [flags]`, summary: SUMMARIES[kind] }, table),
    };
  return { kind, stateFile: orUndefined(parsed.commandLine.values["state-file"]) };
}

/** Everything behind `--` is the command; without `--` everything behind the target, so that its flags stay its own. */
function parseExec(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Command {
  const dashes = argv.indexOf("--");
  const table = { ...STATE, ...HELP };
  const own = dashes < 0 ? argv : argv.slice(0, dashes);
  const at = own.findIndex((word, i) => !word.startsWith("-") && !/^--?state-file$/.test(own[i - 1] ?? ""));
  const parsed = parseCommandLine(table, { argv: at < 0 ? own : own.slice(0, at), env });
  if (!parsed.ok) return { kind: "errors", errors: parsed.errors };
  const usage = "podid sandbox exec [flags] NAMESPACE/POD | node/NAME -- COMMAND [ARGUMENT…]";
  if (parsed.commandLine.values.help)
    return { kind: "help", text: renderHelp({ usage, summary: SUMMARIES.exec }, table) };
  const target = at < 0 ? undefined : own[at];
  const command = dashes < 0 ? own.slice(at + 1) : [...own.slice(at + 1), ...argv.slice(dashes + 1)];
  if (target === undefined || command.length === 0)
    return errors("give a pod and a command: podid sandbox exec NAMESPACE/POD -- COMMAND");
  return { kind: "exec", stateFile: orUndefined(parsed.commandLine.values["state-file"]), target, command };
}

function parseLogs(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Command {
  const table = { ...LOGS, ...HELP };
  const parsed = parseCommandLine(table, { argv: argv.map((word) => (word === "-f" ? "--follow" : word)), env });
  if (!parsed.ok) return { kind: "errors", errors: parsed.errors };
  const { values, positional } = parsed.commandLine;
  if (values.help)
    return {
      kind: "help",
      text: renderHelp({ usage: "podid sandbox logs [flags] NAMESPACE/POD | PROCESS", summary: SUMMARIES.logs }, table),
    };
  const [target, ...more] = positional;
  if (target === undefined || more.length > 0)
    return errors("give one pod or process: podid sandbox logs NAMESPACE/POD");
  return {
    kind: "logs",
    stateFile: orUndefined(values["state-file"]),
    target,
    follow: values.follow,
    tail: values.tail < 0 ? undefined : values.tail,
    container: orUndefined(values.container),
  };
}

function errors(...list: readonly string[]): Command {
  return { kind: "errors", errors: list };
}

function orUndefined(text: string): string | undefined {
  return text === "" ? undefined : text;
}
