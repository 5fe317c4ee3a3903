import { randomUUID } from "node:crypto";
import type { Json, KubeObject } from "./json.ts";
import { at, isObject, listAt, textAt } from "./json.ts";
import { timestamp } from "./object-meta.ts";
import type { SigningKey } from "./signing-key.ts";
import { badRequest, conflict, invalid, notFound } from "./status.ts";
import type { Store } from "./store.ts";

/** Who a token speaks for, in the words of authentication.k8s.io UserInfo. */
export interface User {
  readonly username: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

interface Binding {
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

const POD = { group: "", plural: "pods", kind: "Pod" };
const SERVICE_ACCOUNT = { group: "", plural: "serviceaccounts", kind: "ServiceAccount" };
const TOKEN_REQUEST = { group: "authentication.k8s.io", kind: "TokenRequest" };

/** Issues and verifies ServiceAccount tokens with the claims of kube-apiserver's (pkg/serviceaccount). */
export class TokenAuthority {
  readonly issuer: string;
  /** Audiences for which the API server itself is meant. */
  readonly audiences: readonly string[];
  readonly #store: Store;
  readonly #key: SigningKey;
  readonly #now: () => number;

  constructor(o: { issuer: string; audiences: readonly string[]; store: Store; key: SigningKey; now: () => number }) {
    this.issuer = o.issuer;
    this.audiences = o.audiences;
    this.#store = o.store;
    this.#key = o.key;
    this.#now = o.now;
  }

  /** Answers `POST serviceaccounts/NAME/token`. */
  async request(namespace: string, name: string, body: unknown): Promise<Json> {
    const account = this.#store.collection("/serviceaccounts").get(`${namespace}/${name}`)?.object;
    if (account === undefined) throw notFound(SERVICE_ACCOUNT, name);
    const asked = at(body, "spec");
    const seconds = at(asked, "expirationSeconds") ?? 3600;
    if (typeof seconds !== "number")
      throw badRequest(
        'TokenRequest in version "v1" cannot be handled as a TokenRequest: spec.expirationSeconds is not a number',
      );
    const range = (message: string): Error =>
      invalid(TOKEN_REQUEST, "", [
        {
          reason: "FieldValueInvalid",
          field: "spec.expirationSeconds",
          message: `Invalid value: ${seconds}: ${message}`,
        },
      ]);
    if (seconds < 600) throw range("may not specify a duration less than 10 minutes");
    if (seconds > 2 ** 32) throw range("may not specify a duration larger than 2^32 seconds");
    const audiences = listAt(asked, "audiences").map(String);
    const reference = at(asked, "boundObjectRef");
    const bound = isObject(reference) ? this.#bound(account, reference) : undefined;
    const granted = audiences.length === 0 ? this.audiences : audiences;
    const { token, expiresAt } = await this.issue(account, {
      audiences: granted,
      seconds,
      ...(bound === undefined ? {} : { bound }),
    });
    return {
      kind: "TokenRequest",
      apiVersion: "authentication.k8s.io/v1",
      metadata: { name, namespace, uid: account.metadata.uid, creationTimestamp: timestamp(this.#now()) },
      spec: {
        audiences: granted,
        expirationSeconds: seconds,
        boundObjectRef: bound === undefined ? null : reference,
      },
      status: { token, expirationTimestamp: timestamp(expiresAt) },
    };
  }

  async issue(
    account: KubeObject,
    o: { audiences: readonly string[]; seconds: number; bound?: Binding },
  ): Promise<{ token: string; expiresAt: number }> {
    const now = Math.floor(this.#now() / 1000);
    const { namespace = "", name, uid } = account.metadata;
    const own: Json = { namespace, serviceaccount: { name, uid } };
    if (o.bound !== undefined) own[o.bound.kind.toLowerCase()] = { name: o.bound.name, uid: o.bound.uid };
    if (o.bound?.kind === "Pod") {
      const nodeName = textAt(
        this.#store.collection("/pods").get(`${namespace}/${o.bound.name}`)?.object,
        "spec",
        "nodeName",
      );
      const node = this.#store.collection("/nodes").get(nodeName)?.object;
      if (nodeName !== "") own.node = { name: nodeName, ...(node === undefined ? {} : { uid: node.metadata.uid }) };
    }
    const token = await this.#key.sign({
      aud: o.audiences,
      exp: now + o.seconds,
      iat: now,
      iss: this.issuer,
      jti: randomUUID(),
      "kubernetes.io": own,
      nbf: now,
      sub: `system:serviceaccount:${namespace}:${name}`,
    });
    return { token, expiresAt: (now + o.seconds) * 1000 };
  }

  /** The user of a valid token that was meant for one of `audiences`; otherwise why not. */
  async review(
    token: string,
    audiences: readonly string[],
  ): Promise<{ user: User; audiences: string[] } | { error: string }> {
    const verdict = await this.#key.verify(token, { issuer: this.issuer, now: this.#now() });
    if ("refused" in verdict)
      return {
        error:
          verdict.refused === "expired"
            ? "[invalid bearer token, service account token has expired]"
            : "invalid bearer token",
      };
    const { claims } = verdict;
    const meant = listAt(claims, "aud")
      .map(String)
      .filter((audience) => audiences.includes(audience));
    if (meant.length === 0)
      return {
        error: `[invalid bearer token, token audiences ${JSON.stringify(claims.aud)} is invalid for the target audiences ${JSON.stringify(audiences)}]`,
      };
    const own = at(claims, "kubernetes.io");
    const namespace = textAt(own, "namespace");
    const extra: Record<string, string[]> = {
      "authentication.kubernetes.io/credential-id": [`JTI=${textAt(claims, "jti")}`],
    };
    for (const [kind, storage, key] of [
      ["serviceaccount", "/serviceaccounts", `${namespace}/`],
      ["pod", "/pods", `${namespace}/`],
      ["secret", "/secrets", `${namespace}/`],
      ["node", "/nodes", ""],
    ] as const) {
      const name = textAt(own, kind, "name");
      if (name === "") continue;
      const object = this.#store.collection(storage).get(key + name)?.object;
      const uid = textAt(own, kind, "uid");
      // A token bound to a pod stays valid when its node goes, as there.
      if (kind !== "node" && object?.metadata.uid !== uid)
        return { error: `[invalid bearer token, service account token has been invalidated]` };
      if (kind === "serviceaccount") continue;
      extra[`authentication.kubernetes.io/${kind}-name`] = [name];
      if (uid !== "") extra[`authentication.kubernetes.io/${kind}-uid`] = [uid];
    }
    const user = {
      username: textAt(claims, "sub"),
      uid: textAt(own, "serviceaccount", "uid"),
      groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
      extra,
    };
    return { user, audiences: meant };
  }

  #bound(account: KubeObject, reference: Json): Binding {
    const { namespace = "", name: accountName } = account.metadata;
    const kind = textAt(reference, "kind");
    const name = textAt(reference, "name");
    const wanted = textAt(reference, "uid");
    if (kind !== "Pod" && kind !== "Secret")
      throw badRequest(`cannot bind token to object of type /${textAt(reference, "apiVersion")}, Kind=${kind}`);
    const resource = kind === "Pod" ? POD : { group: "", plural: "secrets", kind: "Secret" };
    const object = this.#store.collection(`/${resource.plural}`).get(`${namespace}/${name}`)?.object;
    if (object === undefined) throw notFound(resource, name);
    if (kind === "Pod" && textAt(object, "spec", "serviceAccountName") !== accountName) {
      throw badRequest(
        `cannot bind token for serviceaccount ${JSON.stringify(accountName)} to pod running with different serviceaccount name.`,
      );
    }
    const uid = String(object.metadata.uid);
    if (wanted !== "" && wanted !== uid) {
      throw conflict(
        { ...resource, plural: kind },
        name,
        `the UID in the bound object reference (${wanted}) does not match the UID in record. The object might have been deleted and then recreated`,
      );
    }
    return { kind, name, uid };
  }
}
