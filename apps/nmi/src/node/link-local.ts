import { systemExec } from "@podid/iptables";
import type { Exec } from "@podid/iptables";
import { networkInterfaces } from "node:os";

/** Addresses of the node itself, as the kernel lists them now. */
export function nodeAddresses(): ReadonlySet<string> {
  return new Set(Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address)));
}

/**
 * A link-local address to listen on belongs to no interface until somebody puts it there. On the loopback interface it
 * is the node's own and nobody else's, pods reach it without `route_localnet`, and no network plugin minds.
 * @returns whether it was added
 * @throws when it could not be added
 */
export async function addLinkLocal(
  address: string,
  exec: Exec = systemExec,
  present: () => ReadonlySet<string> = nodeAddresses,
): Promise<boolean> {
  if (!isLinkLocal(address) || present().has(address)) return false;
  const added = await exec("ip", ["address", "add", `${address}/32`, "dev", "lo", "scope", "host"]);
  if (added.code === 0) return true;
  // A successor that started at the same moment may have been quicker.
  if (present().has(address)) return false;
  throw new Error(
    `--nmi-listen-address: ${address} is not on this node and could not be added to lo: ${added.stderr.trim()}; add it with: ip address add ${address}/32 dev lo`,
  );
}

/** Takes it off the loopback interface, and off no other. */
export async function removeLinkLocal(address: string, exec: Exec = systemExec): Promise<void> {
  if (isLinkLocal(address)) await exec("ip", ["address", "del", `${address}/32`, "dev", "lo"]);
}

function isLinkLocal(address: string): boolean {
  return address.startsWith("169.254.");
}
