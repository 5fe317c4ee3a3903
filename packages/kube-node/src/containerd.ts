import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { Program } from "@podid/kube-control-plane";

const NAMESPACE = "k8s.io";

export interface ContainerdOptions {
  readonly directory: string;
  /** PATH with containerd, runc and the network plugins. */
  readonly path: string;
  /** Folder of the network plugins. */
  readonly pluginFolder: string;
  readonly pauseImage: string;
  readonly podSubnet: string;
}

export class Containerd {
  readonly socket: string;
  readonly #options: ContainerdOptions;
  readonly #configFile: string;
  #program: Program | undefined;

  private constructor(options: ContainerdOptions) {
    this.#options = options;
    this.socket = "/run/containerd/containerd.sock";
    this.#configFile = join(options.directory, "containerd.toml");
  }

  static async start(options: ContainerdOptions): Promise<Containerd> {
    const containerd = new Containerd(options);
    await mkdir("/etc/cni/net.d", { recursive: true });
    await Promise.all([
      writeFile("/etc/cni/net.d/10-podid.conflist", networkConfig(options.podSubnet)),
      writeFile(containerd.#configFile, config(options, containerd.socket)),
    ]);
    await containerd.#launch();
    return containerd;
  }

  /** Loads images of an archive as `npm run images` makes them. */
  async importImages(archive: string): Promise<void> {
    await this.ctr("images", "import", "--snapshotter", "overlayfs", archive);
  }

  /** @returns what `ctr` printed */
  async ctr(...args: readonly string[]): Promise<string> {
    const all = ["--address", this.socket, "--namespace", NAMESPACE, ...args];
    const env = { ...process.env, PATH: this.#options.path };
    const { stdout } = await promisify(execFile)("ctr", all, { env, maxBuffer: 16 << 20 });
    return stdout;
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    await this.#program?.stop(signal);
  }

  /** Starts it again after {@link stop}. */
  async restart(): Promise<void> {
    await this.#launch();
  }

  async #launch(): Promise<void> {
    const program = new Program(
      "containerd",
      ["--config", this.#configFile],
      join(this.#options.directory, "containerd.log"),
      {
        PATH: this.#options.path,
      },
    );
    this.#program = program;
    await program.until(async () => (await this.ctr("version")).includes("Server"));
  }
}

/** Pod to node by a pair of devices and a route, as cloud providers' own plugins do it; no shared layer 2. */
function networkConfig(subnet: string): string {
  return JSON.stringify({
    cniVersion: "1.0.0",
    name: "podid",
    plugins: [
      { type: "ptp", ipam: { type: "host-local", ranges: [[{ subnet }]], routes: [{ dst: "0.0.0.0/0" }] } },
      { type: "portmap", capabilities: { portMappings: true } },
    ],
  });
}

function config(o: ContainerdOptions, socket: string): string {
  return `version = 2
root = ${JSON.stringify(join(o.directory, "containerd"))}
state = "/run/containerd/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = ${JSON.stringify(socket)}
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = ${JSON.stringify(o.pauseImage)}
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = ${JSON.stringify(o.pluginFolder)}
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
`;
}
