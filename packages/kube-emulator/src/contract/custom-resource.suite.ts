import { expect, test } from "vitest";
import { at, listAt, textAt } from "../json.ts";
import type { Fixture } from "./fixture.ts";
import { MERGE } from "./wire.ts";

/** What a CustomResourceDefinition's schema does to objects. */
export function customResourceContract(fixture: () => Fixture): void {
  test("prunes, defaults, keeps what is to be kept", async () => {
    const { wire, widgets, widget } = fixture();
    const spec = {
      size: 1,
      unknown: 1,
      note: null,
      label: null,
      port: "http",
      parts: [{ id: "a", more: 1 }],
      tags: { any: "x" },
      extra: { deep: { down: [1] } },
      template: { apiVersion: "v1", kind: "Pod", metadata: { name: "inner" }, anything: true },
    };
    const { status, body } = await wire.post(widgets, widget("k-1", spec));
    expect(status).toBe(201);
    expect(at(body, "spec")).toEqual({
      size: 1,
      colour: "red",
      note: null,
      port: "http",
      parts: [{ id: "a" }],
      tags: spec.tags,
      extra: spec.extra,
      template: spec.template,
    });
  });

  test("unknown fields: warned about, refused when Strict, silent when told to ignore", async () => {
    const { wire, widgets, widget } = fixture();
    const body = widget("k-2", { size: 1, wrong: 1, parts: [{ other: 2 }] });
    const warned = await wire.post(`${widgets}?dryRun=All`, body);
    expect(warned.headers.warning).toBe(
      '299 - "unknown field \\"spec.parts[0].other\\"", 299 - "unknown field \\"spec.wrong\\""',
    );
    const ignored = await wire.post(`${widgets}?dryRun=All&fieldValidation=Ignore`, body);
    expect([ignored.status, ignored.headers.warning]).toEqual([201, undefined]);
    const strict = await wire.post(`${widgets}?dryRun=All&fieldValidation=Strict`, body);
    expect(strict).toMatchObject({
      status: 400,
      body: {
        reason: "BadRequest",
        message: expect.stringContaining(
          'strict decoding error: unknown field "spec.parts[0].other", unknown field "spec.wrong"',
        ) as string,
      },
    });
    expect((await wire.post(`${widgets}?fieldValidation=Sometimes`, body)).status).toBe(422);
  });

  test.for([
    [
      { size: "x" },
      "spec.size",
      "FieldValueTypeInvalid",
      'Invalid value: "string": spec.size in body must be of type integer: "string"',
    ],
    [
      { size: 0 },
      "spec.size",
      "FieldValueInvalid",
      "Invalid value: 0: spec.size in body should be greater than or equal to 1",
    ],
    [
      { size: 10 },
      "spec.size",
      "FieldValueInvalid",
      "Invalid value: 10: spec.size in body should be less than or equal to 9",
    ],
    [
      { size: 1.5 },
      "spec.size",
      "FieldValueTypeInvalid",
      'Invalid value: "number": spec.size in body must be of type integer: "number"',
    ],
    [{}, "spec.size", "FieldValueRequired", "Required value"],
    [
      { size: 1, colour: "blue" },
      "spec.colour",
      "FieldValueNotSupported",
      'Unsupported value: "blue": supported values: "red", "green"',
    ],
    [
      { size: 1, label: "" },
      "spec.label",
      "FieldValueInvalid",
      'Invalid value: "": spec.label in body should be at least 1 chars long',
    ],
    [{ size: 1, label: "toolong" }, "spec.label", "FieldValueTooLong", "Too long: may not be more than 5 bytes"],
    [
      { size: 1, label: "ABC" },
      "spec.label",
      "FieldValueInvalid",
      "Invalid value: \"ABC\": spec.label in body should match '^[a-z]*$'",
    ],
    [{ size: 1, parts: [{}, {}, {}] }, "spec.parts", "FieldValueTooMany", "Too many: 3: must have at most 2 items"],
    [
      { size: 1, port: 1.5 },
      "spec.port",
      "FieldValueTypeInvalid",
      'Invalid value: "number": spec.port in body must be of type integer,string: "number"',
    ],
    [
      { size: 1, tags: { a: 1 } },
      "spec.tags.a",
      "FieldValueTypeInvalid",
      'Invalid value: "integer": spec.tags.a in body must be of type string: "integer"',
    ],
  ] as const)("refuses %j", async ([spec, field, reason, message]) => {
    const { wire, widgets, widget, group } = fixture();
    const { status, body } = await wire.post(widgets, widget("k-3", spec));
    expect(status).toBe(422);
    expect(body).toMatchObject({
      reason: "Invalid",
      message: `Widget.${group} "k-3" is invalid: ${field}: ${message}`,
      details: { name: "k-3", group, kind: "Widget", causes: [{ reason, field, message }] },
    });
  });

  test("a patch is held to the same schema", async () => {
    const { wire, widgets, widget } = fixture();
    await wire.post(widgets, widget("k-4", { size: 1 }));
    expect((await wire.patch(`${widgets}/k-4`, MERGE, { spec: { size: 99 } })).status).toBe(422);
    const pruned = await wire.patch(`${widgets}/k-4`, MERGE, { spec: { wrong: 1 } });
    expect(pruned.headers.warning).toBe('299 - "unknown field \\"spec.wrong\\""');
    expect(at(pruned.body, "spec")).toEqual({ size: 1, colour: "red" });
  });

  test("every served version shows the same object", async () => {
    const { wire, widgets, widget, group, namespace } = fixture();
    await wire.post(widgets, widget("k-5", { size: 5 }));
    const beta = `/apis/${group}/v1beta1/namespaces/${namespace}/widgets/k-5`;
    expect((await wire.get(beta)).body).toMatchObject({ apiVersion: `${group}/v1beta1`, spec: { size: 5 } });
    expect((await wire.patch(beta, MERGE, { spec: { size: 6 } })).body).toMatchObject({
      apiVersion: `${group}/v1beta1`,
      spec: { size: 6 },
    });
    expect((await wire.get(`${widgets}/k-5`)).body).toMatchObject({ apiVersion: `${group}/v1`, spec: { size: 6 } });
  });

  test("is discovered: group, resources, OpenAPI for validation", async () => {
    const { wire, group } = fixture();
    const groups = listAt((await wire.get("/apis")).body, "groups");
    expect(groups.find((candidate) => textAt(candidate, "name") === group)).toMatchObject({
      preferredVersion: { groupVersion: `${group}/v1` },
    });
    const resources = (await wire.get(`/apis/${group}/v1`)).body;
    expect(resources).toMatchObject({ kind: "APIResourceList", groupVersion: `${group}/v1` });
    const widgets = listAt(resources, "resources").find((resource) => textAt(resource, "name") === "widgets");
    expect(widgets).toMatchObject({
      singularName: "widget",
      namespaced: true,
      kind: "Widget",
      shortNames: ["wd"],
      categories: ["all"],
    });
    expect(listAt(widgets, "verbs").map(String).toSorted()).toEqual([
      "create",
      "delete",
      "deletecollection",
      "get",
      "list",
      "patch",
      "update",
      "watch",
    ]);
    expect(listAt(resources, "resources").map((resource) => textAt(resource, "name"))).toContain("widgets/status");
    const path = textAt((await wire.get("/openapi/v3")).body, "paths", `apis/${group}/v1`, "serverRelativeURL");
    const document = (await wire.get(path)).body;
    const item = `/apis/${group}/v1/namespaces/{namespace}/widgets/{name}`;
    expect(at(document, "paths", item, "patch", "x-kubernetes-group-version-kind")).toEqual({
      group,
      version: "v1",
      kind: "Widget",
    });
    expect(
      listAt(document, "paths", item, "patch", "parameters").map((parameter) => textAt(parameter, "name")),
    ).toContain("fieldValidation");
  });

  test("a definition must name itself after what it defines", async () => {
    const { wire, group } = fixture();
    const names = { plural: "gadgets", kind: "Gadget" };
    const version = { name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } };
    const wrong = {
      metadata: { name: `other.${group}` },
      spec: { group, scope: "Cluster", names, versions: [version] },
    };
    expect((await wire.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", wrong)).status).toBe(422);
  });
}
