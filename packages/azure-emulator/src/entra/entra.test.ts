import {
  createHash,
  createHmac,
  createSign,
  generateKeyPairSync,
  randomUUID,
  sign,
  constants,
  X509Certificate,
} from "node:crypto";
import type { KeyObject } from "node:crypto";
import { createSelfSigned } from "@podid/throwaway-ca";
import { createLocalJWKSet, jwtVerify } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { TestCloud, TestIssuer } from "../test-cloud.ts";
import { APP, identityId, startTestCloud, startTestIssuer, TENANT } from "../test-cloud.ts";
import { decodeJwt } from "./jwt.ts";

const V1 = `/${TENANT}/oauth2/token`;
const V2 = `/${TENANT}/oauth2/v2.0/token`;
const JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const SCOPE = "https://management.core.windows.net//.default";
const SECRET = { grant_type: "client_credentials", client_id: APP, client_secret: "s3cret", scope: SCOPE };
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const certificate = await createSelfSigned({ commonName: "app", privateKey, now: Date.parse("2026-03-01") });

let cloud: TestCloud;
let cluster: TestIssuer;
let federated: string;
beforeAll(async () => {
  cloud = await startTestCloud();
  cluster = await startTestIssuer({ keys: 100 });
});
beforeEach(() => {
  federated = randomUUID();
  cloud.emulator.state.addApp({
    clientId: federated,
    tenantId: TENANT,
    displayName: "fed",
    certificates: [certificate],
    federatedCredentials: [{ issuer: cluster.issuer, subject: "system:serviceaccount:demo:app" }],
  });
});
afterAll(async () => {
  cluster.close();
  await cloud.emulator.close();
});

test("version 2 answers with numbers, version 1 with texts; a double slash stays in the audience", async () => {
  const v2 = await cloud.entra(V2, SECRET);
  const token = v2.json().access_token;
  expect(v2.text).toBe(`{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"${token}"}`);
  expect(decodeJwt(token)?.claims).toMatchObject({ aud: "https://management.core.windows.net/", appidacr: "1" });
  expect(v2.headers).toMatchObject({
    "cache-control": "no-store, no-cache",
    pragma: "no-cache",
    expires: "-1",
    "x-ms-ests-server": "2.1.12651.9 - EUS ProdSlices",
    "x-ms-clitelem": "1,0,0,,",
  });
  const v1 = await cloud.entra(`${V1}?api-version=1.0`, { ...SECRET, resource: "https://manage.example" });
  expect(v1.json().error).toBe("invalid_resource");
  const known = await cloud.entra("/contoso.com/oauth2/token", { ...SECRET, resource: "https://vault.azure.net" });
  expect(known.text).toBe(
    `{"token_type":"Bearer","expires_in":"3599","ext_expires_in":"3599","expires_on":"1772370000","not_before":"1772366100","resource":"https://vault.azure.net","access_token":"${known.json().access_token}"}`,
  );
});

test("client_secret_basic", async () => {
  const authorization = `Basic ${Buffer.from(`${APP}:s3cret`).toString("base64")}`;
  const reply = await cloud.entra(V2, { grant_type: "client_credentials", scope: SCOPE }, { authorization });
  expect(reply.status).toBe(200);
});

test("access tokens verify with the published keys", async () => {
  const { access_token } = (await cloud.entra(V2, SECRET)).json();
  const discovery = (await cloud.entra(`/${TENANT}/v2.0/.well-known/openid-configuration`)).json();
  expect(discovery).toMatchObject({
    issuer: `https://login.microsoftonline.com/${TENANT}/v2.0`,
    token_endpoint: `https://login.microsoftonline.com${V2}`,
    tenant_region_scope: "WW",
  });
  const { keys } = (await cloud.entra(new URL(discovery.jwks_uri).pathname)).json();
  expect(keys[0].kid).toBe(decodeJwt(access_token)?.header["kid"]);
  const currentDate = new Date(cloud.clock.now());
  await expect(jwtVerify(access_token, createLocalJWKSet({ keys }), { currentDate })).resolves.toMatchObject({
    payload: { appid: APP },
  });
});

test("instance discovery knows the clouds and nobody else", async () => {
  const path = "/common/discovery/instance?api-version=1.1&authorization_endpoint=";
  const known = (await cloud.entra(`${path}https://login.microsoftonline.com/${TENANT}/oauth2/v2.0/authorize`)).json();
  expect(known.metadata[0]).toEqual({
    preferred_network: "login.microsoftonline.com",
    preferred_cache: "login.windows.net",
    aliases: ["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"],
  });
  expect((await cloud.entra(`${path}https://evil.example/x/oauth2/v2.0/authorize`)).json().error).toBe(
    "invalid_instance",
  );
});

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

function certificateAssertion(o: { alg?: "PS256" | "RS256"; header?: object; claims?: object }): string {
  const now = Math.floor(cloud.clock.now() / 1000);
  const alg = o.alg ?? "PS256";
  const header = { alg, typ: "JWT", ...(o.header ?? { "x5t#S256": thumbprint("sha256") }) };
  const claims = {
    aud: `https://login.microsoftonline.com${V2}`,
    iss: federated,
    sub: federated,
    jti: randomUUID(),
    nbf: now,
    exp: now + 600,
    ...o.claims,
  };
  const content = `${encode(header)}.${encode(claims)}`;
  const signature =
    alg === "PS256"
      ? sign("sha256", Buffer.from(content), {
          key: privateKey,
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength: 32,
        })
      : createSign("sha256").update(content).sign(privateKey);
  return `${content}.${signature.toString("base64url")}`;
}

function thumbprint(algorithm: "sha1" | "sha256"): string {
  return createHash(algorithm).update(new X509Certificate(certificate).raw).digest("base64url");
}

const assertionForm = (assertion: string): Record<string, string> => ({
  grant_type: "client_credentials",
  client_id: federated,
  client_assertion_type: JWT_BEARER,
  client_assertion: assertion,
  scope: SCOPE,
});

describe("certificate assertions that are accepted", () => {
  test.for<{ name: string; alg?: "RS256"; header?: () => object; claims?: object }>([
    { name: "PS256 with x5t#S256" },
    { name: "RS256 with x5t, padded", alg: "RS256", header: () => ({ x5t: `${thumbprint("sha1")}=` }) },
    { name: "RS256 with x5t, not padded", alg: "RS256", header: () => ({ x5t: thumbprint("sha1") }) },
    { name: "audience of version 1", claims: { aud: `https://sts.windows.net${V1}` } },
  ])("$name", async ({ alg, header, claims }) => {
    const assertion = certificateAssertion({
      ...(alg && { alg }),
      ...(header && { header: header() }),
      ...(claims && { claims }),
    });
    expect(await cloud.entra(V2, assertionForm(assertion))).toMatchObject({ status: 200 });
  });
});

interface Refusal {
  readonly name: string;
  readonly path?: string;
  readonly form: () => Record<string, string>;
  readonly status: number;
  readonly error: string;
  readonly text: string | RegExp;
}
const federatedToken = (claims: Record<string, unknown>, o?: { kid?: string; key?: KeyObject }): string =>
  cluster.token(
    cloud.clock.now(),
    { sub: "system:serviceaccount:demo:app", aud: "api://AzureADTokenExchange", ...claims },
    o,
  );
/** Header and claims of a good token, under another header and without a signature. */
const withHeader = (header: object): string =>
  `${encode({ typ: "JWT", kid: "key-1", ...header })}.${federatedToken({}).split(".")[1]}`;
const seconds = (): number => Math.floor(cloud.clock.now() / 1000);

describe("refusals", () => {
  test.for<Refusal>([
    {
      name: "no grant",
      form: () => ({ client_id: APP }),
      status: 400,
      error: "invalid_request",
      text: "AADSTS900144: The request body must contain the following parameter: 'grant_type'.",
    },
    {
      name: "no client",
      form: () => ({ grant_type: "client_credentials" }),
      status: 400,
      error: "invalid_request",
      text: "AADSTS900144: The request body must contain the following parameter: 'client_id'.",
    },
    {
      name: "other grant",
      form: () => ({ ...SECRET, grant_type: "password" }),
      status: 400,
      error: "unsupported_grant_type",
      text: "AADSTS70003: ",
    },
    {
      name: "unknown tenant",
      path: `/${APP}/oauth2/v2.0/token`,
      form: () => SECRET,
      status: 400,
      error: "invalid_tenant",
      text: `AADSTS90002: Tenant '${APP}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.`,
    },
    {
      name: "no tenant",
      path: "/common/oauth2/v2.0/token",
      form: () => SECRET,
      status: 400,
      error: "invalid_request",
      text: "AADSTS50059: No tenant-identifying information found",
    },
    {
      name: "unknown app",
      form: () => ({ ...SECRET, client_id: TENANT }),
      status: 400,
      error: "unauthorized_client",
      text: `AADSTS700016: Application with identifier '${TENANT}' was not found in the directory 'Contoso'. `,
    },
    {
      name: "unknown resource",
      form: () => ({ ...SECRET, scope: "https://foo/.default" }),
      status: 400,
      error: "invalid_resource",
      text: "AADSTS500011: The resource principal named https://foo was not found in the tenant named Contoso. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant. ",
    },
    {
      name: "scope without suffix",
      form: () => ({ ...SECRET, scope: "https://foo.microsoft.com" }),
      status: 400,
      error: "invalid_scope",
      text: "AADSTS70011: The provided value for the input parameter 'scope' is not valid. The scope https://foo.microsoft.com is not valid. ",
    },
    {
      name: "wrong secret",
      form: () => ({ ...SECRET, client_secret: "x" }),
      status: 401,
      error: "invalid_client",
      text: `AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '${APP}'. `,
    },
    {
      name: "expired secret",
      form: () => ({ ...SECRET, client_secret: "old" }),
      status: 401,
      error: "invalid_client",
      text: `AADSTS7000222: The provided client secret keys for app '${APP}' are expired. `,
    },
    {
      name: "no credential",
      form: () => ({ grant_type: "client_credentials", client_id: APP, scope: SCOPE }),
      status: 401,
      error: "invalid_client",
      text: "AADSTS7000216: 'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type. ",
    },
    { name: "no JWT", form: () => assertionForm("x.y.z"), status: 401, error: "invalid_client", text: "AADSTS50027: " },
    {
      name: "unregistered certificate",
      form: () => assertionForm(certificateAssertion({ header: { "x5t#S256": "x" } })),
      status: 401,
      error: "invalid_client",
      text: "AADSTS700027: The certificate with identifier used to sign the client assertion is not registered on application. [Reason - The key was not found., ",
    },
    {
      name: "bad signature",
      form: () =>
        assertionForm(
          certificateAssertion({})
            .replace(/.$/, (last) => (last === "A" ? "Q" : "A"))
            .replace(/\.[^.]{8}(?=[^.]*$)/, ".AAAAAAAA"),
        ),
      status: 401,
      error: "invalid_client",
      text: "AADSTS700027: Client assertion contains an invalid signature. ",
    },
    {
      name: "assertion too old",
      form: () => assertionForm(certificateAssertion({ claims: { nbf: seconds() - 7200, exp: seconds() - 3600 } })),
      status: 401,
      error: "invalid_client",
      text: "AADSTS700024: Client assertion is not within its valid time range. Current time: 2026-03-01T12:00:00.2500000Z, assertion valid from 2026-03-01T10:00:00.0000000Z, expiry time of assertion 2026-03-01T11:00:00.0000000Z. ",
    },
    {
      name: "assertion for somebody else",
      form: () => assertionForm(certificateAssertion({ claims: { aud: "https://evil.example/" } })),
      status: 401,
      error: "invalid_client",
      text: "AADSTS700023: ",
    },
    {
      name: "federated: issuer",
      form: () => assertionForm(federatedToken({ iss: "https://other/" })),
      status: 401,
      error: "invalid_client",
      text: "AADSTS700211: No matching federated identity record found for presented assertion issuer 'https://other/'. Check your federated identity credential Subject, Audience and Issuer against the presented assertion. https://learn.microsoft.com/entra/workload-id/workload-identity-federation",
    },
    {
      name: "federated: trailing slash of the issuer",
      form: () => assertionForm(federatedToken({ iss: cluster.issuer.slice(0, -1) })),
      status: 401,
      error: "invalid_client",
      text: "AADSTS700211: ",
    },
    {
      name: "federated: audience",
      form: () => assertionForm(federatedToken({ aud: "sts" })),
      status: 401,
      error: "invalid_client",
      text: "AADSTS700212: No matching federated identity record found for presented assertion audience 'sts'. ",
    },
    {
      name: "federated: subject",
      form: () => assertionForm(federatedToken({ sub: "me" })),
      status: 401,
      error: "invalid_client",
      text: "AADSTS700213: No matching federated identity record found for presented assertion subject 'me'. ",
    },
    {
      name: "federated: subject's case",
      form: () => assertionForm(federatedToken({ sub: "system:serviceaccount:demo:APP" })),
      status: 401,
      error: "invalid_client",
      text: /^AADSTS7002138: .* The subject matches with case-insensitive comparison, but not with case-sensitive comparison\. /,
    },
    {
      name: "federated: no iat",
      form: () => assertionForm(federatedToken({ iat: undefined })),
      status: 400,
      error: "invalid_request",
      text: "AADSTS70023: External OIDC Provider token must have a lifetime of less than or equal to 1.01:00:00. ",
    },
    {
      name: "federated: lives too long",
      form: () => assertionForm(federatedToken({ exp: seconds() + 90_001 })),
      status: 400,
      error: "invalid_request",
      text: "AADSTS70023: ",
    },
    {
      name: "federated: expired",
      form: () => assertionForm(federatedToken({ iat: seconds() - 7200, exp: seconds() - 3600 })),
      status: 401,
      error: "invalid_client",
      text: "AADSTS700024: ",
    },
    {
      name: "federated: unknown key",
      form: () => assertionForm(federatedToken({}, { kid: "gone" })),
      status: 401,
      error: "invalid_client",
      text: "AADSTS700027: ",
    },
    {
      name: "federated: a foreign key under the id of a known one",
      form: () => assertionForm(federatedToken({}, { key: privateKey })),
      status: 401,
      error: "invalid_client",
      text: "AADSTS700027: ",
    },
    {
      name: "federated: no algorithm, no signature",
      form: () => assertionForm(`${withHeader({ alg: "none" })}.`),
      status: 401,
      error: "invalid_client",
      text: "AADSTS700027: ",
    },
    {
      name: "federated: the public key taken for a shared secret",
      form: () => {
        const content = withHeader({ alg: "HS256" });
        return assertionForm(
          `${content}.${createHmac("sha256", cluster.publicKey).update(content).digest("base64url")}`,
        );
      },
      status: 401,
      error: "invalid_client",
      text: "AADSTS700027: ",
    },
    {
      name: "federated: no expiry",
      form: () => assertionForm(federatedToken({ exp: undefined })),
      status: 400,
      error: "invalid_request",
      text: "AADSTS70023: ",
    },
    {
      name: "federated: not valid yet",
      form: () => assertionForm(federatedToken({ nbf: seconds() + 600 })),
      status: 401,
      error: "invalid_client",
      text: "AADSTS700024: ",
    },
    {
      name: "federated: no subject",
      form: () => assertionForm(federatedToken({ sub: undefined })),
      status: 401,
      error: "invalid_client",
      text: "AADSTS50027: ",
    },
    {
      name: "federated: Entra's own token",
      form: () => assertionForm(federatedToken({ iss: `https://sts.windows.net/${TENANT}/` })),
      status: 401,
      error: "invalid_client",
      text: "AADSTS700222: AAD-issued tokens may not be used for federated identity flows. ",
    },
  ])("$name", async ({ path, form, status, error, text }) => {
    const reply = await cloud.entra(path ?? V2, form(), {
      "client-request-id": "99999999-0000-4000-8000-000000000000",
    });
    const body = reply.json();
    expect({ status: reply.status, error: body.error }).toEqual({ status, error });
    if (typeof text === "string") expect(body.error_description.slice(0, text.length)).toBe(text);
    else expect(body.error_description).toMatch(text);
    expect(Object.keys(body)).toEqual([
      "error",
      "error_description",
      "error_codes",
      "timestamp",
      "trace_id",
      "correlation_id",
      "error_uri",
    ]);
    const code = Number(/^AADSTS(\d+)/.exec(body.error_description)?.[1]);
    expect(body).toMatchObject({
      error_codes: [code],
      timestamp: "2026-03-01 12:00:00Z",
      correlation_id: "99999999-0000-4000-8000-000000000000",
      error_uri: `https://login.microsoftonline.com/error?code=${code}`,
    });
    expect(body.error_description).toContain(
      ` Trace ID: ${body.trace_id} Correlation ID: ${body.correlation_id} Timestamp: 2026-03-01 12:00:00Z`,
    );
  });

  test("an app without federated credentials, an issuer that does not answer, a key past the hundredth", async () => {
    const { state } = cloud.emulator;
    const clientId = randomUUID();
    const code = async (): Promise<number> =>
      (await cloud.entra(V2, { ...assertionForm(federatedToken({})), client_id: clientId })).json().error_codes?.[0];
    state.addApp({ clientId, tenantId: TENANT });
    expect(await code()).toBe(70025);
    const crowded = await startTestIssuer({ keys: 101 });
    state.addApp({ clientId, tenantId: TENANT, federatedCredentials: [{ issuer: crowded.issuer, subject: "s" }] });
    const assertion = crowded.token(cloud.clock.now(), { sub: "s", aud: "api://AzureADTokenExchange" });
    const answer = (): Promise<number> =>
      cloud
        .entra(V2, { ...assertionForm(assertion), client_id: clientId })
        .then((reply) => reply.json().error_codes[0]);
    expect(await answer()).toBe(700027);
    crowded.close();
    await expect.poll(answer).toBe(90061);
  });
});

test("Entra's own tokens are refused even where a credential names their issuer", async () => {
  const clientId = randomUUID();
  const issuer = `https://sts.windows.net/${TENANT}/`;
  const subject = "33333333-0000-4000-8000-000000000000";
  const federatedCredentials = [{ issuer, subject, audiences: ["https://vault.azure.net"] }];
  cloud.emulator.state.addApp({ clientId, tenantId: TENANT, federatedCredentials });
  const assertion = await cloud.emulator.issueToken({ principal: APP, resource: "https://vault.azure.net" });
  const reply = await cloud.entra(V2, { ...assertionForm(assertion), client_id: clientId });
  expect(reply.json()).toMatchObject({ error: "invalid_client", error_codes: [700222] });
});

describe("an issuer that is reached elsewhere", () => {
  test.for([
    { name: "a host of its own", issuer: "https://oidc.example" },
    { name: "a path, and a slash at the end", issuer: "https://oidc.example/tenant/cluster/" },
    { name: "keys on a further host", issuer: "https://oidc.example/cluster", jwksUri: "https://keys.example/keys" },
  ])("$name", async ({ issuer, jwksUri = `${issuer.replace(/\/$/, "")}/keys` }) => {
    const elsewhere = await startTestIssuer({ issuer, jwksUri });
    const clientId = randomUUID();
    const { state } = cloud.emulator;
    state.addApp({ clientId, tenantId: TENANT, federatedCredentials: [{ issuer, subject: "s" }] });
    state.configure({ issuers: [{ issuer, url: elsewhere.url }] });
    const assertion = elsewhere.token(cloud.clock.now(), { sub: "s", aud: "api://AzureADTokenExchange" });
    const reply = await cloud.entra(V2, { ...assertionForm(assertion), client_id: clientId });
    elsewhere.close();
    state.configure({ issuers: [] });
    expect(reply).toMatchObject({ status: 200 });
  });

  test("its documents must be those of the issuer", async () => {
    const clientId = randomUUID();
    const issuer = "https://oidc.example/";
    const { state } = cloud.emulator;
    state.addApp({ clientId, tenantId: TENANT, federatedCredentials: [{ issuer, subject: "s" }] });
    state.configure({ issuers: [{ issuer, url: cluster.url }] });
    const assertion = federatedToken({ iss: issuer, sub: "s" });
    const reply = await cloud.entra(V2, { ...assertionForm(assertion), client_id: clientId });
    state.configure({ issuers: [] });
    expect(reply.json()).toMatchObject({ error: "invalid_request", error_codes: [90061] });
  });
});

test("a new federated credential of an identity takes its time", async () => {
  const { state } = cloud.emulator;
  state.configure({ federationPropagationMs: 120_000 });
  const path = `${identityId("id1")}/federatedIdentityCredentials/c1`;
  const body = {
    properties: {
      issuer: cluster.issuer,
      subject: "system:serviceaccount:demo:app",
      audiences: ["api://AzureADTokenExchange"],
    },
  };
  expect((await cloud.arm("PUT", path, { body, version: "2023-01-31" })).status).toBe(201);
  const form = (): Record<string, string> => ({
    ...assertionForm(federatedToken({})),
    client_id: "aaaaaaaa-0000-4000-8000-000000000001",
  });
  const early = (await cloud.entra(V2, form())).json();
  expect(early).toMatchObject({ error: "invalid_request", error_codes: [70021] });
  expect(early.error_description).toContain(
    `No matching federated identity record found for presented assertion. Assertion Issuer: '${cluster.issuer}'. Assertion Subject: 'system:serviceaccount:demo:app'. Assertion Audience: 'api://AzureADTokenExchange'.`,
  );
  cloud.clock.advance(120_000);
  expect((await cloud.entra(V2, form())).status).toBe(200);
});
