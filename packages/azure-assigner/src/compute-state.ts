import type { NodeGroup } from "@podid/crd-types";
import { hasSystemAssigned } from "./identity-type.ts";

/** An identity to attach or detach. `key` is the lower-cased ARM id and the only thing compared. */
export interface IdentityRef {
  readonly key: string;
  readonly id: string;
}

/** A user-assigned identity as ARM reports it on a machine. */
export interface AttachedIdentity extends IdentityRef {
  /** Absent while the operation that attaches it runs, and for ever when the identity was deleted since. */
  readonly clientId?: string;
  readonly principalId?: string;
}

/** What ARM says about a VM or scale set, as far as identities are concerned. */
export interface ComputeState {
  readonly group: NodeGroup;
  readonly systemAssigned: boolean;
  /** By key. */
  readonly attached: ReadonlyMap<string, AttachedIdentity>;
  readonly etag?: string;
  /** `vmId` of a VM, `uniqueId` of a scale set: a machine made again under the same name has another. */
  readonly uniqueId?: string;
  readonly provisioningState?: string;
}

/** The parts of ARM's VM and scale set bodies that are read. */
export interface ComputeBody {
  readonly etag?: string | undefined;
  readonly vmId?: string | undefined;
  readonly uniqueId?: string | undefined;
  readonly provisioningState?: string | undefined;
  readonly identity?:
    | {
        readonly type?: string | undefined;
        readonly userAssignedIdentities?:
          | Readonly<Record<string, { readonly clientId?: string; readonly principalId?: string } | null>>
          | undefined;
      }
    | undefined;
}

export function computeState(group: NodeGroup, body: ComputeBody): ComputeState {
  const attached = new Map<string, AttachedIdentity>();
  for (const [id, value] of Object.entries(body.identity?.userAssignedIdentities ?? {})) {
    const key = id.toLowerCase();
    attached.set(key, {
      key,
      id,
      ...(value?.clientId && { clientId: value.clientId }),
      ...(value?.principalId && { principalId: value.principalId }),
    });
  }
  const uniqueId = body.vmId ?? body.uniqueId;
  return {
    group,
    systemAssigned: hasSystemAssigned(body.identity?.type),
    attached,
    ...(body.etag !== undefined && { etag: body.etag }),
    ...(uniqueId !== undefined && { uniqueId }),
    ...(body.provisioningState !== undefined && { provisioningState: body.provisioningState }),
  };
}
