import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { bundleApp, APPS } from "@podid/tools/bundle";
import { figure } from "./figure.ts";
import type { Figure } from "./figure.ts";

const PODID = join(import.meta.dirname, "../../apps/podid/src/main.ts");

/** The whole of `npm run demo` by the clock, with the bundles built before. */
export async function demoFigures(): Promise<readonly Figure[]> {
  for (const app of APPS) await bundleApp(app);
  const start = performance.now();
  const child = spawn(process.execPath, [PODID, "demo"], { stdio: "ignore" });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`podid demo ended with ${code}; run npm run demo to see why`);
  return [figure("demo", "s", (performance.now() - start) / 1000)];
}
