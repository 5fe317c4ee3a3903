import { IptablesError } from "./iptables-error.ts";
import type { Exec } from "./exec.ts";
import { parseSave, type SavedRules } from "./saved-rules.ts";

/** One of the two sets of rules a kernel may hold, and the programs that speak to it. */
export interface Backend {
  readonly name: "nft" | "legacy" | "default";
  readonly save: string;
  readonly restore: string;
}

export interface SavedBackend {
  readonly backend: Backend;
  readonly saved: SavedRules;
}

/** Both backends where the machine has the programs of both, the active one first. */
export interface Backends {
  readonly active: SavedBackend;
  readonly other: SavedBackend | undefined;
}

const NFT: Backend = { name: "nft", save: "iptables-nft-save", restore: "iptables-nft-restore" };
const LEGACY: Backend = { name: "legacy", save: "iptables-legacy-save", restore: "iptables-legacy-restore" };
/** Where only one set of programs is installed, it goes without a suffix. */
const DEFAULT: Backend = { name: "default", save: "iptables-save", restore: "iptables-restore" };

/** Chains by which kubelet marks the backend of its node (KEP-3178; the canary serves kubelets before 1.24). */
const KUBELET_CHAINS = ["KUBE-IPTABLES-HINT", "KUBE-KUBELET-CANARY"];

/** @throws IptablesError when no iptables-save works here. */
export async function readBackends(exec: Exec): Promise<Backends> {
  // Without -t the legacy program lists loaded tables only; with it, it would load them and so change the node.
  const [nft, legacy] = await Promise.all([readIfUsable(exec, NFT), readIfUsable(exec, LEGACY)]);
  if (nft && legacy) {
    const active = prefersLegacy(nft.saved, legacy.saved) ? legacy : nft;
    return { active, other: active === nft ? legacy : nft };
  }
  const only = nft ?? legacy ?? (await read(exec, DEFAULT));
  if (only) return { active: only, other: undefined };
  throw new IptablesError("iptables-save is not installed; install the package iptables", 127, "");
}

/** @throws IptablesError when the program fails or its output cannot be read. */
export async function readBackend(exec: Exec, backend: Backend): Promise<SavedBackend> {
  const found = await read(exec, backend);
  if (found) return found;
  throw new IptablesError(`${backend.save} has disappeared; install the package iptables`, 127, "");
}

/** A kernel may support only one of two installed backends; then the other one's programs fail. */
async function readIfUsable(exec: Exec, backend: Backend): Promise<SavedBackend | undefined> {
  try {
    return await read(exec, backend);
  } catch (error) {
    if (error instanceof IptablesError) return undefined;
    throw error;
  }
}

async function read(exec: Exec, backend: Backend): Promise<SavedBackend | undefined> {
  const result = await exec(backend.save, [], { timeoutMs: 30_000 });
  if (result.code === 127) return undefined;
  if (result.code !== 0) throw new IptablesError(`${backend.save} failed`, result.code, result.stderr);
  return { backend, saved: parseSave(result.stdout) };
}

/** Kubelet's mark decides; without one, the backend with more rules is the one the node's network uses. */
function prefersLegacy(nft: SavedRules, legacy: SavedRules): boolean {
  if (hasKubeletChain(nft)) return false;
  if (hasKubeletChain(legacy)) return true;
  return ruleCount(legacy) > ruleCount(nft);
}

function hasKubeletChain(saved: SavedRules): boolean {
  return KUBELET_CHAINS.some((chain) => [...saved.values()].some((table) => table.has(chain)));
}

function ruleCount(saved: SavedRules): number {
  let count = 0;
  for (const table of saved.values()) for (const rules of table.values()) count += rules.length;
  return count;
}
