import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { ControlPlane, Program } from "@podid/kube-control-plane";
import { stringify } from "yaml";
import type { Cgroup } from "./cgroup.ts";
import { Containerd } from "./containerd.ts";
import { startKubelet } from "./kubelet.ts";
import type { NodeAssets } from "./node-assets.ts";

export interface KubeNodeOptions {
  readonly assets: NodeAssets;
  /** PATH with the programs of {@link NODE_PROGRAMS}. */
  readonly path: string;
  /** For data and logs; it stays. On a real file system: containers' layers lie there. */
  readonly directory: string;
  /** Image of the containers that hold pods' namespaces; to be imported before the first pod. */
  readonly pauseImage: string;
  readonly providerId: string;
  /** Control group of everything that kubelet runs; its owner removes it when the enclosure has ended. */
  readonly cgroup: Cgroup;
  readonly labels?: Readonly<Record<string, string>>;
  readonly proxyMode?: "iptables" | "nftables";
}

const NODE_NAME = "node-1";
const NODE_IP = "10.250.0.4";
/** The network namespace at the other end of the node's only link; what a test puts there is the world. */
const WORLD = "world";
const WORLD_IP = "10.250.0.1";
const POD_SUBNET = "10.244.0.0/24";
const KUBELET_KUBECONFIG = "/etc/kubernetes/kubelet.conf";

/**
 * One Kubernetes node with its control plane. To be started inside an {@link enclosed} process: it changes network, mounts and
 * settings as if the machine were its own.
 */
export class KubeNode {
  readonly name = NODE_NAME;
  readonly address = NODE_IP;
  /** Name of the network namespace (`ip netns exec`) that everything the node does not know itself is routed to, and its address. */
  readonly world = { namespace: WORLD, address: WORLD_IP };
  readonly controlPlane: ControlPlane;
  readonly containerd: Containerd;
  /** Where kubelet's own credentials lie. */
  readonly kubeletKubeconfig = KUBELET_KUBECONFIG;
  readonly #options: KubeNodeOptions;
  readonly #programs: Program[] = [];
  #kubelet: Program | undefined;
  #proxy: Program | undefined;
  #proxyMode: "iptables" | "nftables" = "iptables";

  private constructor(o: KubeNodeOptions, controlPlane: ControlPlane, containerd: Containerd) {
    this.#options = o;
    this.controlPlane = controlPlane;
    this.containerd = containerd;
  }

  /** Starts everything and waits until the node is Ready. @throws when a program ends or is not ready in time */
  static async start(o: KubeNodeOptions): Promise<KubeNode> {
    await mkdir(o.directory, { recursive: true });
    await connect();
    const token = randomBytes(24).toString("hex");
    const controlPlane = await ControlPlane.start({
      assets: o.assets,
      host: NODE_IP,
      port: 6443,
      directory: join(o.directory, "control-plane"),
      certificateHosts: ["kubernetes", "10.96.0.1", "127.0.0.1"],
      users: [{ token, name: `system:node:${NODE_NAME}`, groups: ["system:nodes"] }],
      apiServerFlags: [
        "--allow-privileged=true",
        "--endpoint-reconciler-type=lease",
        "--kubelet-preferred-address-types=InternalIP",
      ],
    });
    const pluginFolder = folderOf("ptp", o.path);
    const containerd = await Containerd.start({ ...o, pluginFolder, podSubnet: POD_SUBNET });
    const node = new KubeNode(o, controlPlane, containerd);
    await mkdir("/etc/kubernetes", { recursive: true });
    await writeFile(KUBELET_KUBECONFIG, controlPlane.kubeconfig(controlPlane.url, token), { mode: 0o600 });
    const adminFile = join(o.directory, "admin.kubeconfig");
    await writeFile(adminFile, controlPlane.kubeconfig(), { mode: 0o600 });
    node.#startControllers(adminFile);
    await node.startKubelet();
    await node.setProxyMode(o.proxyMode ?? "iptables");
    return node;
  }

  /** Stops kubelet and starts it again; pods go on running meanwhile. */
  async startKubelet(): Promise<void> {
    await this.#kubelet?.stop("SIGKILL");
    const o = this.#options;
    this.#kubelet = await startKubelet({
      program: o.assets.kubelet,
      directory: o.directory,
      path: o.path,
      nodeName: NODE_NAME,
      nodeIp: NODE_IP,
      providerId: o.providerId,
      labels: o.labels ?? {},
      nameserver: WORLD_IP,
      kubeconfigFile: KUBELET_KUBECONFIG,
      containerdSocket: this.containerd.socket,
      cgroup: o.cgroup.path,
    });
    await this.#kubelet.until(() => this.#isReady(), 120_000);
  }

  /**
   * What a reboot comes to: everything on the node ends at once, and what the kernel held (rules, connections, pods' networks) is
   * gone. Then the node starts as it did, kubelet after `beforeKubelet`. The control plane is another machine's, so to speak.
   */
  async reboot(beforeKubelet: () => Promise<void> = async () => {}): Promise<void> {
    await Promise.all([this.#kubelet?.stop("SIGKILL"), this.#proxy?.stop("SIGKILL")]);
    await this.containerd.stop("SIGKILL");
    // A shim may start one more process of its container while it is being stopped.
    for (const name of ["containerd-shim", "containerd-shim"]) await killAll(name, this.#options.cgroup);
    await forgetNetwork();
    await this.containerd.restart();
    await beforeKubelet();
    await this.startKubelet();
    await this.setProxyMode(this.#proxyMode);
  }

  /** Runs kube-proxy in that mode from now on. */
  async setProxyMode(mode: "iptables" | "nftables"): Promise<void> {
    await this.#proxy?.stop();
    const o = this.#options;
    this.#proxyMode = mode;
    const config = join(o.directory, "kube-proxy.yaml");
    await writeFile(
      config,
      stringify({
        apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
        kind: "KubeProxyConfiguration",
        clientConnection: { kubeconfig: join(o.directory, "admin.kubeconfig") },
        mode,
        hostnameOverride: NODE_NAME,
        clusterCIDR: POD_SUBNET,
        conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
      }),
    );
    this.#proxy = new Program(o.assets["kube-proxy"], [`--config=${config}`], join(o.directory, "kube-proxy.log"), {
      PATH: o.path,
    });
    await this.#proxy.until(async () => (await fetch("http://127.0.0.1:10249/healthz")).ok);
  }

  /** Ends every program. Containers end with the enclosure. */
  async close(): Promise<void> {
    const programs = [this.#kubelet, this.#proxy, ...this.#programs].filter((program) => program !== undefined);
    await Promise.all(programs.map((program) => program.stop("SIGKILL")));
    for (const id of (await this.containerd.ctr("tasks", "list", "--quiet")).split("\n").filter((line) => line !== ""))
      await this.containerd.ctr("tasks", "kill", "--signal", "SIGKILL", id).catch(() => {});
    await this.containerd.stop();
    await this.controlPlane.close();
  }

  #startControllers(kubeconfig: string): void {
    const { assets, directory, path } = this.#options;
    const key = this.controlPlane.file("service-account-key.pem");
    const common = [`--kubeconfig=${kubeconfig}`, "--leader-elect=false", "--bind-address=127.0.0.1"];
    const manager = [
      ...common,
      `--service-account-private-key-file=${key}`,
      `--root-ca-file=${this.controlPlane.file("ca.pem")}`,
      "--use-service-account-credentials=true",
    ];
    this.#programs.push(
      new Program(assets["kube-controller-manager"], manager, join(directory, "kube-controller-manager.log"), {
        PATH: path,
      }),
      new Program(assets["kube-scheduler"], common, join(directory, "kube-scheduler.log"), { PATH: path }),
    );
  }

  async #isReady(): Promise<boolean> {
    const node = await getJson(`${this.controlPlane.url}/api/v1/nodes/${NODE_NAME}`, this.controlPlane);
    const { status } = node as { status?: { conditions?: { type: string; status: string }[] } };
    return (status?.conditions ?? []).some((condition) => condition.type === "Ready" && condition.status === "True");
  }
}

function folderOf(program: string, path: string): string {
  const folder = path.split(delimiter).find((each) => existsSync(join(each, program)));
  if (folder === undefined) throw new Error(`${program} is in no folder of PATH`);
  return folder;
}

async function connect(): Promise<void> {
  await ip("netns", "add", WORLD);
  await ip("link", "add", "eth0", "type", "veth", "peer", "name", "node", "netns", WORLD);
  await ip("addr", "add", `${NODE_IP}/24`, "dev", "eth0");
  await ip("link", "set", "eth0", "up");
  await ip("-n", WORLD, "link", "set", "lo", "up");
  await ip("-n", WORLD, "addr", "add", `${WORLD_IP}/24`, "dev", "node");
  await ip("-n", WORLD, "link", "set", "node", "up");
  await ip("-n", WORLD, "route", "add", POD_SUBNET, "via", NODE_IP);
  await ip("route", "add", "default", "via", WORLD_IP);
}

/** Kills every process of that name, and everything in the control group. */
async function killAll(name: string, cgroup: Cgroup): Promise<void> {
  const shims = (await readdir("/proc"))
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => commandOf(pid).includes(name));
  for (const pid of [...shims, ...cgroup.processes()]) {
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

/** Rules of both kinds, connections, pods' devices and namespaces, and the runtime's files under /run. */
async function forgetNetwork(): Promise<void> {
  const script = `
    nft flush ruleset
    for table in filter nat mangle raw; do
      iptables-legacy -t $table -F && iptables-legacy -t $table -X && iptables-legacy -t $table -Z
      case $table in
        nat) for chain in PREROUTING INPUT OUTPUT POSTROUTING; do iptables-legacy -t nat -P $chain ACCEPT; done ;;
        filter) for chain in INPUT FORWARD OUTPUT; do iptables-legacy -P $chain ACCEPT; done ;;
      esac
    done
    conntrack -F
    for device in $(ls /sys/class/net | grep ^veth); do ip link delete "$device"; done
    for namespace in $(ls /run/netns | grep -v ^${WORLD}$); do umount "/run/netns/$namespace"; rm "/run/netns/$namespace"; done
    grep -oE ' /run/containerd[^ ]*| /var/lib/kubelet/pods[^ ]*' /proc/self/mounts | sort -r | xargs -r umount -l
    rm -rf /run/containerd /run/podid /run/xtables.lock /var/lib/cni/networks /var/lib/cni/results`;
  await promisify(execFile)("sh", ["-c", `{ ${script}\n} >/dev/null 2>&1; true`]);
}

async function ip(...args: readonly string[]): Promise<void> {
  await promisify(execFile)("ip", [...args]);
}

async function getJson(url: string, { adminToken, caPem }: ControlPlane): Promise<unknown> {
  const { request } = await import("node:https");
  return new Promise((resolve, reject) => {
    request(url, { ca: caPem, agent: false, headers: { authorization: `Bearer ${adminToken}` } }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString()));
      response.on("end", () => resolve(JSON.parse(text)));
    })
      .on("error", reject)
      .end();
  });
}
