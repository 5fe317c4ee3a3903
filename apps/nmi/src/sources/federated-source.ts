import type { Refused, SourceOutcome, SourceRequest, TokenSource, Unavailable } from "@podid/imds-proxy";
import type { Logger } from "@podid/service";
import { UNLIMITED } from "./entra-exchange.ts";
import type { EntraExchange } from "./entra-exchange.ts";
import { nameOf } from "./identity-secret.ts";
import type { IssuerCheck } from "./issuer-check.ts";
import type { PodToken, PodTokens } from "./pod-tokens.ts";

export interface FederatedSourceOptions {
  readonly tokens: PodTokens;
  readonly exchange: EntraExchange;
  readonly issuers: Pick<IssuerCheck, "problem">;
  readonly audience: string;
  readonly log: Logger;
}

/**
 * Entra's numbers for "no federated credential matches": what it also says for some minutes after one has been created
 * (https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations).
 */
const NO_CREDENTIAL: ReadonlySet<number> = new Set([70021, 70025, 700211, 700212, 700213, 7002138]);

/**
 * Type 3: an application or managed identity that trusts the pod's ServiceAccount. The subject is the ServiceAccount, so
 * pods of one share tokens; the binding only selects.
 */
export class FederatedSource implements TokenSource {
  readonly limiter = UNLIMITED;
  readonly #options: FederatedSourceOptions;
  readonly #warned = new Set<string>();

  constructor(options: FederatedSourceOptions) {
    this.#options = options;
  }

  inputs({ pod }: SourceRequest): string | undefined {
    const uid = this.#options.tokens.serviceAccountUid(pod);
    return uid === undefined ? undefined : `${pod.namespace}/${pod.serviceAccountName}/${uid}`;
  }

  async prepare(request: SourceRequest): Promise<Refused | Unavailable | undefined> {
    const problem = this.#options.exchange.problem(request);
    if (problem !== undefined) return problem;
    const token = await this.#options.tokens.get(request.pod);
    return token.kind === "pod-token" ? undefined : token;
  }

  async fetch(request: SourceRequest): Promise<SourceOutcome> {
    const { exchange, tokens, issuers } = this.#options;
    const problem = exchange.problem(request);
    if (problem !== undefined) return problem;
    this.#warnOfDefault(request);
    const token = await tokens.get(request.pod);
    if (token.kind !== "pod-token") return token;
    const found = issuers.problem(token.issuer);
    const { answer, outcome } = await exchange.ask(request, () => ({ kind: "assertion", assertion: token.token }));
    if (outcome !== undefined)
      return outcome.kind === "unavailable" && found !== undefined
        ? { ...outcome, message: `${outcome.message}; ${found}` }
        : outcome;
    if (answer.kind === "token") return { kind: "token", answer: answer.answer };
    const said = `${nameOf(request.identity)}: ${answer.message}`;
    const { correlationId } = answer;
    if (answer.code === undefined || !NO_CREDENTIAL.has(answer.code)) {
      const message = found === undefined ? said : `${said}; ${found}`;
      return { kind: "refused", reason: "entra-refused", message, correlationId };
    }
    return {
      kind: "not-yet",
      correlationId,
      reason: "federated-credential-missing",
      message: `${this.#advice(request, token)}. ${said}`,
    };
  }

  forgetPod(podUid: string): void {
    this.#options.tokens.forget(podUid);
  }

  #advice({ identity }: SourceRequest, { issuer, subject }: PodToken): string {
    const { clientID, tenantID } = identity.spec;
    return (
      `no federated credential of client ${clientID} in tenant ${tenantID} matches: create one with ` +
      `issuer ${JSON.stringify(issuer)}, subject ${JSON.stringify(subject)}, audience ${JSON.stringify(this.#options.audience)} ` +
      "(every letter counts); a new one takes some minutes"
    );
  }

  #warnOfDefault({ identity, pod }: SourceRequest): void {
    const key = `${nameOf(identity)} ${pod.namespace}`;
    if (pod.serviceAccountName !== "default" || this.#warned.has(key)) return;
    if (this.#warned.size < 1_000) this.#warned.add(key);
    this.#options.log.warn(
      { identity: nameOf(identity), namespace: pod.namespace },
      "the ServiceAccount default is federated: every pod of the namespace that names no other can be this identity",
    );
  }
}
