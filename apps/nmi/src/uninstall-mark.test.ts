import type { ReflectorHandler } from "@podid/kube";
import { expect, test } from "vitest";

import type { LifecycleRecord } from "./lifecycle-record.ts";
import { UninstallMark } from "./uninstall-mark.ts";

const record = (phase: string): LifecycleRecord => ({ phase, nodeIdentities: undefined });

function setUp() {
  const handlers: ReflectorHandler<LifecycleRecord>[] = [];
  const changes: boolean[] = [];
  const lifecycle = {
    subscribe: (handler: ReflectorHandler<LifecycleRecord>) => (handlers.push(handler), () => undefined),
  };
  const mark = new UninstallMark(lifecycle, (uninstalling) => changes.push(uninstalling));
  return {
    mark,
    changes,
    says: (phase: string) => handlers[0]?.upsert("default/podid-lifecycle", record(phase), undefined),
    isGone: () => handlers[0]?.delete("default/podid-lifecycle", record("uninstalling")),
  };
}

test("no ConfigMap, no mark", () => {
  expect(setUp().mark.set).toBe(false);
});

test("a mark outlives its ConfigMap", () => {
  const { mark, says, isGone, changes } = setUp();
  says("uninstalling");
  says("uninstalling");
  isGone();
  expect(mark.set).toBe(true);
  expect(changes).toEqual([true]);
});

test("another phase takes it back: somebody installed podid again", () => {
  const { mark, says } = setUp();
  says("uninstalling");
  says("installed");
  expect(mark.set).toBe(false);
});

test.for(["", "Uninstalling", "uninstall", "true"])("%j is no mark", (phase) => {
  const { mark, says } = setUp();
  says(phase);
  expect(mark.set).toBe(false);
});
