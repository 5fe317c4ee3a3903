import type { Cluster } from "@podid/e2e/cluster";

export interface Memory {
  readonly residentBytes: number;
  readonly anonymousBytes: number;
}

/** What a process of the sandbox holds now. */
export async function processMemory(cluster: Cluster, name: string): Promise<Memory> {
  const found = (await cluster.control.processes()).find((each) => each.name === name);
  if (found?.pid === undefined) throw new Error(`${name} does not run`);
  const { stdout } = await cluster.control.exec({ node: cluster.vm }, ["cat", `/proc/${found.pid}/status`]);
  return { residentBytes: field(stdout, "VmRSS"), anonymousBytes: field(stdout, "RssAnon") };
}

/** A field of /proc/PID/status, in bytes. */
export function field(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? Number.NaN) * 1024;
}
