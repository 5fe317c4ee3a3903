import { probe } from "./probe-socket.ts";

const USAGE = "nmi probe [--live] --probe-socket=PATH";

/** `nmi probe`: 0 when the node agent behind the socket is ready, or alive; 1 with its reasons; 2 for a wrong command line. */
export async function probeCommand(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  let path = env["NMI_PROBE_SOCKET"] ?? "";
  let live = false;
  for (const word of argv) {
    const socket = /^--?probe-socket=(.+)$/.exec(word)?.[1];
    if (socket !== undefined) path = socket;
    else if (/^--?live$/.test(word)) live = true;
    else {
      process.stderr.write(`nmi probe: ${JSON.stringify(word)} is not known here; use ${USAGE}\n`);
      return 2;
    }
  }
  if (path === "") {
    process.stderr.write(`nmi probe: --probe-socket or NMI_PROBE_SOCKET is missing; use ${USAGE}\n`);
    return 2;
  }
  const { ok, text } = await probe(path, live ? "live" : "ready");
  process.stdout.write(text);
  return ok ? 0 : 1;
}
