import { randomUUID } from "node:crypto";
import type { Clock } from "../clock.ts";
import { Faults } from "../faults.ts";
import type { AttachedIdentity, ComputeResource } from "./compute-resource.ts";
import { ComputeStore, resize } from "./compute-store.ts";
import type { Machine } from "./compute-store.ts";
import type { App, FederatedCredential, Principal } from "./directory.ts";
import { Directory } from "./directory.ts";
import type { UserAssignedIdentity } from "./identity-store.ts";
import { IdentityStore } from "./identity-store.ts";
import type { Operation } from "./operation.ts";
import { armKey, parseIdentityId, resourceGroupId } from "./resource-id.ts";
import type { RoleAssignment } from "./roles.ts";
import { Roles } from "./roles.ts";
import type {
  DeepPartial,
  Seed,
  SeedApp,
  SeedAttachment,
  SeedFederatedCredential,
  SeedIdentity,
  SeedRoleAssignment,
  SeedScaleSet,
  SeedVirtualMachine,
} from "./seed.ts";
import type { Settings } from "./settings.ts";
import { defaultSettings, mergeSettings } from "./settings.ts";
import { newScaleSet, newVirtualMachine } from "./new-compute.ts";
import { Subscriptions } from "./subscriptions.ts";
import { exportSeed } from "./export-seed.ts";
import { SEED_PARTS } from "./seed.ts";
import { rejectUnknownNames } from "../json.ts";

const DEFAULT_LOCATION = "westus2";

/**
 * The one state behind IMDS, Entra and ARM. Everything added here is in force at once; what changes identities
 * of machines reaches IMDS after `settings.imdsLagMs`, as it does when it came in through ARM.
 */
export class AzureState {
  readonly clock: Clock;
  readonly faults = new Faults();
  #content = emptyContent();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get settings(): Settings {
    return this.#content.settings;
  }
  get directory(): Directory {
    return this.#content.directory;
  }
  get subscriptions(): Subscriptions {
    return this.#content.subscriptions;
  }
  get identities(): IdentityStore {
    return this.#content.identities;
  }
  get compute(): ComputeStore {
    return this.#content.compute;
  }
  get roles(): Roles {
    return this.#content.roles;
  }
  /** Long-running operations by id. */
  get operations(): Map<string, Operation> {
    return this.#content.operations;
  }

  /** Forgets everything but the faults and starts over with `seed`. When that is not valid, nothing changes. */
  replace(seed: Seed): void {
    const next = new AzureState(this.clock);
    next.seed(seed);
    this.#content = next.#content;
  }

  /**
   * Adds everything in `seed`; what has the id of something there replaces it.
   * @throws Error that names the part that is not valid; what came before it in the list is in force.
   */
  seed(seed: Seed): void {
    rejectUnknownNames("seed", seed, SEED_PARTS);
    if (seed.settings !== undefined) this.configure(seed.settings);
    for (const tenant of seed.tenants ?? []) this.directory.addTenant(tenant);
    for (const resource of seed.resources ?? []) this.directory.addResource(resource);
    for (const { id, displayName, tenantId } of seed.subscriptions ?? [])
      this.addSubscription(id, { displayName, tenantId });
    for (const { id, location } of seed.resourceGroups ?? []) this.#addResourceGroupById(id, location);
    for (const app of seed.apps ?? []) this.addApp(app);
    for (const identity of seed.userAssignedIdentities ?? []) this.addIdentity(identity);
    for (const scaleSet of seed.scaleSets ?? []) this.addScaleSet(scaleSet);
    for (const vm of seed.virtualMachines ?? []) this.addVirtualMachine(vm);
    for (const definition of seed.roleDefinitions ?? []) this.roles.addDefinition(definition);
    for (const assignment of seed.roleAssignments ?? []) this.addRoleAssignment(assignment);
  }

  /** The present state as a seed, settings and secrets included. */
  snapshot(): Seed {
    return exportSeed(this);
  }

  /** Merges into {@link settings}; null switches a limit off, since JSON has no undefined. */
  configure(settings: DeepPartial<Settings>): void {
    mergeSettings(this.settings, settings);
  }

  addSubscription(id: string, o: { displayName?: string | undefined; tenantId?: string | undefined } = {}): void {
    const tenantId = o.tenantId ?? this.directory.defaultTenant().id;
    if (this.directory.tenant(tenantId) === undefined) this.directory.addTenant({ id: tenantId });
    this.subscriptions.add({ id, displayName: o.displayName ?? "azure-emulator", tenantId });
  }

  addResourceGroup(subscriptionId: string, name: string, location = DEFAULT_LOCATION): void {
    if (this.subscriptions.get(subscriptionId) === undefined) this.addSubscription(subscriptionId);
    if (this.subscriptions.resourceGroup(subscriptionId, name) === undefined)
      this.subscriptions.addResourceGroup({
        id: resourceGroupId(subscriptionId, name),
        subscriptionId,
        name,
        location,
        tags: {},
      });
  }

  addApp(app: SeedApp): App {
    const tenantId = app.tenantId ?? this.directory.defaultTenant().id;
    if (this.directory.tenant(tenantId) === undefined) this.directory.addTenant({ id: tenantId });
    return this.directory.addApp({
      clientId: app.clientId,
      objectId: app.objectId ?? randomUUID(),
      tenantId,
      displayName: app.displayName ?? app.clientId,
      secrets: (app.secrets ?? []).map((secret) =>
        typeof secret === "string"
          ? { value: secret, expiresAt: undefined }
          : {
              value: secret.value,
              expiresAt: secret.expiresAt === undefined ? undefined : new Date(secret.expiresAt).getTime(),
            },
      ),
      certificatesPem: app.certificates ?? [],
      trustedSubjects: app.trustedSubjects ?? [],
      identifierUris: app.identifierUris ?? [],
      federatedCredentials: this.#federated(app.federatedCredentials),
    });
  }

  /** Re-creates an identity of the same id: machines keep the entry of the old one, which no longer works. */
  addIdentity(identity: SeedIdentity): UserAssignedIdentity {
    const parsed = parseIdentityId(identity.id);
    if (parsed !== undefined) this.addResourceGroup(parsed.subscriptionId, parsed.resourceGroup, identity.location);
    const { federatedCredentials, ...rest } = identity;
    return this.identities.add({
      ...rest,
      tenantId: this.tenantOf(parsed?.subscriptionId),
      location: identity.location ?? DEFAULT_LOCATION,
      federatedCredentials: this.#federated(federatedCredentials),
    });
  }

  deleteIdentity(id: string): boolean {
    const deleted = this.identities.delete(armKey(id));
    if (deleted !== undefined) this.roles.removeAtScope(deleted.id);
    return deleted !== undefined;
  }

  addVirtualMachine(vm: SeedVirtualMachine): ComputeResource {
    const resource = newVirtualMachine(vm, this.clock.now());
    return this.#place(resource, vm, vm.location);
  }

  addScaleSet(scaleSet: SeedScaleSet): ComputeResource {
    const resource = newScaleSet(scaleSet, this.clock.now());
    this.#place(resource, scaleSet, scaleSet.location);
    if (!resource.flexible) resize(resource, scaleSet.instances ?? 1, this.clock.now());
    else
      for (let index = 0; index < (scaleSet.instances ?? 0); index += 1)
        this.addVirtualMachine({
          id: resource.id.replace(/virtualMachineScaleSets\/[^/]+$/i, `virtualMachines/${resource.name}_${index}`),
          location: resource.body.location,
          scaleSet: resource.id,
          ...(scaleSet.vmSize === undefined ? {} : { vmSize: scaleSet.vmSize }),
        });
    return resource;
  }

  /** A VM or scale set by ARM id. */
  machineResource(id: string): ComputeResource | undefined {
    return this.compute.get(id, this.clock.now());
  }

  /** What an IMDS can be started for. */
  machine(id: string): Machine | undefined {
    return this.compute.machine(id, this.clock.now());
  }

  deleteMachine(id: string): boolean {
    const removed = this.compute.remove(id);
    if (removed === undefined) return false;
    if (removed.identity.system !== undefined) this.directory.removePrincipal(removed.identity.system.objectId);
    this.roles.removeAtScope(removed.id);
    return true;
  }

  /**
   * Attaches an identity behind everybody's back: no operation, no authorisation.
   * @throws Error when the machine or the identity does not exist.
   */
  attach(machineId: string, identityId: string): void {
    const resource = this.#require(machineId);
    const entry = this.#attachment(identityId);
    const userAssigned = new Map(resource.identity.userAssigned).set(entry.key, entry);
    resource.setIdentity({ ...resource.identity, userAssigned }, this.clock.now() + this.settings.imdsLagMs);
  }

  /** @throws Error when the machine does not exist. */
  detach(machineId: string, identityId: string): void {
    const resource = this.#require(machineId);
    const userAssigned = new Map(resource.identity.userAssigned);
    userAssigned.delete(armKey(identityId));
    resource.setIdentity({ ...resource.identity, userAssigned }, this.clock.now() + this.settings.imdsLagMs);
  }

  /** @throws Error when the principal or the role is not known. */
  addRoleAssignment(o: SeedRoleAssignment): RoleAssignment {
    const principal = this.principal(o.principal);
    const role = this.roles.definition(o.role);
    if (principal === undefined)
      throw new Error(
        `roleAssignments: principal "${o.principal}" is nobody's object id, client id or ARM id; add the app or identity first`,
      );
    if (role === undefined)
      throw new Error(
        `roleAssignments: role "${o.role}" is not defined; use one of ${this.roles.definitions.map((d) => d.roleName).join(", ")} or add it to roleDefinitions`,
      );
    return this.roles.assign({
      scope: o.scope,
      principalId: principal.objectId,
      role,
      now: this.clock.now(),
      ...(o.name === undefined ? {} : { name: o.name }),
    }).assignment;
  }

  removeRoleAssignment(id: string): boolean {
    return this.roles.remove(id) !== undefined;
  }

  /** By object id, client id, or ARM id of an identity or machine. */
  principal(name: string): Principal | undefined {
    return (
      this.directory.principal(name) ??
      this.directory.principalByClientId(name) ??
      this.identities.get(armKey(name))?.principal ??
      this.compute.get(name, this.clock.now())?.identity.system
    );
  }

  tenantOf(subscriptionId: string | undefined): string {
    const subscription = subscriptionId === undefined ? undefined : this.subscriptions.get(subscriptionId);
    return subscription?.tenantId ?? this.directory.defaultTenant().id;
  }

  /** The principal behind a new system-assigned identity of `resource`. */
  newSystemIdentity(resource: ComputeResource, ids: { principalId?: string; clientId?: string } = {}): Principal {
    const principal: Principal = {
      kind: "systemAssigned",
      objectId: ids.principalId ?? randomUUID(),
      clientId: ids.clientId ?? randomUUID(),
      tenantId: this.tenantOf(resource.subscriptionId),
      displayName: resource.name,
      resourceId: resource.id,
    };
    this.directory.addPrincipal(principal);
    return principal;
  }

  #place(resource: ComputeResource, attachment: SeedAttachment, location: string | undefined): ComputeResource {
    this.deleteMachine(resource.key);
    this.addResourceGroup(resource.subscriptionId, resource.resourceGroup, location);
    this.compute.add(resource);
    const entries = (attachment.userAssigned ?? []).map((id) => this.#attachment(id));
    const { systemAssigned } = attachment;
    const system =
      systemAssigned === undefined || systemAssigned === false
        ? undefined
        : this.newSystemIdentity(resource, systemAssigned === true ? {} : systemAssigned);
    resource.setIdentity({ userAssigned: new Map(entries.map((entry) => [entry.key, entry])), system }, -Infinity);
    resource.etag = 1;
    return resource;
  }

  #attachment(identityId: string): AttachedIdentity {
    const identity = this.identities.get(armKey(identityId));
    if (identity === undefined)
      throw new Error(`userAssigned: identity "${identityId}" does not exist; add it to userAssignedIdentities first`);
    return { id: identityId, key: identity.key, objectId: identity.principal.objectId, since: undefined };
  }

  #require(machineId: string): ComputeResource {
    const resource = this.machineResource(machineId) ?? this.machine(machineId)?.resource;
    if (resource === undefined)
      throw new Error(`machine "${machineId}" does not exist; add it to virtualMachines or scaleSets first`);
    return resource;
  }

  #addResourceGroupById(id: string, location: string | undefined): void {
    const [, subscriptionId, name] = /^\/subscriptions\/([^/]+)\/resourcegroups\/([^/]+)\/?$/i.exec(id) ?? [];
    if (subscriptionId === undefined || name === undefined)
      throw new Error(`resourceGroups: id "${id}" must be /subscriptions/SUBSCRIPTION/resourceGroups/NAME`);
    this.addResourceGroup(subscriptionId, name, location);
  }

  #federated(credentials: readonly SeedFederatedCredential[] | undefined): FederatedCredential[] {
    return (credentials ?? []).map((credential, index) => ({
      name: credential.name ?? `credential-${index}`,
      issuer: credential.issuer,
      subject: credential.subject,
      audiences: credential.audiences ?? ["api://AzureADTokenExchange"],
      createdAt: -Infinity,
    }));
  }
}

interface Content {
  readonly settings: Settings;
  readonly directory: Directory;
  readonly subscriptions: Subscriptions;
  readonly identities: IdentityStore;
  readonly compute: ComputeStore;
  readonly roles: Roles;
  readonly operations: Map<string, Operation>;
}

function emptyContent(): Content {
  const directory = new Directory();
  return {
    settings: defaultSettings(),
    directory,
    subscriptions: new Subscriptions(),
    identities: new IdentityStore(directory),
    compute: new ComputeStore(),
    roles: new Roles(),
    operations: new Map(),
  };
}
