import type { SandboxFlags } from "../command-line.ts";
export async function runDemo(flags: SandboxFlags, signal: AbortSignal): Promise<number> {
  void flags;
  void signal;
  return 1;
}
