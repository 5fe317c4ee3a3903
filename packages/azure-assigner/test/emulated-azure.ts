import { randomUUID } from "node:crypto";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import type { TokenCredential } from "@azure/core-auth";
import { startAzureEmulator } from "@podid/azure-emulator";
import type { AzureEmulator } from "@podid/azure-emulator";
import type { NodeGroup } from "@podid/crd-types";
import { AzureArm } from "../src/arm-compute/azure-arm.ts";
import type { AzureArmOptions } from "../src/arm-compute/azure-arm.ts";
import type { ArmWorld } from "../src/testing/arm-contract.ts";
import { identity, scaleSet, virtualMachine } from "../src/testing/fixtures.ts";

const CLIENT_ID = "11111111-0000-0000-0000-000000000001";
const SUBSCRIPTION_SCOPE = "/subscriptions/00000000-0000-0000-0000-000000000000";

/** The emulator's operations end at once. */
const QUICK = { firstMs: 1, factor: 1, maxMs: 1, deadlineMs: 10_000 };

export interface EmulatedAzure {
  readonly emulator: AzureEmulator;
  readonly endpoint: string;
  readonly credential: TokenCredential;
  arm(options?: AzureArmOptions): AzureArm;
  world(): ArmWorld;
}

/** The emulator with an application that may do everything, trusted by this process. */
export async function emulateAzure(): Promise<EmulatedAzure> {
  const emulator = await startAzureEmulator({
    seed: {
      apps: [{ clientId: CLIENT_ID, secrets: ["secret"] }],
      subscriptions: [{ id: "00000000-0000-0000-0000-000000000000" }],
      roleAssignments: [{ principal: CLIENT_ID, role: "Contributor", scope: SUBSCRIPTION_SCOPE }],
    },
  });
  setDefaultCACertificates([...getCACertificates("default"), emulator.caPem]);
  const endpoint = `https://localhost:${emulator.port}`;
  const credential: TokenCredential = {
    getToken: async () => ({
      token: await emulator.issueToken({ principal: CLIENT_ID, resource: "https://management.azure.com/" }),
      expiresOnTimestamp: Date.now() + 3_600_000,
    }),
  };
  const arm = (options: AzureArmOptions = {}): AzureArm => new AzureArm(credential, { endpoint, ...options });
  return { emulator, endpoint, credential, arm, world: () => worldOf(emulator, arm({ pollSchedule: QUICK })) };
}

function worldOf({ state }: AzureEmulator, arm: AzureArm): ArmWorld {
  let count = 0;
  const fresh = (kind: NodeGroup["kind"]): NodeGroup =>
    (kind === "virtualMachine" ? virtualMachine : scaleSet)(`m${(count += 1)}-${randomUUID().slice(0, 8)}`);
  return {
    arm,
    machine(kind, type) {
      const group = fresh(kind);
      const seed = { id: group.id, systemAssigned: type === "SystemAssigned" };
      if (kind === "virtualMachine") state.addVirtualMachine(seed);
      else state.addScaleSet({ ...seed, instances: 1 });
      return Promise.resolve(group);
    },
    identity() {
      const { id } = identity(`Id${(count += 1)}-${randomUUID().slice(0, 8)}`);
      state.addIdentity({ id });
      return Promise.resolve(id);
    },
    missingIdentity: () => identity("Missing").id,
    missingMachine: () => fresh("virtualMachine"),
    setProvisioningState(group, provisioningState) {
      const resource = state.machineResource(group.id);
      if (resource === undefined) throw new Error("fixture");
      Object.assign(resource, { provisioningState: () => provisioningState });
      return Promise.resolve();
    },
  };
}
