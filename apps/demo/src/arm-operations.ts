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
}

type ListVirtualMachines = (signal: AbortSignal) => AsyncIterable<VirtualMachine>;

/** The machines of the resource group, read as a workload reads them: by Azure's own SDK with the pod's managed identity. */
export function virtualMachines(options: ArmOptions): ListVirtualMachines {
  // One retry: NMI has already waited its time before it answers with an error that is worth one.
  const credential = new ManagedIdentityCredential({ clientId: options.clientId, retryOptions: { maxRetries: 1 } });
  const client = new ComputeManagementClient(credential, options.subscriptionId, {
    endpoint: options.endpoint,
    credentials: { scopes: [`${options.audience}/.default`] },
    additionalPolicies: [SERVERS_WORDS],
  });
  return (abortSignal) => client.virtualMachines.list(options.resourceGroup, { abortSignal });
}

type AdditionalPolicy = NonNullable<ComputeManagementClientOptionalParams["additionalPolicies"]>[number];

/** The client's pager says "Pagination failed with unexpected statusCode 403" and drops what ARM said, which names the missing role. */
const SERVERS_WORDS: AdditionalPolicy = {
  position: "perCall",
  policy: {
    name: "serversWords",
    async sendRequest(request, next) {
      const response = await next(request);
      if (response.status < 400) return response;
      const { code, message } = armError(response.bodyAsText ?? "");
      throw Object.assign(new Error(`${code}: ${message}`), { statusCode: response.status });
    },
  },
};

function armError(body: string): { readonly code: string; readonly message: string } {
  try {
    const { error } = JSON.parse(body) as { error?: { code?: unknown; message?: unknown } };
    if (typeof error?.code === "string" && typeof error.message === "string")
      return { code: error.code, message: error.message };
  } catch {
    // Not ARM's own answer, but that of something in between.
  }
  return { code: "no ARM error", message: body };
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
