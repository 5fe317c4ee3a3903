import type { AzureState } from "./azure-state.ts";
import type { ComputeResource } from "./compute-resource.ts";
import type { FederatedCredential } from "./directory.ts";
import type { Seed, SeedAttachment, SeedFederatedCredential } from "./seed.ts";
import type { Settings } from "./settings.ts";

/** The inverse of seeding, as far as a seed can say it: operations in flight and what IMDS does not know yet are left out. */
export function exportSeed(state: AzureState): Seed {
  const resources = state.compute.list(state.clock.now());
  const principals = new Set([...state.directory.principals()].map((principal) => principal.objectId.toLowerCase()));
  return {
    tenants: state.directory.tenants.map(({ id, domain, displayName }) => ({
      id,
      displayName,
      ...(domain === undefined ? {} : { domain }),
    })),
    resources: state.directory.resources,
    apps: state.directory.apps.map((app) => ({
      clientId: app.principal.clientId,
      objectId: app.principal.objectId,
      tenantId: app.principal.tenantId,
      displayName: app.principal.displayName,
      secrets: app.secrets.map(({ value, expiresAt }) => (expiresAt === undefined ? value : { value, expiresAt })),
      certificates: app.certificates.map((certificate) => certificate.toString()),
      trustedSubjects: app.trustedSubjects,
      identifierUris: app.identifierUris,
      federatedCredentials: federated(app.federatedCredentials),
    })),
    subscriptions: state.subscriptions.list(),
    resourceGroups: state.subscriptions.resourceGroups().map(({ id, location }) => ({ id, location })),
    userAssignedIdentities: state.identities.list().map((identity) => ({
      id: identity.id,
      clientId: identity.principal.clientId,
      principalId: identity.principal.objectId,
      location: identity.location,
      tags: identity.tags,
      federatedCredentials: federated(identity.federatedCredentials),
    })),
    scaleSets: resources
      .filter((resource) => resource.kind === "virtualMachineScaleSet")
      .map((scaleSet) => ({
        id: scaleSet.id,
        uniqueId: scaleSet.uniqueId,
        location: scaleSet.body.location,
        // Members of a flexible set are in the list of VMs.
        instances: scaleSet.flexible ? 0 : scaleSet.instances.length,
        properties: scaleSet.body.properties,
        ...attachment(state, scaleSet),
        ...(scaleSet.flexible ? { orchestrationMode: "Flexible" as const } : {}),
      })),
    virtualMachines: resources
      .filter((resource) => resource.kind === "virtualMachine")
      .map((vm) => ({
        id: vm.id,
        vmId: vm.uniqueId,
        location: vm.body.location,
        privateIp: vm.privateIp,
        properties: vm.body.properties,
        ...attachment(state, vm),
        ...(vm.scaleSetId === undefined ? {} : { scaleSet: vm.scaleSetId }),
      })),
    roleDefinitions: state.roles.definitions.map(({ name, roleName, actions, notActions }) => ({
      name,
      roleName,
      actions,
      notActions,
    })),
    roleAssignments: state.roles.assignments
      .filter((assignment) => principals.has(assignment.principalId.toLowerCase()))
      .map(({ principalId, role, scope, name }) => ({ principal: principalId, role: role.name, scope, name })),
    // A limit that is switched off is undefined here and null in JSON.
    settings: JSON.parse(JSON.stringify(state.settings, (_name, value: unknown) => value ?? null)) as Settings,
  };
}

function attachment(state: AzureState, resource: ComputeResource): SeedAttachment {
  const { system, userAssigned } = resource.identity;
  return {
    // A seed cannot attach what is gone.
    userAssigned: [...userAssigned.values()]
      .filter(({ key }) => state.identities.get(key) !== undefined)
      .map(({ id }) => id),
    ...(system === undefined ? {} : { systemAssigned: { principalId: system.objectId, clientId: system.clientId } }),
  };
}

function federated(credentials: ReadonlyMap<string, FederatedCredential>): SeedFederatedCredential[] {
  return [...credentials.values()].map(({ name, issuer, subject, audiences }) => ({
    name,
    issuer,
    subject,
    audiences,
  }));
}
