import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { ComputeManagementClient } from "@azure/arm-compute";
import { ManagedServiceIdentityClient } from "@azure/arm-msi";
import {
  ClientAssertionCredential,
  ClientCertificateCredential,
  ClientSecretCredential,
  ManagedIdentityCredential,
} from "@azure/identity";
import { createSelfSigned } from "@podid/throwaway-ca";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { AzureEmulator } from "./emulator.ts";
import { startAzureEmulator } from "./emulator.ts";
import { decodeJwt } from "./entra/jwt.ts";
import { APP, GROUP, identityId, SUBSCRIPTION, TENANT, TEST_SEED, VM, startTestIssuer } from "./test-cloud.ts";

const SCOPE = "https://management.azure.com/.default";
let emulator: AzureEmulator;
let trusted: string[];
let authority: { authorityHost: string; disableInstanceDiscovery: boolean };
let folder: string;

beforeAll(async () => {
  emulator = await startAzureEmulator({ seed: TEST_SEED });
  // What NODE_EXTRA_CA_CERTS does at the start of a process.
  trusted = getCACertificates("default");
  setDefaultCACertificates([...trusted, emulator.caPem]);
  authority = { authorityHost: `https://localhost:${emulator.port}`, disableInstanceDiscovery: true };
  folder = await mkdtemp(join(tmpdir(), "azure-emulator-"));
});

afterAll(async () => {
  setDefaultCACertificates(trusted);
  await emulator.close();
  await rm(folder, { recursive: true });
});

function claims(token: string): Readonly<Record<string, unknown>> {
  return decodeJwt(token)?.claims ?? {};
}

test("ClientSecretCredential gets a token, and the reason when it does not", async () => {
  const token = await new ClientSecretCredential(TENANT, APP, "s3cret", authority).getToken(SCOPE);
  expect(claims(token.token)).toMatchObject({
    appid: APP,
    tid: TENANT,
    aud: "https://management.azure.com",
    idtyp: "app",
    appidacr: "1",
  });
  await expect(new ClientSecretCredential(TENANT, APP, "wrong", authority).getToken(SCOPE)).rejects.toThrow(
    /AADSTS7000215: Invalid client secret/,
  );
});

test.for([{ sendCertificateChain: false }, { sendCertificateChain: true }])(
  "ClientCertificateCredential gets a token: %o",
  async (options) => {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const name = `app ${String(options.sendCertificateChain)}`;
    const certificate = await createSelfSigned({ commonName: name, privateKey, now: Date.now(), days: 1 });
    const clientId = crypto.randomUUID();
    emulator.state.addApp({
      clientId,
      tenantId: TENANT,
      ...(options.sendCertificateChain ? { trustedSubjects: [`CN=${name}`] } : { certificates: [certificate] }),
    });
    const certificatePath = join(folder, `${clientId}.pem`);
    await writeFile(certificatePath, `${privateKey.export({ type: "pkcs8", format: "pem" }).toString()}${certificate}`);
    const credential = new ClientCertificateCredential(
      TENANT,
      clientId,
      { certificatePath },
      { ...authority, ...options },
    );
    expect(claims((await credential.getToken(SCOPE)).token)).toMatchObject({ appid: clientId, appidacr: "2" });
  },
);

test("ClientAssertionCredential exchanges a token of an external issuer, for an app and for a managed identity", async () => {
  const cluster = await startTestIssuer();
  try {
    const federatedCredentials = [{ issuer: cluster.issuer, subject: "system:serviceaccount:demo:app" }];
    const appId = crypto.randomUUID();
    emulator.state.addApp({ clientId: appId, tenantId: TENANT, federatedCredentials });
    const identity = emulator.state.addIdentity({ id: identityId("federated"), federatedCredentials });
    const assertion = (sub: string) => () =>
      Promise.resolve(cluster.token(Date.now(), { sub, aud: ["api://AzureADTokenExchange"] }));
    for (const clientId of [appId, identity.principal.clientId]) {
      const credential = new ClientAssertionCredential(
        TENANT,
        clientId,
        assertion("system:serviceaccount:demo:app"),
        authority,
      );
      expect(claims((await credential.getToken(SCOPE)).token)).toMatchObject({ appid: clientId });
    }
    const other = new ClientAssertionCredential(
      TENANT,
      appId,
      assertion("system:serviceaccount:demo:other"),
      authority,
    );
    await expect(other.getToken(SCOPE)).rejects.toThrow(/AADSTS700213: .* subject 'system:serviceaccount:demo:other'/);
  } finally {
    cluster.close();
  }
});

test("ManagedIdentityCredential asks IMDS by client id and by resource id", async () => {
  const imds = await emulator.startImds(VM);
  process.env["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = imds.url;
  try {
    const clientId = "aaaaaaaa-0000-4000-8000-000000000001";
    const byClient = await new ManagedIdentityCredential({ clientId }).getToken(SCOPE);
    expect(claims(byClient.token)).toMatchObject({
      appid: clientId,
      xms_mirid: identityId("id1").replace("resourceGroups", "resourcegroups"),
    });
    const byResource = await new ManagedIdentityCredential({ resourceId: identityId("id1").toUpperCase() }).getToken(
      "https://vault.azure.net/.default",
    );
    expect(claims(byResource.token)).toMatchObject({ appid: clientId, aud: "https://vault.azure.net" });
    await expect(new ManagedIdentityCredential({ clientId: APP }).getToken(SCOPE)).rejects.toThrow(
      /Identity not found/,
    );
  } finally {
    delete process.env["AZURE_POD_IDENTITY_AUTHORITY_HOST"];
    await imds.close();
  }
});

test("arm-compute and arm-msi manage identities of VMs and scale sets", async () => {
  const credential = new ClientSecretCredential(TENANT, APP, "s3cret", authority);
  const endpoint = `https://localhost:${emulator.port}`;
  const compute = new ComputeManagementClient(credential, SUBSCRIPTION, { endpoint });
  const msi = new ManagedServiceIdentityClient(credential, SUBSCRIPTION, { endpoint });

  const made = await msi.userAssignedIdentities.createOrUpdate("rg", "made", { location: "westus2" });
  const id = made.id ?? "";
  const vm = await compute.virtualMachines.beginUpdateAndWait("rg", "vm1", {
    identity: { type: "UserAssigned", userAssignedIdentities: { [id]: {} } },
  });
  expect(Object.keys(vm.identity?.userAssignedIdentities ?? {})).toEqual([identityId("id1"), id]);
  expect(vm.identity?.userAssignedIdentities?.[id]).toMatchObject({
    clientId: made.clientId,
    principalId: made.principalId,
  });

  const scaleSet = await compute.virtualMachineScaleSets.beginUpdateAndWait("rg", "vmss1", {
    identity: { type: "SystemAssigned, UserAssigned", userAssignedIdentities: { [id]: {} } },
  });
  expect(scaleSet.identity).toMatchObject({ type: "SystemAssigned, UserAssigned", tenantId: TENANT });
  const names: string[] = [];
  for await (const instance of compute.virtualMachineScaleSetVMs.list("rg", "vmss1")) names.push(instance.name ?? "");
  expect(names).toEqual(["vmss1_0", "vmss1_1"]);
  for await (const machine of compute.virtualMachines.list("rg")) expect(machine.name).toBe("vm1");

  const stale = { ifMatch: '"1"' };
  await expect(
    compute.virtualMachineScaleSets.beginUpdateAndWait("rg", "vmss1", { identity: { type: "None" } }, stale),
  ).rejects.toMatchObject({
    statusCode: 412,
    code: "PreconditionFailed",
  });
  await msi.userAssignedIdentities.delete("rg", "made");
  const left = await compute.virtualMachineScaleSets.get("rg", "vmss1");
  expect(left.identity?.userAssignedIdentities?.[id]).toEqual({ clientId: null, principalId: null });
  await compute.virtualMachines.beginDeleteAndWait("rg", "vm1");
  await expect(compute.virtualMachines.get("rg", "vm1")).rejects.toMatchObject({
    statusCode: 404,
    code: "ResourceNotFound",
  });
  expect(
    emulator.requests.count({ service: "arm", resource: `${GROUP}*`, operation: "Microsoft.Compute/*/write" }),
  ).toBe(3);
});
