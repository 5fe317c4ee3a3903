import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer, type AddressInfo, type Server } from "node:net";
import { join } from "node:path";
import { findAssets, type Assets } from "@podid/kube-control-plane";
import { cacheFolder, findNativeTools, MOUNT_SCRIPT, probeNamespaces } from "@podid/native-tools";
import { bundleApp } from "@podid/tools/bundle";
import type { ApiServerKind } from "../command-line.ts";
import type { PodRow } from "./kubelet.ts";
import type { FromSupervisor, ReadySandbox, SandboxPlan, ToSupervisor } from "./protocol.ts";
import { readState, removeState, writeState, type SandboxState } from "./state-file.ts";

/** Hidden command of this program that runs inside of the namespaces. */
export const SUPERVISE_COMMAND = "supervise-sandbox";

export interface SandboxOptions {
  readonly nodes: number;
  readonly virtualMachines: number;
  readonly stateFile: string;
  readonly apiServer: ApiServerKind;
  readonly verbose: boolean;
  /** Builds to run instead of this repository's own. */
  readonly bundles?: { readonly mic?: string; readonly nmi?: string };
  /** Further flags for them. */
  readonly args?: SandboxPlan["args"];
  /** Ends a start that is under way. */
  readonly signal: AbortSignal;
  /** Told what happens. */
  readonly progress: (text: string) => void;
  /** With `verbose`: told of every hop. */
  readonly hop: (text: string) => void;
}

export interface Sandbox {
  readonly state: SandboxState;
  /** Resolves when it has ended, with the reason when it was not asked to. */
  readonly ended: Promise<string | undefined>;
  /** Ends everything; resolves when nothing is left. */
  stop(): Promise<void>;
}

const STOP_TIMEOUT_MS = 10_000;

/**
 * Starts a sandbox and resolves when it is ready.
 *
 * @throws Error that says what is missing: programs, namespaces, an API server; or another sandbox that holds the state file.
 */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const other = readState(options.stateFile);
  if (other !== undefined) {
    throw new Error(
      `a sandbox is running already (pid ${other.parentPid}, state in ${options.stateFile}): use it, end it with \`podid sandbox down\`, or start this one with --state-file FILE`,
    );
  }
  const kubeAssets = options.apiServer === "real" ? await realServer() : undefined;
  const tools = await findNativeTools({ say: options.progress });
  const mode = probeNamespaces(tools.path);
  const [mic, nmi, demo, kube, control] = await Promise.all([
    options.bundles?.mic ?? bundleApp("mic"),
    options.bundles?.nmi ?? bundleApp("nmi"),
    bundleApp("demo"),
    listen(),
    listen(),
  ]);
  const directory = makeDirectory();
  const plan: SandboxPlan = {
    nodes: options.nodes,
    virtualMachines: options.virtualMachines,
    directory,
    bundles: { mic, nmi, demo },
    args: options.args ?? { mic: [], nmi: [] },
    controlToken: randomBytes(24).toString("base64url"),
    kubeAssets,
    verbose: options.verbose,
  };
  options.signal.throwIfAborted();
  const child = spawnSupervisor(tools.path, mode.userNamespace);
  const ended = whenEnded(child);
  const stop = async (): Promise<void> => {
    if (child.connected) child.send({ type: "stop" } satisfies ToSupervisor);
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
    removeState(options.stateFile);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    let state: SandboxState | undefined;
    let pods: readonly PodRow[] = [];
    const save = (): void => {
      if (state !== undefined) writeState(options.stateFile, (state = { ...state, pods }));
    };
    const ready = await bootSupervisor(child, ended, { plan, kube, control, signal: options.signal }, (message) => {
      if (message.type === "progress") options.progress(message.text);
      else if (message.type === "hop") options.hop(message.text);
      else if (message.type === "pods") {
        ({ pods } = message);
        save();
      }
    });
    const controlUrl = `http://127.0.0.1:${portOf(control)}`;
    state = {
      version: 1,
      pid: childOf(child.pid ?? 0),
      parentPid: process.pid,
      userNamespace: mode.userNamespace,
      path: tools.path,
      directory,
      kubeUrl: `https://127.0.0.1:${portOf(kube)}`,
      controlUrl,
      controlToken: plan.controlToken,
      azureControlUrl: `${controlUrl}/azure`,
      ...ready,
      pods,
    };
    save();
    return { state, ended, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function realServer(): Promise<Assets> {
  const assets = await findAssets(process.env);
  if (assets !== undefined) return assets;
  throw new Error(
    "--api-server=real needs kube-apiserver and etcd: set KUBEBUILDER_ASSETS to the folder that holds both. `npm run kube:build` builds them and prints that folder last; setup-envtest downloads released ones",
  );
}

/** For the sandbox's files. What sandboxes left whose end was violent goes at the same time. */
function makeDirectory(): string {
  const base = join(cacheFolder(), "sandboxes");
  mkdirSync(base, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(base)) {
    const pid = Number(/^(\d+)-/.exec(name)?.[1] ?? 0);
    if (!existsSync(`/proc/${pid}`)) rmSync(join(base, name), { recursive: true, force: true });
  }
  return mkdtempSync(join(base, `${process.pid}-`));
}

const ports = new WeakMap<Server, number>();

/** Handing a server over closes it here, so its port is remembered. */
function portOf(server: Server): number {
  return ports.get(server) ?? 0;
}

async function listen(): Promise<Server> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  ports.set(server, (server.address() as AddressInfo).port);
  return server;
}

function spawnSupervisor(path: string, userNamespace: boolean): ChildProcess {
  const user = userNamespace ? ["--user", "--map-root-user"] : [];
  const script = `${MOUNT_SCRIPT}; mkdir -p /run/netns; exec "$0" "$@"`;
  const program = [process.execPath, process.argv[1] ?? "", SUPERVISE_COMMAND];
  return spawn(
    "unshare",
    [...user, "--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", script, ...program],
    {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      env: { ...process.env, PATH: path },
      // A process group of its own: Ctrl-C is for us, who end the sandbox in order.
      detached: true,
    },
  );
}

function whenEnded(child: ChildProcess): Promise<string | undefined> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(`unshare could not be started: ${error.message}`));
    child.once("exit", (code, signal) =>
      resolve(code === 0 ? undefined : `the sandbox's supervisor ended with ${signal ?? code}`),
    );
  });
}

function bootSupervisor(
  child: ChildProcess,
  ended: Promise<string | undefined>,
  o: { readonly plan: SandboxPlan; readonly kube: Server; readonly control: Server; readonly signal: AbortSignal },
  tell: (message: FromSupervisor) => void,
): Promise<ReadySandbox> {
  const send = (message: ToSupervisor, server?: Server): void => {
    // Both ends would accept if this one stayed open; but it must, until the message has left.
    child.send(message, server, {}, () => server?.close());
  };
  return new Promise((resolve, reject) => {
    o.signal.addEventListener("abort", () => reject(new Error("interrupted before the sandbox was ready")), {
      once: true,
    });
    void ended.then((why) => reject(new Error(why ?? "the sandbox ended before it was ready")));
    child.on("message", (message: FromSupervisor) => {
      if (message.type === "booted") {
        send({ type: "listener", name: "kube" }, o.kube);
        send({ type: "listener", name: "control" }, o.control);
        send({ type: "start", plan: o.plan, kubePort: portOf(o.kube), controlPort: portOf(o.control) });
      } else if (message.type === "ready") resolve(message.sandbox);
      else if (message.type === "failed") reject(new Error(message.message));
      else tell(message);
    });
  });
}

/** Pid of the one child of `unshare --fork`, which is the first process of the new pid namespace. */
function childOf(pid: number): number {
  const listed = `/proc/${pid}/task/${pid}/children`;
  if (existsSync(listed)) {
    const first = Number(readFileSync(listed, "utf8").trim().split(" ")[0]);
    if (first > 0) return first;
  }
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      if (new RegExp(`^PPid:\\s+${pid}$`, "m").test(readFileSync(`/proc/${entry}/status`, "utf8")))
        return Number(entry);
    } catch {
      // Ended meanwhile.
    }
  }
  return pid;
}
