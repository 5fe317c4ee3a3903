import { createHash, generateKeyPair } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { errors, exportJWK, jwtVerify, SignJWT } from "jose";
import type { Json } from "./json.ts";

interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
  readonly kid: string;
}

/** What became of a token: its claims, or why it is refused. */
export type Verdict = { readonly claims: Json } | { readonly refused: "invalid" | "expired" };

/**
 * The key that signs ServiceAccount tokens (RS256, the only kind that Entra accepts). Making it takes longer than the
 * rest of the start, so it is made in the background and awaited by whoever needs it first.
 */
export class SigningKey {
  readonly #pair: Promise<KeyPair> = generate();

  async sign(claims: Json): Promise<string> {
    const { kid, privateKey } = await this.#pair;
    return new SignJWT(claims).setProtectedHeader({ alg: "RS256", kid }).sign(privateKey);
  }

  /** Checks signature, issuer and times, `now` in epoch milliseconds; the audience is the caller's to check. */
  async verify(token: string, o: { issuer: string; now: number }): Promise<Verdict> {
    const { publicKey } = await this.#pair;
    try {
      const { payload } = await jwtVerify(token, publicKey, {
        algorithms: ["RS256"],
        issuer: o.issuer,
        currentDate: new Date(o.now),
        requiredClaims: ["exp"],
      });
      return { claims: payload };
    } catch (error) {
      return { refused: error instanceof errors.JWTExpired ? "expired" : "invalid" };
    }
  }

  /** RFC 7517 key set with the public half. */
  async jwks(): Promise<Json> {
    const { publicKey, kid } = await this.#pair;
    const { kty, n, e } = await exportJWK(publicKey);
    return { keys: [{ use: "sig", kty, kid, alg: "RS256", n, e }] };
  }
}

/** `kid` is made as kube-apiserver makes it: SHA-256 of the public key in DER (pkg/serviceaccount/jwt.go). */
async function generate(): Promise<KeyPair> {
  const { publicKey, privateKey } = await promisify(generateKeyPair)("rsa", { modulusLength: 2048 });
  const kid = createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest("base64url");
  return { publicKey, privateKey, kid };
}
