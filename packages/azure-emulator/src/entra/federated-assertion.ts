import type { JsonObject } from "../json.ts";
import { isJsonObject, objectOf, stringOf } from "../json.ts";
import type { AzureState } from "../state/azure-state.ts";
import type { FederatedCredential } from "../state/directory.ts";
import type { EntraError, FederatedAssertion } from "./errors.ts";
import {
  assertionLifetime,
  assertionOutOfTime,
  audienceMismatch,
  invalidSignature,
  issuerMismatch,
  issuerUnreachable,
  malformedAssertion,
  noFederatedCredentials,
  noMatchingCredential,
  ownTokenRefused,
  subjectCaseMismatch,
  subjectMismatch,
} from "./errors.ts";
import type { DecodedJwt } from "./jwt.ts";
import { audiences, isSignedBy, timeClaim } from "./jwt.ts";

/** Fetches an issuer's document; rejects when that fails. `caPem` is the authority to trust, undefined: the system's. */
export type FetchJson = (url: string, caPem: string | undefined) => Promise<unknown>;

const SKEW_MS = 300_000;
const LONGEST_MS = 25 * 3_600_000;
/** Entra looks at no more keys than these. */
const KEYS = 100;
const OWN_ISSUER = /^https:\/\/(sts\.windows\.net|login\.microsoftonline\.(com|us|de)|login\.chinacloudapi\.cn)\//;

/** Checks an assertion that an external issuer made, against the credentials of one app or identity and the issuer's published keys. */
export async function checkFederatedAssertion(o: {
  jwt: DecodedJwt;
  clientId: string;
  displayName: string;
  credentials: readonly FederatedCredential[];
  state: AzureState;
  fetchJson: FetchJson;
}): Promise<EntraError | undefined> {
  const { jwt, state } = o;
  const { claims } = jwt;
  const now = state.clock.now();
  const issuer = stringOf(claims["iss"]);
  const subject = stringOf(claims["sub"]);
  if (issuer === undefined || subject === undefined) return malformedAssertion();
  if (o.credentials.length === 0) return noFederatedCredentials(o.clientId, o.displayName);
  if (OWN_ISSUER.test(issuer)) return ownTokenRefused();
  const match = matchCredential({ issuer, subject, audiences: audiences(claims) }, o.credentials);
  if (match.error !== undefined) return match.error;
  if (match.credential.createdAt + state.settings.federationPropagationMs > now)
    return noMatchingCredential(match.presented);

  const issuedAt = timeClaim(claims, "iat");
  const until = timeClaim(claims, "exp");
  if (issuedAt === undefined || until === undefined || until - issuedAt > LONGEST_MS) return assertionLifetime();
  const from = timeClaim(claims, "nbf") ?? issuedAt;
  if (until + SKEW_MS < now || from - SKEW_MS > now) return assertionOutOfTime({ now, from, until });

  const keys = await issuerKeys(issuer, state, o.fetchJson);
  if (keys === undefined) return issuerUnreachable();
  const kid = stringOf(jwt.header["kid"]);
  for (const key of keys.filter((candidate) => kid === undefined || candidate["kid"] === kid))
    if (await isSignedBy(jwt, key, ["RS256"])) return undefined;
  return invalidSignature(kid ?? "");
}

type Match =
  | { readonly credential: FederatedCredential; readonly presented: FederatedAssertion; readonly error?: undefined }
  | { readonly error: EntraError };

/** Exact, case-sensitive matches only; the error names the first part that nothing matches. */
function matchCredential(
  o: { issuer: string; subject: string; audiences: readonly string[] },
  credentials: readonly FederatedCredential[],
): Match {
  const presented: FederatedAssertion = { issuer: o.issuer, subject: o.subject, audience: o.audiences.join(",") };
  const ofIssuer = credentials.filter((credential) => credential.issuer === o.issuer);
  if (ofIssuer.length === 0) return { error: issuerMismatch(presented) };
  const ofSubject = ofIssuer.filter((credential) => credential.subject === o.subject);
  if (ofSubject.length === 0) {
    const insensitive = ofIssuer.some((credential) => credential.subject.toLowerCase() === o.subject.toLowerCase());
    return { error: insensitive ? subjectCaseMismatch(presented) : subjectMismatch(presented) };
  }
  const credential = ofSubject.find((candidate) =>
    candidate.audiences.some((audience) => o.audiences.includes(audience)),
  );
  return credential === undefined ? { error: audienceMismatch(presented) } : { credential, presented };
}

async function issuerKeys(
  issuer: string,
  state: AzureState,
  fetchJson: FetchJson,
): Promise<readonly JsonObject[] | undefined> {
  const endpoint = state.settings.issuers.find((candidate) => candidate.issuer === issuer);
  const base = (endpoint?.url ?? issuer).replace(/\/$/, "");
  try {
    const discovery = objectOf(await fetchJson(`${base}/.well-known/openid-configuration`, endpoint?.caPem));
    const jwksUri = stringOf(discovery["jwks_uri"]);
    if (discovery["issuer"] !== issuer || jwksUri === undefined) return undefined;
    const keySet = objectOf(await fetchJson(relocated(jwksUri, issuer, base), endpoint?.caPem));
    const keys = keySet["keys"];
    return Array.isArray(keys) ? keys.filter(isJsonObject).slice(0, KEYS) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * An issuer that is reachable elsewhere publishes its keys there too, whatever host it writes into `jwks_uri`.
 * What is below the issuer's path is below `base`: API servers serve their documents at the root, however long their issuer is.
 */
function relocated(jwksUri: string, issuer: string, base: string): string {
  const root = issuer.replace(/\/$/, "");
  if (base === root) return jwksUri;
  if (jwksUri.startsWith(`${root}/`)) return base + jwksUri.slice(root.length);
  const { pathname, search } = new URL(jwksUri);
  return new URL(`${pathname}${search}`, base).href;
}
