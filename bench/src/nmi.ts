import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Cluster } from "@podid/e2e/cluster";
import { bundleApp } from "@podid/tools/bundle";
import { build } from "esbuild";
import { figure } from "./figure.ts";
import type { Figure } from "./figure.ts";
import { loadedFigures } from "./loaded.ts";
import { requestFigures } from "./requests.ts";
import type { Sample } from "./start-and-memory.ts";

const TIMES = 5;
const BARE_HTTP = "bare node:http";

/** NMI as shipped, on a node of the sandbox, beside bare servers on the same node in the same run. */
export async function nmiFigures(): Promise<readonly Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), "podid-bench-"));
  const cluster = await Cluster.start();
  try {
    const node = cluster.vm;
    const bundleBare = async (entry: string): Promise<string> => {
      const outfile = join(directory, `${entry}.mjs`);
      await build({
        entryPoints: [join(import.meta.dirname, `${entry}.ts`)],
        outfile,
        bundle: true,
        platform: "node",
        format: "esm",
        banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
      });
      return outfile;
    };
    const requests = await requestFigures(cluster, () => bundleBare("bare-token"));
    const name = `nmi-${node}`;
    const pid = (await cluster.control.processes()).find((each) => each.name === name)?.pid;
    const [command, environment] = await Promise.all(
      ["cmdline", "environ"].map(async (file) =>
        (await cluster.control.exec({ node }, ["cat", `/proc/${pid}/${file}`])).stdout
          .split("\0")
          .filter((word) => word !== ""),
      ),
    );
    await cluster.control.process(name, "stop");
    const env = Object.fromEntries(
      (environment ?? []).map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
    );
    const measure = async (what: readonly string[], url: string): Promise<readonly Sample[]> => {
      const input = JSON.stringify({ command: what, env, url, times: 1 });
      const { code, stdout, stderr } = await cluster.control.exec({ node }, [
        process.execPath,
        join(import.meta.dirname, "start-and-memory.ts"),
        input,
      ]);
      if (code !== 0) throw new Error(stderr);
      return JSON.parse(stdout) as Sample[];
    };
    const bare = async (entry: string): Promise<() => Promise<readonly Sample[]>> => {
      const command = [process.execPath, await bundleBare(entry)];
      return () => measure(command, "http://127.0.0.1:8099/readyz");
    };
    // In turns, so that whatever else the machine does meets all of them.
    const [nmi, fastify, http] = (
      await inTurns([
        () => measure(command ?? [], "http://127.0.0.1:8080/readyz"),
        await bare("bare-fastify"),
        await bare("bare-http"),
      ])
    ).map(median);
    if (nmi === undefined || fastify === undefined || http === undefined) throw new Error("nothing was measured");
    return [
      ...requests,
      figure("nmi-start", "ms", nmi.milliseconds, {
        baseline: fastify.milliseconds,
        against: "bare Fastify, bundled",
        limit: { of: "ratio", most: 2 },
      }),
      figure("nmi-memory-start", "bytes", nmi.residentBytes, { baseline: http.residentBytes, against: BARE_HTTP }),
      figure("nmi-memory-start-anonymous", "bytes", nmi.anonymousBytes, {
        baseline: http.anonymousBytes,
        against: BARE_HTTP,
      }),
      ...(await loadedFigures(await bundleBare("bare-tokens"))),
      figure("nmi-bundle", "bytes", statSync(await bundleApp("nmi")).size),
    ];
  } finally {
    await cluster.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function inTurns<T>(measurements: readonly (() => Promise<readonly T[]>)[]): Promise<T[][]> {
  const results: T[][] = measurements.map(() => []);
  for (let time = 0; time < TIMES; time++)
    for (const [index, measurement] of measurements.entries()) results[index]?.push(...(await measurement()));
  return results;
}

function median(samples: readonly Sample[]): Sample {
  const sorted = samples.toSorted((a, b) => a.milliseconds - b.milliseconds);
  const middle = sorted[Math.floor(sorted.length / 2)];
  if (middle === undefined) throw new Error("nothing was measured");
  return middle;
}
