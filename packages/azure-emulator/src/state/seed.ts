import type { JsonObject } from "../json.ts";
import type { Settings } from "./settings.ts";

/** A state as JSON. Everything is optional; ids, client ids and subscriptions that are not given are made up. */
export interface Seed {
  tenants?: readonly { id: string; domain?: string; displayName?: string }[];
  apps?: readonly SeedApp[];
  /** Further resources that Entra issues tokens for, e.g. `api://mine`; Azure's own are known. */
  resources?: readonly string[];
  subscriptions?: readonly { id: string; displayName?: string; tenantId?: string }[];
  resourceGroups?: readonly { id: string; location?: string }[];
  userAssignedIdentities?: readonly SeedIdentity[];
  virtualMachines?: readonly SeedVirtualMachine[];
  scaleSets?: readonly SeedScaleSet[];
  roleDefinitions?: readonly {
    roleName: string;
    actions: readonly string[];
    notActions?: readonly string[];
    name?: string;
  }[];
  roleAssignments?: readonly SeedRoleAssignment[];
  settings?: DeepPartial<Settings>;
}

export const SEED_PARTS: readonly (keyof Seed)[] = [
  "tenants",
  "apps",
  "resources",
  "subscriptions",
  "resourceGroups",
  "userAssignedIdentities",
  "virtualMachines",
  "scaleSets",
  "roleDefinitions",
  "roleAssignments",
  "settings",
];

export interface SeedFederatedCredential {
  readonly name?: string;
  readonly issuer: string;
  readonly subject: string;
  /** Default: `api://AzureADTokenExchange`. */
  readonly audiences?: readonly string[];
}

export interface SeedApp {
  readonly clientId: string;
  readonly objectId?: string;
  readonly tenantId?: string;
  readonly displayName?: string;
  /** A text, or one that ends to be valid (ISO 8601 or epoch milliseconds). */
  readonly secrets?: readonly (string | { value: string; expiresAt?: string | number })[];
  /** PEM. */
  readonly certificates?: readonly string[];
  /** Subjects of certificates that are accepted with a chain, e.g. `CN=mine`. */
  readonly trustedSubjects?: readonly string[];
  readonly identifierUris?: readonly string[];
  readonly federatedCredentials?: readonly SeedFederatedCredential[];
}

export interface SeedIdentity {
  /** ARM id. */
  readonly id: string;
  readonly clientId?: string;
  readonly principalId?: string;
  readonly location?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly federatedCredentials?: readonly SeedFederatedCredential[];
}

export interface SeedAttachment {
  /** Gives the machine a system-assigned identity; an object fixes its ids. */
  readonly systemAssigned?: boolean | { principalId?: string; clientId?: string };
  /** ARM ids of identities, which must exist. */
  readonly userAssigned?: readonly string[];
}

export interface SeedVirtualMachine extends SeedAttachment {
  readonly id: string;
  readonly location?: string;
  readonly vmId?: string;
  readonly vmSize?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly zones?: readonly string[];
  readonly privateIp?: string;
  /** ARM id of the flexible scale set that it is a member of. */
  readonly scaleSet?: string;
  /** Merged into the VM's `properties`. */
  readonly properties?: JsonObject;
}

export interface SeedScaleSet extends SeedAttachment {
  readonly id: string;
  readonly location?: string;
  readonly uniqueId?: string;
  readonly vmSize?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly zones?: readonly string[];
  /** Default `Uniform`. */
  readonly orchestrationMode?: "Uniform" | "Flexible";
  /** Default `Manual`. */
  readonly upgradeMode?: "Manual" | "Automatic" | "Rolling";
  /** How many; a flexible set gets VMs named NAME_0, NAME_1, … */
  readonly instances?: number;
  readonly properties?: JsonObject;
}

export interface SeedRoleAssignment {
  /** Object id, client id, or the ARM id of a user-assigned identity or of a machine with a system-assigned one. */
  readonly principal: string;
  /** Name ("Contributor"), GUID or id of the role. */
  readonly role: string;
  /** ARM id of a subscription, resource group or resource, or `/`. */
  readonly scope: string;
  readonly name?: string;
}

export type DeepPartial<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { [K in keyof T]?: DeepPartial<T[K]> }
    : T;
