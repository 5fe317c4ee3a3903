import { readFile, writeFile } from "node:fs/promises";

const SYSCTL = "/proc/sys/net/ipv4/conf/all/route_localnet";

export type RouteLocalnet =
  | { readonly kind: "not-needed" | "already-set" | "set" }
  | { readonly kind: "failed"; readonly message: string };

/**
 * Packets redirected to 127.0.0.1 are dropped as martians unless the kernel may route loopback addresses. kube-proxy
 * normally allows it; Cilium's replacement does not. It also lets neighbours on the same layer 2 reach loopback
 * services (CVE-2020-8558), which kube-proxy's and kubelet's own rules prevent where they run.
 */
export async function allowRouteLocalnet(targetIp: string, path = SYSCTL): Promise<RouteLocalnet> {
  if (!targetIp.startsWith("127.")) return { kind: "not-needed" };
  try {
    if ((await readFile(path, "utf8")).trim() === "1") return { kind: "already-set" };
    await writeFile(path, "1\n");
    return { kind: "set" };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const fix =
      "set net.ipv4.conf.all.route_localnet=1 on the node or in an init container, or give --nmi-listen-address an address of the node that pods reach";
    return { kind: "failed", message: `${why}; ${fix}` };
  }
}
