import { compactVerify, decodeProtectedHeader, decodeJwt as joseDecodeJwt } from "jose";
import type { JWK } from "jose";
import type { KeyObject } from "node:crypto";
import type { JsonObject } from "../json.ts";

/** A JWT taken apart, nothing checked yet. */
export interface DecodedJwt {
  readonly text: string;
  readonly header: JsonObject;
  readonly claims: JsonObject;
}

/** Undefined for what is no JWT. */
export function decodeJwt(text: string): DecodedJwt | undefined {
  try {
    return { text, header: decodeProtectedHeader(text) as JsonObject, claims: joseDecodeJwt<JsonObject>(text) };
  } catch {
    return undefined;
  }
}

/** Whether `key` signed the JWT with one of `algorithms`. A key that is none, or of another kind, did not. */
export async function isSignedBy(
  jwt: DecodedJwt,
  key: KeyObject | JWK,
  algorithms: readonly ("RS256" | "PS256" | "ES256" | "ES384" | "ES512")[],
): Promise<boolean> {
  return compactVerify(jwt.text, key, { algorithms: [...algorithms] }).then(
    () => true,
    () => false,
  );
}

/** A NumericDate claim in epoch milliseconds. */
export function timeClaim(claims: JsonObject, name: string): number | undefined {
  const value = claims[name];
  return typeof value === "number" ? value * 1000 : undefined;
}

/** `aud` may be a text or a list. */
export function audiences(claims: JsonObject): readonly string[] {
  const { aud } = claims;
  if (typeof aud === "string") return [aud];
  return Array.isArray(aud) ? aud.filter((value) => typeof value === "string") : [];
}
