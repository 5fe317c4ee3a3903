import { ComputeManagementClient } from "@azure/arm-compute";
import type { ComputeManagementClientOptionalParams, VirtualMachine } from "@azure/arm-compute";
import { ManagedIdentityCredential } from "@azure/identity";
import type { Check } from "./check.ts";
import { describeError } from "./failure.ts";

export interface ArmOptions {
  readonly endpoint: string;
  /** What ARM's tokens are asked for; without slash at its end. */
  readonly audience: string;
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly clientId: string;
  /** Further options of the client, such as the CA of an emulated cloud. */
  readonly client?: ComputeManagementClientOptionalParams;
}

type ListVirtualMachines = (signal: AbortSignal) => AsyncIterable<VirtualMachine>;

/** The machines of the resource group, read as a workload reads them: by Azure's own SDK with the pod's managed identity. */
export function virtualMachines(options: ArmOptions): ListVirtualMachines {
  // One retry: NMI has already waited its time before it answers with an error that is worth one.
  const credential = new ManagedIdentityCredential({ clientId: options.clientId, retryOptions: { maxRetries: 1 } });
  const client = new ComputeManagementClient(credential, options.subscriptionId, {
    endpoint: options.endpoint,
    credentials: { scopes: [`${options.audience}/.default`] },
    ...options.client,
  });
  return (abortSignal) => client.virtualMachines.list(options.resourceGroup, { abortSignal });
}

/** Counts the machines that ARM lists. */
export function armOperations(list: ListVirtualMachines): Check {
  return async (signal) => {
    try {
      let count = 0;
      for await (const _machine of list(signal)) count += 1;
      return { ok: true, message: `successfully doARMOperations vm count ${count}` };
    } catch (error) {
      return { ok: false, message: `failed doARMOperations: ${describeError(error)}` };
    }
  };
}
