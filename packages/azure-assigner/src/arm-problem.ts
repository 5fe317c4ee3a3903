/**
 * Why ARM did not do it, from the answer's status, headers and error body. The messages are Azure's own and hold no secrets.
 * Retry after `retryAfterMs` where it is given.
 */
export type ArmProblem =
  /** 429 of ARM, of the compute provider for this machine, or of the identity provider behind it. */
  | (Common & {
      readonly kind: "throttled";
      readonly scope: "subscription" | "machine" | "identities";
      readonly retryAfterMs: number;
    })
  /** Somebody changed the machine meanwhile (409, 412, preempted): read again and retry. */
  | (Common & { readonly kind: "conflict" })
  /** The machine is being deleted. */
  | (Common & { readonly kind: "deleting" })
  /** The machine is busy with somebody's operation. */
  | (Common & { readonly kind: "updating" })
  /** No such VM or scale set. */
  | (Common & { readonly kind: "gone" })
  /** ARM refused because of identities: not found, or no permission to assign. `identities` are the lower-cased ids it names, perhaps none. */
  | (Common & { readonly kind: "identities-refused"; readonly identities: readonly string[] })
  /** Our own credential may not change the machine. */
  | (Common & { readonly kind: "forbidden" })
  /** Our own credential was not accepted, or none could be had. */
  | (Common & { readonly kind: "unauthenticated" })
  /** ARM did not understand the request; repeating it is useless. */
  | (Common & { readonly kind: "invalid" })
  /** 5xx, time-out, or no connection. */
  | (Common & { readonly kind: "unavailable" });

interface Common {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** ARM's error code, or ours in its style. */
  readonly code: string;
  readonly message: string;
  readonly retryAfterMs?: number;
}

/** An ARM call failed; the only exception that an {@link Arm} throws besides an abort. */
export class ArmError extends Error {
  override readonly name = "ArmError";
  readonly problem: ArmProblem;

  constructor(problem: ArmProblem, options?: ErrorOptions) {
    super(`${problem.code}: ${problem.message}`, options);
    this.problem = problem;
  }
}
