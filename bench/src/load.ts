import { connect } from "node:net";

/**
 * Run in a pod by the suite `nmi-tokens`: sends one request again and again over a number of connections, one after the other
 * on each, for a while, and prints as JSON how many were answered and how long they took. Sockets and bytes instead of
 * an HTTP client, so that the load costs less than what it measures.
 */
export interface LoadInput {
  readonly host: string;
  readonly port: number;
  /** Asked for in turn. */
  readonly paths: readonly string[];
  readonly connections: number;
  /** Ends after this time, or after so many requests. */
  readonly milliseconds: number;
  readonly requests?: number;
  /** Rest of each connection between an answer and the next request; none when absent. */
  readonly pauseMs?: number;
  /** Local addresses, which the connections have in turn. */
  readonly from?: readonly string[];
}

export interface LoadResult {
  readonly requests: number;
  /** Answers that were not 200, and connections that broke. */
  readonly errors: number;
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
}

const HEAD_END = Buffer.from("\r\n\r\n");
const OK = Buffer.from("HTTP/1.1 200");

const input = JSON.parse(process.argv[2] ?? "{}") as LoadInput;
process.stdout.write(JSON.stringify(await load(input)));

async function load(o: LoadInput): Promise<LoadResult> {
  const { host, port, paths, connections, milliseconds, requests = Infinity, pauseMs = 0, from = [] } = o;
  const messages = paths.map((path) => Buffer.from(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nMetadata: true\r\n\r\n`));
  const latencies: number[] = [];
  let errors = 0;
  const started = performance.now();
  const end = started + milliseconds;
  const one = (index: number): Promise<void> =>
    new Promise((resolve) => {
      const localAddress = from[index % from.length];
      const socket = connect({ port, host, ...(localAddress !== undefined && { localAddress }) });
      let turn = index;
      let sentAt = 0;
      let pending = Buffer.alloc(0);
      const send = (): void => {
        sentAt = performance.now();
        socket.write(messages[turn++ % messages.length] ?? "");
      };
      socket.setNoDelay(true).once("connect", send);
      socket.on("data", (chunk) => {
        pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
        const size = answerLength(pending);
        if (size === undefined || pending.length < size) return;
        const now = performance.now();
        latencies.push(now - sentAt);
        if (!pending.subarray(0, OK.length).equals(OK)) errors++;
        pending = Buffer.alloc(0);
        if (now >= end || latencies.length >= requests) socket.destroy();
        else if (pauseMs === 0) send();
        else setTimeout(send, pauseMs);
      });
      socket.once("error", () => void errors++);
      socket.once("close", () => resolve());
    });
  await Promise.all(Array.from({ length: connections }, (_, index) => one(index)));
  const seconds = (performance.now() - started) / 1000;
  const sorted = Float64Array.from(latencies).sort();
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { requests: sorted.length, errors, seconds, p50: at(0.5), p99: at(0.99) };
}

/** Head and body, once the head is there. */
function answerLength(bytes: Buffer): number | undefined {
  const head = bytes.indexOf(HEAD_END);
  if (head < 0) return undefined;
  const length = /content-length: (\d+)/i.exec(bytes.toString("latin1", 0, head))?.[1];
  return head + HEAD_END.length + Number(length ?? 0);
}
