import { MissingToolsError, NamespacesForbiddenError } from "@podid/native-tools";
import { runMain } from "@podid/service";
import { parseCommand, type Command, type SandboxFlags } from "./command-line.ts";
import { ControlClient } from "./sandbox/control-client.ts";
import { execInSandbox, parseTarget } from "./sandbox/exec-command.ts";
import type { SandboxStatus } from "./sandbox/protocol.ts";
import { defaultStateFile, readState, type SandboxState } from "./sandbox/state-file.ts";
import { renderStatus } from "./status-text.ts";
import { Terminal } from "./terminal.ts";

/** Runs the command line until its end. */
export function runPodid(): void {
  runMain(async (signal) => {
    const command = parseCommand(process.argv.slice(2), process.env);
    try {
      return await execute(command, signal);
    } catch (error) {
      // Expected ones explain themselves; a stack would only hide that.
      const explained =
        error instanceof MissingToolsError ||
        error instanceof NamespacesForbiddenError ||
        !(error instanceof TypeError);
      process.stderr.write(
        `podid: ${error instanceof Error ? (explained ? error.message : (error.stack ?? error.message)) : String(error)}\n`,
      );
      return 1;
    }
  });
}

async function execute(command: Command, signal: AbortSignal): Promise<number> {
  switch (command.kind) {
    case "help":
      process.stdout.write(command.text);
      return 0;
    case "errors":
      for (const error of command.errors) process.stderr.write(`podid: ${error}\n`);
      return 2;
    case "up":
      return up(command.sandbox, signal);
    case "demo":
      return (await import("./demo/demo-command.ts")).runDemo(command.sandbox, signal);
    case "down":
      return down(command.stateFile ?? defaultStateFile());
    case "status": {
      const status = await new ControlClient(running(command.stateFile)).get<SandboxStatus>("/status");
      process.stdout.write(renderStatus(status, Date.now()));
      return 0;
    }
    case "exec": {
      const target = parseTarget(command.target);
      if (target === undefined)
        throw new Error(`${JSON.stringify(command.target)} is no target: give NAMESPACE/POD or node/NAME`);
      return execInSandbox(running(command.stateFile), target, command.command);
    }
    case "logs":
      return logs(command, signal);
    default:
      return command satisfies never;
  }
}

async function up(flags: SandboxFlags, signal: AbortSignal): Promise<number> {
  const { startSandbox } = await import("./sandbox/sandbox.ts");
  const terminal = new Terminal(process.stdout);
  const stateFile = flags.stateFile ?? defaultStateFile();
  const started = performance.now();
  const since = (): string => `${((performance.now() - started) / 1000).toFixed(1)} s`;
  const sandbox = await startSandbox({
    ...flags,
    stateFile,
    signal,
    progress: (text) => terminal.line(`${terminal.dim(since().padStart(7))}  ${text}`),
    hop: (text) => terminal.line(terminal.dim(`${since().padStart(7)}  ${text}`)),
  });
  terminal.line(howToUse(sandbox.state, flags.stateFile));
  const interrupted = new Promise<"interrupted">((resolve) => {
    if (signal.aborted) resolve("interrupted");
    signal.addEventListener("abort", () => resolve("interrupted"), { once: true });
  });
  const outcome = await Promise.race([sandbox.ended, interrupted]);
  if (outcome === "interrupted") terminal.line("ending the sandbox …");
  await sandbox.stop();
  if (outcome === undefined || outcome === "interrupted") return 0;
  process.stderr.write(`podid: ${outcome}\n`);
  return 1;
}

function howToUse(state: SandboxState, stateFile: string | undefined): string {
  const flag = stateFile === undefined ? "" : ` --state-file ${stateFile}`;
  return `
The sandbox is up: ${state.nodes.map((node) => node.name).join(", ")}. Ctrl-C ends it. In another terminal:

  export KUBECONFIG=${state.kubeconfig}
  kubectl apply -f deploy/demo/            a pod, its identity and the binding between them
  npx podid sandbox status${flag}
  npx podid sandbox logs${flag} default/demo
  npx podid sandbox exec${flag} default/demo -- curl -s -H Metadata:true \\
    'http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://management.azure.com/'
`;
}

async function down(stateFile: string): Promise<number> {
  const state = readState(stateFile);
  if (state === undefined) {
    process.stdout.write(`no sandbox is running (${stateFile})\n`);
    return 0;
  }
  await new ControlClient(state).post("/stop");
  while (readState(stateFile) !== undefined) await new Promise((resolve) => setTimeout(resolve, 20));
  process.stdout.write("the sandbox has ended\n");
  return 0;
}

async function logs(command: Extract<Command, { kind: "logs" }>, signal: AbortSignal): Promise<number> {
  const client = new ControlClient(running(command.stateFile));
  const [first = "", second] = command.target.split("/");
  const { processes } = await client.get<SandboxStatus>("/status");
  const isProcess = second === undefined && processes.some((each) => each.name === first);
  const path = isProcess
    ? `/processes/${encodeURIComponent(first)}`
    : `/pods/${second === undefined ? "default/" : ""}${command.target.split("/").map(encodeURIComponent).join("/")}`;
  const query = new URLSearchParams({ follow: String(command.follow) });
  if (command.tail !== undefined) query.set("tail", String(command.tail));
  if (command.container !== undefined) query.set("container", command.container);
  for await (const text of client.stream(`${path}/logs?${query.toString()}`, signal)) {
    process.stdout.write(text);
  }
  return 0;
}

function running(stateFile: string | undefined): SandboxState {
  const file = stateFile ?? defaultStateFile();
  const state = readState(file);
  if (state !== undefined) return state;
  throw new Error(
    `no sandbox is running (${file}): start one with \`podid sandbox up\`${stateFile === undefined ? ", or name its --state-file" : ""}`,
  );
}
