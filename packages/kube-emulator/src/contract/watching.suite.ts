import { expect, test } from "vitest";
import { at, textAt } from "../json.ts";
import type { Fixture } from "./fixture.ts";
import { versionOf } from "./fixture.ts";
import { MERGE } from "./wire.ts";

/** Watches: where they start, what they show, how they end. */
export function watchingContract(fixture: () => Fixture): void {
  const open = (query: string) => fixture().wire.watch(`${fixture().widgets}?watch=1&${query}`);
  const version = async (): Promise<string> =>
    versionOf((await fixture().wire.get(`${fixture().widgets}?limit=1`)).body);
  const label = (name: string, labels: object) =>
    fixture().wire.patch(`${fixture().widgets}/${name}`, MERGE, { metadata: { labels } });

  test("from a revision: everything after it, in order, each object at its revision", async () => {
    const { wire, widgets, widget } = fixture();
    const from = await version();
    await wire.post(widgets, widget("w-1", { size: 1 }));
    const changed = await wire.patch(`${widgets}/w-1`, MERGE, { spec: { size: 2 } });
    const watch = await open(`resourceVersion=${from}`);
    expect(watch.status).toBe(200);
    expect(await watch.next()).toMatchObject({
      type: "ADDED",
      object: { kind: "Widget", metadata: { name: "w-1" }, spec: { size: 1 } },
    });
    const second = await watch.next();
    expect(second).toMatchObject({ type: "MODIFIED", object: { spec: { size: 2 } } });
    expect(versionOf(second?.object)).toBe(versionOf(changed.body));
    await wire.delete(`${widgets}/w-1`);
    const gone = await watch.next();
    expect(gone).toMatchObject({ type: "DELETED", object: { spec: { size: 2 } } });
    expect(Number(versionOf(gone?.object))).toBeGreaterThan(Number(versionOf(changed.body)));
    watch.close();
  });

  test.for(["", "resourceVersion=0"])("without a revision (%j): the present state first", async (query) => {
    const { wire, widgets, widget } = fixture();
    await wire.post(widgets, widget("w-2", { size: 1 }, { labels: { state: "x" } }));
    const watch = await open(`labelSelector=state&${query}`);
    expect(await watch.names(1)).toEqual(["ADDED w-2"]);
    await label("w-2", { state: "y" });
    expect(await watch.names(1)).toEqual(["MODIFIED w-2"]);
    watch.close();
    await wire.delete(`${widgets}/w-2`);
  });

  test("sendInitialEvents ends the state with an annotated bookmark", async () => {
    const { wire, widgets, widget } = fixture();
    await wire.post(widgets, widget("w-3", { size: 1 }, { labels: { initial: "x" } }));
    const watch = await open(
      "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&labelSelector=initial",
    );
    const events = await watch.until("BOOKMARK");
    expect(events.map(({ type }) => type)).toEqual(["ADDED", "BOOKMARK"]);
    const mark = events.at(-1)?.object;
    expect(mark).toMatchObject({ kind: "Widget", metadata: { annotations: { "k8s.io/initial-events-end": "true" } } });
    expect(Number(versionOf(mark))).toBeGreaterThanOrEqual(Number(versionOf(events[0]?.object)));
    await wire.delete(`${widgets}/w-3`);
    expect(await watch.names(1)).toEqual(["DELETED w-3"]);
    watch.close();
  });

  test("objects come into a selection and leave it", async () => {
    const { wire, widgets, widget } = fixture();
    await wire.post(widgets, widget("w-4", { size: 1 }));
    const watch = await open(`resourceVersion=${await version()}&labelSelector=seen=1`);
    await label("w-4", { seen: "1" });
    await wire.patch(`${widgets}/w-4`, MERGE, { spec: { size: 2 } });
    const left = await label("w-4", { seen: "2" });
    await wire.patch(`${widgets}/w-4`, MERGE, { spec: { size: 3 } });
    await label("w-4", { seen: "1" });
    expect(await watch.names(2)).toEqual(["ADDED w-4", "MODIFIED w-4"]);
    const gone = await watch.next();
    // As it last was in the selection, at the revision at which it left.
    expect(gone).toMatchObject({ type: "DELETED", object: { metadata: { labels: { seen: "1" } }, spec: { size: 2 } } });
    expect(versionOf(gone?.object)).toBe(versionOf(left.body));
    expect(await watch.names(1)).toEqual(["ADDED w-4"]);
    watch.close();
    await wire.delete(`${widgets}/w-4`);
  });

  test("a field selector narrows it to one node's pods", async () => {
    const { wire, core, pod } = fixture();
    await wire.post(`${core}/pods`, pod("w-near"));
    await wire.post(`${core}/pods`, pod("w-far"));
    const from = versionOf((await wire.get(`${core}/pods?limit=1`)).body);
    const watch = await wire.watch(`${core}/pods?watch=1&resourceVersion=${from}&fieldSelector=spec.nodeName=near`);
    const bind = (name: string, node: string) =>
      wire.post(`${core}/pods/${name}/binding`, { metadata: { name }, target: { kind: "Node", name: node } });
    await bind("w-far", "far");
    await bind("w-near", "near");
    expect(await watch.names(1)).toEqual(["ADDED w-near"]);
    await wire.delete(`${core}/pods/w-far`, { gracePeriodSeconds: 0 });
    await wire.delete(`${core}/pods/w-near`, { gracePeriodSeconds: 0 });
    expect(await watch.until("DELETED")).toSatisfy((events: { object: unknown }[]) =>
      events.every(({ object }) => textAt(object, "metadata", "name") === "w-near"),
    );
    watch.close();
  });

  test("a forgotten revision is an ERROR event with 410 Expired, and the end", async () => {
    await fixture().target.compact?.();
    const watch = await open("resourceVersion=1");
    expect(watch.status).toBe(200);
    expect(await watch.next()).toMatchObject({
      type: "ERROR",
      object: {
        kind: "Status",
        code: 410,
        reason: "Expired",
        message: expect.stringContaining("too old resource version: 1 (") as string,
      },
    });
    expect(await watch.next()).toBeUndefined();
  });

  test("ends by itself after timeoutSeconds", async () => {
    const watch = await open(`resourceVersion=${await version()}&timeoutSeconds=1`);
    expect(await watch.next()).toBeUndefined();
  });

  test("bookmarks tell how far everything has been seen", async ({ skip }) => {
    const { wire, core, target } = fixture();
    if (target.sendBookmarks === undefined) skip("this server sends bookmarks in its own time");
    const watch = await open(`resourceVersion=${await version()}&allowWatchBookmarks=true&labelSelector=never`);
    const silent = await open(`resourceVersion=${await version()}&labelSelector=never&timeoutSeconds=1`);
    const other = await wire.post(`${core}/configmaps`, { metadata: { generateName: "w-" } });
    await target.sendBookmarks?.();
    const mark = await watch.next();
    expect(mark).toMatchObject({ type: "BOOKMARK", object: { kind: "Widget" } });
    expect(Number(versionOf(mark?.object))).toBeGreaterThanOrEqual(Number(versionOf(other.body)));
    expect(at(mark?.object, "metadata", "name")).toBeUndefined();
    expect(await silent.next()).toBeUndefined();
    watch.close();
  });

  test.for([
    ["sendInitialEvents=true", 422],
    ["resourceVersionMatch=NotOlderThan", 422],
    ["sendInitialEvents=true&resourceVersionMatch=Exact&resourceVersion=1", 422],
    ["fieldSelector=nothing=1", 400],
  ] as const)("refuses %s with %s", async ([query, status]) => {
    expect((await fixture().wire.get(`${fixture().widgets}?watch=1&${query}`)).status).toBe(status);
  });
}
