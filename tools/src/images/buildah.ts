import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findNativeTools } from "@podid/native-tools";

/** Builds images without a daemon. Its storage is a temporary folder of its own, so that nothing of the machine's is used or left. */
export class Buildah {
  readonly #path: string;
  readonly #folder: string;

  private constructor(path: string, folder: string) {
    this.#path = path;
    this.#folder = folder;
  }

  /** Finds buildah, or on Debian and Ubuntu unpacks their package of it. @throws MissingToolsError */
  static async open(say: (line: string) => void): Promise<Buildah> {
    const { path } = await findNativeTools({ programs: { buildah: "buildah" }, say });
    const folder = await mkdtemp(join(tmpdir(), "podid-buildah-"));
    await writeFile(join(folder, "policy.json"), JSON.stringify({ default: [{ type: "insecureAcceptAnything" }] }));
    await writeFile(join(folder, "registries.conf"), "unqualified-search-registries = []\n");
    return new Buildah(path, folder);
  }

  /**
   * Builds the image of a folder with a Dockerfile and writes it to `archive`, a tar file that `docker load`, `podman load` and
   * `ctr image import` read, under the name `tag`.
   */
  async build(
    context: string,
    tag: string,
    archive: string,
    args: Readonly<Record<string, string>>,
    epoch: number,
  ): Promise<void> {
    const buildArgs = Object.entries(args).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]);
    const policy = ["--signature-policy", join(this.#folder, "policy.json")];
    await this.#run([
      "bud",
      "--isolation",
      "chroot",
      "--timestamp",
      String(epoch),
      ...policy,
      ...buildArgs,
      "--tag",
      tag,
      context,
    ]);
    await rm(archive, { force: true });
    await this.#run(["push", "--quiet", ...policy, tag, `docker-archive:${archive}:${tag}`]);
  }

  async close(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  #run(args: readonly string[]): Promise<void> {
    const storage = [
      "--storage-driver",
      "vfs",
      "--root",
      join(this.#folder, "root"),
      "--runroot",
      join(this.#folder, "run"),
    ];
    const child = spawn("buildah", [...storage, ...args], {
      env: {
        ...process.env,
        PATH: this.#path,
        CONTAINERS_REGISTRIES_CONF: join(this.#folder, "registries.conf"),
        BUILDAH_ISOLATION: "chroot",
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
    return new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code) =>
        code === 0 ? resolve() : reject(new Error(`buildah ${args[0]} ended with ${code}:\n${output}`)),
      );
    });
  }
}
