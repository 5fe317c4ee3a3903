import type { SigningKey } from "../entra/signing-key.ts";
import type { RequestFacts } from "../faults.ts";
import type { Exchange, Service } from "../http/gate.ts";
import type { WireReply, WireRequest } from "../http/wire.ts";
import { parameter } from "../http/wire.ts";
import type { AzureState } from "../state/azure-state.ts";
import type { AuthenticatedCaller } from "./authentication.ts";
import { authenticate } from "./authentication.ts";
import { endpoints } from "./cloud-endpoints.ts";
import { computeRoutes } from "./compute-routes.ts";
import type { ArmContext, ArmOutcome, ArmRoute } from "./context.ts";
import type { ArmError } from "./errors.ts";
import {
  apiVersionInvalid,
  apiVersionMissing,
  apiVersionUnsupported,
  authorizationFailed,
  invalidSubscription,
  resourceGroupNotFound,
  subscriptionNotFound,
  subscriptionThrottled,
  unknownType,
  wrongTenant,
} from "./errors.ts";
import { identityRoutes } from "./identity-routes.ts";
import { identityIdsOf, kindOf, namedArmError } from "./named-errors.ts";
import { operationRoutes } from "./operation-routes.ts";
import { armReply, errorReply, withArmHeaders } from "./replies.ts";
import { roleRoutes } from "./role-routes.ts";
import { subscriptionRoutes } from "./subscription-routes.ts";
import type { ArmTarget } from "./target.ts";
import { parseTarget } from "./target.ts";
import { Throttle } from "./throttle.ts";

const ROUTES: ReadonlyMap<string, ArmRoute> = new Map(
  [...computeRoutes, ...operationRoutes, ...identityRoutes, ...roleRoutes, ...subscriptionRoutes].map((route) => [
    routeKey(route.method, route.type, route.shape),
    route,
  ]),
);

/** management.azure.com: routing, authentication, roles and limits in front of the providers. */
export class ArmService implements Service {
  readonly name = "arm";
  readonly #state: AzureState;
  readonly #key: SigningKey;
  readonly #throttle = new Throttle();

  constructor(o: { state: AzureState; key: SigningKey }) {
    this.#state = o.state;
    this.#key = o.key;
  }

  describe(request: WireRequest): RequestFacts {
    const target = parseTarget(request.method, request.path);
    return {
      service: this.name,
      method: request.method,
      path: request.path,
      operation: target === undefined ? "unknown" : actionOf(request.method, target),
      resource: target?.id,
    };
  }

  async answer(request: WireRequest, exchange: Exchange): Promise<WireReply> {
    if (/^\/metadata\/endpoints\/?$/i.test(request.path))
      return armReply(200, endpoints(request.query.get("api-version") ?? ""));
    const now = this.#state.clock.now();
    const target = parseTarget(request.method, request.path);
    const route = target && ROUTES.get(routeKey(request.method, target.type, target.shape));
    const style = route?.style ?? "arm";
    const remaining: { header: readonly [string, string] | undefined } = { header: undefined };
    const outcome = await this.#outcome({ request, exchange, now, target, route, remaining });
    const reply = "error" in outcome ? errorReply(outcome.error, style) : outcome;
    const correlationId = request.headers["x-ms-correlation-request-id"] ?? request.headers["x-ms-client-request-id"];
    return withArmHeaders(reply, {
      remaining: remaining.header,
      correlationId: typeof correlationId === "string" ? correlationId : undefined,
      location: "westus2",
    });
  }

  namedError(
    name: string,
    params: Readonly<Record<string, string>>,
    request: WireRequest,
    facts: RequestFacts,
  ): WireReply | undefined {
    const target = parseTarget(request.method, request.path);
    const caller = callerHint(request.headers.authorization);
    const ids = params["identityIds"]?.split(",") ?? identityIdsOf(request.body);
    const error = namedArmError(name, {
      caller: { clientId: params["clientId"] ?? caller.clientId, objectId: params["objectId"] ?? caller.objectId },
      action: params["action"] ?? facts.operation,
      resourceId: params["resourceId"] ?? facts.resource ?? "",
      identityIds: ids,
      subscriptionId: target?.subscriptionId ?? "",
      now: this.#state.clock.now(),
    });
    if (error === undefined) return undefined;
    const style = target?.type.startsWith("microsoft.compute/") === true ? "compute" : "arm";
    return withArmHeaders(errorReply(error, style), {
      remaining: undefined,
      correlationId: undefined,
      location: "westus2",
    });
  }

  async #outcome(o: {
    request: WireRequest;
    exchange: Exchange;
    now: number;
    target: ArmTarget | undefined;
    route: ArmRoute | undefined;
    remaining: { header: readonly [string, string] | undefined };
  }): Promise<ArmOutcome> {
    const { request, exchange, now, target, route } = o;
    const caller = await authenticate({ header: request.headers.authorization, host: request.host }, this.#key, now);
    if ("error" in caller) return caller;
    exchange.caller = caller.clientId;
    const apiVersion = parameter(request.query, "api-version");
    if (apiVersion === undefined) return { error: apiVersionMissing() };
    if (!/^\d{4}-\d{2}-\d{2}(-[a-z]+)?$/i.test(apiVersion)) return { error: apiVersionInvalid(apiVersion) };
    if (target === undefined || route === undefined)
      return { error: unknownType(target?.type.split("/")[0] ?? request.path, apiVersion) };
    if (apiVersion < route.since)
      return {
        error: apiVersionUnsupported({
          version: apiVersion,
          location: "westus2",
          type: route.type.slice(route.type.indexOf("/") + 1),
          first: route.since,
        }),
      };
    const action = actionOf(request.method, target);
    const refusal =
      this.#checkSubscription(target, caller) ?? this.#checkLimit(target, caller, action, now, o.remaining);
    if (refusal !== undefined) return { error: refusal };
    const allows = (wanted: string, scope: string): boolean => this.#allows(caller.objectId, wanted, scope, now);
    if (route.open !== true && !allows(action, target.id))
      return { error: authorizationFailed(caller, action, target.id) };
    const createsGroup = target.type === "microsoft.resources/subscriptions/resourcegroups";
    if (
      target.resourceGroup !== undefined &&
      !createsGroup &&
      this.#state.subscriptions.resourceGroup(target.subscriptionId ?? "", target.resourceGroup) === undefined
    )
      return { error: resourceGroupNotFound(target.resourceGroup) };
    const context: ArmContext = {
      state: this.#state,
      request,
      target,
      caller,
      action,
      apiVersion,
      exchange,
      throttle: this.#throttle,
      now,
      allows,
    };
    return route.handle(context);
  }

  #allows(objectId: string, action: string, scope: string, now: number): boolean {
    return !this.#state.settings.enforceRoles || this.#state.roles.allows(objectId, action, scope, now);
  }

  #checkSubscription(target: ArmTarget, caller: AuthenticatedCaller): ArmError | undefined {
    const { subscriptionId } = target;
    if (subscriptionId === undefined) return undefined;
    const subscription = this.#state.subscriptions.get(subscriptionId);
    if (subscription === undefined)
      return /^[0-9a-f-]{36}$/i.test(subscriptionId)
        ? subscriptionNotFound(subscriptionId)
        : invalidSubscription(subscriptionId);
    if (subscription.tenantId.toLowerCase() === caller.tenantId.toLowerCase()) return undefined;
    return wrongTenant(
      `https://sts.windows.net/${caller.tenantId}/`,
      `https://sts.windows.net/${subscription.tenantId}/`,
    );
  }

  #checkLimit(
    target: ArmTarget,
    caller: AuthenticatedCaller,
    action: string,
    now: number,
    remaining: { header: readonly [string, string] | undefined },
  ): ArmError | undefined {
    const { subscriptionId } = target;
    if (subscriptionId === undefined) return undefined;
    const kind = kindOf(action);
    const plural = `${kind}s` as const;
    const limit = this.#state.settings.armLimits[plural];
    const taken = this.#throttle.take(`${kind} ${subscriptionId.toLowerCase()} ${caller.objectId}`, limit, now);
    if (limit !== undefined)
      remaining.header = [`x-ms-ratelimit-remaining-subscription-${plural}`, String(taken.remaining)];
    return taken.ok ? undefined : subscriptionThrottled(kind, subscriptionId, caller.clientId, taken.retryAfterS);
  }
}

function routeKey(method: string, type: string, shape: string): string {
  return `${method} ${type.toLowerCase()} ${shape}`;
}

/** The RBAC action of a request, in its official casing where the type is known. */
function actionOf(method: string, target: ArmTarget): string {
  const route = ROUTES.get(routeKey(method, target.type, target.shape));
  const type = route?.type ?? target.type;
  switch (method) {
    case "GET":
    case "HEAD":
      return `${type}/read`;
    case "DELETE":
      return `${type}/delete`;
    case "POST":
      return `${type}/${target.shape}/action`;
    default:
      return `${type}/write`;
  }
}

/** Who a token says it is for, unchecked: only to fill the text of an injected error. */
function callerHint(header: string | undefined): { clientId: string; objectId: string } {
  try {
    const claims = JSON.parse(Buffer.from(header?.split(".")[1] ?? "", "base64url").toString()) as Record<
      string,
      unknown
    >;
    return { clientId: String(claims["appid"]), objectId: String(claims["oid"]) };
  } catch {
    return { clientId: "<clientId>", objectId: "<objectId>" };
  }
}
