import type { Clock } from "./clock.ts";
import type { ImdsAnswer, ImdsClient } from "./imds-client.ts";
import { ImdsError } from "./imds-client.ts";
import { TOKEN_API_VERSION, withQuery } from "./request-target.ts";
import { TOKEN_PATH } from "./routes.ts";
import { jwtClaim, parseTokenAnswer } from "./token-answer.ts";
import type { TokenAnswer } from "./token-answer.ts";
import type { SourceOutcome, SourceRequest, TokenSource } from "./token-source.ts";

/** IMDS's words for an identity that is not attached to the machine (azure-sdk-for-net#37278 and others). */
const NOT_FOUND_TEXT = "Identity not found";
/** Statuses that its documentation tells clients to retry. */
const TRANSIENT = new Set([404, 408, 410, 429]);

/**
 * Type 0: user-assigned identities from IMDS. Nothing in the cluster ties an AzureIdentity's clientID to its
 * resourceID, so it asks by resource id and compares who answered with both; otherwise whoever may create an
 * AzureIdentity could name a neighbour's client id.
 */
export class ImdsSource implements TokenSource {
  readonly #client: ImdsClient;
  readonly #clock: Pick<Clock, "wallMs">;

  constructor(options: { readonly client: ImdsClient; readonly clock: Pick<Clock, "wallMs"> }) {
    this.#client = options.client;
    this.#clock = options.clock;
  }

  async fetch(request: SourceRequest): Promise<SourceOutcome> {
    const { spec, namespace, name } = request.identity;
    const resourceId = spec.resourceID?.trim() || undefined;
    const clientId = spec.clientID?.trim() || undefined;
    if (resourceId === undefined && clientId === undefined) {
      const message = `AzureIdentity ${namespace}/${name} has neither spec.resourceID nor spec.clientID; set spec.resourceID to the ARM id of the managed identity`;
      return { kind: "refused", reason: "identity-invalid", message };
    }
    let answer: ImdsAnswer;
    try {
      answer = await this.#client.get(
        withQuery(TOKEN_PATH, [
          ["api-version", TOKEN_API_VERSION],
          ...(resourceId === undefined
            ? ([["client_id", clientId]] as const)
            : ([["msi_res_id", resourceId]] as const)),
          ["resource", request.resource],
          ["xms_cc", request.capabilities],
          ["bypass_cache", request.bypassCache ? "true" : undefined],
        ]),
      );
    } catch (error) {
      if (error instanceof ImdsError) return { kind: "unavailable", message: error.message };
      throw error;
    }
    if (answer.status !== 200) return failure(answer);
    const parsed = parseTokenAnswer(answer.body, Math.floor(this.#clock.wallMs() / 1000));
    if (!parsed.ok) return { kind: "unavailable", message: `IMDS answered 200, but ${parsed.why}` };
    return mismatch(request, clientId, parsed.answer) ?? { kind: "token", answer: parsed.answer };
  }
}

function mismatch(
  request: SourceRequest,
  clientId: string | undefined,
  answer: TokenAnswer,
): SourceOutcome | undefined {
  const who = `AzureIdentity ${request.identity.namespace}/${request.identity.name}`;
  if (clientId !== undefined && answer.clientId?.toLowerCase() !== clientId.toLowerCase()) {
    const fix = "correct spec.clientID to the client id of the identity that spec.resourceID names";
    return { kind: "mismatch", message: `${who}: IMDS answered for another client id than spec.clientID; ${fix}` };
  }
  const resourceKey = request.identity.resourceKey;
  const answered = jwtClaim(answer.accessToken, "xms_mirid");
  if (resourceKey !== undefined && answered !== undefined && answered.toLowerCase() !== resourceKey) {
    return { kind: "mismatch", message: `${who}: IMDS answered for another managed identity than spec.resourceID` };
  }
  return undefined;
}

function failure(answer: ImdsAnswer): SourceOutcome {
  const { error, description } = errorText(answer.body);
  if (answer.status === 400 && description === NOT_FOUND_TEXT)
    return { kind: "identity-not-found", message: description };
  const message = `IMDS answered ${answer.status}${error === "" ? "" : ` ${error}`}${description === "" ? "" : `: ${description}`}`;
  if (answer.status >= 500 || TRANSIENT.has(answer.status)) return { kind: "unavailable", message };
  return { kind: "refused", reason: "imds-refused", message };
}

function errorText(body: string): { error: string; description: string } {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed !== "object" || parsed === null) return { error: "", description: "" };
    const { error, error_description: description } = parsed as Record<string, unknown>;
    return { error: short(error), description: short(description) };
  } catch {
    return { error: "", description: "" };
  }
}

function short(value: unknown): string {
  return typeof value === "string" ? value.replace(/[\u0000-\u001f]+/g, " ").slice(0, 1000) : "";
}
