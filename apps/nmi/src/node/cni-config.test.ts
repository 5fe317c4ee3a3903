import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findSharedLayer2 } from "./cni-config.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "net.d-"));
});
afterEach(() => rm(directory, { recursive: true }));

/** What AKS's kubenet nodes have in 10-containerd-net.conflist. */
const KUBENET = {
  cniVersion: "0.3.1",
  name: "kubenet",
  plugins: [
    { type: "bridge", bridge: "cbr0", mtu: 1500, isGateway: true, promiscMode: true, ipam: { type: "host-local" } },
    { type: "portmap", capabilities: { portMappings: true } },
  ],
};
const AZURE = { cniVersion: "0.3.0", name: "azure", plugins: [{ type: "azure-vnet", mode: "transparent" }] };
const CILIUM = { cniVersion: "0.3.1", name: "cilium", plugins: [{ type: "cilium-cni" }] };

test.for([
  ["S76 kubenet", { "10-containerd-net.conflist": KUBENET }, "kubenet"],
  [
    "S76 kubenet's bridge under another name",
    { "10-net.conf": { name: "n", type: "bridge", bridge: "cbr0" } },
    "kubenet",
  ],
  ["S76 Azure CNI", { "10-azure.conflist": AZURE }, "none"],
  [
    "S76 Cilium, which moves the others aside",
    { "05-cilium.conflist": CILIUM, "10-azure.conflist.cilium_bak": KUBENET },
    "none",
  ],
  [
    "S76 the first file by name is the node's network",
    { "05-cilium.conflist": CILIUM, "10-net.conflist": KUBENET },
    "none",
  ],
  ["S76 a file that cannot be read is passed over", { "00-broken.conf": "{", "10-net.conflist": KUBENET }, "kubenet"],
  ["S76 any other bridge", { "10-bridge.conf": { name: "b", type: "bridge", bridge: "cni0" } }, "bridge"],
  [
    "S76 flannel, which hangs pods on a bridge",
    { "10-flannel.conflist": { name: "f", plugins: [{ type: "flannel" }] } },
    "bridge",
  ],
  ["S76 point to point", { "10-ptp.conf": { name: "p", type: "ptp" } }, "none"],
  ["S76 no file", {}, "none"],
] as const)("%s", async ([, files, kind]) => {
  for (const [name, content] of Object.entries(files))
    await writeFile(join(directory, name), typeof content === "string" ? content : JSON.stringify(content));
  expect((await findSharedLayer2(directory)).kind).toBe(kind);
});

test("S76 an absent directory says nothing", async () => {
  expect(await findSharedLayer2(join(directory, "absent"))).toEqual({ kind: "none" });
});
