import { isTenant } from "@podid/entra-tokens";
import type {
  AuthorityList,
  ClientCredential,
  EndpointVersion,
  EntraAnswer,
  EntraRequest,
  TokenEndpoint,
} from "@podid/entra-tokens";
import { parseTokenAnswer } from "@podid/imds-proxy";
import type { Clock, Limiter, Refused, SourceOutcome, SourceRequest, TokenAnswer } from "@podid/imds-proxy";
import { invalid, nameOf } from "./identity-secret.ts";
import type { TenantGate } from "./tenant-gate.ts";

export interface EntraExchangeOptions {
  readonly client: { token(request: EntraRequest): Promise<EntraAnswer> };
  readonly authorities: AuthorityList;
  readonly version: EndpointVersion;
  readonly gate: TenantGate;
  readonly clock: Pick<Clock, "wallMs">;
}

/** Makes the credential for one tenant's endpoint; a certificate signs for that endpoint alone. */
export type MakeCredential = (endpoint: TokenEndpoint) => ClientCredential;

/** Sources that ask Entra have their turns in the tenant's gate, not among IMDS's few. */
export const UNLIMITED: Limiter = { run: (_key, task) => task() };

/** The way from an AzureIdentity of an application to the answer that a pod gets, in IMDS's form. */
export class EntraExchange {
  readonly #options: EntraExchangeOptions;

  constructor(options: EntraExchangeOptions) {
    this.#options = options;
  }

  /** @returns why nothing may be sent to Entra for it, before any credential is touched */
  problem({ identity }: SourceRequest): Refused | undefined {
    const { clientID, tenantID, adEndpoint, auxiliaryTenantIDs } = identity.spec;
    if (!clientID) return invalid(identity, "spec.clientID is missing: it is the application's client id");
    for (const [field, tenant] of [
      ["spec.tenantID", tenantID ?? ""],
      ...(auxiliaryTenantIDs ?? []).map((tenant, index) => [`spec.auxiliaryTenantIDs[${index}]`, tenant] as const),
    ] as const) {
      if (!isTenant(tenant))
        return invalid(identity, `${field} is ${JSON.stringify(tenant)}; give the id or a domain of the tenant`);
    }
    const choice = this.#options.authorities.choose(adEndpoint);
    if (choice.ok) return undefined;
    const message = `${nameOf(identity)}: spec.adEndpoint ${choice.message}; credentials are sent only to Microsoft's, the cloud's own and those of --allowed-authorities`;
    return { kind: "refused", reason: "authority-not-allowed", message };
  }

  /** Call only after {@link problem} found none. */
  async token(request: SourceRequest, makeCredential: MakeCredential, tenant?: string): Promise<SourceOutcome> {
    const { answer, outcome } = await this.ask(request, makeCredential, tenant);
    if (outcome !== undefined) return outcome;
    if (answer.kind === "token") return { kind: "token", answer: answer.answer };
    const message = `${nameOf(request.identity)}: ${answer.message}`;
    return { kind: "refused", reason: "entra-refused", message, correlationId: answer.correlationId };
  }

  /** As {@link token}, with Entra's refusals as they are, for callers that know more about some of them. */
  async ask(
    request: SourceRequest,
    makeCredential: MakeCredential,
    tenant: string = request.identity.spec.tenantID ?? "",
  ): Promise<
    | { readonly answer: Extract<EntraAnswer, { kind: "refused" }> | Converted; readonly outcome?: undefined }
    | { readonly answer?: undefined; readonly outcome: SourceOutcome }
  > {
    const { authorities, version, gate, client, clock } = this.#options;
    const { identity, resource, capabilities } = request;
    const choice = authorities.choose(identity.spec.adEndpoint);
    if (!choice.ok) return { outcome: { kind: "refused", reason: "authority-not-allowed", message: choice.message } };
    const clientId = identity.spec.clientID?.trim() ?? "";
    const endpoint = { authority: choice.authority, tenant, version };
    const answer = await gate.run(endpoint, clientId, request.pod.uid, () =>
      client.token({
        endpoint,
        clientId,
        credential: makeCredential(endpoint),
        resource,
        ...(capabilities !== undefined && { capabilities: capabilities.split(",") }),
      }),
    );
    switch (answer.kind) {
      case "token":
        return { answer: converted(answer, { clientId, resource, nowMs: clock.wallMs() }) };
      case "refused":
        return { answer };
      case "throttled": {
        const { message, retryAfterMs, correlationId } = answer;
        return { outcome: { kind: "unavailable", message, retryAfterMs, correlationId } };
      }
      case "unavailable":
        return { outcome: { kind: "unavailable", message: answer.message, correlationId: answer.correlationId } };
    }
  }
}

interface Converted {
  readonly kind: "token";
  readonly answer: TokenAnswer;
  readonly message?: undefined;
}

/** Entra's answer with the fields of IMDS's in their order, which every SDK can read. */
function converted(
  token: Extract<EntraAnswer, { kind: "token" }>,
  o: { readonly clientId: string; readonly resource: string; readonly nowMs: number },
): Converted {
  const now = Math.floor(o.nowMs / 1000);
  const { accessToken, expiresIn, extExpiresIn = expiresIn, expiresOn = now + expiresIn } = token;
  const parsed = parseTokenAnswer(
    JSON.stringify({
      access_token: accessToken,
      client_id: o.clientId,
      expires_in: String(expiresIn),
      expires_on: String(expiresOn),
      ext_expires_in: String(extExpiresIn),
      not_before: String(token.notBefore ?? notBefore(accessToken) ?? now),
      resource: o.resource,
      token_type: token.tokenType,
    }),
    now,
  );
  if (!parsed.ok) throw new Error(`a token of our own making cannot be read: ${parsed.why}`);
  return { kind: "token", answer: { ...parsed.answer, correlationId: token.correlationId } };
}

function notBefore(token: string): number | undefined {
  try {
    const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8")) as {
      nbf?: unknown;
    };
    return typeof claims.nbf === "number" ? claims.nbf : undefined;
  } catch {
    return undefined;
  }
}
