export interface Subscription {
  readonly id: string;
  readonly displayName: string;
  readonly tenantId: string;
}

export interface ResourceGroup {
  readonly id: string;
  readonly subscriptionId: string;
  readonly name: string;
  readonly location: string;
  readonly tags: Readonly<Record<string, string>>;
}

/** Subscriptions and their resource groups, found without regard to case. */
export class Subscriptions {
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #groups = new Map<string, ResourceGroup>();

  add(subscription: Subscription): void {
    this.#subscriptions.set(subscription.id.toLowerCase(), subscription);
  }

  get(id: string): Subscription | undefined {
    return this.#subscriptions.get(id.toLowerCase());
  }

  list(): readonly Subscription[] {
    return [...this.#subscriptions.values()];
  }

  addResourceGroup(group: ResourceGroup): void {
    this.#groups.set(groupKey(group.subscriptionId, group.name), group);
  }

  resourceGroup(subscriptionId: string, name: string): ResourceGroup | undefined {
    return this.#groups.get(groupKey(subscriptionId, name));
  }

  removeResourceGroup(subscriptionId: string, name: string): boolean {
    return this.#groups.delete(groupKey(subscriptionId, name));
  }

  resourceGroups(subscriptionId?: string): readonly ResourceGroup[] {
    const all = [...this.#groups.values()];
    return subscriptionId === undefined
      ? all
      : all.filter((group) => group.subscriptionId.toLowerCase() === subscriptionId.toLowerCase());
  }
}

function groupKey(subscriptionId: string, name: string): string {
  return `${subscriptionId}/${name}`.toLowerCase();
}
