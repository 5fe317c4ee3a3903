import { formatDuration, parseDuration } from "./duration.ts";

interface Common {
  /** One sentence for `--help` and the documentation. */
  readonly help: string;
  /** Environment variable that sets the flag when it is not on the command line. */
  readonly env?: string;
  /** Accepted for compatibility and without effect; the text says why. */
  readonly ignored?: string;
}

/** One flag: how its text becomes a value. `T` is the type of that value. */
export interface Flag<T> extends Common {
  readonly kind: string;
  readonly default: T;
  /** How the default is shown. */
  readonly shownDefault: string;
  /** A flag without value, as `--flag`. */
  readonly bare?: T;
  /** @returns the value, or what a right value looks like. */
  parse(text: string): { readonly value: T } | { readonly expected: string };
}

type Options<T> = Common & { readonly default: T };

/** Any text. */
export function stringFlag(options: Options<string>): Flag<string> {
  return { ...options, kind: "string", shownDefault: options.default, parse: (text) => ({ value: text }) };
}

/** One of a few words, compared without case. */
export function choiceFlag<const T extends string>(options: Options<T> & { readonly choices: readonly T[] }): Flag<T> {
  return {
    ...options,
    kind: options.choices.join("|"),
    shownDefault: options.default,
    parse: (text) => {
      const value = options.choices.find((choice) => choice === text.toLowerCase());
      return value === undefined ? { expected: `one of ${options.choices.join(", ")}` } : { value };
    },
  };
}

const TRUE = new Set(["1", "t", "true"]);
const FALSE = new Set(["0", "f", "false"]);

/** `--flag`, `--flag=true`, `--flag=false`, as Go's flag package: the value never stands in an argument of its own. */
export function booleanFlag(options: Options<boolean>): Flag<boolean> {
  return {
    ...options,
    kind: "bool",
    shownDefault: String(options.default),
    bare: true,
    parse: (text) => {
      const word = text.toLowerCase();
      if (TRUE.has(word)) return { value: true };
      return FALSE.has(word) ? { value: false } : { expected: "true or false" };
    },
  };
}

interface Range {
  readonly min?: number;
  readonly max?: number;
}

function inRange(value: number, { min = -Infinity, max = Infinity }: Range): boolean {
  return value >= min && value <= max;
}

function rangeText({ min, max }: Range, noun: string): string {
  if (min !== undefined && max !== undefined) return `${noun} from ${min} to ${max}`;
  if (min !== undefined) return `${noun} of at least ${min}`;
  return max === undefined ? noun : `${noun} of at most ${max}`;
}

/** A whole number. */
export function integerFlag(options: Options<number> & Range): Flag<number> {
  return {
    ...options,
    kind: "int",
    shownDefault: String(options.default),
    parse: (text) => {
      const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
      return Number.isSafeInteger(value) && inRange(value, options)
        ? { value }
        : { expected: rangeText(options, "a whole number") };
    },
  };
}

/** A TCP port. */
export function portFlag(options: Options<number>): Flag<number> {
  return integerFlag({ ...options, min: 0, max: 65_535 });
}

/** A decimal number. */
export function numberFlag(options: Options<number> & Range): Flag<number> {
  return {
    ...options,
    kind: "float",
    shownDefault: String(options.default),
    parse: (text) => {
      const value = text.trim() === "" ? Number.NaN : Number(text);
      return Number.isFinite(value) && inRange(value, options)
        ? { value }
        : { expected: rangeText(options, "a number") };
    },
  };
}

/** A duration in Go's notation; the value is in milliseconds, as are `default`, `min` and `max`. */
export function durationFlag(options: Options<number> & Range): Flag<number> {
  return {
    ...options,
    kind: "duration",
    shownDefault: formatDuration(options.default),
    parse: (text) => {
      const value = parseDuration(text);
      if (value !== undefined && inRange(value, options)) return { value };
      const limits = {
        ...(options.min && { min: options.min / 1000 }),
        ...(options.max && { max: options.max / 1000 }),
      };
      return {
        expected: `a duration such as 15s or 3m${limits.min || limits.max ? `, ${rangeText(limits, "a number of seconds")}` : ""}`,
      };
    },
  };
}

/** Words separated by commas; blanks around them and empty ones are dropped. */
export function listFlag(options: Options<readonly string[]>): Flag<readonly string[]> {
  return {
    ...options,
    kind: "list",
    shownDefault: options.default.join(","),
    parse: (text) => ({
      value: text
        .split(",")
        .map((word) => word.trim())
        .filter((word) => word !== ""),
    }),
  };
}
