import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";

/**
 * A relay that takes a request to be as long as its Content-Length says, forbids the token path by the request line, and
 * passes everything else on over one shared connection: what request smuggling was made for.
 */
export function lengthRelay(imdsPort: number): Server {
  const upstream = connect(imdsPort, "127.0.0.1");
  const waiting: Socket[] = [];
  const queued: string[] = [];
  let arrived = "";
  upstream.setEncoding("latin1");
  upstream.on("error", () => undefined);
  upstream.on("data", (chunk: string) => {
    arrived += chunk;
    for (let answer = first(arrived); answer !== undefined; answer = first(arrived)) {
      arrived = arrived.slice(answer.length);
      queued.push(answer);
    }
    hand();
  });
  function hand(): void {
    while (waiting.length > 0 && queued.length > 0) waiting.shift()?.write(queued.shift() ?? "", "latin1");
  }
  const server = createServer((client) => {
    let text = "";
    client.setEncoding("latin1");
    client.on("error", () => undefined);
    client.on("data", (chunk: string) => {
      text += chunk;
      for (let request = first(text); request !== undefined; request = first(text)) {
        text = text.slice(request.length);
        if (request.startsWith("GET /metadata/identity/")) {
          client.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
          return;
        }
        waiting.push(client);
        upstream.write(request, "latin1");
        hand();
      }
    });
  });
  server.on("close", () => upstream.destroy());
  return server;
}

/** The first complete message, by its Content-Length alone. */
function first(text: string): string | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const length = end + 4 + Number(/^content-length: *(\d+)/im.exec(text.slice(0, end))?.[1] ?? 0);
  return text.length < length ? undefined : text.slice(0, length);
}
