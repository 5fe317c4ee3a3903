import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Killed, Simulation } from "../test/simulation.ts";

/** What can happen to a cluster between two looks. */
type Act = (simulation: Simulation) => void;

const NAMES = ["a", "b", "c"] as const;
const name = fc.constantFrom(...NAMES);
const node = fc.constantFrom(0 as const, 1 as const);

const act: fc.Arbitrary<{ readonly text: string; readonly act: Act }> = fc.oneof(
  fc.tuple(name, node, name, fc.nat({ max: 2 })).map(([pod, where, selector, life]) => ({
    text: `pod ${pod} (${life}) on ${where} for ${selector}`,
    act: (s: Simulation) => s.pod(`pod-${pod}`, where, selector, `uid-${pod}-${life}`),
  })),
  name.map((pod) => ({ text: `delete pod ${pod}`, act: (s: Simulation) => s.deletePod(`pod-${pod}`) })),
  fc.tuple(name, fc.constantFrom("x", "y", "z", "foreign", "kept")).map(([identity, resource]) => ({
    text: `identity ${identity} is ${resource}`,
    act: (s: Simulation) => s.identity(identity, resource),
  })),
  name.map((binding) => ({ text: `delete binding ${binding}`, act: (s: Simulation) => s.deleteBinding(binding) })),
  fc.tuple(name, name).map(([pod, identity]) => ({
    text: `kubectl delete object of ${pod} and ${identity}`,
    act: (s: Simulation) => s.deleteObject(`default/pod-${pod}-default-${identity}`),
  })),
  fc.tuple(name, fc.boolean()).map(([binding, on]) => ({
    text: `binding ${binding} is ${on ? "" : "not "}pre-assigned`,
    act: (s: Simulation) => s.preAssign(binding, on),
  })),
  fc.constant({
    text: "somebody takes x away",
    act: (s: Simulation) => void s.arm.machine(s.group).identities.delete(keyOf(s, "x")),
  }),
);

function keyOf(simulation: Simulation, resource: string): string {
  return (
    [...simulation.arm.machine(simulation.group).identities.keys()].find((key) => key.endsWith(`/${resource}`)) ?? ""
  );
}

function cluster(): Simulation {
  const simulation = new Simulation(["client-kept"]);
  const id =
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/foreign";
  simulation.arm.attach(simulation.group, id);
  simulation.arm.machine(simulation.group).type = "SystemAssigned, UserAssigned";
  for (const identity of NAMES) simulation.identity(identity, identity === "a" ? "x" : "y");
  return simulation;
}

/** What a controller must have reached, whatever happened before. */
async function isConverged(simulation: Simulation): Promise<void> {
  await simulation.run();
  expect(Object.values(simulation.statuses).filter((status) => status !== "Assigned")).toEqual([]);
  expect(simulation.arm.machine(simulation.group).type).toContain("SystemAssigned");
  expect(simulation.held).toContain("foreign");
  const { writes } = simulation;
  await simulation.run();
  expect(simulation.writes).toBe(writes);
}

describe("convergence", () => {
  test("from any sequence of events every pod is served, nothing of ours is left over, and a second look writes nothing", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(act, { minLength: 1, maxLength: 4 }), { maxLength: 5 }), async (batches) => {
        const simulation = cluster();
        for (const batch of batches) {
          for (const { act: apply } of batch) apply(simulation);
          await simulation.run();
        }
        await isConverged(simulation);
        const others = (resource: string): boolean => resource !== "foreign" && resource !== "kept";
        expect(simulation.held.filter(others)).toEqual(simulation.needed.filter(others));
      }),
      { numRuns: 150 },
    );
  });

  test("killed at any write, the next start ends where it would have ended without", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(act, { minLength: 1, maxLength: 8 }),
        fc.array(fc.nat({ max: 12 }), { minLength: 1, maxLength: 3 }),
        async (acts, lifetimes) => {
          const [smooth, rough] = [cluster(), cluster()];
          for (const simulation of [smooth, rough]) {
            simulation.pod("pod-a", 0, "a");
            simulation.pod("pod-b", 1, "b");
            await simulation.run();
            for (const { act: apply } of acts) apply(simulation);
          }
          for (const lifetime of lifetimes) {
            rough.lifetime = lifetime;
            try {
              await rough.run();
            } catch (error) {
              if (!(error instanceof Killed)) throw error;
            }
          }
          rough.lifetime = undefined;
          await isConverged(rough);
          await isConverged(smooth);
          expect([rough.statuses, rough.held]).toEqual([smooth.statuses, smooth.held]);
        },
      ),
      { numRuns: 150 },
    );
  });

  test("one assignment is killed at each of its writes in turn", async () => {
    const whole = cluster();
    whole.pod("pod-a", 0, "a");
    await whole.run();
    whole.deletePod("pod-a");
    await whole.run();
    for (let step = 0; step <= whole.writes; step += 1) {
      const simulation = cluster();
      simulation.pod("pod-a", 0, "a");
      const halves = [() => {}, () => simulation.deletePod("pod-a")];
      simulation.lifetime = step;
      for (const half of halves) {
        half();
        await simulation.run().catch((error: unknown) => {
          if (!(error instanceof Killed)) throw error;
          simulation.lifetime = undefined;
          return simulation.run();
        });
      }
      expect([simulation.statuses, simulation.held]).toEqual([{}, ["foreign"]]);
    }
    // Object, intent, PATCH, its name, record, status; status, intent, PATCH, its name, record, deletion, finalizer.
    expect(whole.writes).toBe(13);
  });

  test("the Lease in doubt for a moment, after each of its writes in turn, leaves nothing for the next look", async () => {
    for (let step = 0; step <= 13; step += 1) {
      const simulation = cluster();
      for (const half of [() => simulation.pod("pod-a", 0, "a"), () => simulation.deletePod("pod-a")]) {
        half();
        simulation.fencedAfter = step;
        await simulation.run();
        const { writes } = simulation;
        simulation.fencedAfter = undefined;
        await simulation.run();
        expect([step, simulation.writes]).toEqual([step, writes]);
      }
      expect([simulation.statuses, simulation.held]).toEqual([{}, ["foreign"]]);
    }
  });

  test("a node that goes takes its objects and what only it used", async () => {
    const simulation = cluster();
    simulation.pod("pod-a", 0, "a");
    simulation.pod("pod-b", 1, "b");
    await simulation.run();
    expect(simulation.held).toEqual(["foreign", "x", "y"]);
    simulation.deleteNode(1);
    await isConverged(simulation);
    expect([simulation.statuses, simulation.held]).toEqual([{ "pod-a-default-a": "Assigned" }, ["foreign", "x"]]);
    simulation.deleteNode(0);
    await isConverged(simulation);
    expect([simulation.statuses, simulation.held]).toEqual([{}, ["foreign"]]);
  });
});
