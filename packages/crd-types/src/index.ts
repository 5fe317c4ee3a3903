export {
  API_VERSION,
  ASSIGNED_IDENTITY_FINALIZER,
  ASSIGNED_IDENTITY_STATUSES,
  BEHAVIOR_ANNOTATION,
  BEHAVIOR_NAMESPACED,
  BINDING_LABEL,
  EVENT_COMPONENT,
  GROUP,
  IDENTITY_TYPE,
  KEEP_ANNOTATION,
  NODE_LABEL,
  NODE_POOL_LABELS,
  POD_UID_ANNOTATION,
  PRE_ASSIGN_ANNOTATION,
  READINESS_GATE,
  SPEC_DIGEST_ANNOTATION,
  TOKEN_EXCHANGE_AUDIENCE,
  VERSION,
} from "./constants.ts";
export type {
  AssignedIdentityStatus,
  AzureAssignedIdentity,
  AzureAssignedIdentitySpec,
  AzureIdentity,
  AzureIdentityBinding,
  AzureIdentityBindingSpec,
  AzureIdentityBindingStatus,
  AzureIdentitySpec,
  AzureIdentityStatus,
  AzurePodIdentityException,
  Condition,
  IdentityType,
  ObjectMeta,
  SecretReference,
} from "./types.ts";
export { assignedIdentityName, nodeLabelValue } from "./assigned-identity-name.ts";
export type { AssignedIdentityParts } from "./assigned-identity-name.ts";
export { CUSTOM_RESOURCE_DEFINITIONS } from "./custom-resource-definitions.ts";
export type { CustomResourceDefinition, PrinterColumn } from "./custom-resource-definitions.ts";
export { withoutFinalizer } from "./finalizer.ts";
export { specDigest, specFingerprint } from "./fingerprint.ts";
export { identityIdKey, parseIdentityResourceId } from "./identity-resource-id.ts";
export type { IdentityResourceId } from "./identity-resource-id.ts";
export type { JsonObject } from "./json.ts";
export { KINDS } from "./kind.ts";
export type { Kind } from "./kind.ts";
export { parseComputeResourceId, parseProviderId } from "./node-group.ts";
export type { ComputeResourceId, NodeGroup, NodePlacement } from "./node-group.ts";
export { preAssignedPools } from "./pre-assigned-pools.ts";
export { redactClientId } from "./redaction.ts";
export { fieldError } from "./result.ts";
export type { FieldError, Result } from "./result.ts";
export type { Schema } from "./schema.ts";
export { upgradeLegacyObject } from "./upgrade.ts";
export type { Upgrade } from "./upgrade.ts";
export { userAgent } from "./user-agent.ts";
export type { UserAgentParts } from "./user-agent.ts";
export { validateAssignedIdentity } from "./validate-assigned-identity.ts";
export { validateBinding } from "./validate-binding.ts";
export { validateException } from "./validate-exception.ts";
export { validateIdentity } from "./validate-identity.ts";
