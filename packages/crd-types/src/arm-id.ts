/** The pieces of an Azure Resource Manager id, as written. */
export interface ArmIdPieces {
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly provider: string;
  /** Type and name of the resource, then of what is nested in it. */
  readonly resources: readonly { readonly type: string; readonly name: string }[];
}

const SUBSCRIPTION = /^[A-Za-z0-9_-]{1,64}$/;
// Resource groups may hold letters and digits of any script and `_`, `-`, `.`, `(`, `)`, and may not end with a full stop
// (learn.microsoft.com, "Naming rules and restrictions for Azure resources").
const RESOURCE_GROUP = /^[\p{L}\p{N}_.()-]{1,90}$/u;
const SEGMENT = /^[A-Za-z0-9_.()-]+$/;
// Signs whose lower case is another letter (Kelvin, Ångström, Ohm, dotted İ). Azure compares ordinally and keeps them apart,
// `toLowerCase` does not: accepting them would let one id pass for another.
const FOLDS_INTO_ANOTHER_LETTER = /[\u0130\u2126\u212A\u212B]/;

/**
 * Splits an ARM id into its pieces, or says in half a sentence why it is none. Keywords are compared in any casing; anything
 * before the first slash or after the last name is an error, and so is an empty or relative segment.
 */
export function splitArmId(text: string): ArmIdPieces | string {
  if (text !== text.trim()) return "it begins or ends with white space";
  if (!text.startsWith("/")) return "it does not begin with /subscriptions/";
  const [, subscriptions, subscriptionId, groups, resourceGroup, providers, provider, ...rest] = text.split("/");
  if (subscriptions?.toLowerCase() !== "subscriptions") return "it does not begin with /subscriptions/";
  if (subscriptionId === undefined || !SUBSCRIPTION.test(subscriptionId)) {
    return "the subscription id must consist of letters, digits and dashes";
  }
  if (groups?.toLowerCase() !== "resourcegroups") return "/resourceGroups/ must follow the subscription id";
  if (!isResourceGroup(resourceGroup)) {
    return "a resource group has 1 to 90 letters, digits, '_', '-', '.', '(' or ')' and does not end with '.'";
  }
  if (providers?.toLowerCase() !== "providers") return "/providers/ must follow the resource group";
  if (provider === undefined || !SEGMENT.test(provider)) return "the resource provider is missing";
  if (rest.at(-1) === "") return "it ends with a slash";
  if (rest.length < 2 || rest.length % 2 !== 0)
    return "type and name of the resource must follow the resource provider";
  const resources: { type: string; name: string }[] = [];
  for (let i = 0; i < rest.length; i += 2) {
    const type = rest[i] ?? "";
    const name = rest[i + 1] ?? "";
    if (!SEGMENT.test(type) || !SEGMENT.test(name) || name === "." || name === "..") {
      return `${JSON.stringify(`${type}/${name}`)} is not a type and a name`;
    }
    resources.push({ type, name });
  }
  return { subscriptionId, resourceGroup, provider, resources };
}

function isResourceGroup(text: string | undefined): text is string {
  return (
    text !== undefined && RESOURCE_GROUP.test(text) && !text.endsWith(".") && !FOLDS_INTO_ANOTHER_LETTER.test(text)
  );
}
