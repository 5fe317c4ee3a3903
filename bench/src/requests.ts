import { join } from "node:path";
import { clientIdOf } from "@podid/e2e/cluster";
import type { Cluster } from "@podid/e2e/cluster";
import { figure } from "./figure.ts";
import type { Figure } from "./figure.ts";
import type { LoadInput, LoadResult } from "./load.ts";
import { medianOf } from "./timing.ts";

const METADATA = "169.254.169.254";
const PATH = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F";
const BARE_PORT = 8098;
/** Packets for this port of the metadata address are redirected to the bare server, by the same kind of rule. */
const BARE_METADATA_PORT = 81;
const CONNECTIONS = 32;
const ROUNDS = Number(process.env["PODID_BENCH_ROUNDS"] ?? 5);
const ROUND_MS = Number(process.env["PODID_BENCH_ROUND_MS"] ?? 4_000);
/** How long NMI answers at full load without one error. */
const SOAK_MS = Number(process.env["PODID_BENCH_SOAK_MS"] ?? 60_000);
const IMDS_MS = 2;
/** Uncached tokens: turns that count, requests in each, and the rest between two, which keeps below 10 a second. */
const MISS_TURNS = 4;
const MISSES = 30;
const MISS_PAUSE_MS = 125;
/** Of /proc/PID/stat; the same on every Linux there is. */
const TICKS_PER_SECOND = 100;

interface Round extends LoadResult {
  readonly cpuMs: number;
}

/**
 * Cached tokens, asked for in a pod and answered by NMI as shipped, beside a bare Fastify route with the same bytes on
 * the same path: veth, DNAT rule, loopback. Server and load have a core each. The two take turns, and medians count.
 */
export async function requestFigures(cluster: Cluster, bundleBare: () => Promise<string>): Promise<readonly Figure[]> {
  const node = cluster.vm;
  const on = (command: readonly string[], timeoutMs?: number) => cluster.control.exec({ node }, command, timeoutMs);
  await cluster.identity("bench", { selector: "bench" });
  await cluster.pod("bench", { selector: "bench", node });
  await cluster.nmiReady(node);
  await cluster.untilAssigned("bench", ["bench"]);
  const answer = await cluster.token("bench");
  if (answer.status !== 200) throw new Error(`no token: ${JSON.stringify(answer.body)}`);

  const pid = (await cluster.control.processes()).find(({ name }) => name === `nmi-${node}`)?.pid;
  await on(["taskset", "--all-tasks", "--cpu-list", "--pid", "0", String(pid)]);
  const rule = ["PREROUTING", "-d", METADATA, "-p", "tcp", "--dport", String(BARE_METADATA_PORT), "-j", "DNAT"];
  await on(["iptables", "-t", "nat", "-I", ...rule, "--to-destination", `127.0.0.1:${BARE_PORT}`]);
  const bundle = await bundleBare();
  const bare = on(
    ["taskset", "--cpu-list", "0", process.execPath, bundle, String(BARE_PORT), JSON.stringify(answer.body)],
    600_000,
  );
  const load = async (input: Partial<LoadInput>): Promise<LoadResult> => {
    const whole = {
      host: METADATA,
      port: 80,
      paths: [PATH],
      connections: CONNECTIONS,
      milliseconds: ROUND_MS,
      ...input,
    };
    const program = [process.execPath, join(import.meta.dirname, "load.ts"), JSON.stringify(whole)];
    const { code, stdout, stderr } = await cluster.control.exec(
      { pod: "bench" },
      ["taskset", "--cpu-list", "1", ...program],
      whole.milliseconds + 60_000,
    );
    if (code !== 0) throw new Error(`the load could not be made: ${stderr}`);
    return JSON.parse(stdout) as LoadResult;
  };
  const cpuSeconds = async (of: number | string | undefined): Promise<number> => {
    const { stdout } = await on(["cat", `/proc/${of}/stat`]);
    const fields = stdout.slice(stdout.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  };
  const measured = async (port: number, of: number | string | undefined): Promise<Round> => {
    const before = await cpuSeconds(of);
    const result = await load({ port });
    return { ...result, cpuMs: (((await cpuSeconds(of)) - before) * 1000) / result.requests };
  };
  const nmiRounds: Round[] = [];
  const bareRounds: Round[] = [];
  for (const port of [80, BARE_METADATA_PORT]) await load({ port, milliseconds: 1_500 });
  const barePid = (await on(["curl", "--silent", `http://127.0.0.1:${BARE_PORT}/pid`])).stdout;
  for (let round = 0; round < ROUNDS; round++) {
    nmiRounds.push(await measured(80, pid));
    bareRounds.push(await measured(BARE_METADATA_PORT, barePid));
  }
  const soak = await load({ milliseconds: SOAK_MS });
  await on(["curl", "--silent", "--max-time", "2", `http://127.0.0.1:${BARE_PORT}/end`]);
  await bare;
  const rate = (rounds: readonly LoadResult[]): number =>
    medianOf(rounds.map(({ requests, seconds }) => requests / seconds));
  const p = (name: "p50" | "p99" | "cpuMs", rounds: readonly Round[]): number =>
    medianOf(rounds.map((each) => each[name]));
  const against = "bare Fastify on the same path";
  return [
    figure("nmi-cached-throughput", "requests/s", rate(nmiRounds), {
      baseline: rate(bareRounds),
      against,
      limit: { of: "ratio", least: 0.7 },
    }),
    // The server's own processor time: what the figures above come to on a machine that does nothing else.
    figure("nmi-cached-cpu", "ms", p("cpuMs", nmiRounds), { baseline: p("cpuMs", bareRounds), against }),
    figure("nmi-cached-p50", "ms", p("p50", nmiRounds), { baseline: p("p50", bareRounds), against }),
    figure("nmi-cached-p99", "ms", p("p99", nmiRounds), { baseline: p("p99", bareRounds), against }),
    figure("nmi-cached-errors", "errors", errorsOf([soak, ...nmiRounds]), {
      baseline: errorsOf(bareRounds),
      against,
      limit: { of: "value", most: 0 },
    }),
    figure("nmi-cached-requests", "requests", soak.requests),
    ...(await uncached(cluster)),
  ];
}

/**
 * Resources that nobody asked for before, one after the other and slower than NMI's budget for IMDS: by a pod through NMI, and by a
 * pod of a node without NMI, in turns. The first turn of each warms the servers up.
 */
async function uncached(cluster: Cluster): Promise<readonly Figure[]> {
  await cluster.pod("open", { selector: "bench", node: cluster.instance });
  await cluster.untilAssigned("open", ["bench"]);
  await cluster.control.process(`nmi-${cluster.instance}`, "stop");
  // NMI leaves its rules behind, which refuse whatever it does not serve.
  for (const table of ["nat", "mangle", "filter"])
    await cluster.control.exec({ node: cluster.instance }, ["iptables", "-t", table, "--flush"]);
  await cluster.control.addAzureFault({ match: { service: "imds", operation: "token" }, delayMs: IMDS_MS });
  const times: Record<"bench" | "open", number[]> = { bench: [], open: [] };
  for (let turn = 0; turn <= MISS_TURNS; turn++) {
    for (const pod of ["bench", "open"] as const) {
      const resources = Array.from({ length: MISSES }, (_, n) => `https://${pod}/${turn}-${n}`);
      await cluster.control.addToAzure({ resources });
      const input = { host: METADATA, query: `&client_id=${clientIdOf("bench")}`, resources, pauseMs: MISS_PAUSE_MS };
      const program = [process.execPath, join(import.meta.dirname, "misses.ts"), JSON.stringify(input)];
      const { code, stdout, stderr } = await cluster.control.exec({ pod }, program);
      if (code !== 0) throw new Error(`uncached tokens for pod ${pod}: ${stderr}`);
      if (turn > 0) times[pod].push(...(JSON.parse(stdout) as number[]));
    }
  }
  await cluster.control.clearAzureFaults();
  const [throughNmi, baseline] = [medianOf(times.bench), medianOf(times.open)];
  const against = "IMDS itself, from a pod of a node without NMI";
  return [
    figure("nmi-uncached-p50", "ms", throughNmi, { baseline, against }),
    figure("nmi-uncached-added-p50", "ms", throughNmi - baseline, {
      baseline,
      against,
      limit: { of: "value", most: 1.5 },
    }),
  ];
}

function errorsOf(rounds: readonly LoadResult[]): number {
  return rounds.reduce((sum, { errors }) => sum + errors, 0);
}
