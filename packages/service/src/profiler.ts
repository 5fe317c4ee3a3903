import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Session } from "node:inspector/promises";
import type { Logger } from "./logger.ts";

/** Where aad-pod-identity serves Go's. */
const PROFILE_PORT = 6060;
const MOST_SECONDS = 300;

const INDEX = `profiles of this process, in V8's formats (open them in a browser's developer tools):
/debug/pprof/profile?seconds=30  where the time goes (.cpuprofile)
/debug/pprof/heap?seconds=30     what allocates (.heapprofile); counts and places, no contents
`;

/** Serves profiles if the port is free: it may be another process's of this node, and a profile is not worth a start that fails. */
export async function openProfiler(
  log: Pick<Logger, "info" | "warn">,
  port = PROFILE_PORT,
): Promise<{ close(): Promise<void> } | undefined> {
  try {
    const profiler = await startProfiler({ port });
    log.info({}, `serving profiles on 127.0.0.1:${profiler.port}`);
    return profiler;
  } catch (error) {
    log.warn({ error: String(error) }, `no profiles: 127.0.0.1:${port} cannot be listened on`);
    return undefined;
  }
}

/**
 * Serves profiles on a loopback address, one at a time. Heap snapshots are not among them: they would hold every token.
 * A request must name a loopback address as its host, so that no page in a browser on the node can ask.
 */
export async function startProfiler(options: { readonly port?: number } = {}): Promise<{
  readonly port: number;
  close(): Promise<void>;
}> {
  let busy = false;
  const server = createServer({ maxHeaderSize: 4_096 }, (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
    const send = (status: number, type: string, body: string): void => {
      response.writeHead(status, { "content-type": type, "x-content-type-options": "nosniff" });
      response.end(body);
    };
    const text = (status: number, body: string): void => send(status, "text/plain; charset=utf-8", body);
    if (!/^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/i.test(request.headers.host ?? ""))
      return text(403, "ask by the name localhost\n");
    if (request.method !== "GET") return text(405, "use GET\n");
    const profile = PROFILES[pathname];
    if (profile === undefined)
      return pathname === "/debug/pprof/" || pathname === "/debug/pprof" ? text(200, INDEX) : text(404, INDEX);
    const seconds = Number(searchParams.get("seconds") ?? 30);
    if (!(seconds > 0 && seconds <= MOST_SECONDS)) return text(400, `seconds must be a number up to ${MOST_SECONDS}\n`);
    if (busy) return text(409, "another profile is being taken; try again when it is done\n");
    busy = true;
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    take(profile, seconds * 1000, gone.signal)
      .then(
        (json) => send(200, "application/json", json),
        (error: unknown) => text(500, `${String(error)}\n`),
      )
      .finally(() => (busy = false));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? PROFILE_PORT, "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface Profile {
  start(session: Session): Promise<void>;
  stop(session: Session): Promise<unknown>;
}

const PROFILES: Readonly<Record<string, Profile>> = {
  "/debug/pprof/profile": {
    start: async (session) => {
      await session.post("Profiler.enable");
      await session.post("Profiler.start");
    },
    stop: async (session) => (await session.post("Profiler.stop")).profile,
  },
  "/debug/pprof/heap": {
    start: (session) => session.post("HeapProfiler.startSampling"),
    stop: async (session) => (await session.post("HeapProfiler.stopSampling")).profile,
  },
};

async function take(profile: Profile, ms: number, gone: AbortSignal): Promise<string> {
  // Loaded only now: a debugger's machinery has no place in a process that is not being looked at.
  const { Session } = await import("node:inspector/promises");
  const session = new Session();
  session.connect();
  try {
    await profile.start(session);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      gone.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      });
    });
    return JSON.stringify(await profile.stop(session));
  } finally {
    session.disconnect();
  }
}
