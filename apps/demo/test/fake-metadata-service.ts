import { createServer } from "node:http";
import type { IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";

export interface Answer {
  readonly status?: number;
  /** A string is sent as it is, anything else as JSON. */
  readonly body?: unknown;
}

export interface Seen {
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: IncomingHttpHeaders;
}

export interface FakeMetadataService extends AsyncDisposable {
  readonly origin: string;
  readonly seen: readonly Seen[];
}

/** Answers every request with what `answer` returns, and remembers the requests; undefined: never answers. */
export async function fakeMetadataService(answer: (request: Seen) => Answer | undefined): Promise<FakeMetadataService> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://metadata");
    const record = { path: url.pathname, query: Object.fromEntries(url.searchParams), headers: request.headers };
    seen.push(record);
    const found = answer(record);
    if (found === undefined) return;
    const { status = 200, body = {} } = found;
    response
      .writeHead(status, { "content-type": "application/json" })
      .end(typeof body === "string" ? body : JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
