import { redactClientId } from "@podid/crd-types";
import { select } from "@podid/matcher";
import type { Denial, DenialReason } from "@podid/matcher";
import type { PodCandidate, Standing } from "./pod-directory.ts";
import type { RequestedIdentity } from "./request.ts";

export type Decision =
  /** Send the request to IMDS as the node's own. */
  | { readonly kind: "forward" }
  | { readonly kind: "serve"; readonly candidate: PodCandidate; readonly others: number }
  /** Nothing to answer yet. */
  | {
      readonly kind: "park";
      readonly denial: WaitReason;
      readonly recheckInMs?: number;
      /** The longest, where it is not the rules' ordinary time. */
      readonly waitMs?: number;
    }
  | { readonly kind: "deny"; readonly status: number; readonly denial: Denial };

/** Like a denial, but it may pass. */
export interface WaitReason {
  readonly reason: DenialReason | "not-attached";
  readonly message: string;
}

export interface DecisionRules {
  /** How long after a pod's creation its binding may still be on its way: Helm creates custom resources after Deployments. */
  readonly bindingGraceMs: number;
  /** Status for an identity that is another pod's: 403 is final for every SDK and its text is shown; upstream's is 404. */
  readonly foreignIdentityStatus: 403 | 404;
  /** Wait as long as upstream waited, for whatever it waited, and say it in its words. */
  readonly upstreamWaiting?: UpstreamWaiting | undefined;
}

/** Upstream's budgets: it looked every so often, so many times for an assigned identity and some more until it was attached. */
export interface UpstreamWaiting {
  readonly createdAttempts: number;
  readonly assignedAttempts: number;
  readonly intervalSeconds: number;
}

/** 403 is final and explained best by the SDKs; 404 is what upstream answered where there is nothing at all. */
const STATUS: Partial<Record<DenialReason, number>> = {
  "ambiguous-request": 400,
  "pod-not-labelled": 404,
  "no-binding": 404,
  "identity-missing": 404,
};
/** These pass when an object arrives that was created together with the pod. */
const PASSING: ReadonlySet<DenialReason> = new Set<DenialReason>(["no-binding", "identity-missing"]);
/** Upstream looked for assigned identities only, and so waited for these all the same. */
const UPSTREAM_WAITS_FOR: ReadonlySet<DenialReason> = new Set<DenialReason>([...PASSING, "pod-not-labelled"]);

/** Whether, and as whom, a pod gets what it asks for. Evaluated anew for every request and after every wait. */
export function decide(
  standing: Standing,
  requested: RequestedIdentity,
  rules: DecisionRules,
  nowMs: number,
): Decision {
  if (standing.excepted) return { kind: "forward" };
  const selection = select(standing.candidates, requested);
  if (selection.kind === "denied") {
    // A request that contradicts itself need not wait for anything.
    if (standing.candidates.length === 0 && selection.denial.reason !== "ambiguous-request")
      return withoutCandidates(standing, requested, rules, nowMs);
    const foreign = selection.denial.reason === "identity-not-bound";
    const status = foreign ? rules.foreignIdentityStatus : (STATUS[selection.denial.reason] ?? 403);
    return { kind: "deny", status, denial: selection.denial };
  }
  const { candidate } = selection;
  if (candidate.attachment.kind === "pending") {
    const { message, created } = candidate.attachment;
    if (rules.upstreamWaiting !== undefined) {
      return asUpstream(standing, requested, rules.upstreamWaiting, created === true, "not-attached", message);
    }
    return { kind: "park", denial: { reason: "not-attached", message } };
  }
  return { kind: "serve", candidate, others: selection.others };
}

function withoutCandidates(
  standing: Standing,
  requested: RequestedIdentity,
  rules: DecisionRules,
  nowMs: number,
): Decision {
  const { pod, denial } = standing;
  const why: Denial = denial ?? {
    reason: "no-binding",
    message: `No AzureIdentityBinding found for pod ${pod.namespace}/${pod.name}`,
  };
  if (rules.upstreamWaiting !== undefined && UPSTREAM_WAITS_FOR.has(why.reason)) {
    return asUpstream(standing, requested, rules.upstreamWaiting, false, why.reason, why.message);
  }
  if (PASSING.has(why.reason) && pod.createdAt > 0) {
    const graceMs = pod.createdAt + rules.bindingGraceMs - nowMs;
    if (graceMs > 0) return { kind: "park", denial: why, recheckInMs: graceMs };
  }
  return { kind: "deny", status: STATUS[why.reason] ?? 403, denial: why };
}

function asUpstream(
  { pod }: Standing,
  { clientId }: RequestedIdentity,
  { createdAttempts, assignedAttempts, intervalSeconds }: UpstreamWaiting,
  created: boolean,
  reason: WaitReason["reason"],
  why: string,
): Decision {
  const attempts = createdAttempts + (created ? assignedAttempts : 0);
  const asked = clientId === undefined ? "" : `clientID in request: ${redactClientId(clientId)}, `;
  const state = created ? "ASSIGNED" : "CREATED";
  const message = `${asked}getting assigned identities for pod ${pod.namespace}/${pod.name} in ${state} state failed after ${attempts} attempts, retry duration [${intervalSeconds}]s, error: <nil>. Check MIC pod logs for identity assignment errors (${why})`;
  return { kind: "park", denial: { reason, message }, waitMs: attempts * intervalSeconds * 1000 };
}
