import { randomBytes } from "node:crypto";
import { textAt } from "../json.ts";
import type { ContractTarget } from "./target.ts";
import { Wire } from "./wire.ts";

/** A namespace and a custom resource of the suite's own on a server, so that runs never meet. */
export interface Fixture {
  readonly target: ContractTarget;
  readonly wire: Wire;
  readonly namespace: string;
  readonly group: string;
  /** Path of the namespace's widgets. */
  readonly widgets: string;
  /** Path below which the namespace's core objects are. */
  readonly core: string;
  readonly widget: (name: string, spec: object, metadata?: object) => object;
  readonly pod: (name: string, metadata?: object, spec?: object) => object;
}

const SCHEMA = {
  type: "object",
  required: ["spec"],
  properties: {
    spec: {
      type: "object",
      required: ["size"],
      properties: {
        size: { type: "integer", minimum: 1, maximum: 9 },
        colour: { type: "string", default: "red", enum: ["red", "green"] },
        label: { type: "string", minLength: 1, maxLength: 5, pattern: "^[a-z]*$" },
        note: { type: "string", nullable: true },
        port: { "x-kubernetes-int-or-string": true },
        parts: { type: "array", maxItems: 2, items: { type: "object", properties: { id: { type: "string" } } } },
        tags: { type: "object", additionalProperties: { type: "string" } },
        extra: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
        template: {
          type: "object",
          "x-kubernetes-embedded-resource": true,
          "x-kubernetes-preserve-unknown-fields": true,
        },
      },
    },
    status: { type: "object", properties: { phase: { type: "string" } } },
  },
};

function definition(group: string): object {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `widgets.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: { plural: "widgets", kind: "Widget", shortNames: ["wd"], categories: ["all"] },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: { openAPIV3Schema: SCHEMA },
          subresources: { status: {} },
          additionalPrinterColumns: [
            { name: "Size", type: "integer", jsonPath: ".spec.size" },
            { name: "Colour", type: "string", jsonPath: ".spec.colour", priority: 1 },
            { name: "Phase", type: "string", jsonPath: ".status.phase" },
          ],
        },
        {
          name: "v1beta1",
          served: true,
          storage: false,
          schema: { openAPIV3Schema: SCHEMA },
          subresources: { status: {} },
        },
      ],
    },
  };
}

/** Makes the namespace, its default ServiceAccount and the custom resource, and waits until it is served. */
export async function prepare(target: ContractTarget): Promise<Fixture> {
  const wire = new Wire(target);
  const unique = `c${randomBytes(4).toString("hex")}`;
  const group = `${unique}.example.com`;
  const core = `/api/v1/namespaces/${unique}`;
  const widgets = `/apis/${group}/v1/namespaces/${unique}/widgets`;
  await wire.post("/api/v1/namespaces", { metadata: { name: unique } });
  // A server without controllers makes none; elsewhere this is a 409.
  await wire.post(`${core}/serviceaccounts`, { metadata: { name: "default" } });
  const created = await wire.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition(group));
  if (created.status !== 201) throw new Error(`the custom resource was refused: ${created.text}`);
  // Served means that a write goes through, not only that the path exists.
  for (let attempt = 0; ; attempt++) {
    const probe = await wire.post(`${widgets}?dryRun=All`, {
      apiVersion: `${group}/v1`,
      kind: "Widget",
      metadata: { name: "probe" },
      spec: { size: 1 },
    });
    if (probe.status === 201) break;
    if (attempt > 200) throw new Error(`the custom resource is not served: ${probe.text}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    target,
    wire,
    namespace: unique,
    group,
    widgets,
    core,
    widget: (name, spec, metadata = {}) => ({
      apiVersion: `${group}/v1`,
      kind: "Widget",
      metadata: { name, ...metadata },
      spec,
    }),
    pod: (name, metadata = {}, spec = {}) => ({
      metadata: { name, ...metadata },
      spec: { containers: [{ name: "main", image: "pause:1" }], ...spec },
    }),
  };
}

/** Removes what the suite made, finalizers included. */
export async function cleanUp({ wire, group, widgets, core, namespace }: Fixture): Promise<void> {
  for (const path of [widgets, `${core}/pods`]) {
    const list = await wire.get(path);
    for (const item of (list.body as { items?: unknown[] }).items ?? []) {
      const one = `${path}/${textAt(item, "metadata", "name")}`;
      await wire.patch(one, "application/merge-patch+json", { metadata: { finalizers: null } });
      await wire.delete(one, { gracePeriodSeconds: 0 });
    }
  }
  await wire.delete(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.${group}`);
  await wire.delete(`/api/v1/namespaces/${namespace}`);
  wire.close();
}

/** resourceVersion of an answer's object or list. */
export function versionOf(body: unknown): string {
  return textAt(body, "metadata", "resourceVersion");
}
