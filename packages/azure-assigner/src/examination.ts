import type { IdentityDirectory } from "./arm.ts";
import type { Run } from "./assign-run.ts";
import type { ComputeState } from "./compute-state.ts";
import type { Ledger } from "./ledger.ts";
import { plan } from "./plan.ts";
import type { Plan } from "./plan.ts";
import { mayEvict } from "./refusal.ts";
import { entriesWithoutClient, notFoundProblem, withoutClientProblem } from "./staleness.ts";
import { missing } from "./suspects.ts";

/** Finds dead entries to make anew, and asks about those who were refused before. */
export async function examine(run: Run, state: ComputeState, directory: IdentityDirectory | undefined): Promise<void> {
  const { request, isolation } = run;
  const skip = request.skip?.() ?? new Set();
  for (const key of run.evict) if (!state.attached.has(key)) run.evict.delete(key);
  const desired = new Map([...request.desired()].map(({ key, id }) => [key, { key, id }]));
  for (const identity of entriesWithoutClient(desired.values(), state)) {
    if (!skip.has(identity.key) && mayEvict(run, state, identity)) run.evict.add(identity.key);
  }
  const candidates = run.briefed || request.dryRun === true ? [] : [...(request.suspects?.() ?? [])];
  run.briefed = true;
  const doubtful = candidates.flatMap((key) => {
    const ref = desired.get(key);
    return ref === undefined || skip.has(key) || state.attached.has(key) ? [] : [ref];
  });
  const evicting = [...run.evict].flatMap((key) => state.attached.get(key) ?? []);
  const unasked = [...doubtful, ...evicting].filter(({ key }) => !run.vouched.has(key) && !run.refused.has(key));
  const unknown = await missing(unasked, directory, request.signal);
  for (const { key } of unasked) run.vouched.add(key);
  for (const ref of unknown) run.refuse(ref.key, notFoundProblem(ref));
  isolation.suspect(doubtful.map(({ key }) => key).filter((key) => !run.refused.has(key)));
  isolation.clear([...isolation.suspects].filter((key) => !desired.has(key) || state.attached.has(key)));
}

/** Those who are beyond doubt first; then, apart, one set of the doubtful. */
export function planFor({ request, waiting, isolation, evict }: Run, state: ComputeState, ledger: Ledger): Plan {
  const planWithout = (doubtful: Iterable<string>): Plan =>
    plan({
      current: state,
      desired: request.desired(),
      ledger,
      isProtected: request.isProtected,
      skip: new Set([...waiting, ...doubtful]),
      evict,
    });
  const { suspects } = isolation;
  const next = isolation.next(waiting);
  const healthy = planWithout(suspects);
  if (next === undefined || healthy.requests.length > 0) return healthy;
  return planWithout([...suspects].filter((key) => !next.has(key)));
}

/** Reports needed identities that are attached and dead. @returns whether all others are complete; otherwise ARM still works on them */
export function verify(run: Run, state: ComputeState): boolean {
  const { request } = run;
  const dead = entriesWithoutClient(request.desired(), state);
  for (const identity of dead) {
    if (run.refused.has(identity.key)) continue;
    const ours = Object.hasOwn(run.ledger?.entries ?? {}, identity.key) && !request.isProtected(identity);
    run.refuse(identity.key, withoutClientProblem(identity, ours ? "ours" : "others"));
  }
  const deadKeys = new Set(dead.map(({ key }) => key));
  return [...request.desired()].every(({ key }) => {
    const attached = state.attached.get(key);
    return attached === undefined || attached.clientId !== undefined || deadKeys.has(key);
  });
}
