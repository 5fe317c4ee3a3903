import { GROUP, VERSION } from "./constants.ts";
import { KINDS } from "./kind.ts";
import type { Kind } from "./kind.ts";
import type { Schema } from "./schema.ts";
import { SCHEMAS } from "./schemas.ts";

export interface PrinterColumn {
  readonly name: string;
  readonly type: "string" | "integer" | "date";
  readonly jsonPath: string;
  readonly description?: string;
  /** 1: with `kubectl get -o wide` only. */
  readonly priority?: 1;
}

/** A CustomResourceDefinition of `apiextensions.k8s.io/v1` as podid writes it. */
export interface CustomResourceDefinition {
  readonly apiVersion: "apiextensions.k8s.io/v1";
  readonly kind: "CustomResourceDefinition";
  readonly metadata: { readonly name: string; readonly annotations: Readonly<Record<string, string>> };
  readonly spec: {
    readonly group: typeof GROUP;
    readonly scope: "Namespaced";
    readonly preserveUnknownFields: false;
    readonly names: {
      readonly kind: Kind;
      readonly listKind: string;
      readonly plural: string;
      readonly singular: string;
    };
    readonly versions: readonly {
      readonly name: typeof VERSION;
      readonly served: true;
      readonly storage: true;
      readonly schema: { readonly openAPIV3Schema: Schema };
      readonly subresources?: { readonly status: Readonly<Record<string, never>> };
      readonly additionalPrinterColumns?: readonly PrinterColumn[];
    }[];
  };
}

const READY: PrinterColumn = {
  name: "Ready",
  type: "string",
  jsonPath: '.status.conditions[?(@.type=="Ready")].status',
  description: "Whether every matched pod can have its tokens.",
};
const MATCHED: PrinterColumn = {
  name: "Pods",
  type: "integer",
  jsonPath: ".status.matched",
  description: "Matched pods.",
};
const ASSIGNED: PrinterColumn = {
  name: "Assigned",
  type: "integer",
  jsonPath: ".status.assigned",
  description: "Pods for which the identity is ready.",
};
const REASON: PrinterColumn = {
  name: "Reason",
  type: "string",
  jsonPath: '.status.conditions[?(@.type=="Ready")].reason',
  description: "Why it is ready or not.",
};
const FAILED: PrinterColumn = {
  name: "Failed",
  type: "integer",
  jsonPath: ".status.failed",
  description: "Pods for which the last attempt failed.",
  priority: 1,
};
const AGE: PrinterColumn = { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" };

const COLUMNS: Readonly<Record<Kind, readonly PrinterColumn[]>> = {
  AzureIdentity: [
    // A string, as upstream declared it: an absent type prints as nothing, not as 0.
    { name: "Type", type: "string", jsonPath: ".spec.type" },
    { name: "ClientID", type: "string", jsonPath: ".spec.clientID" },
    READY,
    REASON,
    MATCHED,
    ASSIGNED,
    FAILED,
    { name: "ResourceID", type: "string", jsonPath: ".spec.resourceID", priority: 1 },
    AGE,
  ],
  AzureIdentityBinding: [
    { name: "AzureIdentity", type: "string", jsonPath: ".spec.azureIdentity" },
    { name: "Selector", type: "string", jsonPath: ".spec.selector" },
    READY,
    REASON,
    MATCHED,
    ASSIGNED,
    FAILED,
    { name: "Weight", type: "integer", jsonPath: ".spec.weight", priority: 1 },
    AGE,
  ],
  AzureAssignedIdentity: [
    { name: "Pod", type: "string", jsonPath: ".spec.pod" },
    { name: "Namespace", type: "string", jsonPath: ".spec.podNamespace", description: "The pod's namespace." },
    { name: "Node", type: "string", jsonPath: ".spec.nodename" },
    { name: "Identity", type: "string", jsonPath: ".spec.azureIdentityRef.metadata.name" },
    { name: "Status", type: "string", jsonPath: ".status.status" },
    { name: "Binding", type: "string", jsonPath: ".spec.azureBindingRef.metadata.name", priority: 1 },
    AGE,
  ],
  AzurePodIdentityException: [],
};

/**
 * Kinds whose status is a subresource. The assigned identity has none, so that upstream's components, which write spec and status
 * in one request, keep working next to podid's and after a roll-back.
 */
const WITH_STATUS_SUBRESOURCE: ReadonlySet<Kind> = new Set(["AzureIdentity", "AzureIdentityBinding"]);

function definition(kind: Kind): CustomResourceDefinition {
  const plural = KINDS[kind];
  const columns = COLUMNS[kind];
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: {
      name: `${plural}.${GROUP}`,
      // Groups under k8s.io are reserved; the API server wants this said.
      annotations: { "api-approved.kubernetes.io": "unapproved" },
    },
    spec: {
      group: GROUP,
      scope: "Namespaced",
      // The default, but said: a CRD that was once created through v1beta1 has `true`, and applying this one must end that.
      preserveUnknownFields: false,
      names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase() },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: SCHEMAS[kind] },
          ...(WITH_STATUS_SUBRESOURCE.has(kind) ? { subresources: { status: {} } } : {}),
          ...(columns.length > 0 ? { additionalPrinterColumns: columns } : {}),
        },
      ],
    },
  };
}

/** The four CRDs as plain objects, ready to be applied or written as YAML. */
export const CUSTOM_RESOURCE_DEFINITIONS: readonly CustomResourceDefinition[] = (Object.keys(KINDS) as Kind[]).map(
  definition,
);
