import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

/** Options of `unshare` and `nsenter` that differ between root and others. */
export interface NamespaceMode {
  /** Whether a user namespace has to be made first: everybody but a root with the needed capabilities. */
  readonly userNamespace: boolean;
}

/** What the machine says about namespaces; read once, judged by {@link explainRefusal}. */
export interface NamespaceFacts {
  readonly uid: number;
  /** What `unshare` said when it was refused. */
  readonly refusal: string;
  /** Settings under /proc/sys by dotted name; absent ones are not in it. */
  readonly settings: Readonly<Record<string, string>>;
  /** CapEff of /proc/self/status, hexadecimal. */
  readonly capabilities: string;
  /** Seccomp of /proc/self/status: "2" is a filter, as container runtimes set. */
  readonly seccomp: string;
  readonly container: boolean;
}

/** The kernel or a container runtime forbids namespaces; the message names the setting and how to change it. */
export class NamespacesForbiddenError extends Error {
  override readonly name = "NamespacesForbiddenError";
}

const SETTINGS = [
  "kernel.unprivileged_userns_clone",
  "user.max_user_namespaces",
  "user.max_net_namespaces",
  "kernel.apparmor_restrict_unprivileged_userns",
];
/** A pid namespace wants its own /proc; where that is refused, as in some containers, the old one may do. */
export const MOUNT_SCRIPT =
  "mount -t tmpfs tmpfs /run && { mount -t proc proc /proc || mount -o remount,rw /proc/sys || true; } 2>/dev/null";
const CAP_NET_ADMIN = 12n;
const CAP_SYS_ADMIN = 21n;

/**
 * Tries to make the namespaces that a sandbox needs.
 *
 * @throws NamespacesForbiddenError with the reason.
 */
export function probeNamespaces(path: string): NamespaceMode {
  const uid = process.getuid?.() ?? 0;
  const script = `${MOUNT_SCRIPT}; echo 1 > /proc/sys/net/ipv4/ip_forward`;
  const attempt = (user: string[]): string | undefined => {
    const tried = spawnSync(
      "unshare",
      [...user, "--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", script],
      {
        env: { ...process.env, PATH: path, LC_ALL: "C" },
        encoding: "utf8",
      },
    );
    return tried.status === 0 ? undefined : `${tried.error?.message ?? ""}${tried.stderr}`.trim();
  };
  let refusal: string | undefined;
  if (uid === 0) {
    refusal = attempt([]);
    if (refusal === undefined) return { userNamespace: false };
  }
  const user = attempt(["--user", "--map-root-user"]);
  if (user === undefined) return { userNamespace: true };
  throw new NamespacesForbiddenError(explainRefusal(readFacts(uid, refusal ?? user)));
}

function readFacts(uid: number, refusal: string): NamespaceFacts {
  const settings: Record<string, string> = {};
  for (const name of SETTINGS) {
    const file = `/proc/sys/${name.replaceAll(".", "/")}`;
    if (existsSync(file)) settings[name] = readFileSync(file, "utf8").trim();
  }
  const status = readFileSync("/proc/self/status", "utf8");
  const field = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status)?.[1] ?? "";
  const container =
    existsSync("/.dockerenv") ||
    existsSync("/run/.containerenv") ||
    process.env["KUBERNETES_SERVICE_HOST"] !== undefined;
  return { uid, refusal, settings, capabilities: field("CapEff"), seccomp: field("Seccomp"), container };
}

/** One reason, the most specific first, and what to run. */
export function explainRefusal(facts: NamespaceFacts): string {
  const { settings } = facts;
  const said = facts.refusal === "" ? "" : `\n(the kernel's answer: ${facts.refusal.split("\n")[0]})`;
  const change = (name: string, value: string): string => `sudo sysctl -w ${name}=${value}`;
  const zero = (name: string): boolean => settings[name] !== undefined && Number(settings[name]) === 0;
  if (zero("user.max_net_namespaces")) {
    return `The kernel setting user.max_net_namespaces is 0, so no network namespace can be made. Run:\n  ${change("user.max_net_namespaces", "1024")}${said}`;
  }
  if (facts.uid !== 0) {
    if (zero("kernel.unprivileged_userns_clone")) {
      return `The kernel setting kernel.unprivileged_userns_clone is 0: only root may make user namespaces. Run as root, or:\n  ${change("kernel.unprivileged_userns_clone", "1")}${said}`;
    }
    if (zero("user.max_user_namespaces")) {
      return `The kernel setting user.max_user_namespaces is 0: nobody may make user namespaces. Run as root, or:\n  ${change("user.max_user_namespaces", "15000")}${said}`;
    }
    if (settings["kernel.apparmor_restrict_unprivileged_userns"] === "1") {
      return `AppArmor takes the capabilities of unprivileged user namespaces away (kernel.apparmor_restrict_unprivileged_userns is 1, Ubuntu's default since 24.04). Run as root, or:\n  ${change("kernel.apparmor_restrict_unprivileged_userns", "0")}${said}`;
    }
  }
  const capabilities = BigInt(`0x${facts.capabilities === "" ? "0" : facts.capabilities}`);
  const lacking = [
    [CAP_SYS_ADMIN, "CAP_SYS_ADMIN"],
    [CAP_NET_ADMIN, "CAP_NET_ADMIN"],
  ].flatMap(([bit, name]) => (((capabilities >> (bit as bigint)) & 1n) === 1n ? [] : [name as string]));
  const privileged = "docker run --privileged …";
  if (facts.uid === 0 && lacking.length > 0) {
    return `This root lacks ${lacking.join(" and ")}${facts.container ? " (a container without privileges)" : ""}, and a user namespace was refused as well${zero("user.max_user_namespaces") ? " (user.max_user_namespaces is 0)" : ""}. Start the container with more:\n  ${privileged}${said}`;
  }
  if (/proc\/sys|read-only/i.test(facts.refusal)) {
    return `/proc/sys is mounted read-only here${facts.container ? " (a container)" : ""}, so that forwarding cannot be switched on, not even in a namespace of one's own. Start the container with:\n  ${privileged}${said}`;
  }
  if (facts.seccomp === "2") {
    return `A seccomp filter${facts.container ? " of the container runtime" : ""} refuses new namespaces. Start the container with:\n  docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined --cap-add SYS_ADMIN --cap-add NET_ADMIN …${said}`;
  }
  return `The kernel refuses user and network namespaces, and none of ${SETTINGS.join(", ")} explains it; a security module may. Run as root, or on another machine.${said}`;
}
