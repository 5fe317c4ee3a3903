import type { IdentityDirectory } from "./arm.ts";
import { ArmError } from "./arm-problem.ts";
import type { ArmProblem } from "./arm-problem.ts";
import type { IdentityRef } from "./compute-state.ts";

/**
 * Which identities to leave out after ARM refused a request: those that its message names; if it names nobody or everybody,
 * those that the identity provider does not know; failing that all of them.
 * @param asked what was to be attached
 * @throws the signal's reason when aborted
 */
export async function culprits(
  asked: readonly IdentityRef[],
  problem: ArmProblem & { readonly kind: "identities-refused" },
  directory: IdentityDirectory | undefined,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const keys = asked.map(({ key }) => key);
  const named = keys.filter((key) => problem.identities.includes(key));
  if (named.length > 0 && named.length < keys.length) return named;
  if (directory === undefined || asked.length < 2) return keys;
  const missing: string[] = [];
  for (const { key, id } of asked) {
    try {
      if ((await directory.find(id, signal)) === undefined) missing.push(key);
    } catch (error) {
      // Not to be had: no verdict about this one.
      if (!(error instanceof ArmError)) throw error;
    }
  }
  return missing.length > 0 ? missing : keys;
}
