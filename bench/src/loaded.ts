import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { findIsolation } from "@podid/native-tools";
import { bundleApp } from "@podid/tools/bundle";
import { figure } from "./figure.ts";
import type { Figure } from "./figure.ts";
import type { FullNode } from "./full-node.ts";

/** What NMI's image passes to Node. */
const NODE_OPTION = "--max-semi-space-size=2";

/** Memory of NMI as shipped on a full node, beside a bare server that holds the same tokens. */
export async function loadedFigures(bareBundle: string): Promise<readonly Figure[]> {
  const isolation = await findIsolation();
  if (typeof isolation === "string") throw new Error(isolation);
  const program = join(import.meta.dirname, "full-node.ts");
  const { stdout } = await promisify(execFile)(
    "unshare",
    isolation.args(process.execPath, program, await bundleApp("nmi"), bareBundle, NODE_OPTION),
    { env: isolation.env, maxBuffer: 2 ** 26, timeout: 900_000 },
  );
  const { nmi, bare, requests, steady } = JSON.parse(stdout) as FullNode;
  const [minute1, minute5] = steady;
  const against = "bare node:http with the same flags and tokens";
  const limit = { of: "ratio", most: 1.3 } as const;
  return [
    figure("nmi-memory-idle", "bytes", nmi.idle.residentBytes, { baseline: bare.idle.residentBytes, against, limit }),
    figure("nmi-memory-idle-anonymous", "bytes", nmi.idle.anonymousBytes, {
      baseline: bare.idle.anonymousBytes,
      against,
    }),
    figure("nmi-memory-loaded", "bytes", nmi.loaded.residentBytes, {
      baseline: bare.loaded.residentBytes,
      against,
      limit,
    }),
    figure("nmi-memory-loaded-anonymous", "bytes", nmi.loaded.anonymousBytes, {
      baseline: bare.loaded.anonymousBytes,
      against,
    }),
    figure("nmi-memory-loaded-requests", "requests", requests),
    figure("nmi-memory-growth", "bytes", minute5.residentBytes, {
      baseline: minute1.residentBytes,
      against: "four minutes before, pods asking all the time",
      limit: { of: "ratio", most: 1.05 },
    }),
  ];
}
