import type { Reply } from "./reply.ts";

/** Which identity a token request names. More than one kind is possible here and refused later, as IMDS does. */
export interface RequestedIdentity {
  readonly clientId?: string;
  readonly objectId?: string;
  /** From `msi_res_id` or `mi_res_id`. */
  readonly resourceId?: string;
}

/** `GET /metadata/identity/oauth2/token` with everything that has a meaning, and nothing else. */
export interface TokenRequest {
  readonly kind: "token";
  /** Exactly as asked for, decoded: with and without a trailing slash are two resources. */
  readonly resource: string;
  readonly apiVersion: string | undefined;
  readonly requested: RequestedIdentity;
  readonly bypassCache: boolean;
  readonly authority: string | undefined;
  /** Client capabilities (`xms_cc`): another value, another token. */
  readonly capabilities: string | undefined;
}

/** What a metadata route is about; blocking goes by category. */
export type MetadataCategory =
  | "root"
  | "identity-info"
  | "instance"
  | "versions"
  | "attested"
  | "scheduledevents"
  | "loadbalancer";

/** Another IMDS route of the allow-list. */
export interface MetadataRequest {
  readonly kind: "metadata";
  /** POST only for the approval of scheduled events, where that is allowed. */
  readonly method: "GET" | "POST";
  readonly category: MetadataCategory;
  /** Canonical path, to be sent as it is. */
  readonly path: string;
  /** Canonical order; only what the category allows. */
  readonly parameters: readonly { readonly name: string; readonly value: string }[];
}

/** Upstream's `/host/token`: a process of the host asks for a token of a pod that it names. */
export interface HostTokenRequest {
  readonly kind: "host-token";
  readonly podNamespace: string;
  readonly podName: string;
  readonly request: TokenRequest;
}

/** Why a request was refused before anybody asked who sent it; a metric label. */
export type RefusalReason =
  | "invalid-path"
  | "unknown-identity-path"
  | "blocked"
  | "forwarded"
  | "metadata-header"
  | "not-found"
  | "method"
  | "body"
  | "duplicate-header"
  | "invalid-query"
  | "unknown-id-parameter"
  | "invalid-parameter"
  | "host-token-off"
  | "missing-pod-header"
  | "not-from-host"
  | "missing-resource";

export interface Refusal {
  readonly kind: "refusal";
  readonly reason: RefusalReason;
  readonly reply: Reply;
}

export type ImdsRequest = TokenRequest | MetadataRequest | HostTokenRequest | Refusal;
