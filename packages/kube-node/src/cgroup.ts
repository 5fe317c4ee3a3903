import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const MOUNT = "/sys/fs/cgroup";

/** A control group of this node's own below which kubelet and containerd make theirs, in every hierarchy. */
export class Cgroup {
  /** As kubelet's `cgroupRoot` takes it. */
  readonly path: string;
  readonly version: 1 | 2;

  constructor(name: string) {
    this.path = `/${name}`;
    this.version = existsSync(join(MOUNT, "cgroup.controllers")) ? 2 : 1;
    for (const folder of this.#folders()) mkdirSync(folder, { recursive: true });
    // A cpuset without processors or memory takes no process (cgroup v1).
    const cpuset = join(MOUNT, "cpuset", name);
    if (this.version === 1 && existsSync(cpuset)) writeFileSync(join(MOUNT, "cpuset", "cgroup.clone_children"), "1");
  }

  /** Removes it with everything below; what is in it must have ended. */
  remove(): void {
    // runc makes one in the unified hierarchy of a machine with both versions, too.
    for (const folder of [...this.#folders(), join(MOUNT, "unified", this.path)]) removeTree(folder);
  }

  /** Everything that runs in it, as seen from the enclosure. */
  processes(): number[] {
    const folder = this.#folders().find((each) => each.includes("/memory/")) ?? this.#folders()[0] ?? "";
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
      name.endsWith("cgroup.procs"),
    );
    return files.flatMap((name) => readFileSync(join(folder, name), "utf8").split("\n").filter(Boolean).map(Number));
  }

  #folders(): string[] {
    if (this.version === 2) return [join(MOUNT, this.path)];
    return readdirSync(MOUNT, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name !== "unified")
      .map(({ name }) => join(MOUNT, name, this.path));
  }
}

function removeTree(folder: string): void {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removeTree(join(folder, entry.name));
  try {
    rmdirSync(folder);
  } catch (error) {
    // Whoever still runs in there is not this node's to stop.
    if ((error as NodeJS.ErrnoException).code !== "EBUSY") throw error;
  }
}
