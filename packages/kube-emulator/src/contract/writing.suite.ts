import { expect, test } from "vitest";
import { at, textAt } from "../json.ts";
import type { Fixture } from "./fixture.ts";
import { versionOf } from "./fixture.ts";
import { JSON_PATCH, MERGE, STRATEGIC } from "./wire.ts";

const MODIFIED = "the object has been modified; please apply your changes to the latest version and try again";

/** Create, update and the kinds of patch. */
export function writingContract(fixture: () => Fixture): void {
  test("create sets what only the server sets", async () => {
    const { wire, widgets, widget, namespace } = fixture();
    const { status, body } = await wire.post(widgets, widget("c-1", { size: 1 }));
    expect(status).toBe(201);
    expect(body).toMatchObject({ kind: "Widget", metadata: { name: "c-1", namespace, generation: 1 } });
    expect(textAt(body, "metadata", "uid")).toMatch(/^[0-9a-f-]{36}$/);
    expect(textAt(body, "metadata", "creationTimestamp")).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    const again = await wire.post(widgets, widget("c-1", { size: 1 }));
    expect(again.status).toBe(409);
    expect(again.body).toMatchObject({
      reason: "AlreadyExists",
      message: `widgets.${fixture().group} "c-1" already exists`,
    });
  });

  test("generateName, and refusals of names and places", async () => {
    const { wire, widgets, group } = fixture();
    const bare = (metadata: object): object => ({
      apiVersion: `${group}/v1`,
      kind: "Widget",
      metadata,
      spec: { size: 1 },
    });
    expect(textAt((await wire.post(widgets, bare({ generateName: "g-" }))).body, "metadata", "name")).toMatch(
      /^g-[a-z0-9]{5}$/,
    );
    expect(await wire.post(widgets, bare({}))).toMatchObject({
      status: 422,
      body: { reason: "Invalid", details: { causes: [{ field: "metadata.name" }] } },
    });
    expect(await wire.post(widgets, bare({ name: "Not_Valid" }))).toMatchObject({
      status: 422,
      body: { details: { causes: [{ field: "metadata.name" }] } },
    });
    expect(await wire.post(widgets, bare({ name: "x", labels: { a: "not valid" } }))).toMatchObject({
      status: 422,
      body: { details: { causes: [{ field: "metadata.labels" }] } },
    });
    expect((await wire.post(widgets, bare({ name: "x", namespace: "elsewhere" }))).status).toBe(400);
    expect((await wire.post(widgets, { metadata: { name: "x" }, spec: { size: 1 } })).status).toBe(400);
    expect(await wire.post(`/apis/${group}/v1/namespaces/nowhere/widgets`, bare({ name: "x" }))).toMatchObject({
      status: 404,
      body: { message: 'namespaces "nowhere" not found' },
    });
  });

  test("update: conflict on a stale resourceVersion, no-op keeps it, generation follows the spec alone", async () => {
    const { wire, widgets, widget, group } = fixture();
    const created = (await wire.post(widgets, widget("u-1", { size: 1 }))).body as { metadata: object };
    const with_ = (spec: object, metadata: object = {}): object => ({
      ...created,
      metadata: { ...created.metadata, ...metadata },
      spec,
    });
    const same = await wire.put(`${widgets}/u-1`, created);
    expect(versionOf(same.body)).toBe(versionOf(created));
    const updated = await wire.put(`${widgets}/u-1`, with_({ size: 2 }));
    expect(updated.status).toBe(200);
    expect(at(updated.body, "metadata", "generation")).toBe(2);
    const stale = await wire.put(`${widgets}/u-1`, with_({ size: 3 }));
    expect(stale).toMatchObject({
      status: 409,
      body: {
        reason: "Conflict",
        message: `Operation cannot be fulfilled on widgets.${group} "u-1": ${MODIFIED}`,
        details: { name: "u-1", kind: "widgets" },
      },
    });
    const labelled = await wire.patch(`${widgets}/u-1`, MERGE, { metadata: { labels: { a: "b" } } });
    expect(at(labelled.body, "metadata", "generation")).toBe(2);
    const blind = widget("u-1", { size: 3 });
    expect(await wire.put(`${widgets}/u-1`, blind)).toMatchObject({
      status: 422,
      body: { details: { causes: [{ field: "metadata.resourceVersion" }] } },
    });
    expect((await wire.put(`${widgets}/none`, with_({ size: 3 }, { name: "none" }))).status).toBe(404);
    expect((await wire.put(`${widgets}/u-1`, with_({ size: 3 }, { name: "other" }))).status).toBe(400);
  });

  test("built-ins may be overwritten without a resourceVersion, Leases not, and a Lease's PUT creates", async () => {
    const { wire, core, namespace } = fixture();
    await wire.post(`${core}/configmaps`, { metadata: { name: "blind" }, data: { a: "1" } });
    expect(await wire.put(`${core}/configmaps/blind`, { metadata: { name: "blind" }, data: { a: "2" } })).toMatchObject(
      { status: 200, body: { data: { a: "2" } } },
    );
    const leases = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
    const lease = {
      metadata: { name: "l" },
      spec: { holderIdentity: "a", leaseDurationSeconds: 15, renewTime: "2026-01-01T00:00:00.000000Z" },
    };
    const created = await wire.put(`${leases}/l`, lease);
    expect(created).toMatchObject({ status: 201, body: { spec: lease.spec } });
    expect((await wire.put(`${leases}/l`, lease)).status).toBe(422);
    const taken = await wire.put(`${leases}/l`, {
      ...lease,
      metadata: { name: "l", resourceVersion: versionOf(created.body) },
      spec: { ...lease.spec, holderIdentity: "b", leaseTransitions: 1 },
    });
    expect(taken).toMatchObject({ status: 200, body: { spec: { holderIdentity: "b" } } });
    const late = await wire.put(`${leases}/l`, {
      ...lease,
      metadata: { name: "l", resourceVersion: versionOf(created.body) },
    });
    expect(late).toMatchObject({ status: 409, body: { reason: "Conflict" } });
  });

  test("JSON patch: operations in order, a failed test changes nothing", async () => {
    const { wire, widgets, widget } = fixture();
    await wire.post(widgets, widget("p-1", { size: 1, parts: [{ id: "a" }] }));
    const done = await wire.patch(`${widgets}/p-1`, JSON_PATCH, [
      { op: "test", path: "/spec/size", value: 1 },
      { op: "replace", path: "/spec/size", value: 2 },
      { op: "add", path: "/spec/parts/-", value: { id: "b" } },
      { op: "add", path: "/metadata/annotations", value: { "a/b": "c" } },
      { op: "copy", from: "/spec/parts/0/id", path: "/spec/label" },
    ]);
    expect(done).toMatchObject({
      status: 200,
      body: { spec: { size: 2, parts: [{ id: "a" }, { id: "b" }], label: "a" } },
    });
    const failing = [
      [
        { op: "replace", path: "/spec/size", value: 3 },
        { op: "test", path: "/spec/label", value: "z" },
      ],
      [{ op: "remove", path: "/spec/nothing" }],
      [{ op: "add", path: "/spec/nothing/below", value: 1 }],
    ];
    for (const operations of failing) {
      const refused = await wire.patch(`${widgets}/p-1`, JSON_PATCH, operations);
      expect(refused).toMatchObject({
        status: 422,
        body: { reason: "Invalid", message: "the server rejected our request due to an error in our request" },
      });
    }
    expect((await wire.get(`${widgets}/p-1`)).body).toMatchObject({ spec: { size: 2 } });
    expect((await wire.patch(`${widgets}/p-1`, JSON_PATCH, {})).status).toBe(400);
  });

  test("merge patch: null removes, a resourceVersion or uid in it is a precondition", async () => {
    const { wire, widgets, widget } = fixture();
    const created = await wire.post(widgets, widget("p-2", { size: 1, tags: { a: "1", b: "2" } }));
    const done = await wire.patch(`${widgets}/p-2`, MERGE, {
      metadata: { resourceVersion: versionOf(created.body), uid: textAt(created.body, "metadata", "uid") },
      spec: { tags: { a: null, c: "3" } },
    });
    expect(at(done.body, "spec", "tags")).toEqual({ b: "2", c: "3" });
    expect(
      (
        await wire.patch(`${widgets}/p-2`, MERGE, {
          metadata: { resourceVersion: versionOf(created.body) },
          spec: { size: 5 },
        })
      ).status,
    ).toBe(409);
    expect(
      (await wire.patch(`${widgets}/p-2`, MERGE, { metadata: { uid: "00000000-0000-0000-0000-000000000000" } })).status,
    ).toBeOneOf([409, 422]);
    expect((await wire.patch(`${widgets}/none`, MERGE, {})).status).toBe(404);
  });

  test("strategic merge patch: lists by key, for built-ins only", async () => {
    const { wire, core, widgets, pod } = fixture();
    await wire.post(`${core}/pods`, pod("p-3", { labels: { a: "1" } }));
    const patched = await wire.patch(`${core}/pods/p-3`, STRATEGIC, {
      metadata: { labels: { a: null, b: "2" }, finalizers: ["example.com/one"] },
      spec: { containers: [{ name: "main", image: "pause:2" }] },
    });
    expect(patched).toMatchObject({
      status: 200,
      body: {
        metadata: { labels: { b: "2" }, finalizers: ["example.com/one"] },
        spec: { containers: [{ name: "main", image: "pause:2" }] },
      },
    });
    const status = (conditions: object[]): Promise<unknown> =>
      wire.patch(`${core}/pods/p-3/status`, STRATEGIC, { status: { conditions } });
    await status([
      { type: "Ready", status: "False" },
      { type: "example.com/gate", status: "True" },
    ]);
    await status([{ type: "Ready", status: "True" }]);
    const conditions = at((await wire.get(`${core}/pods/p-3`)).body, "status", "conditions");
    expect(conditions).toMatchObject([
      { type: "Ready", status: "True" },
      { type: "example.com/gate", status: "True" },
    ]);
    await wire.patch(`${core}/pods/p-3`, STRATEGIC, {
      metadata: { "$deleteFromPrimitiveList/finalizers": ["example.com/one"] },
    });
    expect((await wire.delete(`${core}/pods/p-3`)).status).toBe(200);
    expect(await wire.patch(`${widgets}/none`, STRATEGIC, {})).toMatchObject({
      status: 415,
      body: { reason: "UnsupportedMediaType" },
    });
  });

  test("status: each write keeps the other's part", async () => {
    const { wire, widgets, widget } = fixture();
    const created = await wire.post(widgets, { ...widget("s-1", { size: 1 }), status: { phase: "ignored" } });
    expect(at(created.body, "status")).toBeUndefined();
    const status = await wire.put(`${widgets}/s-1/status`, {
      ...(created.body as object),
      spec: { size: 9 },
      status: { phase: "Good" },
    });
    expect(status.body).toMatchObject({ metadata: { generation: 1 }, spec: { size: 1 }, status: { phase: "Good" } });
    const spec = await wire.put(`${widgets}/s-1`, {
      ...(status.body as object),
      spec: { size: 2 },
      status: { phase: "ignored" },
    });
    expect(spec.body).toMatchObject({ metadata: { generation: 2 }, spec: { size: 2 }, status: { phase: "Good" } });
    const labelled = await wire.patch(`${widgets}/s-1/status`, MERGE, {
      metadata: { labels: { no: "effect" } },
      status: { phase: "Better" },
    });
    expect(labelled.body).toMatchObject({ status: { phase: "Better" } });
    expect(at(labelled.body, "metadata", "labels")).toBeUndefined();
    expect(
      (await wire.put(`${widgets}/s-1/status`, { ...(created.body as object), status: { phase: "Late" } })).status,
    ).toBe(409);
  });

  test("dryRun=All answers as if, and changes nothing", async () => {
    const { wire, widgets, widget } = fixture();
    const created = await wire.post(`${widgets}?dryRun=All`, widget("d-1", { size: 1 }));
    expect(created).toMatchObject({ status: 201, body: { spec: { colour: "red" } } });
    expect((await wire.get(`${widgets}/d-1`)).status).toBe(404);
    await wire.post(widgets, widget("d-1", { size: 1 }));
    expect((await wire.patch(`${widgets}/d-1?dryRun=All`, MERGE, { spec: { size: 2 } })).body).toMatchObject({
      spec: { size: 2 },
    });
    expect((await wire.delete(`${widgets}/d-1?dryRun=All`)).status).toBe(200);
    expect((await wire.get(`${widgets}/d-1`)).body).toMatchObject({ spec: { size: 1 } });
    expect((await wire.post(`${widgets}?dryRun=Some`, widget("d-2", { size: 1 }))).status).toBe(422);
  });
}
