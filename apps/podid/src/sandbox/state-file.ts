import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { cacheFolder } from "@podid/native-tools";
import type { PodRow } from "./kubelet.ts";
import type { ReadySandbox } from "./protocol.ts";

/** A running sandbox, as `--state-file` describes it to other programs. */
export interface SandboxState extends ReadySandbox {
  readonly version: 1;
  /** Of the process that holds the sandbox's namespaces, as seen from outside. */
  readonly pid: number;
  /** Of `podid sandbox up`. */
  readonly parentPid: number;
  /** Whether the sandbox has a user namespace of its own, which `nsenter` must enter too. */
  readonly userNamespace: boolean;
  /** PATH with which the sandbox's programs are found. */
  readonly path: string;
  readonly directory: string;
  /** Kubernetes API on the host's loopback; `kubeconfig` leads there too. */
  readonly kubeUrl: string;
  /** HTTP API that steers the sandbox; needs `Authorization: Bearer <controlToken>`. */
  readonly controlUrl: string;
  readonly controlToken: string;
  /** Control API of the emulated Azure: `controlUrl` and `/azure`. */
  readonly azureControlUrl: string;
  readonly pods: readonly PodRow[];
}

/** Where the state is when nobody says otherwise: one sandbox per user. */
export function defaultStateFile(): string {
  return join(cacheFolder(), "sandbox.json");
}

/** Written as a whole, readable for its owner alone: it holds the control token. */
export function writeState(file: string, state: SandboxState): void {
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, file);
}

export function removeState(file: string): void {
  rmSync(file, { force: true });
}

/** The sandbox that a file describes; undefined when there is no file or its sandbox has ended. */
export function readState(file: string): SandboxState | undefined {
  let text: string;
  try {
    text = readFileSync(resolve(file), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const state = parseState(text, file);
  return isAlive(state.pid) ? state : undefined;
}

/** @throws Error when the text is not a state file's */
export function parseState(text: string, file: string): SandboxState {
  let value: Partial<SandboxState>;
  try {
    value = JSON.parse(text) as Partial<SandboxState>;
  } catch (cause) {
    throw new Error(`${file} is not JSON: remove it and run \`podid sandbox up\` again`, { cause });
  }
  if (value.version !== 1)
    throw new Error(
      `${file} has version ${JSON.stringify(value.version)}, this podid knows 1: remove it and run \`podid sandbox up\` again`,
    );
  return value as SandboxState;
}

/** A pid may have gone to another program since. */
function isAlive(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("supervise-sandbox");
  } catch {
    return false;
  }
}
