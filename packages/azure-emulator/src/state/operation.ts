import { randomUUID } from "node:crypto";

export type OperationStatus = "InProgress" | "Succeeded" | "Failed" | "Canceled";

/** How an operation is to end when it does not succeed. */
export interface OperationFailure {
  readonly status: "Failed" | "Canceled";
  readonly code: string;
  readonly message: string;
}

/** A long-running ARM operation. Its status follows from the clock, so nothing has to tick. */
export class Operation {
  readonly id = randomUUID();
  readonly startedAt: number;
  readonly resourceKey: string;
  readonly location: string;
  readonly subscriptionId: string;
  #finishesAt: number;
  #failure: OperationFailure | undefined;

  constructor(o: {
    startedAt: number;
    durationMs: number;
    resourceKey: string;
    location: string;
    subscriptionId: string;
    failure?: OperationFailure | undefined;
  }) {
    this.startedAt = o.startedAt;
    this.#finishesAt = o.startedAt + o.durationMs;
    this.#failure = o.failure;
    this.resourceKey = o.resourceKey;
    this.location = o.location;
    this.subscriptionId = o.subscriptionId;
  }

  get finishesAt(): number {
    return this.#finishesAt;
  }

  get failure(): OperationFailure | undefined {
    return this.#failure;
  }

  status(now: number): OperationStatus {
    if (now < this.#finishesAt) return "InProgress";
    return this.#failure?.status ?? "Succeeded";
  }

  /** A later write to the same resource takes this one's place, as the compute provider does it. */
  preempt(now: number): void {
    if (this.status(now) !== "InProgress") return;
    this.#finishesAt = now;
    this.#failure = {
      status: "Canceled",
      code: "OperationPreempted",
      message: "The operation has been preempted by a more recent operation",
    };
  }
}
