import type { DesiredChain, DesiredRules } from "./desired-rules.ts";
import { parseRule, type Rule } from "./rule.ts";
import type { SavedRules, SavedTable } from "./saved-rules.ts";

/** What to feed to `iptables-restore --noflush`, once. */
export interface RestorePlan {
  readonly text: string;
  /** One line per difference, for logs. */
  readonly changes: readonly string[];
}

/**
 * The smallest restore that turns `saved` into `desired`; `undefined` when nothing differs, so that identical rules are
 * never touched. Only chains of ours and jumps to them appear in it: foreign rules keep their place.
 *
 * A present jump keeps its place as well, since other programs that insist on the first one would fight back.
 */
export function planRestore(desired: DesiredRules, saved: SavedRules): RestorePlan | undefined {
  const text: string[] = [];
  const changes: string[] = [];
  for (const wanted of desired) {
    const table: SavedTable = saved.get(wanted.table) ?? new Map();
    const part = wanted.rules.length === 0 ? planAbsence(wanted, table) : planPresence(wanted, table);
    if (part.lines.length === 0) continue;
    text.push(`*${wanted.table}`, ...part.lines, "COMMIT");
    changes.push(...part.changes.map((change) => `${wanted.table}: ${change}`));
  }
  return text.length === 0 ? undefined : { text: `${text.join("\n")}\n`, changes };
}

interface Part {
  readonly lines: readonly string[];
  readonly changes: readonly string[];
}

function planPresence(wanted: DesiredChain, table: SavedTable): Part {
  const lines: string[] = [];
  const changes: string[] = [];
  const present = table.get(wanted.chain);
  const meanings = wanted.rules.map((rule) => parseRule(rule).meaning);
  if (
    present === undefined ||
    !sameList(
      present.map((rule) => rule.meaning),
      meanings,
    )
  ) {
    // With --noflush a declared chain is created or emptied, in the same transaction that fills it again.
    lines.push(`:${wanted.chain} - [0:0]`, ...wanted.rules.map((rule) => `-A ${wanted.chain} ${rule}`));
    changes.push(present === undefined ? `chain ${wanted.chain} was missing` : `chain ${wanted.chain} was altered`);
  }
  const jump = `-j ${wanted.chain}`;
  const jumps = jumpsTo(wanted.chain, table.get(wanted.hook));
  const right = jumps.filter((rule) => rule.meaning === parseRule(jump).meaning);
  if (jumps.length !== 1 || right.length !== 1) {
    for (const rule of jumps) lines.push(`-D ${wanted.hook} ${rule.text}`);
    lines.push(`-I ${wanted.hook} 1 ${jump}`);
    changes.push(
      jumps.length === 0
        ? `jump from ${wanted.hook} to ${wanted.chain} was missing`
        : `${jumps.length} jumps from ${wanted.hook} to ${wanted.chain} instead of one plain jump`,
    );
  }
  return { lines, changes };
}

function planAbsence(wanted: DesiredChain, table: SavedTable): Part {
  const lines: string[] = [];
  // A chain can be deleted only when nothing refers to it, so jumps go wherever they are.
  for (const [chain, rules] of table) {
    if (chain === wanted.chain) continue;
    for (const rule of jumpsTo(wanted.chain, rules)) lines.push(`-D ${chain} ${rule.text}`);
  }
  if (table.has(wanted.chain)) lines.push(`-F ${wanted.chain}`, `-X ${wanted.chain}`);
  return { lines, changes: lines.length === 0 ? [] : [`chain ${wanted.chain} removed`] };
}

function jumpsTo(chain: string, rules: readonly Rule[] | undefined): readonly Rule[] {
  return (rules ?? []).filter((rule) => rule.target === chain);
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
