import { bindingRecord, identityRecord, podRecord } from "@podid/matcher";
import type { BindingRecord, IdentityRecord, PodRecord } from "@podid/matcher";
import type { Attachment, Ownership, PodCandidate, PodDirectory, Standing } from "../src/pod-directory.ts";
import type { SourceOutcome, SourceRequest, TokenSource } from "../src/token-source.ts";
import { parseTokenAnswer } from "../src/token-answer.ts";

/** Objects and fakes that several tests share. */
export const CLIENT_1 = "11111111-1111-1111-1111-111111111111";
export const CLIENT_2 = "22222222-2222-2222-2222-222222222222";

export function resourceId(name: string): string {
  return `/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;
}

export function identity(
  name: string,
  spec: Record<string, unknown> = {},
  metadata: Record<string, unknown> = {},
): IdentityRecord {
  const record = identityRecord({
    metadata: { namespace: "default", name, uid: `uid-${name}`, resourceVersion: "1", ...metadata },
    spec: { type: 0, resourceID: resourceId(name), clientID: CLIENT_1, ...spec },
  });
  if (record === undefined) throw new Error("not an identity");
  return record;
}

export function binding(name: string, weight = 0): BindingRecord {
  const record = bindingRecord({
    metadata: { namespace: "default", name, uid: `uid-${name}` },
    spec: { azureIdentity: name, selector: "s", weight },
  });
  if (record === undefined) throw new Error("not a binding");
  return record;
}

export function pod(name: string, creationTimestamp = "2020-01-01T00:00:00Z"): PodRecord {
  const record = podRecord({
    metadata: { namespace: "default", name, uid: `uid-${name}`, creationTimestamp, labels: { aadpodidbinding: "s" } },
    spec: { nodeName: "node" },
    status: { phase: "Running" },
  });
  if (record === undefined) throw new Error("not a pod");
  return record;
}

export function candidate(
  record: IdentityRecord,
  attachment: Attachment = { kind: "attached", sinceMs: undefined },
  weight = 0,
): PodCandidate {
  return { identity: record, binding: binding(record.name, weight), attachment };
}

/** What a test says it is. */
export class FakeDirectory implements PodDirectory {
  readonly owners = new Map<string, Ownership>();
  readonly standings = new Map<string, Standing>();
  readonly #watchers = new Set<() => void>();

  put(address: string, standing: Partial<Standing> & { readonly pod: PodRecord }): void {
    this.owners.set(address, { kind: "pod", uid: standing.pod.uid });
    this.standings.set(standing.pod.uid, { excepted: false, candidates: [], denial: undefined, ...standing });
    this.changed();
  }

  changed(): void {
    for (const wake of this.#watchers) wake();
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  owner(address: string): Ownership {
    return this.owners.get(address) ?? { kind: "unknown" };
  }

  named(namespace: string, name: string): Ownership {
    for (const { pod } of this.standings.values())
      if (pod.namespace === namespace && pod.name === name) return { kind: "pod", uid: pod.uid };
    return { kind: "unknown" };
  }

  standing(podUid: string): Standing | undefined {
    return this.standings.get(podUid);
  }

  watch(wake: () => void): () => void {
    this.#watchers.add(wake);
    return () => this.#watchers.delete(wake);
  }
}

/** Answers what the script says, then the last of it for ever; records what it was asked. */
export class FakeSource implements TokenSource {
  readonly requests: SourceRequest[] = [];
  script: (SourceOutcome | (() => Promise<SourceOutcome>))[];

  constructor(...script: (SourceOutcome | (() => Promise<SourceOutcome>))[]) {
    this.script = script;
  }

  async fetch(request: SourceRequest): Promise<SourceOutcome> {
    this.requests.push(request);
    const next = this.script.length > 1 ? this.script.shift() : this.script[0];
    if (next === undefined) throw new Error("no outcome in the script");
    return typeof next === "function" ? next() : next;
  }
}

export function imdsBody(fields: Record<string, unknown> = {}): string {
  return JSON.stringify({
    access_token: "header.e30.signature",
    client_id: CLIENT_1,
    expires_in: "86399",
    expires_on: String(Date.UTC(2026, 0, 2) / 1000),
    ext_expires_in: "86399",
    not_before: String(Date.UTC(2026, 0, 1) / 1000),
    resource: "https://vault.azure.net",
    token_type: "Bearer",
    ...fields,
  });
}

export function token(accessToken = "header.e30.signature", expiresInSeconds = 86_400): SourceOutcome {
  const parsed = parseTokenAnswer(
    JSON.stringify({
      access_token: accessToken,
      client_id: CLIENT_1,
      expires_in: String(expiresInSeconds),
      token_type: "Bearer",
    }),
    0,
  );
  if (!parsed.ok) throw new Error(parsed.why);
  return { kind: "token", answer: parsed.answer };
}

/** An unsigned JWT with these claims. */
export function jwt(claims: Record<string, unknown>): string {
  return `h.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.s`;
}
