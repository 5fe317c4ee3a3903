export { FakeIptables } from "./fake-iptables.ts";
export { buildNode, forkIn, POD, sh } from "./node-of-namespaces.ts";
