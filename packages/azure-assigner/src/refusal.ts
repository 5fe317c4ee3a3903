import type { IdentityDirectory } from "./arm.ts";
import type { ArmProblem } from "./arm-problem.ts";
import type { Run, Step } from "./assign-run.ts";
import type { AttachedIdentity, ComputeState } from "./compute-state.ts";
import { notFoundProblem } from "./staleness.ts";
import { blamed, missing } from "./suspects.ts";

type Refusal = ArmProblem & { readonly kind: "identities-refused" };

/**
 * ARM refused a request because of identities. In this order: whom it names; whom the identity provider does not know, which
 * may be one that is attached already; then halves of the request are tried, in {@link Run.isolation}.
 */
export async function afterRefusal(
  run: Run,
  problem: Refusal,
  directory: IdentityDirectory | undefined,
): Promise<Step> {
  const { state, inFlight, request } = run;
  if (state === undefined || inFlight === undefined) return { kind: "failed", problem };
  const leaving = new Set(inFlight.detach.map(({ key }) => key));
  const present = [...state.attached.values()].filter(({ key }) => !leaving.has(key));
  const asked = inFlight.attach;
  const keys = asked.map(({ key }) => key);

  const guilty = blamed(
    problem.identities,
    keys,
    present.map(({ key }) => key),
  );
  for (const key of guilty.asked) run.refuse(key, problem);
  const named = present.filter(({ key }) => guilty.present.includes(key));
  // ARM may name one that lives for other reasons, such as a right that is missing.
  const isGone = ({ clientId }: AttachedIdentity): boolean =>
    clientId === undefined || /\bnot found\b/i.test(problem.message);
  const evicting = named.filter((identity) => isGone(identity) && mayEvict(run, state, identity));
  for (const { key } of evicting) run.evict.add(key);
  if (guilty.asked.length > 0 || evicting.length > 0) return { kind: "again" };
  if (named.length > 0) return { kind: "failed", problem: stuckProblem(problem, named) };

  // What ARM shows with a client id lives, whatever a directory of the wrong tenant may say.
  const silent = present.filter(({ clientId }) => clientId === undefined);
  const unasked = [...asked, ...silent].filter(({ key }) => !run.vouched.has(key));
  const unknown = new Set((await missing(unasked, directory, request.signal)).map(({ key }) => key));
  for (const { key } of unasked) if (!unknown.has(key)) run.vouched.add(key);
  let progress = false;
  for (const ref of asked) {
    if (!unknown.has(ref.key)) continue;
    run.refuse(ref.key, notFoundProblem(ref));
    progress = true;
  }
  const dead = silent.filter(({ key }) => unknown.has(key));
  for (const identity of dead) {
    if (!mayEvict(run, state, identity)) continue;
    run.evict.add(identity.key);
    progress = true;
  }
  if (progress) return { kind: "again" };
  if (dead.length > 0) return { kind: "failed", problem: stuckProblem(problem, dead) };
  if (keys.length === 0) return { kind: "failed", problem };

  const culprit = run.isolation.refused(keys);
  if (culprit !== undefined) run.refuse(culprit, problem);
  return { kind: "again" };
}

/** Only what is ours, not protected, and was not evicted in this run already. */
export function mayEvict({ request, ledger, evicted }: Run, state: ComputeState, identity: AttachedIdentity): boolean {
  return (
    state.attached.has(identity.key) &&
    Object.hasOwn(ledger?.entries ?? {}, identity.key) &&
    !evicted.has(identity.key) &&
    !request.isProtected(identity)
  );
}

/** Azure refuses every change of a machine that holds an identity which does not exist any more. */
function stuckProblem(problem: Refusal, dead: readonly AttachedIdentity[]): ArmProblem {
  const ids = dead.map(({ id }) => id).join(" ");
  return {
    ...problem,
    message: `${problem.message} (podid did not attach ${ids}, or must keep it: detach it by hand, nothing can be attached to this machine before)`,
  };
}
