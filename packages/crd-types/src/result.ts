/** One thing that is wrong with a value, told so that the reader knows where it is and what to write instead. */
export interface FieldError {
  /** Path of the field, for instance `spec.resourceID`. */
  readonly field: string;
  /** The value that was found there; `undefined` when the field is absent. */
  readonly value: unknown;
  /** What to write instead. */
  readonly fix: string;
  /** One sentence that names field, value and fix. */
  readonly message: string;
}

/** An expected outcome: the value, or every reason why there is none. */
export type Result<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly errors: readonly FieldError[] };

const LONGEST_ECHO = 300;

/** A value as it may appear in a message: quoted, on one line, and not longer than a reader wants. */
export function quoted(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length <= LONGEST_ECHO ? text : `${text.slice(0, LONGEST_ECHO)}… (${text.length} characters)`;
}

/** A {@link FieldError} whose message is made of its parts, unless a wording is given that users already grep for. */
export function fieldError(field: string, value: unknown, fix: string, message?: string): FieldError {
  const found = value === undefined ? "is missing" : `is ${quoted(value)}`;
  return { field, value, fix, message: message ?? `${field} ${found}: ${fix}` };
}

export function ok<T>(value: T): Result<T> {
  return { ok: true, value };
}

export function failed(...errors: readonly FieldError[]): {
  readonly ok: false;
  readonly errors: readonly FieldError[];
} {
  return { ok: false, errors };
}
