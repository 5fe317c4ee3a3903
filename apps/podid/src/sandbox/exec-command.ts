import { spawn } from "node:child_process";
import { constants } from "node:os";
import { ControlClient } from "./control-client.ts";
import { cloudEnvironment } from "./host-files.ts";
import type { PodDoor } from "./protocol.ts";
import type { SandboxState } from "./state-file.ts";

/** Where a command is to run: in a pod, or on a node. */
export type ExecTarget = { readonly namespace: string; readonly pod: string } | { readonly node: string };

/** `NAMESPACE/POD`, `POD` (namespace default) or `node/NAME`. */
export function parseTarget(text: string): ExecTarget | undefined {
  const [first = "", second, ...rest] = text.split("/");
  if (first === "" || second === "" || rest.length > 0) return undefined;
  if (second === undefined) return { namespace: "default", pod: first };
  return first === "node" ? { node: second } : { namespace: first, pod: second };
}

/** Runs a command there with this terminal; resolves with its exit code. */
export async function execInSandbox(
  state: SandboxState,
  target: ExecTarget,
  command: readonly string[],
): Promise<number> {
  const { inner, env } = await entrance(state, target);
  const user = state.userNamespace ? ["--user", "--preserve-credentials"] : [];
  // Entering a mount namespace leads to its root; people expect to stay where they are.
  const stay = ["sh", "-c", 'cd "$0" 2>/dev/null; exec "$@"', process.cwd()];
  const args = [
    ...user,
    "--net",
    "--mount",
    "--pid",
    "-t",
    String(state.pid),
    "--",
    "nsenter",
    ...inner,
    "--",
    ...stay,
    ...command,
  ];
  const child = spawn("nsenter", args, { stdio: "inherit", env: { ...env, PATH: state.path } });
  const ignore = (): void => undefined;
  // Ctrl-C is the command's; we wait for how it ends.
  process.on("SIGINT", ignore);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      process.off("SIGINT", ignore);
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}

async function entrance(
  state: SandboxState,
  target: ExecTarget,
): Promise<{ inner: readonly string[]; env: NodeJS.ProcessEnv }> {
  const env = cloudEnvironment(process.env, { ca: state.caFile, bundle: state.caBundle });
  if ("node" in target) {
    if (!state.nodes.some((node) => node.name === target.node))
      throw new Error(`node ${target.node} does not exist: ${state.nodes.map((node) => node.name).join(", ")} do`);
    return { inner: [`--net=/run/netns/${target.node}`], env };
  }
  const path = `/pods/${encodeURIComponent(target.namespace)}/${encodeURIComponent(target.pod)}`;
  const door = await new ControlClient(state).get<PodDoor>(path);
  return {
    inner: ["--net", "--mount", "--uts", "-t", String(door.pid)],
    env: { ...env, AZURE_CONFIG_DIR: door.azureConfigDir },
  };
}
