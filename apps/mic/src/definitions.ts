import type { BindingRecord, IdentityRecord } from "@podid/matcher";
import type { WithStatus } from "./status/written-status.ts";

export type DefinedIdentity = IdentityRecord & WithStatus;
export type DefinedBinding = BindingRecord & WithStatus;
export type DefinitionKind = "AzureIdentity" | "AzureIdentityBinding";

/** The AzureIdentities and AzureIdentityBindings of the cluster with their statuses, by `namespace/name`. */
export class Definitions {
  readonly #identities = new Map<string, DefinedIdentity>();
  readonly #bindings = new Map<string, DefinedBinding>();
  readonly #bindingsOf = new Map<string, Set<string>>();
  readonly #identitiesByResource = new Map<string, Set<string>>();
  readonly #listeners = new Set<(kind: DefinitionKind, key: string) => void>();

  /** Called with every object that came, changed or went, and with the bindings of an identity that did. */
  onChange(listener: (kind: DefinitionKind, key: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get counts(): { readonly identities: number; readonly bindings: number } {
    return { identities: this.#identities.size, bindings: this.#bindings.size };
  }

  get identities(): Iterable<DefinedIdentity> {
    return this.#identities.values();
  }

  /** Every object of both kinds. */
  *keys(): IterableIterator<readonly [DefinitionKind, string]> {
    for (const key of this.#identities.keys()) yield ["AzureIdentity", key];
    for (const key of this.#bindings.keys()) yield ["AzureIdentityBinding", key];
  }

  identity(key: string): DefinedIdentity | undefined {
    return this.#identities.get(key);
  }

  binding(key: string): DefinedBinding | undefined {
    return this.#bindings.get(key);
  }

  identityOf({ namespace, azureIdentity }: BindingRecord): DefinedIdentity | undefined {
    return this.#identities.get(`${namespace}/${azureIdentity}`);
  }

  /** Whether a binding names the identity. */
  isBound(identityKey: string): boolean {
    return this.#bindingsOf.has(identityKey);
  }

  hasResource(resourceKey: string): boolean {
    return this.#identitiesByResource.has(resourceKey);
  }

  /** Those that stand for the resource with this lower-cased id. */
  ofResource(resourceKey: string): DefinedIdentity[] {
    return [...(this.#identitiesByResource.get(resourceKey) ?? [])].flatMap((key) => this.#identities.get(key) ?? []);
  }

  /** Lower-cased ids of all resources that identities stand for. */
  get resourceKeys(): Iterable<string> {
    return this.#identitiesByResource.keys();
  }

  upsertIdentity(identity: DefinedIdentity): void {
    const key = keyOf(identity);
    const before = this.#identities.get(key);
    this.#identities.set(key, identity);
    if (before?.resourceKey !== identity.resourceKey) {
      if (before?.resourceKey !== undefined) unlink(this.#identitiesByResource, before.resourceKey, key);
      if (identity.resourceKey !== undefined) link(this.#identitiesByResource, identity.resourceKey, key);
    }
    this.#tellIdentity(key);
  }

  deleteIdentity(identity: IdentityRecord): void {
    const key = keyOf(identity);
    const before = this.#identities.get(key);
    this.#identities.delete(key);
    if (before?.resourceKey !== undefined) unlink(this.#identitiesByResource, before.resourceKey, key);
    this.#tellIdentity(key);
  }

  upsertBinding(binding: DefinedBinding): void {
    const key = keyOf(binding);
    const before = this.#bindings.get(key);
    this.#bindings.set(key, binding);
    if (before !== undefined) unlink(this.#bindingsOf, identityKeyOf(before), key);
    link(this.#bindingsOf, identityKeyOf(binding), key);
    this.#tellBinding(key, before, binding);
  }

  deleteBinding(binding: BindingRecord): void {
    const key = keyOf(binding);
    const before = this.#bindings.get(key);
    this.#bindings.delete(key);
    if (before !== undefined) unlink(this.#bindingsOf, identityKeyOf(before), key);
    this.#tellBinding(key, before);
  }

  #tellIdentity(key: string): void {
    this.#tell("AzureIdentity", key);
    for (const binding of this.#bindingsOf.get(key) ?? []) this.#tell("AzureIdentityBinding", binding);
  }

  #tellBinding(key: string, ...versions: readonly (BindingRecord | undefined)[]): void {
    this.#tell("AzureIdentityBinding", key);
    for (const identity of new Set(versions.map((version) => version && identityKeyOf(version))))
      if (identity !== undefined) this.#tell("AzureIdentity", identity);
  }

  #tell(kind: DefinitionKind, key: string): void {
    for (const listener of this.#listeners) listener(kind, key);
  }
}

function keyOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}

function identityKeyOf({ namespace, azureIdentity }: BindingRecord): string {
  return `${namespace}/${azureIdentity}`;
}

function link(index: Map<string, Set<string>>, key: string, value: string): void {
  index.set(key, (index.get(key) ?? new Set<string>()).add(value));
}

function unlink(index: Map<string, Set<string>>, key: string, value: string): void {
  const values = index.get(key);
  if (values?.delete(value) === true && values.size === 0) index.delete(key);
}
