import { expect, test } from "vitest";
import { parseCommand, USAGE, type Command, type SandboxFlags } from "./command-line.ts";

const defaults: SandboxFlags = {
  nodes: 3,
  virtualMachines: 1,
  stateFile: undefined,
  apiServer: "emulator",
  verbose: false,
  bundles: {},
  args: { mic: [], nmi: [] },
};

test.for<{ argv: string; want: Command }>([
  { argv: "", want: { kind: "help", text: USAGE } },
  { argv: "sandbox", want: { kind: "help", text: USAGE } },
  { argv: "sandbox up", want: { kind: "up", sandbox: defaults } },
  {
    argv: "sandbox up --nodes=5 --virtual-machines 2 --state-file f --verbose",
    want: { kind: "up", sandbox: { ...defaults, nodes: 5, virtualMachines: 2, stateFile: "f", verbose: true } },
  },
  {
    argv: "sandbox up --nmi-args=--binding-grace=5s",
    want: { kind: "up", sandbox: { ...defaults, args: { mic: [], nmi: ["--binding-grace=5s"] } } },
  },
  { argv: "sandbox up --api-server=real", want: { kind: "up", sandbox: { ...defaults, apiServer: "real" } } },
  {
    argv: "sandbox up --mic=/b/mic.mjs",
    want: { kind: "up", sandbox: { ...defaults, bundles: { mic: "/b/mic.mjs" } } },
  },
  {
    argv: "demo --state-file=f",
    want: { kind: "demo", sandbox: { ...defaults, stateFile: "f", manifests: undefined } },
  },
  { argv: "sandbox down", want: { kind: "down", stateFile: undefined } },
  { argv: "sandbox status --state-file=f", want: { kind: "status", stateFile: "f" } },
  {
    argv: "sandbox exec default/demo -- curl -s --state-file=x",
    want: { kind: "exec", stateFile: undefined, target: "default/demo", command: ["curl", "-s", "--state-file=x"] },
  },
  {
    argv: "sandbox exec --state-file f demo -- env",
    want: { kind: "exec", stateFile: "f", target: "demo", command: ["env"] },
  },
  {
    argv: "sandbox exec --state-file=f demo ls -l",
    want: { kind: "exec", stateFile: "f", target: "demo", command: ["ls", "-l"] },
  },
  {
    argv: "sandbox logs -f --tail=5 default/demo",
    want: { kind: "logs", stateFile: undefined, target: "default/demo", follow: true, tail: 5, container: undefined },
  },
])("podid $argv", ({ argv, want }) => {
  expect(
    parseCommand(
      argv.split(" ").filter((word) => word !== ""),
      {},
    ),
  ).toEqual(want);
});

test.for([
  { argv: "sandbx up", says: '"sandbx" is no command' },
  { argv: "sandbox upp", says: '"upp" is no command of podid sandbox' },
  { argv: "sandbox up --nodes=0", says: "--nodes" },
  { argv: "sandbox up --nodes=2 --virtual-machines=3", says: "raise --nodes" },
  { argv: "sandbox up --api-server=fake", says: "emulator, real" },
  { argv: "sandbox up now", says: "flags only" },
  { argv: "sandbox exec", says: "give a pod and a command" },
  { argv: "sandbox exec default/demo", says: "give a pod and a command" },
  { argv: "sandbox exec -- ls", says: "give a pod and a command" },
  { argv: "sandbox logs", says: "give one pod or process" },
])("podid $argv is refused", ({ argv, says }) => {
  const command = parseCommand(argv.split(" "), {});
  expect(command).toEqual({ kind: "errors", errors: [expect.stringContaining(says)] });
});

test("the state file may come from the environment, but not for a demo, which would then use that sandbox", () => {
  expect(parseCommand(["sandbox", "down"], { PODID_STATE_FILE: "e" })).toEqual({ kind: "down", stateFile: "e" });
  expect(parseCommand(["demo"], { PODID_STATE_FILE: "e" })).toMatchObject({ sandbox: { stateFile: undefined } });
});

test.for(["demo", "sandbox up", "sandbox exec", "sandbox logs", "sandbox status", "sandbox down"])(
  "podid %s --help explains its flags",
  (name) => {
    const command = parseCommand([...name.split(" "), "--help"], {});
    expect(command).toMatchObject({ kind: "help", text: expect.stringContaining("--state-file") });
  },
);
