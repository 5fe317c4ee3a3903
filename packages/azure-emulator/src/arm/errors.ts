import type { JsonValue } from "../json.ts";

/** A refusal by ARM or a resource provider: `{"error":{"code","message",…}}`. */
export interface ArmError {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly target?: string;
  readonly details?: readonly JsonValue[];
  readonly innerError?: JsonValue;
  readonly headers?: readonly (readonly [string, string])[];
}

export interface Caller {
  readonly clientId: string;
  readonly objectId: string;
}

const error = (status: number, code: string, message: string): ArmError => ({ status, code, message });

/** Authentication. */

const CHALLENGE = 'Bearer authorization_uri="https://login.windows.net/"';

function unauthenticated(code: string, message: string, description: string): ArmError {
  return {
    ...error(401, code, message),
    headers: [["WWW-Authenticate", `${CHALLENGE}, error="invalid_token", error_description="${description}"`]],
  };
}

export const authenticationMissing = (): ArmError =>
  unauthenticated(
    "AuthenticationFailed",
    "Authentication failed. The 'Authorization' header is missing.",
    "The authentication failed because of missing 'Authorization' header.",
  );

export const invalidToken = (): ArmError =>
  unauthenticated("InvalidAuthenticationToken", "The access token is invalid.", "The access token is invalid.");

export const expiredToken = (expiry: string, now: string): ArmError =>
  unauthenticated(
    "ExpiredAuthenticationToken",
    `The access token expiry UTC time '${expiry}' is earlier than current UTC time '${now}'.`,
    "The access token has expired.",
  );

export const wrongAudience = (audience: string, allowed: readonly string[]): ArmError =>
  unauthenticated(
    "InvalidAuthenticationTokenAudience",
    `The access token has been obtained for wrong audience or resource '${audience}'. It should exactly match with one of the allowed audiences ${allowed.map((name) => `'${name}'`).join(",")}.`,
    "The access token has been obtained for wrong audience or resource.",
  );

export const wrongTenant = (issuer: string, expected: string): ArmError =>
  unauthenticated(
    "InvalidAuthenticationTokenTenant",
    `The access token is from the wrong issuer '${issuer}'. It must match the tenant '${expected}' associated with this subscription. Please use the authority (URL) 'https://login.windows.net/${expected.split("/")[3] ?? ""}' to get the token. Note, if the subscription is transferred to another tenant there is no impact to the services, but information about new tenant could take time to propagate (up to an hour). If you just transferred your subscription and see this error message, please try back later.`,
    "The access token is from the wrong issuer.",
  );

/** Authorisation. */

export const authorizationFailed = (caller: Caller, action: string, scope: string): ArmError =>
  error(
    403,
    "AuthorizationFailed",
    `The client '${caller.clientId}' with object id '${caller.objectId}' does not have authorization to perform action '${action}' over scope '${scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.`,
  );

export const linkedAuthorizationFailed = (
  caller: Caller,
  action: string,
  scope: string,
  ids: readonly string[],
): ArmError =>
  error(
    403,
    "LinkedAuthorizationFailed",
    `The client '${caller.clientId}' with object id '${caller.objectId}' has permission to perform action '${action}' on scope '${scope}'; however, it does not have permission to perform action 'Microsoft.ManagedIdentity/userAssignedIdentities/assign/action' on the linked scope(s) '${ids.join(",")}' or the linked scope(s) are invalid.`,
  );

/** Identities. */

/** Every failure of the managed identity service reaches the client wrapped twice. */
export function failedIdentityOperation(
  resourceId: string,
  status: string,
  response: { code: string; message: string },
): ArmError {
  const inner = JSON.stringify({ error: { code: response.code, message: response.message } });
  return error(
    400,
    "FailedIdentityOperation",
    `Identity operation for resource '${resourceId}' failed with error 'Failed to perform resource identity operation. Status: '${status}'. Response: '${inner}'.'.`,
  );
}

export const identityMissing = (resourceId: string, identityId: string): ArmError =>
  failedIdentityOperation(resourceId, "BadRequest", {
    code: "BadRequest",
    message: `Resource '${identityId.toLowerCase()}' was not found.`,
  });

export const identityThrottled = (resourceId: string, seconds = 20): ArmError =>
  failedIdentityOperation(resourceId, "429", {
    code: "429",
    message: `Request is temporarily throttled because resource ${resourceId} has issued too many requests. Retry after ${seconds} seconds.`,
  });

export const identityConflict = (resourceId: string): ArmError =>
  failedIdentityOperation(resourceId, "Conflict", {
    code: "Conflict",
    message: "The request failed due to conflict with a concurrent request.",
  });

export const identityClosed = (resourceId: string): ArmError =>
  failedIdentityOperation(resourceId, "499", { code: "499", message: "The client closed the request." });

export const tooManyIdentities = (resourceId: string, count: number): ArmError =>
  failedIdentityOperation(resourceId, "BadRequest", {
    code: "BadRequest",
    message: `User Assigned Identities Number '${count}' Assign exceed limit '150' in one request.`,
  });

export const duplicateIdentity = (identityId: string): ArmError => ({
  ...error(
    400,
    "InvalidParameter",
    `ResourceIdentity identityId '${identityId}' cannot be duplicated in the provided identityIds list.`,
  ),
  target: "resourceIdentity.identityIds",
});

export const identityIdsNotAllowed = (type: string): ArmError => ({
  ...error(400, "InvalidParameter", `ResourceIdentity identityIds should not be provided if the type is "${type}".`),
  target: "resourceIdentity.identityIds",
});

export const identityMapNotAllowed = (): ArmError =>
  error(
    400,
    "InvalidRequestFormat",
    "The request format was unexpected, a non-UserAssigned identity type should not contain: userAssignedIdentities",
  );

export const identityIdsMissing = (type: string): ArmError =>
  error(400, "MissingIdentityIds", `The identity ids must not be null or empty for '${type}' identity type.`);

export const invalidIdentityValues = (identityId: string): ArmError =>
  error(
    400,
    "InvalidIdentityValues",
    `Invalid value for the identities '${identityId}'. The 'UserAssignedIdentities' property keys should only be empty json objects, null or the resource exisiting property.`,
  );

export const invalidRequestContent = (reason: string): ArmError =>
  error(400, "InvalidRequestContent", `The request content was invalid and could not be deserialized: '${reason}'.`);

export const identityTypeMissing = (): ArmError =>
  invalidRequestContent("Required property 'type' not found in JSON. Path 'identity'.");

export const identityTypeUnknown = (type: string): ArmError =>
  invalidRequestContent(
    `Error converting value "${type}" to type 'Azure.ResourceManager.ManagedServiceIdentityType'. Path 'identity.type'.`,
  );

/** Resources. */

export const resourceNotFound = (type: string, name: string, resourceGroup: string): ArmError =>
  error(
    404,
    "ResourceNotFound",
    `The Resource '${type}/${name}' under resource group '${resourceGroup}' was not found.`,
  );

export const resourceGroupNotFound = (name: string): ArmError =>
  error(404, "ResourceGroupNotFound", `Resource group '${name}' could not be found.`);

export const subscriptionNotFound = (id: string): ArmError =>
  error(404, "SubscriptionNotFound", `The subscription '${id}' could not be found.`);

export const invalidSubscription = (id: string): ArmError =>
  error(400, "InvalidSubscriptionId", `The provided subscription identifier '${id}' is malformed or invalid.`);

export const instanceNotFound = (name: string): ArmError =>
  error(404, "NotFound", `The entity ${name} was not found in this scale set.`);

export const childNotFound = (what: string): ArmError =>
  error(404, "NotFound", `The resource '${what}' was not found.`);

export const unknownType = (namespace: string, version: string): ArmError =>
  error(
    404,
    "InvalidResourceType",
    `The resource type could not be found in the namespace '${namespace}' for api version '${version}'.`,
  );

export const locationRequired = (): ArmError =>
  error(400, "LocationRequired", "The location property is required for this definition.");

export const locationChanged = (name: string, group: string, is: string, wanted: string): ArmError =>
  error(
    409,
    "InvalidResourceLocation",
    `The resource '${name}' already exists in location '${is}' in resource group '${group}'. A resource with the same name cannot be created in location '${wanted}'. Please select a new resource name.`,
  );

export const conflict = (): ArmError =>
  error(
    409,
    "Conflict",
    "The request failed due to conflict with a concurrent request. To resolve it, please refer to https://aka.ms/activitylog to get more details on the conflicting requests.",
  );

const MORE_ON_OPERATIONS = "For more information on your operations, please refer to https://aka.ms/activitylog.";

export const markedForDeletion = (kind: "virtualMachine" | "virtualMachineScaleSet", name: string): ArmError =>
  kind === "virtualMachine"
    ? error(
        409,
        "OperationNotAllowed",
        `Operation 'Update Virtual Machine' is not allowed on Virtual Machine '${name}' since it is marked for deletion. ${MORE_ON_OPERATIONS}`,
      )
    : error(
        409,
        "OperationNotAllowed",
        `Operation 'Update Virtual Machine Scale Set' is not allowed on Virtual Machine Scale Set '${name}' since it is marked for deletion. ${MORE_ON_OPERATIONS}`,
      );

export const etagMismatch = (given: string, is: string): ArmError =>
  error(412, "PreconditionFailed", `Etag provided in if-match header ${given} does not match etag ${is} of resource.`);

export const etagMatches = (given: string, is: string): ArmError =>
  error(412, "PreconditionFailed", `Etag provided in if-none-match header ${given} matches etag ${is} of resource.`);

export const roleAssignmentExists = (): ArmError =>
  error(409, "RoleAssignmentExists", "The role assignment already exists.");

export const principalNotFound = (objectId: string, tenantId: string): ArmError =>
  error(
    400,
    "PrincipalNotFound",
    `Principal ${objectId.replaceAll("-", "")} does not exist in the directory ${tenantId}. Check that you have the correct principal ID. If you are creating this principal and then immediately assigning a role, this error might be related to a replication delay. In this case, set the role assignment principalType property to a value, such as ServicePrincipal, User, or Group.  See https://aka.ms/docs-principaltype`,
  );

export const roleDefinitionNotFound = (name: string): ArmError =>
  error(
    404,
    "RoleDefinitionDoesNotExist",
    `The specified role definition with ID '${name.replaceAll("-", "")}' does not exist.`,
  );

export const credentialExists = (): ArmError =>
  error(409, "Conflict", "Issuer and subject combination already exists for this Managed Identity.");

/** Requests. */

export const apiVersionMissing = (): ArmError =>
  error(
    400,
    "MissingApiVersionParameter",
    "The api-version query parameter (?api-version=) is required for all requests.",
  );

export const apiVersionInvalid = (version: string): ArmError =>
  error(
    400,
    "InvalidApiVersionParameter",
    `The api-version '${version}' is invalid. It must be a date of the form YYYY-MM-DD, optionally followed by -preview.`,
  );

export const apiVersionUnsupported = (o: {
  version: string;
  location: string;
  type: string;
  first: string;
}): ArmError =>
  error(
    400,
    "NoRegisteredProviderFound",
    `No registered resource provider found for location '${o.location}' and API version '${o.version}' for type '${o.type}'. The supported api-versions are '${o.first}' and later.`,
  );

/** Throttling. */

export const subscriptionThrottled = (
  kind: "read" | "write" | "delete",
  subscription: string,
  actor: string,
  seconds: number,
): ArmError => ({
  ...error(
    429,
    "SubscriptionRequestsThrottled",
    `Number of '${kind}' requests for subscription '${subscription}' actor '${actor}' exceeded. Please try again after '${seconds}' seconds.`,
  ),
  headers: [["Retry-After", String(seconds)]],
});

export const computeThrottled = (o: {
  group: string;
  now: number;
  windowMs: number;
  allowed: number;
  measured: number;
  retryAfterS: number;
}): ArmError => ({
  ...error(
    429,
    "OperationNotAllowed",
    "The server rejected the request because too many requests have been received for this subscription.",
  ),
  details: [
    {
      code: "TooManyRequests",
      target: o.group,
      message: JSON.stringify({
        operationGroup: o.group,
        startTime: new Date(o.now - o.windowMs).toISOString(),
        endTime: new Date(o.now).toISOString(),
        allowedRequestCount: o.allowed,
        measuredRequestCount: o.measured,
      }),
    },
  ],
  innerError: { internalErrorCode: "TooManyRequestsReceived" },
  headers: [
    ["Retry-After", String(o.retryAfterS)],
    ["x-ms-ratelimit-remaining-resource", `Microsoft.Compute/${o.group};0`],
  ],
});

/** Outages. */

export const internalError = (): ArmError =>
  error(500, "InternalServerError", "Encountered internal server error. Please try again later.");
export const serverTimeout = (): ArmError =>
  error(503, "ServerTimeout", "The request timed out. Please try again later.");
export const gatewayTimeout = (): ArmError =>
  error(
    504,
    "GatewayTimeout",
    "The gateway did not receive a response from 'Microsoft.Compute' within the specified time period.",
  );
