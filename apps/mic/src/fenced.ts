/** When to try again what the Lease did not allow: with its next renewal it may; once the term is over nothing tries any more. */
export const FENCED_MS = 1000;
