import { textOf } from "../json.ts";
import type { Exchange } from "../http/gate.ts";
import type { WireReply, WireRequest } from "../http/wire.ts";
import { parameter } from "../http/wire.ts";
import type { AzureState } from "../state/azure-state.ts";
import type { App, FederatedCredential, Principal } from "../state/directory.ts";
import type { ClientProof } from "./access-token.ts";
import { issueAccessToken } from "./access-token.ts";
import { checkCertificateAssertion } from "./certificate-assertion.ts";
import { isLoginHost } from "./discovery.ts";
import type { EntraError } from "./errors.ts";
import {
  appNotFound,
  credentialRequired,
  expiredSecret,
  invalidScope,
  invalidSecret,
  malformedAssertion,
  missingParameter,
  noTenant,
  resourceNotFound,
  tenantNotFound,
  unsupportedGrant,
} from "./errors.ts";
import type { FetchJson } from "./federated-assertion.ts";
import { checkFederatedAssertion } from "./federated-assertion.ts";
import { decodeJwt } from "./jwt.ts";
import { entraJson } from "./replies.ts";
import type { SigningKey } from "./signing-key.ts";

const SCOPE_SUFFIX = "/.default";
const JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/** Whoever a client id stands for: an app, or a user-assigned identity that signs in by federation. */
interface Client {
  readonly principal: Principal;
  readonly app: App | undefined;
  readonly federatedCredentials: readonly FederatedCredential[];
}

/** `POST /{tenant}/oauth2/token` and `/{tenant}/oauth2/v2.0/token` for client credentials. */
export class TokenEndpoint {
  readonly #state: AzureState;
  readonly #key: SigningKey;
  readonly #fetchJson: FetchJson;

  constructor(o: { state: AzureState; key: SigningKey; fetchJson: FetchJson }) {
    this.#state = o.state;
    this.#key = o.key;
    this.#fetchJson = o.fetchJson;
  }

  async answer(
    request: WireRequest,
    o: { tenant: string; version: 1 | 2; exchange: Exchange },
  ): Promise<WireReply | EntraError> {
    const form = new URLSearchParams(request.body);
    const basic = basicCredentials(request.headers.authorization);
    const grant = parameter(form, "grant_type");
    if (grant === undefined) return missingParameter("grant_type");
    const clientId = parameter(form, "client_id") ?? basic?.clientId;
    if (clientId === undefined) return missingParameter("client_id");
    if (["common", "organizations", "consumers"].includes(o.tenant.toLowerCase())) return noTenant();
    const tenant = this.#state.directory.tenant(o.tenant);
    if (tenant === undefined) return tenantNotFound(o.tenant);
    if (grant !== "client_credentials") return unsupportedGrant(grant);
    const resource = requestedResource(form, o.version);
    if (typeof resource === "object") return resource;
    const client = this.#client(clientId);
    if (client === undefined || client.principal.tenantId.toLowerCase() !== tenant.id.toLowerCase())
      return appNotFound(clientId, tenant.displayName);
    o.exchange.caller = client.principal.clientId;

    const proof = await this.#prove(request, form, client, basic?.secret ?? parameter(form, "client_secret"));
    if (typeof proof === "object") return proof;
    if (!this.#state.directory.knowsResource(resource)) return resourceNotFound(resource, tenant.displayName);
    return this.#issue(client.principal, resource, proof, o.version);
  }

  #client(clientId: string): Client | undefined {
    const app = this.#state.directory.app(clientId);
    if (app !== undefined)
      return { principal: app.principal, app, federatedCredentials: [...app.federatedCredentials.values()] };
    const identity = this.#state.identities.byClientId(clientId);
    return (
      identity && {
        principal: identity.principal,
        app: undefined,
        federatedCredentials: [...identity.federatedCredentials.values()],
      }
    );
  }

  async #prove(
    request: WireRequest,
    form: URLSearchParams,
    client: Client,
    secret: string | undefined,
  ): Promise<ClientProof | EntraError> {
    const { clientId, displayName } = client.principal;
    const assertion = parameter(form, "client_assertion");
    if (assertion !== undefined) {
      const jwt = parameter(form, "client_assertion_type") === JWT_BEARER ? decodeJwt(assertion) : undefined;
      if (jwt === undefined) return malformedAssertion();
      const ownAssertion = textOf(jwt.claims["iss"]).toLowerCase() === clientId.toLowerCase();
      const error =
        ownAssertion && client.app !== undefined
          ? await checkCertificateAssertion({
              jwt,
              app: client.app,
              clientId,
              isAudience: (audience) => this.#isOwnEndpoint(audience, request, client.principal.tenantId),
              now: this.#state.clock.now(),
            })
          : await checkFederatedAssertion({
              jwt,
              clientId,
              displayName,
              credentials: client.federatedCredentials,
              state: this.#state,
              fetchJson: this.#fetchJson,
            });
      return error ?? "assertion";
    }
    if (secret === undefined) return credentialRequired();
    const found = client.app?.secrets.find((candidate) => candidate.value === secret);
    if (found === undefined) return invalidSecret(clientId);
    const expired = found.expiresAt !== undefined && found.expiresAt <= this.#state.clock.now();
    return expired ? expiredSecret(clientId) : "secret";
  }

  /** The token endpoints and the issuer of the tenant, on any of Entra's hosts or the one that was asked. */
  #isOwnEndpoint(audience: string, request: WireRequest, tenantId: string): boolean {
    let url: URL;
    try {
      url = new URL(audience);
    } catch {
      return false;
    }
    if (url.protocol !== "https:" || (url.host !== request.host && !isLoginHost(url.host))) return false;
    const [tenant = "", ...rest] = url.pathname.split("/").slice(1);
    if (this.#state.directory.tenant(tenant)?.id.toLowerCase() !== tenantId.toLowerCase()) return false;
    return ["oauth2/token", "oauth2/v2.0/token", "v2.0", ""].includes(rest.join("/"));
  }

  async #issue(principal: Principal, resource: string, proof: ClientProof, version: 1 | 2): Promise<WireReply> {
    const lifetimeS = this.#state.settings.tokenSeconds.app;
    const token = await issueAccessToken({
      key: this.#key,
      principal,
      resource,
      proof,
      lifetimeS,
      now: this.#state.clock.now(),
    });
    const expiresIn = lifetimeS - 1;
    // Version 1 writes texts, version 2 numbers.
    return version === 2
      ? entraJson(200, {
          token_type: "Bearer",
          expires_in: expiresIn,
          ext_expires_in: expiresIn,
          access_token: token.text,
        })
      : entraJson(200, {
          token_type: "Bearer",
          expires_in: String(expiresIn),
          ext_expires_in: String(expiresIn),
          expires_on: String(token.expiresOn),
          not_before: String(token.notBefore),
          resource,
          access_token: token.text,
        });
  }
}

function requestedResource(form: URLSearchParams, version: 1 | 2): string | EntraError {
  const name = version === 2 ? "scope" : "resource";
  const value = parameter(form, name);
  if (value === undefined) return missingParameter(name);
  if (version === 1) return value;
  const scopes = value.split(" ").filter((scope) => !["", "openid", "profile", "offline_access"].includes(scope));
  const [scope] = scopes;
  if (scope === undefined || scopes.length > 1 || !scope.endsWith(SCOPE_SUFFIX)) return invalidScope(value);
  return scope.slice(0, -SCOPE_SUFFIX.length);
}

/** RFC 6749 §2.3.1: both halves are form-encoded. */
function basicCredentials(header: string | undefined): { clientId: string; secret: string } | undefined {
  const [, encoded] = /^basic (.+)$/i.exec(header ?? "") ?? [];
  if (encoded === undefined) return undefined;
  const [clientId = "", ...secret] = Buffer.from(encoded, "base64").toString().split(":");
  return { clientId: decode(clientId), secret: decode(secret.join(":")) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}
