import type { Protection } from "../groups/protection.ts";
import type { World } from "../world.ts";
import type { DefinitionKind } from "../definitions.ts";
import { bindingVerdicts } from "./binding-verdicts.ts";
import type { Counts, Verdict } from "./conditions.ts";
import { identityFlaw, identityVerdicts } from "./identity-verdicts.ts";
import type { IdentityInput } from "./identity-verdicts.ts";
import type { Tally } from "./tally.ts";
import type { WrittenStatus } from "./written-status.ts";

export interface ObjectReport {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly written: WrittenStatus | undefined;
  readonly verdicts: readonly Verdict[];
  readonly counts: Counts;
}

export interface ObjectVerdictsOptions {
  readonly world: World;
  readonly tally: Tally;
  readonly protection: Pick<Protection, "named">;
  readonly issuer: () => string | undefined;
}

/** What the status of an object should say; undefined for one that is gone. */
export class ObjectVerdicts {
  readonly #o: ObjectVerdictsOptions;

  constructor(options: ObjectVerdictsOptions) {
    this.#o = options;
  }

  of(kind: DefinitionKind, key: string): ObjectReport | undefined {
    return kind === "AzureIdentity" ? this.#identity(key) : this.#binding(key);
  }

  #identity(key: string): ObjectReport | undefined {
    const input = this.#identityInput(key);
    if (input === undefined) return undefined;
    const { identity, summary } = input;
    return { ...head(identity), verdicts: identityVerdicts(input), counts: summary };
  }

  #binding(key: string): ObjectReport | undefined {
    const { world, tally } = this.#o;
    const binding = world.definitions.binding(key);
    const explanation = binding && world.matcher.explainBinding(binding.namespace, binding.name);
    if (binding === undefined || explanation === undefined) return undefined;
    const identityKey = `${binding.namespace}/${binding.azureIdentity}`;
    const summary = tally.ofBinding(key, identityKey);
    const identity = this.#identityInput(identityKey);
    const verdicts = bindingVerdicts({ explanation, summary, identityFlaw: identity && identityFlaw(identity) });
    return { ...head(binding), verdicts, counts: summary };
  }

  #identityInput(key: string): IdentityInput | undefined {
    const { world, tally, protection, issuer } = this.#o;
    const identity = world.definitions.identity(key);
    if (identity === undefined) return undefined;
    return {
      identity,
      summary: tally.ofIdentity(key),
      isBound: world.definitions.isBound(key),
      protectedAs: protection.named(identity),
      issuer: issuer(),
    };
  }
}

function head({
  namespace,
  name,
  uid,
  resourceVersion,
  written,
}: Omit<ObjectReport, "verdicts" | "counts" | "written"> & {
  readonly written?: WrittenStatus;
}): Omit<ObjectReport, "verdicts" | "counts"> {
  return { namespace, name, uid, resourceVersion, written };
}
