import { createHash, generateKeyPair, generateKeyPairSync, sign, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import type { Json } from "./json.ts";
import { isObject } from "./json.ts";

interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
  readonly kid: string;
}

const RSA = { modulusLength: 2048 } as const;

/** The key that signs ServiceAccount tokens (RS256, the only kind that Entra accepts). Made off the start-up path. */
export class SigningKey {
  #pair: KeyPair | undefined;

  constructor() {
    generateKeyPair("rsa", RSA, (error, publicKey, privateKey) => {
      if (error === null) this.#pair ??= withId(publicKey, privateKey);
    });
  }

  /** Waits for nothing: whoever needs the key before it is there makes it. */
  get pair(): KeyPair {
    if (this.#pair === undefined) {
      const { publicKey, privateKey } = generateKeyPairSync("rsa", RSA);
      this.#pair = withId(publicKey, privateKey);
    }
    return this.#pair;
  }

  sign(claims: Json): string {
    const { kid, privateKey } = this.pair;
    const content = `${encode({ alg: "RS256", kid })}.${encode(claims)}`;
    return `${content}.${sign("sha256", Buffer.from(content), privateKey).toString("base64url")}`;
  }

  /** The claims of a token that this key signed; times and audience are the caller's to check. */
  verify(token: string): Json | undefined {
    const [head, body, signature, ...rest] = token.split(".");
    if (head === undefined || body === undefined || signature === undefined || rest.length > 0) return undefined;
    const header = decode(head);
    if (header?.alg !== "RS256" || header.kid !== this.pair.kid) return undefined;
    const genuine = verify(
      "sha256",
      Buffer.from(`${head}.${body}`),
      this.pair.publicKey,
      Buffer.from(signature, "base64url"),
    );
    return genuine ? decode(body) : undefined;
  }

  /** RFC 7517 key set with the public half. */
  jwks(): Json {
    const { n, e } = this.pair.publicKey.export({ format: "jwk" });
    return { keys: [{ use: "sig", kty: "RSA", kid: this.pair.kid, alg: "RS256", n, e }] };
  }
}

function withId(publicKey: KeyObject, privateKey: KeyObject): KeyPair {
  const kid = createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest("base64url");
  return { publicKey, privateKey, kid };
}

function encode(value: Json): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function decode(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, "base64url").toString("utf8"));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
