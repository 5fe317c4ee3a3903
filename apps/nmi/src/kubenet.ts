import { readFile } from "node:fs/promises";

/** Upstream's words (scenario S76). */
export const KUBENET_REFUSAL =
  "AAD Pod Identity is not supported for Kubenet. Review https://azure.github.io/aad-pod-identity/docs/configure/aad_pod_identity_on_kubenet/ for more details.";

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
