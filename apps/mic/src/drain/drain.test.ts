import { systemClock } from "@podid/kube";
import type { KubeTransport } from "@podid/kube";
import { createLogger } from "@podid/service";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { vmProviderId } from "../../test/cluster.ts";
import { Harness, SIMPLE } from "../../test/harness.ts";
import { until } from "../../test/until.ts";
import { readDrainCommand } from "./drain-command.ts";
import { drain } from "./drain.ts";
import type { DrainOptions } from "./drain.ts";
import { drainableTransport } from "./drainable-transport.ts";
import { Lifecycle, LIFECYCLE_LABEL } from "./lifecycle.ts";

const NODE = vmProviderId("test-node");
let h: Harness;
let lifecycles: Lifecycle[];
let said: string[];

beforeEach(async () => {
  h = await Harness.start();
  lifecycles = [];
  said = [];
  await h.cluster.create("configMap", {
    metadata: { name: "podid-lifecycle", namespace: "podid", labels: { [LIFECYCLE_LABEL]: "true" } },
    data: { phase: "running" },
  });
});
afterEach(async () => {
  await Promise.all(lifecycles.map((lifecycle) => lifecycle.stop()));
  await h.close();
});

/** As main.ts wires it. */
function drainable(transport: KubeTransport): KubeTransport {
  const log = createLogger({ component: "mic", format: "text", write: () => undefined });
  const lifecycle = new Lifecycle({ transport, namespace: "podid", log });
  lifecycles.push(lifecycle);
  lifecycle.start();
  return drainableTransport(transport, lifecycle);
}

function run(options: Partial<DrainOptions> = {}): Promise<number> {
  return drain({
    transport: h.cluster.transport,
    // Looks again at once instead of every two seconds.
    clock: { ...systemClock, now: () => Date.now(), setTimeout: (task, ms) => systemClock.setTimeout(task, ms / 100) },
    say: (line) => said.push(line),
    namespace: "podid",
    lifecycleNamespaces: ["podid"],
    mode: "standard",
    timeoutMs: 60_000,
    onTimeout: "abort",
    signal: new AbortController().signal,
    ...options,
  });
}

async function phase(): Promise<unknown> {
  return (await h.cluster.find("configMap", "podid-lifecycle", "podid"))?.["data"];
}

describe("uninstalling", () => {
  test("detaches what MIC attached, removes its objects and ledgers, and leaves the users' objects", async () => {
    await h.simple();
    h.start({}, drainable);
    h.start({}, drainable);
    await h.becomes({ [SIMPLE]: "Assigned" });
    expect(h.held(NODE)).toEqual(["identity1"]);

    expect(await run()).toBe(0);
    expect(h.held(NODE)).toEqual([]);
    expect(await h.cluster.assigned()).toEqual([]);
    expect(await h.cluster.ledgers()).toEqual([]);
    expect(await phase()).toEqual({ phase: "uninstalling" });
    expect(await h.cluster.find("binding", "testbinding")).toBeDefined();
    expect(await h.cluster.find("pod", "test-pod")).toBeDefined();
    expect(said.at(-1)).toBe("MIC has detached what it attached; NMI takes its rules out when it stops.");
  });

  test("says what Azure keeps, takes the mark back, and pods get their identities again", async () => {
    await h.simple();
    h.start({}, drainable);
    await h.becomes({ [SIMPLE]: "Assigned" });
    const answer = Promise.withResolvers<void>();
    h.arm.beforePatch = () => answer.promise;

    expect(await run({ timeoutMs: 300 })).toBe(1);
    expect(await phase()).toEqual({ phase: "running" });
    const text = said.join("\n");
    expect(text).toContain("After 0.3 s this is left:");
    expect(text).toMatch(
      /userassignedidentities\/identity1 is attached to \/subscriptions\/\S+\/virtualMachines\/test-node/i,
    );
    expect(text).toContain("Nothing was uninstalled, and podid works on.");

    h.arm.beforePatch = undefined;
    answer.resolve();
    await until(async () => expect(await h.cluster.statuses()).toEqual({ [SIMPLE]: "Assigned" }));
    expect(h.held(NODE)).toEqual(["identity1"]);
  });

  test("goes on where the caller wants that, and the mark stays", async () => {
    await h.simple();
    h.start({}, drainable);
    await h.becomes({ [SIMPLE]: "Assigned" });
    h.arm.beforePatch = () => new Promise<void>(() => {});
    expect(await run({ timeoutMs: 100, onTimeout: "continue" })).toBe(0);
    expect(await phase()).toEqual({ phase: "uninstalling" });
    expect(said.at(-1)).toContain("Detach by hand what is named above");
  });

  test("a MIC that starts meanwhile detaches as well", async () => {
    await h.simple();
    const first = h.start({}, drainable);
    await h.becomes({ [SIMPLE]: "Assigned" });
    await h.stop(first);
    const done = run();
    await until(async () => expect(await phase()).toEqual({ phase: "uninstalling" }));
    h.start({}, drainable);
    expect(await done).toBe(0);
    expect(h.held(NODE)).toEqual([]);
  });

  test("in managed mode only the mark is set", async () => {
    expect(await run({ mode: "managed" })).toBe(0);
    expect(await phase()).toEqual({ phase: "uninstalling" });
  });

  test("a missing ConfigMap is said, and does not stop it", async () => {
    expect(await run({ lifecycleNamespaces: ["podid", "elsewhere"] })).toBe(0);
    expect(said[0]).toContain("There is no ConfigMap elsewhere/podid-lifecycle");
  });
});

describe("the command line of mic drain", () => {
  const env = { MIC_POD_NAMESPACE: "podid" };

  test("has defaults", () => {
    expect(readDrainCommand([], env)).toEqual({
      kind: "run",
      kubeconfig: "",
      options: {
        namespace: "podid",
        lifecycleNamespaces: ["podid"],
        mode: "standard",
        timeoutMs: 240_000,
        onTimeout: "abort",
      },
    });
  });

  test("reports every mistake", () => {
    expect(readDrainCommand(["--timeout=soon", "--on-timeout=stop"], env)).toMatchObject({
      kind: "invalid",
      errors: [expect.stringContaining("--timeout"), expect.stringContaining("--on-timeout")],
    });
    expect(readDrainCommand(["now"], {})).toMatchObject({
      kind: "invalid",
      errors: [expect.stringContaining('"now"'), expect.stringContaining("MIC_POD_NAMESPACE")],
    });
  });
});
