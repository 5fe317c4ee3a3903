import { imdsListener } from "@podid/imds-proxy";
import type { ImdsProxyOptions } from "@podid/imds-proxy";
import { chmod, mkdir, rename, rm, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { dirname } from "node:path";

export interface HostTokenSocket {
  close(): Promise<void>;
}

/**
 * Serves the host token endpoint, and nothing else, on a unix socket instead of the loopback address: the kernel lets
 * only NMI's own user (root) open it, which is a check of the peer's credentials that needs no code here. The socket
 * appears under its name complete, in the place of one that a predecessor may still serve.
 */
export async function openHostTokenSocket(path: string, proxy: ImdsProxyOptions): Promise<HostTokenSocket> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const rules = { ...proxy.rules, hostToken: true };
  const listener = imdsListener({ ...proxy, rules, isFromHost: () => true, onlyHostTokens: true });
  const server = createServer({ maxHeaderSize: 16_384, requestTimeout: 15_000, headersTimeout: 10_000 }, listener);
  const own = `${path}.${process.pid}`;
  await rm(own, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(own, resolve);
  });
  await chmod(own, 0o600);
  const { ino } = await stat(own);
  await rename(own, path);
  return {
    async close() {
      const there = await stat(path).catch(() => undefined);
      if (there?.ino === ino) await rm(path, { force: true });
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}
