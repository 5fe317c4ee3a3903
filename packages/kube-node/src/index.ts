export { Cgroup } from "./cgroup.ts";
export { enclosed } from "./enclosure.ts";
export { KubeNode } from "./kube-node.ts";
export type { KubeNodeOptions } from "./kube-node.ts";
export { findNodeAssets, NODE_PROGRAMS } from "./node-assets.ts";
export type { NodeAssets } from "./node-assets.ts";
