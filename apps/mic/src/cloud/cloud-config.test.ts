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
      credential: { kind: "workloadIdentity", tokenFile: "/token" },
    });
    expect(() => cloudConfigFromEnvironment({ TENANT_ID: "t" })).toThrow("CLIENT_ID, CLIENT_SECRET are not set");
  });
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
    expect(() => findCloud("AzureStackCloud", () => "{}")).toThrow("activeDirectoryEndpoint is undefined");
    expect(() => findCloud("AzureStackCloud", none)).toThrow("AZURE_ENVIRONMENT_FILEPATH");
  });

  test("an unknown cloud is refused with the known ones", () => {
    expect(() => findCloud("Mars", none)).toThrow(/failed to get cloud environment.*"Mars".*AzurePublicCloud/);
  });
});
