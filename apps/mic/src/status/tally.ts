import { addSummary, emptySummary, sameSummary } from "./scope-summary.ts";
import type { BindingSummary, ScopeSummary } from "./scope-summary.ts";

/** The summaries of all scopes, added up by binding and by identity. Keys of objects are `namespace/name`. */
export class Tally {
  readonly #scopes = new Map<string, ScopeSummary>();
  readonly #scopesOfBinding = new Map<string, Set<string>>();
  readonly #bindingsOfIdentity = new Map<string, Set<string>>();

  /** Replaces what a scope said. @returns the bindings and identities for which it says something else now */
  put(scopeKey: string, summary: ScopeSummary): { readonly bindings: Set<string>; readonly identities: Set<string> } {
    const before = this.#scopes.get(scopeKey) ?? new Map<string, BindingSummary>();
    const changed = { bindings: new Set<string>(), identities: new Set<string>() };
    const note = (binding: string, ...summaries: readonly BindingSummary[]): void => {
      changed.bindings.add(binding);
      for (const { identity } of summaries) changed.identities.add(identity);
    };
    for (const [binding, old] of before) {
      const now = summary.get(binding);
      if (now !== undefined && sameSummary(old, now)) continue;
      note(binding, old, ...(now === undefined ? [] : [now]));
      if (now?.identity !== old.identity) this.#unlink(scopeKey, binding, old.identity);
    }
    for (const [binding, now] of summary) {
      if (!before.has(binding)) note(binding, now);
      link(this.#scopesOfBinding, binding, scopeKey);
      link(this.#bindingsOfIdentity, now.identity, binding);
    }
    if (summary.size > 0) this.#scopes.set(scopeKey, summary);
    else this.#scopes.delete(scopeKey);
    return changed;
  }

  ofBinding(binding: string, identity: string): BindingSummary {
    const sum = emptySummary(identity);
    for (const scope of this.#scopesOfBinding.get(binding) ?? []) {
      const part = this.#scopes.get(scope)?.get(binding);
      if (part !== undefined && part.identity === identity) addSummary(sum, part);
    }
    return sum;
  }

  ofIdentity(identity: string): BindingSummary {
    const sum = emptySummary(identity);
    for (const binding of this.#bindingsOfIdentity.get(identity) ?? [])
      addSummary(sum, this.ofBinding(binding, identity));
    return sum;
  }

  #unlink(scopeKey: string, binding: string, identity: string): void {
    unlink(this.#scopesOfBinding, binding, scopeKey);
    if (!this.#scopesOfBinding.has(binding)) unlink(this.#bindingsOfIdentity, identity, binding);
  }
}

function link(index: Map<string, Set<string>>, key: string, value: string): void {
  index.set(key, (index.get(key) ?? new Set<string>()).add(value));
}

function unlink(index: Map<string, Set<string>>, key: string, value: string): void {
  const values = index.get(key);
  if (values?.delete(value) === true && values.size === 0) index.delete(key);
}
