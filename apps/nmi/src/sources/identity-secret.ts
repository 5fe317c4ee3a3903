import type { Refused, SourceRequest, Unavailable } from "@podid/imds-proxy";
import type { IdentityRecord } from "@podid/matcher";
import type { SecretReader, SecretResult, SecretVersion } from "./secret-reader.ts";

/**
 * The Secret that an AzureIdentity names. Only one of the identity's own namespace, unless an administrator has listed the
 * Secret's: otherwise whoever may create an AzureIdentity could use what is in any Secret that NMI can read.
 */
export class IdentitySecret {
  readonly #reader: SecretReader;
  readonly #namespaces: ReadonlySet<string>;

  /** @param options.namespaces those whose Secrets may be named from others; `*` is all */
  constructor(options: { readonly reader: SecretReader; readonly namespaces: readonly string[] }) {
    this.#reader = options.reader;
    this.#namespaces = new Set(options.namespaces);
  }

  /** Tells editions apart; undefined when {@link get} has to be asked. */
  version(identity: IdentityRecord): string | undefined {
    const at = this.#place(identity);
    return "kind" in at ? undefined : this.#reader.known(at.namespace, at.name)?.version;
  }

  async get(identity: IdentityRecord): Promise<SecretResult> {
    const at = this.#place(identity);
    if ("kind" in at) return at;
    const result = await this.#reader.get(at.namespace, at.name);
    return result.kind === "secret" ? result : { ...result, message: `${nameOf(identity)}: ${result.message}` };
  }

  async prepare({ identity }: SourceRequest): Promise<Refused | Unavailable | undefined> {
    const result = await this.get(identity);
    return result.kind === "secret" ? undefined : result;
  }

  #place(identity: IdentityRecord): { readonly namespace: string; readonly name: string } | Refused {
    const { name, namespace = identity.namespace } = identity.spec.clientPassword ?? {};
    if (!name) return invalid(identity, "spec.clientPassword.name is missing: it names the Secret of the credential");
    const own = namespace === identity.namespace || namespace === "";
    if (own) return { namespace: identity.namespace, name };
    if (this.#namespaces.has("*") || this.#namespaces.has(namespace)) return { namespace, name };
    const message =
      `${nameOf(identity)}: spec.clientPassword.namespace is ${JSON.stringify(namespace)}, which is not the identity's own; ` +
      `move the Secret to ${identity.namespace}, or start NMI with --secret-namespaces=${namespace}`;
    return { kind: "refused", reason: "secret-namespace", message };
  }
}

/** A client secret is the key `clientSecret`, or the only key. */
export function clientSecretOf(secret: SecretVersion): string | Refused {
  const where = `Secret ${secret.namespace}/${secret.name}`;
  const keys = [...secret.data.keys()];
  const [only] = keys;
  const key = secret.data.has("clientSecret") ? "clientSecret" : keys.length === 1 ? only : undefined;
  if (key === undefined) {
    const has = keys.length === 0 ? "no key" : `the keys ${keys.sort().join(", ")}`;
    return wrong(`${where} has ${has}; put the client secret under the key clientSecret`);
  }
  // Files end in a line break, and Secrets are made of files; no client secret has one.
  const value =
    secret.data
      .get(key)
      ?.toString("utf8")
      .replace(/[\r\n]+$/, "") ?? "";
  return value === "" ? wrong(`${where}: the key ${key} is empty; put the client secret there`) : value;
}

/** A certificate is `certificate` with `password`, as ever, or `tls.crt` and `tls.key`, as cert-manager writes them. */
export function certificateOf(secret: SecretVersion): { readonly data: Buffer; readonly password: string } | Refused {
  const { data } = secret;
  const password =
    data
      .get("password")
      ?.toString("utf8")
      .replace(/[\r\n]+$/, "") ?? "";
  const certificate = data.get("certificate");
  if (certificate !== undefined && certificate.length > 0) return { data: certificate, password };
  const [crt, key] = [data.get("tls.crt"), data.get("tls.key")];
  if (crt !== undefined && key !== undefined) return { data: Buffer.concat([key, Buffer.from("\n"), crt]), password };
  const keys = [...data.keys()].sort().join(", ") || "none";
  return wrong(
    `Secret ${secret.namespace}/${secret.name} has the keys ${keys}; put the certificate (PFX or PEM) under certificate and its password under password, or use tls.crt and tls.key`,
  );
}

/** @returns how messages name it */
export function nameOf({ namespace, name }: IdentityRecord): string {
  return `AzureIdentity ${namespace}/${name}`;
}

export function invalid(identity: IdentityRecord, what: string): Refused {
  return { kind: "refused", reason: "identity-invalid", message: `${nameOf(identity)}: ${what}` };
}

export function wrong(message: string): Refused {
  return { kind: "refused", reason: "secret-invalid", message };
}
