import { generateKeyPairSync, sign } from "node:crypto";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { startAzureEmulator } from "@podid/azure-emulator";
import type { AzureEmulator } from "@podid/azure-emulator";
import { systemClock } from "@podid/kube";
import { createLogger } from "@podid/service";
import { createSelfSigned } from "@podid/throwaway-ca";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { groupOf } from "../../test/harness.ts";
import { AzureAccess } from "./azure-access.ts";
import { loadCloud } from "./load-cloud.ts";
import type { LoadedCloud } from "./load-cloud.ts";

const SUBSCRIPTION = "00000000-0000-0000-0000-000000000000";
const TENANT = "72f988bf-0000-0000-0000-000000000000";
const GROUP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/rg`;
const VM = `${GROUP}/providers/Microsoft.Compute/virtualMachines/vm`;
const MIC_IDENTITY = `${GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/mic`;
const MIC_IDENTITY_CLIENT = "11111111-0000-0000-0000-00000000000c";
const ISSUER = "https://issuer.example/";
const machine = groupOf(`azure://${VM}`);

const keys = generateKeyPairSync("rsa", { modulusLength: 2048 });
const before = getCACertificates("default");
let azure: AzureEmulator;
let folder: string;
let certificate: string;
let environment: Record<string, string>;
let log: string[];
const opened: AzureAccess[] = [];

function app(last: string): string {
  return `11111111-0000-0000-0000-0000000000${last}`;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "azure-access-"));
  certificate = await createSelfSigned({ commonName: "mic", privateKey: keys.privateKey, now: Date.now() });
  const federated = { issuer: ISSUER, subject: "system:serviceaccount:podid:mic" };
  azure = await startAzureEmulator({
    fetchJson: (url) =>
      Promise.resolve(
        url.endsWith("openid-configuration")
          ? { issuer: ISSUER, jwks_uri: `${ISSUER}keys` }
          : { keys: [{ ...keys.publicKey.export({ format: "jwk" }), kid: "1", use: "sig", alg: "RS256" }] },
      ),
    seed: {
      tenants: [{ id: TENANT }],
      subscriptions: [{ id: SUBSCRIPTION, tenantId: TENANT }],
      apps: [
        { clientId: app("01"), tenantId: TENANT, secrets: ["first", "second"] },
        { clientId: app("02"), tenantId: TENANT, certificates: [certificate] },
        { clientId: app("03"), tenantId: TENANT, federatedCredentials: [federated] },
      ],
      userAssignedIdentities: [{ id: MIC_IDENTITY, clientId: MIC_IDENTITY_CLIENT, principalId: app("0d") }],
      virtualMachines: [
        { id: VM, systemAssigned: { principalId: app("0e"), clientId: app("0f") }, userAssigned: [MIC_IDENTITY] },
      ],
      roleAssignments: [app("01"), app("02"), app("03"), app("0f"), MIC_IDENTITY_CLIENT].map((principal) => ({
        principal,
        role: "Contributor",
        scope: `/subscriptions/${SUBSCRIPTION}`,
      })),
    },
  });
  setDefaultCACertificates([...before, azure.caPem]);
  const imds = await azure.startImds(VM);
  process.env["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = imds.url;
  const endpoint = `https://localhost:${azure.port}/`;
  await writeFile(
    join(folder, "cloud.json"),
    JSON.stringify({ name: "Emulated", activeDirectoryEndpoint: endpoint, resourceManagerEndpoint: endpoint }),
  );
  await writeFile(join(folder, "token"), federatedToken());
  await writeFile(
    join(folder, "mic.pem"),
    `${keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString()}${certificate}`,
  );
  environment = { AZURE_ENVIRONMENT_FILEPATH: join(folder, "cloud.json") };
});
afterAll(async () => {
  delete process.env["AZURE_POD_IDENTITY_AUTHORITY_HOST"];
  setDefaultCACertificates(before);
  await azure.close();
  await rm(folder, { recursive: true });
});

beforeEach(() => {
  log = [];
});
afterEach(() => {
  for (const access of opened.splice(0)) access.close();
});

function federatedToken(): string {
  const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString("base64url");
  const iat = Math.floor(Date.now() / 1000);
  const claims = { iss: ISSUER, sub: "system:serviceaccount:podid:mic", aud: ["api://AzureADTokenExchange"] };
  const signed = `${encode({ alg: "RS256", typ: "JWT", kid: "1" })}.${encode({ ...claims, iat, exp: iat + 3600 })}`;
  return `${signed}.${sign("sha256", Buffer.from(signed), keys.privateKey).toString("base64url")}`;
}

function open(load: () => LoadedCloud, onChange: (loaded: LoadedCloud) => void = () => {}): AzureAccess {
  const access = new AzureAccess(load(), {
    userAgent: "test/1",
    computeApiVersion: "",
    log: createLogger({ component: "mic", format: "text", verbosity: 1, write: (line) => log.push(line) }),
    clock: systemClock,
    load,
    onChange,
  });
  opened.push(access);
  return access;
}

describe("MIC's own credential, over the wire", () => {
  const service = { cloud: "AzureStackCloud", tenantId: TENANT };
  test.for([
    { name: "a secret", config: { ...service, aadClientId: app("01"), aadClientSecret: "first" } },
    { name: "a certificate", config: { ...service, aadClientId: app("02"), aadClientCertPath: "mic.pem" } },
    {
      name: "a federated ServiceAccount",
      config: { cloud: "AzureStackCloud" },
      env: { AZURE_CLIENT_ID: app("03"), AZURE_TENANT_ID: TENANT, AZURE_FEDERATED_TOKEN_FILE: "token" },
    },
    { name: "the system-assigned identity", config: { cloud: "AzureStackCloud", useManagedIdentityExtension: true } },
    {
      name: "a user-assigned identity",
      config: {
        cloud: "AzureStackCloud",
        useManagedIdentityExtension: true,
        userAssignedIdentityID: MIC_IDENTITY_CLIENT,
      },
    },
    {
      name: "a user-assigned identity by resource id",
      config: { cloud: "AzureStackCloud", useManagedIdentityExtension: true, userAssignedIdentityID: MIC_IDENTITY },
    },
    {
      name: "AKS's msi",
      config: { ...service, aadClientId: "msi", aadClientSecret: "msi", userAssignedIdentityID: MIC_IDENTITY_CLIENT },
    },
  ] as { name: string; config: Record<string, unknown>; env?: Record<string, string> }[])(
    "$name",
    async ({ config, env = {} }) => {
      const inFolder = (value: unknown): unknown =>
        value === "mic.pem" || value === "token" ? join(folder, value) : value;
      const resolve = <T>(given: Record<string, T>): Record<string, T> =>
        Object.fromEntries(Object.entries(given).map(([key, value]) => [key, inFolder(value) as T]));
      const file = join(folder, "credential.json");
      await writeFile(file, JSON.stringify(resolve(config)));
      const access = open(() => loadCloud(file, { ...environment, ...resolve(env) }));
      expect((await access.read(machine)).attached.size).toBe(1);
    },
  );
});

describe("a cloud config that changes", () => {
  const config = (secret: string, more: object = {}): string =>
    JSON.stringify({
      cloud: "AzureStackCloud",
      tenantId: TENANT,
      aadClientId: app("01"),
      aadClientSecret: secret,
      ...more,
    });

  test("S51 is used at once, by new clients; what is broken is said, and the former ones stay", async () => {
    const file = join(folder, "azure.json");
    await writeFile(file, config("wrong"));
    const changes: (string | undefined)[] = [];
    const access = open(
      () => loadCloud(file, environment),
      (loaded) => changes.push(loaded.config.clusterIdentity),
    );
    await expect(access.read(machine)).rejects.toThrow("AADSTS7000215");

    await writeFile(`${file}.new`, config("second", { userAssignedIdentityID: "cluster" }));
    await rename(`${file}.new`, file);
    await expect.poll(() => changes).toEqual(["cluster"]);
    expect((await access.read(machine)).attached.size).toBe(1);
    expect(log.join("")).toContain("cloud provider re-initialized");

    for (const broken of ["{", config(""), config("first", { cloud: "Mars" })]) {
      log = [];
      await writeFile(file, broken);
      await expect.poll(() => log.join("")).toContain("the cloud config cannot be used; the former one stays in use");
      expect((await access.read(machine)).attached.size).toBe(1);
    }
    expect(changes).toEqual(["cluster"]);
    await writeFile(file, config("first"));
    await expect.poll(() => changes).toEqual(["cluster", undefined]);
    expect(log.join("")).not.toMatch(/first|second|wrong/);
  });

  test("so is the custom cloud's file, and a certificate that is renewed", async () => {
    const file = join(folder, "azure.json");
    const pem = join(folder, "renewed.pem");
    await writeFile(pem, "not yet");
    await writeFile(
      file,
      JSON.stringify({ cloud: "AzureStackCloud", tenantId: TENANT, aadClientId: app("02"), aadClientCertPath: pem }),
    );
    let changes = 0;
    const access = open(
      () => loadCloud(file, environment),
      () => (changes += 1),
    );
    await expect(access.read(machine)).rejects.toThrow();
    await writeFile(pem, `${keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString()}${certificate}`);
    await expect.poll(() => changes).toBe(1);
    expect((await access.read(machine)).attached.size).toBe(1);
  });
});
