import { readFileSync } from "node:fs";
import { createServer } from "node:http";

/** The least that a Node service costs that holds given tokens and hands them out: `node:http` and a map. */
const [port = "0", file = ""] = process.argv.slice(2);
const answers = new Map(Object.entries(JSON.parse(readFileSync(file, "utf8")) as Record<string, string>));
createServer((request, response) => {
  const body = answers.get(request.url ?? "");
  response.writeHead(body === undefined ? 404 : 200, { "content-type": "application/json; charset=utf-8" });
  response.end(body);
}).listen(Number(port), "127.0.0.1");
process.on("SIGTERM", () => process.exit(0));
