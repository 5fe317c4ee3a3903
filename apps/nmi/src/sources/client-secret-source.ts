import type { Refused, SourceOutcome, SourceRequest, TokenSource, Unavailable } from "@podid/imds-proxy";
import { UNLIMITED } from "./entra-exchange.ts";
import type { EntraExchange } from "./entra-exchange.ts";
import { clientSecretOf } from "./identity-secret.ts";
import type { IdentitySecret } from "./identity-secret.ts";

export interface ClientSecretSourceOptions {
  readonly secret: IdentitySecret;
  readonly exchange: EntraExchange;
  /** Tokens of `auxiliaryTenantIDs` too, as an array that no SDK can read; else of the identity's tenant alone. */
  readonly auxiliaryTenants: boolean;
}

/** aad-pod-identity's limit. */
const MOST_TENANTS = 3;

/** Type 1: an application with a client secret. */
export class ClientSecretSource implements TokenSource {
  readonly limiter = UNLIMITED;
  readonly #options: ClientSecretSourceOptions;

  constructor(options: ClientSecretSourceOptions) {
    this.#options = options;
  }

  inputs({ identity }: SourceRequest): string | undefined {
    return this.#options.secret.version(identity);
  }

  async prepare(request: SourceRequest): Promise<Refused | Unavailable | undefined> {
    return this.#options.exchange.problem(request) ?? this.#options.secret.prepare(request);
  }

  async fetch(request: SourceRequest): Promise<SourceOutcome> {
    const { exchange, auxiliaryTenants } = this.#options;
    const problem = exchange.problem(request);
    if (problem !== undefined) return problem;
    const secret = await this.#options.secret.get(request.identity);
    if (secret.kind !== "secret") return secret;
    const value = clientSecretOf(secret);
    if (typeof value !== "string") return value;
    const credential = { kind: "secret", secret: value } as const;
    const further = auxiliaryTenants ? (request.identity.spec.auxiliaryTenantIDs ?? []) : [];
    if (further.length > MOST_TENANTS) {
      const message = `must specify one to three auxiliary tenants; spec.auxiliaryTenantIDs has ${further.length}`;
      return { kind: "refused", reason: "identity-invalid", message };
    }
    const [first, ...others] = await Promise.all(
      [undefined, ...further].map((tenant) => exchange.token(request, () => credential, tenant)),
    );
    if (first === undefined || first.kind !== "token") return first ?? NONE;
    const failed = others.find((other) => other.kind !== "token");
    if (failed !== undefined) return failed;
    const auxiliary = others.flatMap((other) => (other.kind === "token" ? [other.answer] : []));
    if (auxiliary.length === 0) return first;
    // The array lives as long as the shortest of its tokens.
    const expiresInSeconds = Math.min(first.answer.expiresInSeconds, ...auxiliary.map((each) => each.expiresInSeconds));
    return { kind: "token", answer: { ...first.answer, expiresInSeconds, auxiliary } };
  }
}

const NONE: Unavailable = { kind: "unavailable", message: "no tenant was asked" };
