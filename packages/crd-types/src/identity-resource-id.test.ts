import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseIdentityResourceId } from "./identity-resource-id.ts";

const PREFIX = "/subscriptions/x/resourcegroups/0000/providers/Microsoft.ManagedIdentity";
const VALID = `${PREFIX}/userAssignedIdentities/keyvault-identity-0`;

describe("S03 resource id validation", () => {
  test.for([
    { name: "no id at all", text: "invalidresid" },
    { name: "no resource type", text: `${PREFIX}/keyvault-identity-0` },
  ])("S03 $name", ({ text }) => {
    const result = parseIdentityResourceId(text);
    expect(result).toMatchObject({ ok: false, errors: [{ field: "resourceID", value: text }] });
    expect(!result.ok && result.errors[0]?.message).toContain(
      `invalid resource id: "${text}", must match /subscriptions/<subid>/resourcegroups/<resourcegroup>/providers/Microsoft.ManagedIdentity/userAssignedIdentities/<name>`,
    );
  });

  test("S03 a good one, in any casing", () => {
    const want = {
      subscriptionId: "x",
      resourceGroup: "0000",
      name: "keyvault-identity-0",
      id: "/subscriptions/x/resourceGroups/0000/providers/Microsoft.ManagedIdentity/userAssignedIdentities/keyvault-identity-0",
      key: VALID.toLowerCase(),
    };
    expect(parseIdentityResourceId(VALID)).toEqual({ ok: true, value: want });
    const upper = parseIdentityResourceId(VALID.toUpperCase());
    expect(upper.ok && upper.value.key).toBe(want.key);
  });
});

test.for(["My.Group_1-x", "(old)", "MC_rg_aks(1)_westeurope", "groupe-été", "资源组"])(
  "the resource group %s is one",
  (resourceGroup) => {
    const id = `/subscriptions/s/resourceGroups/${resourceGroup}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/n`;
    expect(parseIdentityResourceId(id)).toMatchObject({ ok: true, value: { resourceGroup, id } });
  },
);

test.for([
  { name: "text before", text: `https://management.azure.com${VALID}` },
  { name: "text after", text: `${VALID}/federatedIdentityCredentials/f` },
  { name: "a slash after", text: `${VALID}/` },
  { name: "a query", text: `${VALID}?api-version=2023-01-31` },
  { name: "a fragment", text: `${VALID}#x` },
  { name: "an encoded slash", text: `${VALID}%2f..` },
  { name: "a second id", text: `${VALID}','${VALID}` },
  { name: "a newline", text: `${VALID}\n` },
  { name: "a blank before", text: ` ${VALID}` },
  { name: "a line inside", text: VALID.replace("0000", "00\n00") },
  { name: "an empty resource group", text: VALID.replace("0000", "") },
  { name: "a relative resource group", text: VALID.replace("0000", "..") },
  { name: "a resource group that ends with a stop", text: VALID.replace("0000", "rg.") },
  { name: "a double slash", text: VALID.replace("/providers", "//providers") },
  { name: "a backslash", text: VALID.replace("/providers", "\\providers") },
  { name: "another provider", text: VALID.replace("ManagedIdentity", "Compute") },
  { name: "another type", text: VALID.replace("userAssignedIdentities", "systemAssignedIdentities") },
  { name: "no subscription", text: VALID.replace("/x/", "//") },
  { name: "another keyword for the group", text: VALID.replace("resourcegroups", "groups") },
  { name: "no provider", text: VALID.replace("Microsoft.ManagedIdentity", "") },
  { name: "a Kelvin sign for a k", text: VALID.replace("0000", "\u212A") },
  { name: "a long s in a keyword", text: VALID.replace("userAssigned", "u\u017FerA\u017F\u017Figned") },
  { name: "a name of 129 letters", text: VALID.replace("keyvault-identity-0", "n".repeat(129)) },
  { name: "a name that begins with a dash", text: VALID.replace("keyvault", "-") },
  { name: "a null byte", text: `${VALID}\0` },
])("refused: $name", ({ text }) => {
  expect(parseIdentityResourceId(text)).toMatchObject({ ok: false, errors: [{ value: text }] });
});

test("control characters cannot break the line of a log", () => {
  const result = parseIdentityResourceId("a\nFAKE LOG LINE");
  expect(!result.ok && result.errors[0]?.message).not.toContain("\n");
});

const char = (chars: string) => fc.constantFrom(...chars.split(""));
const word = (chars: string, max: number) => fc.string({ unit: char(chars), minLength: 1, maxLength: max });
const LETTERS = "abcXYZ019";

test("law: the canonical id is read back as the same id, and casing makes no difference", () => {
  fc.assert(
    fc.property(
      word(`${LETTERS}-`, 36),
      word(`${LETTERS}_.-()`, 20).map((group) => `${group}x`),
      word(LETTERS, 20),
      fc.func(fc.boolean()),
      (subscription, group, name, isUpper) => {
        const id = `/subscriptions/${subscription}/resourceGroups/${group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;
        const first = parseIdentityResourceId(id);
        expect(first.ok && first.value.id).toBe(id);
        const recased = id
          .split("")
          .map((c, i) => (isUpper(i) ? c.toUpperCase() : c.toLowerCase()))
          .join("");
        const second = parseIdentityResourceId(recased);
        expect(second.ok && second.value.key).toBe(first.ok && first.value.key);
      },
    ),
  );
});
