import { createHash, createPrivateKey, createPublicKey, generateKeyPair, X509Certificate } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { SignJWT } from "jose";
import type { JsonObject } from "../json.ts";
import { decodeJwt, isSignedBy } from "./jwt.ts";

interface Key {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly kid: string;
  /** DER. */
  readonly certificate: Buffer;
}

/**
 * The RSA key that signs access tokens. Making it takes longer than everything else at start-up together,
 * so it is made in the background and awaited by the first token.
 */
export class SigningKey {
  readonly #key: Promise<Key>;

  /** `privateKeyPem`: an RSA key to use instead of a new one. */
  constructor(now: () => number, privateKeyPem?: string) {
    this.#key = certified(privateKeyPem === undefined ? generate() : createPrivateKey(privateKeyPem), now);
  }

  /** A JWT as Entra makes them: RS256, the key named twice. */
  async sign(claims: JsonObject): Promise<string> {
    const { privateKey, kid } = await this.#key;
    return new SignJWT(claims).setProtectedHeader({ typ: "JWT", alg: "RS256", x5t: kid, kid }).sign(privateKey);
  }

  /** The claims of a token that this key signed; undefined for anything else. Times are not looked at. */
  async verify(token: string): Promise<JsonObject | undefined> {
    const jwt = decodeJwt(token);
    if (jwt === undefined) return undefined;
    const { publicKey } = await this.#key;
    return (await isSignedBy(jwt, publicKey, ["RS256"])) ? jwt.claims : undefined;
  }

  /** The public half as an entry of a JWKS. */
  async jwk(issuer: string): Promise<JsonObject> {
    const { publicKey, kid, certificate } = await this.#key;
    const { n, e } = publicKey.export({ format: "jwk" });
    return { kty: "RSA", use: "sig", kid, x5t: kid, n, e, x5c: [certificate.toString("base64")], issuer };
  }

  /** For documents that are signed with a certificate. */
  async material(): Promise<Key> {
    return this.#key;
  }
}

async function certified(making: KeyObject | Promise<KeyObject>, now: () => number): Promise<Key> {
  const { createSelfSigned } = await import("@podid/throwaway-ca");
  const privateKey = await making;
  const pem = await createSelfSigned({
    commonName: "accounts.accesscontrol.windows.net",
    privateKey,
    now: now(),
    days: 1825,
  });
  const certificate = new X509Certificate(pem).raw;
  const kid = createHash("sha1").update(certificate).digest("base64url");
  return { privateKey, publicKey: createPublicKey(privateKey), certificate, kid };
}

async function generate(): Promise<KeyObject> {
  return (await promisify(generateKeyPair)("rsa", { modulusLength: 2048 })).privateKey;
}
