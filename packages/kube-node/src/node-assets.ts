import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { findAssets } from "@podid/kube-control-plane";
import type { Assets } from "@podid/kube-control-plane";

const PROGRAMS = ["kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"] as const;

/** What a node's container runtime and network need, and the Debian packages that bring it. */
export const NODE_PROGRAMS = {
  containerd: "containerd",
  ctr: "containerd",
  runc: "runc",
  ptp: "containernetworking-plugins",
  "host-local": "containernetworking-plugins",
  loopback: "containernetworking-plugins",
  portmap: "containernetworking-plugins",
  ip: "iproute2",
  iptables: "iptables",
  "iptables-save": "iptables",
  "iptables-legacy-save": "iptables",
  ip6tables: "iptables",
  nft: "nftables",
  conntrack: "conntrack",
  ipset: "ipset",
  mount: "mount",
  unshare: "util-linux",
  nsenter: "util-linux",
} as const;

/** Paths of a whole cluster's programs. */
export type NodeAssets = Assets & Readonly<Record<(typeof PROGRAMS)[number], string>>;

/**
 * The programs in the folder that KUBEBUILDER_ASSETS names.
 * @returns undefined when the variable is unset, or the folder holds an API server only
 */
export async function findNodeAssets(
  env: Readonly<Record<string, string | undefined>>,
): Promise<NodeAssets | undefined> {
  const assets = await findAssets(env);
  const folder = env["KUBEBUILDER_ASSETS"];
  if (assets === undefined || folder === undefined) return undefined;
  const paths = Object.fromEntries(PROGRAMS.map((name) => [name, join(folder, name)]));
  try {
    for (const path of Object.values(paths)) await access(path, constants.X_OK);
  } catch {
    return undefined;
  }
  return { ...assets, ...(paths as Record<(typeof PROGRAMS)[number], string>) };
}
