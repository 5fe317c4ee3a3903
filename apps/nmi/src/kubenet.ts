import { readFile } from "node:fs/promises";
import { findSharedLayer2 } from "./node/cni-config.ts";

/** Upstream's words (scenario S76). */
export const KUBENET_REFUSAL =
  "AAD Pod Identity is not supported for Kubenet. Review https://azure.github.io/aad-pod-identity/docs/configure/aad_pod_identity_on_kubenet/ for more details.";

/**
 * Whether the node's pods share a layer 2 as kubenet's do, by its CNI configuration or, before Kubernetes 1.24, by
 * kubelet's options.
 * @returns the file that says so, and undefined when none does
 * @throws when a file exists and cannot be read
 */
export async function findKubenet(
  kubeletConfig: string,
  cniConfigDir: string,
): Promise<{ readonly kind: "kubenet" | "bridge"; readonly file: string } | undefined> {
  if (await usesKubenet(kubeletConfig)) return { kind: "kubenet", file: kubeletConfig };
  const network = await findSharedLayer2(cniConfigDir);
  return network.kind === "none" ? undefined : network;
}

/**
 * Whether kubelet's options name kubenet, where pods share a layer 2 and can take each other's address. A file that
 * does not exist names nothing: kubelet lost that flag with Kubernetes 1.24.
 * @throws when the file exists and cannot be read
 */
export async function usesKubenet(kubeletConfig: string): Promise<boolean> {
  try {
    return (await readFile(kubeletConfig, "utf8")).includes("--network-plugin=kubenet");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
