import fc from "fast-check";
import { expect, test } from "vitest";
import { parseCniEntry } from "./cni-entry.ts";

/** As libcni 1.x writes it for containerd. */
function file(o: { readonly args?: unknown; readonly result?: unknown; readonly kind?: string }): string {
  return JSON.stringify({
    kind: o.kind ?? "cniCacheV1",
    containerId: "0123",
    config: "e30=",
    ifName: "eth0",
    networkName: "azure",
    cniArgs: o.args ?? [
      ["IgnoreUnknown", "1"],
      ["K8S_POD_NAMESPACE", "default"],
      ["K8S_POD_NAME", "p"],
      ["K8S_POD_UID", "uid-p"],
    ],
    result: o.result ?? { cniVersion: "1.0.0", ips: [{ address: "10.0.0.5/24", gateway: "10.0.0.1" }] },
  });
}

test.for([
  ["one address", { ips: [{ address: "10.0.0.5/24" }] }, ["10.0.0.5"]],
  ["both families", { ips: [{ address: "10.0.0.5/24" }, { address: "FD00:0::5/64" }] }, ["10.0.0.5", "fd00::5"]],
  ["IPv4 mapped into IPv6", { ips: [{ address: "::ffff:10.0.0.5/120" }] }, ["10.0.0.5"]],
  ["before CNI 0.3", { ip4: { ip: "10.0.0.5/24" }, ip6: { ip: "fd00::5/64" } }, ["10.0.0.5", "fd00::5"]],
  ["the loopback network", { ips: [{ address: "127.0.0.1/8" }, { address: "::1/128" }] }, []],
  ["a link's own address", { ips: [{ address: "fe80::1/64" }, { address: "10.0.0.5/24" }] }, ["10.0.0.5"]],
  ["no addresses", {}, []],
  ["strange ones", { ips: [null, { address: 5 }, {}] }, []],
] as const)("%s", ([, result, addresses]) => {
  expect(parseCniEntry(file({ result }))).toEqual({ podUid: "uid-p", addresses });
});

test.for([
  ["half of a file", file({}).slice(0, 60)],
  ["an empty file", ""],
  ["the format before libcni 0.8", JSON.stringify({ cniVersion: "0.3.1", ips: [] })],
  ["a foreign kind", file({ kind: "cniCacheV2" })],
  ["no UID: a runtime that passes none", file({ args: [["K8S_POD_NAME", "p"]] })],
  ["an empty UID", file({ args: [["K8S_POD_UID", ""]] })],
  ["arguments of another shape", file({ args: { K8S_POD_UID: "u" } })],
  ["null", "null"],
] as const)("%s is no entry", ([, text]) => {
  expect(parseCniEntry(text)).toBeUndefined();
});

test("nothing makes it throw", () => {
  fc.assert(
    fc.property(fc.anything(), fc.anything(), (args, result) => {
      parseCniEntry(JSON.stringify({ kind: "cniCacheV1", cniArgs: args, result }) ?? "");
    }),
  );
});
