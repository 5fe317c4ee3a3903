import { accessSync, constants, statSync } from "node:fs";
import { join } from "node:path";

/** Names of programs, and the Debian package that brings each. */
export type ProgramPackages = Readonly<Record<string, string>>;

/** Everything that a sandbox runs. */
export const SANDBOX_PROGRAMS: ProgramPackages = {
  ip: "iproute2",
  iptables: "iptables",
  "iptables-save": "iptables",
  "iptables-restore": "iptables",
  conntrack: "conntrack",
  unshare: "util-linux",
  nsenter: "util-linux",
  mount: "mount",
};

/** Where system programs live; on Debian none of these is in an ordinary user's PATH. The last one holds network plugins. */
const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/lib/cni"];

/** `path` (as of the PATH variable) with the system folders that it lacks. */
export function systemPath(path: string | undefined): string {
  const folders = (path ?? "/usr/bin:/bin").split(":").filter((folder) => folder !== "");
  return [...folders, ...SYSTEM_FOLDERS.filter((folder) => !folders.includes(folder))].join(":");
}

/** Those of `programs` that no folder of `path` holds. */
export function missingPrograms(path: string, programs: ProgramPackages): string[] {
  return Object.keys(programs).filter((program) => !isInstalled(program, path));
}

function isInstalled(program: string, path: string): boolean {
  return path.split(":").some((folder) => {
    const file = join(folder, program);
    try {
      accessSync(file, constants.X_OK);
      return statSync(file).isFile();
    } catch {
      return false;
    }
  });
}
