import { randomUUID } from "node:crypto";
import type { EntraAnswer } from "./entra-answer.ts";
import { readAnswer } from "./entra-answer.ts";
import { HttpsPoster, PostError } from "./https-post.ts";
import type { PosterOptions } from "./https-post.ts";

/** How an application proves who it is. */
export type ClientCredential =
  | { readonly kind: "secret"; readonly secret: string }
  /** A JWT: signed by the application's certificate, or a federated issuer's. */
  | { readonly kind: "assertion"; readonly assertion: string };

/** 1: `resource`, as ADAL and AD FS; 2: `scope`, as MSAL. Both give the same token for a resource of Azure's own. */
export type EndpointVersion = 1 | 2;

export interface TokenEndpoint {
  /** Origin with a slash at the end. */
  readonly authority: string;
  /** Id or domain; must not come unchecked into a URL, see {@link isTenant}. */
  readonly tenant: string;
  readonly version: EndpointVersion;
}

export interface EntraRequest {
  readonly endpoint: TokenEndpoint;
  readonly clientId: string;
  readonly credential: ClientCredential;
  /** Exactly as the token's `aud` shall be: with and without a trailing slash are two resources. */
  readonly resource: string;
  /** Values of `xms_cc`, as `cp1`. */
  readonly capabilities?: readonly string[];
}

export interface EntraClientOptions extends PosterOptions {
  readonly userAgent?: string;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** Client credentials at Entra's token endpoint: one request, no cache, no retry, no discovery. */
export class EntraClient {
  readonly #poster: HttpsPoster;
  readonly #userAgent: string;
  readonly #now: () => number;

  constructor(options: EntraClientOptions = {}) {
    this.#poster = new HttpsPoster(options);
    this.#userAgent = options.userAgent ?? "podid";
    this.#now = options.now ?? Date.now;
  }

  async token(request: EntraRequest): Promise<EntraAnswer> {
    const { endpoint } = request;
    const requestId = randomUUID();
    const headers = { accept: "application/json", "user-agent": this.#userAgent, "client-request-id": requestId };
    const query = endpoint.version === 1 ? "?api-version=1.0" : "";
    try {
      const answer = await this.#poster.post(tokenUrl(endpoint) + query, headers, form(request));
      return readAnswer(answer, { nowMs: this.#now(), requestId });
    } catch (error) {
      if (error instanceof PostError) return { kind: "unavailable", message: error.message, correlationId: requestId };
      throw error;
    }
  }

  close(): void {
    this.#poster.close();
  }
}

/** The URL of a token endpoint; also the audience of assertions that a certificate signs. @throws {RangeError} for no tenant */
export function tokenUrl({ authority, tenant, version }: TokenEndpoint): string {
  if (!isTenant(tenant)) throw new RangeError(`${JSON.stringify(tenant)} is no tenant`);
  return `${authority}${tenant}/oauth2/${version === 1 ? "token" : "v2.0/token"}`;
}

/** Whether a text is the id or a domain of a tenant, and nothing that could lead elsewhere on the authority's host. */
export function isTenant(text: string): boolean {
  return /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?)*$/i.test(text);
}

/** `.default` means: what the application was granted. A resource that ends in a slash gives two, and has to. */
export function scopeOf(resource: string): string {
  return `${resource}/.default`;
}

const JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

function form({ endpoint, clientId, credential, resource, capabilities = [] }: EntraRequest): URLSearchParams {
  return new URLSearchParams({
    grant_type: "client_credentials",
    client_id: clientId,
    ...(endpoint.version === 1 ? { resource } : { scope: scopeOf(resource) }),
    ...(credential.kind === "secret"
      ? { client_secret: credential.secret }
      : { client_assertion_type: JWT_BEARER, client_assertion: credential.assertion }),
    ...(capabilities.length > 0 && {
      claims: JSON.stringify({ access_token: { xms_cc: { values: capabilities } } }),
    }),
  });
}
