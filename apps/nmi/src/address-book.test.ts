import type { KubeObject } from "@podid/kube";
import { beforeEach, describe, expect, test } from "vitest";
import { AddressBook } from "./address-book.ts";
import { nodePod } from "./node-pod.ts";
import type { NodePod } from "./node-pod.ts";

const ADDRESS = "10.0.0.5";
let nowMs: number;
let timers: (() => void)[];
let confirmations: { pod: string; answer: (yes: boolean) => void }[];
let changes: number;
let book: AddressBook;
let doubts: string[];
/** What the container runtime has on record; undefined: nothing at all. */
let records: Record<string, readonly string[]> | undefined;

beforeEach(() => {
  nowMs = 1_000_000;
  timers = [];
  confirmations = [];
  changes = 0;
  doubts = [];
  records = undefined;
  book = new AddressBook({
    clock: {
      wallMs: () => nowMs,
      monotonicMs: () => nowMs,
      setTimeout: (run) => {
        timers.push(run);
        return { cancel: () => undefined };
      },
    },
    confirm: (pod) => new Promise((resolve) => confirmations.push({ pod: pod.record.name, answer: resolve })),
    changed: () => void changes++,
    inDoubt: (address) => doubts.push(address),
    records: { podOf: (address) => records && { uids: records[address] ?? [] } },
    isNodeAddress: (address) => address === "10.1.0.4",
  });
});

function pod(
  name: string,
  o: {
    addresses?: readonly string[];
    phase?: string;
    deletedAt?: number;
    hostNetwork?: boolean;
    terminated?: boolean;
  } = {},
): NodePod {
  const object: KubeObject = {
    metadata: {
      namespace: "default",
      name,
      uid: `uid-${name}`,
      ...(o.deletedAt === undefined ? {} : { deletionTimestamp: new Date(o.deletedAt).toISOString() }),
    },
    spec: { nodeName: "node", hostNetwork: o.hostNetwork ?? false },
    status: {
      phase: o.phase ?? "Running",
      podIPs: (o.addresses ?? [ADDRESS]).map((ip) => ({ ip })),
      containerStatuses: [{ state: o.terminated ? { terminated: {} } : { running: {} } }],
    },
  };
  const result = nodePod(object);
  if (result === undefined) throw new Error("no pod");
  return result;
}

describe("one pod", () => {
  test.for([
    ["IPv4", ["10.0.0.5"], "10.0.0.5", "pod"],
    ["the second of two", ["10.0.0.9", "fd00::5"], "fd00::5", "pod"],
    ["IPv6 in another spelling", ["FD00:0:0::5"], "fd00::5", "pod"],
    ["IPv4 mapped into IPv6", ["::ffff:10.0.0.5"], "10.0.0.5", "pod"],
    ["another address", ["10.0.0.6"], "10.0.0.5", "unknown"],
    ["the node itself", [], "127.0.0.1", "denied"],
    ["the node by its address", [], "10.1.0.4", "denied"],
  ] as const)("%s", ([, addresses, asked, kind]) => {
    book.upsert(pod("p", { addresses }), undefined);
    expect(book.owner(asked).kind).toBe(kind);
  });

  test.for([
    ["S68 succeeded", { phase: "Succeeded" }, "unknown"],
    ["failed", { phase: "Failed" }, "unknown"],
    ["pending: init containers run", { phase: "Pending" }, "pod"],
    ["terminating, within its grace period", { deletedAt: 1_010_000 }, "pod"],
    ["terminating, all containers ended", { deletedAt: 1_010_000, terminated: true }, "unknown"],
    ["all containers ended for a moment, not terminating", { terminated: true }, "pod"],
    ["grace period over", { deletedAt: 990_000 }, "unknown"],
    ["in the node's network", { hostNetwork: true }, "denied"],
  ] as const)("%s is %s", ([, options, kind]) => {
    book.upsert(pod("p", options), undefined);
    expect(book.owner(ADDRESS).kind).toBe(kind);
  });

  test("one that loses its address owns it no more", () => {
    const before = pod("p");
    book.upsert(before, undefined);
    book.upsert(pod("p", { addresses: ["10.0.0.6"] }), before);
    expect([book.owner(ADDRESS).kind, book.owner("10.0.0.6").kind]).toEqual(["unknown", "pod"]);
  });
});

describe("two pods", () => {
  test("both alive: nobody's", () => {
    book.upsert(pod("p"), undefined);
    book.upsert(pod("q"), undefined);
    expect(book.owner(ADDRESS)).toEqual({
      kind: "ambiguous",
      message: `the address ${ADDRESS} belongs to several pods: default/p, default/q`,
    });
  });

  test("a node-network pod with the same address does not count", () => {
    book.upsert(pod("h", { hostNetwork: true }), undefined);
    book.upsert(pod("p"), undefined);
    expect(book.owner(ADDRESS)).toEqual({ kind: "pod", uid: "uid-p" });
  });

  test("reused within a minute: confirmed by a live read first, once", async () => {
    const old = pod("p");
    book.upsert(old, undefined);
    book.owner(ADDRESS);
    book.delete(old);
    book.upsert(pod("q"), undefined);
    nowMs += 30_000;
    expect([book.owner(ADDRESS).kind, book.owner(ADDRESS).kind]).toEqual(["ambiguous", "ambiguous"]);
    expect(confirmations.map(({ pod: name }) => name)).toEqual(["q"]);
    confirmations[0]?.answer(true);
    await expect.poll(() => changes).toBe(1);
    expect(book.owner(ADDRESS)).toEqual({ kind: "pod", uid: "uid-q" });
    expect(confirmations).toHaveLength(1);
  });

  test("not confirmed: asked again a second later", async () => {
    const old = pod("p");
    book.upsert(old, undefined);
    book.delete(old);
    book.upsert(pod("q"), undefined);
    book.owner(ADDRESS);
    confirmations[0]?.answer(false);
    await expect.poll(() => timers.length).toBe(1);
    expect(book.owner(ADDRESS).kind).toBe("ambiguous");
    expect(confirmations).toHaveLength(1);
    nowMs += 1_000;
    book.owner(ADDRESS);
    expect(confirmations).toHaveLength(2);
  });

  test("reused after a minute: as any other", () => {
    const old = pod("p");
    book.upsert(old, undefined);
    book.delete(old);
    nowMs += 60_000;
    book.upsert(pod("q"), undefined);
    expect(book.owner(ADDRESS)).toEqual({ kind: "pod", uid: "uid-q" });
  });

  test("the former owner has merely ended and is still listed: confirmed as well", () => {
    const old = pod("p");
    book.upsert(old, undefined);
    book.owner(ADDRESS);
    book.upsert(pod("p", { phase: "Succeeded" }), old);
    book.upsert(pod("q"), undefined);
    expect(book.owner(ADDRESS).kind).toBe("ambiguous");
    expect(confirmations).toHaveLength(1);
  });
});

describe("the container runtime's record", () => {
  const OTHER = "10.0.0.9";

  /** Another pod on which both agree, so that the record is known to be alive. */
  function proven(more: Record<string, readonly string[]>): void {
    records = { [OTHER]: ["uid-other"], ...more };
    book.upsert(pod("other", { addresses: [OTHER] }), undefined);
    expect(book.owner(OTHER).kind).toBe("pod");
  }

  test("agrees: served, and a reused address needs no live read", () => {
    const old = pod("p");
    book.upsert(old, undefined);
    book.owner(ADDRESS);
    book.delete(old);
    book.upsert(pod("q"), undefined);
    records = { [ADDRESS]: ["uid-q"] };
    expect(book.owner(ADDRESS)).toEqual({ kind: "pod", uid: "uid-q" });
    expect(confirmations).toEqual([]);
  });

  test("knows the address before the API server does: served", () => {
    proven({ [ADDRESS]: ["uid-p"] });
    book.upsert(pod("p", { addresses: [], phase: "Pending" }), undefined);
    expect(book.owner(ADDRESS)).toEqual({ kind: "pod", uid: "uid-p" });
  });

  test.for([
    ["names the new pod while the old one is still listed", ["uid-q"], { q: { addresses: [] }, p: {} }],
    ["names the old pod while the new one is listed", ["uid-p"], { p: { phase: "Succeeded" }, q: {} }],
    ["names a pod whose address is another one by now", ["uid-p"], { p: { addresses: ["10.0.0.6"] } }],
    ["names nobody, though a pod is listed", [], { p: {} }],
    ["names two pods", ["uid-p", "uid-q"], { p: {}, q: { addresses: [] } }],
    ["names a pod that the API server has not announced", ["uid-new"], { p: {} }],
  ] as const)("%s: nobody's until they agree", ([, uids, pods]) => {
    proven({ [ADDRESS]: uids });
    for (const [name, options] of Object.entries(pods)) book.upsert(pod(name, options), undefined);
    expect(book.owner(ADDRESS).kind).toBe("ambiguous");
  });

  test("names a pod that is not known here or has ended: as an unknown address", () => {
    proven({ [ADDRESS]: ["uid-new"], "10.0.0.7": ["uid-done"] });
    book.upsert(pod("done", { addresses: ["10.0.0.7"], phase: "Failed" }), undefined);
    expect([book.owner(ADDRESS).kind, book.owner("10.0.0.7").kind]).toEqual(["unknown", "unknown"]);
  });

  test("left over from another runtime, never agreed with anything: does not count", () => {
    records = { [OTHER]: ["uid-long-gone"], [ADDRESS]: ["uid-gone-too"] };
    book.upsert(pod("p"), undefined);
    expect(book.owner(ADDRESS)).toEqual({ kind: "pod", uid: "uid-p" });
    book.upsert(pod("q", { addresses: ["10.0.0.7"] }), undefined);
    expect(book.owner("10.0.0.7")).toEqual({ kind: "pod", uid: "uid-q" });
  });
});

describe("connections from before", () => {
  test("are in doubt when a second pod claims the address, and when the first one is gone", () => {
    const first = pod("p");
    book.upsert(first, undefined);
    expect(doubts).toEqual([]);
    book.upsert(pod("q"), undefined);
    expect(doubts).toEqual([ADDRESS]);
    book.delete(first);
    expect(doubts).toEqual([ADDRESS, ADDRESS]);
  });

  test("are the next owner's where the record names it already", () => {
    records = { [ADDRESS]: ["uid-p"] };
    const first = pod("p");
    book.upsert(first, undefined);
    book.owner(ADDRESS);
    records = { [ADDRESS]: ["uid-q"] };
    book.upsert(pod("q"), undefined);
    book.delete(first);
    expect(doubts).toEqual([]);
    records = { [ADDRESS]: ["uid-q"] };
    book.delete(pod("q"));
    expect(doubts).toEqual([ADDRESS]);
  });

  test("are left alone by updates of the same pod", () => {
    const first = pod("p");
    book.upsert(first, undefined);
    book.upsert(pod("p", { phase: "Succeeded" }), first);
    expect(doubts).toEqual([]);
  });
});
