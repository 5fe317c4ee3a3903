import { renderTable } from "../status-text.ts";
import type { Terminal } from "../terminal.ts";
import type { DemoResult } from "./demo.ts";
import { duration } from "./timeline.ts";

/** What happened and how long it took, the demo's own lines, and what was refused. */
export function report(result: DemoResult, terminal: Terminal): string {
  let before = 0;
  const rows = result.timeline.steps.map(({ title, at }) => {
    const took = at - before;
    before = at;
    return [title, duration(at), `+${duration(took)}`];
  });
  const mark = (held: boolean): string => (held ? terminal.good("✓") : terminal.bad("✗"));
  return [
    "",
    terminal.bold("What happened, counted from the last applied manifest"),
    indent(renderTable(["STEP", "AT", "TOOK"], rows)),
    terminal.bold("The demo's own log"),
    indent(result.log.join("\n")),
    "",
    terminal.bold("What was refused"),
    ...result.refusals.map(({ title, held, said }) => `  ${mark(held)} ${title}\n      ${said}`),
    `  ${mark(result.leaks.length === 0)} no packet of a pod reached the raw metadata service${result.leaks.map((leak) => `\n      ${leak}`).join("")}`,
    "",
  ].join("\n");
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, "  ");
}
