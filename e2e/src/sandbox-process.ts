import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { API_SERVER } from "./api-server.ts";

const PODID = join(import.meta.dirname, "../../apps/podid/src/main.ts");

/** The part of a sandbox's state file that scenarios use. */
export interface SandboxState {
  readonly kubeconfig: string;
  /** Files of the sandbox, such as the tokens of MIC and NMI. */
  readonly directory: string;
  readonly kubeUrl: string;
  readonly controlUrl: string;
  readonly controlToken: string;
  readonly nodes: readonly {
    readonly name: string;
    readonly kind: string;
    readonly machineId: string;
    /** On the fabric. */
    readonly address: string;
  }[];
}

/** `podid sandbox up`, as a user starts it, with a state file of its own. */
export class SandboxProcess {
  readonly state: SandboxState;
  readonly stateFile: string;
  readonly #child: ChildProcess;
  readonly #directory: string;

  private constructor(child: ChildProcess, directory: string, stateFile: string) {
    this.#child = child;
    this.#directory = directory;
    this.stateFile = stateFile;
    this.state = JSON.parse(readFileSync(stateFile, "utf8")) as SandboxState;
  }

  /** Resolves when the sandbox says that it is up. @throws with everything it printed when it ends before */
  static async start(flags: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<SandboxProcess> {
    const directory = mkdtempSync(join(tmpdir(), "podid-e2e-"));
    const stateFile = join(directory, "sandbox.json");
    const server = flags.includes("--api-server") ? [] : ["--api-server", API_SERVER];
    const child = spawn(process.execPath, [PODID, "sandbox", "up", ...server, "--state-file", stateFile, ...flags], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    let output = "";
    await new Promise<void>((resolve, reject) => {
      const read = (text: string): void => {
        output += text;
        if (output.includes("The sandbox is up")) resolve();
      };
      child.stdout.setEncoding("utf8").on("data", read);
      child.stderr.setEncoding("utf8").on("data", read);
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`podid sandbox up ended with ${code}:\n${output}`)));
    });
    return new SandboxProcess(child, directory, stateFile);
  }

  /** Runs a podid command against this sandbox. */
  async podid(...args: readonly string[]): Promise<{ readonly code: number | null; readonly output: string }> {
    const child = spawn(process.execPath, [PODID, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, PODID_STATE_FILE: this.stateFile },
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    const [code] = (await once(child, "close")) as [number | null];
    return { code, output };
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null) {
      const ended = once(this.#child, "exit");
      this.#child.kill("SIGINT");
      await ended;
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
