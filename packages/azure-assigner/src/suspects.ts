import type { IdentityDirectory } from "./arm.ts";
import { ArmError } from "./arm-problem.ts";
import type { IdentityRef } from "./compute-state.ts";

const AT_ONCE = 8;

/**
 * Which of these identities do not exist, as the identity provider says. Whom it cannot be asked about is not among them.
 * @throws the signal's reason when aborted
 */
export async function missing<T extends IdentityRef>(
  identities: readonly T[],
  directory: IdentityDirectory | undefined,
  signal: AbortSignal | undefined,
): Promise<readonly T[]> {
  if (directory === undefined) return [];
  const found: T[] = [];
  const queue = identities.values();
  const lane = async (): Promise<void> => {
    for (const identity of queue) {
      try {
        if ((await directory.find(identity.id, signal)) === undefined) found.push(identity);
      } catch (error) {
        if (!(error instanceof ArmError)) throw error;
        // Without the right to read identities every one is answered so; asking on would only cost.
        if (error.problem.kind === "forbidden" || error.problem.kind === "throttled") return;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, identities.length) }, lane));
  return found;
}

/**
 * Whom ARM's refusal blames. It names all identities of a request when it could not tell which one: then nobody is blamed.
 * @param asked keys that were to be attached
 * @param present keys that are attached already and stay: one that was deleted since spoils every request
 */
export function blamed(
  named: readonly string[],
  asked: readonly string[],
  present: readonly string[],
): { readonly asked: readonly string[]; readonly present: readonly string[] } {
  const guilty = {
    asked: asked.filter((key) => named.includes(key)),
    present: present.filter((key) => named.includes(key)),
  };
  const everybody = asked.length > 1 && guilty.asked.length === asked.length;
  return everybody ? { asked: [], present: guilty.present } : guilty;
}
