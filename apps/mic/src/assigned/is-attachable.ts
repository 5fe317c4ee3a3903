import { IDENTITY_TYPE } from "@podid/crd-types";
import type { AzureIdentitySpec } from "@podid/crd-types";

/** Whether the identity has to be attached to the machine before a pod can use it: the others need no ARM. */
export function isAttachable({ type }: AzureIdentitySpec): boolean {
  return (type ?? IDENTITY_TYPE.userAssigned) === IDENTITY_TYPE.userAssigned;
}
