import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Trees of the machine in which a node's programs make files; what is there can be read, what is written is this node's own. */
const COPIED_FOLDERS = ["/etc", "/var"];

/** Folders that begin empty. */
const PRIVATE_FOLDERS = [
  "/run",
  "/var/lib/cni",
  "/var/lib/kubelet",
  "/etc/cni/net.d",
  "/etc/kubernetes",
  "/var/log/pods",
  "/var/log/containers",
];

/** Settings of the whole machine that kubelet writes and that are not this node's to change; the values are those that it wants. */
const HOST_SYSCTLS: Readonly<Record<string, string>> = {
  "vm/overcommit_memory": "1",
  "vm/panic_on_oom": "0",
  "kernel/panic": "10",
  "kernel/panic_on_oops": "1",
  "kernel/keys/root_maxkeys": "1000000",
  "kernel/keys/root_maxbytes": "25000000",
};

/**
 * The command that runs `command` in namespaces of its own, as on a machine of its own: nothing in it reaches the host's
 * network, mounts, processes or settings, and everything in it ends with `command`. Needs root.
 *
 * @param directory made; kept by the caller for as long as the node lives
 */
export function enclosed(directory: string, command: readonly string[]): string[] {
  const sysctls = join(directory, "sysctls");
  const layers = join(directory, "layers");
  const lines = ["set -e", "mount --make-rprivate /", "mount -t proc proc /proc", "ip link set lo up"];
  lines.push(`mkdir -p '${layers}'`, `mount -t tmpfs tmpfs '${layers}'`);
  for (const folder of COPIED_FOLDERS) {
    const layer = `${layers}${folder}`;
    lines.push(
      `mkdir -p '${layer}/upper' '${layer}/work'`,
      `mount -t overlay overlay -o 'lowerdir=${folder},upperdir=${layer}/upper,workdir=${layer}/work' ${folder}`,
    );
  }
  for (const folder of PRIVATE_FOLDERS) lines.push(`mkdir -p ${folder}`, `mount -t tmpfs tmpfs ${folder}`);
  // Kubelet wants to share the mounts of pods' volumes.
  lines.push("mount --make-rshared /", "mkdir -p /run/netns");
  mkdirSync(sysctls, { recursive: true });
  for (const [name, value] of Object.entries(HOST_SYSCTLS)) {
    const file = join(sysctls, name.replaceAll("/", "."));
    writeFileSync(file, `${value}\n`);
    lines.push(`mount --bind '${file}' /proc/sys/${name}`);
  }
  lines.push("echo 1 > /proc/sys/net/ipv4/ip_forward", '"$@" || exit $?');
  const unshare = ["unshare", "--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child"];
  return [...unshare, "sh", "-c", lines.join("\n"), "sh", ...command];
}
