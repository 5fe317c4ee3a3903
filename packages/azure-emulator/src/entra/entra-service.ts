import type { RequestFacts } from "../faults.ts";
import type { Exchange, Service } from "../http/gate.ts";
import type { WireReply, WireRequest } from "../http/wire.ts";
import { parameter } from "../http/wire.ts";
import type { AzureState } from "../state/azure-state.ts";
import { instanceDiscovery, openIdConfiguration } from "./discovery.ts";
import type { EntraError } from "./errors.ts";
import { entraErrorByCode, entraErrorReply, tenantNotFound } from "./errors.ts";
import type { FetchJson } from "./federated-assertion.ts";
import { entraJson, entraThrottled } from "./replies.ts";
import type { SigningKey } from "./signing-key.ts";
import { TokenEndpoint } from "./token-endpoint.ts";

type Route =
  | { readonly operation: "token"; readonly tenant: string; readonly version: 1 | 2 }
  | { readonly operation: "discovery"; readonly tenant: string; readonly version: 1 | 2 }
  | { readonly operation: "keys"; readonly tenant: string }
  | { readonly operation: "instance-discovery" }
  | { readonly operation: "unknown" };

/** login.microsoftonline.com and its sisters. */
export class EntraService implements Service {
  readonly name = "entra";
  readonly #state: AzureState;
  readonly #key: SigningKey;
  readonly #tokens: TokenEndpoint;

  constructor(o: { state: AzureState; key: SigningKey; fetchJson: FetchJson }) {
    this.#state = o.state;
    this.#key = o.key;
    this.#tokens = new TokenEndpoint(o);
  }

  describe(request: WireRequest): RequestFacts {
    const form = new URLSearchParams(request.body);
    return {
      service: this.name,
      method: request.method,
      path: request.path,
      operation: route(request).operation,
      resource: parameter(form, "resource") ?? parameter(form, "scope")?.replace(/\/\.default$/, ""),
      clientId: parameter(form, "client_id"),
    };
  }

  async answer(request: WireRequest, exchange: Exchange): Promise<WireReply> {
    const target = route(request);
    switch (target.operation) {
      case "token": {
        const outcome = await this.#tokens.answer(request, { ...target, exchange });
        return "headers" in outcome ? outcome : this.#error(outcome, request);
      }
      case "discovery": {
        const tenant = this.#state.directory.tenant(target.tenant);
        const shared = ["common", "organizations"].includes(target.tenant.toLowerCase());
        if (tenant === undefined && !shared) return this.#error(tenantNotFound(target.tenant), request);
        const configuration = openIdConfiguration({
          host: request.host,
          tenant: tenant?.id ?? "{tenantid}",
          version: target.version,
        });
        return entraJson(200, configuration, "max-age=86400, private");
      }
      case "keys":
        return entraJson(
          200,
          { keys: [await this.#key.jwk(`https://${request.host}/${target.tenant}/v2.0`)] },
          "max-age=86400, private",
        );
      case "instance-discovery":
        return this.#instance(request);
      case "unknown":
        return { status: 404, headers: [["Content-Type", "text/html; charset=utf-8"]], body: "" };
    }
  }

  /** `throttled`, or an error by its number: `7000215` or `AADSTS7000215`. */
  namedError(name: string, params: Readonly<Record<string, string>>, request: WireRequest): WireReply | undefined {
    if (name === "throttled") return entraThrottled(Number(params["retry_after"] ?? 60));
    const form = new URLSearchParams(request.body);
    const fromRequest = {
      client_id: parameter(form, "client_id") ?? "",
      resource: parameter(form, "resource") ?? parameter(form, "scope")?.replace(/\/\.default$/, "") ?? "",
      scope: parameter(form, "scope") ?? "",
      tenant: request.path.split("/")[1] ?? "",
    };
    const error = entraErrorByCode(
      Number(name.replace(/^AADSTS/i, "")),
      { ...fromRequest, ...params },
      this.#state.clock.now(),
    );
    return error && this.#error(error, request);
  }

  #error(error: EntraError, request: WireRequest): WireReply {
    const correlationId = request.headers["client-request-id"] ?? parameter(request.query, "client-request-id");
    return entraErrorReply(error, {
      now: this.#state.clock.now(),
      authority: `https://${request.host}`,
      ...(typeof correlationId === "string" ? { correlationId } : {}),
    });
  }

  #instance(request: WireRequest): WireReply {
    const found = instanceDiscovery({
      host: request.host,
      authorizationEndpoint: parameter(request.query, "authorization_endpoint") ?? "",
      version: parameter(request.query, "api-version") ?? "1.1",
    });
    if (found !== undefined) return entraJson(200, found, "max-age=86400, private");
    return this.#error(
      { code: 50049, status: 400, error: "invalid_instance", text: "Unknown or invalid instance." },
      request,
    );
  }
}

function route(request: WireRequest): Route {
  const [tenant = "", ...segments] = request.path.split("/").filter((segment) => segment !== "");
  const rest = segments.join("/").toLowerCase();
  switch (`${request.method} ${rest}`) {
    case "POST oauth2/token":
      return { operation: "token", tenant, version: 1 };
    case "POST oauth2/v2.0/token":
      return { operation: "token", tenant, version: 2 };
    case "GET .well-known/openid-configuration":
      return { operation: "discovery", tenant, version: 1 };
    case "GET v2.0/.well-known/openid-configuration":
      return { operation: "discovery", tenant, version: 2 };
    case "GET discovery/keys":
    case "GET discovery/v2.0/keys":
      return { operation: "keys", tenant };
    case "GET discovery/instance":
      return { operation: "instance-discovery" };
    default:
      return { operation: "unknown" };
  }
}
