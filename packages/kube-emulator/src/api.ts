import type { ServerResponse } from "node:http";
import { readBody } from "./body.ts";
import type { Call } from "./call.ts";
import { sendJson, sendUnknownPath } from "./call.ts";
import { serveDiscovery, servePublic } from "./documents.ts";
import type { Json } from "./json.ts";
import type { ObjectParts } from "./object-requests.ts";
import { ObjectRequests } from "./object-requests.ts";
import type { Registry } from "./registry.ts";
import type { RequestInfo } from "./request.ts";
import { review } from "./reviews.ts";
import type { SubresourceParts } from "./subresources.ts";
import { serveSubresource } from "./subresources.ts";

export interface ApiParts extends ObjectParts, SubresourceParts {
  readonly registry: Registry;
  readonly jwksUri: string;
  readonly jwks: () => Promise<Json>;
  /** A status of authentication.k8s.io TokenReview. */
  readonly reviewToken: (token: string, audiences: readonly string[]) => Promise<Json>;
}

/** Everything that a client may ask for. */
export class Api {
  readonly #parts: ApiParts;
  readonly #objects: ObjectRequests;

  constructor(parts: ApiParts) {
    this.#parts = parts;
    this.#objects = new ObjectRequests(parts);
  }

  /** Answers what needs no credentials; false when that is not what is asked for. */
  async servePublic(info: RequestInfo, response: ServerResponse): Promise<boolean> {
    const { tokens, jwksUri, jwks } = this.#parts;
    return servePublic(info, response, { issuer: tokens.issuer, jwksUri, jwks });
  }

  async serve(call: Call): Promise<void> {
    const { info } = call;
    if (!info.isResource) {
      serveDiscovery(call, this.#parts.registry);
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
      await this.#objects.serve(call, type);
    else await serveSubresource(call, type, this.#parts);
  }

  async #serveReview({ info, user, request, response }: Call): Promise<void> {
    const { tokens, reviewToken } = this.#parts;
    const body = info.verb === "create" ? await readBody(request) : undefined;
    const answer =
      ["authentication.k8s.io", "authorization.k8s.io"].includes(info.group) && body !== undefined
        ? await review(info.resource, body, user, reviewToken, tokens)
        : undefined;
    if (answer === undefined) sendUnknownPath(response);
    else sendJson(response, 201, answer);
  }
}
