import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { execFile } from "node:child_process";
import type { Fault, LogEntry } from "@podid/azure-emulator";
import type { KubeNode } from "@podid/kube-node";
import { until } from "../src/until.ts";

const METADATA_IP = "169.254.169.254";
const CONTROL_PORT = 8081;
const CLOUD_HOSTS = ["management.azure.com", "login.microsoftonline.com"];
const EMULATOR = join(import.meta.dirname, "../../packages/azure-emulator/src/bin.ts");

/** What lies behind the node's only link: a DNS server, Azure, and the node's own metadata service. */
export class World {
  readonly #control: string;
  readonly caFile: string;
  readonly #processes: readonly ChildProcess[];

  private constructor(control: string, caFile: string, processes: readonly ChildProcess[]) {
    this.#control = control;
    this.caFile = caFile;
    this.#processes = processes;
  }

  /** @param seed what there is in Azure; @param machine ARM id of the node's VM */
  static async start(node: KubeNode, directory: string, seed: object, machine: string): Promise<World> {
    const { namespace, address } = node.world;
    await promisify(execFile)("ip", ["-n", namespace, "addr", "add", `${METADATA_IP}/32`, "dev", "lo"]);
    const inWorld = (name: string, command: readonly string[]): ChildProcess => {
      const child = spawn("ip", ["netns", "exec", namespace, ...command], { stdio: ["ignore", "pipe", "pipe"] });
      const log = createWriteStream(join(directory, `${name}.log`));
      child.stdout.pipe(log);
      child.stderr.pipe(log);
      return child;
    };
    const dnsmasq = inWorld("dnsmasq", [
      "dnsmasq",
      "--no-daemon",
      "--no-resolv",
      "--no-hosts",
      "--conf-file=/dev/null",
      "--user=root",
      `--listen-address=${address}`,
      "--bind-interfaces",
      ...CLOUD_HOSTS.map((host) => `--address=/${host}/${address}`),
      `--address=/kubernetes.default.svc/10.96.0.1`,
    ]);
    const seedFile = join(directory, "azure.json");
    await writeFile(seedFile, JSON.stringify(seed));
    const azure = inWorld("azure", [
      process.execPath,
      EMULATOR,
      `--seed=${seedFile}`,
      "--host=0.0.0.0",
      "--port=443",
      `--control-port=${CONTROL_PORT}`,
      `--ca-directory=${directory}`,
      ...CLOUD_HOSTS.flatMap((host) => ["--certificate-host", host]),
      `--imds=${machine}=80`,
    ]);
    const world = new World(`http://${address}:${CONTROL_PORT}`, join(directory, "ca.pem"), [dnsmasq, azure]);
    await until("the emulated Azure serves", async () => (await fetch(`${world.#control}/healthz`)).ok);
    return world;
  }

  caPem(): Promise<string> {
    return readFile(this.caFile, "utf8");
  }

  /** Requests to the emulated cloud, oldest first; `{ service: "imds" }` is what reached the raw metadata service. */
  async requests(filter: Readonly<Record<string, string>> = {}): Promise<LogEntry[]> {
    return (await this.#ask("GET", `/requests?${new URLSearchParams(filter).toString()}`)) as LogEntry[];
  }

  async forgetRequests(): Promise<void> {
    await this.#ask("DELETE", "/requests");
  }

  async addFault(fault: Fault): Promise<void> {
    await this.#ask("POST", "/faults", fault);
  }

  /** Everything there is in Azure now. */
  seed(): Promise<unknown> {
    return this.#ask("GET", "/seed");
  }

  async add(seed: object): Promise<void> {
    await this.#ask("POST", "/seed", seed);
  }

  /** Behind ARM's back. */
  async attach(machine: string, identity: string): Promise<void> {
    await this.#ask("POST", "/attachments", { machine, identity });
  }

  async configure(settings: object): Promise<void> {
    await this.#ask("PATCH", "/settings", settings);
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.#processes.map(async (child) => {
        if (child.exitCode !== null) return;
        const exited = once(child, "exit");
        child.kill("SIGKILL");
        await exited;
      }),
    );
  }

  async #ask(method: string, path: string, body?: object): Promise<unknown> {
    const response = await fetch(this.#control + path, {
      method,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`azure-emulator: ${method} ${path}: ${response.status} ${text}`);
    return text === "" ? undefined : (JSON.parse(text) as unknown);
  }
}
