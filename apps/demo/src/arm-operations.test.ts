import { afterEach, describe, expect, test, vi } from "vitest";
import { fakeMetadataService } from "../test/fake-metadata-service.ts";
import { armOperations, virtualMachines } from "./arm-operations.ts";

const never = new AbortController().signal;
const CLIENT = "00000000-0000-0000-0000-00000000c1d1";

afterEach(() => vi.unstubAllEnvs());

describe("armOperations", () => {
  test.for([0, 1, 3])("%i machines", async (count) => {
    // oxlint-disable-next-line require-await
    const list = async function* () {
      for (let i = 0; i < count; i += 1) yield { location: "here", name: `vm${i}` };
    };
    expect(await armOperations(list)(never)).toEqual({
      ok: true,
      message: `successfully doARMOperations vm count ${count}`,
    });
  });
});

describe("through the SDK", () => {
  const options = {
    endpoint: "https://127.0.0.1:1",
    audience: "https://management.azure.com",
    subscriptionId: "00000000-0000-0000-0000-000000000001",
    resourceGroup: "rg",
    clientId: CLIENT,
  };

  test("a refused token names the status and the server's explanation", async () => {
    await using imds = await fakeMetadataService(() => ({
      status: 403,
      body: { error: "no-binding", error_description: "no AzureIdentityBinding selects the pod" },
    }));
    vi.stubEnv("AZURE_POD_IDENTITY_AUTHORITY_HOST", imds.origin);
    expect(await armOperations(virtualMachines(options))(never)).toEqual({
      ok: false,
      message: "failed doARMOperations: 403: no AzureIdentityBinding selects the pod",
    });
    expect(imds.seen).toHaveLength(1);
    expect(imds.seen[0]?.query).toMatchObject({ client_id: CLIENT, resource: "https://management.azure.com" });
  });
});
