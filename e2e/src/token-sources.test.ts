import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { API_VERSION } from "@podid/crd-types";
import { requestServiceAccountToken, ResourceClient, RESOURCES } from "@podid/kube";
import type { Resource } from "@podid/kube";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { API_SERVER } from "./api-server.ts";
import { Cluster } from "./cluster.ts";
import type { Answer } from "./cluster.ts";
import { until } from "./until.ts";

const TENANT = "22222222-2222-4222-8222-222222222222";
const APP = "33333333-3333-4333-8333-333333333333";
const SECRET = "the-client-secret";
const AUDIENCE = "api://AzureADTokenExchange";

let cluster: Cluster;
let directory: string;

beforeAll(async () => {
  // What the sandbox's small kubelet is nobody's credential for; the policy that fences this is tested beside.
  const flags = "--token-request-credentials=service-account --allow-cluster-wide-token-requests";
  cluster = await Cluster.start(["--nmi-args", flags]);
  directory = mkdtempSync(join(tmpdir(), "podid-certificate-"));
  const openssl = (command: string): void =>
    void execFileSync("openssl", command.split(" "), { cwd: directory, stdio: "pipe" });
  openssl("req -x509 -nodes -days 2 -newkey rsa:2048 -keyout key -out crt -subj /CN=app");
  openssl("pkcs12 -export -inkey key -in crt -out pfx -passout pass:p");
  if (API_SERVER !== "emulator") await giveRights();
});

afterAll(async () => {
  rmSync(directory, { recursive: true, force: true });
  await cluster?.stop();
});

/** As the chart does for rbac.secrets and nmi.tokenRequests. */
async function giveRights(): Promise<void> {
  const rbac = (plural: string, kind: string): Resource => ({
    group: "rbac.authorization.k8s.io",
    version: "v1",
    plural,
    kind,
    namespaced: true,
  });
  const metadata = { name: "token-sources", namespace: "default" };
  await new ResourceClient(cluster.transport, rbac("roles", "Role")).create({
    metadata,
    rules: [
      { apiGroups: [""], resources: ["secrets"], resourceNames: ["app-secret", "app-certificate"], verbs: ["get"] },
      { apiGroups: [""], resources: ["serviceaccounts/token"], verbs: ["create"] },
    ],
  });
  await new ResourceClient(cluster.transport, rbac("rolebindings", "RoleBinding")).create({
    metadata,
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "token-sources" },
    subjects: [{ kind: "ServiceAccount", name: "podid-nmi", namespace: "kube-system" }],
  });
  // Entra reads the issuer's documents anonymously.
  const everybody = { ...rbac("clusterrolebindings", "ClusterRoleBinding"), namespaced: false };
  await new ResourceClient(cluster.transport, everybody).create({
    metadata: { name: "issuer-discovery-for-everybody" },
    roleRef: {
      apiGroup: "rbac.authorization.k8s.io",
      kind: "ClusterRole",
      name: "system:service-account-issuer-discovery",
    },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "Group", name: "system:unauthenticated" }],
  });
}

async function secret(name: string, data: Record<string, Buffer | string>): Promise<void> {
  const encoded = Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString("base64")]);
  await new ResourceClient(cluster.transport, RESOURCES.secrets).create({
    metadata: { name, namespace: "default" },
    data: Object.fromEntries(encoded) as Record<string, string>,
  });
}

/** An identity of that spec, its binding and a pod that it selects. */
async function boundPod(name: string, spec: object): Promise<void> {
  await cluster.identities.create({
    apiVersion: API_VERSION,
    kind: "AzureIdentity",
    metadata: { name, namespace: "default" },
    spec: { tenantID: TENANT, clientID: APP, ...spec },
  });
  await cluster.bindings.create({
    apiVersion: API_VERSION,
    kind: "AzureIdentityBinding",
    metadata: { name, namespace: "default" },
    spec: { azureIdentity: name, selector: name },
  });
  await cluster.pod(name, { selector: name, node: cluster.vm });
}

function claims(answer: Answer): Record<string, unknown> {
  const payload = answer.body["access_token"]?.split(".")[1] ?? "";
  return JSON.parse(Buffer.from(payload, "base64url").toString()) as Record<string, unknown>;
}

describe("an application's token, from inside a pod", () => {
  beforeAll(() =>
    cluster.control.addToAzure({
      tenants: [{ id: TENANT }],
      apps: [
        {
          clientId: APP,
          tenantId: TENANT,
          secrets: [SECRET],
          certificates: [readFileSync(join(directory, "crt"), "utf8")],
        },
      ],
    }),
  );

  test("S29 S30 type 1: MIC assigns it without asking ARM, NMI gets the token with the client secret", async () => {
    await secret("app-secret", { clientSecret: SECRET });
    const before = await armWrites();
    await boundPod("by-secret", { type: 1, clientPassword: { name: "app-secret", namespace: "default" } });
    await cluster.untilAssigned("by-secret", ["by-secret"]);
    expect(await armWrites()).toBe(before);
    const answer = await cluster.token("by-secret");
    expect(answer).toMatchObject({ status: 200, body: { client_id: APP, token_type: "Bearer" } });
    expect(claims(answer)).toMatchObject({ appid: APP, appidacr: "1", tid: TENANT });
  });

  test("S62 S81 an absent Secret is named", async () => {
    await boundPod("no-secret", { type: 1, clientPassword: { name: "app-certificate", namespace: "default" } });
    const answer = await cluster.token("no-secret");
    expect(answer).toMatchObject({ status: 403, body: { error: "secret-missing" } });
    expect(answer.body["error_description"]).toContain("Secret default/app-certificate does not exist");
  });

  test("type 2: with the certificate of a PFX", async () => {
    await secret("app-certificate", { certificate: readFileSync(join(directory, "pfx")), password: "p" });
    await boundPod("by-certificate", {
      type: 2,
      clientPassword: { name: "app-certificate", namespace: "default" },
    });
    // That there was no such Secret a moment ago is believed for two seconds.
    const answer = await until("the certificate is used", async () => {
      const latest = await cluster.token("by-certificate");
      return latest.body["error"] === "secret-missing" ? undefined : latest;
    });
    expect(answer).toMatchObject({ status: 200, body: { client_id: APP } });
    expect(claims(answer)).toMatchObject({ appid: APP, appidacr: "2" });
  });

  test("type 3: with the pod's own ServiceAccount, as soon as Entra knows the credential", async () => {
    await boundPod("federated", { type: 3 });
    // The request waits for what an administrator is about to do.
    const waiting = cluster.token("federated");
    await until("Entra was asked in vain", async () => {
      const requests = await cluster.control.azureRequests({ service: "entra" });
      return requests.some(({ status }) => status === 401) ? true : undefined;
    });
    await trust();
    const answer = await waiting;
    expect(answer).toMatchObject({ status: 200, body: { client_id: APP } });
    expect(claims(answer)).toMatchObject({ appid: APP, appidacr: "2", tid: TENANT });
  });
});

async function armWrites(): Promise<number> {
  const requests = await cluster.control.azureRequests({ service: "arm" });
  return requests.filter(({ method }) => method === "PATCH" || method === "PUT").length;
}

/** Makes the application trust the ServiceAccount `default`, and Entra find this cluster's issuer. */
async function trust(): Promise<void> {
  const { token } = await requestServiceAccountToken(cluster.transport, {
    namespace: "default",
    serviceAccount: "default",
    audience: AUDIENCE,
    expirationSeconds: 3600,
  });
  const { iss } = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as { iss: string };
  const config = parse(readFileSync(cluster.sandbox.state.kubeconfig, "utf8")) as {
    clusters: { cluster: { "certificate-authority-data": string } }[];
  };
  const caPem = Buffer.from(config.clusters[0]?.cluster["certificate-authority-data"] ?? "", "base64").toString();
  await cluster.control.addToAzure({
    apps: [
      {
        clientId: APP,
        tenantId: TENANT,
        secrets: [SECRET],
        certificates: [readFileSync(join(directory, "crt"), "utf8")],
        federatedCredentials: [{ issuer: iss, subject: "system:serviceaccount:default:default" }],
      },
    ],
    settings: { issuers: [{ issuer: iss, caPem }] },
  });
}
