import { parseIdentityResourceId, redactClientId } from "@podid/crd-types";
import { compareBindings } from "./binding-order.ts";
import type { Denial, DenialReason } from "./denial.ts";
import type { BindingRecord, IdentityRecord } from "./records.ts";

/** An identity that a pod may use now. */
export interface Candidate {
  readonly identity: IdentityRecord;
  readonly binding: BindingRecord;
  /** Principal id of the identity, where it is known. */
  readonly objectId?: string | undefined;
}

/** Which identity a token request names: at most one of the three. An empty text counts as absent. */
export interface IdentityRequest {
  readonly clientId?: string | undefined;
  readonly objectId?: string | undefined;
  /** ARM id of the identity, in any casing. */
  readonly resourceId?: string | undefined;
}

export type Selection<C extends Candidate = Candidate> =
  | {
      readonly kind: "selected";
      readonly candidate: C;
      /** How many further candidates fit the request as well; without a named identity that is worth a warning. */
      readonly others: number;
    }
  | { readonly kind: "denied"; readonly denial: Denial };

/**
 * Which of a pod's identities a token request means. Ids are compared in one normalised form, whatever their casing; of several
 * that fit, the highest weight wins, then the first binding by namespace and name, whatever order the candidates come in.
 */
export function select<C extends Candidate>(candidates: readonly C[], request: IdentityRequest): Selection<C> {
  const { clientId, objectId, resourceId } = request;
  const named = [clientId, objectId, resourceId].filter((id) => id !== undefined && id !== "");
  if (named.length > 1) {
    return denied(
      "ambiguous-request",
      "the request names its identity in more than one way: send only one of client_id, object_id and msi_res_id",
    );
  }
  if (candidates.length === 0) {
    return denied("no-candidate", "no azure identity found: the pod has none that can be used now");
  }
  if (clientId) {
    const wanted = clientId.toLowerCase();
    return pick(
      candidates.filter(({ identity }) => identity.spec.clientID?.toLowerCase() === wanted),
      `no azure identity found for request clientID ${redactClientId(clientId)}: the pod is bound to none with this client id`,
    );
  }
  if (resourceId) {
    const wanted = resourceKey(resourceId);
    return pick(
      candidates.filter(({ identity }) => keyOf(identity) === wanted),
      `no azure identity found for request resourceID ${JSON.stringify(resourceId)}: the pod is bound to none with this resource id`,
    );
  }
  if (objectId) return selectByObjectId(candidates, objectId);
  return pick(candidates, "");
}

function selectByObjectId<C extends Candidate>(candidates: readonly C[], objectId: string): Selection<C> {
  const wanted = objectId.toLowerCase();
  const fitting = candidates.filter((candidate) => candidate.objectId?.toLowerCase() === wanted);
  if (fitting.length === 0 && candidates.some((candidate) => candidate.objectId === undefined)) {
    return denied(
      "object-id-unknown",
      `no azure identity found for request object_id ${redactClientId(objectId)}: the object ids of the pod's identities are not all known yet; ask by client_id or msi_res_id`,
    );
  }
  return pick(
    fitting,
    `no azure identity found for request object_id ${redactClientId(objectId)}: the pod is bound to none with this object id`,
  );
}

function pick<C extends Candidate>(fitting: readonly C[], otherwise: string): Selection<C> {
  const [first, ...rest] = fitting;
  if (first === undefined) return denied("identity-not-bound", otherwise);
  const candidate = rest.reduce((best, next) => (compareCandidates(next, best) < 0 ? next : best), first);
  return { kind: "selected", candidate, others: rest.length };
}

function compareCandidates(a: Candidate, b: Candidate): number {
  return b.binding.weight - a.binding.weight || compareBindings(a.binding, b.binding);
}

function keyOf(identity: IdentityRecord): string | undefined {
  const { resourceID } = identity.spec;
  return identity.resourceKey ?? (resourceID === undefined ? undefined : resourceKey(resourceID));
}

/** Service principals may carry any text as their resource id; it is compared without regard to casing as well. */
function resourceKey(text: string): string {
  const parsed = parseIdentityResourceId(text);
  return parsed.ok ? parsed.value.key : text.toLowerCase();
}

function denied(reason: DenialReason, message: string): { readonly kind: "denied"; readonly denial: Denial } {
  return { kind: "denied", denial: { reason, message } };
}
