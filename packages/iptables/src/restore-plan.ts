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
export function planRestore(
  desired: DesiredRules,
  saved: SavedRules,
  options: PlanOptions = {},
): RestorePlan | undefined {
  const text: string[] = [];
  const changes: string[] = [];
  let open: string | undefined;
  const done: Done = { moved: new Set(), emptied: new Set() };
  for (const wanted of desired) {
    const table: SavedTable = saved.get(wanted.table) ?? new Map();
    const rewrite = options.rewrite?.has(wanted.chain) === true;
    const part =
      wanted.rules.length === 0 ? planAbsence(wanted, table, done) : planPresence(wanted, table, done, rewrite);
    if (part.lines.length === 0) continue;
    // Neighbours in one table are one transaction: no packet sees one of them changed and the other not.
    if (open !== wanted.table) text.push(...(open === undefined ? [] : ["COMMIT"]), `*${wanted.table}`);
    open = wanted.table;
    text.push(...part.lines);
    changes.push(...part.changes.map((change) => `${wanted.table}: ${change}`));
  }
  return open === undefined ? undefined : { text: `${text.join("\n")}\nCOMMIT\n`, changes };
}

export interface PlanOptions {
  /** Chains that are filled anew even if their rules look right: text does not show what a rule was resolved to. */
  readonly rewrite?: ReadonlySet<string>;
}

interface Part {
  readonly lines: readonly string[];
  readonly changes: readonly string[];
}

/** What the plan has done so far, each as table and chain. */
interface Done {
  /** Chains whose jump was put into first place. */
  readonly moved: Set<string>;
  /** Chains that hold nothing any more of what was saved. */
  readonly emptied: Set<string>;
}

function planPresence(wanted: DesiredChain, table: SavedTable, done: Done, rewrite: boolean): Part {
  const lines: string[] = [];
  const changes: string[] = [];
  const present = table.get(wanted.chain);
  const meanings = wanted.rules.map((rule) => parseRule(rule).meaning);
  if (
    present === undefined ||
    rewrite ||
    !sameList(
      present.map((rule) => rule.meaning),
      meanings,
    )
  ) {
    // With --noflush a declared chain is created or emptied, in the same transaction that fills it again.
    done.emptied.add(`${wanted.table} ${wanted.chain}`);
    lines.push(`:${wanted.chain} - [0:0]`, ...wanted.rules.map((rule) => `-A ${wanted.chain} ${rule}`));
    const what = present === undefined ? "was missing" : rewrite ? "is filled anew" : "was altered";
    changes.push(`chain ${wanted.chain} ${what}`);
  }
  const jump = `-j ${wanted.chain}`;
  const hook = table.get(wanted.hook) ?? [];
  const jumps = jumpsTo(wanted.chain, hook);
  const right = jumps.filter((rule) => rule.meaning === parseRule(jump).meaning);
  const plain = jumps.length === 1 && right.length === 1;
  const late = plain && standsAfter(hook, wanted, done.moved);
  if (!plain || late) {
    done.moved.add(`${wanted.table} ${wanted.chain}`);
    for (const rule of jumps) lines.push(`-D ${wanted.hook} ${rule.text}`);
    lines.push(`-I ${wanted.hook} 1 ${jump}`);
    const name = `from ${wanted.hook} to ${wanted.chain}`;
    if (late) changes.push(`jump ${name} stood after the one to ${wanted.before}`);
    else if (jumps.length === 0) changes.push(`jump ${name} was missing`);
    else changes.push(`${jumps.length} jumps ${name} instead of one plain jump`);
  }
  return { lines, changes };
}

function planAbsence(wanted: DesiredChain, table: SavedTable, { emptied }: Done): Part {
  const lines: string[] = [];
  // A chain can be deleted only when nothing refers to it, so jumps go wherever they are.
  for (const [chain, rules] of table) {
    if (chain === wanted.chain || emptied.has(`${wanted.table} ${chain}`)) continue;
    for (const rule of jumpsTo(wanted.chain, rules)) lines.push(`-D ${chain} ${rule.text}`);
  }
  if (table.has(wanted.chain)) {
    emptied.add(`${wanted.table} ${wanted.chain}`);
    lines.push(`-F ${wanted.chain}`, `-X ${wanted.chain}`);
  }
  return { lines, changes: lines.length === 0 ? [] : [`chain ${wanted.chain} removed`] };
}

function standsAfter(hook: readonly Rule[], wanted: DesiredChain, moved: ReadonlySet<string>): boolean {
  if (wanted.before === undefined) return false;
  if (moved.has(`${wanted.table} ${wanted.before}`)) return true;
  const first = hook.findIndex((rule) => rule.target === wanted.before);
  return first >= 0 && first < hook.findIndex((rule) => rule.target === wanted.chain);
}

function jumpsTo(chain: string, rules: readonly Rule[] | undefined): readonly Rule[] {
  return (rules ?? []).filter((rule) => rule.target === chain);
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
