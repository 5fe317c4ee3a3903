import { parseRule, type Rule } from "./rule.ts";

/** What `iptables-save` printed: tables by name, in the order printed. */
export type SavedRules = ReadonlyMap<string, SavedTable>;
/** Chains by name, in the order declared. */
export type SavedTable = ReadonlyMap<string, readonly Rule[]>;

/**
 * Reads the output of `iptables-save`, with or without counters (`-c`), of all tables or of some (`-t`), of both
 * backends. Comments are skipped, the remark about tables that only `nft` can show among them.
 *
 * @throws SyntaxError for a line that is none of iptables-save's, because guessing could lose rules.
 */
export function parseSave(text: string): SavedRules {
  const tables = new Map<string, Map<string, Rule[]>>();
  let table: Map<string, Rule[]> | undefined;
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    if (line === "COMMIT") {
      table = undefined;
      continue;
    }
    const start = /^\*(\S+)$/.exec(line);
    if (start?.[1] !== undefined) {
      table = tables.get(start[1]) ?? new Map<string, Rule[]>();
      tables.set(start[1], table);
      continue;
    }
    if (table === undefined) throw unreadable(index, line, "stands outside of any table");
    const chain = /^:(\S+)\s+\S+(?:\s+\[\d+:\d+\])?$/.exec(line);
    if (chain?.[1] !== undefined) {
      if (!table.has(chain[1])) table.set(chain[1], []);
      continue;
    }
    const rule = /^(?:\[\d+:\d+\]\s+)?-A\s+(\S+)(?:\s+(.*))?$/.exec(line);
    const name = rule?.[1];
    if (name === undefined) throw unreadable(index, line, "is neither a chain nor a rule");
    const rules = table.get(name) ?? [];
    rules.push(parseRule(rule?.[2] ?? ""));
    table.set(name, rules);
  }
  return tables;
}

function unreadable(index: number, line: string, why: string): SyntaxError {
  return new SyntaxError(
    `iptables-save, line ${index + 1}: ${JSON.stringify(line)} ${why}; run iptables-save by hand to see what is wrong`,
  );
}
