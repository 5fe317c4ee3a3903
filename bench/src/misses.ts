import { Agent, get } from "node:http";
import { setTimeout } from "node:timers/promises";

/** Run on a node or in a pod by the suite `nmi-tokens`: asks once for a token of each resource and prints as JSON how many milliseconds each answer took. */
interface MissInput {
  readonly host: string;
  /** Added to each request's query; begins with `&` unless empty. */
  readonly query: string;
  readonly resources: readonly string[];
  readonly pauseMs: number;
}

/** The first requests of a process are its own start. */
const FIRST = 5;

const { host, query, resources, pauseMs } = JSON.parse(process.argv[2] ?? "{}") as MissInput;
const agent = new Agent({ keepAlive: true });
const times: number[] = [];
for (const resource of resources) {
  times.push(await ask(resource));
  await setTimeout(pauseMs);
}
agent.destroy();
process.stdout.write(JSON.stringify(times.slice(FIRST)));

function ask(resource: string): Promise<number> {
  const path = `/metadata/identity/oauth2/token?api-version=2018-02-01&resource=${encodeURIComponent(resource)}${query}`;
  return new Promise((resolve, reject) => {
    const started = performance.now();
    get({ agent, host, path, headers: { metadata: "true" } }, (answer) => {
      answer.resume().once("end", () => {
        if (answer.statusCode === 200) resolve(performance.now() - started);
        else reject(new Error(`${resource}: ${answer.statusCode}`));
      });
    }).once("error", reject);
  });
}
