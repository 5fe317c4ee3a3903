import type { Clock, Refused, Unavailable } from "@podid/imds-proxy";
import { KubeError, requestServiceAccountToken } from "@podid/kube";
import type { KubeTransport } from "@podid/kube";
import type { PodRecord } from "@podid/matcher";

/** A token of a pod's ServiceAccount, bound to that pod. A credential: in memory only, never in a log. */
export interface PodToken {
  readonly kind: "pod-token";
  readonly token: string;
  readonly issuer: string;
  readonly subject: string;
  readonly serviceAccountUid: string;
}

export type PodTokenResult = PodToken | Refused | Unavailable;

/** With whose rights tokens of pods are asked for. */
export type TokenRequester = "kubelet" | "service-account";

export interface PodTokensOptions {
  readonly requester: TokenRequester;
  /** Asked when the first token is needed; may throw, and is then asked again for the next. */
  readonly transport: () => KubeTransport;
  /** Why no token may be asked for at all, after looking at what one may do; absent: nothing to look at. */
  readonly forbidden?: () => Promise<Refused | Unavailable | undefined>;
  readonly audience: string;
  readonly clock: Pick<Clock, "monotonicMs">;
}

const LIFE_SECONDS = 3_600;
/** Several resources at once need one token; later ones get a fresh one, for Entra looks at its age. */
const REUSED_FOR_MS = 5 * 60_000;
const TIMEOUT_MS = 5_000;
/** Pods of one node, and those that have just gone. */
const MOST = 1_000;

/** Asks the API server for tokens of this node's pods. */
export class PodTokens {
  readonly #options: PodTokensOptions;
  readonly #accounts = new Map<string, string>();
  readonly #tokens = new Map<string, { readonly result: Promise<PodTokenResult>; readonly atMs: number }>();

  constructor(options: PodTokensOptions) {
    this.#options = options;
  }

  /** UID of the pod's ServiceAccount; undefined until a token of it has been seen. */
  serviceAccountUid(pod: PodRecord): string | undefined {
    return this.#accounts.get(pod.uid);
  }

  get(pod: PodRecord): Promise<PodTokenResult> {
    const now = this.#options.clock.monotonicMs();
    const known = this.#tokens.get(pod.uid);
    if (known !== undefined && now - known.atMs < REUSED_FOR_MS) return known.result;
    const result = this.#request(pod).then(
      (outcome) => {
        if (outcome.kind === "pod-token") this.#accounts.set(pod.uid, outcome.serviceAccountUid);
        else this.#tokens.delete(pod.uid);
        return outcome;
      },
      (error: unknown) => {
        this.#tokens.delete(pod.uid);
        throw error;
      },
    );
    this.#tokens.set(pod.uid, { result, atMs: now });
    for (const map of [this.#tokens, this.#accounts]) if (map.size > MOST) map.delete(map.keys().next().value ?? "");
    return result;
  }

  forget(podUid: string): void {
    this.#tokens.delete(podUid);
    this.#accounts.delete(podUid);
  }

  async #request(pod: PodRecord): Promise<PodTokenResult> {
    const { audience, transport, forbidden } = this.#options;
    const problem = await forbidden?.();
    if (problem !== undefined) return problem;
    let connection: KubeTransport;
    try {
      connection = transport();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return { kind: "unavailable", message: `NMI has no credentials to ask for tokens of pods: ${why}` };
    }
    try {
      const { token } = await requestServiceAccountToken(connection, {
        namespace: pod.namespace,
        serviceAccount: pod.serviceAccountName,
        audience,
        expirationSeconds: LIFE_SECONDS,
        boundPod: { name: pod.name, uid: pod.uid },
        timeoutMs: TIMEOUT_MS,
      });
      return podToken(token);
    } catch (error) {
      if (error instanceof KubeError) return this.#failure(error, pod);
      throw error;
    }
  }

  #failure(error: KubeError, pod: PodRecord): Refused | Unavailable {
    const who = `ServiceAccount ${pod.namespace}/${pod.serviceAccountName}`;
    const { requester, audience } = this.#options;
    if (error.status === 403 || error.status === 401) {
      const fix =
        requester === "kubelet"
          ? `the group system:nodes needs the verb request-serviceaccounts-token-audience on ${audience} (Kubernetes 1.33 and later; the chart grants it)`
          : `NMI's ServiceAccount needs a Role in namespace ${pod.namespace} with the verb create on serviceaccounts/token; with the chart: nmi.tokenRequests.namespaces`;
      const message = `the API server refuses NMI a token of ${who} for pod ${pod.name}: ${fix}. It said: ${error.message}`;
      return { kind: "refused", reason: "token-request-forbidden", message };
    }
    return { kind: "unavailable", message: `no token of ${who} for pod ${pod.name}: ${error.message}` };
  }
}

/** @throws {Error} for what no API server answers */
function podToken(token: string): PodTokenResult {
  const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8")) as {
    readonly iss?: string;
    readonly sub?: string;
    readonly "kubernetes.io"?: { readonly serviceaccount?: { readonly uid?: string } };
  };
  return {
    kind: "pod-token",
    token,
    issuer: claims.iss ?? "",
    subject: claims.sub ?? "",
    serviceAccountUid: claims["kubernetes.io"]?.serviceaccount?.uid ?? "",
  };
}
