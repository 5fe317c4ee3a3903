import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { plugPod, unplugPod } from "./fabric.ts";
import { hostsFile } from "./host-files.ts";
import { PodContainer } from "./pod-container.ts";
import { containerEnvironment, imageName, type Container, type Pod } from "./pod-objects.ts";
import { podStatus } from "./pod-status.ts";
import { inNamespace } from "./shell.ts";
import type { NodePlan } from "./topology.ts";

export interface PodRuntimeOptions {
  readonly pod: Pod;
  readonly node: NodePlan;
  /** Undefined for host network: the pod lives in its node's namespace. */
  readonly address: string | undefined;
  /** For the pod's own files; removed with it. */
  readonly directory: string;
  /** Bundles by image name: what a container of that image runs. */
  readonly images: Readonly<Record<string, string>>;
  readonly env: NodeJS.ProcessEnv;
  readonly onChange: () => void;
}

/** How to get into a pod from inside of the sandbox. */
export interface PodEntrance {
  /** Its process with the pod's namespaces, in the sandbox's pid namespace. */
  readonly pid: number;
  readonly env: NodeJS.ProcessEnv;
}

// Waits for mounts before it says so; `sleep` then keeps the namespaces.
const PAUSE = `mount --bind "$1/hosts" /etc/hosts
if [ -e /etc/resolv.conf ]; then mount --bind "$1/resolv.conf" /etc/resolv.conf; fi
hostname "$2" 2>/dev/null || true
echo ready
exec sleep infinity`;

let ports = 0;

/** One pod on its node: network, files and containers. */
export class PodRuntime {
  readonly pod: Pod;
  readonly node: NodePlan;
  readonly containers: readonly PodContainer[];
  readonly initContainers: readonly PodContainer[];
  readonly #options: PodRuntimeOptions;
  readonly #plug: { readonly namespace: string; readonly port: string };
  readonly #startedAt = Date.now();
  #pause: ChildProcess | undefined;
  #stopped = false;
  #removed = false;

  constructor(options: PodRuntimeOptions) {
    const { pod, node } = options;
    this.pod = pod;
    this.node = node;
    this.#options = options;
    this.#plug = {
      namespace: options.address === undefined ? node.namespace : `pod-${pod.metadata.uid}`,
      port: `pod${++ports}`,
    };
    const policy = pod.spec.restartPolicy ?? "Always";
    const container = (init: boolean) => (spec: Container) =>
      new PodContainer({
        container: spec,
        policy: init && policy === "Always" ? "OnFailure" : policy,
        start: (c) => this.#program(c, init),
        onChange: () => this.#changed(),
      });
    this.initContainers = (pod.spec.initContainers ?? []).map(container(true));
    this.containers = (pod.spec.containers ?? []).map(container(false));
  }

  get address(): string {
    return this.#options.address ?? this.node.address;
  }

  get entrance(): PodEntrance | undefined {
    const pid = this.#pause?.pid;
    return pid === undefined ? undefined : { pid, env: this.#options.env };
  }

  /** Makes the namespaces and starts what comes first. */
  async start(): Promise<void> {
    const { address, directory, pod } = this.#options;
    mkdirSync(directory, { recursive: true });
    const hostname = pod.spec.hostname ?? pod.metadata.name;
    writeFileSync(join(directory, "hosts"), hostsFile([[this.address, hostname]]));
    writeFileSync(join(directory, "resolv.conf"), "# names of the sandbox are in /etc/hosts\n");
    if (address !== undefined) await plugPod(this.node, { ...this.#plug, address });
    const args = ["unshare", "--mount", "--uts", "sh", "-ec", PAUSE, "pause", directory, hostname];
    const pause = spawn("nsenter", [...inNamespace(this.#plug.namespace), ...args], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    await new Promise<void>((resolve, reject) => {
      let said = "";
      pause.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
      pause.stdout.once("data", () => resolve());
      pause.once("close", (code) =>
        reject(new Error(`the pod's namespaces could not be made (exit code ${code}): ${said.trim()}`)),
      );
    });
    this.#pause = pause;
    this.#advance();
  }

  status(pod: Pod): Record<string, unknown> {
    return podStatus(pod, {
      podIP: this.address,
      hostIP: this.node.address,
      startedAt: this.#startedAt,
      initContainers: this.initContainers.map((c) => c.state),
      containers: this.containers.map((c) => c.state),
    });
  }

  log(container: string): PodContainer["log"] | undefined {
    const names = [...(this.pod.spec.initContainers ?? []), ...(this.pod.spec.containers ?? [])].map((c) => c.name);
    return [...this.initContainers, ...this.containers][names.indexOf(container)]?.log;
  }

  async stop(graceMs: number): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.initContainers, ...this.containers].map((container) => container.stop(graceMs)));
  }

  /** After {@link stop}: gives everything but the logs back. @returns false when that was done before */
  async remove(): Promise<boolean> {
    if (this.#removed) return false;
    this.#removed = true;
    this.#pause?.kill("SIGKILL");
    this.#pause = undefined;
    const { address } = this.#options;
    if (address !== undefined) await unplugPod(this.node, { ...this.#plug, address });
    rmSync(this.#options.directory, { recursive: true, force: true });
    return true;
  }

  #changed(): void {
    this.#advance();
    this.#options.onChange();
  }

  /** Init containers one after the other, then all others at once. */
  #advance(): void {
    if (this.#stopped) return;
    for (const init of this.initContainers) {
      const { running, ended, backOff } = init.state;
      if (ended?.code === 0) continue;
      if (running === undefined && ended === undefined && !backOff) init.start();
      if (init.state.ended?.code !== 0) return;
    }
    for (const container of this.containers) {
      const { running, ended, backOff } = container.state;
      if (running === undefined && ended === undefined && !backOff) container.start();
    }
  }

  #program(container: Container, init: boolean): ChildProcess | undefined {
    // A command of its own replaces what the image would run.
    const bundle = container.command === undefined ? this.#options.images[imageName(container.image ?? "")] : undefined;
    const entrance = this.entrance;
    if (entrance === undefined) return undefined;
    const fields = { podIP: this.address, hostIP: this.node.address };
    const env = { ...entrance.env, ...containerEnvironment(this.pod, container, fields) };
    // Init containers must end; what an unknown image would have done cannot be done here.
    const program =
      bundle === undefined ? (init ? ["true"] : undefined) : [process.execPath, bundle, ...(container.args ?? [])];
    if (program === undefined) return undefined;
    return spawn("nsenter", ["--net", "--mount", "--uts", "-t", String(entrance.pid), "--", ...program], {
      stdio: ["ignore", "pipe", "pipe"],
      env,
    });
  }
}
