import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CUSTOM_RESOURCE_DEFINITIONS } from "./custom-resource-definitions.ts";
import { KINDS } from "./kind.ts";
import type { Kind } from "./kind.ts";
import { LEGACY_SPEC_FIELDS, SPEC_FIELDS } from "./legacy-fields.ts";
import { SCHEMAS } from "./schemas.ts";
import { shapeErrors } from "./shape.ts";
import type { Schema } from "./schema.ts";

const text = fc.string();
const anyObject = fc.dictionary(fc.string(), fc.jsonValue());
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const nullableInt32 = fc.option(int32);
const optional = <T extends Record<string, fc.Arbitrary<unknown>>>(model: T) => fc.record(model, { requiredKeys: [] });
const status = optional({ availableReplicas: int32, metadata: anyObject });
const secret = optional({ name: text, namespace: text });

/** What the CRDs of aad-pod-identity v1.8.17 let through, and what was stored before they had a schema. */
const ACCEPTED_UPSTREAM: Record<Kind, fc.Arbitrary<Record<string, unknown>>> = {
  AzureIdentity: optional({
    apiVersion: text,
    kind: text,
    metadata: anyObject,
    spec: optional({
      type: fc.maxSafeInteger(),
      resourceID: text,
      clientID: text,
      clientPassword: secret,
      tenantID: text,
      auxiliaryTenantIDs: fc.option(fc.array(text)),
      adResourceID: text,
      adEndpoint: text,
      replicas: nullableInt32,
      metadata: anyObject,
      ResourceID: fc.jsonValue(),
      ClientID: fc.jsonValue(),
      ClientPassword: fc.jsonValue(),
      TenantID: fc.jsonValue(),
      unknown: fc.jsonValue(),
    }),
    status,
  }),
  AzureIdentityBinding: optional({
    metadata: anyObject,
    spec: optional({
      azureIdentity: text,
      selector: text,
      weight: fc.maxSafeInteger(),
      metadata: anyObject,
      AzureIdentity: fc.jsonValue(),
      Selector: fc.jsonValue(),
    }),
    status,
  }),
  AzureAssignedIdentity: optional({
    metadata: anyObject,
    spec: optional({
      azureIdentityRef: anyObject,
      azureBindingRef: anyObject,
      pod: text,
      podNamespace: text,
      nodename: text,
      replicas: nullableInt32,
      metadata: anyObject,
    }),
    status: optional({ status: text, availableReplicas: int32, metadata: anyObject }),
  }),
  AzurePodIdentityException: optional({
    metadata: anyObject,
    spec: optional({ podLabels: fc.dictionary(text, text), metadata: anyObject, PodLabels: fc.jsonValue() }),
    status: optional({ status: text, metadata: anyObject }),
  }),
};

const kinds = Object.keys(KINDS) as Kind[];

describe("schemas", () => {
  test.for(kinds)("law: %s refuses nothing that upstream's CRD accepted", (kind) => {
    fc.assert(
      fc.property(ACCEPTED_UPSTREAM[kind], (object) => {
        expect(shapeErrors(kind, object)).toEqual([]);
      }),
    );
  });

  test.for(kinds)("every field of %s is in the schema, old spellings included", (kind) => {
    const properties = Object.keys(SCHEMAS[kind].properties?.["spec"]?.properties ?? {});
    expect(properties.toSorted()).toEqual([...SPEC_FIELDS[kind], ...Object.keys(LEGACY_SPEC_FIELDS[kind])].toSorted());
  });

  test("nothing in them refuses a value, beyond the types that upstream had", () => {
    const words = new Set<string>();
    const collect = (schema: Schema): void => {
      for (const key of Object.keys(schema)) words.add(key);
      for (const inner of Object.values(schema.properties ?? {})) collect(inner);
      if (schema.items) collect(schema.items);
      if (schema.additionalProperties) collect(schema.additionalProperties);
    };
    kinds.forEach((kind) => collect(SCHEMAS[kind]));
    expect([...words].toSorted()).toEqual([
      "additionalProperties",
      "description",
      "format",
      "items",
      "nullable",
      "properties",
      "type",
      "x-kubernetes-embedded-resource",
      "x-kubernetes-list-type",
      "x-kubernetes-preserve-unknown-fields",
    ]);
  });
});

describe("custom resource definitions", () => {
  test("names, and where the status is a subresource", () => {
    const facts = CUSTOM_RESOURCE_DEFINITIONS.map(({ metadata, spec }) => [
      metadata.name,
      spec.names.kind,
      spec.versions.map(({ subresources }) => subresources?.status),
    ]);
    expect(facts).toEqual([
      ["azureidentities.aadpodidentity.k8s.io", "AzureIdentity", [{}]],
      ["azureidentitybindings.aadpodidentity.k8s.io", "AzureIdentityBinding", [{}]],
      ["azureassignedidentities.aadpodidentity.k8s.io", "AzureAssignedIdentity", [undefined]],
      ["azurepodidentityexceptions.aadpodidentity.k8s.io", "AzurePodIdentityException", [undefined]],
    ]);
  });

  test("upstream's columns come first and the age last", () => {
    const columns = CUSTOM_RESOURCE_DEFINITIONS.map(({ spec }) =>
      (spec.versions[0]?.additionalPrinterColumns ?? []).map(({ name }) => name),
    );
    expect(columns).toEqual([
      ["Type", "ClientID", "Ready", "Reason", "Pods", "Assigned", "Failed", "ResourceID", "Age"],
      ["AzureIdentity", "Selector", "Ready", "Reason", "Pods", "Assigned", "Failed", "Weight", "Age"],
      ["Pod", "Namespace", "Node", "Identity", "Status", "Binding", "Age"],
      [],
    ]);
  });

  test("embedded copies are kept whole and unchecked", () => {
    const spec = SCHEMAS.AzureAssignedIdentity.properties?.["spec"]?.properties;
    for (const field of ["azureIdentityRef", "azureBindingRef"]) {
      expect(spec?.[field]).toMatchObject({
        "x-kubernetes-embedded-resource": true,
        "x-kubernetes-preserve-unknown-fields": true,
      });
      expect(spec?.[field]?.properties).toBeUndefined();
    }
  });
});
