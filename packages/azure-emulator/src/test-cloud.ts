import { generateKeyPairSync, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { createServer, request as httpRequest } from "node:http";
import type { IncomingHttpHeaders } from "node:http";
import { request as httpsRequest } from "node:https";
import type { AddressInfo } from "node:net";
import type { Clock } from "./clock.ts";
import type { AzureEmulator, AzureEmulatorOptions } from "./emulator.ts";
import { startAzureEmulator } from "./emulator.ts";
import type { Seed } from "./state/seed.ts";

export const SUBSCRIPTION = "11111111-1111-4111-8111-111111111111";
export const TENANT = "22222222-2222-4222-8222-222222222222";
export const APP = "33333333-3333-4333-8333-333333333333";
export const GROUP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/rg`;
export const VM = `${GROUP}/providers/Microsoft.Compute/virtualMachines/vm1`;
export const SCALE_SET = `${GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/vmss1`;
export const identityId = (name: string): string =>
  `${GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;

export const TEST_SEED: Seed = {
  tenants: [{ id: TENANT, domain: "contoso.com", displayName: "Contoso" }],
  subscriptions: [{ id: SUBSCRIPTION, tenantId: TENANT, displayName: "Test" }],
  apps: [
    {
      clientId: APP,
      objectId: "33333333-0000-4000-8000-000000000000",
      displayName: "mic",
      secrets: ["s3cret", { value: "old", expiresAt: "2020-01-01T00:00:00Z" }],
    },
  ],
  userAssignedIdentities: [
    {
      id: identityId("id1"),
      clientId: "aaaaaaaa-0000-4000-8000-000000000001",
      principalId: "bbbbbbbb-0000-4000-8000-000000000001",
    },
    {
      id: identityId("id2"),
      clientId: "aaaaaaaa-0000-4000-8000-000000000002",
      principalId: "bbbbbbbb-0000-4000-8000-000000000002",
    },
  ],
  virtualMachines: [{ id: VM, vmId: "cccccccc-0000-4000-8000-000000000001", userAssigned: [identityId("id1")] }],
  scaleSets: [{ id: SCALE_SET, instances: 2 }],
  roleAssignments: [{ principal: APP, role: "Contributor", scope: `/subscriptions/${SUBSCRIPTION}` }],
};

/** A clock that stands still until it is told to go on. */
export class StandingClock implements Clock {
  #now = Date.parse("2026-03-01T12:00:00.250Z");
  #timers: { at: number; run: () => void }[] = [];

  now = (): number => this.#now;

  setTimeout = (run: () => void, ms: number): { cancel(): void } => {
    const timer = { at: this.#now + ms, run };
    this.#timers.push(timer);
    return { cancel: () => void (this.#timers = this.#timers.filter((other) => other !== timer)) };
  };

  get waiting(): number {
    return this.#timers.length;
  }

  advance(ms: number): void {
    this.#now += ms;
    const due = this.#timers.filter(({ at }) => at <= this.#now);
    this.#timers = this.#timers.filter(({ at }) => at > this.#now);
    for (const { run } of due) run();
  }
}

export interface TestReply {
  readonly status: number;
  readonly reason: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly text: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into bodies of many shapes
  json(): any;
}

export interface Send {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly ca?: string;
}

export function send(url: string, o: Send = {}): Promise<TestReply> {
  const body = o.body === undefined || typeof o.body === "string" ? o.body : JSON.stringify(o.body);
  const secure = url.startsWith("https:");
  return new Promise((resolve, reject) => {
    const options = { method: o.method ?? "GET", headers: o.headers, agent: false as const };
    const outgoing = (secure ? httpsRequest : httpRequest)(
      url,
      secure ? { ...options, ca: o.ca } : options,
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          resolve({
            status: response.statusCode ?? 0,
            reason: response.statusMessage ?? "",
            headers: response.headers,
            rawHeaders: response.rawHeaders,
            text,
            json: () => JSON.parse(text) as unknown,
          });
        });
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

export interface TestCloud {
  readonly emulator: AzureEmulator;
  readonly clock: StandingClock;
  readonly url: string;
  /** To ARM, with a token of {@link APP} unless `token` says otherwise; `api-version` is added. */
  arm(
    method: string,
    path: string,
    o?: { body?: unknown; token?: string; version?: string; headers?: Record<string, string> },
  ): Promise<TestReply>;
  entra(path: string, form?: Record<string, string>, headers?: Record<string, string>): Promise<TestReply>;
}

// One for all tests of a file: making an RSA key takes longer than most of them.
const SIGNING_KEY = generateKeyPairSync("rsa", { modulusLength: 2048 })
  .privateKey.export({ type: "pkcs8", format: "pem" })
  .toString();

/** An emulator on a standing clock with {@link TEST_SEED}. */
export async function startTestCloud(o: AzureEmulatorOptions = {}): Promise<TestCloud> {
  const clock = new StandingClock();
  const emulator = await startAzureEmulator({
    now: clock.now,
    setTimeout: clock.setTimeout,
    seed: TEST_SEED,
    signingKey: SIGNING_KEY,
    ...o,
  });
  const url = `https://localhost:${emulator.port}`;
  return {
    emulator,
    clock,
    url,
    async arm(method, path, { body, token, version, headers } = {}) {
      const bearer =
        token ?? (await emulator.issueToken({ principal: APP, resource: "https://management.azure.com/" }));
      return send(`${url}${path}${path.includes("?") ? "&" : "?"}api-version=${version ?? "2025-04-01"}`, {
        method,
        body,
        ca: emulator.caPem,
        headers: { host: "management.azure.com", authorization: `Bearer ${bearer}`, ...headers },
      });
    },
    entra: (path, form, headers) =>
      send(`${url}${path}`, {
        method: form === undefined ? "GET" : "POST",
        ca: emulator.caPem,
        headers: { host: "login.microsoftonline.com", "content-type": "application/x-www-form-urlencoded", ...headers },
        ...(form === undefined ? {} : { body: new URLSearchParams(form).toString() }),
      }),
  };
}

/** An OpenID provider as a cluster is one: discovery, keys, and tokens on demand. */
export interface TestIssuer {
  readonly issuer: string;
  /** Where it is really served, with a slash at the end. */
  readonly url: string;
  /** PEM of the public key. */
  readonly publicKey: string;
  /** Signs `claims`, with `key` instead of its own if given; `iss`, `iat` and `exp` (an hour) are added unless given. `now`: epoch milliseconds. */
  token(now: number, claims: Record<string, unknown>, o?: { kid?: string; key?: KeyObject }): string;
  close(): void;
}

/** `issuer` and `jwksUri`: what its documents claim instead of the address that it is served at. */
export async function startTestIssuer(
  o: { keys?: number; issuer?: string; jwksUri?: string } = {},
): Promise<TestIssuer> {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const server = createServer((request, response) => {
    const jwk = { ...publicKey.export({ format: "jwk" }), kid: "key-1", use: "sig", alg: "RS256" };
    const others = Array.from({ length: (o.keys ?? 1) - 1 }, (_, index) => ({ kty: "RSA", kid: `other-${index}` }));
    const documents: Readonly<Record<string, unknown>> = {
      "/keys": { keys: [...others, jwk] },
      "/.well-known/openid-configuration": { issuer, jwks_uri: o.jwksUri ?? `${issuer}keys` },
    };
    const body = documents[request.url ?? ""];
    response.writeHead(body === undefined ? 404 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const issuer = o.issuer ?? url;
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  return {
    issuer,
    url,
    publicKey: publicKey.export({ type: "spki", format: "pem" }).toString(),
    token(now, claims, { kid = "key-1", key = privateKey } = {}) {
      const iat = Math.floor(now / 1000);
      const signed = `${encode({ alg: "RS256", typ: "JWT", kid })}.${encode({ iss: issuer, iat, exp: iat + 3600, ...claims })}`;
      return `${signed}.${sign("sha256", Buffer.from(signed), key).toString("base64url")}`;
    },
    close: () => void server.close(),
  };
}
