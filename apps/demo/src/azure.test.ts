import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { startAzureEmulator } from "@podid/azure-emulator";
import type { AzureEmulator, ImdsHandle } from "@podid/azure-emulator";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { armOperations, virtualMachines } from "./arm-operations.ts";
import { runDemo } from "./demo.ts";
import { instanceMetadata } from "./instance-metadata.ts";
import { tokenByClientId, tokenByMsi } from "./token.ts";

const SUBSCRIPTION = "00000000-0000-0000-0000-000000000001";
const GROUP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/podid-demo`;
const machine = (name: string): string => `${GROUP}/providers/Microsoft.Compute/virtualMachines/${name}`;
const identity = (name: string): string =>
  `${GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;
const READER = "00000000-0000-0000-0000-00000000c1d1";
const UNATTACHED = "00000000-0000-0000-0000-00000000c1d2";
const RESOURCE = "https://management.azure.com/";

let azure: AzureEmulator;
/** One for all tests: the SDK remembers for the life of the process where it found IMDS. */
let imds: ImdsHandle;
let trusted: string[];

beforeAll(async () => {
  azure = await startAzureEmulator({
    seed: {
      subscriptions: [{ id: SUBSCRIPTION }],
      resourceGroups: [{ id: `/subscriptions/${SUBSCRIPTION}/resourceGroups/elsewhere` }],
      userAssignedIdentities: [
        { id: identity("reader"), clientId: READER },
        { id: identity("unattached"), clientId: UNATTACHED },
      ],
      virtualMachines: [{ id: machine("node-1"), userAssigned: [identity("reader")] }, { id: machine("node-2") }],
      roleAssignments: [{ principal: identity("reader"), role: "Reader", scope: GROUP }],
    },
  });
  imds = await azure.startImds(machine("node-1"), {});
  vi.stubEnv("AZURE_POD_IDENTITY_AUTHORITY_HOST", imds.url);
  // What NODE_EXTRA_CA_CERTS does at the start of a process.
  trusted = getCACertificates("default");
  setDefaultCACertificates([...trusted, azure.caPem]);
});

afterAll(async () => {
  vi.unstubAllEnvs();
  setDefaultCACertificates(trusted);
  await azure.close();
});

async function runOnce(clientId: string, resourceGroup: string): Promise<{ code: number; lines: string[] }> {
  const service = { origin: imds.url, timeoutMs: 10_000 };
  const lines: string[] = [];
  const log = { info: (line: string) => void lines.push(line), error: (line: string) => void lines.push(line) };
  const arm = {
    endpoint: `https://localhost:${azure.port}`,
    audience: "https://management.azure.com",
    subscriptionId: SUBSCRIPTION,
    resourceGroup,
    clientId,
  };
  const checks = [
    armOperations(virtualMachines(arm)),
    tokenByMsi(service, RESOURCE),
    tokenByClientId(service, RESOURCE, clientId),
    instanceMetadata(service),
  ];
  const sleep = (): Promise<never> => Promise.reject(new Error("must not sleep"));
  const code = await runDemo({ checks, log, periodMs: 0, sleep }, new AbortController().signal);
  return { code, lines };
}

test("with an identity that may read, all four checks succeed and no token is shown", async () => {
  const endpoint = `msiEndpoint(${imds.url}/metadata/identity/oauth2/token)`;
  expect(await runOnce(READER, "podid-demo")).toEqual({
    code: 0,
    lines: [
      "successfully doARMOperations vm count 2",
      `successfully acquired a token using the MSI, ${endpoint}`,
      `successfully acquired a token, userAssignedID MSI, ${endpoint} clientID(${READER})`,
      "successfully made GET on instance metadata",
    ],
  });
});

test("without a role assignment, ARM's refusal is what the log says", async () => {
  const { code, lines } = await runOnce(READER, "elsewhere");
  expect(code).toBe(1);
  expect(lines[0]).toMatch(/^failed doARMOperations: 403: AuthorizationFailed: .*does not have authorization/);
  expect(lines.at(-1)).toBe("1 of 4 checks failed");
});

test("with an identity that is not attached, IMDS's refusal is what the log says", async () => {
  const { code, lines } = await runOnce(UNATTACHED, "podid-demo");
  expect(code).toBe(1);
  expect(lines[0]).toBe("failed doARMOperations: 400: Identity not found");
  expect(lines[2]).toMatch(/400 Bad Request: invalid_request: Identity not found$/);
  expect(lines.at(-1)).toBe("2 of 4 checks failed");
});
