import { expect, test } from "vitest";
import { parseCommandLine } from "./command-line.ts";
import { booleanFlag, durationFlag, integerFlag, listFlag, portFlag, stringFlag } from "./flag.ts";
import { renderHelp, renderMarkdown } from "./help.ts";
import { LOGGING_FLAGS } from "./logging-flags.ts";

const TABLE = {
  kubeconfig: stringFlag({ default: "", help: "Path." }),
  node: stringFlag({ default: "", env: "NODE_NAME", help: "Name of the node." }),
  forceNamespaced: booleanFlag({ default: false, help: "One namespace." }),
  syncRetryDuration: durationFlag({ default: 3_600_000, min: 1000, help: "Interval." }),
  "nmi-port": portFlag({ default: 2579, help: "Port." }),
  createDeleteBatch: integerFlag({ default: 20, min: 1, help: "Batch." }),
  "immutable-user-msis": listFlag({ default: [], help: "Client ids." }),
};

function parse(argv: readonly string[], env: Record<string, string> = {}): unknown {
  const parsed = parseCommandLine(TABLE, { argv, env });
  return parsed.ok
    ? { ...parsed.commandLine.values, given: [...parsed.commandLine.given], positional: parsed.commandLine.positional }
    : parsed.errors;
}

const DEFAULTS = {
  kubeconfig: "",
  node: "",
  forceNamespaced: false,
  syncRetryDuration: 3_600_000,
  "nmi-port": 2579,
  createDeleteBatch: 20,
  "immutable-user-msis": [],
  given: [],
  positional: [],
};

test.for([
  { name: "nothing given", argv: [], want: {} },
  { name: "one dash", argv: ["-kubeconfig=/k"], want: { kubeconfig: "/k", given: ["kubeconfig"] } },
  {
    name: "value in the next argument",
    argv: ["--kubeconfig", "/k"],
    want: { kubeconfig: "/k", given: ["kubeconfig"] },
  },
  { name: "value with an equals sign", argv: ["--kubeconfig=a=b"], want: { kubeconfig: "a=b", given: ["kubeconfig"] } },
  {
    name: "bare boolean takes no value",
    argv: ["--forceNamespaced", "cleanup"],
    want: { forceNamespaced: true, given: ["forceNamespaced"], positional: ["cleanup"] },
  },
  { name: "boolean with value", argv: ["-forceNamespaced=F"], want: { given: ["forceNamespaced"] } },
  {
    name: "durations are milliseconds",
    argv: ["--syncRetryDuration=1m30s"],
    want: { syncRetryDuration: 90_000, given: ["syncRetryDuration"] },
  },
  {
    name: "lists are trimmed",
    argv: ["--immutable-user-msis=a, b,"],
    want: { "immutable-user-msis": ["a", "b"], given: ["immutable-user-msis"] },
  },
  { name: "environment", argv: [], env: { NODE_NAME: "n1" }, want: { node: "n1", given: ["node"] } },
  {
    name: "the command line wins over the environment",
    argv: ["--node=n2"],
    env: { NODE_NAME: "n1" },
    want: { node: "n2", given: ["node"] },
  },
  { name: "an empty variable is unset", argv: [], env: { NODE_NAME: "" }, want: {} },
  { name: "the last one wins", argv: ["--node=a", "--node=b"], want: { node: "b", given: ["node"] } },
  { name: "two dashes end the flags", argv: ["--", "--node=a"], want: { positional: ["--node=a"] } },
] as { name: string; argv: string[]; env?: Record<string, string>; want: object }[])("$name", ({ argv, env, want }) => {
  expect(parse(argv, env)).toEqual({ ...DEFAULTS, ...want });
});

test("every mistake is reported at once, with name, value and fix", () => {
  expect(
    parse(["--nmi-port=70000", "--createDeleteBatch=0", "--force-namespaced", "--syncRetryDuration=5", "--kubeconfig"]),
  ).toEqual([
    '--nmi-port: "70000" is not valid; give a whole number from 0 to 65535',
    '--createDeleteBatch: "0" is not valid; give a whole number of at least 1',
    "--force-namespaced: there is no such flag (did you mean --forceNamespaced?); see --help",
    '--syncRetryDuration: "5" is not valid; give a duration such as 15s or 3m, a number of seconds of at least 1',
    "--kubeconfig: a value is missing; give --kubeconfig=STRING",
  ]);
});

test("names of Object's own properties are no flags", () => {
  expect(parse(["--constructor=x"])).toEqual(["--constructor: there is no such flag; see --help"]);
});

test("S08 Log format: text and json, anything else refuses to start", () => {
  const formats = ["text", "json", "unknown"].map((word) =>
    parseCommandLine(LOGGING_FLAGS, { argv: [`--log-format=${word}`], env: {} }),
  );
  expect(formats.map(({ ok }) => ok)).toEqual([true, true, false]);
  expect(JSON.stringify(formats[2])).toContain(
    'unknown logging format unknown. Only \\"text\\" and \\"json\\" are supported',
  );
});

test("help and documentation come from the table", () => {
  const help = renderHelp({ usage: "nmi [flags]", summary: "Serves tokens." }, TABLE);
  expect(help).toContain("  --node string\n        Name of the node. Environment: NODE_NAME.\n");
  expect(help).toContain("  --forceNamespaced\n");
  expect(renderMarkdown(TABLE)).toContain("| `--syncRetryDuration` | duration | `1h` | Interval. |");
});
