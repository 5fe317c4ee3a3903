/** What one check found: a line for the log, never with a token in it. */
export interface Outcome {
  readonly ok: boolean;
  readonly message: string;
}

/** One thing that the demo tries. It never rejects: a failure is an outcome. */
export type Check = (signal: AbortSignal) => Promise<Outcome>;
