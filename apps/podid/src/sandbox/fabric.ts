import { run, runIn } from "./shell.ts";
import { FABRIC_ADDRESS, METADATA_IP, type NodePlan, type ReplicaPlan, type Topology } from "./topology.ts";

/**
 * Builds the network: a bridge as fabric, a namespace per node and per MIC replica on it, and behind each node a
 * namespace that holds the metadata address, so that pods' packets to it are forwarded as on a real node.
 */
export async function buildFabric(topology: Topology): Promise<void> {
  const { nodes, mic } = topology;
  await run("ip", ["-batch", "-"], { stdin: fabricCommands(topology).join("\n") });
  await Promise.all([
    ...nodes.map(async (node) => {
      await runIn(node.namespace, "sh", ["-ec", `${FORWARDING}; ip -batch -`], {
        stdin: nodeCommands(node, nodes).join("\n"),
      });
      await runIn(node.imdsNamespace, "ip", ["-batch", "-"], { stdin: imdsCommands(node).join("\n") });
    }),
    ...mic.map((replica) =>
      runIn(replica.namespace, "ip", ["-batch", "-"], { stdin: replicaCommands(replica).join("\n") }),
    ),
  ]);
}

/** What a kubelet's node has: forwarding, and DNAT to loopback. Reverse path filters of the host are not inherited. */
const FORWARDING =
  "cd /proc/sys/net/ipv4; echo 1 > ip_forward; for f in conf/*/route_localnet; do echo 1 > $f; done; for f in conf/*/rp_filter; do echo 0 > $f; done";

export function fabricCommands({ nodes, mic }: Topology): string[] {
  const commands = [
    "link set lo up",
    "link add fabric type bridge",
    `address add ${FABRIC_ADDRESS}/16 dev fabric`,
    "link set fabric up",
  ];
  const attach = (namespace: string, port: string): void => {
    commands.push(
      `netns add ${namespace}`,
      `link add ${port} type veth peer name eth0 netns ${namespace}`,
      `link set ${port} master fabric up`,
    );
  };
  for (const node of nodes) attach(node.namespace, `node${node.index}`);
  for (const [at, replica] of mic.entries()) attach(replica.namespace, `mic${at}`);
  for (const node of nodes) {
    commands.push(`netns add ${node.imdsNamespace}`);
    // The fabric answers pods, so it has to know where they are.
    commands.push(`route add ${node.podCidr} via ${node.address}`);
  }
  return commands;
}

export function nodeCommands(node: NodePlan, nodes: readonly NodePlan[]): string[] {
  return [
    "link set lo up",
    `address add ${node.address}/16 dev eth0`,
    "link set eth0 up",
    `route add default via ${FABRIC_ADDRESS}`,
    `address add ${node.podGateway}/32 dev lo`,
    ...nodes
      .filter((other) => other.name !== node.name)
      .map((other) => `route add ${other.podCidr} via ${other.address}`),
    `link add imds type veth peer name eth0 netns ${node.imdsNamespace}`,
    `address add ${node.imdsLink.node}/30 dev imds`,
    "link set imds up",
    `route add ${METADATA_IP} via ${node.imdsLink.imds}`,
  ];
}

function imdsCommands(node: NodePlan): string[] {
  return [
    "link set lo up",
    `address add ${METADATA_IP}/32 dev lo`,
    `address add ${node.imdsLink.imds}/30 dev eth0`,
    "link set eth0 up",
    `route add default via ${node.imdsLink.node}`,
  ];
}

function replicaCommands(replica: ReplicaPlan): string[] {
  return [
    "link set lo up",
    `address add ${replica.address}/16 dev eth0`,
    "link set eth0 up",
    `route add default via ${FABRIC_ADDRESS}`,
  ];
}

/** A port of the fabric's bridge: `down` loses every packet, without those behind it noticing otherwise. */
export async function setPort(port: string, state: "up" | "down"): Promise<void> {
  await run("ip", ["link", "set", port, state]);
}

/** A pod's link: an address without a network, and the gateway reached directly, so that pods share no layer 2. */
export async function plugPod(
  node: NodePlan,
  pod: { readonly namespace: string; readonly port: string; readonly address: string },
): Promise<void> {
  await run("ip", ["netns", "add", pod.namespace]);
  await runIn(node.namespace, "ip", ["-batch", "-"], {
    stdin: [
      `link add ${pod.port} type veth peer name eth0 netns ${pod.namespace}`,
      `link set ${pod.port} up`,
      `route add ${pod.address}/32 dev ${pod.port} src ${node.podGateway}`,
    ].join("\n"),
  });
  await runIn(pod.namespace, "ip", ["-batch", "-"], {
    stdin: [
      "link set lo up",
      `address add ${pod.address}/32 dev eth0`,
      "link set eth0 up",
      `route add ${node.podGateway} dev eth0 scope link`,
      `route add default via ${node.podGateway}`,
    ].join("\n"),
  });
}

/**
 * The address is free when this returns. The link goes with the namespace, in the kernel's own time: deleting it here
 * would wait for that.
 */
export async function unplugPod(
  node: NodePlan,
  pod: { readonly namespace: string; readonly address: string },
): Promise<void> {
  await runIn(node.namespace, "ip", ["route", "delete", `${pod.address}/32`]).catch(() => undefined);
  await run("ip", ["netns", "delete", pod.namespace]).catch(() => undefined);
}
