import { execFile, spawn } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** The part of an image's configuration that a container starts from (https://github.com/opencontainers/image-spec/blob/main/config.md). */
export interface ImageConfig {
  readonly User?: string;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Labels?: Readonly<Record<string, string>>;
}

export interface Finished {
  readonly code: number;
  readonly output: string;
}

/** An image's files and configuration, out of the archive that `npm run images` writes. */
export class UnpackedImage {
  readonly root: string;
  readonly config: ImageConfig;

  private constructor(root: string, config: ImageConfig) {
    this.root = root;
    this.config = config;
  }

  static async open(archive: string, directory: string): Promise<UnpackedImage> {
    const files = join(directory, "archive");
    const root = join(directory, "rootfs");
    await mkdir(files, { recursive: true });
    await mkdir(root, { recursive: true });
    await execute("tar", ["-xf", archive, "-C", files]);
    const [manifest] = JSON.parse(await readFile(join(files, "manifest.json"), "utf8")) as [
      { readonly Config: string; readonly Layers: readonly string[] },
    ];
    for (const layer of manifest.Layers) await execute("tar", ["-xpf", join(files, layer), "-C", root]);
    const { config } = JSON.parse(await readFile(join(files, manifest.Config), "utf8")) as { config: ImageConfig };
    return new UnpackedImage(root, config);
  }
}

export interface ContainerOptions {
  /** PATH with runc. */
  readonly path: string;
  readonly image: UnpackedImage;
  /** Made; holds the container's configuration. */
  readonly bundle: string;
  readonly args: readonly string[];
  readonly env?: readonly string[];
  readonly capabilities?: readonly string[];
  /** Folders of the machine, by their place in the container; read-only. */
  readonly mounts?: Readonly<Record<string, string>>;
  /** File of the network namespace to join; the machine's own when absent. */
  readonly network?: string;
}

/** Runs the image as a container, as the chart does: read-only root, no capabilities but the given ones, no new privileges. */
export class ImageContainer {
  readonly #child;
  readonly #id: string;
  readonly #path: string;
  #output = "";
  readonly finished: Promise<Finished>;

  private constructor(o: ContainerOptions, id: string) {
    this.#id = id;
    this.#path = o.path;
    this.#child = spawn("runc", ["run", "--bundle", o.bundle, id], {
      env: { ...process.env, PATH: o.path },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream.on("data", (chunk: Buffer) => (this.#output += chunk.toString()));
    this.finished = new Promise((resolve, reject) => {
      this.#child.on("error", reject);
      this.#child.on("close", (code) => resolve({ code: code ?? -1, output: this.#output }));
    });
  }

  static async start(o: ContainerOptions): Promise<ImageContainer> {
    await mkdir(o.bundle, { recursive: true });
    await writeFile(join(o.bundle, "config.json"), JSON.stringify(runtimeConfig(o)));
    return new ImageContainer(o, `podid-test-${process.pid}-${counter++}`);
  }

  get output(): string {
    return this.#output;
  }

  async stop(): Promise<Finished> {
    await execute("runc", ["kill", this.#id, "TERM"], { env: { ...process.env, PATH: this.#path } }).catch(() => {});
    return this.finished;
  }
}

let counter = 0;

/** https://github.com/opencontainers/runtime-spec/blob/main/config.md */
function runtimeConfig(o: ContainerOptions): object {
  const { config, root } = o.image;
  const [uid = "0", gid = "0"] = (config.User ?? "").split(":");
  const capabilities = o.capabilities ?? [];
  const mounts = Object.entries(o.mounts ?? {}).map(([destination, source]) => ({
    destination,
    source,
    type: "bind",
    options: ["rbind", "ro"],
  }));
  const network = o.network === undefined ? [] : [{ type: "network", path: o.network }];
  return {
    ociVersion: "1.0.2",
    process: {
      user: { uid: Number(uid), gid: Number(gid) },
      args: [...(config.Entrypoint ?? []), ...o.args],
      env: [...(config.Env ?? []), ...(o.env ?? [])],
      cwd: "/",
      noNewPrivileges: true,
      capabilities: Object.fromEntries(
        ["bounding", "effective", "permitted", "inheritable", "ambient"].map((set) => [set, capabilities]),
      ),
    },
    root: { path: root, readonly: true },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755", "size=65536k"] },
      { destination: "/run", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "mode=1777"] },
      { destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "mode=1777"] },
      ...mounts,
    ],
    linux: { namespaces: [{ type: "pid" }, { type: "mount" }, { type: "ipc" }, { type: "uts" }, ...network] },
  };
}
