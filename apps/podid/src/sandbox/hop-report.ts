import type { AzureEmulator } from "@podid/azure-emulator";
import type { ApiServer } from "./api-server.ts";
import type { PodRow } from "./kubelet.ts";
import type { Topology } from "./topology.ts";

const AUDIT_INTERVAL_MS = 100;

/** Says every request to the emulated cloud and every write to the API server, who made it and how it ended. */
export function reportHops(o: {
  readonly azure: AzureEmulator;
  readonly api: ApiServer;
  readonly topology: Topology;
  readonly pods: () => readonly PodRow[];
  readonly say: (line: string) => void;
}): void {
  const names = new Map([
    ...o.topology.nodes.flatMap((node) => [
      [node.address, `node ${node.name}`] as const,
      [node.imdsLink.node, `node ${node.name}`] as const,
    ]),
    ...o.topology.mic.map((replica) => [replica.address, replica.name] as const),
  ]);
  const who = (peer: string): string => {
    const address = peer.replace(/^::ffff:/, "").replace(/:\d+$/, "");
    const pod = o.pods().find(({ ip }) => ip === address);
    return names.get(address) ?? (pod ? `pod ${pod.namespace}/${pod.name}` : address);
  };
  o.azure.requests.subscribe((entry) => {
    const took = entry.durationMs === undefined ? "" : ` ${Math.round(entry.durationMs)} ms`;
    const error = entry.error === undefined ? "" : ` ${entry.error}`;
    o.say(`${who(entry.peer)} → ${entry.service} ${entry.method} ${entry.url} ${entry.status ?? 0}${error}${took}`);
  });
  const { audit } = o.api;
  if (audit === undefined) return;
  let seen = 0;
  setInterval(() => {
    for (const entry of audit.entries) {
      if (entry.id <= seen) continue;
      seen = entry.id;
      const watch = entry.verb === "watch" ? "watch " : "";
      if (entry.verb === "get" || entry.user === "system:admin" || entry.resource === "leases") continue;
      o.say(`${who(entry.peer)} → kube ${watch}${entry.method} ${entry.path} ${entry.status}`);
    }
  }, AUDIT_INTERVAL_MS).unref();
}
