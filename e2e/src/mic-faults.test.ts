import { join } from "node:path";
import type { Fault } from "@podid/azure-emulator";
import { expect, test } from "vitest";
import { arrival, JOURNEYS, NODES, settled } from "./scenarios/crash-journeys.ts";
import type { Journey } from "./scenarios/crash-journeys.ts";
import type { MicCluster } from "./scenarios/mic-cluster.ts";
import type { MicProcess } from "./scenarios/mic-process.ts";
import { resourceId } from "./scenarios/fixtures.ts";
import { onKubeServers } from "./scenarios/on-kube-servers.ts";

/**
 * The API server, ARM, the clock and the Lease fail while identities come and go. In the end everything is as if nothing had
 * happened: what is attached, what MIC says it attached, the objects, and what others attached.
 */
const LONG = process.env["PODID_LONG"] === "1";
const OUTAGE_MS = LONG ? 60_000 : 3_000;
const PATIENCE = LONG ? 240_000 : 60_000;
/** Attaching and detaching in one. */
const BUSIEST = JOURNEYS.filter(({ name }) => LONG || name === "two pods shared it");
const PATCH = { service: "arm", method: "PATCH" } as const;
const POLL = { service: "arm", operation: "*operations*" } as const;

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function begin(c: MicCluster, journey: Journey, flags: readonly string[] = [], env = {}): Promise<MicProcess> {
  await journey.prepare(c);
  const mic = await c.mic(flags, env);
  await c.becomes(journey.before);
  await settled(c);
  return mic;
}

onKubeServers((cluster) => {
  test.for([
    { what: "is gone", how: "refuse" },
    { what: "accepts everything and answers nothing", how: "silence" },
  ] as const)("the API server $what for a while", { timeout: 1_200_000 }, async ({ how }) => {
    const c = cluster();
    for (const journey of BUSIEST) {
      const mic = await begin(c, journey);
      c.relay[how]();
      await journey.travel(c);
      await pause(OUTAGE_MS);
      const patched = c.patches.length;
      c.relay.open();
      await arrival(c, journey, PATIENCE);
      expect(mic.isRunning).toBe(true);
      expect(c.patches.length).toBeGreaterThan(patched);
      await c.reset();
    }
  });

  test("the API server goes when ARM has just been asked, and comes back when it is done", async () => {
    const c = cluster();
    const journey = BUSIEST[0]!;
    await begin(c, journey);
    c.azure.state.configure({ operationMs: 1500 });
    const patched = c.patches.length;
    await journey.travel(c);
    await c.eventually(() => expect(c.patches.length).toBeGreaterThan(patched));
    c.relay.refuse();
    await pause(OUTAGE_MS);
    c.relay.open();
    await arrival(c, journey, PATIENCE);
  });

  test("the watches fall silent without ending", { timeout: 600_000 }, async (context) => {
    const c = cluster();
    if (!c.isEmulated) context.skip("only the emulator can silence a watch and nothing else");
    for (const journey of BUSIEST) {
      await begin(c, journey);
      c.kube.faults?.stallWatches();
      await journey.travel(c);
      await pause(OUTAGE_MS);
      // In the long run MIC notices by itself, after a minute and a half.
      if (!LONG) c.kube.faults?.resumeWatches();
      await arrival(c, journey, PATIENCE);
      await c.reset();
    }
  });

  const failures: readonly { readonly what: string; readonly faults: readonly Fault[] }[] = [
    { what: "says 429 with Retry-After", faults: [{ match: PATCH, error: "TooManyRequests", times: 1 }] },
    {
      what: "says 429 with a short Retry-After, to reads as well",
      faults: [
        {
          match: { service: "arm" },
          times: 3,
          respond: {
            status: 429,
            headers: { "Retry-After": "1" },
            body: { error: { code: "TooManyRequests", message: "slow down" } },
          },
        },
      ],
    },
    { what: "says 409", faults: [{ match: PATCH, error: "Conflict", times: 2 }] },
    { what: "says 412", faults: [{ match: PATCH, error: "PreconditionFailed", times: 2 }] },
    { what: "says 500", faults: [{ match: PATCH, error: "InternalServerError", times: 2 }] },
    { what: "closes the connection", faults: [{ match: PATCH, reset: true, times: 2 }] },
    { what: "takes the request and answers late", faults: [{ match: PATCH, delayMs: 2500, times: 1 }] },
    { what: "loses polls", faults: [{ match: POLL, error: "InternalServerError", times: 2 }] },
    {
      what: "accepts and then fails",
      faults: [
        {
          match: PATCH,
          times: 1,
          operationFailure: { status: "Failed", code: "InternalExecutionError", message: "an internal error" },
        },
      ],
    },
    ...(LONG ? [{ what: "hangs", faults: [{ match: PATCH, hang: true, times: 1 }] }] : []),
  ];
  test.for(failures.filter(({ what }) => LONG || what !== "says 429 with Retry-After"))(
    "ARM $what",
    { timeout: 3_600_000 },
    async ({ faults }) => {
      const c = cluster();
      for (const journey of BUSIEST) {
        await begin(c, journey);
        const ids = faults.map((fault) => c.azure.state.faults.add(fault));
        await journey.travel(c);
        await arrival(c, journey, LONG ? 1_500_000 : PATIENCE);
        const met = c.azure.state.faults.list().filter(({ id }) => ids.includes(id));
        expect(met.every(({ met: times }) => times > 0)).toBe(true);
        await c.reset();
      }
    },
  );

  test("ARM and the objects spell everything in other casings", async () => {
    const c = cluster();
    const upper = (id: string): string =>
      id.replace(/^\/subscriptions/, "/SUBSCRIPTIONS").replace(/userAssigned.*/, (text) => text.toUpperCase());
    const journey = JOURNEYS.find(({ name }) => name === "two pods shared it")!;
    await begin(c, journey);
    const before = c.patches.length;
    const resourceID = resourceId("x");
    await c.merge("azureIdentities", "x", { spec: { resourceID: upper(resourceID) } });
    for (const machine of Object.values(NODES)) c.azure.state.detach(machine.id, resourceID);
    c.azure.state.attach(NODES["set-0"].id, upper(resourceID));
    await journey.travel(c);
    await arrival(c, journey, PATIENCE);
    expect(c.patches.length).toBeGreaterThan(before);
  });

  test.for([
    { what: "an hour ahead", jump: 3_600_000 },
    { what: "an hour back", jump: -3_600_000 },
  ])("the clock jumps $what", async ({ jump }) => {
    const c = cluster();
    const journey = BUSIEST[0]!;
    const program = join(import.meta.dirname, "../programs/jumping-clock.mjs");
    const mic = await begin(c, journey, ["--leader-election-duration=5s"], {
      NODE_OPTIONS: `--import=${program}`,
      PODID_E2E_JUMP: String(jump),
    });
    c.azure.state.configure({ operationMs: 600 });
    const patched = c.patches.length;
    await journey.travel(c);
    await c.eventually(() => expect(c.patches.length).toBeGreaterThan(patched));
    mic.kill("SIGUSR2");
    await mic.says("the clock has jumped");
    await arrival(c, journey, PATIENCE);
    await c.pod("later", "vm", "y");
    await c.becomes({ ...journey.after, "later-default-y": "Assigned" }, PATIENCE);
    expect(mic.isRunning).toBe(true);
  });

  test.for([
    { what: "before ARM has answered", fault: { match: PATCH, delayMs: 1500, times: 1 } },
    { what: "while ARM works", fault: { match: PATCH, operationMs: 1500, times: 1 } },
  ] as const)(
    "the Lease is lost in the middle of a PATCH, $what: who wakes up again writes nothing",
    async ({ fault }) => {
      const c = cluster();
      for (const journey of JOURNEYS.filter(({ name }) => LONG || name === "two pods shared it" || name === "edit")) {
        const lease = "--leader-election-duration=5s";
        const former = await begin(c, journey, [lease, "--custom-user-agent=former"]);
        const successor = c.startMic([lease, "--custom-user-agent=successor"]);
        await c.eventually(async () => expect(await successor.readyz()).toContain("ok"));
        c.azure.state.faults.add(fault);
        const patched = c.patches.length;
        await journey.travel(c);
        await c.eventually(() => expect(c.patches.length).toBeGreaterThan(patched));
        former.kill("SIGSTOP");
        await successor.active(PATIENCE);
        await arrival(c, journey, PATIENCE);
        const wokenAt = Date.now();
        former.kill("SIGCONT");
        await c.eventually(async () => expect(await former.healthz()).toBe("Not Active"));
        // Something to be tempted by.
        await c.pod("later", "vm", "y");
        await c.identity("y").catch(() => {});
        await c.binding("y", "y", "y").catch(() => {});
        await c.becomes({ ...journey.after, "later-default-y": "Assigned" }, PATIENCE);
        await settled(c);
        const written = (await c.micWrites()).filter(
          ({ userAgent, time }) => userAgent.includes("former") && time > wokenAt,
        );
        expect(written).toEqual([]);
        const asked = c.micArm().filter(({ userAgent, time }) => userAgent.includes("former") && time > wokenAt);
        expect(asked.filter(({ method }) => method !== "GET")).toEqual([]);
        expect(await successor.healthz()).toBe("Active");
        await c.reset();
      }
    },
  );
});
