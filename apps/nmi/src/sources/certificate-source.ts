import { CertificateError, clientAssertion, readClientCertificate, tokenUrl } from "@podid/entra-tokens";
import type { ClientCertificate, EndpointVersion } from "@podid/entra-tokens";
import type { Clock, Refused, SourceOutcome, SourceRequest, TokenSource, Unavailable } from "@podid/imds-proxy";
import { UNLIMITED } from "./entra-exchange.ts";
import type { EntraExchange } from "./entra-exchange.ts";
import { certificateOf, wrong } from "./identity-secret.ts";
import type { IdentitySecret } from "./identity-secret.ts";
import type { SecretVersion } from "./secret-reader.ts";

export interface CertificateSourceOptions {
  readonly secret: IdentitySecret;
  readonly exchange: EntraExchange;
  readonly version: EndpointVersion;
  readonly clock: Pick<Clock, "wallMs">;
}

/** Type 2: an application with a certificate. */
export class CertificateSource implements TokenSource {
  readonly limiter = UNLIMITED;
  readonly #options: CertificateSourceOptions;
  /** Opening a PFX takes a while; each edition of a Secret is opened once. */
  readonly #certificates = new WeakMap<SecretVersion, Promise<ClientCertificate | Refused>>();

  constructor(options: CertificateSourceOptions) {
    this.#options = options;
  }

  inputs({ identity }: SourceRequest): string | undefined {
    return this.#options.secret.version(identity);
  }

  async prepare(request: SourceRequest): Promise<Refused | Unavailable | undefined> {
    return this.#options.exchange.problem(request) ?? this.#options.secret.prepare(request);
  }

  async fetch(request: SourceRequest): Promise<SourceOutcome> {
    const { exchange, version, clock } = this.#options;
    const problem = exchange.problem(request);
    if (problem !== undefined) return problem;
    const secret = await this.#options.secret.get(request.identity);
    if (secret.kind !== "secret") return secret;
    const certificate = await this.#certificate(secret);
    if ("kind" in certificate) return certificate;
    const clientId = request.identity.spec.clientID?.trim() ?? "";
    try {
      return await exchange.token(request, (endpoint) => {
        const options = { clientId, audience: tokenUrl(endpoint), nowMs: clock.wallMs(), legacy: version === 1 };
        return { kind: "assertion", assertion: clientAssertion(certificate, options) };
      });
    } catch (error) {
      if (error instanceof CertificateError) return unusable(secret, error);
      throw error;
    }
  }

  #certificate(secret: SecretVersion): Promise<ClientCertificate | Refused> {
    const known = this.#certificates.get(secret);
    if (known !== undefined) return known;
    const opened = open(secret);
    this.#certificates.set(secret, opened);
    return opened;
  }
}

async function open(secret: SecretVersion): Promise<ClientCertificate | Refused> {
  const found = certificateOf(secret);
  if ("kind" in found) return found;
  try {
    return await readClientCertificate(found.data, found.password);
  } catch (error) {
    if (error instanceof CertificateError) return unusable(secret, error);
    throw error;
  }
}

function unusable({ namespace, name }: SecretVersion, error: CertificateError): Refused {
  return wrong(`Secret ${namespace}/${name}: the certificate cannot be used: ${error.message}`);
}
