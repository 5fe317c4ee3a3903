import { createHash, createPrivateKey, createPublicKey, generateKeyPair, sign, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import type { JsonObject } from "../json.ts";
import { isJsonObject } from "../json.ts";
import { issueCertificate, validity } from "../tls/certificate.ts";

interface Key {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly kid: string;
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
    this.#key =
      privateKeyPem === undefined
        ? generate(now)
        : Promise.resolve(withCertificate(createPrivateKey(privateKeyPem), now));
  }

  /** A JWT as Entra makes them: RS256, the key named twice. */
  async sign(claims: JsonObject): Promise<string> {
    const { privateKey, kid } = await this.#key;
    const content = `${base64url({ typ: "JWT", alg: "RS256", x5t: kid, kid })}.${base64url(claims)}`;
    const signature = await new Promise<Buffer>((resolve, reject) => {
      sign("sha256", Buffer.from(content), privateKey, (error, bytes) =>
        error === null ? resolve(bytes) : reject(error),
      );
    });
    return `${content}.${signature.toString("base64url")}`;
  }

  /** The claims of a token that this key signed; undefined for anything else. Times are not looked at. */
  async verify(token: string): Promise<JsonObject | undefined> {
    const [header, payload, signature, ...rest] = token.split(".");
    if (header === undefined || payload === undefined || signature === undefined || rest.length > 0) return undefined;
    const { publicKey } = await this.#key;
    if (!verify("sha256", Buffer.from(`${header}.${payload}`), publicKey, Buffer.from(signature, "base64url")))
      return undefined;
    const claims: unknown = JSON.parse(Buffer.from(payload, "base64url").toString());
    return isJsonObject(claims) ? claims : undefined;
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

async function generate(now: () => number): Promise<Key> {
  const privateKey = await new Promise<KeyObject>((resolve, reject) => {
    generateKeyPair("rsa", { modulusLength: 2048 }, (error, _publicHalf, privateHalf) =>
      error === null ? resolve(privateHalf) : reject(error),
    );
  });
  return withCertificate(privateKey, now);
}

function withCertificate(privateKey: KeyObject, now: () => number): Key {
  const publicKey = createPublicKey(privateKey);
  const name = "accounts.accesscontrol.windows.net";
  const certificate = issueCertificate({
    subject: name,
    issuer: name,
    publicKey,
    signer: privateKey,
    signerPublicKey: publicKey,
    ...validity(now(), 1825),
    use: { kind: "server", hosts: [name] },
  });
  return { privateKey, publicKey, certificate, kid: createHash("sha1").update(certificate).digest("base64url") };
}

function base64url(value: JsonObject): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
