import { splitArmId } from "./arm-id.ts";
import { failed, fieldError, ok } from "./result.ts";
import type { Result } from "./result.ts";

/** ARM id of a user-assigned managed identity. */
export interface IdentityResourceId {
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly name: string;
  /** The id in ARM's own spelling of the keywords, names as they were written. */
  readonly id: string;
  /** The id in lower case: the only thing to compare by. */
  readonly key: string;
}

const FORMAT =
  "/subscriptions/<subid>/resourcegroups/<resourcegroup>/providers/Microsoft.ManagedIdentity/userAssignedIdentities/<name>";
// Naming rules of Microsoft.ManagedIdentity/userAssignedIdentities; the lower bound of three is left to ARM.
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/;

/**
 * Reads the ARM id of a user-assigned identity in any casing. The whole text must be the id: unlike aad-pod-identity's
 * expression it accepts nothing before or after it. The message of an error begins with aad-pod-identity's own wording.
 */
export function parseIdentityResourceId(text: string): Result<IdentityResourceId> {
  const pieces = splitArmId(text);
  if (typeof pieces === "string") return refuse(text, pieces);
  const { subscriptionId, resourceGroup, provider, resources } = pieces;
  const [resource, nested] = resources;
  if (provider.toLowerCase() !== "microsoft.managedidentity") {
    return refuse(text, "the resource provider is not Microsoft.ManagedIdentity");
  }
  if (resource?.type.toLowerCase() !== "userassignedidentities") {
    return refuse(text, "the resource type is not userAssignedIdentities");
  }
  if (nested !== undefined) return refuse(text, "something follows the identity's name");
  if (!NAME.test(resource.name)) {
    return refuse(
      text,
      "an identity's name has at most 128 letters, digits, '_' or '-' and begins with a letter or digit",
    );
  }
  const id = `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${resource.name}`;
  return ok({ subscriptionId, resourceGroup, name: resource.name, id, key: id.toLowerCase() });
}

/** What to compare ids of identities by that may be client ids or ARM ids: lower-cased, an ARM id as its {@link IdentityResourceId.key}. */
export function identityIdKey(id: string): string {
  const text = id.trim();
  // A client id is asked for on NMI's way to a token, where the words of a refusal cost more than the rest.
  if (!text.includes("/")) return text.toLowerCase();
  const parsed = parseIdentityResourceId(text);
  return parsed.ok ? parsed.value.key : text.toLowerCase();
}

function refuse(text: string, why: string): Result<never> {
  const fix = `use the identity's resource id, ${FORMAT} (${why})`;
  return failed(
    fieldError("resourceID", text, fix, `invalid resource id: ${echo(text)}, must match ${FORMAT} (${why})`),
  );
}

/** The text in quotes; control characters escaped, so that a value cannot break a log line. */
function echo(text: string): string {
  return JSON.stringify(text.length > 400 ? `${text.slice(0, 400)}…` : text);
}
