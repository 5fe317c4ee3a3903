import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { unpackPackages } from "@podid/native-tools";
import type { PackageSelection } from "@podid/native-tools";

const execute = promisify(execFile);

/** A Debian package as it went into an image. */
export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
}

/**
 * Unpacks Debian packages and what they depend on into `root`, whatever this machine has installed.
 * @returns what was unpacked, by name
 */
export async function unpackDebianPackages(
  selection: Omit<PackageSelection, "fromNothing">,
  root: string,
  work: string,
): Promise<DebianPackage[]> {
  const archives = await unpackPackages({ ...selection, fromNothing: true }, root, work);
  return Promise.all(
    archives.map(async (archive) => {
      const { stdout } = await execute("dpkg-deb", ["-f", archive, "Package", "Version", "Architecture"]);
      const field = (name: string): string => new RegExp(`^${name}: (.+)$`, "m").exec(stdout)?.[1] ?? "";
      return { name: field("Package"), version: field("Version"), architecture: field("Architecture") };
    }),
  );
}
