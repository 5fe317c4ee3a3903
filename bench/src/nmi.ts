import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Cluster } from "@podid/e2e/cluster";
import { bundleApp } from "@podid/tools/bundle";
import { bundleBare } from "./bundle-bare.ts";
import { figure } from "./figure.ts";
import type { Figure } from "./figure.ts";
import { loadedFigures } from "./loaded.ts";
import { requestFigures } from "./requests.ts";
import type { Sample } from "./start-and-memory.ts";
import { medianOf } from "./timing.ts";

const TIMES = 5;

/** How long NMI as shipped takes to start on a node of the sandbox, and its size, beside bare servers on the same node. */
export async function startFigures(): Promise<readonly Figure[]> {
  return inSandbox(async (cluster, directory) => {
    const node = cluster.vm;
    await cluster.nmiReady(node);
    const name = `nmi-${node}`;
    const pid = (await cluster.control.processes()).find((each) => each.name === name)?.pid;
    const [command = [], environment = []] = await Promise.all(
      ["cmdline", "environ"].map(async (file) =>
        (await cluster.control.exec({ node }, ["cat", `/proc/${pid}/${file}`])).stdout
          .split("\0")
          .filter((word) => word !== ""),
      ),
    );
    await cluster.control.process(name, "stop");
    const env = Object.fromEntries(
      environment.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
    );
    const measure = async (what: readonly string[], url: string): Promise<Sample> => {
      const input = JSON.stringify({ command: what, env, url });
      const program = join(import.meta.dirname, "start-and-memory.ts");
      const { code, stdout, stderr } = await cluster.control.exec({ node }, [process.execPath, program, input]);
      if (code !== 0) throw new Error(stderr);
      return JSON.parse(stdout) as Sample;
    };
    const bare = async (entry: string): Promise<() => Promise<Sample>> => {
      const program = [process.execPath, await bundleBare(entry, directory)];
      return () => measure(program, "http://127.0.0.1:8099/readyz");
    };
    // In turns, so that whatever else the machine does meets all of them.
    const samples = await inTurns({
      nmi: () => measure(command, "http://127.0.0.1:8080/readyz"),
      fastify: await bare("bare-fastify"),
      http: await bare("bare-http"),
    });
    const of = (server: keyof typeof samples, what: keyof Sample): number =>
      medianOf(samples[server].map((sample) => sample[what]));
    return [
      figure("nmi-start", "ms", of("nmi", "milliseconds"), {
        baseline: of("fastify", "milliseconds"),
        against: "bare Fastify, bundled",
        limit: { of: "ratio", most: 2 },
      }),
      ...(["residentBytes", "anonymousBytes"] as const).map((what) =>
        figure(what === "residentBytes" ? "nmi-memory-start" : "nmi-memory-start-anonymous", "bytes", of("nmi", what), {
          baseline: of("http", what),
          against: "bare node:http",
        }),
      ),
      figure("nmi-bundle", "bytes", statSync(await bundleApp("nmi")).size, {
        baseline: statSync(await bundleBare("bare-fastify", directory)).size,
        against: "bare Fastify, bundled",
      }),
    ];
  });
}

/** Tokens from NMI as shipped, beside a bare server on the same path. */
export async function tokenFigures(): Promise<readonly Figure[]> {
  return inSandbox((cluster, directory) => requestFigures(cluster, () => bundleBare("bare-token", directory)));
}

/** Memory of NMI as shipped on a full node. */
export async function memoryFigures(): Promise<readonly Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), "podid-bench-"));
  try {
    return await loadedFigures(await bundleBare("bare-tokens", directory));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function inSandbox<T>(work: (cluster: Cluster, directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), "podid-bench-"));
  const cluster = await Cluster.start();
  try {
    return await work(cluster, directory);
  } finally {
    await cluster.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function inTurns<Name extends string>(
  measurements: Readonly<Record<Name, () => Promise<Sample>>>,
): Promise<Record<Name, Sample[]>> {
  const entries = Object.entries(measurements) as [Name, () => Promise<Sample>][];
  const samples = Object.fromEntries(entries.map(([name]) => [name, [] as Sample[]])) as Record<Name, Sample[]>;
  for (let time = 0; time < TIMES; time++)
    for (const [name, measurement] of entries) samples[name].push(await measurement());
  return samples;
}
