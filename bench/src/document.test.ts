import { expect, test } from "vitest";
import { withFigures } from "./document.ts";
import { figure } from "./figure.ts";

const BEFORE = `# Title

<!-- figures: one two family-* -->

| Figure | Value |
| ------ | ----: |
| \`one\`  | old 1 |
| \`two\`  | old 2 |

<!-- end -->

Text about \`one\`.
`;

test("measured rows are new, others stay, names that end in a star stand for all that begin so", () => {
  const after = withFigures(BEFORE, [
    figure("family-b", "requests", 2),
    figure("family-a", "requests", 1),
    figure("one", "bytes", 2_500_000, {
      baseline: 2_000_000,
      against: "something",
      limit: { of: "ratio", most: 1.2 },
    }),
    figure("three", "s", 1),
  ]);
  const rows = after.split("\n").filter((line) => line.startsWith("| `"));
  expect(rows).toEqual([
    "| `one` | 2.500 MB | 2.000 MB | 1.25 | ratio ≤ 1.2, MISSED | something |",
    "| `two`  | old 2 |",
    "| `family-b` | 2 requests |  |  |  |  |",
    "| `family-a` | 1 requests |  |  |  |  |",
  ]);
  expect(after).toMatch(/^# Title\n/);
  expect(after).toContain("Text about `one`.");
});

test("a family of which nothing was measured keeps its rows; writing twice changes nothing", () => {
  const once = withFigures(BEFORE, [figure("family-a", "ms", 1)]);
  expect(withFigures(once, [])).toBe(withFigures(withFigures(once, []), []));
  expect(withFigures(once, [])).toContain("`family-a`");
});

test.for([
  { limit: { of: "value", most: 2 }, value: 2, met: true },
  { limit: { of: "value", least: 2 }, value: 1.9, met: false },
  { limit: { of: "ratio", least: 0.7 }, value: 7, met: true },
  { limit: { of: "ratio", most: 0.6 }, value: 7, met: false },
] as const)("$value against $limit", ({ limit, value, met }) => {
  expect(figure("x", "ms", value, { baseline: 10, limit }).met).toBe(met);
});
