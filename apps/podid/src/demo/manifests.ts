import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { RESOURCES, type KubeObject, type Resource } from "@podid/kube";
import { parseAllDocuments } from "yaml";

/** The quick start's manifests, the same files that a user applies to a cluster. */
export const QUICK_START = join(import.meta.dirname, "../../../../deploy/demo");

export interface Manifest {
  readonly file: string;
  readonly resource: Resource;
  readonly object: KubeObject;
}

/** @throws Error naming the file when there is none, or one that is not a manifest of a known kind */
export function readManifests(folder: string): Manifest[] {
  const files = readdirSync(folder)
    .filter((name) => /\.ya?ml$/.test(name))
    .toSorted();
  if (files.length === 0) throw new Error(`${folder} holds no manifest (*.yaml)`);
  return files.flatMap((file) => parseManifests(readFileSync(join(folder, file), "utf8"), file));
}

/** Every document of a file; a namespaced object without one goes to `default`, as with kubectl. */
export function parseManifests(text: string, file: string): Manifest[] {
  return parseAllDocuments(text).flatMap((document): Manifest[] => {
    if (document.errors.length > 0) throw new Error(`${file}: ${document.errors[0]?.message}`);
    const object = document.toJS() as KubeObject | null;
    if (object === null) return [];
    const resource = Object.values(RESOURCES).find(
      ({ kind, group, version }) =>
        kind === object.kind && object.apiVersion === (group === "" ? version : `${group}/${version}`),
    );
    if (resource === undefined)
      throw new Error(`${file}: ${object.apiVersion} ${object.kind} is no kind that the demo applies`);
    if (resource.namespaced) object.metadata.namespace ??= "default";
    return [{ file, resource, object }];
  });
}
