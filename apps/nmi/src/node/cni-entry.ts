import { normalizeAddress } from "@podid/imds-proxy";

/** What a container runtime wrote down when it attached a pod to the network. */
export interface CniEntry {
  readonly podUid: string;
  /** In the one spelling; loopback and link-local ones are nobody's in particular and left out. */
  readonly addresses: readonly string[];
}

/** Pods have a loopback interface too, and each its fe80:: address on the link to its node. */
const NOBODYS = /^(?:127\.0\.0\.1$|::1$|fe80:)/;

/**
 * Reads one file of libcni's result cache (`cniCacheV1`, written at ADD, removed at DEL). The pod's UID is among the
 * arguments that CRI runtimes pass (containerd since 1.4, CRI-O).
 * @returns undefined for what is no such entry: an older format, a file that is still being written, a foreign one
 */
export function parseCniEntry(text: string): CniEntry | undefined {
  let entry: Partial<CacheFile> | null;
  try {
    entry = JSON.parse(text) as Partial<CacheFile> | null;
  } catch {
    return undefined;
  }
  if (entry === null || typeof entry !== "object" || entry.kind !== "cniCacheV1") return undefined;
  const pairs = Array.isArray(entry.cniArgs) ? (entry.cniArgs as readonly unknown[]) : [];
  const pair = pairs.find((one): one is [string, string] => Array.isArray(one) && one[0] === "K8S_POD_UID");
  const podUid = pair?.[1];
  if (typeof podUid !== "string" || podUid === "") return undefined;
  return { podUid, addresses: [...new Set(resultAddresses(entry.result))].filter((one) => !NOBODYS.test(one)) };
}

interface CacheFile {
  readonly kind: unknown;
  readonly cniArgs: unknown;
  readonly result: unknown;
}

/** Results before CNI 0.3 named one address per family. */
function resultAddresses(result: unknown): string[] {
  if (typeof result !== "object" || result === null) return [];
  const { ips, ip4, ip6 } = result as { ips?: unknown; ip4?: { ip?: unknown }; ip6?: { ip?: unknown } };
  const texts = [
    ...(Array.isArray(ips) ? ips.map((one: { address?: unknown } | null) => one?.address) : []),
    ip4?.ip,
    ip6?.ip,
  ];
  return texts.filter((text) => typeof text === "string").map((text) => normalizeAddress(text.split("/", 1)[0] ?? ""));
}
