import { request } from "node:https";

/** Entra's answer to one exchange; a refusal has `code`, its AADSTS number. */
export interface Exchange {
  readonly status: number;
  readonly error: string | undefined;
  readonly code: number | undefined;
  readonly accessToken: string | undefined;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Speaks to the emulated Entra under its real host name, as NMI does. */
export class EntraClient {
  readonly #port: number;
  readonly #caPem: string;

  constructor(o: { readonly port: number; readonly caPem: string }) {
    this.#port = o.port;
    this.#caPem = o.caPem;
  }

  /** Client credentials with a federated assertion at the v2 endpoint. */
  async exchange(o: { tenant: string; clientId: string; assertion: string; scope: string }): Promise<Exchange> {
    const form = new URLSearchParams({
      grant_type: "client_credentials",
      client_id: o.clientId,
      client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
      client_assertion: o.assertion,
      scope: o.scope,
    });
    const { status, body } = await this.#send("POST", `/${o.tenant}/oauth2/v2.0/token`, form.toString());
    const { error, error_codes: codes, access_token: token } = body;
    return {
      status,
      error: typeof error === "string" ? error : undefined,
      code: Array.isArray(codes) && typeof codes[0] === "number" ? codes[0] : undefined,
      accessToken: typeof token === "string" ? token : undefined,
      body,
    };
  }

  async keys(tenant: string): Promise<{ keys: { kty: string }[] }> {
    return (await this.#send("GET", `/${tenant}/discovery/v2.0/keys`)).body as unknown as { keys: { kty: string }[] };
  }

  #send(method: string, path: string, form?: string): Promise<{ status: number; body: Record<string, unknown> }> {
    const host = "login.microsoftonline.com";
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          host: "127.0.0.1",
          port: this.#port,
          servername: host,
          ca: this.#caPem,
          agent: false,
          method,
          path,
          headers: { host, ...(form !== undefined && { "content-type": "application/x-www-form-urlencoded" }) },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("error", reject);
          response.on("end", () => {
            const body = JSON.parse(Buffer.concat(chunks).toString("utf8")) as Record<string, unknown>;
            resolve({ status: response.statusCode ?? 0, body });
          });
        },
      );
      sent.on("error", reject);
      sent.end(form);
    });
  }
}
