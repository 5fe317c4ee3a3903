import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../../../..");
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

/** Words in these sources that become reasons of conditions or events. */
const SOURCES: Readonly<Record<string, readonly RegExp[]>> = {
  "apps/mic/src/status/identity-verdicts.ts": [
    /(?:no|yes)\(\s*(?:[\w.]+ (?:=== undefined )?\? )?"(\w+)"(?: : "(\w+)")?/g,
    /reason: "(\w+)"/g,
  ],
  "apps/mic/src/status/binding-verdicts.ts": [/no\(\s*"(\w+)"/g, /reason: "(\w+)"/g],
  "apps/mic/src/status/gate-verdict.ts": [/reason: "(\w+)"/g, /"[a-z-]+": "(\w+)"/g],
  "apps/mic/src/status/pod-gates.ts": [/reason: "(\w+)"/g],
  "apps/mic/src/status/status-reporter.ts": [/^ {2}"([A-Z]\w+)",$/gm],
  "apps/mic/src/groups/failure.ts": [/\| "(\w+)"/g],
  "apps/mic/src/groups/announcer.ts": [/reason: "([\w ]+)"/g, /"(binding [a-z ]+)"/g],
  "apps/mic/src/unserved-pods.ts": [/"[a-z-]+": "(\w+)"/g, /\? "(\w+)" : undefined/g, /"Warning", "(\w+)"/g],
};

test.for(Object.keys(SOURCES))("every reason of %s is in docs/status-and-events.md", (source) => {
  const docs = read("docs/status-and-events.md");
  const reasons = (SOURCES[source] ?? []).flatMap((pattern) =>
    [...read(source).matchAll(pattern)].flatMap(([, ...words]) => words.filter((word) => word !== undefined)),
  );
  expect(reasons.length).toBeGreaterThan(0);
  expect([...new Set(reasons)].filter((reason) => !docs.includes(`\`${reason}\``))).toEqual([]);
});
