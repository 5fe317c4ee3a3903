import type { Flag } from "./flag.ts";

/** A program's flags by name, in the order in which they are shown. */
export type FlagTable = Readonly<Record<string, Flag<unknown>>>;

export type FlagValues<T extends FlagTable> = { readonly [K in keyof T]: T[K] extends Flag<infer V> ? V : never };

export interface CommandLine<T extends FlagTable> {
  readonly values: FlagValues<T>;
  /** Flags that stood on the command line or in the environment, as opposed to defaults. */
  readonly given: ReadonlySet<keyof T & string>;
  readonly positional: readonly string[];
}

export type ParsedCommandLine<T extends FlagTable> =
  | { readonly ok: true; readonly commandLine: CommandLine<T> }
  | { readonly ok: false; readonly errors: readonly string[] };

/**
 * Reads a whole command line and environment; every mistake is reported at once.
 *
 * One or two dashes mean the same, and a value stands behind `=` or in the next argument (booleans: only behind `=`),
 * as in Go's flag package, so that command lines written for aad-pod-identity keep working. The last of a repeated flag wins.
 * `--` ends the flags. An empty environment variable counts as unset.
 */
export function parseCommandLine<const T extends FlagTable>(
  table: T,
  input: { readonly argv: readonly string[]; readonly env: Readonly<Record<string, string | undefined>> },
): ParsedCommandLine<T> {
  const errors: string[] = [];
  const values: Record<string, unknown> = {};
  const given = new Set<string>();
  const positional: string[] = [];

  function assign(name: string, flag: Flag<unknown>, text: string, origin: string): void {
    const parsed = flag.parse(text);
    if ("expected" in parsed) {
      errors.push(`${origin}: ${JSON.stringify(text)} is not valid; give ${parsed.expected}`);
      return;
    }
    values[name] = parsed.value;
    given.add(name);
  }

  for (const [name, flag] of Object.entries(table)) {
    values[name] = flag.default;
    const text = flag.env === undefined ? undefined : input.env[flag.env];
    if (flag.env !== undefined && text !== undefined && text !== "")
      assign(name, flag, text, `environment variable ${flag.env}`);
  }

  const rest = [...input.argv];
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    if (argument === "--") {
      positional.push(...rest);
      break;
    }
    const match = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(argument);
    if (match === null) {
      positional.push(argument);
      continue;
    }
    const [, name = "", inline] = match;
    const flag = Object.hasOwn(table, name) ? table[name] : undefined;
    if (flag === undefined) {
      errors.push(`--${name}: there is no such flag${suggestion(table, name)}; see --help`);
    } else if (inline !== undefined) {
      assign(name, flag, inline, `--${name}`);
    } else if (flag.bare !== undefined) {
      values[name] = flag.bare;
      given.add(name);
    } else {
      const next = rest.shift();
      if (next === undefined) errors.push(`--${name}: a value is missing; give --${name}=${flag.kind.toUpperCase()}`);
      else assign(name, flag, next, `--${name}`);
    }
  }

  return errors.length > 0
    ? { ok: false, errors }
    : { ok: true, commandLine: { values: Object.freeze(values) as FlagValues<T>, given, positional } };
}

function suggestion(table: FlagTable, name: string): string {
  const plain = (text: string): string => text.toLowerCase().replaceAll(/[-_]/g, "");
  const like = Object.keys(table).find((known) => plain(known) === plain(name));
  return like === undefined ? "" : ` (did you mean --${like}?)`;
}
