import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { HelmCluster } from "../chart/helm-cluster.ts";
import { until } from "../until.ts";

export const FORMER_CHART = join(import.meta.dirname, "former-chart");
const PROGRAM = join(FORMER_CHART, "files/mic.mjs");
/** Of the stand-in's lock; aad-pod-identity's own is 15 s. */
export const LEASE_SECONDS = 3;

/** The stand-in for aad-pod-identity's MIC, with the rights that the release's ServiceAccount has at the moment. */
export class FormerMic {
  readonly #process: ChildProcess;
  #said = "";

  private constructor(child: ChildProcess) {
    this.#process = child;
    child.stdout?.on("data", (text: Buffer) => (this.#said += text.toString()));
    child.stderr?.on("data", (text: Buffer) => (this.#said += text.toString()));
  }

  static async start(cluster: HelmCluster, identity: string, namespace: string): Promise<FormerMic> {
    const { url, caFile } = await cluster.address();
    const child = spawn(process.execPath, [PROGRAM], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        KUBE_URL: url,
        KUBE_TOKEN: await cluster.tokenOf("aad-pod-identity-mic", namespace),
        NODE_EXTRA_CA_CERTS: caFile,
        MIC_IDENTITY: identity,
        LEASE_SECONDS: String(LEASE_SECONDS),
      },
    });
    return new FormerMic(child);
  }

  /** What it said last: `leading`, `waiting for …` or `error: …`. */
  get last(): string {
    return (
      this.#said
        .trimEnd()
        .split("\n")
        .at(-1)
        ?.replace(/^\S+Z /, "") ?? ""
    );
  }

  /** Everything that it said, without the times. */
  get said(): string[] {
    return this.#said
      .trimEnd()
      .split("\n")
      .map((line) => line.replace(/^\S+Z /, ""));
  }

  async says(what: string): Promise<void> {
    await until(`aad-pod-identity's MIC says ${what}`, () => Promise.resolve(this.last === what)).catch(
      (error: unknown) => {
        throw new Error(`it said:\n${this.#said}`, { cause: error });
      },
    );
  }

  /** Ends as it does: without giving its lock back. */
  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = once(this.#process, "exit");
    this.#process.kill("SIGTERM");
    await exited;
  }
}
