import { createServer } from "node:https";
import type { Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { startAzureEmulator } from "@podid/azure-emulator";
import type { AzureEmulator } from "@podid/azure-emulator";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CertificateWorkshop } from "../test/certificates.ts";
import { clientAssertion } from "./client-assertion.ts";
import { readClientCertificate } from "./client-certificate.ts";
import { EntraClient, isTenant, tokenUrl } from "./entra-client.ts";
import type { EntraRequest, TokenEndpoint } from "./entra-client.ts";

const TENANT = "22222222-2222-4222-8222-222222222222";
const APP = "33333333-3333-4333-8333-333333333333";
const CURVED = "33333333-3333-4333-8333-333333333334";
const RENEWED = "33333333-3333-4333-8333-333333333335";
const VAULT = "https://vault.azure.net";
const SECRET = "s3cret+/=&é";

const workshop = new CertificateWorkshop();
let azure: AzureEmulator;
let client: EntraClient;

beforeAll(async () => {
  for (const [name, kind] of [
    ["rsa", "rsa"],
    ["curve", "ec"],
    ["renewed", "rsa"],
    ["stranger", "rsa"],
  ] as const)
    workshop.selfSigned(name, kind);
  azure = await startAzureEmulator({
    seed: {
      tenants: [{ id: TENANT, domain: "contoso.example" }],
      apps: [
        { clientId: APP, tenantId: TENANT, secrets: [SECRET], certificates: [workshop.text("rsa.crt")] },
        { clientId: CURVED, tenantId: TENANT, certificates: [workshop.text("curve.crt")] },
        { clientId: RENEWED, tenantId: TENANT, trustedSubjects: ["CN=renewed"] },
      ],
    },
  });
  client = new EntraClient({ ca: azure.caPem, userAgent: "test" });
});
afterAll(async () => {
  client.close();
  workshop.close();
  await azure.close();
});

function endpoint(change: Partial<TokenEndpoint> = {}): TokenEndpoint {
  return { authority: `https://localhost:${azure.port}/`, tenant: TENANT, version: 2, ...change };
}

function request(change: Partial<EntraRequest> = {}): EntraRequest {
  const credential = { kind: "secret", secret: SECRET } as const;
  return { endpoint: endpoint(), clientId: APP, credential, resource: VAULT, ...change };
}

function claims(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as Record<string, unknown>;
}

describe("a client secret", () => {
  test.for([
    ["version 2", 2, TENANT],
    ["version 1", 1, TENANT],
    ["a domain for a tenant", 2, "contoso.example"],
  ] as const)("%s", async ([, version, tenant]) => {
    const answer = await client.token(request({ endpoint: endpoint({ version, tenant }) }));
    expect(answer).toMatchObject({ kind: "token", tokenType: "Bearer", expiresIn: expect.any(Number) as number });
    if (answer.kind !== "token") return;
    expect(claims(answer.accessToken)).toMatchObject({ appid: APP, appidacr: "1", tid: TENANT, aud: VAULT });
    expect(answer.expiresOn === undefined).toBe(version === 2);
  });

  test.for([
    ["https://management.core.windows.net/", "https://management.core.windows.net/"],
    ["https://vault.azure.net", "https://vault.azure.net"],
  ])("the resource %s is the audience to the letter", async ([resource, audience]) => {
    for (const version of [1, 2] as const) {
      const answer = await client.token(request({ resource: resource ?? "", endpoint: endpoint({ version }) }));
      expect(answer.kind === "token" && claims(answer.accessToken)["aud"]).toBe(audience);
    }
  });

  test("a wrong one is refused, in Entra's words on one line", async () => {
    const answer = await client.token(request({ credential: { kind: "secret", secret: "wrong" } }));
    expect(answer).toMatchObject({ kind: "refused", error: "invalid_client", code: 7000215 });
    expect(answer.kind === "refused" && answer.message).toMatch(/^Entra answered 401: AADSTS7000215: [^\r\n]+$/);
    expect(JSON.stringify(answer)).not.toContain('wrong"');
  });
});

describe("a certificate", () => {
  async function assertion(name: string, clientId: string, o: { legacy?: boolean; endpoint?: TokenEndpoint } = {}) {
    const pem = Buffer.from(workshop.text(`${name}.key`) + workshop.text(`${name}.crt`));
    const audience = tokenUrl(o.endpoint ?? endpoint());
    const { legacy = false } = o;
    const text = clientAssertion(await readClientCertificate(pem), { clientId, audience, nowMs: Date.now(), legacy });
    return { kind: "assertion", assertion: text } as const;
  }
  const header = (text: string): unknown => JSON.parse(Buffer.from(text.split(".")[0] ?? "", "base64url").toString());

  test("RSA signs with PS256", async () => {
    const credential = await assertion("rsa", APP);
    expect(header(credential.assertion)).toMatchObject({ alg: "PS256", "x5t#S256": expect.any(String) as string });
    expect(await client.token(request({ credential }))).toMatchObject({ kind: "token" });
  });

  test("for the first version with RS256 and SHA-1, as ADAL did", async () => {
    const v1 = endpoint({ version: 1 });
    const credential = await assertion("rsa", APP, { legacy: true, endpoint: v1 });
    expect(header(credential.assertion)).toMatchObject({ alg: "RS256", x5t: expect.any(String) as string });
    expect(await client.token(request({ credential, endpoint: v1 }))).toMatchObject({ kind: "token" });
  });

  test("EC signs with ES256", async () => {
    const credential = await assertion("curve", CURVED);
    expect(header(credential.assertion)).toMatchObject({ alg: "ES256" });
    expect(await client.token(request({ credential, clientId: CURVED }))).toMatchObject({ kind: "token" });
  });

  test("a renewed one is known by its subject name", async () => {
    const credential = await assertion("renewed", RENEWED);
    expect(await client.token(request({ credential, clientId: RENEWED }))).toMatchObject({ kind: "token" });
  });

  test("a stranger's is refused", async () => {
    const credential = await assertion("stranger", APP);
    expect(await client.token(request({ credential }))).toMatchObject({ kind: "refused", code: 700027 });
  });

  test("a curve that JWTs do not know is no use", async () => {
    workshop.selfSigned("bitcoin", "secp256k1");
    await expect(assertion("bitcoin", APP)).rejects.toThrow("secp256k1; use P-256, P-384 or P-521");
  });
});

describe("answers that are no tokens", () => {
  let server: Server;
  let answer: (response: ServerResponse) => void;
  let seen: { url: string; body: string }[] = [];
  beforeAll(async () => {
    workshop.selfSigned("server", "ec", "/CN=localhost");
    server = createServer(
      { key: workshop.read("server.key"), cert: workshop.read("server.crt") },
      (incoming, response) => {
        let body = "";
        incoming.on("data", (chunk: Buffer) => (body += chunk.toString()));
        incoming.on("end", () => {
          seen.push({ url: incoming.url ?? "", body });
          answer(response);
        });
      },
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  afterAll(() => server.close());

  async function ask(respond: (response: ServerResponse) => void, timeoutMs = 5_000) {
    answer = respond;
    seen = [];
    const own = new EntraClient({ ca: workshop.text("server.crt"), timeoutMs });
    const authority = `https://localhost:${(server.address() as AddressInfo).port}/`;
    try {
      return await own.token(request({ endpoint: endpoint({ authority }), capabilities: ["cp1"] }));
    } finally {
      own.close();
    }
  }

  const reply =
    (status: number, body: string, headers: Record<string, string> = {}) =>
    (response: ServerResponse): void =>
      void response.writeHead(status, headers).end(body);

  test.for<[string, (response: ServerResponse) => void, object]>([
    [
      "429 with Retry-After",
      reply(429, "Too Many Requests", { "retry-after": "60" }),
      { kind: "throttled", retryAfterMs: 60_000 },
    ],
    ["429 without", reply(429, ""), { kind: "throttled", retryAfterMs: 60_000 }],
    [
      "429 with a very long one",
      reply(429, "", { "retry-after": "86400" }),
      { kind: "throttled", retryAfterMs: 600_000 },
    ],
    ["503 with Retry-After", reply(503, "", { "retry-after": "7" }), { kind: "throttled", retryAfterMs: 7_000 }],
    ["500", reply(500, "oops"), { kind: "unavailable" }],
    ["a proxy's 403", reply(403, "<html>"), { kind: "unavailable" }],
    ["a redirect", reply(302, "", { location: "https://evil.example/" }), { kind: "unavailable" }],
    ["200 that is no token", reply(200, "{}"), { kind: "unavailable" }],
    [
      "an issuer that Entra cannot reach",
      reply(
        400,
        JSON.stringify({ error: "invalid_request", error_description: "AADSTS90061: x", error_codes: [90061] }),
      ),
      { kind: "unavailable", code: 90061 },
    ],
    [
      "a number only in the text",
      reply(400, JSON.stringify({ error: "x", error_description: "AADSTS123: y" })),
      { code: 123 },
    ],
    [
      "a flood",
      reply(200, "x".repeat(300 * 1024)),
      { kind: "unavailable", message: expect.stringContaining("more than") as string },
    ],
    ["a broken connection", (response) => void response.destroy(), { kind: "unavailable" }],
  ])("%s", async ([, respond, want]) => {
    expect(await ask(respond)).toMatchObject(want);
    expect(seen).toHaveLength(1);
  });

  test("none at all within the time", async () => {
    expect(await ask(() => undefined, 50)).toMatchObject({
      kind: "unavailable",
      message: expect.stringContaining("50 ms") as string,
    });
  });

  test("capabilities go as a claim, the resource as a scope", async () => {
    await ask(reply(500, ""));
    const form = new URLSearchParams(seen[0]?.body);
    expect(seen[0]?.url).toBe(`/${TENANT}/oauth2/v2.0/token`);
    expect(form.get("scope")).toBe(`${VAULT}/.default`);
    expect(JSON.parse(form.get("claims") ?? "")).toEqual({ access_token: { xms_cc: { values: ["cp1"] } } });
  });
});

test.for([
  [TENANT, true],
  ["contoso.onmicrosoft.com", true],
  ["adfs", true],
  ["", false],
  ["..", false],
  ["a/../b", false],
  ["a/oauth2/token?x=", false],
  ["a%2f", false],
  ["a b", false],
  ["a.", false],
] as const)("the tenant %j is one: %j", ([text, is]) => {
  expect(isTenant(text)).toBe(is);
  if (!is) expect(() => tokenUrl(endpoint({ tenant: text }))).toThrow(RangeError);
});
