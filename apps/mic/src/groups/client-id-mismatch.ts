import type { AttachedIdentity } from "@podid/azure-assigner";
import type { IdentityRecord } from "@podid/matcher";

/**
 * An AzureIdentity whose `clientID` is not that of the identity that its `resourceID` names, as ARM shows it on the machine.
 * NMI asks by resource id and refuses the token of another client, so its pods get none until one of the two is corrected.
 */
export interface ClientIdMismatch {
  readonly identity: { readonly namespace: string; readonly name: string; readonly uid: string };
  /** Lower-cased ARM id. */
  readonly resourceKey: string;
  /** As the AzureIdentity says. */
  readonly claimed: string;
  /** As ARM says. */
  readonly actual: string;
  /** One sentence with field, value and fix, for a condition or event. */
  readonly message: string;
}

/** One entry per AzureIdentity that claims another client id than ARM shows; those that ARM shows without one are not judged. */
export function clientIdMismatches(
  identities: Iterable<IdentityRecord>,
  attached: ReadonlyMap<string, AttachedIdentity>,
): readonly ClientIdMismatch[] {
  const found = new Map<string, ClientIdMismatch>();
  for (const { namespace, name, uid, spec, resourceKey } of identities) {
    const actual = attached.get(resourceKey ?? "")?.clientId;
    const claimed = spec.clientID?.trim() ?? "";
    if (resourceKey === undefined || actual === undefined || claimed === "") continue;
    if (claimed.toLowerCase() === actual.toLowerCase()) continue;
    found.set(`${namespace}/${name}`, {
      identity: { namespace, name, uid },
      resourceKey,
      claimed,
      actual,
      message: `spec.clientID of AzureIdentity ${namespace}/${name} is ${JSON.stringify(claimed)}, but the identity of spec.resourceID has client id ${actual}; correct one of the two`,
    });
  }
  return [...found.values()];
}
