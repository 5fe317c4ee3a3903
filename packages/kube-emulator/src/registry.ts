import { BUILTIN_RESOURCES } from "./builtin-resources.ts";
import { CUSTOM_RESOURCE_DEFINITIONS, typesOf } from "./custom-resource.ts";
import type { KubeObject } from "./json.ts";
import type { ResourceType } from "./resource-type.ts";
import { apiVersionOf } from "./resource-type.ts";

/** The resources that are served right now. */
export class Registry {
  readonly #types = new Map<string, ResourceType>();
  readonly #defined = new Map<string, readonly ResourceType[]>();
  /** Rises with every change; caches of discovery documents hang on it. */
  generation = 0;

  constructor() {
    for (const type of [...BUILTIN_RESOURCES, CUSTOM_RESOURCE_DEFINITIONS])
      this.#types.set(key(type.group, type.version, type.plural), type);
  }

  find(group: string, version: string, plural: string): ResourceType | undefined {
    return this.#types.get(key(group, version, plural));
  }

  all(): readonly ResourceType[] {
    return [...this.#types.values()];
  }

  /** `apiVersion` → its types, in the order in which a client should prefer them. */
  groupVersions(): Map<string, ResourceType[]> {
    const found = new Map<string, ResourceType[]>();
    for (const type of this.#types.values()) {
      const name = apiVersionOf(type);
      found.set(name, [...(found.get(name) ?? []), type]);
    }
    return found;
  }

  define(crd: KubeObject): readonly ResourceType[] {
    this.undefine(crd.metadata.name);
    const types = typesOf(crd);
    for (const type of types) this.#types.set(key(type.group, type.version, type.plural), type);
    this.#defined.set(crd.metadata.name, types);
    return types;
  }

  undefine(name: string): void {
    for (const type of this.#defined.get(name) ?? []) this.#types.delete(key(type.group, type.version, type.plural));
    this.#defined.delete(name);
    this.generation += 1;
  }
}

function key(group: string, version: string, plural: string): string {
  return `${group}/${version}/${plural}`;
}
