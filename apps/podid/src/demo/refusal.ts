import { METADATA_IP } from "../sandbox/topology.ts";
import type { Cluster } from "./cluster.ts";

const TOKEN_PATH =
  "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F";

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** A request that must not be answered with a token. */
export interface Refusal {
  readonly title: string;
  /** `NAMESPACE/NAME`. */
  readonly pod: string;
  readonly query?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly wanted: readonly number[];
}

export interface RefusalResult {
  readonly title: string;
  readonly held: boolean;
  /** Status and the operator's explanation. */
  readonly said: string;
}

// Runs in the pod: one GET with plain node:http, the answer as JSON.
const CLIENT = `const [url, headers] = JSON.parse(process.argv[1]);
require("node:http").get(url, { headers, timeout: 20000 }, (response) => {
  let text = "";
  response.setEncoding("utf8").on("data", (chunk) => (text += chunk)).on("end", () => {
    let body = text;
    try { body = JSON.parse(text); } catch {}
    console.log(JSON.stringify({ status: response.statusCode, body }));
  });
}).on("timeout", function () { this.destroy(new Error("no answer within 20 s")); })
  .on("error", (error) => console.log(JSON.stringify({ status: 0, body: error.message })));`;

/** Asks for a token from inside of a pod. Status 0: no answer, `body` says why. */
export async function askForToken(
  cluster: Cluster,
  pod: string,
  o: { readonly query?: string; readonly headers: Readonly<Record<string, string>> },
): Promise<Answer> {
  const url = `http://${METADATA_IP}${TOKEN_PATH}${o.query ?? ""}`;
  const { code, stdout, stderr } = await cluster.execInPod(pod, [
    process.execPath,
    "-e",
    CLIENT,
    JSON.stringify([url, o.headers]),
  ]);
  if (code !== 0) return { status: 0, body: stderr.trim() };
  return JSON.parse(stdout) as Answer;
}

export async function tryRefusal(cluster: Cluster, refusal: Refusal): Promise<RefusalResult> {
  const answer = await askForToken(cluster, refusal.pod, refusal);
  return { title: refusal.title, ...judge(refusal.wanted, answer) };
}

/** Held: the wanted status, an error object as clients need it, and no token. */
export function judge(wanted: readonly number[], answer: Answer): { held: boolean; said: string } {
  const body = typeof answer.body === "object" && answer.body !== null ? (answer.body as Record<string, unknown>) : {};
  const { error, error_description: description } = body;
  const explained = typeof error === "string" && typeof description === "string";
  const held = wanted.includes(answer.status) && explained && !("access_token" in body);
  if ("access_token" in body) return { held, said: `${answer.status}, with a token` };
  return {
    held,
    said: explained
      ? `${answer.status} ${error}: ${description}`
      : `${answer.status} ${JSON.stringify(answer.body).slice(0, 200)}`,
  };
}
