import fc from "fast-check";
import { expect, test } from "vitest";
import { resourceId, vmProviderId } from "../test/cluster.ts";
import { Simulation } from "../test/simulation.ts";

// Random bad objects among good ones: whatever they are, the good ones end as they would have ended alone.

const nonsense = fc.oneof(
  fc.constantFrom(
    "",
    "x",
    "/subscriptions//resourceGroups/rg",
    resourceId(""),
    `${resourceId("x")}/more`,
    "İ",
    5,
    null,
    [],
    {},
  ),
  fc.string({ maxLength: 12 }),
);
const long = fc.constantFrom("n".repeat(64), "p".repeat(253), `${"n".repeat(40)}.${"m".repeat(40)}`);
const name = fc.oneof(fc.constantFrom("bad", "bad", "bad", "worse", "a-default"), long);
const namespace = fc.constantFrom("default", "default", "other");
/** Labels and selectors, those of the good pods in wrong spellings among them. */
const selector = fc.oneof(
  { weight: 4, arbitrary: fc.constant("bad") },
  { weight: 2, arbitrary: fc.constantFrom("A", " a", "B ", "İ", "") },
  nonsense,
);

const identity = fc.record({
  metadata: fc.record({ name, namespace, uid: fc.string(), annotations: fc.oneof(fc.constant(undefined), nonsense) }),
  spec: fc.oneof(
    fc.record({
      type: fc.constantFrom(0, 0, 0, 1, 2, 3, 7, "0", null),
      resourceID: fc.oneof(fc.constantFrom(resourceId("vanished"), resourceId("GONE")), nonsense),
      clientID: nonsense,
      serviceAccounts: fc.oneof(fc.constant(undefined), nonsense, fc.array(nonsense, { maxLength: 2 })),
    }),
    nonsense,
  ),
});
const pools = fc.constantFrom(undefined, "*", "none", " , ", "pool,*");
const binding = fc.record({
  metadata: fc.record({
    name,
    namespace,
    annotations: pools.map((value) => (value === undefined ? {} : { "podid.dev/pre-assign": value })),
  }),
  spec: fc.oneof(fc.record({ azureIdentity: fc.oneof(name, nonsense), selector, weight: nonsense }), nonsense),
});
const providerID = fc.oneof(nonsense, fc.constantFrom("kind://x", "azure://", vmProviderId("")));
const node = fc.record({
  metadata: fc.record({ name, labels: nonsense }),
  spec: fc.oneof(fc.record({ providerID }), nonsense),
});
const pod = fc.record({
  metadata: fc.record({
    name,
    namespace,
    uid: fc.uuid(),
    labels: fc.oneof(fc.record({ aadpodidbinding: selector }), nonsense),
  }),
  spec: fc.oneof(
    fc.record({
      nodeName: fc.oneof(name, fc.constantFrom("node-0", "node-1", "nowhere"), nonsense),
      hostNetwork: nonsense,
      readinessGates: nonsense,
    }),
    nonsense,
  ),
  status: fc.oneof(fc.record({ phase: nonsense, conditions: nonsense }), nonsense),
});

type Raw = readonly ["identity" | "binding" | "node" | "pod", object];

/** An identity that comes to nothing, its binding, and a pod that waits for it on a good node or on an odd one. */
const trio: fc.Arbitrary<Raw[]> = fc
  .record({
    name,
    resourceID: fc.constantFrom(resourceId("vanished"), resourceId("GONE"), resourceId("x"), "nonsense"),
    clientID: fc.constantFrom("", "client-x", "other"),
    type: fc.constantFrom(0, 0, 0, 1, 3),
    nodeName: fc.constantFrom("node-0", "node-1", "odd", "nowhere"),
    pools: fc.constantFrom(undefined, "*", "none"),
    label: fc.constantFrom("bad", "bad", "Bad"),
    uid: fc.uuid(),
  })
  .map(({ name: given, resourceID, clientID, type, nodeName, pools: preAssign, label, uid }) => {
    const metadata = { namespace: "default", name: given, uid };
    const annotations = preAssign === undefined ? {} : { "podid.dev/pre-assign": preAssign };
    return [
      ["identity", { metadata, spec: { type, resourceID, clientID } }],
      ["binding", { metadata: { ...metadata, annotations }, spec: { azureIdentity: given, selector: "bad" } }],
      ["pod", { metadata: { ...metadata, labels: { aadpodidbinding: label } }, spec: { nodeName } }],
      ["node", { metadata: { name: "odd" }, spec: { providerID: "kind://odd" } }],
    ];
  });

const wild: fc.Arbitrary<Raw[]> = fc
  .oneof(
    identity.map((object): Raw => ["identity", object]),
    binding.map((object): Raw => ["binding", object]),
    node.map((object): Raw => ["node", object]),
    pod.map((object): Raw => ["pod", object]),
  )
  .map((object) => [object]);

const bad = fc.array(fc.oneof(trio, wild), { minLength: 1, maxLength: 5 }).map((lists) => lists.flat());

function good(): Simulation {
  const simulation = new Simulation();
  simulation.arm.known = new Set(["x", "y"].map((resource) => resourceId(resource).toLowerCase()));
  simulation.identity("a", "x");
  simulation.identity("b", "y");
  simulation.pod("pod-a", 0, "a");
  simulation.pod("pod-b", 1, "b");
  return simulation;
}

async function ending(simulation: Simulation): Promise<unknown> {
  await simulation.run();
  const { statuses, held, verdicts } = simulation;
  return {
    statuses: ["pod-a-default-a", "pod-b-default-b"].map((key) => statuses[key]),
    held: held.filter((found) => found === "x" || found === "y"),
    verdicts: ["a", "b"].map((key) => [
      verdicts[`AzureIdentity default/${key}`],
      verdicts[`AzureIdentityBinding default/${key}`],
    ]),
  };
}

test("law: bad objects change nothing for good ones, and every object has a verdict", async () => {
  const alone = await ending(good());
  await fc.assert(
    fc.asyncProperty(bad, async (objects) => {
      const simulation = good();
      for (const [kind, object] of objects) simulation.raw(kind, object);
      expect(await ending(simulation)).toEqual(alone);
      for (const verdict of Object.values(simulation.verdicts)) expect(verdict).toMatch(/^(True|False) [A-Za-z]+$/);
    }),
    { numRuns: 300 },
  );
});

test("law: bad objects that go leave nothing behind", async () => {
  await fc.assert(
    fc.asyncProperty(bad, async (objects) => {
      const simulation = good();
      for (const [kind, object] of objects) simulation.raw(kind, object);
      await simulation.run();
      simulation.forgetOddities();
      await simulation.run();
      expect(Object.keys(simulation.statuses).sort()).toEqual(["pod-a-default-a", "pod-b-default-b"]);
      expect(simulation.held).toEqual(["x", "y"]);
    }),
    { numRuns: 100 },
  );
});
