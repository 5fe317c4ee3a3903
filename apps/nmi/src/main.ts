import { runMain } from "@podid/service";
import { probeCommand } from "./hand-over/probe-command.ts";

runMain(async (signal) => {
  const [first, ...rest] = process.argv.slice(2);
  // Kubelet asks every few seconds, so a probe loads nothing of what it asks.
  if (first === "probe") return probeCommand(rest, process.env);
  const { start } = await import("./start.ts");
  return start(process.argv.slice(2), signal);
});
