import { expect, test } from "vitest";
import { at, listAt, textAt } from "../json.ts";
import type { Fixture } from "./fixture.ts";

const APPLY = "application/apply-patch+yaml";

/** What only a real kube-apiserver has. Elsewhere these tests say so instead of passing. */
export function completeContract(fixture: () => Fixture): void {
  const realOnly = (skip: (note?: string) => void): void => {
    if (!fixture().target.complete) skip("the real server's alone");
  };

  test("server-side apply: owners of fields, and conflicts", async ({ skip }) => {
    realOnly(skip);
    const { wire, core } = fixture();
    const apply = (manager: string, data: object, query = "") =>
      wire.patch(`${core}/configmaps/applied?fieldManager=${manager}${query}`, APPLY, {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "applied" },
        data,
      });
    expect((await apply("one", { a: "1", b: "1" })).status).toBe(201);
    const second = await apply("two", { c: "1" });
    expect(at(second.body, "data")).toEqual({ a: "1", b: "1", c: "1" });
    expect(
      listAt(second.body, "metadata", "managedFields")
        .map((entry) => textAt(entry, "manager"))
        .toSorted(),
    ).toEqual(["one", "two"]);
    expect(await apply("two", { a: "2" })).toMatchObject({
      status: 409,
      body: { reason: "Conflict", details: { causes: [{ reason: "FieldManagerConflict" }] } },
    });
    expect(at((await apply("two", { a: "2" }, "&force=true")).body, "data")).toEqual({ a: "2", b: "1" });
  });

  test("CEL rules refuse with their own text", async ({ skip }) => {
    realOnly(skip);
    const { wire, group } = fixture();
    const names = { plural: "rules", kind: "Rule" };
    const rule = { rule: "self.min <= self.max", message: "min must not exceed max" };
    const spec = {
      type: "object",
      properties: { min: { type: "integer" }, max: { type: "integer" } },
      "x-kubernetes-validations": [rule],
    };
    const version = {
      name: "v1",
      served: true,
      storage: true,
      schema: { openAPIV3Schema: { type: "object", properties: { spec } } },
    };
    const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    await wire.post(definitions, {
      metadata: { name: `rules.${group}` },
      spec: { group, scope: "Cluster", names, versions: [version] },
    });
    const object = (min: number): object => ({
      apiVersion: `${group}/v1`,
      kind: "Rule",
      metadata: { name: "r" },
      spec: { min, max: 5 },
    });
    await expect
      .poll(async () => (await wire.post(`/apis/${group}/v1/rules?dryRun=All`, object(1))).status, { timeout: 10_000 })
      .toBe(201);
    expect(await wire.post(`/apis/${group}/v1/rules`, object(9))).toMatchObject({
      status: 422,
      body: { message: expect.stringContaining("spec: Invalid value: min must not exceed max") as string },
    });
    await wire.delete(`${definitions}/rules.${group}`);
  });
}
