import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseState, readState, removeState, writeState, type SandboxState } from "./state-file.ts";

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "podid-state-"));
  file = join(folder, "sandbox.json");
});
afterEach(() => rmSync(folder, { recursive: true }));

const state: SandboxState = {
  version: 1,
  pid: process.pid,
  parentPid: 1,
  userNamespace: true,
  path: "/bin",
  directory: "/x",
  kubeUrl: "https://127.0.0.1:1",
  controlUrl: "http://127.0.0.1:2",
  controlToken: "secret",
  azureControlUrl: "http://127.0.0.1:2/azure",
  kubeconfig: "/x/kubeconfig",
  caFile: "/x/ca.pem",
  caBundle: "/x/ca-bundle.pem",
  nodes: [],
  pods: [],
};

test("only its owner may read it: it holds the control token", () => {
  writeState(file, state);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(parseState(readFileSync(file, "utf8"), file)).toEqual(state);
  removeState(file);
  removeState(file);
  expect(readState(file)).toBeUndefined();
});

test("a pid that belongs to another program now, or to none, is no sandbox", () => {
  writeState(file, state);
  expect(readState(file)).toBeUndefined();
  writeState(file, { ...state, pid: 2 ** 22 + 1 });
  expect(readState(file)).toBeUndefined();
});

test.for([
  { name: "no JSON", text: "{", says: "is not JSON" },
  { name: "a later version", text: '{"version": 2}', says: "version 2, this podid knows 1" },
])("refuses $name and says what to do", ({ text, says }) => {
  writeFileSync(file, text);
  expect(() => readState(file)).toThrow(says);
  expect(() => readState(file)).toThrow("remove it");
});
