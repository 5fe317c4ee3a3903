import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { API_VERSION } from "@podid/crd-types";
import type { KubeObject } from "@podid/kube";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { clientId, NodeHarness, RESOURCE, resourceId } from "../../test/node-harness.ts";
import type { Answer } from "../../test/node-harness.ts";

const TENANT = "22222222-2222-4222-8222-222222222222";
const OTHER_TENANT = "22222222-2222-4222-8222-222222222223";
const APP = "33333333-3333-4333-8333-333333333333";
const SECRET = "the-client-secret";
const PASSWORD = "p";

let harness: NodeHarness;
let directory: string;
let pfx: Buffer;
let authority: string;
let kubeletConfig: string;
const trusted = getCACertificates("default");

beforeAll(async () => {
  harness = await NodeHarness.start();
  setDefaultCACertificates([...trusted, harness.azure.caPem, harness.kube.caPem]);
  directory = mkdtempSync(join(tmpdir(), "podid-sources-"));
  const openssl = (command: string): void =>
    void execFileSync("openssl", command.split(" "), { cwd: directory, stdio: "pipe" });
  openssl("req -x509 -nodes -days 2 -newkey rsa:2048 -keyout key -out crt -subj /CN=app");
  openssl(`pkcs12 -export -inkey key -in crt -out pfx -passout pass:${PASSWORD}`);
  pfx = readFileSync(join(directory, "pfx"));
  authority = `https://localhost:${harness.azure.port}/`;
  kubeletConfig = join(directory, "kubelet.conf");
  writeFileSync(kubeletConfig, harness.kube.kubeconfig());
  await harness.serviceAccount("app");
});

afterAll(async () => {
  setDefaultCACertificates(trusted);
  rmSync(directory, { recursive: true });
  await harness.stop();
});

afterEach(async () => {
  const secrets = harness.client("secrets");
  for (const { metadata } of (await secrets.list({})).items) await secrets.delete(metadata.name, metadata.namespace);
  await harness.reset();
});

const FEDERATED = { issuer: "", subject: "system:serviceaccount:default:app" };

/** NMI on a node, and an application in the tenant. */
async function node(...flags: string[]): Promise<void> {
  harness.azure.state.seed({
    tenants: [{ id: TENANT }, { id: OTHER_TENANT }],
    apps: [
      {
        clientId: APP,
        tenantId: TENANT,
        secrets: [SECRET],
        certificates: [readFileSync(join(directory, "crt"), "utf8")],
        federatedCredentials: [{ ...FEDERATED, issuer: harness.kube.url }],
      },
    ],
    settings: { issuers: [{ issuer: harness.kube.url, caPem: harness.kube.caPem }] },
  });
  await harness.startNmi(
    "--operation-mode=managed",
    "--forceNamespaced",
    `--allowed-authorities=${authority}`,
    `--kubelet-kubeconfig=${kubeletConfig}`,
    ...flags,
  );
  await harness.ready();
}

/** A pod that is bound to an identity of that spec. @returns its address */
async function bound(spec: object, o: { name?: string; serviceAccount?: string } = {}): Promise<string> {
  const { name = "pod", serviceAccount } = o;
  await harness.client("azureIdentities").create({
    apiVersion: API_VERSION,
    kind: "AzureIdentity",
    metadata: { name, namespace: "default" },
    spec: { tenantID: TENANT, clientID: APP, adEndpoint: authority, ...spec },
  });
  await harness.binding(name, name, name);
  return (await harness.pod(name, name, serviceAccount === undefined ? {} : { serviceAccount })).address;
}

function secret(
  data: Record<string, string | Buffer>,
  name = "app-secret",
  namespace = "default",
): Promise<KubeObject> {
  const encoded = Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString("base64")]);
  return harness
    .client("secrets")
    .create({ apiVersion: "v1", kind: "Secret", metadata: { name, namespace }, data: Object.fromEntries(encoded) });
}

const SECRET_SPEC = { type: 1, clientPassword: { name: "app-secret", namespace: "default" } };

function claims(answer: Answer): Record<string, unknown> {
  const payload = answer.json["access_token"]?.split(".")[1] ?? "";
  return JSON.parse(Buffer.from(payload, "base64url").toString()) as Record<string, unknown>;
}

const entraRequests = (): number => harness.azure.requests.entries({ service: "entra" }).length;
const secretReads = (): number =>
  harness.kube.audit.entries.filter(({ resource, verb }) => resource === "secrets" && verb === "get").length;

describe("type 1, a client secret", () => {
  test("S30 S81 the Secret is read by reference and the pod gets the application's token, in IMDS's form", async () => {
    await node();
    await secret({ clientSecret: SECRET, other: "x" });
    const address = await bound(SECRET_SPEC);
    const answer = await harness.token(address);
    expect(answer.status).toBe(200);
    expect(Object.keys(answer.json)).toEqual([
      "access_token",
      "client_id",
      "expires_in",
      "expires_on",
      "ext_expires_in",
      "not_before",
      "resource",
      "token_type",
      "refresh_token",
    ]);
    expect(Object.values(answer.json).every((value) => typeof value === "string")).toBe(true);
    expect(answer.json).toMatchObject({ client_id: APP, resource: RESOURCE, token_type: "Bearer" });
    expect(claims(answer)).toMatchObject({ appid: APP, appidacr: "1", tid: TENANT, aud: RESOURCE });
    expect(harness.logLines.join("\n")).not.toContain(SECRET);

    expect((await harness.token(address)).status).toBe(200);
    expect([entraRequests(), secretReads()]).toEqual([1, 1]);
  });

  test("a Secret's only key will do, whatever its name, and a line break at its end does no harm", async () => {
    await node();
    await secret({ password: `${SECRET}\n` });
    expect((await harness.token(await bound(SECRET_SPEC))).status).toBe(200);
  });

  test.for([
    ["S62 S81 no Secret: 403 that names it", undefined, "secret-missing", "Secret default/app-secret does not exist"],
    ["S81 an empty one", { clientSecret: "" }, "secret-invalid", "the key clientSecret is empty"],
    [
      "several keys and none of that name",
      { a: "x", b: "y" },
      "secret-invalid",
      "has the keys a, b; put the client secret under the key clientSecret",
    ],
    ["none at all", {}, "secret-invalid", "has no key"],
  ] as const)("%s; Entra is not asked", async ([, data, reason, text]) => {
    await node();
    if (data !== undefined) await secret(data);
    const answer = await harness.token(await bound(SECRET_SPEC));
    expect([answer.status, answer.json["error"]]).toEqual([403, reason]);
    expect(answer.json["error_description"]).toContain(text);
    expect(entraRequests()).toBe(0);
  });

  test("a right that is missing: 403 that says which Role", async () => {
    await node();
    harness.kube.faults.add({ resource: "secrets", verb: "get", status: 403 });
    const answer = await harness.token(await bound(SECRET_SPEC));
    expect([answer.status, answer.json["error"]]).toEqual([403, "secret-forbidden"]);
    expect(answer.json["error_description"]).toContain(
      "a Role in namespace default with the verb get on secrets, resourceNames [app-secret]",
    );
  });

  test("L-09 the Secret of another namespace is not touched, unless that namespace is listed", async () => {
    const spec = { type: 1, clientPassword: { name: "app-secret", namespace: "kube-system" } };
    await node();
    await secret({ clientSecret: SECRET }, "app-secret", "kube-system");
    const answer = await harness.token(await bound(spec));
    expect([answer.status, answer.json["error"]]).toEqual([403, "secret-namespace"]);
    expect([entraRequests(), secretReads()]).toEqual([0, 0]);
  });

  test("L-09 listed", async () => {
    await node("--secret-namespaces=kube-system");
    await secret({ clientSecret: SECRET }, "app-secret", "kube-system");
    const spec = { type: 1, clientPassword: { name: "app-secret", namespace: "kube-system" } };
    expect((await harness.token(await bound(spec))).status).toBe(200);
  });

  test("L-09 an endpoint that is not on the list gets no secret", async () => {
    await node();
    await secret({ clientSecret: SECRET });
    const answer = await harness.token(await bound({ ...SECRET_SPEC, adEndpoint: "https://evil.example/" }));
    expect([answer.status, answer.json["error"]]).toEqual([403, "authority-not-allowed"]);
    expect(secretReads()).toBe(0);
  });

  test.for([
    ["no tenant", { tenantID: "" }, "spec.tenantID"],
    ["a tenant that leads elsewhere", { tenantID: "../x" }, "spec.tenantID"],
    ["no client id", { clientID: "" }, "spec.clientID"],
    ["no Secret named", { clientPassword: {} }, "spec.clientPassword.name"],
  ] as const)("%s: 403 that names the field", async ([, spec, field]) => {
    await node();
    const answer = await harness.token(await bound({ ...SECRET_SPEC, ...spec }));
    expect([answer.status, answer.json["error"]]).toEqual([403, "identity-invalid"]);
    expect(answer.json["error_description"]).toContain(field);
  });

  test("a wrong one: 403 with Entra's words", async () => {
    await node();
    await secret({ clientSecret: "wrong" });
    const answer = await harness.token(await bound(SECRET_SPEC));
    expect([answer.status, answer.json["error"]]).toEqual([403, "entra-refused"]);
    expect(answer.json["error_description"]).toMatch(
      /^AzureIdentity default\/pod: Entra answered 401: AADSTS7000215: /,
    );
    expect(await harness.metrics()).toContain(
      'aadpodidentity_imds_operations_errors_count{operation_type="adal_token"} 1',
    );
  });

  test("further tenants are ignored by default, and an array when asked for", async () => {
    const spec = { ...SECRET_SPEC, auxiliaryTenantIDs: [TENANT] };
    await node();
    await secret({ clientSecret: SECRET });
    expect((await harness.token(await bound(spec))).json["access_token"]).toBeDefined();
    expect(entraRequests()).toBe(1);
    await harness.nmi?.stop();
    await node("--auxiliary-tenant-tokens=array");
    const answer = await harness.token(await bound(spec, { name: "second" }));
    const tokens = JSON.parse(answer.body) as Record<string, string>[];
    expect(tokens.map((token) => Object.keys(token)[0])).toEqual(["access_token", "access_token"]);
  });

  test("Entra's first version is asked as upstream did", async () => {
    await node("--entra-endpoint=v1");
    await secret({ clientSecret: SECRET });
    expect((await harness.token(await bound(SECRET_SPEC))).status).toBe(200);
    expect(harness.azure.requests.entries({ service: "entra" })[0]?.url).toContain(
      `/${TENANT}/oauth2/token?api-version=1.0`,
    );
  });
});

describe("type 2, a certificate", () => {
  test.for([
    ["PFX with a password", () => ({ certificate: pfx, password: PASSWORD })],
    [
      "tls.crt and tls.key",
      () => ({ "tls.crt": readFileSync(join(directory, "crt")), "tls.key": readFileSync(join(directory, "key")) }),
    ],
  ] as const)("%s", async ([, data]) => {
    await node();
    await secret(data());
    const answer = await harness.token(await bound({ ...SECRET_SPEC, type: 2 }));
    expect(answer.status).toBe(200);
    expect(claims(answer)).toMatchObject({ appid: APP, appidacr: "2" });
  });

  test.for([
    ["the wrong password", () => ({ certificate: pfx, password: "wr0ng" }), "check its password"],
    ["no certificate", () => ({ password: "x" }), "has the keys password; put the certificate"],
  ] as const)("%s: 403 that says so", async ([, data, text]) => {
    await node();
    await secret(data());
    const answer = await harness.token(await bound({ ...SECRET_SPEC, type: 2 }));
    expect([answer.status, answer.json["error"]]).toEqual([403, "secret-invalid"]);
    expect(answer.json["error_description"]).toContain(text);
    expect(answer.body).not.toContain("wr0ng");
  });
});

describe("type 3, federation", () => {
  test("the pod's own ServiceAccount, bound to the pod, is exchanged; pods of one account share the token", async () => {
    await node();
    const first = await bound({ type: 3 }, { serviceAccount: "app" });
    const answer = await harness.token(first);
    expect(answer.json).toMatchObject({ client_id: APP });
    expect(claims(answer)).toMatchObject({ appid: APP, appidacr: "2" });
    const { address: second } = await harness.pod("twin", "pod", { serviceAccount: "app" });
    expect((await harness.token(second)).json["access_token"]).toBe(answer.json["access_token"]);
    expect(entraRequests()).toBe(1);
    expect(harness.kube.audit.entries.filter(({ path }) => path.endsWith("/serviceaccounts/app/token"))).toHaveLength(
      2,
    );
  });

  test("without a federated credential: waits, then says which one to create", async () => {
    await node("--max-wait=1s");
    const answer = await harness.token(await bound({ type: 3 }, { serviceAccount: "default" }));
    expect([answer.status, answer.json["error"]]).toEqual([504, "federated-credential-missing"]);
    expect(answer.headers["retry-after"]).toMatch(/^[123]$/);
    expect(answer.json["error_description"]).toContain(
      `issuer ${JSON.stringify(harness.kube.url)}, subject "system:serviceaccount:default:default", audience "api://AzureADTokenExchange"`,
    );
    expect(harness.logLines.join("\n")).toContain("the ServiceAccount default is federated");
  });

  test("no kubelet's kubeconfig: 503 that names it", async () => {
    await node("--kubelet-kubeconfig=/does/not/exist");
    const answer = await harness.token(await bound({ type: 3 }, { serviceAccount: "app" }));
    expect(answer.status).toBe(503);
    expect(answer.json["error_description"]).toContain("/does/not/exist");
  });

  test("the API server refuses: 403 that says which right is missing", async () => {
    await node();
    harness.kube.faults.add({ resource: "serviceaccounts", verb: "create", status: 403 });
    const answer = await harness.token(await bound({ type: 3 }, { serviceAccount: "app" }));
    expect([answer.status, answer.json["error"]]).toEqual([403, "token-request-forbidden"]);
    expect(answer.json["error_description"]).toContain("request-serviceaccounts-token-audience");
  });

  test("the API server refuses NMI's own rights: 403 that names the chart's value", async () => {
    await node("--token-request-credentials=service-account", "--allow-cluster-wide-token-requests");
    harness.kube.faults.add({ resource: "serviceaccounts", verb: "create", status: 403 });
    const answer = await harness.token(await bound({ type: 3 }, { serviceAccount: "app" }));
    const values = readFileSync(join(import.meta.dirname, "../../../../charts/podid/values.yaml"), "utf8");
    const [, key = ""] = /with the chart: nmi\.(\w+)\.namespaces/.exec(answer.json["error_description"] ?? "") ?? [];
    expect(values).toMatch(new RegExp(`^  ${key}:$`, "m"));
  });
});

describe("identities of the node", () => {
  const cloudConfig = (id: string): string => {
    const file = join(directory, "azure.json");
    writeFileSync(file, JSON.stringify({ userAssignedIdentityID: id, aadClientSecret: "never-shown" }));
    return `--node-cloudconfig=${file}`;
  };

  test.for([
    ["kubelet's, by its client id", () => [cloudConfig(clientId(1))], {}],
    ["an immutable one, in another casing", () => [`--immutable-user-msis=${clientId(1).toUpperCase()}`], {}],
    ["one that is named by its resource id alone", () => [`--immutable-user-msis=${clientId(1)}`], { clientID: "" }],
    [
      "one that is named by its client id alone",
      () => [`--immutable-user-msis=${resourceId("id1")}`],
      { resourceID: "" },
    ],
  ] as const)("%s: 403, in managed mode too", async ([, flags, spec]) => {
    await node(...flags());
    await harness.identity("id", 1, { spec });
    await harness.binding("b", "id", "s");
    const { address } = await harness.pod("p", "s");
    const answer = await harness.token(address);
    expect([answer.status, answer.json["error"]]).toEqual([403, "node-identity"]);
    expect(answer.json["error_description"]).toContain("--allow-node-identities=default/");
  });

  test("one that MIC names, while NMI runs and with its token in the cache: 403 from then on", async () => {
    await node();
    await harness.identity("id", 1);
    await harness.binding("b", "id", "s");
    const { address } = await harness.pod("p", "s");
    expect((await harness.token(address)).status).toBe(200);
    const configMap = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "podid-lifecycle", namespace: "default" },
    };
    const data = { phase: "running", nodeIdentities: `other\n${clientId(1).toUpperCase()}` };
    await harness.client("configMaps").create({ ...configMap, data });
    await expect.poll(async () => (await harness.token(address)).json["error"]).toBe("node-identity");
    // Who takes the list away has not said that pods may have them.
    await harness.client("configMaps").delete("podid-lifecycle", "default");
    expect((await harness.token(address)).status).toBe(403);
    await harness.client("configMaps").create({ ...configMap, data: { phase: "running", nodeIdentities: "" } });
    await expect.poll(async () => (await harness.token(address)).status).toBe(200);
  });

  test("an administrator may allow it to a namespace", async () => {
    await node(cloudConfig(clientId(1)), `--allow-node-identities=default/${clientId(1)}`);
    await harness.identity("id", 1);
    await harness.binding("b", "id", "s");
    const { address } = await harness.pod("p", "s");
    expect((await harness.token(address)).status).toBe(200);
  });
});
