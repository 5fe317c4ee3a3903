import { randomUUID } from "node:crypto";
import type { AzureState } from "../state/azure-state.ts";
import type { WireReply } from "../http/wire.ts";
import { entraJson } from "./replies.ts";

/** A refusal by Entra before it gets its ids and time. `text` has no `AADSTS…: ` in front. */
export interface EntraError {
  readonly code: number;
  readonly status: number;
  readonly error: string;
  readonly text: string;
}

function entraError(code: number, status: number, error: string, text: string): EntraError {
  return { code, status, error, text };
}

const FEDERATION_DOCS = "https://learn.microsoft.com/entra/workload-id/workload-identity-federation";
const CERTIFICATE_DOCS = "https://learn.microsoft.com/entra/identity-platform/certificate-credentials";
const NOT_INSTALLED =
  "This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant.";
const CHECK_CREDENTIAL = `Check your federated identity credential Subject, Audience and Issuer against the presented assertion. ${FEDERATION_DOCS}`;

export const missingParameter = (name: string): EntraError =>
  entraError(900144, 400, "invalid_request", `The request body must contain the following parameter: '${name}'.`);

export const unsupportedGrant = (grant: string): EntraError =>
  entraError(70003, 400, "unsupported_grant_type", `The app requested an unsupported grant type '${grant}'.`);

export const noTenant = (): EntraError =>
  entraError(
    50059,
    400,
    "invalid_request",
    "No tenant-identifying information found in either the request or implied by any provided credentials.",
  );

export const tenantNotFound = (tenant: string): EntraError =>
  entraError(
    90002,
    400,
    "invalid_tenant",
    `Tenant '${tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.`,
  );

export const appNotFound = (clientId: string, tenant: string): EntraError =>
  entraError(
    700016,
    400,
    "unauthorized_client",
    `Application with identifier '${clientId}' was not found in the directory '${tenant}'. ${NOT_INSTALLED} You may have sent your authentication request to the wrong tenant.`,
  );

export const resourceNotFound = (resource: string, tenant: string): EntraError =>
  entraError(
    500011,
    400,
    "invalid_resource",
    `The resource principal named ${resource} was not found in the tenant named ${tenant}. ${NOT_INSTALLED} You might have sent your authentication request to the wrong tenant.`,
  );

export const invalidScope = (scope: string): EntraError =>
  entraError(
    70011,
    400,
    "invalid_scope",
    `The provided value for the input parameter 'scope' is not valid. The scope ${scope} is not valid.`,
  );

export const invalidSecret = (clientId: string): EntraError =>
  entraError(
    7000215,
    401,
    "invalid_client",
    `Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '${clientId}'.`,
  );

export const expiredSecret = (clientId: string): EntraError =>
  entraError(
    7000222,
    401,
    "invalid_client",
    `The provided client secret keys for app '${clientId}' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds.`,
  );

export const credentialRequired = (): EntraError =>
  entraError(
    7000216,
    401,
    "invalid_client",
    "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
  );

export const malformedAssertion = (): EntraError =>
  entraError(50027, 401, "invalid_client", "JWT token is invalid or malformed.");

export const certificateNotRegistered = (): EntraError =>
  entraError(
    700027,
    401,
    "invalid_client",
    `The certificate with identifier used to sign the client assertion is not registered on application. [Reason - The key was not found., Please visit the Azure Portal, Graph Explorer or directly use MS Graph to see configured keys for app.]. Alternatively, SNI may be configured on the app. Please ensure that client assertion is being sent with the x5c claim in the JWT header using MSAL's WithSendX5C() method so that Azure Active Directory can validate the certificate being used.`,
  );

export const invalidSignature = (thumbprint: string): EntraError =>
  entraError(
    700027,
    401,
    "invalid_client",
    `Client assertion contains an invalid signature. [Reason - The key was found, but use of the key to verify the signature failed., Thumbprint of key used by client: '${thumbprint}']`,
  );

export const assertionOutOfTime = (o: { now: number; from: number; until: number }): EntraError =>
  entraError(
    700024,
    401,
    "invalid_client",
    `Client assertion is not within its valid time range. Current time: ${sevenDigits(o.now)}, assertion valid from ${sevenDigits(o.from)}, expiry time of assertion ${sevenDigits(o.until)}. Review the documentation at ${CERTIFICATE_DOCS} .`,
  );

export const assertionClientMismatch = (): EntraError =>
  entraError(
    700021,
    401,
    "invalid_client",
    "Client assertion application identifier doesn't match 'client_id' parameter.",
  );

export const assertionAudienceMismatch = (): EntraError =>
  entraError(
    700023,
    401,
    "invalid_client",
    `Client assertion audience claim does not match Realm issuer. Review the documentation at ${CERTIFICATE_DOCS} .`,
  );

export interface FederatedAssertion {
  readonly issuer: string;
  readonly subject: string;
  readonly audience: string;
}

export const noMatchingCredential = ({ issuer, subject, audience }: FederatedAssertion): EntraError =>
  entraError(
    70021,
    400,
    "invalid_request",
    `No matching federated identity record found for presented assertion. Assertion Issuer: '${issuer}'. Assertion Subject: '${subject}'. Assertion Audience: '${audience}'. https://docs.microsoft.com/en-us/azure/active-directory/develop/workload-identity-federation`,
  );

export const issuerMismatch = ({ issuer }: FederatedAssertion): EntraError => mismatch(700211, "issuer", issuer);
export const audienceMismatch = ({ audience }: FederatedAssertion): EntraError =>
  mismatch(700212, "audience", audience);
export const subjectMismatch = ({ subject }: FederatedAssertion): EntraError => mismatch(700213, "subject", subject);

export const subjectCaseMismatch = ({ subject }: FederatedAssertion): EntraError =>
  entraError(
    7002138,
    401,
    "invalid_client",
    `No matching federated identity record found for presented assertion subject '${subject}'. The subject matches with case-insensitive comparison, but not with case-sensitive comparison. ${CHECK_CREDENTIAL}`,
  );

function mismatch(code: number, what: string, value: string): EntraError {
  return entraError(
    code,
    401,
    "invalid_client",
    `No matching federated identity record found for presented assertion ${what} '${value}'. ${CHECK_CREDENTIAL}`,
  );
}

export const assertionLifetime = (): EntraError =>
  entraError(
    70023,
    400,
    "invalid_request",
    "External OIDC Provider token must have a lifetime of less than or equal to 1.01:00:00.",
  );

export const noFederatedCredentials = (clientId: string, name: string): EntraError =>
  entraError(
    70025,
    401,
    "invalid_client",
    `The client '${clientId}'(${name}) has no configured federated identity credentials.`,
  );

export const issuerUnreachable = (): EntraError =>
  entraError(90061, 400, "invalid_request", "Request to External OIDC endpoint failed.");

export const ownTokenRefused = (): EntraError =>
  entraError(700222, 401, "invalid_client", "AAD-issued tokens may not be used for federated identity flows.");

type Params = Readonly<Record<string, string>>;

/** By AADSTS number, with texts filled from `params` or placeholders. For faults. */
export function entraErrorByCode(code: number, params: Params, now: number): EntraError | undefined {
  const get = (name: string): string => params[name] ?? `<${name}>`;
  const assertion: FederatedAssertion = { issuer: get("issuer"), subject: get("subject"), audience: get("audience") };
  const make: Readonly<Record<number, () => EntraError>> = {
    50027: malformedAssertion,
    50059: noTenant,
    70003: () => unsupportedGrant(get("grant_type")),
    70011: () => invalidScope(get("scope")),
    70021: () => noMatchingCredential(assertion),
    70023: assertionLifetime,
    70025: () => noFederatedCredentials(get("client_id"), get("name")),
    90002: () => tenantNotFound(get("tenant")),
    90061: issuerUnreachable,
    500011: () => resourceNotFound(get("resource"), get("tenant")),
    700016: () => appNotFound(get("client_id"), get("tenant")),
    700021: assertionClientMismatch,
    700023: assertionAudienceMismatch,
    700024: () => assertionOutOfTime({ now, from: now - 7_200_000, until: now - 3_600_000 }),
    700027: certificateNotRegistered,
    700211: () => issuerMismatch(assertion),
    700212: () => audienceMismatch(assertion),
    700213: () => subjectMismatch(assertion),
    700222: ownTokenRefused,
    900144: () => missingParameter(params["parameter"] ?? "grant_type"),
    7000215: () => invalidSecret(get("client_id")),
    7000216: credentialRequired,
    7000222: () => expiredSecret(get("client_id")),
    7002138: () => subjectCaseMismatch(assertion),
  };
  return make[code]?.();
}

/** The answer for an error; `correlationId` is the one the client sent. */
export function entraErrorReply(
  error: EntraError,
  o: { now: number; correlationId?: string | undefined; authority?: string },
): WireReply {
  const traceId = randomUUID();
  const correlationId = o.correlationId ?? randomUUID();
  const timestamp = seconds(o.now);
  return entraJson(error.status, {
    error: error.error,
    error_description: describe(error, { traceId, correlationId, timestamp }),
    error_codes: [error.code],
    timestamp,
    trace_id: traceId,
    correlation_id: correlationId,
    error_uri: `${o.authority ?? "https://login.microsoftonline.com"}/error?code=${error.code}`,
  });
}

/** The description of AADSTS500011 alone, as IMDS forwards it. */
export function unknownResourceDescription(
  state: AzureState,
  o: { resource: string; tenantId: string; now: number },
): string {
  const tenant = state.directory.tenant(o.tenantId)?.displayName ?? o.tenantId;
  return describe(resourceNotFound(o.resource, tenant), {
    traceId: randomUUID(),
    correlationId: randomUUID(),
    timestamp: seconds(o.now),
  });
}

function describe(error: EntraError, o: { traceId: string; correlationId: string; timestamp: string }): string {
  return `AADSTS${error.code}: ${error.text} Trace ID: ${o.traceId} Correlation ID: ${o.correlationId} Timestamp: ${o.timestamp}`;
}

/** `2023-05-06 06:03:00Z` */
function seconds(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, 19).replace("T", " ")}Z`;
}

/** .NET's round-trip format: `2024-06-04T11:40:28.3451933Z` */
function sevenDigits(epochMs: number): string {
  return new Date(epochMs).toISOString().replace("Z", "0000Z");
}
