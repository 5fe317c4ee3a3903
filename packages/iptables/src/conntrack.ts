import type { Exec } from "./exec.ts";
import { IptablesError } from "./iptables-error.ts";

export interface ConntrackFlush {
  /** False when this machine has no `conntrack` program. */
  readonly available: boolean;
  readonly deleted: number;
}

/**
 * Forgets the connections that go to raw IMDS, so that their next packet meets the rules. Connections that are
 * redirected already answer from NMI's address; they stay, and with them the requests parked on them.
 *
 * @throws IptablesError when `conntrack` fails for another reason than having found nothing.
 */
export async function flushMetadataConntrack(
  exec: Exec,
  metadataIp: string,
  metadataPort: number,
): Promise<ConntrackFlush> {
  const args = ["-D", "-p", "tcp", "-d", metadataIp, "--dport", String(metadataPort), "--reply-src", metadataIp];
  const result = await exec("conntrack", args, { timeoutMs: 30_000 });
  if (result.code === 127) return { available: false, deleted: 0 };
  const count = /(\d+) flow entries have been deleted/.exec(result.stderr)?.[1];
  // Exit code 1 with a count of 0 means that there was nothing to delete.
  if (result.code !== 0 && count === undefined)
    throw new IptablesError("conntrack -D failed", result.code, result.stderr);
  return { available: true, deleted: Number(count ?? 0) };
}
