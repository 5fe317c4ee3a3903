import { mediaType, readBody } from "./body.ts";
import type { Call } from "./call.ts";
import { sendJson, sendRaw, sendUnknownPath, writeOptions } from "./call.ts";
import { deleteObject, deleteOptions } from "./deletion.ts";
import type { Json, KubeObject } from "./json.ts";
import { at } from "./json.ts";
import type { Page } from "./list.ts";
import { listJson, listPage, resourceVersion } from "./list.ts";
import type { Representation } from "./negotiation.ts";
import { representation } from "./negotiation.ts";
import { checkPatchType, patched } from "./patch.ts";
import type { RequestInfo } from "./request.ts";
import type { ResourceStorage } from "./resource-storage.ts";
import type { ResourceType } from "./resource-type.ts";
import { shown } from "./resource-type.ts";
import { selection } from "./selector.ts";
import { badRequest, methodNotAllowed, tooLargeResourceVersion } from "./status.ts";
import type { StoredRecord } from "./store.ts";
import { partialMetadata, rowObject, table } from "./table.ts";
import { Watch } from "./watch.ts";

export interface ObjectParts {
  readonly storage: ResourceStorage;
  readonly openWatch: (call: Call, watch: Watch) => void;
}

/** Get, list, watch and the writes, from request to answer. */
export class ObjectRequests {
  readonly #parts: ObjectParts;

  constructor(parts: ObjectParts) {
    this.#parts = parts;
  }

  /** Serves one request for an object, its status or a collection. */
  async serve(call: Call, type: ResourceType): Promise<void> {
    const { info } = call;
    if (!type.verbs.includes(info.verb)) throw methodNotAllowed();
    const body = ["get", "list", "watch"].includes(info.verb) ? undefined : await readBody(call.request);
    switch (info.verb) {
      case "get":
        this.#get(call, type);
        return;
      case "list":
        this.#list(call, type);
        return;
      case "watch":
        this.#watch(call, type);
        return;
      case "create":
        this.#create(call, type, body);
        return;
      case "update":
      case "patch":
        this.#update(call, type, body);
        return;
      case "delete":
        this.#delete(call, type, body);
        return;
      default:
        this.#deleteCollection(call, type, body);
    }
  }

  #get(call: Call, type: ResourceType): void {
    const wanted = resourceVersion(call.info.query, true);
    const { revision } = this.#parts.storage.store;
    if (wanted !== undefined && wanted > revision) throw tooLargeResourceVersion(wanted, revision);
    this.#sendRecord(call, type, 200, this.#parts.storage.get(type, call.info.namespace, call.info.name));
  }

  #list(call: Call, type: ResourceType): void {
    const { info } = call;
    const { store } = this.#parts.storage;
    const form = representation(call.request.headers.accept);
    const page = listPage(
      store.collection(type.storage),
      store.revision,
      this.#prefix(info, type),
      this.#selection(info, type),
      info.query,
    );
    if (form === "json") {
      sendRaw(call, 200, listJson(type, page));
      return;
    }
    sendJson(call.response, 200, this.#formed(form, type, page, info.query));
  }

  #formed(form: Representation, type: ResourceType, page: Page, query: URLSearchParams): Json {
    const objects = page.records.map((record) => shown(type, record.object));
    if (form === "metadata")
      return {
        kind: "PartialObjectMetadataList",
        apiVersion: "meta.k8s.io/v1",
        metadata: page.metadata,
        items: objects.map(partialMetadata),
      };
    return table(type, objects, {
      metadata: page.metadata,
      include: rowObject(query),
      now: this.#parts.storage.now(),
      definitions: true,
    });
  }

  #watch(call: Call, type: ResourceType): void {
    const { info } = call;
    const { storage } = this.#parts;
    const watch = new Watch(
      {
        type,
        collection: storage.store.collection(type.storage),
        prefix: this.#prefix(info, type),
        selection: this.#selection(info, type),
        query: info.query,
        form: representation(call.request.headers.accept),
      },
      { response: call.response, entry: call.entry, now: () => storage.now(), revision: () => storage.store.revision },
    );
    this.#parts.openWatch(call, watch);
    watch.start();
  }

  #create(call: Call, type: ResourceType, body: unknown): void {
    const { info } = call;
    if (type.namespaced && info.namespace === "") {
      sendUnknownPath(call.response);
      return;
    }
    if (info.name !== "") throw methodNotAllowed();
    this.#sendRecord(call, type, 201, this.#parts.storage.create(type, info.namespace, body, writeOptions(call)));
  }

  #update(call: Call, type: ResourceType, body: unknown): void {
    const { info } = call;
    const { storage } = this.#parts;
    const options = { ...writeOptions(call), requireVersion: info.verb === "update", isPatch: info.verb === "patch" };
    if (
      info.verb === "update" &&
      info.subresource === "" &&
      type.createOnUpdate &&
      storage.find(type, info.namespace, info.name) === undefined
    ) {
      const named = at(body, "metadata", "name");
      if (named !== info.name)
        throw badRequest(`the name of the object (${String(named)}) does not match the name on the URL (${info.name})`);
      this.#sendRecord(call, type, 201, storage.create(type, info.namespace, body, options));
      return;
    }
    const media = mediaType(call.request);
    if (info.verb === "patch") checkPatchType(type, media);
    const change = (present: KubeObject): unknown => (info.verb === "update" ? body : patched(media, body, present));
    this.#sendRecord(
      call,
      type,
      200,
      storage.update(type, info.namespace, info.name, info.subresource, change, options),
    );
  }

  #delete(call: Call, type: ResourceType, body: unknown): void {
    const { info } = call;
    const options = deleteOptions(info.query, body);
    const { record, gone, details } = deleteObject(this.#parts.storage, type, info.namespace, info.name, options);
    if (gone && !type.returnsDeleted)
      sendJson(call.response, 200, { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details });
    else this.#sendRecord(call, type, 200, record);
  }

  #deleteCollection(call: Call, type: ResourceType, body: unknown): void {
    const { info } = call;
    const { store } = this.#parts.storage;
    const options = deleteOptions(info.query, body);
    const page = listPage(
      store.collection(type.storage),
      store.revision,
      this.#prefix(info, type),
      this.#selection(info, type),
      info.query,
    );
    for (const { object } of page.records) {
      const { namespace = "", name } = object.metadata;
      // One deletion may take others with it.
      if (this.#parts.storage.find(type, namespace, name) !== undefined)
        deleteObject(this.#parts.storage, type, namespace, name, options);
    }
    sendRaw(call, 200, listJson(type, page));
  }

  #sendRecord(call: Call, type: ResourceType, code: number, record: StoredRecord): void {
    const form = representation(call.request.headers.accept);
    if (form === "json" && type.view === undefined) {
      sendRaw(call, code, record.json);
      return;
    }
    const object = shown(type, record.object);
    if (form === "json") sendRaw(call, code, JSON.stringify(object));
    else if (form === "metadata") sendRaw(call, code, JSON.stringify(partialMetadata(object)));
    else {
      const metadata = { resourceVersion: object.metadata.resourceVersion };
      sendRaw(
        call,
        code,
        JSON.stringify(
          table(type, [object], {
            metadata,
            include: rowObject(call.info.query),
            now: this.#parts.storage.now(),
            definitions: true,
          }),
        ),
      );
    }
  }

  #prefix(info: RequestInfo, type: ResourceType): string {
    return type.namespaced && info.namespace !== "" ? `${info.namespace}/` : "";
  }

  #selection(info: RequestInfo, type: ResourceType): ReturnType<typeof selection> {
    const fields = info.query.get("fieldSelector") ?? "";
    const named = info.name === "" ? fields : `metadata.name=${info.name}${fields === "" ? "" : `,${fields}`}`;
    return selection(type, info.query.get("labelSelector") ?? "", named);
  }
}
