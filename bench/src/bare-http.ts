import { createServer } from "node:http";

/** The least that a Node service costs: `node:http` with one route. */
createServer((_, response) => response.end("ok")).listen(8099, "127.0.0.1");
process.on("SIGTERM", () => process.exit(0));
