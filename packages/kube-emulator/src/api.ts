import type { IncomingMessage, ServerResponse } from "node:http";
import type { AuditEntry } from "./audit-log.ts";
import { mediaType, readBody } from "./body.ts";
import { deleteObject, deleteOptions } from "./deletion.ts";
import { group, groupList, resourceList, VERSION } from "./discovery.ts";
import type { Json, KubeObject } from "./json.ts";
import { at } from "./json.ts";
import { listJson, listPage, resourceVersion } from "./list.ts";
import type { Page } from "./list.ts";
import { representation } from "./negotiation.ts";
import type { Representation } from "./negotiation.ts";
import { openApiDocument, openApiIndex, openApiV2 } from "./openapi.ts";
import { checkPatchType, patched } from "./patch.ts";
import { bindPod } from "./pod-binding.ts";
import { podLogOptions } from "./pod-log.ts";
import type { PodLogs } from "./pod-log.ts";
import type { Registry } from "./registry.ts";
import type { RequestInfo } from "./request.ts";
import type { ResourceStorage, WriteOptions } from "./resource-storage.ts";
import type { ResourceType } from "./resource-type.ts";
import { shown } from "./resource-type.ts";
import { review } from "./reviews.ts";
import { selection } from "./selector.ts";
import type { TokenAuthority, User } from "./service-account-token.ts";
import { ApiError, badRequest, invalid, methodNotAllowed, notFound, tooLargeResourceVersion } from "./status.ts";
import type { StoredRecord } from "./store.ts";
import { partialMetadata, rowObject, table } from "./table.ts";
import { Watch } from "./watch.ts";

/** A request with everything that is known about it. */
export interface Call {
  readonly info: RequestInfo;
  readonly user: User;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly warnings: string[];
  /** Where the request is recorded. */
  readonly entry: AuditEntry;
}

export interface ApiParts {
  readonly storage: ResourceStorage;
  readonly registry: Registry;
  readonly tokens: TokenAuthority;
  readonly jwksUri: () => string;
  readonly jwks: () => Json;
  /** A status of authentication.k8s.io TokenReview. */
  readonly reviewToken: (token: string, audiences: readonly string[]) => Json;
  readonly podLogs: PodLogs | undefined;
  readonly openWatch: (call: Call, watch: Watch) => void;
}

/** Everything that a client may ask for, once it is known who asks. */
export class Api {
  readonly #parts: ApiParts;

  constructor(parts: ApiParts) {
    this.#parts = parts;
  }

  /** Paths that need no credentials. Answers whether it was one of them. */
  servePublic(info: RequestInfo, response: ServerResponse): boolean {
    switch (info.path) {
      case "/healthz":
      case "/livez":
      case "/readyz":
        sendText(response, 200, "ok");
        return true;
      case "/version":
      case "/version/":
        sendJson(response, 200, VERSION);
        return true;
      case "/.well-known/openid-configuration":
        sendJson(response, 200, {
          issuer: this.#parts.tokens.issuer,
          jwks_uri: this.#parts.jwksUri(),
          response_types_supported: ["id_token"],
          subject_types_supported: ["public"],
          id_token_signing_alg_values_supported: ["RS256"],
        });
        return true;
      case "/openid/v1/jwks":
        sendJson(response, 200, this.#parts.jwks(), { "content-type": "application/jwk-set+json" });
        return true;
      default:
        return false;
    }
  }

  async serve(call: Call): Promise<void> {
    const { info } = call;
    if (!info.isResource) {
      this.#serveDiscovery(call);
      return;
    }
    const type = this.#parts.registry.find(info.group, info.version, info.resource);
    if (type === undefined) {
      await this.#serveReview(call);
      return;
    }
    const reachable = type.namespaced
      ? info.namespace !== "" || info.name === ""
      : info.namespace === "" || type.storage === "/namespaces";
    if (!reachable) sendUnknownPath(call.response);
    else if (info.subresource === "" || (info.subresource === "status" && type.hasStatus))
      await this.#serveObject(call, type);
    else await this.#serveSubresource(call, type);
  }

  #serveDiscovery({ info, response }: Call): void {
    const { registry } = this.#parts;
    const path = info.path.replace(/\/$/, "");
    const [root, first, second] = path.split("/").filter((part) => part !== "");
    let document: Json | undefined;
    if (path === "/api") document = { kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: [] };
    else if (path === "/apis") document = groupList(registry);
    else if (root === "api" && first === "v1" && second === undefined) document = resourceList(registry, "v1");
    else if (root === "apis" && second !== undefined) document = resourceList(registry, `${first}/${second}`);
    else if (root === "apis" && first !== undefined) document = group(registry, first);
    else if (path === "/openapi/v2") document = openApiV2(registry);
    else if (path === "/openapi/v3") document = openApiIndex(registry);
    else if (path.startsWith("/openapi/v3/api"))
      document = openApiDocument(registry, path.replace(/^\/openapi\/v3\/apis?\//, ""));
    else if (path === "")
      document = {
        paths: [
          "/api",
          "/apis",
          "/healthz",
          "/livez",
          "/openapi/v2",
          "/openapi/v3",
          "/openid/v1/jwks",
          "/readyz",
          "/version",
        ],
      };
    if (info.method !== "GET") throw methodNotAllowed();
    if (document === undefined) sendUnknownPath(response);
    else sendJson(response, 200, document);
  }

  async #serveReview({ info, user, request, response }: Call): Promise<void> {
    const { tokens, reviewToken } = this.#parts;
    const body = info.verb === "create" ? await readBody(request) : undefined;
    const answer =
      ["authentication.k8s.io", "authorization.k8s.io"].includes(info.group) && body !== undefined
        ? review(info.resource, body, user, reviewToken, tokens)
        : undefined;
    if (answer === undefined) sendUnknownPath(response);
    else sendJson(response, 201, answer);
  }

  async #serveObject(call: Call, type: ResourceType): Promise<void> {
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
    this.#sendRecord(call, type, 201, this.#parts.storage.create(type, info.namespace, body, this.#options(call)));
  }

  #update(call: Call, type: ResourceType, body: unknown): void {
    const { info } = call;
    const { storage } = this.#parts;
    const options = { ...this.#options(call), requireVersion: info.verb === "update", isPatch: info.verb === "patch" };
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

  async #serveSubresource(call: Call, type: ResourceType): Promise<void> {
    const { info, response } = call;
    const { storage, tokens } = this.#parts;
    const what = `${type.storage}/${info.subresource} ${info.verb}`;
    switch (what) {
      case "/pods/binding create":
        bindPod(storage, info.namespace, info.name, await readBody(call.request), this.#options(call));
        sendJson(response, 201, { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 });
        return;
      case "/pods/eviction create": {
        const body = await readBody(call.request);
        deleteObject(storage, type, info.namespace, info.name, deleteOptions(info.query, at(body, "deleteOptions")));
        sendJson(response, 201, { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 });
        return;
      }
      case "/pods/log get":
        await this.#sendLog(call, type);
        return;
      case "/serviceaccounts/token create":
        sendJson(response, 201, tokens.request(info.namespace, info.name, await readBody(call.request)));
        return;
      default:
        if (type.custom) throw notFound(type, info.name);
        sendUnknownPath(response);
    }
  }

  async #sendLog({ info, response }: Call, type: ResourceType): Promise<void> {
    const { storage, podLogs } = this.#parts;
    const pod = storage.get(type, info.namespace, info.name).object;
    const options = podLogOptions(pod, info.query);
    if (podLogs === undefined)
      throw new ApiError(501, "NotImplemented", "nothing runs pods here: the emulator was started without podLogs");
    const closed = new AbortController();
    response.on("close", () => closed.abort());
    const lines = await podLogs({ ...options, signal: closed.signal });
    if (lines === undefined) throw notFound(type, info.name);
    response.writeHead(200, { "content-type": "text/plain" });
    response.flushHeaders();
    for await (const chunk of lines) {
      if (closed.signal.aborted) return;
      response.write(chunk);
    }
    response.end();
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

  #options(call: Call): WriteOptions {
    const { query } = call.info;
    const dryRun = query.getAll("dryRun").filter((value) => value !== "");
    const unsupported = dryRun.find((value) => value !== "All");
    const options = {
      group: "meta.k8s.io",
      kind:
        { create: "CreateOptions", update: "UpdateOptions", patch: "PatchOptions" }[call.info.verb] ?? "DeleteOptions",
    };
    if (unsupported !== undefined) {
      throw invalid(options, "", [
        {
          reason: "FieldValueNotSupported",
          field: "dryRun",
          message: `Unsupported value: ${JSON.stringify(dryRun)}: supported values: "All"`,
        },
      ]);
    }
    const validation = query.get("fieldValidation") ?? "";
    if (!["", "Strict", "Warn", "Ignore"].includes(validation)) {
      throw invalid(options, "", [
        {
          reason: "FieldValueNotSupported",
          field: "fieldValidation",
          message: `Unsupported value: ${JSON.stringify(validation)}: supported values: "", "Ignore", "Strict", "Warn"`,
        },
      ]);
    }
    return {
      dryRun: dryRun.length > 0,
      fieldValidation: validation === "Strict" || validation === "Ignore" ? validation : "Warn",
      warn: (text) => void call.warnings.push(text),
    };
  }
}

function sendRaw({ response, warnings, entry }: Call, code: number, body: string): void {
  // RFC 7234 warn-code 299 with an unknown agent, as kube-apiserver writes it.
  if (warnings.length > 0)
    response.setHeader(
      "warning",
      warnings.map((text) => `299 - ${JSON.stringify(text)}`),
    );
  const bytes = Buffer.from(body);
  response.writeHead(code, {
    "content-type": "application/json",
    "cache-control": "no-cache, private",
    "content-length": bytes.length,
  });
  entry.bytes += bytes.length;
  response.end(bytes);
}

export function sendJson(
  response: ServerResponse,
  code: number,
  body: Json,
  headers: Record<string, string> = {},
): void {
  response.writeHead(code, { "content-type": "application/json", "cache-control": "no-cache, private", ...headers });
  response.end(JSON.stringify(body));
}

function sendText(response: ServerResponse, code: number, body: string): void {
  response.writeHead(code, { "content-type": "text/plain; charset=utf-8" });
  response.end(body);
}

/** What kube-apiserver says about paths that no handler claims. */
function sendUnknownPath(response: ServerResponse): void {
  sendText(response, 404, "404 page not found\n");
}
