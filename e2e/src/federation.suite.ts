import { generateKeyPairSync } from "node:crypto";
import { request } from "node:https";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { ClientAssertionCredential } from "@azure/identity";
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify, SignJWT } from "jose";
import type { JWTPayload } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AUDIENCE, CLIENTS, Federation, identityId, NODE, SCOPE, TENANT } from "./federation.ts";
import type { ClientName, FederationServer, LivePod } from "./federation.ts";
import { until } from "./until.ts";

const VAULT = "https://vault.azure.net";
const HOUR_S = 3600;
/** How far Entra lets clocks differ. */
const SKEW_S = 300;

/** A pod's ServiceAccount token of a real issuer becomes an access token at Entra, and nothing else does. */
export function federationScenarios(name: string, start: () => Promise<FederationServer>): void {
  describe(name, () => {
    let federation: Federation;
    let pod: LivePod;
    beforeAll(async () => {
      federation = await Federation.start(await start());
      pod = await federation.createPod("shop", "app", "app-1");
    });
    afterAll(() => federation?.close());

    test("until somebody publishes the issuer's documents Entra cannot read them", async ({ skip }) => {
      if (!federation.server.guardsDiscovery) skip("the emulator enforces no RBAC");
      expect(await statusOf(federation.server, "/.well-known/openid-configuration")).toBe(403);
      expect(await statusOf(federation.server, "/openid/v1/jwks")).toBe(403);
      expect(await federation.exchange(await federation.token(pod))).toMatchObject({ status: 400, code: 90061 });
    });

    describe("published", () => {
      beforeAll(async () => {
        await federation.publishDiscovery();
        for (const path of ["/.well-known/openid-configuration", "/openid/v1/jwks"])
          await until(`anybody may read ${path}`, async () => (await statusOf(federation.server, path)) === 200);
      });
      exchanges(() => ({ federation, pod }));
      refusals(() => ({ federation, pod }));
      lives(() => federation);
    });
  });
}

type Scene = () => { readonly federation: Federation; readonly pod: LivePod };

function exchanges(scene: Scene): void {
  test("the token is the pod's own: account, pod and node by name and UID, Entra's audience, an hour", async () => {
    const { federation, pod } = scene();
    const token = await federation.token(pod);
    expect(decodeProtectedHeader(token)).toEqual({ alg: "RS256", kid: expect.any(String) as string });
    const { iat = 0, exp = 0, ...claims } = decodeJwt(token);
    expect(exp - iat).toBe(HOUR_S);
    expect(claims).toMatchObject({
      iss: federation.server.issuer,
      sub: "system:serviceaccount:shop:app",
      aud: [AUDIENCE],
      jti: expect.any(String) as string,
      "kubernetes.io": {
        namespace: "shop",
        serviceaccount: { name: "app", uid: expect.stringMatching(/./) as string },
        pod: { name: "app-1", uid: pod.uid },
        node: { name: NODE, uid: expect.stringMatching(/./) as string },
      },
    });
  });

  test("a managed identity's access token for it", async () => {
    const { federation, pod } = scene();
    const assertion = await federation.token(pod);
    const { status, accessToken = "", body } = await federation.exchange(assertion);
    expect({ status, ...body }).toMatchObject({ status: 200, token_type: "Bearer", expires_in: 3599 });
    const { payload } = await jwtVerify(accessToken, createLocalJWKSet(await federation.entra.keys(TENANT)));
    expect(payload).toMatchObject({
      aud: VAULT,
      appid: CLIENTS.cart,
      appidacr: "2",
      tid: TENANT,
      oid: federation.azure.state.principal(CLIENTS.cart)?.objectId,
      xms_mirid: identityId("cart").replace("resourceGroups", "resourcegroups"),
    });
    expect(JSON.stringify(federation.azure.requests.entries())).not.toContain(assertion.split(".")[2]);
  });

  test("an app's, by the official SDK", async () => {
    const { federation, pod } = scene();
    // What NODE_EXTRA_CA_CERTS does at the start of a process.
    const trusted = getCACertificates("default");
    setDefaultCACertificates([...trusted, federation.azure.caPem]);
    try {
      const credential = new ClientAssertionCredential(TENANT, CLIENTS.app, () => federation.token(pod), {
        authorityHost: `https://localhost:${federation.azure.port}`,
        disableInstanceDiscovery: true,
      });
      const { token } = await credential.getToken(SCOPE);
      expect(decodeJwt(token)).toMatchObject({ appid: CLIENTS.app, aud: VAULT });
    } finally {
      setDefaultCACertificates(trusted);
    }
  });

  test("a day and an hour is the longest life", async () => {
    const { federation, pod } = scene();
    const assertion = await federation.token(pod, { expirationSeconds: 25 * HOUR_S });
    expect(await federation.exchange(assertion)).toMatchObject({ status: 200 });
  });
}

interface Refusal {
  readonly name: string;
  readonly assertion: (federation: Federation, pod: LivePod) => Promise<string>;
  readonly client?: ClientName;
  /** Entra's clock against the API server's. */
  readonly aheadS?: number;
  readonly status?: number;
  readonly error?: string;
  readonly code: number;
}

function refusals(scene: Scene): void {
  const own: Refusal["assertion"] = (federation, pod) => federation.token(pod);
  test.for<Refusal>([
    {
      name: "another ServiceAccount of the namespace",
      assertion: async (federation) => federation.token(await federation.createPod("shop", "batch", "batch-1")),
      code: 700213,
    },
    {
      name: "the ServiceAccount of that name in another namespace",
      assertion: async (federation) => federation.token(await federation.createPod("rival", "app", "app-1")),
      code: 700213,
    },
    { name: "a subject in other case", client: "cased", assertion: own, code: 7002138 },
    { name: "an issuer but for the slash at its end", client: "slash", assertion: own, code: 700211 },
    {
      name: "an audience of somebody else",
      assertion: (federation, pod) => federation.token(pod, { audience: "sts.amazonaws.com" }),
      code: 700212,
    },
    {
      name: "a token for the API server itself",
      assertion: (federation, pod) => federation.token(pod, { audience: federation.server.url }),
      code: 700212,
    },
    {
      name: "another ServiceAccount's token, its subject replaced",
      assertion: async (federation) => {
        const other = await federation.createPod("shop", "batch", "batch-2");
        return tampered(await federation.token(other), { sub: "system:serviceaccount:shop:app" });
      },
      code: 700027,
    },
    {
      name: "a foreign key under the API server's key id",
      assertion: async (federation, pod) => signedByAnother(await federation.token(pod)),
      code: 700027,
    },
    { name: "an expired token", assertion: own, aheadS: HOUR_S + SKEW_S + 5, code: 700024 },
    { name: "a token from the future", assertion: own, aheadS: -SKEW_S - 60, code: 700024 },
    {
      name: "a life of more than 25 hours",
      assertion: (federation, pod) => federation.token(pod, { expirationSeconds: 25 * HOUR_S + 1 }),
      status: 400,
      error: "invalid_request",
      code: 70023,
    },
    {
      name: "an access token of Entra's own",
      assertion: (federation) => federation.azure.issueToken({ principal: CLIENTS.cart, resource: VAULT }),
      code: 700222,
    },
    { name: "an identity that trusts nobody", client: "closed", assertion: own, code: 70025 },
  ])(
    "refused: $name",
    async ({ assertion, client = "cart", aheadS = 0, status = 401, error = "invalid_client", code }) => {
      const { federation, pod } = scene();
      const token = await assertion(federation, pod);
      const answer = await federation.aheadBy(aheadS, () => federation.exchange(token, client));
      expect(answer).toMatchObject({ status, error, code });
      expect(answer.accessToken).toBeUndefined();
      expect(JSON.stringify(answer.body)).not.toContain(token.split(".")[2]);
    },
  );

  test.for<{ name: string; documents: (server: FederationServer) => { url: string; caPem?: string } }>([
    { name: "nobody listens", documents: ({ caPem }) => ({ url: "https://127.0.0.1:1", caPem }) },
    { name: "a certificate that Entra does not trust", documents: ({ url }) => ({ url }) },
    { name: "somebody else answers", documents: ({ url, caPem }) => ({ url: `${url}/version#`, caPem }) },
  ])("refused: the issuer's documents cannot be had: $name", async ({ documents }) => {
    const { federation, pod } = scene();
    const { state } = federation.azure;
    const { issuers } = state.settings;
    state.configure({ issuers: [{ issuer: federation.server.issuer, ...documents(federation.server) }] });
    const answer = await federation.exchange(await federation.token(pod));
    state.configure({ issuers });
    expect(answer).toMatchObject({ status: 400, error: "invalid_request", code: 90061 });
  });
}

function lives(federation: () => Federation): void {
  test("only for the pod that lives, by its UID, and only its own ServiceAccount", async () => {
    const { pods } = federation();
    const first = await federation().createPod("shop", "app", "app-2");
    await expect(federation().token({ ...first, serviceAccount: "batch" })).rejects.toMatchObject({ status: 400 });
    await pods.delete(first.name, first.namespace, { gracePeriodSeconds: 0 });
    await expect(federation().token(first)).rejects.toMatchObject({ status: 404 });
    const second = await federation().createPod("shop", "app", "app-2");
    expect(second.uid).not.toBe(first.uid);
    await expect(federation().token(first)).rejects.toMatchObject({ status: 409 });
    expect(await federation().exchange(await federation().token(second))).toMatchObject({ status: 200 });
  });

  test("a deleted pod's token is dead to the API server; Entra cannot know, and takes it until it expires", async () => {
    const doomed = await federation().createPod("shop", "app", "app-3");
    const [reviewed, kept] = [await federation().token(doomed), await federation().token(doomed)];
    expect(await isAuthenticated(federation(), reviewed)).toBe(true);
    await federation().pods.delete(doomed.name, doomed.namespace, { gracePeriodSeconds: 0 });
    // Not the one that was reviewed: API servers remember a good verdict for ten seconds.
    await expect.poll(() => isAuthenticated(federation(), kept), { timeout: 15_000 }).toBe(false);
    expect(await federation().exchange(kept)).toMatchObject({ status: 200 });
    const later = federation().aheadBy(HOUR_S + SKEW_S + 5, () => federation().exchange(kept));
    expect(await later).toMatchObject({ status: 401, code: 700024 });
  });
}

async function isAuthenticated({ transport }: Federation, token: string): Promise<boolean> {
  const { status } = await transport.request<{ status: { authenticated?: boolean } }>({
    method: "POST",
    path: "/apis/authentication.k8s.io/v1/tokenreviews",
    body: {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenReview",
      spec: { token, audiences: [AUDIENCE] },
    },
  });
  return status.authenticated === true;
}

/** The status of an anonymous GET. */
function statusOf({ url, caPem }: FederationServer, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(url + path, { ca: caPem, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.on("error", reject);
    sent.end();
  });
}

function tampered(token: string, changes: JWTPayload): string {
  const [header, , signature] = token.split(".");
  const payload = JSON.stringify({ ...decodeJwt(token), ...changes });
  return [header, Buffer.from(payload).toString("base64url"), signature].join(".");
}

function signedByAnother(token: string): Promise<string> {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const { kid = "" } = decodeProtectedHeader(token);
  return new SignJWT(decodeJwt(token)).setProtectedHeader({ alg: "RS256", kid }).sign(privateKey);
}
