import fc from "fast-check";
import { expect, test } from "vitest";
import { assignmentKey, sameAssignment } from "./assignment.ts";
import type { MatchDelta } from "./delta.ts";
import { NAMESPACED, binding, identity, pod } from "./fixtures.ts";
import { match } from "./match.ts";
import { Matcher } from "./matcher.ts";
import type { Assignment, BindingRecord, IdentityRecord, PodRecord } from "./records.ts";

// Few names and values, so that everything collides with everything.
const namespaces = fc.constantFrom("a", "b", "a-b");
const names = fc.constantFrom("x", "y");
const labels = fc.constantFrom("s", "s", "s", "t", "t", "S", "");
const paths = fc.tuple(namespaces, names).map((path) => path.join("/"));

const pods = fc
  .record({
    path: paths,
    label: fc.option(labels, { nil: undefined, freq: 8 }),
    nodeName: fc.constantFrom("n1", "n1", "n2", "n2", undefined),
    phase: fc.constantFrom("Running", "Running", "Running", "Pending", "Succeeded", "Failed", undefined),
    hostNetwork: fc.constantFrom(false, false, false, false, false, true),
    deleting: fc.boolean(),
    serviceAccountName: fc.constantFrom("default", "default", "other"),
  })
  .map(({ path, label, ...more }) => pod(path, label, more));

const bindings = fc
  .record({
    path: paths,
    azureIdentity: fc.constantFrom("x", "x", "x", "y", "y", ""),
    selector: labels,
    weight: fc.integer({ min: -1, max: 1 }),
    uid: fc.constantFrom("u1", "u2"),
  })
  .map(({ path, azureIdentity, selector, ...more }) => binding(path, azureIdentity, selector, more));

const identities = fc
  .record({
    path: paths,
    uid: fc.constantFrom("u1", "u2"),
    resourceVersion: fc.constantFrom("1", "2"),
    annotations: fc.constantFrom({}, {}, NAMESPACED),
    spec: fc.constantFrom(
      {},
      {},
      {},
      { clientID: "other" },
      { serviceAccounts: ["default"] },
      { resourceID: "?" },
      { type: 1 },
    ),
  })
  .map(({ path, ...more }) => identity(path, more));

type Event =
  | { readonly do: "upsertPod"; readonly record: PodRecord }
  | { readonly do: "deletePod"; readonly uid: string }
  | { readonly do: "upsertBinding"; readonly record: BindingRecord }
  | { readonly do: "deleteBinding"; readonly path: string }
  | { readonly do: "upsertIdentity"; readonly record: IdentityRecord }
  | { readonly do: "deleteIdentity"; readonly path: string };

const anyEvents: fc.Arbitrary<Event[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: pods.map((record): Event => ({ do: "upsertPod", record })) },
    { weight: 1, arbitrary: paths.map((path): Event => ({ do: "deletePod", uid: `uid-${path}` })) },
    { weight: 3, arbitrary: bindings.map((record): Event => ({ do: "upsertBinding", record })) },
    { weight: 1, arbitrary: paths.map((path): Event => ({ do: "deleteBinding", path })) },
    { weight: 3, arbitrary: identities.map((record): Event => ({ do: "upsertIdentity", record })) },
    { weight: 1, arbitrary: paths.map((path): Event => ({ do: "deleteIdentity", path })) },
  ),
  { minLength: 10, maxLength: 50, size: "max" },
);

/** A cluster where everything fits, of which each sequence begins with a part: else most would have nothing to take away. */
const WHOLE: readonly Event[] = ["a/x", "a/y", "b/x", "b/y", "a-b/x", "a-b/y"].flatMap((path): Event[] => [
  { do: "upsertPod", record: pod(path, "s") },
  { do: "upsertBinding", record: binding(path, path.endsWith("x") ? "x" : "y", "s") },
  { do: "upsertIdentity", record: identity(path) },
]);

const events = fc.tuple(fc.shuffledSubarray([...WHOLE]), anyEvents).map((parts) => parts.flat());

/** The objects that exist after some events. */
class World {
  readonly pods = new Map<string, PodRecord>();
  readonly bindings = new Map<string, BindingRecord>();
  readonly identities = new Map<string, IdentityRecord>();

  apply(event: Event): void {
    switch (event.do) {
      case "upsertPod":
        this.pods.set(event.record.uid, event.record);
        return;
      case "deletePod":
        this.pods.delete(event.uid);
        return;
      case "upsertBinding":
        this.bindings.set(pathOf(event.record), event.record);
        return;
      case "deleteBinding":
        this.bindings.delete(event.path);
        return;
      case "upsertIdentity":
        this.identities.set(pathOf(event.record), event.record);
        return;
      case "deleteIdentity":
        this.identities.delete(event.path);
    }
  }

  get snapshot() {
    return { pods: this.pods.values(), bindings: this.bindings.values(), identities: this.identities.values() };
  }
}

function pathOf({ namespace, name }: { namespace: string; name: string }): string {
  return `${namespace}/${name}`;
}

function feed(matcher: Matcher, event: Event): MatchDelta {
  const [namespace = "", name = ""] = "path" in event ? event.path.split("/") : [];
  switch (event.do) {
    case "upsertPod":
      return matcher.upsertPod(event.record);
    case "deletePod":
      return matcher.deletePod(event.uid);
    case "upsertBinding":
      return matcher.upsertBinding(event.record);
    case "deleteBinding":
      return matcher.deleteBinding(namespace, name);
    case "upsertIdentity":
      return matcher.upsertIdentity(event.record);
    case "deleteIdentity":
      return matcher.deleteIdentity(namespace, name);
  }
}

function sorted(assignments: Iterable<Assignment>): Assignment[] {
  return [...assignments].toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

/** The rules once more, as plainly as they can be told: every pod against every binding. */
function byTheBook(world: World, forceNamespaced: boolean): Assignment[] {
  const result: Assignment[] = [];
  const inOrder = [...world.bindings.values()].toSorted((a, b) =>
    a.namespace === b.namespace ? (a.name < b.name ? -1 : 1) : a.namespace < b.namespace ? -1 : 1,
  );
  for (const p of world.pods.values()) {
    const label = p.labels["aadpodidbinding"];
    if (!label || !p.nodeName || p.hostNetwork || p.phase === "Succeeded" || p.phase === "Failed") continue;
    const taken = new Set<string>();
    for (const b of inOrder) {
      const i = world.identities.get(`${b.namespace}/${b.azureIdentity}`);
      if (b.selector !== label || i === undefined || i.problem !== undefined) continue;
      if ((forceNamespaced || i.namespaced) && p.namespace !== b.namespace) continue;
      if (i.spec.serviceAccounts && !i.spec.serviceAccounts.includes(p.serviceAccountName)) continue;
      if (taken.has(i.name)) continue;
      taken.add(i.name);
      result.push({ key: assignmentKey(p.uid, i), pod: p, identity: i, binding: b });
    }
  }
  return sorted(result);
}

/** Applies deltas to a set of assignments, as a consumer would, and checks that each is exact. */
function replay(held: Map<string, Assignment>, { added, removed, changed }: MatchDelta): void {
  for (const assignment of removed) {
    const before = held.get(assignment.key);
    expect(before !== undefined && sameAssignment(before, assignment)).toBe(true);
    held.delete(assignment.key);
  }
  for (const assignment of added) {
    expect(held.has(assignment.key)).toBe(false);
    held.set(assignment.key, assignment);
  }
  for (const { before, after } of changed) {
    const known = held.get(after.key);
    expect(before.key).toBe(after.key);
    expect(known !== undefined && sameAssignment(known, before)).toBe(true);
    expect(sameAssignment(before, after)).toBe(false);
    held.set(after.key, after);
  }
}

const RUNS = { numRuns: 400 };

test("law: incremental equals full equals the book, after every event", () => {
  fc.assert(
    fc.property(events, fc.boolean(), (sequence, forceNamespaced) => {
      const matcher = new Matcher({ forceNamespaced });
      const world = new World();
      for (const event of sequence) {
        feed(matcher, event);
        world.apply(event);
        const want = byTheBook(world, forceNamespaced);
        expect(sorted(matcher.assignments())).toEqual(want);
        expect(sorted(match(world.snapshot, { forceNamespaced }).assignments)).toEqual(want);
      }
      for (const { uid } of world.pods.values()) {
        const own = byTheBook(world, forceNamespaced).filter(({ pod: p }) => p.uid === uid);
        expect(sorted(matcher.assignmentsOf(uid))).toEqual(own);
      }
    }),
    RUNS,
  );
});

test("law: deltas are exact, and applied one after another they are the assignments", () => {
  fc.assert(
    fc.property(events, fc.boolean(), (sequence, forceNamespaced) => {
      const matcher = new Matcher({ forceNamespaced });
      const held = new Map<string, Assignment>();
      for (const event of sequence) {
        replay(held, feed(matcher, event));
        const now = new Map([...matcher.assignments()].map((assignment) => [assignment.key, assignment]));
        expect([...held.keys()].toSorted()).toEqual([...now.keys()].toSorted());
        for (const [key, assignment] of now) expect(sameAssignment(assignment, held.get(key)!)).toBe(true);
      }
    }),
    RUNS,
  );
});

test("law: the order of objects does not matter, to the full match or to the incremental one", () => {
  const shuffledBy =
    (seed: number) =>
    <T>(items: Iterable<T>): T[] => {
      const list = [...items];
      for (let i = list.length - 1, state = seed; i > 0; i -= 1) {
        state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
        const j = state % (i + 1);
        [list[i], list[j]] = [list[j]!, list[i]!];
      }
      return list;
    };
  fc.assert(
    fc.property(events, fc.nat(), fc.boolean(), (sequence, seed, forceNamespaced) => {
      const world = new World();
      for (const event of sequence) world.apply(event);
      const shuffled = shuffledBy(seed);
      const want = match(world.snapshot, { forceNamespaced });
      const snapshot = {
        pods: shuffled(world.pods.values()),
        bindings: shuffled(world.bindings.values()),
        identities: shuffled(world.identities.values()),
      };
      expect(match(snapshot, { forceNamespaced })).toEqual(want);
      const upserts: Event[] = shuffled([
        ...snapshot.pods.map((record): Event => ({ do: "upsertPod", record })),
        ...snapshot.bindings.map((record): Event => ({ do: "upsertBinding", record })),
        ...snapshot.identities.map((record): Event => ({ do: "upsertIdentity", record })),
      ]);
      const matcher = new Matcher({ forceNamespaced });
      for (const event of upserts) feed(matcher, event);
      expect(sorted(matcher.assignments())).toEqual(sorted(want.assignments));
    }),
    RUNS,
  );
});

test("law: the same event again changes nothing", () => {
  fc.assert(
    fc.property(events, (sequence) => {
      const matcher = new Matcher();
      for (const event of sequence) {
        feed(matcher, event);
        expect(feed(matcher, event)).toEqual({ added: [], removed: [], changed: [] });
      }
    }),
    RUNS,
  );
});

test("law: a pod has a denial exactly when it has no assignment, and explain agrees with match", () => {
  fc.assert(
    fc.property(events, fc.boolean(), (sequence, forceNamespaced) => {
      const matcher = new Matcher({ forceNamespaced });
      const world = new World();
      for (const event of sequence) {
        feed(matcher, event);
        world.apply(event);
      }
      const { denials } = match(world.snapshot, { forceNamespaced });
      for (const p of world.pods.values()) {
        const explanation = matcher.explain(p.uid);
        expect(explanation.denial === undefined).toBe(explanation.assignments.length > 0);
        const assigned = explanation.verdicts.filter(({ outcome }) => outcome === "assigned");
        expect(assigned.map(({ binding: b }) => pathOf(b))).toEqual(
          explanation.assignments.map(({ binding: b }) => pathOf(b)),
        );
        const told = denials.filter(({ pod: other }) => other === p).map(({ reason }) => reason);
        const refused = explanation.verdicts.flatMap((v) => (v.outcome === "denied" ? [v.denial.reason] : []));
        const own =
          explanation.verdicts.length > 0 || !("aadpodidbinding" in p.labels) ? [] : [explanation.denial?.reason];
        expect(told).toEqual([...own, ...refused]);
      }
    }),
    RUNS,
  );
});
