import type { SigningKey } from "../entra/signing-key.ts";
import type { RequestFacts } from "../faults.ts";
import type { Exchange, Service } from "../http/gate.ts";
import type { WireReply, WireRequest } from "../http/wire.ts";
import { parameter } from "../http/wire.ts";
import type { AzureState } from "../state/azure-state.ts";
import type { Machine } from "../state/compute-store.ts";
import { attestedDocument } from "./attested.ts";
import { instanceReply } from "./instance-route.ts";
import { ImdsLimits } from "./limits.ts";
import { namedImdsError } from "./named-errors.ts";
import {
  identityError,
  json,
  metadataError,
  methodNotAllowed,
  missingParameter,
  REQUIRED_HEADER,
  throttled,
  unknownIdentityPath,
  wireServerError,
} from "./replies.ts";
import { ScheduledEvents } from "./scheduled-events.ts";
import { TokenRoute } from "./token-route.ts";
import { EVENT_VERSIONS, IMDS_VERSIONS, NEWEST_VERSIONS } from "./versions.ts";

/** Below `/metadata/`; the first part of the path decides. */
type Route =
  | "token"
  | "info"
  | "unknown-identity"
  | "instance"
  | "versions"
  | "attested"
  | "scheduledevents"
  | "loadbalancer"
  | "unknown";

/** The instance metadata service of one machine. */
export class ImdsService implements Service {
  readonly name = "imds";
  readonly #state: AzureState;
  readonly #machineId: string;
  readonly #key: SigningKey;
  readonly #tokens: TokenRoute;
  readonly #limits: ImdsLimits;
  readonly #events = new ScheduledEvents();

  constructor(o: { state: AzureState; key: SigningKey; machineId: string }) {
    this.#state = o.state;
    this.#machineId = o.machineId;
    this.#key = o.key;
    this.#tokens = new TokenRoute(o);
    this.#limits = new ImdsLimits(o.state);
  }

  describe(request: WireRequest): RequestFacts {
    return {
      service: this.name,
      method: request.method,
      path: request.path,
      operation: route(request.path),
      resource: parameter(request.query, "resource"),
      machine: this.#machineId,
      clientId: parameter(request.query, "client_id"),
    };
  }

  admit(request: WireRequest): WireReply | (() => void) {
    const target = route(request.path);
    const refusal = refuse(request, target);
    if (refusal !== undefined) return refusal;
    return this.#limits.enter(isIdentity(target) ? "identity" : "other") ?? throttled();
  }

  async answer(request: WireRequest, exchange: Exchange): Promise<WireReply> {
    const machine = this.#state.machine(this.#machineId);
    if (machine === undefined) return wireServerError();
    const target = route(request.path);
    switch (target) {
      case "token":
        return this.#tokens.answer(request, machine, exchange);
      case "info":
        return this.#info(request, machine);
      case "versions":
        return json(200, { apiVersions: IMDS_VERSIONS });
      case "instance":
        return withVersion(request, (version) => instanceReply(machine, request, version));
      case "attested":
        return withVersion(request, async () => attestedDocument(this.#state, this.#key, machine, request));
      case "scheduledevents":
        return withVersion(request, () => this.#events.answer(request), [...IMDS_VERSIONS, ...EVENT_VERSIONS]);
      case "loadbalancer":
        return withVersion(request, () =>
          json(200, { loadbalancer: { publicIpAddresses: [], inboundRules: [], outboundRules: [] } }),
        );
      case "unknown-identity":
        return unknownIdentityPath();
      case "unknown":
        return metadataError(404, "Not found");
    }
  }

  namedError(name: string, params: Readonly<Record<string, string>>): WireReply | undefined {
    return namedImdsError(name, params, this.#state);
  }

  /** Scheduled events of this machine, to add to or look at. */
  get events(): ScheduledEvents {
    return this.#events;
  }

  #info(request: WireRequest, machine: Machine): WireReply {
    if (parameter(request.query, "api-version") === undefined) return missingParameter("api-version");
    return json(200, { tenantId: this.#state.tenantOf(machine.resource.subscriptionId) });
  }
}

/** `/metadata` in any case, the rest as it is; repeated and trailing slashes do not count. */
function route(path: string): Route {
  const [root = "", first = "", ...rest] = path.split("/").filter((segment) => segment !== "");
  if (root.toLowerCase() !== "metadata") return "unknown";
  switch (first) {
    case "identity":
      if (rest.join("/") === "oauth2/token") return "token";
      return rest.join("/") === "info" ? "info" : "unknown-identity";
    case "instance":
      return "instance";
    case "versions":
      return rest.length === 0 ? "versions" : "unknown";
    case "attested":
      return rest.join("/") === "document" ? "attested" : "unknown";
    case "scheduledevents":
      return rest.length === 0 ? "scheduledevents" : "unknown";
    case "loadbalancer":
      return rest.length === 0 ? "loadbalancer" : "unknown";
    default:
      return "unknown";
  }
}

function isIdentity(target: Route): boolean {
  return target === "token" || target === "info" || target === "unknown-identity";
}

/**
 * What IMDS refuses before it looks at anything else. Unknown identity paths answer 404 with or without the header:
 * clients of the second generation tell by that which one they talk to.
 */
function refuse(request: WireRequest, target: Route): WireReply | undefined {
  if (target === "unknown-identity") return unknownIdentityPath();
  if (request.method !== "GET" && !(request.method === "POST" && target === "scheduledevents"))
    return methodNotAllowed();
  const error = (message: string): WireReply =>
    isIdentity(target) ? identityError(400, "invalid_request", message) : metadataError(400, `Bad request. ${message}`);
  if (request.headers["x-forwarded-for"] !== undefined) return error("X-Forwarded-For header is not allowed");
  if (String(request.headers["metadata"] ?? "").toLowerCase() !== "true") return error(REQUIRED_HEADER);
  const names = [...request.query.keys()];
  if (new Set(names).size < names.length) return error("Duplicate query parameters are not allowed");
  return undefined;
}

function withVersion(
  request: WireRequest,
  then: (version: string) => WireReply | Promise<WireReply>,
  versions = IMDS_VERSIONS,
): WireReply | Promise<WireReply> {
  const version = parameter(request.query, "api-version");
  if (version !== undefined && versions.includes(version)) return then(version);
  return json(400, {
    error:
      "Bad request. api-version is invalid or was not specified in the request. For more information refer to aka.ms/azureimds",
    "newest-versions": NEWEST_VERSIONS,
  });
}
