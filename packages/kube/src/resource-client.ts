import type { KubeList, KubeObject, WatchEvent } from "./kube-object.ts";
import { apiVersionOf, resourcePath } from "./resource.ts";
import type { Resource } from "./resource.ts";
import type { KubeRequest, KubeTransport } from "./transport.ts";

export interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
}

export interface ListOptions extends RequestOptions {
  /** Absent: all namespaces. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly limit?: number | undefined;
  readonly continue?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly resourceVersionMatch?: "Exact" | "NotOlderThan" | undefined;
}

export interface WatchOptions extends RequestOptions {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly resourceVersionMatch?: "NotOlderThan" | undefined;
  readonly sendInitialEvents?: boolean | undefined;
  readonly allowWatchBookmarks?: boolean | undefined;
  /** After which the server ends the watch. */
  readonly timeoutSeconds?: number | undefined;
}

export interface WriteOptions extends RequestOptions {
  readonly dryRun?: boolean | undefined;
  readonly fieldManager?: string | undefined;
  readonly fieldValidation?: "Ignore" | "Warn" | "Strict" | undefined;
}

export interface Patch extends WriteOptions {
  readonly type: "json" | "merge" | "strategic" | "apply";
  readonly body: unknown;
  readonly subresource?: string | undefined;
  /** Server-side apply only: take over fields of other managers. */
  readonly force?: boolean | undefined;
}

export interface DeleteOptions extends RequestOptions {
  /** Preconditions: 409 unless the stored object has this UID and version. */
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly gracePeriodSeconds?: number | undefined;
  readonly propagationPolicy?: "Orphan" | "Background" | "Foreground" | undefined;
  readonly dryRun?: boolean | undefined;
}

const PATCH_TYPES = {
  json: "application/json-patch+json",
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  apply: "application/apply-patch+yaml",
} as const;

/** Typed requests for one resource. Every method rejects with {@link KubeError}. */
export class ResourceClient<T extends KubeObject = KubeObject> {
  readonly resource: Resource;
  readonly #transport: KubeTransport;

  constructor(transport: KubeTransport, resource: Resource) {
    this.#transport = transport;
    this.resource = resource;
  }

  get(
    name: string,
    namespace?: string,
    options: RequestOptions & { readonly resourceVersion?: string } = {},
  ): Promise<T> {
    const { resourceVersion, ...rest } = options;
    return this.#send({
      method: "GET",
      path: resourcePath(this.resource, { namespace, name }),
      query: { resourceVersion },
      ...rest,
    });
  }

  /** One page; `metadata.continue` asks for the next. Items carry apiVersion and kind, which the server leaves out. */
  async list(options: ListOptions = {}): Promise<KubeList<T>> {
    const { namespace, signal, timeoutMs, ...query } = options;
    const list = await this.#send<KubeList<T>>({
      method: "GET",
      path: resourcePath(this.resource, { namespace }),
      query,
      signal,
      timeoutMs,
    });
    const apiVersion = apiVersionOf(this.resource);
    const items = list.items ?? [];
    for (const item of items) {
      item.apiVersion ??= apiVersion;
      item.kind ??= this.resource.kind;
    }
    return { metadata: list.metadata ?? {}, items };
  }

  /** Events as the server sends them; an `ERROR` event's object is a `Status`. */
  async watch(options: WatchOptions = {}): Promise<AsyncIterable<WatchEvent<T>>> {
    const { namespace, signal, timeoutMs, ...query } = options;
    const path = resourcePath(this.resource, { namespace });
    const stream = await this.#transport.stream({
      method: "GET",
      path,
      query: { watch: true, ...query },
      signal,
      timeoutMs,
    });
    return stream as AsyncIterable<WatchEvent<T>>;
  }

  create(object: T, options: WriteOptions = {}): Promise<T> {
    const { namespace } = object.metadata;
    if (this.resource.namespaced && !namespace)
      throw new TypeError(
        `${this.resource.plural}: metadata.namespace of ${JSON.stringify(object.metadata.name)} is missing; set it`,
      );
    return this.#write("POST", resourcePath(this.resource, { namespace }), this.#typed(object), options);
  }

  /** Replaces the object; 409 when its resourceVersion is not the stored one. */
  update(object: T, options: WriteOptions = {}): Promise<T> {
    return this.#write("PUT", this.#pathOf(object), this.#typed(object), options);
  }

  updateStatus(object: T, options: WriteOptions = {}): Promise<T> {
    return this.#write("PUT", this.#pathOf(object, "status"), this.#typed(object), options);
  }

  patch(name: string, namespace: string | undefined, patch: Patch): Promise<T> {
    const { type, body, subresource, force, ...options } = patch;
    const path = resourcePath(this.resource, {
      namespace,
      name,
      ...(subresource === undefined ? {} : { subresource }),
    });
    return this.#write("PATCH", path, body, options, { contentType: PATCH_TYPES[type], query: { force } });
  }

  /** The deleted object while finalizers or a grace period keep it, else the server's `Status`. */
  delete(name: string, namespace?: string, options: DeleteOptions = {}): Promise<T | KubeObject> {
    const { uid, resourceVersion, gracePeriodSeconds, propagationPolicy, dryRun, ...rest } = options;
    const preconditions = uid === undefined && resourceVersion === undefined ? undefined : { uid, resourceVersion };
    const body = {
      apiVersion: "v1",
      kind: "DeleteOptions",
      gracePeriodSeconds,
      propagationPolicy,
      preconditions,
      ...(dryRun ? { dryRun: ["All"] } : {}),
    };
    return this.#send({ method: "DELETE", path: resourcePath(this.resource, { namespace, name }), body, ...rest });
  }

  #pathOf(object: T, subresource?: string): string {
    const { name, namespace } = object.metadata;
    return resourcePath(this.resource, { namespace, name, ...(subresource === undefined ? {} : { subresource }) });
  }

  #typed(object: T): T {
    return { apiVersion: apiVersionOf(this.resource), kind: this.resource.kind, ...object };
  }

  #write(
    method: "POST" | "PUT" | "PATCH",
    path: string,
    body: unknown,
    { dryRun, fieldManager, fieldValidation, ...rest }: WriteOptions,
    extra: Pick<KubeRequest, "contentType" | "query"> = {},
  ): Promise<T> {
    const query = { ...extra.query, dryRun: dryRun ? "All" : undefined, fieldManager, fieldValidation };
    return this.#send({ method, path, body, ...rest, ...extra, query });
  }

  #send<R = T>(request: KubeRequest): Promise<R> {
    return this.#transport.request<R>(request);
  }
}
