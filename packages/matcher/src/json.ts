/** Readers of JSON that nobody has checked: a value of another type counts as absent. */
export type JsonObject = Readonly<Record<string, unknown>>;

export function objectAt(value: unknown, key: string): JsonObject | undefined {
  const inner = isObject(value) ? value[key] : undefined;
  return isObject(inner) ? inner : undefined;
}

export function stringAt(value: JsonObject | undefined, key: string): string | undefined {
  const inner = value?.[key];
  return typeof inner === "string" ? inner : undefined;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The members whose value is a string. */
export function stringMembers(value: JsonObject | undefined): Readonly<Record<string, string>> {
  if (value === undefined) return NONE;
  const entries = Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  return entries.length === 0 ? NONE : Object.fromEntries(entries);
}

const NONE: Readonly<Record<string, string>> = Object.freeze({});
