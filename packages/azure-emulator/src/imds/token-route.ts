import type { AccessToken } from "../entra/access-token.ts";
import { issueAccessToken } from "../entra/access-token.ts";
import { unknownResourceDescription } from "../entra/errors.ts";
import type { SigningKey } from "../entra/signing-key.ts";
import type { Exchange } from "../http/gate.ts";
import type { WireReply, WireRequest } from "../http/wire.ts";
import { parameter } from "../http/wire.ts";
import type { AzureState } from "../state/azure-state.ts";
import type { Machine } from "../state/compute-store.ts";
import { chooseIdentity } from "./identity-choice.ts";
import { ambiguousIdentity, identityError, identityNotFound, json, missingParameter } from "./replies.ts";
import { FIRST_IDENTITY_VERSION, IMDS_VERSIONS } from "./versions.ts";

/** IMDS asks for another token when the one it holds has less than this left. */
const REFRESH_BEFORE_S = 300;

/** `GET /metadata/identity/oauth2/token` of one machine, with IMDS's own memory of tokens. */
export class TokenRoute {
  readonly #state: AzureState;
  readonly #key: SigningKey;
  readonly #tokens = new Map<string, Promise<AccessToken>>();

  constructor(o: { state: AzureState; key: SigningKey }) {
    this.#state = o.state;
    this.#key = o.key;
  }

  async answer(request: WireRequest, machine: Machine, exchange: Exchange): Promise<WireReply> {
    const { query } = request;
    const version = parameter(query, "api-version");
    if (version === undefined) return missingParameter("api-version");
    if (!IMDS_VERSIONS.includes(version) || version < FIRST_IDENTITY_VERSION)
      return identityError(400, "invalid_request", "Invalid 'api-version' requested");
    const resource = parameter(query, "resource");
    if (resource === undefined) return missingParameter("resource");

    const clientId = parameter(query, "client_id");
    const objectId = parameter(query, "object_id");
    const resourceIds = ["msi_res_id", "mi_res_id"].flatMap((name) => parameter(query, name) ?? []);
    if ([clientId, objectId, ...resourceIds].filter((id) => id !== undefined).length > 1)
      return identityError(
        400,
        "invalid_request",
        "The query variables 'client_id', 'object_id' and 'msi_res_id' are mutually exclusive",
      );

    const choice = chooseIdentity(this.#state, machine.resource, { clientId, objectId, resourceId: resourceIds[0] });
    if (choice.kind === "not-found") return identityNotFound();
    if (choice.kind === "ambiguous") return ambiguousIdentity();
    const { principal } = choice;
    exchange.caller = principal.clientId;
    if (!this.#state.directory.knowsResource(resource))
      return identityError(
        400,
        "invalid_resource",
        unknownResourceDescription(this.#state, {
          resource,
          tenantId: principal.tenantId,
          now: this.#state.clock.now(),
        }),
      );

    const bypass = parameter(query, "bypass_cache") === "true";
    const token = await this.#token(`${principal.objectId} ${resource}`, bypass, () =>
      issueAccessToken({
        key: this.#key,
        principal,
        resource,
        proof: "assertion",
        lifetimeS: this.#state.settings.tokenSeconds.managedIdentity,
        now: this.#state.clock.now(),
        host: machine.id,
      }),
    );
    return json(200, this.#body(token, principal.clientId, resource));
  }

  async #token(key: string, bypass: boolean, issue: () => Promise<AccessToken>): Promise<AccessToken> {
    const held = bypass ? undefined : await this.#tokens.get(key);
    if (held !== undefined && held.expiresOn - this.#state.clock.now() / 1000 > REFRESH_BEFORE_S) return held;
    const issued = issue();
    this.#tokens.set(key, issued);
    return issued;
  }

  /** Every value is a string, in the order of the wire. */
  #body(token: AccessToken, clientId: string, resource: string): Readonly<Record<string, string>> {
    // Entra and IMDS count the second that has begun: a fresh day is 86399.
    const expiresIn = Math.max(0, token.expiresOn - Math.floor(this.#state.clock.now() / 1000) - 1);
    return {
      access_token: token.text,
      client_id: clientId,
      expires_in: String(expiresIn),
      expires_on: String(token.expiresOn),
      ext_expires_in: String(this.#state.settings.tokenSeconds.managedIdentity - 1),
      not_before: String(token.notBefore),
      resource,
      token_type: "Bearer",
    };
  }
}
