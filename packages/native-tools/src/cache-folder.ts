import { accessSync, constants, mkdirSync, statSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { findUp } from "./find-up.ts";

/**
 * A folder of this user's for what can be made again: `$XDG_CACHE_HOME/podid`, `~/.cache/podid`, `.cache` of the
 * project, a folder under the system's temporary one; the first in which this user may write. A home that belongs to
 * somebody else is passed over, because `sudo` keeps HOME and would leave root's files in it.
 *
 * @throws Error when none is usable.
 */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  const project = findUp("package-lock.json", import.meta.dirname);
  const candidates = [
    env["XDG_CACHE_HOME"] === undefined || env["XDG_CACHE_HOME"] === ""
      ? undefined
      : join(env["XDG_CACHE_HOME"], "podid"),
    join(env["HOME"] ?? homedir(), ".cache", "podid"),
    project === undefined ? undefined : join(dirname(project), ".cache"),
    join(tmpdir(), `podid-${process.getuid?.() ?? 0}`),
  ].filter((folder): folder is string => folder !== undefined && isAbsolute(folder));
  // A sandbox has a /run of its own, which would hide what lies there.
  for (const folder of candidates) if (!folder.startsWith("/run/") && isOurs(folder)) return folder;
  throw new Error(
    `no folder for the cache: none of ${candidates.join(", ")} is writable for this user; set XDG_CACHE_HOME to one that is`,
  );
}

function isOurs(folder: string): boolean {
  try {
    // The nearest folder that exists decides who owns what is made in it.
    let existing = folder;
    const missing: string[] = [];
    while (!exists(existing)) {
      missing.unshift(existing);
      existing = dirname(existing);
    }
    const shared = existing === tmpdir() && existing !== folder;
    if (!shared && statSync(existing).uid !== process.getuid?.()) return false;
    // One by one, because Node's recursive form never returns below /proc.
    for (const path of missing) mkdirSync(path, { mode: 0o700 });
    accessSync(folder, constants.W_OK | constants.X_OK);
    return statSync(folder).uid === process.getuid?.();
  } catch {
    return false;
  }
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
