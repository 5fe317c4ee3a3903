import type { Check } from "./check.ts";
import { describeError, describeResponse } from "./failure.ts";
import { get } from "./metadata-service.ts";
import type { MetadataService } from "./metadata-service.ts";

const PATH = "/metadata/identity/oauth2/token";

/** Asks for a token without naming an identity: the pod's default one answers. */
export function tokenByMsi(service: MetadataService, resource: string): Check {
  const endpoint = `msiEndpoint(${service.origin}${PATH})`;
  return tokenCheck(
    service,
    { resource },
    {
      success: `successfully acquired a token using the MSI, ${endpoint}`,
      failure: `failed to acquire a token using the MSI, ${endpoint}`,
    },
  );
}

/** Asks for a token of the identity with this client id, and for nobody else's. */
export function tokenByClientId(service: MetadataService, resource: string, clientId: string): Check {
  const suffix = `userAssignedID MSI, msiEndpoint(${service.origin}${PATH}) clientID(${clientId})`;
  return tokenCheck(
    service,
    { resource, client_id: clientId },
    {
      success: `successfully acquired a token, ${suffix}`,
      failure: `failed to acquire a token, ${suffix}`,
    },
  );
}

interface TokenRequest {
  readonly resource: string;
  readonly client_id?: string;
}

interface Texts {
  readonly success: string;
  readonly failure: string;
}

function tokenCheck(service: MetadataService, request: TokenRequest, texts: Texts): Check {
  return async (signal) => {
    const problem = await acquire(service, request, signal);
    return problem === undefined
      ? { ok: true, message: texts.success }
      : { ok: false, message: `${texts.failure}: ${problem}` };
  };
}

/** @returns what went wrong. */
async function acquire(
  service: MetadataService,
  request: TokenRequest,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const response = await get(service, PATH, { "api-version": "2018-02-01", ...request }, signal);
    if (!response.ok) return await describeResponse(response);
    return tokenProblem(await response.json(), request);
  } catch (error) {
    return describeError(error);
  }
}

function tokenProblem(body: unknown, request: TokenRequest): string | undefined {
  const answer = (body ?? {}) as { access_token?: unknown; client_id?: unknown };
  if (typeof answer.access_token !== "string" || answer.access_token === "")
    return "200, but the answer holds no access_token";
  const { client_id: wanted } = request;
  const got = answer.client_id;
  if (wanted !== undefined && typeof got === "string" && got.toLowerCase() !== wanted.toLowerCase()) {
    return `200, but the token belongs to another identity, client id ${got}`;
  }
  return undefined;
}
