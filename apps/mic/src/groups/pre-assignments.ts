import type { IdentityRef } from "@podid/azure-assigner";
import type { BindingRecord, IdentityRecord } from "@podid/matcher";
import { isAttachable } from "../assigned/is-attachable.ts";

/** An identity that a VM or scale set holds because a binding says so, whether pods need it or not. */
export interface Reservation {
  readonly binding: BindingRecord;
  readonly identity: IdentityRecord;
  readonly ref: IdentityRef;
}

const EVERY_NODE = "*";

/** Bindings with annotation `podid.dev/pre-assign`. */
export class PreAssignments {
  readonly #bindings = new Map<string, BindingRecord>();

  get isEmpty(): boolean {
    return this.#bindings.size === 0;
  }

  /** @returns whether it may make a difference to any node */
  upsert(binding: BindingRecord): boolean {
    const key = `${binding.namespace}/${binding.name}`;
    const before = this.#bindings.get(key);
    if (binding.preAssign === undefined) return this.#bindings.delete(key);
    this.#bindings.set(key, binding);
    return before?.azureIdentity !== binding.azureIdentity || before.preAssign?.join() !== binding.preAssign.join();
  }

  /** @returns whether it made a difference */
  delete({ namespace, name }: BindingRecord): boolean {
    return this.#bindings.delete(`${namespace}/${name}`);
  }

  /** Whether a binding here names the identity. */
  concerns(identity: { readonly namespace: string; readonly name: string }): boolean {
    for (const { namespace, azureIdentity } of this.#bindings.values())
      if (namespace === identity.namespace && azureIdentity === identity.name) return true;
    return false;
  }

  /**
   * What nodes of these pools hold. An identity that cannot be used is not attached, nor one that is never attached.
   *
   * @param pools of the nodes of one VM or scale set; nothing is reserved where there is no node
   */
  on(
    pools: ReadonlySet<string | undefined>,
    identityOf: (binding: BindingRecord) => IdentityRecord | undefined,
  ): Reservation[] {
    if (pools.size === 0) return [];
    return [...this.#bindings.values()].flatMap((binding) => {
      const wanted = binding.preAssign ?? [];
      if (!wanted.some((pool) => pool === EVERY_NODE || pools.has(pool))) return [];
      const identity = identityOf(binding);
      if (identity?.resourceKey === undefined || identity.problem !== undefined) return [];
      if (!isAttachable(identity.spec)) return [];
      const ref = { key: identity.resourceKey, id: identity.spec.resourceID ?? identity.resourceKey };
      return [{ binding, identity, ref }];
    });
  }
}
