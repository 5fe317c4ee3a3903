import { expect, test } from "vitest";
import { at, listAt, textAt } from "../json.ts";
import type { Fixture } from "./fixture.ts";
import { versionOf } from "./fixture.ts";
import { TABLE } from "./wire.ts";

const names = (body: unknown): string[] => listAt(body, "items").map((item) => textAt(item, "metadata", "name"));

/** Get and list: pages, snapshots, selectors, forms. */
export function readingContract(fixture: () => Fixture): void {
  const listed = async (query: string): Promise<unknown> =>
    (await fixture().wire.get(`${fixture().core}/configmaps?${query}`)).body;

  test("makes five objects for what follows", async () => {
    const { wire, core } = fixture();
    for (const [index, name] of ["r-a", "r-b", "r-c", "r-d", "r-e"].entries()) {
      const made = await wire.post(`${core}/configmaps`, {
        metadata: { name, labels: { suite: "reading", odd: String(index % 2) } },
      });
      expect(made.status).toBe(201);
    }
  });

  test("pages are one snapshot, whatever happens in between", async () => {
    const { wire, core } = fixture();
    const first = await listed("labelSelector=suite=reading&limit=2");
    expect(names(first)).toEqual(["r-a", "r-b"]);
    expect(at(first, "metadata", "remainingItemCount")).toBeUndefined();
    await wire.delete(`${core}/configmaps/r-c`);
    await wire.post(`${core}/configmaps`, { metadata: { name: "r-bb", labels: { suite: "reading" } } });
    const second = await listed(
      `labelSelector=suite=reading&limit=2&continue=${encodeURIComponent(textAt(first, "metadata", "continue"))}`,
    );
    expect(names(second)).toEqual(["r-c", "r-d"]);
    expect(versionOf(second)).toBe(versionOf(first));
    const third = await listed(
      `labelSelector=suite=reading&limit=2&continue=${encodeURIComponent(textAt(second, "metadata", "continue"))}`,
    );
    expect(names(third)).toEqual(["r-e"]);
    expect(textAt(third, "metadata", "continue")).toBe("");
    expect(names(await listed("labelSelector=suite=reading"))).toEqual(["r-a", "r-b", "r-bb", "r-d", "r-e"]);
  });

  test("counts what remains only without selectors", async () => {
    const { body } = await fixture().wire.get(`${fixture().core}/configmaps?limit=1`);
    const { body: all } = await fixture().wire.get(`${fixture().core}/configmaps`);
    expect(at(body, "metadata", "remainingItemCount")).toBe(listAt(all, "items").length - 1);
  });

  test("resourceVersion: exact is the past, 0 is anything and ignores the limit, the future is refused", async () => {
    const { wire, core } = fixture();
    const before = await listed("labelSelector=suite=reading");
    await wire.post(`${core}/configmaps`, { metadata: { name: "r-f", labels: { suite: "reading" } } });
    const exact = await listed(
      `labelSelector=suite=reading&resourceVersion=${versionOf(before)}&resourceVersionMatch=Exact`,
    );
    expect(names(exact)).toEqual(names(before));
    expect(versionOf(exact)).toBe(versionOf(before));
    expect(names(await listed(`labelSelector=suite=reading&resourceVersion=${versionOf(before)}`))).toContain("r-f");
    expect(names(await listed("labelSelector=suite=reading&resourceVersion=0&limit=1")).length).toBeGreaterThan(1);
    const future = await wire.get(`${core}/configmaps?resourceVersion=99999999999`);
    expect(future.status).toBe(504);
    expect(future.body).toMatchObject({
      reason: "Timeout",
      details: { causes: [{ reason: "ResourceVersionTooLarge" }] },
    });
  });

  test("a continue token and a past revision expire", async ({ skip }) => {
    const { wire, core, target } = fixture();
    if (target.compact === undefined) skip("nobody here can compact this server's history");
    const first = await listed("labelSelector=suite=reading&limit=1");
    await wire.post(`${core}/configmaps`, { metadata: { name: "r-g", labels: { suite: "reading" } } });
    await target.compact?.();
    const late = await wire.get(
      `${core}/configmaps?limit=1&continue=${encodeURIComponent(textAt(first, "metadata", "continue"))}`,
    );
    expect(late.status).toBe(410);
    expect(late.body).toMatchObject({ kind: "Status", status: "Failure", reason: "Expired", code: 410 });
    const rest = await wire.get(
      `${core}/configmaps?labelSelector=suite=reading&continue=${encodeURIComponent(textAt(late.body, "metadata", "continue"))}`,
    );
    expect(names(rest.body)).toEqual(["r-b", "r-bb", "r-d", "r-e", "r-f", "r-g"]);
    const exact = await wire.get(`${core}/configmaps?resourceVersion=${versionOf(first)}&resourceVersionMatch=Exact`);
    expect(exact.status).toBe(410);
  });

  test.for([
    ["labelSelector=suite=reading,odd=1", ["r-b", "r-d"]],
    ["labelSelector=suite%20in%20(reading,x),odd!=1,odd", ["r-a", "r-e"]],
    ["labelSelector=suite=reading,odd%20notin%20(0,1)", ["r-bb", "r-f"]],
    ["labelSelector=suite==reading,!odd", ["r-bb", "r-f"]],
    ["labelSelector=suite=reading&fieldSelector=metadata.name=r-a", ["r-a"]],
    ["labelSelector=suite=reading,odd=0&fieldSelector=metadata.name!=r-a", ["r-e"]],
  ] as const)("selects %s", async ([query, want]) => {
    const found = names(await listed(query)).filter((name) => name !== "r-g");
    expect(found).toEqual(want);
  });

  test.for([
    [
      "fieldSelector=spec.nothing=1",
      400,
      '"spec.nothing" is not a known field selector: only "metadata.name", "metadata.namespace"',
    ],
    ["resourceVersion=abc", 400, undefined],
    ["resourceVersionMatch=Exact", 422, undefined],
    ["resourceVersionMatch=Exact&resourceVersion=0", 422, undefined],
    ["labelSelector=a=b=c", 400, undefined],
    ["limit=x", 400, undefined],
    ["continue=nonsense", 400, undefined],
  ] as const)("refuses %s with %s", async ([query, status, message]) => {
    const { status: got, body } = await fixture().wire.get(`${fixture().core}/configmaps?${query}`);
    expect(got).toBe(status);
    expect(body).toMatchObject({ kind: "Status", apiVersion: "v1", status: "Failure", code: status });
    if (message !== undefined) expect(textAt(body, "message")).toBe(message);
  });

  test("field selectors of pods and of custom resources", async () => {
    const { wire, core, widgets } = fixture();
    for (const path of [`${core}/pods`, widgets]) {
      const { status, body } = await wire.get(`${path}?fieldSelector=spec.nothing=1`);
      expect([status, textAt(body, "message")]).toEqual([400, "field label not supported: spec.nothing"]);
    }
  });

  test("what is not there", async () => {
    const { wire, core } = fixture();
    const missing = await wire.get(`${core}/configmaps/none`);
    expect(missing).toMatchObject({
      status: 404,
      body: {
        kind: "Status",
        apiVersion: "v1",
        metadata: {},
        status: "Failure",
        message: 'configmaps "none" not found',
        reason: "NotFound",
        details: { name: "none", kind: "configmaps" },
        code: 404,
      },
    });
    expect(await wire.get("/apis/nothing.example.com/v1/things")).toMatchObject({
      status: 404,
      text: "404 page not found\n",
    });
    expect((await wire.get("/api/v1/namespaces/nowhere/configmaps")).body).toMatchObject({ items: [] });
  });

  test("Table for kubectl get", async () => {
    const { wire, widgets, widget } = fixture();
    await wire.post(widgets, widget("table", { size: 4 }));
    const { body } = await wire.get(`${widgets}?fieldSelector=metadata.name=table`, { accept: TABLE });
    expect(body).toMatchObject({
      kind: "Table",
      apiVersion: "meta.k8s.io/v1",
      rows: [
        { cells: ["table", 4, "red", null], object: { kind: "PartialObjectMetadata", metadata: { name: "table" } } },
      ],
    });
    expect(
      listAt(body, "columnDefinitions").map((column) => [
        textAt(column, "name"),
        textAt(column, "type"),
        at(column, "priority"),
      ]),
    ).toEqual([
      ["Name", "string", 0],
      ["Size", "integer", 0],
      ["Colour", "string", 1],
      ["Phase", "string", 0],
    ]);
    const bare = await wire.get(`${widgets}/table?includeObject=None`, { accept: TABLE });
    expect(bare.body).toMatchObject({ rows: [{ cells: ["table", 4, "red", null], object: null }] });
  });

  test("PartialObjectMetadata, and nothing that it does not know", async () => {
    const { wire, core } = fixture();
    const accept = (as: string): Record<string, string> => ({ accept: `application/json;as=${as};v=v1;g=meta.k8s.io` });
    const one = await wire.get(`${core}/configmaps/r-a`, accept("PartialObjectMetadata"));
    expect(one.body).toMatchObject({
      kind: "PartialObjectMetadata",
      apiVersion: "meta.k8s.io/v1",
      metadata: { name: "r-a" },
    });
    const all = await wire.get(`${core}/configmaps`, accept("PartialObjectMetadataList"));
    expect(all.body).toMatchObject({ kind: "PartialObjectMetadataList", apiVersion: "meta.k8s.io/v1" });
    expect((await wire.get(`${core}/configmaps`, { accept: "text/html" })).status).toBe(406);
  });
}
