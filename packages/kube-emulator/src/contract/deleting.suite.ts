import { expect, test } from "vitest";
import { at, listAt, textAt } from "../json.ts";
import type { Fixture } from "./fixture.ts";
import { versionOf } from "./fixture.ts";
import { MERGE } from "./wire.ts";

/** Deletion: at once, by finalizers, gracefully, many at a time. */
export function deletingContract(fixture: () => Fixture): void {
  test("at once, with a Success status", async () => {
    const { wire, widgets, widget, group } = fixture();
    const created = await wire.post(widgets, widget("x-1", { size: 1 }));
    const deleted = await wire.delete(`${widgets}/x-1`);
    expect(deleted).toMatchObject({
      status: 200,
      body: {
        kind: "Status",
        status: "Success",
        details: { name: "x-1", group, kind: "widgets", uid: textAt(created.body, "metadata", "uid") },
      },
    });
    expect((await wire.delete(`${widgets}/x-1`)).status).toBe(404);
  });

  test("preconditions on uid and resourceVersion", async () => {
    const { wire, widgets, widget } = fixture();
    const created = await wire.post(widgets, widget("x-2", { size: 1 }));
    const uid = textAt(created.body, "metadata", "uid");
    expect(await wire.delete(`${widgets}/x-2`, { preconditions: { uid: "another" } })).toMatchObject({
      status: 409,
      body: {
        reason: "Conflict",
        message: expect.stringContaining(
          `the UID in the precondition (another) does not match the UID in record (${uid})`,
        ) as string,
      },
    });
    expect((await wire.delete(`${widgets}/x-2`, { preconditions: { resourceVersion: "1" } })).status).toBe(409);
    expect(
      (await wire.delete(`${widgets}/x-2`, { preconditions: { uid, resourceVersion: versionOf(created.body) } }))
        .status,
    ).toBe(200);
  });

  test("finalizers hold it; the last one to go lets it go", async () => {
    const { wire, widgets, widget } = fixture();
    await wire.post(widgets, widget("x-3", { size: 1 }, { finalizers: ["example.com/a", "example.com/b"] }));
    const marked = await wire.delete(`${widgets}/x-3`);
    expect(marked).toMatchObject({
      status: 200,
      body: { kind: "Widget", metadata: { generation: 2, deletionGracePeriodSeconds: 0 } },
    });
    expect(textAt(marked.body, "metadata", "deletionTimestamp")).not.toBe("");
    const again = await wire.delete(`${widgets}/x-3`);
    expect(versionOf(again.body)).toBe(versionOf(marked.body));
    const added = await wire.patch(`${widgets}/x-3`, MERGE, {
      metadata: { finalizers: ["example.com/a", "example.com/b", "example.com/c"] },
    });
    expect(added).toMatchObject({
      status: 422,
      body: {
        message: expect.stringContaining("no new finalizers can be added if the object is being deleted") as string,
      },
    });
    const one = await wire.patch(`${widgets}/x-3`, MERGE, { metadata: { finalizers: ["example.com/b"] } });
    expect(one).toMatchObject({ status: 200, body: { metadata: { finalizers: ["example.com/b"] } } });
    expect((await wire.patch(`${widgets}/x-3`, MERGE, { metadata: { finalizers: null } })).status).toBe(200);
    expect((await wire.get(`${widgets}/x-3`)).status).toBe(404);
  });

  test("a pod on a node stays Terminating until the kubelet confirms; the period only ever shrinks", async () => {
    const { wire, core, pod } = fixture();
    const path = `${core}/pods/x-4`;
    await wire.post(`${core}/pods`, pod("x-4", {}, { terminationGracePeriodSeconds: 40 }));
    await wire.post(`${path}/binding`, { metadata: { name: "x-4" }, target: { kind: "Node", name: "some" } });
    const deleted = await wire.delete(path);
    expect(deleted).toMatchObject({ status: 200, body: { kind: "Pod", metadata: { deletionGracePeriodSeconds: 40 } } });
    expect(Date.parse(textAt(deleted.body, "metadata", "deletionTimestamp"))).toBeGreaterThan(
      Date.parse(textAt(deleted.body, "metadata", "creationTimestamp")) + 30_000,
    );
    expect(
      at((await wire.delete(path, { gracePeriodSeconds: 5 })).body, "metadata", "deletionGracePeriodSeconds"),
    ).toBe(5);
    expect(
      at((await wire.delete(path, { gracePeriodSeconds: 60 })).body, "metadata", "deletionGracePeriodSeconds"),
    ).toBe(5);
    expect((await wire.get(path)).status).toBe(200);
    expect((await wire.delete(path, { gracePeriodSeconds: 0 })).status).toBe(200);
    expect((await wire.get(path)).status).toBe(404);
  });

  test("a pod without a node, or one that has ended, goes at once", async () => {
    const { wire, core, pod } = fixture();
    await wire.post(`${core}/pods`, pod("x-5"));
    expect((await wire.delete(`${core}/pods/x-5`)).body).toMatchObject({ kind: "Pod" });
    expect((await wire.get(`${core}/pods/x-5`)).status).toBe(404);
    await wire.post(`${core}/pods`, pod("x-6"));
    await wire.post(`${core}/pods/x-6/binding`, { metadata: { name: "x-6" }, target: { kind: "Node", name: "some" } });
    await wire.patch(`${core}/pods/x-6/status`, MERGE, { status: { phase: "Succeeded" } });
    await wire.delete(`${core}/pods/x-6`);
    expect((await wire.get(`${core}/pods/x-6`)).status).toBe(404);
  });

  test("collections by selector", async () => {
    const { wire, core } = fixture();
    for (const name of ["x-a", "x-b"])
      await wire.post(`${core}/configmaps`, { metadata: { name, labels: { batch: "1" } } });
    await wire.post(`${core}/configmaps`, { metadata: { name: "x-c" } });
    expect((await wire.delete(`${core}/configmaps?labelSelector=batch`)).status).toBe(200);
    const left = listAt((await wire.get(`${core}/configmaps`)).body, "items").map((item) =>
      textAt(item, "metadata", "name"),
    );
    expect(left).toContain("x-c");
    expect(left).not.toContain("x-a");
  });

  test("owner references are kept and checked; propagation leaves its finalizer or is refused", async () => {
    const { wire, core } = fixture();
    const owner = await wire.post(`${core}/configmaps`, { metadata: { name: "owner" } });
    const reference = {
      apiVersion: "v1",
      kind: "ConfigMap",
      name: "owner",
      uid: textAt(owner.body, "metadata", "uid"),
    };
    const owned = await wire.post(`${core}/configmaps`, { metadata: { name: "owned", ownerReferences: [reference] } });
    expect(at(owned.body, "metadata", "ownerReferences")).toEqual([reference]);
    expect(
      (
        await wire.post(`${core}/configmaps`, {
          metadata: { name: "bad", ownerReferences: [{ ...reference, uid: "" }] },
        })
      ).status,
    ).toBe(422);
    expect((await wire.delete(`${core}/configmaps/owner?propagationPolicy=Sideways`)).status).toBe(422);
    const foreground = await wire.delete(`${core}/configmaps/owner`, { propagationPolicy: "Foreground" });
    expect(foreground).toMatchObject({ status: 200, body: { metadata: { finalizers: ["foregroundDeletion"] } } });
  });
}
