/** A JSON schema (draft 7), as far as the chart's values need one. */
export type Schema = { readonly [keyword: string]: unknown };

const NUMBER = { type: "integer", minimum: 0 };

/** Numbers that users of aad-pod-identity's chart wrote as text, or as "" for the program's default. */
function numeric(pattern: string, limits: Schema): Schema {
  return {
    anyOf: [
      { ...NUMBER, ...limits },
      { type: "string", pattern },
    ],
  };
}

/** What a value may be, by the name that the README shows. */
export const VALUE_TYPES = {
  text: { type: "string" },
  flag: { enum: [true, false, "true", "false", ""] },
  count: numeric("^[0-9]*$", {}),
  number: {
    anyOf: [
      { type: "number", minimum: 0 },
      { type: "string", pattern: "^([0-9]+([.][0-9]+)?)?$" },
    ],
  },
  port: numeric("^([1-9][0-9]{0,4})?$", { minimum: 1, maximum: 65_535 }),
  duration: { type: "string", pattern: "^(([0-9]+([.][0-9]+)?(ms|s|m|h))+)?$" },
  seconds: { type: "integer", minimum: 1 },
  strings: { type: "array", items: { type: "string", minLength: 1 } },
  labels: { type: "object", additionalProperties: { type: "string" } },
  object: { type: "object" },
  list: { type: "array", items: { type: "object" } },
  args: { type: "array", items: { type: "string", pattern: "^--?[A-Za-z]" } },
} as const satisfies Record<string, Schema>;

export type ValueType = keyof typeof VALUE_TYPES;

/** A leaf of the chart's values. */
export interface Value {
  /** Path, as `mic.replicas`. */
  readonly key: string;
  readonly type: ValueType;
  /** Absent: the value is not set, and values.yaml shows it as a comment. */
  readonly default?: unknown;
  /** One or more sentences for values.yaml, the schema and the README. */
  readonly help: string;
  /** Further keywords for the schema, or instead of those of the type. */
  readonly schema?: Schema;
  /** YAML of an example, for values.yaml. */
  readonly example?: string;
  /** Not known to aad-pod-identity's chart. */
  readonly own?: true;
}

/** Heading and sentence above the values that start with the key. */
export interface Group {
  readonly key: string;
  readonly help: string;
}

export const value = (
  key: string,
  type: ValueType,
  initial: unknown,
  help: string,
  more: Partial<Value> = {},
): Value => ({
  key,
  type,
  ...(initial !== undefined && { default: initial }),
  help,
  ...more,
});

/** Like {@link value}, for one that aad-pod-identity's chart does not have. */
export const own: typeof value = (key, type, initial, help, more) =>
  value(key, type, initial, help, { ...more, own: true });
