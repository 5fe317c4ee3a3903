import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Program } from "@podid/kube-control-plane";
import { stringify } from "yaml";

export interface KubeletOptions {
  readonly program: string;
  readonly directory: string;
  readonly path: string;
  readonly nodeName: string;
  readonly nodeIp: string;
  readonly providerId: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Address of the DNS server that pods ask. */
  readonly nameserver: string;
  readonly kubeconfigFile: string;
  readonly containerdSocket: string;
  readonly cgroup: string;
}

/** Starts a kubelet; its data lie in /var/lib/kubelet, which the enclosure made this node's own. */
export async function startKubelet(o: KubeletOptions): Promise<Program> {
  const configFile = join(o.directory, "kubelet.yaml");
  const resolvConf = join(o.directory, "resolv.conf");
  await writeFile(resolvConf, `nameserver ${o.nameserver}\noptions ndots:1\n`);
  await writeFile(
    configFile,
    stringify({
      apiVersion: "kubelet.config.k8s.io/v1beta1",
      kind: "KubeletConfiguration",
      // Nobody but this node's own API server can reach it.
      authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
      authorization: { mode: "AlwaysAllow" },
      cgroupDriver: "cgroupfs",
      cgroupRoot: o.cgroup,
      failCgroupV1: false,
      failSwapOn: false,
      containerRuntimeEndpoint: `unix://${o.containerdSocket}`,
      resolvConf,
      // There is no cluster DNS; without this every pod with the default policy gets a warning.
      clusterDNS: [o.nameserver],
      clusterDomain: "cluster.local",
      oomScoreAdj: 0,
      providerID: o.providerId,
      enforceNodeAllocatable: [],
      evictionHard: { "memory.available": "50Mi", "nodefs.available": "0%", "imagefs.available": "0%" },
      imageGCHighThresholdPercent: 100,
      registerNode: true,
      nodeStatusUpdateFrequency: "4s",
      syncFrequency: "5s",
      volumeStatsAggPeriod: "0s",
      shutdownGracePeriod: "0s",
    }),
  );
  const args = [
    `--config=${configFile}`,
    `--kubeconfig=${o.kubeconfigFile}`,
    `--hostname-override=${o.nodeName}`,
    `--node-ip=${o.nodeIp}`,
    `--node-labels=${Object.entries(o.labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(",")}`,
    "--root-dir=/var/lib/kubelet",
  ];
  return new Program(o.program, args, join(o.directory, "kubelet.log"), { PATH: o.path });
}
