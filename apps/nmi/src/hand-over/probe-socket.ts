import type { Checks, Endpoint } from "@podid/service";
import { rm } from "node:fs/promises";
import { createServer, request } from "node:http";

/** What a probe asks for. */
export type Question = "live" | "ready";

/**
 * Answers this process's own probes on a unix socket in its own pod: while two node agents overlap in one network, the
 * probe port is answered by the older one.
 * @throws when the socket cannot be made
 */
export async function openProbeSocket(path: string, checks: Readonly<Record<Question, Checks>>): Promise<Endpoint> {
  await rm(path, { force: true });
  const server = createServer((asked, response) => {
    const report = Object.entries(checks[asked.url === "/live" ? "live" : "ready"]).flatMap(([name, check]) => {
      const why = check();
      return why === undefined ? [] : [`${name}: ${why}`];
    });
    response.writeHead(report.length === 0 ? 200 : 503, { connection: "close" });
    response.end(report.length === 0 ? "ok\n" : `${report.join("\n")}\n`);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  return {
    port: 0,
    close: () => new Promise((resolve) => server.close(() => resolve()).closeAllConnections()),
  };
}

/** Asks the node agent behind that socket. Nobody there is an answer too. */
export function probe(
  path: string,
  question: Question,
  timeoutMs = 4_000,
): Promise<{ readonly ok: boolean; readonly text: string }> {
  return new Promise((resolve) => {
    const failed = (error: Error): void => resolve({ ok: false, text: `${path}: ${error.message}\n` });
    const asking = request({ socketPath: path, path: `/${question}`, timeout: timeoutMs, agent: false }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      answer.once("end", () => resolve({ ok: answer.statusCode === 200, text }));
      answer.once("error", failed);
    });
    asking.once("timeout", () => asking.destroy(new Error(`no answer in ${timeoutMs} ms`)));
    asking.once("error", failed);
    asking.end();
  });
}
