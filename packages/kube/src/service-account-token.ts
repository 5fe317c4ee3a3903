import { KubeError } from "./kube-error.ts";
import { resourcePath, RESOURCES } from "./resource.ts";
import type { KubeTransport } from "./transport.ts";

export interface ServiceAccountTokenRequest {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Who shall accept the token, such as `api://AzureADTokenExchange`. */
  readonly audience: string;
  /** API servers refuse less than 600 and may answer with another life. */
  readonly expirationSeconds: number;
  /**
   * The token names this pod and its node in its claims and dies with it, but for the API server alone: whoever checks
   * no more than signature and times, as Entra does, takes it until it expires.
   */
  readonly boundPod?: { readonly name: string; readonly uid: string } | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
}

/**
 * A token of a ServiceAccount by the TokenRequest API. `expiresAt` is in milliseconds since the epoch, by the API
 * server's clock. Rejects with {@link KubeError}: 403 without the right, 409 when the pod's UID is not that of the live one.
 */
export async function requestServiceAccountToken(
  transport: KubeTransport,
  request: ServiceAccountTokenRequest,
): Promise<{ token: string; expiresAt: number }> {
  const { namespace, serviceAccount, audience, expirationSeconds, boundPod, signal, timeoutMs } = request;
  const path = resourcePath(RESOURCES.serviceAccounts, { namespace, name: serviceAccount, subresource: "token" });
  const boundObjectRef = boundPod && { apiVersion: "v1", kind: "Pod", name: boundPod.name, uid: boundPod.uid };
  const answer = await transport.request<{ status?: { token?: string; expirationTimestamp?: string } }>({
    method: "POST",
    path,
    body: {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      spec: { audiences: [audience], expirationSeconds, boundObjectRef },
    },
    signal,
    timeoutMs,
  });
  const token = answer?.status?.token;
  const expiresAt = Date.parse(answer?.status?.expirationTimestamp ?? "");
  if (!token || Number.isNaN(expiresAt))
    throw new KubeError(`POST ${path}: the answer has no status.token or no status.expirationTimestamp`, {
      status: 0,
      reason: "MalformedAnswer",
    });
  return { token, expiresAt };
}
