import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

/** Path of the nearest file of that name in `folder` or above it. */
export function findUp(name: string, folder: string): string | undefined {
  for (let at = folder; ; at = dirname(at)) {
    const file = join(at, name);
    if (existsSync(file)) return file;
    if (dirname(at) === at) return undefined;
  }
}
