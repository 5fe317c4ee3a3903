import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { renderStatus } from "./status-text.ts";
import { Terminal } from "./terminal.ts";

test("what runs where", () => {
  const status = {
    nodes: [
      { name: "aks-vm-0", providerId: "", machineId: "", kind: "virtualMachine", address: "10.99.1.1", podCidr: "" },
    ],
    pods: [
      {
        namespace: "default",
        name: "demo",
        uid: "u",
        node: "aks-vm-0",
        phase: "Running",
        ip: "10.244.1.2",
        labels: {},
      },
    ],
    processes: [
      {
        name: "mic-0",
        app: "mic",
        state: "running" as const,
        pid: 1,
        restarts: 2,
        lastExit: "SIGKILL",
        startedAt: 1000,
      },
    ],
  };
  expect(renderStatus(status, 6000)).toBe(`NODE       KIND   ADDRESS     PODS
aks-vm-0   VM     10.99.1.1   1

POD            NODE       ADDRESS      PHASE
default/demo   aks-vm-0   10.244.1.2   Running

PROCESS   STATE     SINCE   RESTARTS   LAST EXIT
mic-0     running   5 s     2          SIGKILL
`);
});

test.for([
  { name: "a terminal", isTTY: true, env: {}, colours: true },
  { name: "a pipe", isTTY: false, env: {}, colours: false },
  { name: "NO_COLOR", isTTY: true, env: { NO_COLOR: "1" }, colours: false },
  { name: "NO_COLOR empty", isTTY: true, env: { NO_COLOR: "" }, colours: true },
  { name: "a dumb terminal", isTTY: true, env: { TERM: "dumb" }, colours: false },
])("colours: $name", ({ isTTY, env, colours }) => {
  const terminal = new Terminal(Object.assign(new PassThrough(), { isTTY }), env);
  expect(terminal.good("x")).toBe(colours ? "\u001B[32mx\u001B[0m" : "x");
});
