import type { Condition } from "@podid/crd-types";
import type { WrittenStatus } from "./written-status.ts";

/** Types of the conditions that MIC writes; all others on an object are somebody else's. */
export type ConditionType = "Ready" | "PreAssigned" | "FederatedCredential" | "AllowedToPods";

const OURS: ReadonlySet<string> = new Set<ConditionType>([
  "Ready",
  "PreAssigned",
  "FederatedCredential",
  "AllowedToPods",
]);

/** What a condition should say. */
export interface Verdict {
  readonly type: ConditionType;
  readonly status: Condition["status"];
  /** Stable; listed in docs/status-and-events.md. */
  readonly reason: string;
  readonly message: string;
}

export interface Counts {
  readonly matched: number;
  readonly assigned: number;
  readonly failed: number;
}

export interface NextStatus extends Counts {
  readonly conditions: readonly Condition[];
}

const LONGEST_MESSAGE = 1024;

/**
 * The status that an object should have, or undefined where it says so already. Conditions of other writers are kept; the time of
 * transition changes with the status alone, as in metav1.Condition.
 */
export function nextStatus(
  before: WrittenStatus | undefined,
  verdicts: readonly Verdict[],
  { matched, assigned, failed }: Counts,
  now: number,
): NextStatus | undefined {
  const known = before?.conditions ?? [];
  const at = `${new Date(now).toISOString().slice(0, 19)}Z`;
  const ours = verdicts.map(({ type, status, reason, message }): Condition => {
    const previous = known.find((condition) => condition.type === type);
    return {
      type,
      status,
      reason,
      message: cut(message),
      lastTransitionTime: previous?.status === status ? previous.lastTransitionTime : at,
      ...(before?.generation !== undefined && { observedGeneration: before.generation }),
    };
  });
  const conditions = [...known.filter(({ type }) => !OURS.has(type)), ...ours];
  const next = { conditions, matched, assigned, failed };
  return before !== undefined && saysTheSame(before, next) ? undefined : next;
}

function saysTheSame(before: WrittenStatus, next: NextStatus): boolean {
  return (
    before.matched === next.matched &&
    before.assigned === next.assigned &&
    before.failed === next.failed &&
    before.conditions.length === next.conditions.length &&
    next.conditions.every((condition) => before.conditions.some((other) => sameCondition(condition, other)))
  );
}

function sameCondition(a: Condition, b: Condition): boolean {
  return (
    a.type === b.type &&
    a.status === b.status &&
    a.reason === b.reason &&
    a.message === b.message &&
    a.observedGeneration === b.observedGeneration &&
    a.lastTransitionTime === b.lastTransitionTime
  );
}

function cut(message: string): string {
  return message.length <= LONGEST_MESSAGE ? message : `${message.slice(0, LONGEST_MESSAGE - 1)}…`;
}
