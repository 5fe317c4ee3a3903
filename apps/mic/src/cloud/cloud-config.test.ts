import { describe, expect, test } from "vitest";
import { cloudConfigFromEnvironment, cloudConfigFromFile } from "./cloud-config.ts";
import { findCloud } from "./clouds.ts";

const SECRET = {
  cloud: "AzurePublicCloud",
  tenantId: "t",
  aadClientId: "c",
  aadClientSecret: "very secret",
  subscriptionId: "s",
  resourceGroup: "rg",
};

describe("cloud config", () => {
  test.for([
    {
      name: "JSON with a secret",
      text: JSON.stringify(SECRET),
      want: {
        tenantId: "t",
        credential: { kind: "secret", clientId: "c", clientSecret: "very secret" },
        clusterIdentity: undefined,
      },
    },
    {
      name: "YAML",
      text: "tenantId: t\naadClientId: c\naadClientSecret: s\n",
      want: { cloud: "AzurePublicCloud", credential: { kind: "secret" } },
    },
    {
      name: "system-assigned",
      text: JSON.stringify({ useManagedIdentityExtension: true, userAssignedIdentityID: "" }),
      want: { credential: { kind: "managedIdentity", clientId: undefined }, clusterIdentity: undefined },
    },
    {
      name: "S34 GetClusterIdentity: user-assigned",
      text: JSON.stringify({ useManagedIdentityExtension: true, userAssignedIdentityID: "X" }),
      want: { credential: { kind: "managedIdentity", clientId: "X" }, clusterIdentity: "X" },
    },
    {
      name: "AKS writes msi as the service principal",
      text: JSON.stringify({
        ...SECRET,
        aadClientId: "msi",
        aadClientSecret: "msi",
        useManagedIdentityExtension: "true",
        userAssignedIdentityID: "X",
      }),
      want: { credential: { kind: "managedIdentity", clientId: "X" } },
    },
    {
      name: "msi alone means it too",
      text: JSON.stringify({ ...SECRET, aadClientId: "MSI", aadClientSecret: "msi" }),
      want: { credential: { kind: "managedIdentity", clientId: undefined } },
    },
    {
      name: "user-assigned by resource id",
      text: JSON.stringify({ useManagedIdentityExtension: true, userAssignedIdentityID: "/subscriptions/s/x" }),
      want: {
        credential: { kind: "managedIdentity", clientId: undefined, resourceId: "/subscriptions/s/x" },
        clusterIdentity: "/subscriptions/s/x",
      },
    },
    {
      name: "a certificate",
      text: JSON.stringify({ ...SECRET, aadClientSecret: "", aadClientCertPath: "/c.pem", aadClientCertPassword: "p" }),
      want: { credential: { kind: "certificate", clientId: "c", path: "/c.pem", password: "p" } },
    },
    {
      name: "a secret wins over a certificate",
      text: JSON.stringify({ ...SECRET, aadClientCertPath: "/c.pem" }),
      want: { credential: { kind: "secret" } },
    },
  ])("$name", ({ text, want }) => {
    expect(cloudConfigFromFile(text, {})).toMatchObject(want);
  });

  test.for([
    { name: "nothing at all", text: "{}", want: "tenantId, aadClientId, aadClientSecret are not set" },
    { name: "broken", text: "{", want: "neither JSON nor YAML" },
    { name: "a list", text: "[]", want: "no object" },
  ])("refused: $name", ({ text, want }) => {
    expect(() => cloudConfigFromFile(text, {})).toThrow(want);
  });

  test("from the environment", () => {
    const environment = {
      CLOUD: "AzureChinaCloud",
      TENANT_ID: "t",
      CLIENT_ID: "c",
      CLIENT_SECRET: "s",
      SUBSCRIPTION_ID: "sub",
      RESOURCE_GROUP: "rg",
      VM_TYPE: "vmss",
    };
    expect(cloudConfigFromEnvironment(environment)).toMatchObject({
      cloud: "AzureChinaCloud",
      credential: { kind: "secret", clientId: "c" },
      subscriptionId: "sub",
    });
    expect(cloudConfigFromEnvironment({ USE_MSI: "TRUE", USER_ASSIGNED_MSI_CLIENT_ID: "u" })).toMatchObject({
      credential: { kind: "managedIdentity", clientId: "u" },
      clusterIdentity: "u",
    });
    const federated = { AZURE_CLIENT_ID: "c", AZURE_TENANT_ID: "t", AZURE_FEDERATED_TOKEN_FILE: "/token" };
    expect(cloudConfigFromEnvironment(federated)).toMatchObject({
      credential: { kind: "workloadIdentity", tokenFile: "/token", authorityHost: undefined },
    });
    expect(cloudConfigFromEnvironment({ ...federated, AZURE_AUTHORITY_HOST: "https://entra.example/" })).toMatchObject({
      credential: { authorityHost: "https://entra.example/" },
    });
    expect(
      cloudConfigFromEnvironment({ TENANT_ID: "t", CLIENT_ID: "c", CLIENT_CERTIFICATE_PATH: "/c.pem" }),
    ).toMatchObject({ credential: { kind: "certificate", path: "/c.pem", password: undefined } });
    expect(() => cloudConfigFromEnvironment({ TENANT_ID: "t" })).toThrow("CLIENT_ID, CLIENT_SECRET are not set");
  });

  test.for(['aadClientSecret: "very secret', "aadClientSecret: *very-secret", "a: very secret: b: c", "\tvery secret"])(
    "broken %j: said without its text",
    (text) => {
      let said = "";
      try {
        cloudConfigFromFile(text, {});
      } catch (error) {
        said = `${String(error)} ${String((error as Error).cause)}`;
      }
      expect(said).toContain("neither JSON nor YAML");
      expect(said).not.toMatch(/very.secret/);
    },
  );
});

describe("clouds", () => {
  const none = (): string => {
    throw new Error("AZURE_ENVIRONMENT_FILEPATH is not set");
  };

  test.for([
    { name: "AzurePublicCloud", arm: "https://management.azure.com/" },
    { name: "AZURECLOUD", arm: "https://management.azure.com/" },
    { name: "azureusgovernment", arm: "https://management.usgovcloudapi.net/" },
    { name: "AzureUSGovernmentCloud", arm: "https://management.usgovcloudapi.net/" },
    { name: "AzureChinaCloud", arm: "https://management.chinacloudapi.cn/" },
  ])("$name → $arm", ({ name, arm }) => {
    expect(findCloud(name, none).resourceManager).toBe(arm);
  });

  test("a custom cloud comes from its file", () => {
    const file = JSON.stringify({
      name: "Mine",
      activeDirectoryEndpoint: "https://login.example",
      resourceManagerEndpoint: "https://arm.example/",
    });
    expect(findCloud("AzureStackCloud", () => file)).toEqual({
      name: "Mine",
      authorityHost: "https://login.example/",
      resourceManager: "https://arm.example/",
    });
    expect(() => findCloud("AzureStackCloud", () => "{}")).toThrow('activeDirectoryEndpoint is ""; give a URL');
    expect(() => findCloud("AzureStackCloud", () => "[]")).toThrow("no JSON object");
    expect(() => findCloud("AzureStackCloud", () => "{")).toThrow("no JSON");
    expect(() => findCloud("AzureStackCloud", none)).toThrow("AZURE_ENVIRONMENT_FILEPATH");
  });

  test("all of go-autorest's fields are understood, in any casing, and a token is asked for the file's audience", () => {
    const file = {
      Name: "HybridEnvironment",
      managementPortalURL: "https://portal.local/",
      serviceManagementEndpoint: "https://management.local.onmicrosoft.com/guid",
      ResourceManagerEndpoint: "https://management.local.azurestack.external",
      activeDirectoryEndpoint: "https://login.windows.net",
      galleryEndpoint: "https://gallery.local/",
      storageEndpointSuffix: "local.azurestack.external",
      resourceIdentifiers: { graph: "https://graph.local/", keyVault: "N/A" },
    };
    const cloud = findCloud("azurestackcloud", () => `\uFEFF${JSON.stringify(file)}`);
    expect(cloud).toEqual({
      name: "HybridEnvironment",
      authorityHost: "https://login.windows.net/",
      resourceManager: "https://management.local.azurestack.external/",
      audience: "https://management.local.onmicrosoft.com/guid",
    });
    const withAudience = JSON.stringify({ ...file, tokenAudience: "https://audience.local/" });
    expect(findCloud("AzureStackCloud", () => withAudience).audience).toBe("https://audience.local/");
    const wrong = JSON.stringify({ ...file, storageEndpointSuffix: 1 });
    expect(() => findCloud("AzureStackCloud", () => wrong)).toThrow("storageEndpointSuffix is 1; give a text");
  });

  test("an unknown cloud is refused with the known ones", () => {
    expect(() => findCloud("Mars", none)).toThrow(/failed to get cloud environment.*"Mars".*AzurePublicCloud/);
  });
});
