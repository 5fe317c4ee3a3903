import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { cacheFolder } from "./cache-folder.ts";
import { installCommand, isDebianLike, parseOsRelease } from "./distribution.ts";
import { missingPrograms, SANDBOX_PROGRAMS, systemPath } from "./programs.ts";
import type { ProgramPackages } from "./programs.ts";
import { unpackTools } from "./unpacked-tools.ts";

export interface NativeTools {
  /** Value of PATH with which every program is found. */
  readonly path: string;
  /** Folder of the unpacked ones; `undefined` when the machine has them all. */
  readonly unpacked: string | undefined;
}

/** A program is missing and cannot be had without installing it; the message holds the command that does. */
export class MissingToolsError extends Error {
  readonly command: string;

  constructor(missing: readonly string[], command: string, cause?: unknown) {
    const why = cause instanceof Error ? ` (unpacking them failed: ${cause.message})` : "";
    super(
      `missing: ${missing.join(", ")}${why}. Install them with:\n  ${command}`,
      cause === undefined ? {} : { cause },
    );
    this.name = "MissingToolsError";
    this.command = command;
  }
}

/**
 * Finds the programs a sandbox needs, or other `programs`. What a Debian or Ubuntu lacks is unpacked from the distribution's own packages
 * into the cache, once and without installing anything; `say` gets a line when that happens.
 *
 * @throws MissingToolsError on other systems, and when the packages cannot be had.
 */
export async function findNativeTools(
  o: {
    readonly programs?: ProgramPackages;
    readonly say?: (line: string) => void;
    readonly env?: NodeJS.ProcessEnv;
  } = {},
): Promise<NativeTools> {
  const { programs = SANDBOX_PROGRAMS, env = process.env } = o;
  const path = systemPath(env["PATH"]);
  const missing = missingPrograms(path, programs);
  if (missing.length === 0) return { path, unpacked: undefined };
  const release = parseOsRelease(existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "");
  const packages = [...new Set(missing.map((program) => programs[program] ?? program))].toSorted();
  const command = installCommand(release, packages);
  if (process.platform !== "linux") throw new Error(`this needs Linux; this is ${process.platform}`);
  const canUnpack = isDebianLike(release) && !missingFrom(path, ["apt-get", "dpkg-deb"]);
  if (!canUnpack) throw new MissingToolsError(missing, command);
  const key = createHash("sha256").update(packages.join()).digest("hex").slice(0, 8);
  const folder = join(cacheFolder(env), "tools", `${release.id}-${release.version}-${process.arch}-${key}`);
  if (!existsSync(join(folder, "bin"))) {
    o.say?.(
      `Unpacking ${release.name}'s own packages ${packages.join(", ")} into ${tilde(folder)} (once; nothing is installed)`,
    );
    try {
      await unpackTools(folder, packages);
    } catch (error) {
      throw new MissingToolsError(missing, command, error);
    }
  }
  const whole = `${join(folder, "bin")}:${path}`;
  const still = missingPrograms(whole, programs);
  if (still.length > 0) throw new MissingToolsError(still, command);
  return { path: whole, unpacked: folder };
}

function missingFrom(path: string, programs: readonly string[]): boolean {
  return !programs.every((program) => path.split(":").some((folder) => existsSync(join(folder, program))));
}

function tilde(path: string): string {
  return path.startsWith(`${homedir()}/`) ? `~${path.slice(homedir().length)}` : path;
}
