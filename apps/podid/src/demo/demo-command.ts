import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "@podid/native-tools";
import type { SandboxFlags } from "../command-line.ts";
import { startSandbox } from "../sandbox/sandbox.ts";
import { readState, type SandboxState } from "../sandbox/state-file.ts";
import { Terminal } from "../terminal.ts";
import { Cluster } from "./cluster.ts";
import { demonstrate, DemoFailure, type DemoResult } from "./demo.ts";
import { QUICK_START, readManifests } from "./manifests.ts";
import { report } from "./report.ts";
import { duration } from "./timeline.ts";

export interface DemoFlags extends SandboxFlags {
  readonly manifests: string | undefined;
}

/** `podid demo`: in the sandbox that `--state-file` names, if it runs, else in one of its own. @returns the exit code */
export async function runDemo(flags: DemoFlags, signal: AbortSignal): Promise<number> {
  const terminal = new Terminal(process.stdout);
  const started = performance.now();
  const elapsed = (): string => duration(performance.now() - started);
  const manifests = readManifests(flags.manifests ?? QUICK_START);
  const present = flags.stateFile === undefined ? undefined : readState(flags.stateFile);
  if (present !== undefined) {
    terminal.line(terminal.bold(`Using the sandbox of ${flags.stateFile}`));
    return demoIn(present, true);
  }
  terminal.line(terminal.bold("Starting a sandbox: a small cluster with an emulated Azure, in namespaces of its own"));
  const folder = mkdtempSync(join(cacheFolder(), "demo-"));
  try {
    const sandbox = await startSandbox({
      ...flags,
      signal,
      stateFile: flags.stateFile ?? join(folder, "sandbox.json"),
      progress: (text) => terminal.line(`  ${elapsed().padStart(8)}  ${text}`),
      hop: (text) => terminal.line(terminal.dim(`            ${text}`)),
    });
    try {
      return await demoIn(sandbox.state, false);
    } finally {
      await sandbox.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }

  async function demoIn(state: SandboxState, tidy: boolean): Promise<number> {
    const cluster = new Cluster(state);
    try {
      await cluster.open();
      terminal.line(terminal.bold(`\nApplying the quick start's manifests`));
      const result = await demonstrate(cluster, manifests, terminal, signal);
      return conclude(result);
    } catch (error) {
      if (!(error instanceof DemoFailure)) throw error;
      terminal.line(terminal.bad(`\nFailed after ${elapsed()}: ${error.message}`));
      return 1;
    } finally {
      if (tidy) await cluster.cleanUp();
      await cluster.close();
    }
  }

  function conclude(result: DemoResult): number {
    terminal.line(report(result, terminal));
    const held = result.refusals.every((refusal) => refusal.held) && result.leaks.length === 0;
    terminal.line(
      held
        ? terminal.good(`All of it held, in ${elapsed()}.`)
        : terminal.bad(`Not all of it held (${elapsed()}): see the crosses above.`),
    );
    return held ? 0 : 1;
  }
}
