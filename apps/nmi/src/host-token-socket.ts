import { imdsServer } from "@podid/imds-proxy";
import type { ImdsProxyOptions } from "@podid/imds-proxy";
import type { Endpoint } from "@podid/service";
import { chmod, mkdir, rename, rm, stat } from "node:fs/promises";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname } from "node:path";

export interface HostTokenSocket {
  close(): Promise<void>;
}

/**
 * Serves the host token endpoint, and nothing else, on the loopback address, where clients look for it even when pods'
 * requests are received at another one.
 */
export async function openHostTokenPort(port: number, proxy: ImdsProxyOptions): Promise<Endpoint> {
  const server = hostTokenServer(proxy);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return { port: (server.address() as AddressInfo).port, close: () => end(server) };
}

/**
 * Serves the host token endpoint, and nothing else, on a unix socket instead of the loopback address: the kernel lets
 * only NMI's own user (root) open it, which is a check of the peer's credentials that needs no code here. The socket
 * appears under its name complete, in the place of one that a predecessor may still serve.
 */
export async function openHostTokenSocket(path: string, proxy: ImdsProxyOptions): Promise<HostTokenSocket> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const server = hostTokenServer({ ...proxy, isFromHost: () => true });
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
      await end(server);
    },
  };
}

function hostTokenServer(proxy: ImdsProxyOptions): Server {
  return imdsServer({ ...proxy, rules: { ...proxy.rules, hostToken: true }, onlyHostTokens: true });
}

function end(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
