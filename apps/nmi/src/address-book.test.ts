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

beforeEach(() => {
  nowMs = 1_000_000;
  timers = [];
  confirmations = [];
  changes = 0;
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
