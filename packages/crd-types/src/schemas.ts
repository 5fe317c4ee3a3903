import type { Kind } from "./kind.ts";
import { LEGACY_SPEC_FIELDS } from "./legacy-fields.ts";
import { emptyObject, integer, legacyProperties, object, text } from "./schema.ts";
import type { Schema } from "./schema.ts";

// What aad-pod-identity's CRDs accepted must stay storable: nothing is required, no value is restricted, and what they called an
// integer of 32 bits is one here. What makes an object useful is a matter of validateIdentity and its siblings.

const CONDITIONS: Schema = {
  description: "What is known about the object now.",
  type: "array",
  items: object("One statement, as in metav1.Condition.", {
    type: text("What the statement is about."),
    status: text("True, False or Unknown."),
    reason: text("Why, in one CamelCase word."),
    message: text("Why, in a sentence."),
    lastTransitionTime: text("When the status last changed, RFC 3339."),
    observedGeneration: { type: "integer", format: "int64", description: "The generation that was looked at." },
  }),
  "x-kubernetes-list-type": "atomic",
};

const COUNTS = {
  matched: integer("Pods that get this identity."),
  assigned: integer("Pods of these for which it is ready."),
  failed: integer("Pods of these for which the last attempt failed."),
};

const METADATA = emptyObject("Not used.");
const REPLICAS: Schema = { description: "Not used.", type: "integer", format: "int32", nullable: true };
const AVAILABLE_REPLICAS = integer("Not used.", "int32");

const STATUS: Schema = object("Written by MIC.", {
  availableReplicas: AVAILABLE_REPLICAS,
  metadata: METADATA,
  conditions: CONDITIONS,
  ...COUNTS,
});

const IDENTITY_SPEC = object("Which Azure identity, and how tokens for it are had.", {
  type: integer(
    "0 user-assigned managed identity, 1 service principal with a client secret, 2 service principal with a certificate, 3 federated credential for the pod's ServiceAccount.",
  ),
  resourceID: text(
    "Type 0: resource id of the user-assigned managed identity, /subscriptions/…/resourceGroups/…/providers/Microsoft.ManagedIdentity/userAssignedIdentities/….",
  ),
  clientID: text("Client id of the managed identity or application."),
  clientPassword: object(
    "Types 1 and 2: the Secret that holds the client secret, or the certificate and its password.",
    {
      name: text("Name of the Secret."),
      namespace: text("Namespace of the Secret."),
    },
  ),
  tenantID: text("Types 1 to 3: tenant of the application."),
  auxiliaryTenantIDs: {
    description: "Type 1: up to three further tenants whose tokens are wanted as well.",
    type: "array",
    items: { type: "string" },
    nullable: true,
  },
  adResourceID: text("Not used."),
  adEndpoint: text("Types 1 and 2: address of the authority, if it is not the cloud's own."),
  replicas: REPLICAS,
  metadata: METADATA,
  serviceAccounts: {
    description:
      "Names of the ServiceAccounts whose pods may use the identity; empty means any. With type 3 the ServiceAccount is what Entra trusts.",
    type: "array",
    items: { type: "string" },
    nullable: true,
  },
  ...legacyProperties(LEGACY_SPEC_FIELDS.AzureIdentity),
});

const BINDING_SPEC = object("Which pods get which identity.", {
  azureIdentity: text("Name of an AzureIdentity in the binding's own namespace."),
  selector: text("Value of the label aadpodidbinding of the pods that are meant, compared exactly."),
  weight: integer("Of a pod's identities the one whose binding weighs most is the default; absent means 0."),
  metadata: METADATA,
  ...legacyProperties(LEGACY_SPEC_FIELDS.AzureIdentityBinding),
});

function embedded(description: string): Schema {
  return {
    description,
    type: "object",
    nullable: true,
    "x-kubernetes-embedded-resource": true,
    "x-kubernetes-preserve-unknown-fields": true,
  };
}

const ASSIGNED_IDENTITY_SPEC = object("Which pod on which node gets which identity.", {
  azureIdentityRef: embedded("The identity as it was when it was matched."),
  azureBindingRef: embedded("The binding as it was when it was matched."),
  pod: text("Name of the pod."),
  podNamespace: text("Namespace of the pod."),
  nodename: text("Name of the pod's node."),
  replicas: REPLICAS,
  metadata: METADATA,
  ...legacyProperties(LEGACY_SPEC_FIELDS.AzureAssignedIdentity),
});

const EXCEPTION_SPEC = object("Which pods talk to the instance metadata service as if podid were not there.", {
  podLabels: {
    description: "A pod of the exception's namespace that carries any one of these labels is excepted.",
    type: "object",
    additionalProperties: { type: "string" },
  },
  metadata: METADATA,
  ...legacyProperties(LEGACY_SPEC_FIELDS.AzurePodIdentityException),
});

function resource(description: string, spec: Schema, status: Schema): Schema {
  return object(description, {
    apiVersion: text("Version of the schema of this object."),
    kind: text("Kind of this object."),
    metadata: { type: "object" },
    spec,
    status,
  });
}

/** One schema per kind; the CRD's and the validation's alike. */
export const SCHEMAS: Readonly<Record<Kind, Schema>> = {
  AzureIdentity: resource("An Azure identity that pods may use.", IDENTITY_SPEC, STATUS),
  AzureIdentityBinding: resource("Gives an AzureIdentity to the pods with a label.", BINDING_SPEC, STATUS),
  AzureAssignedIdentity: resource(
    "Says that a pod has been given an identity. Made by MIC; not to be edited.",
    ASSIGNED_IDENTITY_SPEC,
    object("How far MIC has come.", {
      status: text("Created, Assigned or Unassigned."),
      availableReplicas: AVAILABLE_REPLICAS,
      metadata: METADATA,
    }),
  ),
  AzurePodIdentityException: resource(
    "Excepts pods from interception.",
    EXCEPTION_SPEC,
    object("Not used.", { status: text("Not used."), metadata: METADATA }),
  ),
};
