import type { Refused, Unavailable } from "@podid/imds-proxy";
import { KubeError } from "@podid/kube";
import type { KubeTransport } from "@podid/kube";

const PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
const TIMEOUT_MS = 5_000;

/** What to do about a right that is too wide. */
export const TOO_WIDE =
  "NMI's ServiceAccount may create tokens of every ServiceAccount of the cluster, which is as good as being its administrator: " +
  "take the right to serviceaccounts/token out of its ClusterRole and give it by Roles in the namespaces that need it, " +
  "or start NMI with --allow-cluster-wide-token-requests";

/**
 * Whether NMI's own ServiceAccount may create tokens of every ServiceAccount. An API server that cannot be asked is asked
 * again before each token, and until it has answered there is none.
 */
export class TokenGrant {
  readonly #transport: KubeTransport;
  #checked: boolean | undefined;

  constructor(transport: KubeTransport) {
    this.#transport = transport;
  }

  /** @throws KubeError when the API server does not say */
  async isClusterWide(): Promise<boolean> {
    // A right that was narrow at the start and is widened later is noticed at the next start.
    if (this.#checked !== undefined) return this.#checked;
    const answer = await this.#transport.request<{ status?: { allowed?: boolean } }>({
      method: "POST",
      path: PATH,
      body: {
        apiVersion: "authorization.k8s.io/v1",
        kind: "SelfSubjectAccessReview",
        // Without a namespace: in all of them.
        spec: { resourceAttributes: { verb: "create", resource: "serviceaccounts", subresource: "token" } },
      },
      timeoutMs: TIMEOUT_MS,
    });
    this.#checked = answer?.status?.allowed === true;
    return this.#checked;
  }

  async forbidden(): Promise<Refused | Unavailable | undefined> {
    try {
      if (!(await this.isClusterWide())) return undefined;
      return { kind: "refused", reason: "token-request-forbidden", message: TOO_WIDE };
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      const message = `NMI cannot find out how far its right to create tokens reaches: ${error.message}`;
      return { kind: "unavailable", message };
    }
  }
}
