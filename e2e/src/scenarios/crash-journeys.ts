import { deepEqual } from "node:assert/strict";
import { instance, resourceId, vm } from "./fixtures.ts";
import type { Machine } from "./fixtures.ts";
import type { MicCluster } from "./mic-cluster.ts";

/** What happens to a cluster while MIC dies. */
export interface Journey {
  readonly name: string;
  /** What is there before; MIC has settled on it when the journey begins. */
  prepare(c: MicCluster): Promise<void>;
  /** Assigned identities when MIC has settled. */
  readonly before: Readonly<Record<string, string>>;
  travel(c: MicCluster): Promise<void>;
  readonly after: Readonly<Record<string, string>>;
  /** Identities on the VM and on the scale set at the end, besides {@link FOREIGN}. */
  readonly holds: { readonly vm: readonly string[]; readonly set: readonly string[] };
}

export const NODES = { vm: vm("vm"), "set-0": instance("set", 0), "set-1": instance("set", 1) } as const;
/** On every machine before MIC came, and used by a pod as well: not MIC's to detach. */
export const FOREIGN = "foreign";

const assigned = (...names: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.map((name) => [name, "Assigned"]));

async function machines(c: MicCluster): Promise<void> {
  c.azureIdentity(FOREIGN);
  for (const [name, machine] of Object.entries(NODES)) {
    await c.node(name, machine);
    if (!c.held(machine).includes(FOREIGN)) c.azure.state.attach(machine.id, resourceId(FOREIGN));
  }
}

async function served(c: MicCluster, pod: string, node: keyof typeof NODES, identity: string): Promise<void> {
  if ((await c.find("azureIdentities", identity)) === undefined) {
    await c.identity(identity);
    await c.binding(identity, identity, identity);
  }
  await c.pod(pod, node, identity);
}

export const JOURNEYS: readonly Journey[] = [
  {
    name: "assign",
    prepare: async (c) => {
      await machines(c);
      await served(c, "old", "set-0", "x");
    },
    before: assigned("old-default-x"),
    travel: async (c) => {
      await served(c, "new", "set-1", "y");
      await served(c, "theirs", "set-0", FOREIGN);
    },
    after: assigned("old-default-x", "new-default-y", "theirs-default-foreign"),
    holds: { vm: [], set: ["x", "y"] },
  },
  {
    name: "edit",
    prepare: async (c) => {
      await machines(c);
      await served(c, "pod", "vm", "x");
      await served(c, "also", "set-0", "x");
    },
    before: assigned("pod-default-x", "also-default-x"),
    travel: async (c) => {
      c.azureIdentity("edited");
      const spec = { resourceID: resourceId("edited"), clientID: "client-edited" };
      await c.merge("azureIdentities", "x", { spec });
    },
    after: assigned("pod-default-x", "also-default-x"),
    holds: { vm: ["edited"], set: ["edited"] },
  },
  {
    name: "delete",
    prepare: async (c) => {
      await machines(c);
      await served(c, "stays", "vm", "x");
      await served(c, "goes", "vm", "y");
      await served(c, "theirs", "vm", FOREIGN);
    },
    before: assigned("stays-default-x", "goes-default-y", "theirs-default-foreign"),
    travel: async (c) => {
      await c.delete("pods", "goes");
      await c.delete("pods", "theirs");
    },
    after: assigned("stays-default-x"),
    holds: { vm: ["x"], set: [] },
  },
  {
    name: "node gone",
    prepare: async (c) => {
      await machines(c);
      await served(c, "on-0", "set-0", "x");
      await served(c, "on-1", "set-1", "x");
      await served(c, "own", "set-1", "y");
    },
    before: assigned("on-0-default-x", "on-1-default-x", "own-default-y"),
    travel: (c) => c.delete("nodes", "set-1"),
    after: assigned("on-0-default-x"),
    holds: { vm: [], set: ["x"] },
  },
  {
    name: "two pods shared it",
    prepare: async (c) => {
      await machines(c);
      await served(c, "one", "set-0", "x");
      await served(c, "two", "set-1", "x");
    },
    before: assigned("one-default-x", "two-default-x"),
    travel: async (c) => {
      await c.delete("pods", "one");
      await c.delete("pods", "two");
      await served(c, "three", "set-1", "y");
    },
    after: assigned("three-default-y"),
    holds: { vm: [], set: ["y"] },
  },
];

/** All that a crash may not change: objects, what the machines hold, and what MIC says it attached. */
export async function stateOf(c: MicCluster): Promise<object> {
  const objects = (await c.assigned()).map(({ metadata, spec, status }) => ({
    name: metadata.name,
    status: status?.status,
    identity: spec.azureIdentityRef?.spec?.resourceID,
    node: spec.nodename,
    finalizers: metadata.finalizers,
    deleting: metadata.deletionTimestamp !== undefined,
  }));
  const held = Object.values<Machine>(NODES).map((machine) => c.held(machine));
  const ledgers = Object.entries(await c.ledgers()).filter(([, entries]) => entries.length > 0);
  return {
    objects: objects.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    held,
    ledgers: Object.fromEntries(ledgers),
  };
}

/** Waits until MIC has done what the journey asks for, and nothing is under way any more. */
export async function arrival(c: MicCluster, { after, holds }: Journey, timeout?: number): Promise<void> {
  await c.eventually(async () => {
    deepEqual(await c.statuses(), after);
    deepEqual(c.held(NODES.vm), [FOREIGN, ...holds.vm].toSorted());
    deepEqual(c.held(NODES["set-0"]), [FOREIGN, ...holds.set].toSorted());
  }, timeout);
  await settled(c);
}

/** ARM has nothing to do, and the ledgers say so. */
export function settled(c: MicCluster): Promise<void> {
  return c.eventually(async () => {
    const entries = Object.values(await c.ledgers()).flat();
    deepEqual(
      entries.filter((entry) => !entry.endsWith(" attached")),
      [],
    );
  });
}
